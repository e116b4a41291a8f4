//! One request and its answer over an open connection.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fanfare_engine::attempt::{Headers, Outcome, ReceivedResponse};
use h2::RecvStream;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use hyper::http::response::Parts;
use tokio::time::{Instant, timeout_at};

use super::connector::ConnectFailure;
use super::{http2, tls};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

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
    /// From the call to the end of the answer or of the wait for its body, connecting included.
    pub duration: Duration,
    /// The answer's body ended before it was whole: the connection broke or the time was over.
    pub body_incomplete: bool,
    /// The request went over a connection that an earlier one had opened.
    pub reused_connection: bool,
    /// Why it went out again, on another connection, if it did.
    pub resent: Option<Resent>,
    /// How many requests the receiver allows at once over one connection, where it says so.
    pub streams_allowed: Option<u32>,
    /// Nothing was sent, because this server lacked what a connection takes.
    pub is_ours: bool,
}

/// Why a request went out again within one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resent {
    /// The receiver said that it had not processed it.
    Refused,
    /// A connection that had been kept ended before anything of the answer had come; the receiver may have processed it.
    Closed,
}

impl Resent {
    /// What the log says of it.
    pub fn note(self) -> &'static str {
        match self {
            Resent::Refused => {
                "Sent again on a new connection: the receiver was closing the first one and refused the request without processing it"
            }
            Resent::Closed => {
                "Sent again on a new connection: the receiver closed the first one, which was kept from an earlier request, before it answered"
            }
        }
    }
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
            resent: None,
            streams_allowed: None,
            is_ours: false,
        }
    }

    /// The answer did not come in time.
    pub(super) fn timed_out(timeout: Duration) -> Exchange {
        Exchange::failed(Outcome::Timeout, format!("The receiver did not answer within {} s", timeout.as_secs_f32()))
    }

    /// The receiver allowed no stream for the request, which was not sent.
    pub(super) fn not_allowed(waited: Duration) -> Exchange {
        let waited = waited.as_secs_f32();
        let error = format!("The receiver's HTTP/2 settings allowed no request within {waited} s; nothing was sent");
        Exchange::failed(Outcome::Timeout, error)
    }

    /// The connection failed before the answer's head was whole.
    pub(super) fn broken(error: &Broken) -> Exchange {
        let (outcome, message) = error.classify();
        Exchange { detail: Some(chain(error)), ..Exchange::failed(outcome, message) }
    }
}

impl From<ConnectFailure> for Exchange {
    fn from(failure: ConnectFailure) -> Exchange {
        let ConnectFailure { outcome, message, detail, is_ours } = failure;
        Exchange { detail, is_ours, ..Exchange::failed(outcome, message) }
    }
}

/// What is left of an answer and its connection.
pub(super) enum Rest {
    /// The connection may take the next request. `offered`: how long the receiver keeps it, where it says so.
    Reusable { offered: Option<Duration> },
    /// Nobody can say what would come over the connection next.
    Spent,
    /// The body is still coming.
    Body(Box<Reading>),
}

/// The body of an answer that is still to be read.
pub(super) enum AnswerBody {
    Http1(Incoming),
    Http2(RecvStream),
}

impl AnswerBody {
    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Http1(body) => body.is_end_stream(),
            AnswerBody::Http2(body) => body.is_end_stream(),
        }
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        match self {
            AnswerBody::Http1(body) => loop {
                match body.frame().await? {
                    // Trailers are not kept.
                    Ok(frame) => match frame.into_data() {
                        Ok(data) => return Some(Ok(data)),
                        Err(_) => continue,
                    },
                    Err(error) => return Some(Err(error.into())),
                }
            },
            AnswerBody::Http2(body) => Some(http2::read(body).await?.map_err(Broken::from)),
        }
    }
}

/// Reads an answer until its body is complete, it reaches the capture limit (bytes), or the time is over. The head alone decides
/// the outcome.
pub(super) async fn receive(head: Parts, body: AnswerBody, until: Instant, capture_limit: usize) -> (Exchange, Rest) {
    let mut exchange = match head.status {
        status if status.is_success() => Exchange { error: None, ..Exchange::failed(Outcome::Success, String::new()) },
        status => Exchange::failed(Outcome::Status, describe_status(status)),
    };
    exchange.retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let reusable = may_go_on(&head).then(|| offered_idle_time(&head.headers));
    let mut reading = Reading { body, bytes: BytesMut::new(), limit: capture_limit, reusable };
    let end = reading.read(until).await;
    exchange.body_incomplete = matches!(end, None | Some(BodyEnd::Broken));
    let (body, rest) = match end {
        Some(end) => {
            let rest = reading.rest(end);
            (reading.into_bytes(), rest)
        }
        None => (Bytes::copy_from_slice(&reading.bytes), Rest::Body(Box::new(reading))),
    };
    exchange.response = Some(ReceivedResponse {
        status: head.status.as_u16(),
        headers: copy_headers(&head.headers),
        body,
        truncated: end != Some(BodyEnd::Complete),
    });
    (exchange, rest)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    Complete,
    /// More came than is kept.
    AtLimit,
    Broken,
}

/// A body that is being read.
pub(super) struct Reading {
    body: AnswerBody,
    bytes: BytesMut,
    limit: usize,
    /// Whether the connection may take another request after it, as far as the answer's head says, and within which time.
    reusable: Option<Option<Duration>>,
}

impl Reading {
    /// Reads on; `None` where the time is over before the body's end.
    pub(super) async fn read(&mut self, until: Instant) -> Option<BodyEnd> {
        if self.body.is_end_stream() {
            return Some(BodyEnd::Complete);
        }
        timeout_at(until, self.read_to_end()).await.ok()
    }

    async fn read_to_end(&mut self) -> BodyEnd {
        while let Some(data) = self.body.next().await {
            let Ok(data) = data else { return BodyEnd::Broken };
            let room = self.limit - self.bytes.len();
            self.bytes.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                return BodyEnd::AtLimit;
            }
        }
        BodyEnd::Complete
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }

    pub(super) fn rest(&self, end: BodyEnd) -> Rest {
        match (end, self.reusable) {
            (BodyEnd::Complete, Some(offered)) => Rest::Reusable { offered },
            _ => Rest::Spent,
        }
    }
}

/// Whether the connection may take another request, as far as the answer's head says.
fn may_go_on(head: &Parts) -> bool {
    let closes = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    // With both headers, two programs could disagree on where the body ended.
    let ambiguous = head.headers.contains_key(CONTENT_LENGTH) && head.headers.contains_key(TRANSFER_ENCODING);
    head.status != StatusCode::SWITCHING_PROTOCOLS && !ambiguous && !head.headers.get_all(CONNECTION).iter().any(closes)
}

/// How long the receiver keeps an idle connection, by its Keep-Alive header (`timeout=5, max=100`); none at all where it takes
/// no further request.
fn offered_idle_time(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let parameter = |wanted: &str| {
        let mut pairs = value.split(',').filter_map(|pair| pair.split_once('='));
        let number = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?.1;
        number.trim().trim_matches('"').parse::<u32>().ok()
    };
    if parameter("max") == Some(0) {
        return Some(Duration::ZERO);
    }
    parameter("timeout").map(|seconds| Duration::from_secs(seconds.into()))
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
        // What it has, or where else it is, is no address for the webhook.
        StatusCode::MULTIPLE_CHOICES | StatusCode::NOT_MODIFIED => "",
        status if status.is_redirection() => ": redirects are not followed; set the webhook's URL to the final address",
        _ => "",
    };
    format!("The receiver answered {}{reason}{hint}", status.as_u16())
}

/// What broke an exchange.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl Broken {
    /// Whether the connection ended, in whatever way, and nothing is wrong with what came over it.
    pub(super) fn is_closed_connection(&self) -> bool {
        tls::find_tls_error(self).is_none()
            && match self {
                Broken::Http1(error) => {
                    !error.is_parse()
                        && (error.is_incomplete_message()
                            || error.is_canceled()
                            || error.is_closed()
                            || self.io_error().is_some())
                        && self.flood().is_none()
                }
                Broken::Http2(error) => error.is_io() && self.flood().is_none(),
            }
    }

    fn io_error(&self) -> Option<&io::Error> {
        match self {
            Broken::Http1(error) => io_cause(error),
            Broken::Http2(error) => error.get_io(),
        }
    }

    /// Why we gave the connection up, if we did: see `budget`.
    fn flood(&self) -> Option<&io::Error> {
        self.io_error().filter(|error| error.kind() == io::ErrorKind::InvalidData)
    }

    /// The class of a failure between the first byte sent and the last of the answer's head, and its words.
    fn classify(&self) -> (Outcome, String) {
        if let Some(error) = tls::find_tls_error(self) {
            return (Outcome::Tls, format!("TLS failed: {}", tls::describe(error)));
        }
        if self.is_closed_connection() {
            return (Outcome::Reset, "The receiver closed the connection before it had answered".to_owned());
        }
        if let Some(flood) = self.flood() {
            return (Outcome::Protocol, format!("The connection was given up: {flood}"));
        }
        match self {
            Broken::Http1(error) if error.is_parse() => {
                (Outcome::Protocol, format!("The receiver's answer is not HTTP that can be read: {error}"))
            }
            Broken::Http2(error) if http2::is_unprocessed(error) => {
                (Outcome::Protocol, "The receiver refused the request each time without processing it".to_owned())
            }
            broken => {
                let cause = broken.source().map_or_else(|| broken.to_string(), ToString::to_string);
                (Outcome::Protocol, format!("The receiver broke off the exchange: {cause}"))
            }
        }
    }
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
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keep_alive_header_says_how_long_a_connection_is_kept() {
        for (value, seconds) in [
            ("timeout=5", Some(5)),
            ("timeout=5, max=100", Some(5)),
            ("max=100,Timeout = \"7\"", Some(7)),
            ("timeout=5, max=0", Some(0)),
            ("max=0", Some(0)),
            ("max=9", None),
            ("timeout=soon", None),
            ("timeout=-1", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(KEEP_ALIVE, HeaderValue::from_static(value))]);
            assert_eq!(offered_idle_time(&headers), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(offered_idle_time(&HeaderMap::new()), None);
    }
}
