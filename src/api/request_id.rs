//! A name for each request, on its answer and in the log.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::random;

/// The header with the name.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest name that is taken over from the client, in bytes.
const MAX_GIVEN: usize = 64;

/// The name of a request.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

/// Gives the request a name, the client's own where it is a plain one, and puts it on the answer.
pub async fn name(mut request: Request, next: Next) -> Response {
    let id = request.headers().get(HEADER).filter(|value| is_plain(value)).cloned().unwrap_or_else(fresh);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    response.headers_mut().insert(HEADER, id);
    response
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
