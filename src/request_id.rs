//! A name for each request, which its answer has, too.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderName, HeaderValue, Request};

use crate::random;

/// The header with the name.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest name that is taken over from the client, in bytes.
const MAX_GIVEN: usize = 64;

/// Gives the request a name in its header: the client's own where it is a plain one.
pub fn name<B>(mut request: Request<B>) -> Request<B> {
    if !request.headers().get(HEADER).is_some_and(is_plain) {
        request.headers_mut().insert(HEADER, fresh());
    }
    request
}

fn is_plain(value: &HeaderValue) -> bool {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_GIVEN).contains(&value.len()) && value.as_bytes().iter().all(good)
}

/// A name that no other request has: it need not be hard to guess, so the system is asked for randomness only once.
fn fresh() -> HeaderValue {
    static START: LazyLock<u64> = LazyLock::new(|| u64::from_ne_bytes(random::bytes()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!("req_{:016x}{:016x}", *START, COUNT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from_str(&id).expect("it is hexadecimal")
}
