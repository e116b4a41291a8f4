//! Headers as the log may show them.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::attempt::Headers;
use crate::header::may_be_credential;

/// What stands for a value that is not logged.
const MASK: &[u8] = b"****";

/// Adds the headers in order, with the value of Authorization masked, `Basic ****`, and the values of a webhook's own headers
/// that may be credentials, `****`.
pub fn log_headers(headers: &HeaderMap, log: &mut Headers) {
    for (name, value) in headers {
        let shown = if *name == AUTHORIZATION {
            masked(value.as_bytes())
        } else if value.is_sensitive() && may_be_credential(name.as_str()) {
            Cow::Borrowed(MASK)
        } else {
            Cow::Borrowed(value.as_bytes())
        };
        log.push(name.as_str(), &shown);
    }
}

/// The scheme stays readable; a value without a scheme is masked whole.
fn masked(value: &[u8]) -> Cow<'_, [u8]> {
    match value.iter().position(|byte| *byte == b' ') {
        Some(end) => Cow::Owned([&value[..end], b" ****"].concat()),
        None => Cow::Borrowed(MASK),
    }
}
