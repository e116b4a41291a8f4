//! An HTTP/2 connection, and the streams that requests take on it.
//!
//! This speaks to h2 itself and not through hyper's client, which doesn't tell three things that deliveries depend on: whether a
//! request is still waiting for the receiver to allow another stream, how many streams it allows, and whether it has
//! refused a stream without processing it.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Request, Response, Uri, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::budget::{Frames, Meter};
use super::connection::{Driver, MAX_HEAD_BYTES, MAX_HEADERS};
use super::line::{Line, Traffic};
use super::message::Message;

/// What a receiver may send on one stream, and on all of a connection, before it is read. Together with the capture limit
/// this bounds what a receiver can make this server hold.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How many requests share a connection before another is opened, where the receiver allows that many.
const MAX_STREAMS: usize = 100;
/// How many requests may go out before the receiver's settings have come, since they may allow no more.
const STREAMS_BEFORE_SETTINGS: usize = 1;

/// Header fields about an HTTP/1.1 connection, which HTTP/2 forbids (RFC 9113, 8.2.2).
const CONNECTION_HEADERS: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A connection that several requests share.
pub(super) struct Http2 {
    sender: SendRequest<Bytes>,
    pub(super) opened: Instant,
    traffic: Arc<Traffic>,
    driver: Driver,
}

/// A request that waits for its response, or for the receiver to allow its stream.
pub(super) struct Stream {
    sender: SendRequest<Bytes>,
    response: ResponseFuture,
}

impl Http2 {
    /// Starts HTTP/2 on a connection, without waiting for the receiver's settings.
    pub(super) async fn open(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Http2, h2::Error> {
        let (line, traffic, cutter) = Line::new(stream, Meter::Http2(Frames::default()));
        let (sender, connection) = client::Builder::new()
            .enable_push(false)
            .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .handshake(line)
            .await?;
        let driver = Driver::start(
            async {
                // Its errors reach the streams that they concern.
                let _ = connection.await;
            },
            cutter,
        );
        Ok(Http2 { sender, opened: Instant::now(), traffic, driver })
    }

    /// How many requests may use it at once.
    pub(super) fn limit(&self) -> usize {
        self.sender.current_max_send_streams().min(MAX_STREAMS)
    }

    /// How many streams the receiver allows at once, if it limits them. To be asked once it has answered anything.
    pub(super) fn announced_limit(&self) -> Option<u32> {
        u32::try_from(self.sender.current_max_send_streams()).ok()
    }

    /// Whether it has ended. One that the receiver is closing may still say no, and refuses the next request.
    pub(super) fn has_ended(&self) -> bool {
        self.driver.has_ended()
    }

    /// Queues a request. Fails, with nothing sent, where the connection takes no more.
    pub(super) fn begin(&self, message: Message, target: &Uri) -> Result<Stream, h2::Error> {
        let mut sender = self.sender.clone();
        let (head, body) = into_parts(message, target);
        let whole = body.is_empty();
        self.traffic.frames.add_request(body.len());
        let (response, mut upload) = sender.send_request(head, whole)?;
        if !whole {
            // The body is in memory anyway, so there is no need to wait until the receiver has room for it. Where this
            // fails, the response says why.
            let _ = upload.send_data(body, true);
        }
        Ok(Stream { sender, response })
    }
}

impl Stream {
    /// Waits until the receiver allows the stream, so that the request can go out. Where the connection fails meanwhile,
    /// [`Stream::response`] says what that means for this request.
    pub(super) async fn allowed(&mut self) {
        let _ = std::future::poll_fn(|cx| self.sender.poll_ready(cx)).await;
    }

    pub(super) async fn response(self) -> Result<Response<RecvStream>, h2::Error> {
        let response = self.response.await?;
        // h2 bounds their bytes, and not their number.
        if response.headers().len() > MAX_HEADERS { Err(Reason::ENHANCE_YOUR_CALM.into()) } else { Ok(response) }
    }
}

/// Whether the receiver says that it has not processed a stream that failed with this error, so that its request may be sent
/// again whatever it does (RFC 9113, 8.7). h2 fails a stream with a GOAWAY frame of the receiver only where the stream's number
/// is above the last one that the frame names.
pub(super) fn is_unprocessed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (error.is_go_away() || refused)
}

/// Whether the connection, and not the request, is why a request could not begin.
pub(super) fn is_connection_error(error: &h2::Error) -> bool {
    error.is_io() || error.reason().is_some()
}

/// Reads on; `None` at the end of the body.
pub(super) async fn read(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let piece = std::future::poll_fn(|cx| match body.poll_data(cx) {
        // A response that is whole before the request's body is (RFC 9113, 8.1).
        Poll::Ready(Some(Err(error))) if error.reason() == Some(Reason::NO_ERROR) => Poll::Ready(None),
        other => other,
    })
    .await?;
    if let Ok(data) = &piece {
        // Fails only where the stream has ended, which the next reading shows.
        let _ = body.flow_control().release_capacity(data.len());
    }
    Some(piece)
}

fn into_parts(message: Message, target: &Uri) -> (Request<()>, Bytes) {
    let Message { method, mut headers, body, .. } = message;
    strip(&mut headers);
    if !body.is_empty() {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(body.len()));
    }
    let mut head = Request::new(());
    *head.method_mut() = method;
    *head.uri_mut() = target.clone();
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    (head, body)
}

/// Removes what HTTP/2 forbids, and the host, which goes as `:authority`.
fn strip(headers: &mut HeaderMap) {
    headers.remove(HOST);
    for name in &CONNECTION_HEADERS {
        headers.remove(name);
    }
}
