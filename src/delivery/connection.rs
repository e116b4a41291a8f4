//! A connection that HTTP goes over, and the task that drives it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connector::Wire;
use super::line::{Cutter, Line};

/// The largest head of a response, in bytes; also the read buffer's bound. The parser takes up to 100 headers.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// What a receiver may send on one HTTP/2 stream, and on all of a connection, before it is read. Together with the
/// capture limit this bounds what a receiver can make this server hold.
const HTTP2_STREAM_WINDOW: u32 = 128 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is held of a request's body on its way into an HTTP/2 stream.
const HTTP2_SEND_BUFFER: usize = 256 * 1024;

/// What is sent: a whole body in memory.
pub(super) type Body = Full<Bytes>;

/// The answer's head with its body still to come, or what went wrong; the request with it if it was never sent.
pub(super) type Sent = Result<Response<Incoming>, TrySendError<Request<Body>>>;

/// The task that drives a connection, and what ends it when the connection is dropped, whatever it waits for: HTTP/2
/// has tasks of its own beside it, which end with the line.
struct Driver {
    _task: JoinSet<()>,
    _cutter: Cutter,
}

impl Driver {
    fn start(connection: impl Future<Output = hyper::Result<()>> + Send + 'static, cutter: Cutter) -> Driver {
        let mut task = JoinSet::new();
        task.spawn(async move {
            // Its errors reach the request that they concern.
            let _ = connection.await;
        });
        Driver { _task: task, _cutter: cutter }
    }
}

/// One request at a time.
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Body>,
    pub(super) opened: Instant,
    _driver: Driver,
}

/// Many requests at a time, by all who hold it.
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<Body>,
    pub(super) opened: Instant,
    _driver: Driver,
}

/// A connection after the HTTP handshake.
pub(super) enum Opened {
    Http1(Http1),
    Http2(Http2),
}

/// Starts HTTP on a connection.
pub(super) async fn open(wire: Wire) -> hyper::Result<Opened> {
    match wire {
        Wire::Plain(stream) => open_http1(stream).await.map(Opened::Http1),
        Wire::Secure { stream, http2: false } => open_http1(stream).await.map(Opened::Http1),
        Wire::Secure { stream, http2: true } => open_http2(stream).await.map(Opened::Http2),
    }
}

async fn open_http1(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> hyper::Result<Http1> {
    let (line, cutter) = Line::new(stream);
    let (sender, connection) = http1::Builder::new()
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(line))
        .await?;
    Ok(Http1 { sender, opened: Instant::now(), _driver: Driver::start(connection, cutter) })
}

async fn open_http2(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> hyper::Result<Http2> {
    let (line, cutter) = Line::new(stream);
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .handshake(TokioIo::new(line))
        .await?;
    Ok(Http2 { sender, opened: Instant::now(), _driver: Driver::start(connection, cutter) })
}
