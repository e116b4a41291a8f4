//! Deliveries and attempts as they are answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_engine::attempt::{Attempt, Headers, ReceivedResponse, SentRequest};
use fanfare_store::log::DeliveryRow;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::catalogue::deliveries::Addressed;

/// One event for one webhook.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DeliveryBody {
    pub id: String,
    pub event_id: String,
    pub event_type: String,
    pub webhook_id: String,
    pub organization_id: String,
    /// Where the last attempt went; before the first, where the webhook points.
    pub url: String,
    /// `pending`, `delivering`, `delivered`, `exhausted`, `skipped` or `cancelled`.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_reason: Option<&'static str>,
    /// How many attempts are in its log.
    pub attempts: u32,
    pub next_attempt_at: Option<String>,
    /// The status of the last answer.
    pub response_code: Option<u16>,
    pub created_at: String,
    pub completed_at: Option<String>,
    /// The event's data, any JSON value. Not in lists.
    #[schema(value_type = Option<serde_json::Value>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
}

impl DeliveryBody {
    /// Without its payload, as in lists.
    fn new(row: &DeliveryRow, url: String) -> Self {
        DeliveryBody {
            id: row.id.to_string(),
            event_id: row.event.to_string(),
            event_type: row.event_type.clone(),
            webhook_id: row.webhook.to_string(),
            organization_id: row.organization.to_string(),
            url,
            state: row.state.name(),
            skipped_reason: row.skipped_reason.map(fanfare_engine::delivery::SkipReason::name),
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(|at| at.to_string()),
            response_code: row.response_code,
            created_at: row.id.made_at().to_string(),
            completed_at: row.completed_at.map(|at| at.to_string()),
            payload: None,
        }
    }
}

impl From<Addressed> for DeliveryBody {
    fn from(delivery: Addressed) -> Self {
        DeliveryBody::new(&delivery.row, delivery.url)
    }
}

/// One HTTP exchange of a delivery.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AttemptBody {
    /// From 1.
    pub number: u32,
    pub at: String,
    pub duration_ms: u32,
    /// `success`, `status`, `timeout`, `dns`, `connect`, `tls`, `reset`, `protocol`, `blocked`, `unknown` or `render`.
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What else happened, whatever the outcome: that the request was sent again on a new connection, say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseBody>,
    /// `schedule`, `manual` or `test`.
    #[schema(value_type = String)]
    pub trigger: fanfare_engine::delivery::Trigger,
}

/// A request as it went out, credentials masked.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RequestBody {
    pub method: String,
    pub url: String,
    /// Name to value; the values of a repeated header are joined by ", ".
    #[schema(value_type = Object)]
    pub headers: serde_json::Map<String, serde_json::Value>,
    pub body: String,
    /// The exact bytes in base64, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// A response as it came back.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ResponseBody {
    pub status: u16,
    /// Name to value; the values of a repeated header are joined by ", ".
    #[schema(value_type = Object)]
    pub headers: serde_json::Map<String, serde_json::Value>,
    pub body: String,
    /// The exact bytes in base64, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Whether more came than is kept, or the body ended early.
    pub truncated: bool,
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        AttemptBody {
            number: attempt.number,
            at: attempt.at.to_string(),
            duration_ms: attempt.duration_ms,
            outcome: attempt.outcome.name(),
            error: attempt.error,
            note: attempt.note,
            request: attempt.request.map(RequestBody::from),
            response: attempt.response.map(ResponseBody::from),
            trigger: attempt.trigger,
        }
    }
}

impl From<SentRequest> for RequestBody {
    fn from(request: SentRequest) -> Self {
        let (body, body_base64) = text(&request.body);
        RequestBody {
            method: request.method.to_string(),
            url: request.url,
            headers: object(&request.headers),
            body,
            body_base64,
        }
    }
}

impl From<ReceivedResponse> for ResponseBody {
    fn from(response: ReceivedResponse) -> Self {
        let (body, body_base64) = text(&response.body);
        ResponseBody {
            status: response.status,
            headers: object(&response.headers),
            body,
            body_base64,
            truncated: response.truncated,
        }
    }
}

fn text(body: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(body).into_owned(), Some(STANDARD.encode(body))),
    }
}

fn object(headers: &Headers) -> serde_json::Map<String, serde_json::Value> {
    let mut object = serde_json::Map::new();
    for (name, value) in headers.iter() {
        let value = String::from_utf8_lossy(value);
        match object.get_mut(&*name) {
            Some(serde_json::Value::String(known)) => {
                known.push_str(", ");
                known.push_str(&value);
            }
            _ => {
                object.insert(name.into_owned(), value.into());
            }
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_are_joined() {
        let headers = [("b", &b"1"[..]), ("a", b"2"), ("b", b"3")].into_iter().collect();
        let object = serde_json::to_string(&object(&headers)).unwrap();
        assert_eq!(object, r#"{"b":"1, 3","a":"2"}"#);
    }

    #[test]
    fn case_050_bytes_that_are_no_text_are_kept_beside_a_safe_text() {
        let (body, base64) = text(b"a\xffb");
        assert_eq!((body.as_str(), base64.as_deref()), ("a\u{fffd}b", Some("Yf9i")));
        assert_eq!(text(b"ok"), ("ok".to_owned(), None));
    }
}
