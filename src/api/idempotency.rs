//! POSTs that may be repeated: under the same `Idempotency-Key` the work is done once and answered alike.
//!
//! Events have their own way to the same end, in the commit that keeps them; this is for everything else.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fanfare_engine::time::Timestamp;
use fanfare_store::StoreError;
use fanfare_store::catalogue::idempotency as rows;
use fanfare_store::queue::IdempotencyKey;
use futures_util::FutureExt as _;
use serde::Serialize;

use super::auth::{Principal, authenticate};
use super::body;
use super::problem::{Answer, Code, Problem};
use crate::app::App;

/// The header with the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// How long a key and its answer are kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 255;
/// The largest answer that is kept.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What is kept of an answer that holds a secret: the answer without it.
#[derive(Clone)]
struct WithoutSecret(Bytes);

/// An answer with secrets: `members` are left out of what is kept for repetitions.
pub fn with_secret<T: Serialize>(status: StatusCode, answer: &T, members: &[&str]) -> Answer<Response> {
    let mut kept = serde_json::to_value(answer).map_err(|error| Problem::internal(&error))?;
    if let Some(object) = kept.as_object_mut() {
        for member in members {
            object.shift_remove(*member);
        }
    }
    let mut response = (status, Json(answer)).into_response();
    response.extensions_mut().insert(WithoutSecret(kept.to_string().into()));
    Ok(response)
}

/// Does the work of a request with a key once. Requests without one pass.
pub async fn once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    match keyed(app, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn keyed(app: Arc<App>, request: Request, next: Next) -> Answer<Response> {
    let (mut parts, body) = request.into_parts();
    let principal = authenticate(&app, &parts.headers, parts.extensions.get()).await?;
    let name = key_of(&parts.headers)?;
    let bytes = body::read(&parts.headers, body, body::MAX_BODY_BYTES).await?;
    let route = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let key = IdempotencyKey { scope: scope(&principal, route), key: name, fingerprint: fingerprint(&bytes) };
    parts.extensions.insert(principal);
    if let Some(answer) = take(&app, &key).await? {
        return Ok(answer);
    }
    let request = Request::from_parts(parts, Body::from(bytes));
    // Whoever changes something is brought to its end though the client may go, so that what is kept under the key is what
    // happened.
    let work = work(Arc::clone(&app), key.clone(), request, next);
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => {
            give_back(&app, &key).await;
            Err(Problem::internal(&"a request with an idempotency key panicked"))
        }
    }
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
fn scope(principal: &Principal, route: &str) -> String {
    let who = principal.key.map_or_else(|| "admin".to_owned(), |key| key.to_string());
    let user = principal.user.as_deref().unwrap_or_default();
    format!("POST {} {who} {user:?} {route}", principal.project)
}

pub(super) fn fingerprint(body: &[u8]) -> [u8; 16] {
    let hash = blake3::hash(body);
    hash.as_bytes()[..16].try_into().expect("a hash is longer")
}

/// Takes the key; where somebody has it, answers as it was answered then, or refuses.
async fn take(app: &App, key: &IdempotencyKey) -> Answer<Option<Response>> {
    let now = app.now();
    let lifetime = i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
    let expired = Timestamp(now.millis().saturating_sub(lifetime));
    match app.store.change(rows::take(key, app.node, now, expired), None).await {
        Ok(_) => return Ok(None),
        Err(StoreError::Taken(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let in_progress = || {
        Problem::new(
            Code::IdempotencyInProgress,
            "a request with this Idempotency-Key has not ended yet; send it again",
        )
    };
    let kept = app.store.read_one(rows::get(key)).await?.ok_or_else(in_progress)?;
    if kept.fingerprint != key.fingerprint {
        let message = "was used for a request with another body; use a new one";
        return Err(Problem::field(Code::IdempotencyKeyReused, "Idempotency-Key", message));
    }
    let (status, body) = kept.answer.ok_or_else(in_progress)?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(Some(response))
}

/// Does the work and keeps the answer, if it is one of success; else the key is free again.
async fn work(app: Arc<App>, key: IdempotencyKey, request: Request, next: Next) -> Answer<Response> {
    let (parts, body) = next.run(request).await.into_parts();
    let bytes = match to_bytes(body, MAX_ANSWER_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => {
            give_back(&app, &key).await;
            return Err(Problem::internal(&error));
        }
    };
    if parts.status.is_success() {
        let kept = parts.extensions.get::<WithoutSecret>().map_or_else(|| bytes.clone(), |kept| kept.0.clone());
        let change = rows::finish(&key, app.node, parts.status.as_u16(), kept.to_vec());
        if let Err(error) = app.store.change(change, None).await {
            // The work is done; only its repetition will be refused as still at work.
            tracing::warn!(%error, "an answer could not be kept under its idempotency key");
        }
    } else {
        give_back(&app, &key).await;
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

async fn give_back(app: &App, key: &IdempotencyKey) {
    if let Err(error) = app.store.change(rows::give_back(key, app.node), None).await {
        tracing::warn!(%error, "an idempotency key could not be given back");
    }
}
