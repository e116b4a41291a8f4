//! Accepts connections and serves requests on them, bounded in number and patience.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::response::Response;
use fanfare_engine::caller::TrustedProxies;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1::Builder;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::incoming::{Reception, Unread};
use crate::lingering::Lingering;
use crate::request_log::RequestLog;
use crate::strangers::{Connection, Connections};

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long a stop waits for requests under way.
const GRACE: Duration = Duration::from_secs(10);
/// How long to rest when no connection could be accepted, and to wait for one to be closed.
const REST: Duration = Duration::from_millis(100);
/// A response larger than this keeps its connection from being closed for another one until it is out.
const SMALL: u64 = 64 * 1024;

/// Serves until `stopped` says so, then finishes the requests under way. There are at most `most` connections at once.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    trusted: TrustedProxies,
    log: Arc<RequestLog>,
    most: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let trusted = Arc::new(trusted);
    let slots = Arc::new(Semaphore::new(most));
    let known = Arc::new(Connections::default());
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut accepted = Box::pin(accept(&listener, &slots, &known));
    loop {
        tokio::select! {
            (stream, peer, slot) = &mut accepted => {
                accepted.set(accept(&listener, &slots, &known));
                let unread = Unread::default();
                let connection = Arc::new(known.open());
                let (trusted, of_requests) = (Arc::clone(&trusted), Arc::clone(&connection));
                let reception =
                    Reception::new(router.clone(), peer, trusted, unread.clone(), of_requests, Arc::clone(&log));
                let stream = Lingering::new(stream, unread);
                connections.spawn(serve_on(stream, slot, reception, connection, graceful.watcher()));
            }
            Some(_) = connections.join_next() => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
    }
    drop(accepted);
    drop(listener);
    // Streams that never end by themselves are cut off.
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    connections.shutdown().await;
}

/// The next connection, once there is room for it. Where there is none, some that wait for their clients are closed.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    known: &Connections,
) -> (TcpStream, IpAddr, Option<OwnedSemaphorePermit>) {
    let (stream, peer) = loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and must not wait for more.
                let _ = stream.set_nodelay(true);
                break (stream, peer.ip());
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                known.make_room();
                tokio::time::sleep(REST).await;
            }
        }
    };
    loop {
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return (stream, peer, Some(slot));
        }
        known.make_room();
        if let Ok(slot) = tokio::time::timeout(REST, Arc::clone(slots).acquire_owned()).await {
            // The semaphore is never closed, so that a slot is always to be had.
            return (stream, peer, slot.ok());
        }
    }
}

async fn serve_on(
    stream: Lingering,
    slot: Option<OwnedSemaphorePermit>,
    reception: Reception,
    connection: Arc<Connection>,
    watcher: Watcher,
) {
    let mut builder = Builder::new();
    // Also for the first byte and between two requests, so that whoever sends nothing keeps no connection.
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let (inner, of_requests) = (Arc::new(reception), Arc::clone(&connection));
    let service = service_fn(move |request| answer(Arc::clone(&inner), request, Arc::clone(&of_requests)));
    let mut serving = pin!(watcher.watch(builder.serve_connection(TokioIo::new(stream), service)));
    tokio::select! {
        served = &mut serving => {
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended early");
            }
        }
        () = connection.is_to_close() => tracing::debug!("a connection that waited for its client was closed to make room"),
    }
    drop(slot);
}

/// Answers a request, and notes when its connection waits for the next request.
async fn answer(
    inner: impl Service<Request<Incoming>, Response = Response, Error = Infallible>,
    request: Request<Incoming>,
    connection: Arc<Connection>,
) -> Result<Response, Infallible> {
    if !connection.begin() {
        // It is closed at this moment.
        return std::future::pending().await;
    }
    let response = inner.call(request).await?;
    connection.end();
    if response.body().size_hint().upper().is_some_and(|most| most <= SMALL) {
        connection.wait();
        return Ok(response);
    }
    Ok(response.map(|body| Body::new(Outgoing { body, connection })))
}

/// A response's body; its connection waits for the next request once it is out.
struct Outgoing {
    body: Body,
    connection: Arc<Connection>,
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.connection.wait();
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
