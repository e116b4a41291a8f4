//! One line in the log for each request that was refused or failed, under the id that its response carries.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use fanfare_engine::allowance::{Allowance, Taken};
use fanfare_engine::caller::Caller;
use fanfare_engine::time::Timestamp;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::request_id;

/// How many lines are written: a flood of requests must not become a flood of lines. Those left out are counted, and faults of
/// the server itself (status 500) are always written.
pub const LINES: Allowance = Allowance { at_once: 200, one_more: Duration::from_millis(20) };

/// Why a request was refused or failed, in the extensions of its response.
#[derive(Clone, Debug)]
pub struct Reason {
    /// The problem's code.
    pub code: &'static str,
    /// What the log is told and the client is not.
    pub cause: Option<Arc<str>>,
}

/// In the extensions of a response whose request is in the log already.
#[derive(Clone, Copy)]
struct Logged;

/// Counts the lines.
pub struct RequestLog {
    start: Instant,
    state: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    taken: Taken,
    /// Since the last line that was written.
    left_out: u64,
}

impl Default for RequestLog {
    fn default() -> Self {
        RequestLog { start: Instant::now(), state: Mutex::default() }
    }
}

/// What the line says of a request. Only the route's pattern is in it: a path may hold what lets somebody in.
pub struct Noted {
    id: Option<HeaderValue>,
    method: Method,
    route: Option<MatchedPath>,
    caller: Option<Caller>,
}

impl Noted {
    pub fn of<B>(request: &http::Request<B>) -> Noted {
        Noted {
            id: request.headers().get(request_id::HEADER).cloned(),
            method: request.method().clone(),
            route: request.extensions().get().cloned(),
            caller: request.extensions().get().copied(),
        }
    }
}

/// The layer that logs what a request came to. The request has its id.
// A function as a layer would cost every request three allocations instead of one.
#[derive(Clone)]
pub struct LogRequests(pub Arc<RequestLog>);

impl<S> Layer<S> for LogRequests {
    type Service = Logging<S>;

    fn layer(&self, inner: S) -> Logging<S> {
        Logging { log: Arc::clone(&self.0), inner }
    }
}

/// A service under the layer.
#[derive(Clone)]
pub struct Logging<S> {
    log: Arc<RequestLog>,
    inner: S,
}

impl<S, B> Service<Request> for Logging<S>
where
    S: Service<Request, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<B>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (log, noted) = (Arc::clone(&self.log), Noted::of(&request));
        let answer = self.inner.call(request);
        async move {
            let mut response = answer.await?;
            log.log(&noted, &mut response);
            Ok(response)
        }
        .boxed()
    }
}

impl RequestLog {
    /// Logs a request that was refused or failed, if it is not in the log yet.
    pub fn log<B>(&self, noted: &Noted, response: &mut Response<B>) {
        let status = response.status();
        let failed = status.is_client_error() || status.is_server_error();
        if !failed || response.extensions_mut().insert(Logged).is_some() {
            return;
        }
        let Some(left_out) = self.may_write(status) else { return };
        let left_out = (left_out > 0).then_some(left_out);
        let reason = response.extensions().get::<Reason>();
        let (code, cause) = (reason.map(|reason| reason.code), reason.and_then(|reason| reason.cause.as_deref()));
        let Noted { id, method, route, caller } = noted;
        let request_id = id.as_ref().and_then(|id| id.to_str().ok());
        let route = route.as_ref().map(MatchedPath::as_str);
        let (caller, status_code) = (caller.map(tracing::field::display), status.as_u16());
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(request_id, code, cause, status = status_code, %method, route, caller, left_out, "a request failed");
        } else if status.is_server_error() {
            tracing::warn!(request_id, code, cause, status = status_code, %method, route, caller, left_out, "a request failed");
        } else {
            tracing::info!(request_id, code, status = status_code, %method, route, caller, left_out, "a request was refused");
        }
    }

    /// The same for a request whose client may be gone: a fault is logged though nobody waits for the response any more.
    pub fn log_fault<B>(&self, noted: &Noted, response: &mut Response<B>) {
        if response.status().is_server_error() {
            self.log(noted, response);
        }
    }

    /// How many lines were left out before this one; `None` where it is left out, too.
    fn may_write(&self, status: StatusCode) -> Option<u64> {
        let now = Timestamp(i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX));
        let mut state = self.state.lock();
        match LINES.take(state.taken, now) {
            Some(taken) => state.taken = taken,
            None if status == StatusCode::INTERNAL_SERVER_ERROR => {}
            None => {
                state.left_out += 1;
                return None;
            }
        }
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_requests_is_no_flood_of_lines() {
        let log = RequestLog::default();
        let written = || (0..1_000).filter_map(|_| log.may_write(StatusCode::NOT_FOUND)).collect::<Vec<_>>();
        assert_eq!(written().len(), LINES.at_once as usize);
        // The fault of the server is told, and how much was not.
        assert_eq!(log.may_write(StatusCode::INTERNAL_SERVER_ERROR), Some(800));
        tokio::time::advance(LINES.one_more * 3).await;
        assert_eq!(written(), [0, 0, 0]);
        tokio::time::advance(LINES.one_more).await;
        assert_eq!(written(), [997]);
    }
}
