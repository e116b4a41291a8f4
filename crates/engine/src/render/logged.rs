//! Headers as the log may show them.

use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::attempt::Headers;
use crate::header::may_be_credential;

/// What stands for a value that is not logged.
const MASK: Bytes = Bytes::from_static(b"****");

/// The headers in order, with the value of Authorization masked, `Basic ****`, and the values of a webhook's own headers
/// that may be credentials, `****`.
pub fn logged_headers(headers: &HeaderMap) -> Headers {
    let shown = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = if *name == AUTHORIZATION {
            masked(value.as_bytes())
        } else if value.is_sensitive() && may_be_credential(name.as_str()) {
            MASK
        } else {
            Bytes::copy_from_slice(value.as_bytes())
        };
        (name.as_str().to_owned(), value)
    };
    headers.iter().map(shown).collect()
}

/// The scheme stays readable; a value without a scheme is masked whole.
fn masked(value: &[u8]) -> Bytes {
    match value.iter().position(|byte| *byte == b' ') {
        Some(end) => [&value[..end], b" ****"].concat().into(),
        None => MASK,
    }
}
