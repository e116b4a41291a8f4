//! Reading a request's body as JSON, and saying what is wrong with it by the field's path.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::faults::{self, Again};
use super::problem::{Answer, Code, Problem};
use crate::memory_budget::Exhausted;
use crate::metered::is_caused_by;

/// The most bytes that the body of a request may have, where the route does not say otherwise.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How deeply objects and lists may be nested in the data of an event.
pub const MAX_DEPTH: usize = 100;

/// The longest that a body may take to arrive.
const MAX_BODY_TIME: Duration = Duration::from_secs(60);

/// The body as JSON.
pub struct JsonBody<T>(pub T);

/// The body as JSON; nothing is the same as an empty object.
pub struct OptionalJsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, MAX_BODY_BYTES).await?;
        check_media_type(&parts.headers)?;
        parse(&bytes).map(JsonBody)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, MAX_BODY_BYTES).await?;
        if bytes.is_empty() {
            return Ok(OptionalJsonBody(T::default()));
        }
        check_media_type(&parts.headers)?;
        parse(&bytes).map(OptionalJsonBody)
    }
}

/// Reads a body of at most `limit` bytes. One that says it is longer is refused before it is read.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Answer<Bytes> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("the body may have at most {limit} bytes"));
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let slow = |_| Problem::new(Code::InvalidJson, "the body did not come in time");
    let bytes = tokio::time::timeout(MAX_BODY_TIME, to_bytes(body, limit)).await.map_err(slow)?;
    bytes.map_err(|error| match () {
        () if is_caused_by::<LengthLimitError>(&error) => too_large(),
        () if is_caused_by::<Exhausted>(&error) => {
            let why = "the requests that are being read use up their memory; send it again soon";
            Problem::new(Code::Unavailable, why)
        }
        () => Problem::new(Code::InvalidJson, "the body ended before it was whole"),
    })
}

/// Refuses a body that is not declared as JSON, or is compressed.
pub fn check_media_type(headers: &HeaderMap) -> Answer<()> {
    let plain = |value: &HeaderValue| value.to_str().is_ok_and(|coding| coding.trim().eq_ignore_ascii_case("identity"));
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Err(Problem::new(Code::UnsupportedMediaType, "send the body uncompressed, without Content-Encoding"));
    }
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "send the body with \"Content-Type: application/json\""))
}

/// Whether objects and lists are nested in each other at most so deeply in a text that is JSON.
pub fn is_at_most_deep(json: &[u8], most: usize) -> bool {
    // Few texts have that many brackets at all, and counting them is much faster than following them.
    if memchr::memchr2_iter(b'[', b'{', json).nth(most).is_none() {
        return true;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > most {
                    return false;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// Reads JSON text as `T`. The problem says where the text is no JSON, or which fields are wrong; it does not repeat values.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    parse_borrowed(bytes, |text| faults::read::<T>(text).map(drop))
}

/// The same for what borrows from the text. `again` reads any text so, to find what else is wrong.
pub fn parse_borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8], again: Again) -> Answer<T> {
    faults::read(bytes).map_err(|first| faults::problem(bytes, &first, again))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
        #[serde(default)]
        texts: BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Inner {
        count: u32,
    }

    #[track_caller]
    fn assert_refused(json: &str, code: Code, field: &str, message: &str) {
        let problem = parse::<Outer>(json.as_bytes()).unwrap_err();
        assert_eq!(problem.code, code, "{problem:?}");
        assert_eq!((problem.errors[0].field.as_str(), problem.errors[0].message.as_str()), (field, message));
    }

    #[test]
    fn wrong_fields_are_named_by_their_path() {
        use Code::ValidationFailed;
        assert_refused("{}", ValidationFailed, "name", "is required");
        assert_refused(r#"{"name":1}"#, ValidationFailed, "name", "must be a text");
        assert_refused(r#"{"name":"a","inner":{}}"#, ValidationFailed, "inner", "must be a list");
        assert_refused(
            r#"{"name":"a","inner":[{"count":1},{"count":-1}]}"#,
            ValidationFailed,
            "inner[1].count",
            "must be a whole number from 0 to 4294967295",
        );
        assert_refused(r#"{"name":"a","inner":[{}]}"#, ValidationFailed, "inner[0].count", "is required");
        assert_refused(
            r#"{"name":"a","inner":[{"size":2}]}"#,
            ValidationFailed,
            "inner[0].size",
            "is not known here; known are count",
        );
        assert_refused(r#"{"nome":"a"}"#, ValidationFailed, "nome", "is not known here; known are name, inner, texts");
        assert_refused(r#"{"name":"a","name":"b"}"#, ValidationFailed, "name", "is given twice");
        assert_refused(r#"{"name":"a","texts":{"k":[]}}"#, ValidationFailed, "texts.k", "must be a text");
        assert_refused("[]", ValidationFailed, "body", "must be an object");
        assert_refused(r#"["a", [], {}]"#, ValidationFailed, "body", "must be an object");
        assert_refused(r#""text""#, ValidationFailed, "body", "must be an object");
    }

    #[test]
    fn what_is_no_json_is_placed() {
        let problem = parse::<Outer>(b"{\n \"name\": }").unwrap_err();
        assert_eq!(problem.code, Code::InvalidJson);
        assert_eq!(problem.detail, "the body is not JSON at line 2, column 10: expected value");
        for bad in ["", "{", r#"{"name":"a"} x"#, "{\"name\":\"\u{0}\"}"] {
            assert_eq!(parse::<Outer>(bad.as_bytes()).unwrap_err().code, Code::InvalidJson, "{bad}");
        }
        assert_eq!(parse::<Outer>(b"{\"name\":\"\xff\"}").unwrap_err().code, Code::InvalidJson);
    }

    #[test]
    fn depth_is_that_of_objects_and_lists() {
        for (json, depth) in
            [("1", 0), ("[]", 1), (r#"{"a":[{"b":1}],"c":[]}"#, 3), (r#"["[[[\"[[", []]"#, 2), ("[[],[],[]]", 2)]
        {
            assert!(is_at_most_deep(json.as_bytes(), depth), "{json}");
            assert!(depth == 0 || !is_at_most_deep(json.as_bytes(), depth - 1), "{json}");
        }
    }

    #[test]
    fn case_091_deep_json_is_refused_without_harm() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(parse::<serde_json::Value>(deep.as_bytes()).unwrap_err().code, Code::InvalidJson);
    }

    #[test]
    fn case_084_values_are_not_repeated() {
        for json in [r#"{"name":"a","inner":"canary"}"#, r#"{"name":"a","inner":[{"count":"canary"}]}"#] {
            let problem = parse::<Outer>(json.as_bytes()).unwrap_err();
            assert!(!format!("{problem:?}").contains("canary"), "{problem:?}");
        }
    }
}
