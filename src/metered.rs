//! Counts the bodies of requests and responses against the memory budget.

use std::convert::Infallible;
use std::error::Error;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tower::{Layer, Service};

use crate::background;
use crate::memory_budget::{Exhausted, MemoryBudget, Owner, Permit, Use};
use crate::strangers::Connection;

/// Bodies up to these sizes are not counted: the number of connections bounds them.
const SMALL_RESPONSE: u64 = 16 * 1024;
const SMALL_REQUEST: u64 = 4 * 1024;

/// The layer. What it wraps must answer from memory of its own; files that are part of the program belong beside it.
#[derive(Clone)]
pub struct Metered {
    budget: MemoryBudget,
    /// The answer instead of one for which there is no memory.
    refuse: fn() -> Response,
}

impl Metered {
    pub fn new(budget: MemoryBudget, refuse: fn() -> Response) -> Self {
        Metered { budget, refuse }
    }
}

impl<S> Layer<S> for Metered {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter { metered: self.clone(), inner }
    }
}

/// A service under the layer.
#[derive(Clone)]
pub struct Meter<S> {
    metered: Metered,
    inner: S,
}

impl<S> Service<Request> for Meter<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Metered { budget, refuse } = self.metered.clone();
        // A change that is made must not look refused, or it would be made twice. Its response is small or bounded by the request.
        let may_refuse = request.method().is_safe();
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        let is_small = request.body().size_hint().upper().is_some_and(|bytes| bytes <= SMALL_REQUEST);
        let count = (!is_small).then(|| Arc::new(Count { budget: budget.clone(), permit: Mutex::default() }));
        let request = match &count {
            Some(count) => {
                let (count, connection) = (Arc::clone(count), connection.clone());
                request.map(|body| Body::new(Counted { body, count, connection }))
            }
            None => request,
        };
        let answer = self.inner.call(request);
        async move {
            let response = answer.await?;
            // Until now the body may be in use.
            drop(count);
            let Some(bytes) = large(&response) else { return Ok(response) };
            let mut permit = budget.permit(Use::Responses, owner(connection.as_deref()));
            Ok(match permit.grow(bytes) {
                Ok(()) => charged(response, permit),
                Err(Exhausted) if may_refuse => refuse(),
                Err(Exhausted) => response,
            })
        }
        .boxed()
    }
}

/// Whose memory a request and its response take: known from where its key or session was looked at, which is before its body
/// is read. Another spelling of the key, another key of the same organization or another session make no other owner.
fn owner(connection: Option<&Connection>) -> Owner {
    let owner = connection.map(Connection::owner).unwrap_or_default();
    // What is an organization's is counted in one place for all uses.
    match owner {
        background::Owner::Organization(id) => id.0.cast_unsigned(),
        other => BuildHasherDefault::<DefaultHasher>::default().hash_one(other),
    }
}

/// What a request's body takes.
struct Count {
    budget: MemoryBudget,
    /// `None` before its first byte.
    permit: Mutex<Option<Permit>>,
}

/// A request's body whose bytes are counted as they come.
struct Counted {
    body: Body,
    count: Arc<Count>,
    connection: Option<Arc<Connection>>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Count { budget, permit } = &*self.count;
        let fresh = || budget.permit(Use::Requests, owner(self.connection.as_deref()));
        let counted = permit.lock().get_or_insert_with(fresh).grow(bytes);
        Poll::Ready(Some(counted.map(|()| frame).map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether a body could not be read for this reason.
pub fn is_caused_by<E: Error + 'static>(error: &axum::Error) -> bool {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |error| (*error).source()).any(<dyn Error>::is::<E>)
}

/// Bytes of a response with the permit for all of them.
struct Charged {
    bytes: Bytes,
    _permit: Arc<Permit>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// How many bytes a response takes that counts. One that comes bit by bit is not in memory.
fn large(response: &Response) -> Option<usize> {
    let bytes = response.body().size_hint().exact().filter(|bytes| *bytes > SMALL_RESPONSE)?;
    Some(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// The response, whose memory is counted until the last of it is on its way.
fn charged(response: Response, permit: Permit) -> Response {
    let permit = Arc::new(permit);
    let charge = move |bytes: Bytes| Bytes::from_owner(Charged { bytes, _permit: Arc::clone(&permit) });
    response.map(|body| Body::new(body.map_frame(move |frame| frame.map_data(&charge))))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::to_bytes;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use axum::routing::{get, post};
    use fanfare_engine::id::OrganizationId;
    use tower::ServiceExt;

    use super::*;
    use crate::strangers::Connections;

    /// The share of responses is 128 KiB, that of requests twice that.
    const BUDGET: usize = 1 << 20;
    const LARGE: usize = 60 * 1024;

    fn refused() -> Response {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }

    fn routes(budget: &MemoryBudget) -> Router {
        let take = async |body: Body| match to_bytes(body, usize::MAX).await {
            Ok(bytes) => bytes.len().to_string().into_response(),
            Err(_) => refused(),
        };
        let routes = Router::new().route("/", get(async || vec![b'x'; LARGE])).route("/", post(take));
        routes.layer(Metered::new(budget.clone(), refused))
    }

    async fn ask(routes: &Router, organization: i64, body: Body) -> Response {
        let method = if body.is_end_stream() { "GET" } else { "POST" };
        let connection = Arc::new(Arc::new(Connections::default()).open());
        connection.belongs_to(background::Owner::Organization(OrganizationId(organization)));
        let request = Request::builder().method(method).uri("/").extension(connection);
        routes.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn responses_count_until_their_last_byte_is_dropped() {
        let budget = MemoryBudget::new(BUDGET);
        let routes = routes(&budget);
        let first = ask(&routes, 1, Body::empty()).await;
        assert_eq!(
            ask(&routes, 1, Body::empty()).await.status(),
            503,
            "half of the share is one organization's at most"
        );
        let second = ask(&routes, 2, Body::empty()).await;
        assert_eq!(ask(&routes, 3, Body::empty()).await.status(), 503);
        assert_eq!(budget.held(Use::Responses), 2 * LARGE);
        // The body is over, and its bytes wait for the socket.
        let bytes = to_bytes(first.into_body(), usize::MAX).await.unwrap();
        assert_eq!((bytes.len(), budget.held(Use::Responses)), (LARGE, 2 * LARGE));
        drop((bytes, second));
        assert_eq!(budget.held(Use::Responses), 0);
    }

    #[tokio::test]
    async fn a_change_that_is_made_is_not_refused_for_its_response() {
        let budget = MemoryBudget::new(BUDGET);
        let routes = Router::new().route("/", get(async || vec![b'x'; LARGE]).post(async || vec![b'x'; LARGE]));
        let routes = routes.layer(Metered::new(budget.clone(), refused));
        let first = ask(&routes, 1, Body::empty()).await;
        assert_eq!(ask(&routes, 1, Body::empty()).await.status(), 503);
        assert_eq!(ask(&routes, 1, Body::from("made")).await.status(), 200);
        drop(first);
    }

    #[tokio::test]
    async fn requests_count_as_they_come_and_until_they_are_answered() {
        let budget = MemoryBudget::new(BUDGET);
        let routes = routes(&budget);
        let (sender, pieces) = tokio::sync::mpsc::channel::<Result<Bytes, Infallible>>(1);
        let pieces = futures_util::stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
        let mut slow = Box::pin(ask(&routes, 1, Body::from_stream(pieces)));
        sender.send(Ok(Bytes::from(vec![0; 2 * LARGE]))).await.unwrap();
        assert!(futures_util::poll!(&mut slow).is_pending());
        assert_eq!(budget.held(Use::Requests), 2 * LARGE);
        assert_eq!(ask(&routes, 1, Body::from(vec![0; LARGE])).await.status(), 503);
        assert_eq!(ask(&routes, 2, Body::from(vec![0; LARGE])).await.status(), 200);
        drop(sender);
        assert_eq!(slow.await.status(), 200);
        assert_eq!(budget.held(Use::Requests), 0);
    }
}
