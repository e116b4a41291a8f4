//! A connection that HTTP goes over, and the task that drives it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::budget::{Interims, Meter};
use super::connector::Wire;
use super::exchange::Broken;
use super::http2::Http2;
use super::line::{Cutter, Line, Traffic};

/// The largest head of a response, in bytes; also the read buffer's bound.
pub(super) const MAX_HEAD_BYTES: usize = 256 * 1024;
/// How many headers a response may have.
pub(super) const MAX_HEADERS: usize = 256;

/// Drives a connection, and ends it when it is dropped, whatever it waits for.
pub(super) struct Driver {
    _task: JoinSet<()>,
    running: AbortHandle,
    _cutter: Cutter,
}

impl Driver {
    pub(super) fn start(connection: impl Future<Output = ()> + Send + 'static, cutter: Cutter) -> Driver {
        let mut task = JoinSet::new();
        let running = task.spawn(connection);
        Driver { _task: task, running, _cutter: cutter }
    }

    /// Whether the connection has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.running.is_finished()
    }
}

/// One request at a time.
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Full<Bytes>>,
    pub(super) opened: Instant,
    pub(super) traffic: Arc<Traffic>,
    _driver: Driver,
}

/// A connection after the HTTP handshake.
pub(super) enum Opened {
    Http1(Http1),
    Http2(Http2),
}

/// Starts HTTP on a connection.
pub(super) async fn open(wire: Wire) -> Result<Opened, Broken> {
    match wire {
        Wire::Plain(stream) => open_http1(stream).await.map(Opened::Http1),
        Wire::Secure { stream, http2: false } => open_http1(stream).await.map(Opened::Http1),
        Wire::Secure { stream, http2: true } => Ok(Opened::Http2(Http2::open(stream).await?)),
    }
}

/// Has an HTTP/1.1 connection that is used once close without a trace. It would keep its port for a minute otherwise, and
/// a receiver could be sent no more than some 470 requests a second.
pub(super) fn close_at_once(wire: &Wire) {
    let stream = match wire {
        Wire::Plain(stream) => stream,
        Wire::Secure { stream, http2: false } => stream.get_ref().0,
        Wire::Secure { http2: true, .. } => return,
    };
    // Where it can't be set, the port is free later.
    let _ = stream.set_zero_linger();
}

async fn open_http1(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Http1, Broken> {
    let (line, traffic, cutter) = Line::new(stream, Meter::Http1(Interims::default()));
    let (sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(line))
        .await?;
    let driver = Driver::start(
        async {
            // Its errors reach the request that they concern.
            let _ = connection.await;
        },
        cutter,
    );
    Ok(Http1 { sender, opened: Instant::now(), traffic, _driver: driver })
}
