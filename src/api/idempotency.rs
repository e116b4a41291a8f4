//! POSTs that may be repeated: under the same `Idempotency-Key` the work is done once and the response is the same.
//!
//! The commit that does the work takes the key, and the response is stored after it. If the server dies between the two, a
//! repetition finds the work done and is answered from what is there. Events do the same on their own, in the commit that keeps
//! them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::idempotency::{self as rows, Kept, Outcome};
use fanfare_store::queue::{IDEMPOTENCY_LIFETIME, IdempotencyKey};
use futures_util::FutureExt as _;
use serde::Serialize;

use super::auth::Principal;
use super::problem::{Answer, Code, Problem};
use super::{body, recovered};
use crate::app::App;
use crate::once;

/// The header with the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On a response that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 255;
/// The largest response that is stored.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What is stored of a response that holds a secret: the response without it.
#[derive(Clone)]
struct WithoutSecret(Bytes);

/// What the layer works with.
#[derive(Clone)]
pub(super) struct Layer {
    pub app: Arc<App>,
    /// The routes that show what was made.
    pub shown: Router,
}

/// A response with secrets: `members` are left out of what is stored for repetitions.
pub fn with_secret<T: Serialize>(status: StatusCode, answer: &T, members: &[&str]) -> Answer<Response> {
    let mut kept = serde_json::to_value(answer).map_err(|error| Problem::internal(&error))?;
    recovered::leave_out(&mut kept, members);
    let mut response = (status, Json(answer)).into_response();
    response.extensions_mut().insert(WithoutSecret(kept.to_string().into()));
    Ok(response)
}

/// Does the work of a request with a key once. Requests without one pass.
pub(super) async fn once(State(layer): State<Layer>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    keyed(&layer, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn keyed(layer: &Layer, request: Request, next: Next) -> Answer<Response> {
    let app = &layer.app;
    let (mut parts, body) = request.into_parts();
    let principal = Principal::of(app, &mut parts).await?;
    let name = key_of(&parts.headers)?;
    let bytes = body::read(&parts.headers, body, body::MAX_BODY_BYTES).await?;
    let route = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let key = IdempotencyKey { scope: scope(&principal, route), key: name, fingerprint: fingerprint(&bytes) };
    let _run = app.running.start(&key).ok_or_else(in_progress)?;
    if let Some(kept) = find(app, &key).await? {
        return repeated(layer, &parts, &key, kept).await;
    }
    let request = Request::from_parts(parts, Body::from(bytes));
    // To its end though the client may go: the request runs in the background.
    let work = once::under(key.clone(), next.run(request));
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(response) => store(app, &key, response).await,
        Err(_) => Err(Problem::internal(&"a request with an idempotency key panicked")),
    }
}

pub(super) fn in_progress() -> Problem {
    Problem::new(Code::IdempotencyInProgress, "a request with this Idempotency-Key is still running; retry in a second")
}

pub(super) fn reused() -> Problem {
    let message = "was used for a request with another body; use a new one";
    Problem::field(Code::IdempotencyKeyReused, "Idempotency-Key", message)
}

pub(super) fn key_of(headers: &HeaderMap) -> Answer<String> {
    let key = headers.get(KEY).and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && headers.get_all(KEY).iter().count() == 1 {
        return Ok(key.to_owned());
    }
    let message = format!("must be given once, in 1 to {MAX_KEY_BYTES} visible ASCII characters");
    Err(Problem::field(Code::InvalidParameter, "Idempotency-Key", message))
}

/// Whose key it is and for what: each principal and route has its own keys.
pub(super) fn scope(principal: &Principal, route: &str) -> String {
    let who = principal.key.map_or_else(|| "admin".to_owned(), |key| key.to_string());
    let user = principal.user.as_deref().unwrap_or_default();
    format!("POST {} {who} {user:?} {route}", principal.project)
}

pub(super) fn fingerprint(body: &[u8]) -> [u8; 16] {
    let hash = blake3::hash(body);
    hash.as_bytes()[..16].try_into().expect("a hash is longer")
}

/// Keys used since then still count.
pub(super) fn oldest(app: &App) -> Timestamp {
    let lifetime = i64::try_from(IDEMPOTENCY_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    Timestamp(app.now().millis().saturating_sub(lifetime))
}

async fn find(app: &App, key: &IdempotencyKey) -> Answer<Option<Kept>> {
    Ok(app.store.read_one(rows::get(key, oldest(app))).await?)
}

/// The response to a request whose work was done before.
async fn repeated(layer: &Layer, parts: &Parts, key: &IdempotencyKey, kept: Kept) -> Answer<Response> {
    if kept.fingerprint != key.fingerprint {
        return Err(reused());
    }
    let mut response = match kept.outcome {
        Outcome::Answered(status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            (status, json, body).into_response()
        }
        Outcome::Done { made } => recovered::answer(&layer.shown, parts, &made).await?,
    };
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Stores the response, if it is one of success.
async fn store(app: &App, key: &IdempotencyKey, response: Response) -> Answer<Response> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| Problem::internal(&error))?;
    let kept = parts.extensions.get::<WithoutSecret>().map_or_else(|| bytes.clone(), |kept| kept.0.clone());
    let change = rows::answer(key, parts.status.as_u16(), kept.to_vec(), app.now());
    if let Err(error) = app.store.change(change, None).await {
        // The work and its key are on disk; a repetition is answered from what was made.
        tracing::warn!(%error, "a response could not be stored under its idempotency key");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}
