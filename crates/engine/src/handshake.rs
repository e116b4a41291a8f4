//! How a receiver proves that it agrees to get events: what it is asked, and whether its answer means yes.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::attempt::Headers;
use crate::webhook::RateLimit;

/// The event type that a challenge goes by.
pub const CHALLENGE_TYPE: &str = "url_verification";
/// The most bytes of an answer's body that are looked at; a whole echo is much shorter.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024;
/// The most characters of an answer that are shown to people.
const MAX_SHOWN_CHARS: usize = 120;

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
const ALLOWED_RATE: &str = "webhook-allowed-rate";

/// Why an answer is no consent; for people, read on after "the receiver" or "it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("answered {status} and {shown}, where a 2xx with the challenge that it was sent was expected")]
    NoEcho { status: u16, shown: String },
    #[error("answered {status} without WebHook-Allowed-Origin: {origin} or *, {shown}")]
    NotAllowed { status: u16, origin: String, shown: String },
    #[error("takes {allowed} requests a minute at most; {advice}")]
    TooFast { allowed: u64, advice: String },
}

/// The body of a challenge, as Slack posts it.
pub fn challenge_body(token: &str, challenge: &str) -> String {
    serde_json::json!({ "token": token, "challenge": challenge, "type": CHALLENGE_TYPE }).to_string()
}

/// Whether the answer echoes `challenge`: with a 2xx, as plain text, as a form's `challenge=`, or as JSON's `challenge`.
///
/// # Errors
/// It does not; says what was answered.
pub fn judge_challenge(challenge: &str, status: u16, body: &[u8]) -> Result<(), Refusal> {
    if (200..300).contains(&status) && echoes(challenge, body) {
        return Ok(());
    }
    let shown = match body.trim_ascii() {
        [] => "nothing".to_owned(),
        text => excerpt(text),
    };
    Err(Refusal::NoEcho { status, shown })
}

/// Receivers often declare another content type than they send, so each form is tried.
fn echoes(challenge: &str, body: &[u8]) -> bool {
    let body = body.trim_ascii();
    if body == challenge.as_bytes() {
        return true;
    }
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) {
        return json == challenge || json.get("challenge").is_some_and(|value| value == challenge);
    }
    form_urlencoded::parse(body).any(|(name, value)| name == "challenge" && value == challenge)
}

/// The headers by which permission is asked, as CloudEvents' webhooks do: for the sender `origin`, a host name, at the
/// webhook's rate, if it has one, in requests a minute.
pub fn permission_headers(origin: &str, rate: Option<RateLimit>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(origin) = HeaderValue::from_str(origin) {
        headers.insert(REQUEST_ORIGIN, origin);
    }
    if let Some(rate) = rate {
        headers.insert(REQUEST_RATE, HeaderValue::from(rate.per_minute()));
    }
    headers
}

/// Whether the answer permits `origin` to send, and as fast as the webhook's rate limit lets it. The headers alone decide: a
/// receiver that only knows OPTIONS answers 2xx, too.
///
/// # Errors
/// It does not; says what was answered.
pub fn judge_permission(origin: &str, rate: Option<RateLimit>, status: u16, headers: &Headers) -> Result<(), Refusal> {
    let allowed = header(headers, ALLOWED_ORIGIN);
    let agrees = |text: &str| text == "*" || text.eq_ignore_ascii_case(origin);
    if !allowed.as_deref().is_some_and(|list| list.split(',').map(str::trim).any(agrees)) {
        let shown = match allowed {
            Some(other) => format!("but with {}", excerpt(other.as_bytes())),
            None => "which permits nothing".to_owned(),
        };
        return Err(Refusal::NotAllowed { status, origin: origin.to_owned(), shown });
    }
    // `*`, or what is no number, sets no limit.
    let Some(allowed) = header(headers, ALLOWED_RATE).and_then(|text| text.trim().parse::<u64>().ok()) else {
        return Ok(());
    };
    if rate.is_some_and(|rate| rate.per_minute() <= allowed) {
        return Ok(());
    }
    let advice = match allowed {
        0 => "raise it there".to_owned(),
        most if most.is_multiple_of(60) => format!("set rate_limit.per_second to {} or less", most / 60),
        most => format!("set rate_limit.per_minute to {most} or less"),
    };
    Err(Refusal::TooFast { allowed, advice })
}

fn header(headers: &Headers, name: &str) -> Option<String> {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

/// The start of what a receiver said, in quotes and without control characters.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let start: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";

    #[test]
    fn a_challenge_is_echoed_in_three_forms() {
        let json = format!("{{\"challenge\": \"{CHALLENGE}\"}}");
        let form = format!("a=b&challenge={CHALLENGE}");
        for body in [CHALLENGE, &format!("{CHALLENGE}\n"), &json, &form, &format!("\"{CHALLENGE}\"")] {
            assert_eq!(judge_challenge(CHALLENGE, 200, body.as_bytes()), Ok(()), "{body}");
            assert!(judge_challenge(CHALLENGE, 500, body.as_bytes()).is_err());
        }
        let whole = challenge_body("t", CHALLENGE);
        assert_eq!(judge_challenge(CHALLENGE, 200, whole.as_bytes()), Ok(()), "the body itself holds it, too");
        for wrong in ["", "ok", "{\"challenge\": 1}", "challenge=other", &format!("x{CHALLENGE}"), "{\"challenge\""] {
            assert!(judge_challenge(CHALLENGE, 200, wrong.as_bytes()).is_err(), "{wrong}");
        }
        let refusal = judge_challenge("c", 404, b"<b>gone\n").unwrap_err().to_string();
        assert_eq!(
            refusal,
            "answered 404 and \"<b>gone\", where a 2xx with the challenge that it was sent was expected"
        );
        let long = judge_challenge("c", 200, &[b'x'; 4_000]).unwrap_err().to_string();
        assert!(long.len() < 300 && long.contains('…'), "{long}");
    }

    fn answer(members: &[(&str, &str)]) -> Headers {
        members.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
    }

    #[test]
    fn permission_is_by_origin() {
        let judge = |headers: &[(&str, &str)]| judge_permission("hooks.example.com", None, 200, &answer(headers));
        assert_eq!(judge(&[("WebHook-Allowed-Origin", "hooks.example.com")]), Ok(()));
        assert_eq!(judge(&[("webhook-allowed-origin", "*"), ("webhook-allowed-rate", "*")]), Ok(()));
        for wrong in [&[][..], &[("webhook-allowed-origin", "example.com")], &[("webhook-allowed-origin", "")]] {
            let refusal = judge(wrong).unwrap_err().to_string();
            assert!(refusal.contains("WebHook-Allowed-Origin: hooks.example.com or *"), "{refusal}");
        }
    }

    #[test]
    fn a_rate_is_kept() {
        let judge = |rate: Option<u32>, allowed| {
            let rate = rate.map(RateLimit::PerSecond);
            judge_permission("a", rate, 200, &answer(&[(ALLOWED_ORIGIN, "*"), (ALLOWED_RATE, allowed)]))
        };
        assert_eq!(judge(Some(2), "120"), Ok(()));
        assert_eq!(judge(None, "*"), Ok(()));
        let refusal = judge(Some(3), "120").unwrap_err().to_string();
        assert_eq!(refusal, "takes 120 requests a minute at most; set rate_limit.per_second to 2 or less");
        assert!(judge(None, "120").is_err(), "without a limit of its own it would be faster");
        assert!(judge(Some(1), "59").unwrap_err().to_string().contains("set rate_limit.per_minute to 59 or less"));
        assert!(judge(Some(1), "0").unwrap_err().to_string().contains("raise it there"));
    }

    #[test]
    fn what_is_asked() {
        let headers = permission_headers("hooks.example.com", Some(RateLimit::PerSecond(2)));
        assert_eq!(headers[REQUEST_ORIGIN], "hooks.example.com");
        assert_eq!(headers[REQUEST_RATE], "120");
        assert!(!permission_headers("a", None).contains_key(REQUEST_RATE));
        assert_eq!(challenge_body("t", "c"), "{\"token\":\"t\",\"challenge\":\"c\",\"type\":\"url_verification\"}");
    }
}
