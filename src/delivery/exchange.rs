//! One request and its answer over an open connection.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fanfare_engine::attempt::{Headers, Outcome, ReceivedResponse};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::connector::ConnectFailure;
use super::tls;

/// How an exchange ended, and all that the log keeps of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub outcome: Outcome,
    /// What went wrong, for the customer; `None` after a success.
    pub error: Option<String>,
    /// More about it, for the operator's log only: may name addresses.
    pub detail: Option<String>,
    /// What the receiver answered, where its whole head came.
    pub response: Option<ReceivedResponse>,
    /// The value of the answer's Retry-After header as it was.
    pub retry_after: Option<String>,
    /// From the call to the end of the answer, connecting included.
    pub duration: Duration,
    /// The answer's body ended before it was whole: the connection broke or the time was over.
    pub body_incomplete: bool,
    /// The request went over a connection that an earlier one had opened.
    pub reused_connection: bool,
}

impl Exchange {
    fn failed(outcome: Outcome, error: String) -> Exchange {
        Exchange {
            outcome,
            error: Some(error),
            detail: None,
            response: None,
            retry_after: None,
            duration: Duration::ZERO,
            body_incomplete: false,
            reused_connection: false,
        }
    }

    /// The answer did not come in time.
    pub(super) fn timed_out(timeout: Duration) -> Exchange {
        Exchange::failed(Outcome::Timeout, format!("The receiver did not answer within {} s", timeout.as_secs_f32()))
    }

    /// The connection failed before the answer's head was whole.
    pub(super) fn broken(error: &hyper::Error) -> Exchange {
        let (outcome, message) = classify(error);
        Exchange { detail: Some(chain(error)), ..Exchange::failed(outcome, message) }
    }
}

impl From<ConnectFailure> for Exchange {
    fn from(failure: ConnectFailure) -> Exchange {
        Exchange { detail: failure.detail, ..Exchange::failed(failure.outcome, failure.message) }
    }
}

/// What is left of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// It may take the next request.
    Reusable,
    /// Nobody can say what would come over it next.
    Spent,
}

/// Reads an answer up to the capture limit (bytes) and until the deadline. The head alone decides the outcome.
pub(super) async fn receive(
    response: Response<Incoming>,
    deadline: Instant,
    capture_limit: usize,
) -> (Exchange, Afterwards) {
    let (head, mut body) = response.into_parts();
    let captured = capture(&mut body, deadline, capture_limit).await;
    let mut exchange = match head.status {
        status if status.is_success() => Exchange { error: None, ..Exchange::failed(Outcome::Success, String::new()) },
        status => Exchange::failed(Outcome::Status, describe_status(status)),
    };
    exchange.retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    exchange.body_incomplete = captured.end == BodyEnd::Broken;
    let afterwards = match captured.end {
        BodyEnd::Whole if may_go_on(&head) => Afterwards::Reusable,
        _ => Afterwards::Spent,
    };
    exchange.response = Some(ReceivedResponse {
        status: head.status.as_u16(),
        headers: copy_headers(&head.headers),
        body: captured.bytes,
        truncated: captured.end != BodyEnd::Whole,
    });
    (exchange, afterwards)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyEnd {
    Whole,
    /// More came than is kept.
    AtLimit,
    /// The connection broke or the time was over.
    Broken,
}

struct Captured {
    bytes: Bytes,
    end: BodyEnd,
}

async fn capture(body: &mut Incoming, deadline: Instant, limit: usize) -> Captured {
    if body.is_end_stream() {
        return Captured { bytes: Bytes::new(), end: BodyEnd::Whole };
    }
    let mut bytes = BytesMut::new();
    let end = timeout_at(deadline, read_up_to(body, &mut bytes, limit)).await.unwrap_or(BodyEnd::Broken);
    Captured { bytes: bytes.freeze(), end }
}

async fn read_up_to(body: &mut Incoming, bytes: &mut BytesMut, limit: usize) -> BodyEnd {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return BodyEnd::Broken };
        let Ok(data) = frame.into_data() else { continue };
        let room = limit - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return BodyEnd::AtLimit;
        }
    }
    BodyEnd::Whole
}

/// Whether the connection may take another request, as far as the answer's head says.
fn may_go_on(head: &Parts) -> bool {
    let closes = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    // With both headers, two programs could disagree on where the body ended.
    let ambiguous = head.headers.contains_key(CONTENT_LENGTH) && head.headers.contains_key(TRANSFER_ENCODING);
    head.status != StatusCode::SWITCHING_PROTOCOLS && !ambiguous && !head.headers.get_all(CONNECTION).iter().any(closes)
}

/// Copied, since the originals would keep the connection's whole read buffer alive.
fn copy_headers(headers: &HeaderMap) -> Headers {
    let lines = headers.iter().map(|(name, value)| Headers::line_length(name.as_str(), value.as_bytes()));
    let mut copy = Headers::with_capacity(lines.sum());
    headers.iter().for_each(|(name, value)| copy.push(name.as_str(), value.as_bytes()));
    copy
}

fn describe_status(status: StatusCode) -> String {
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    let hint = match status {
        StatusCode::SWITCHING_PROTOCOLS => ": a webhook never changes the protocol",
        status if status.is_redirection() => ": redirects are not followed; set the webhook's URL to the final address",
        _ => "",
    };
    format!("The receiver answered {}{reason}{hint}", status.as_u16())
}

/// The class of a failure between the first byte sent and the last of the answer's head, and its words.
fn classify(error: &hyper::Error) -> (Outcome, String) {
    if let Some(error) = tls::find_tls_error(error) {
        return (Outcome::Tls, format!("TLS failed: {}", tls::describe(error)));
    }
    if error.is_parse() {
        return (Outcome::Protocol, format!("The receiver's answer is not HTTP that can be read: {error}"));
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() || io_cause(error).is_some() {
        return (Outcome::Reset, "The receiver closed the connection before it had answered".to_owned());
    }
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    (Outcome::Protocol, format!("The receiver broke off the exchange: {cause}"))
}

fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error with its causes, on one line.
fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
