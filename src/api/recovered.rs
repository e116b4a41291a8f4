//! The response to a request whose work was committed but whose response was lost when the server died: put together again from
//! what the work made, as it is now.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use fanfare_engine::id::JobId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::auth::USER_HEADER;
use super::problem::{Answer, Code, Problem};

/// The largest response that is read to find what was made.
const MAX_BYTES: usize = 16 << 20;
/// Where Fanfare's own routes begin.
const OWN: &str = "/v1/";

/// Where a lost response is found.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// The response is this.
    Known(Value),
    /// What another route shows, without these members.
    Shown(String, &'static [&'static str]),
    /// The entry with the id of what was made, in the newest of a list.
    Listed(String),
    /// Other systems' routes have forms of their own.
    Unknown,
}

/// Puts the response to a POST together again. `shown` are the routes; `made` is the id of what the work made.
///
/// # Errors
/// What was made cannot be shown any more: it was deleted, or the key lost its rights.
pub(super) async fn answer(shown: &Router, parts: &Parts, made: &str) -> Answer<Response> {
    let (status, source) = source(parts.uri.path(), made);
    let body = match source {
        Source::Known(body) => body,
        Source::Shown(path, secret) => {
            let mut body = show(shown, parts, &path).await?;
            leave_out(&mut body, secret);
            body
        }
        Source::Listed(path) => {
            let list = show(shown, parts, &format!("{path}?limit=250")).await?;
            let entries = list["data"].as_array().into_iter().flatten();
            entries.into_iter().find(|entry| entry["id"] == made).cloned().ok_or_else(lost)?
        }
        Source::Unknown => return Err(lost()),
    };
    Ok((status, Json(body)).into_response())
}

/// The status of the response and where its body is found, by the path of the request.
fn source(path: &str, made: &str) -> (StatusCode, Source) {
    let (above, last) = path.trim_end_matches('/').rsplit_once('/').unwrap_or_default();
    let source = match last {
        _ if !path.starts_with(OWN) => Source::Unknown,
        _ if JobId::parse(made).is_some() => return (StatusCode::ACCEPTED, Source::Known(json!({"job_id": made}))),
        "test" => return (StatusCode::ACCEPTED, Source::Known(json!({"delivery_id": made}))),
        "resend" => return (StatusCode::ACCEPTED, Source::Shown(above.to_owned(), &[])),
        "rotate" => Source::Shown(above.to_owned(), &["secret", "previous", "further"]),
        "enable" | "disable" | "pause" | "resume" | "cancel" => Source::Shown(above.to_owned(), &[]),
        "portal-sessions" => return (StatusCode::CREATED, Source::Known(json!({"expires_at": made}))),
        "api-keys" | "pauses" => return (StatusCode::CREATED, Source::Listed(path.to_owned())),
        _ => {
            // The name of an event type may hold anything.
            let made = utf8_percent_encode(made, NON_ALPHANUMERIC);
            return (StatusCode::CREATED, Source::Shown(format!("{path}/{made}"), &[]));
        }
    };
    (StatusCode::OK, source)
}

/// What a route shows to whoever sent the request.
async fn show(routes: &Router, parts: &Parts, path: &str) -> Answer<Value> {
    let mut request = Request::builder().method(Method::GET).uri(path);
    for name in [header::AUTHORIZATION.as_str(), USER_HEADER] {
        if let Some(value) = parts.headers.get(name) {
            request = request.header(name, value);
        }
    }
    let request = request.body(Body::empty()).map_err(|error| Problem::internal(&error))?;
    let Ok(response) = routes.clone().oneshot(request).await;
    if !response.status().is_success() {
        return Err(lost());
    }
    let bytes = to_bytes(response.into_body(), MAX_BYTES).await.map_err(|error| Problem::internal(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::internal(&error))
}

fn lost() -> Problem {
    let detail = "the request was carried out, but the server stopped before it stored the response, and what it made can't be \
                  shown now; look it up";
    Problem::new(Code::InvalidState, detail)
}

/// Takes members out of an object.
pub(super) fn leave_out(body: &mut Value, members: &[&str]) {
    if let Some(object) = body.as_object_mut() {
        for member in members {
            object.shift_remove(*member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_source() {
        let shown = |path: &str| Source::Shown(path.to_owned(), &[]);
        let org = "/v1/organizations/acme";
        let cases = [
            ("/v1/organizations".to_owned(), "org_1", 201, shown("/v1/organizations/org%5F1")),
            (format!("{org}/webhooks"), "whk_1", 201, shown("/v1/organizations/acme/webhooks/whk%5F1")),
            (format!("{org}/webhooks/w/enable"), "", 200, shown("/v1/organizations/acme/webhooks/w")),
            (format!("{org}/deliveries/d/resend"), "", 202, shown("/v1/organizations/acme/deliveries/d")),
            (format!("{org}/webhooks/w/test"), "dlv_1", 202, Source::Known(json!({"delivery_id": "dlv_1"}))),
            ("/v1/api-keys".to_owned(), "key_1", 201, Source::Listed("/v1/api-keys".to_owned())),
            ("/rest/v1/webhooks".to_owned(), "whk_1", 200, Source::Unknown),
        ];
        for (path, made, status, expected) in cases {
            let (found_status, found) = source(&path, made);
            assert_eq!((found_status.as_u16(), found), (status, expected), "{path}");
        }
    }
}
