//! One HTTP exchange of a delivery: how it ended, and what went over the wire.

mod headers;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::delivery::Trigger;
use crate::time::Timestamp;

pub use self::headers::Headers;

/// How an attempt ended: a closed list, the same in the log, the API and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum Outcome {
    /// The receiver accepted it.
    Success = 0,
    /// The receiver answered with a status that is no success.
    Status = 1,
    /// The whole exchange took longer than it may.
    Timeout = 2,
    /// The host's name could not be resolved.
    Dns = 3,
    /// No connection could be made.
    Connect = 4,
    /// TLS failed: an expired certificate, a wrong name, an unknown issuer.
    Tls = 5,
    /// The connection ended before a whole response head had come.
    Reset = 6,
    /// The answer was not HTTP, or more than a receiver may send.
    Protocol = 7,
    /// The address may not be dialled; nothing was sent.
    Blocked = 8,
    /// The server stopped before it recorded an outcome: the request may have been sent.
    Unknown = 9,
    /// The request could not be built.
    Render = 10,
}

impl Outcome {
    pub const ALL: [Outcome; 11] = [
        Outcome::Success,
        Outcome::Status,
        Outcome::Timeout,
        Outcome::Dns,
        Outcome::Connect,
        Outcome::Tls,
        Outcome::Reset,
        Outcome::Protocol,
        Outcome::Blocked,
        Outcome::Unknown,
        Outcome::Render,
    ];

    /// The word for it in the API, the portal, metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Status => "status",
            Outcome::Timeout => "timeout",
            Outcome::Dns => "dns",
            Outcome::Connect => "connect",
            Outcome::Tls => "tls",
            Outcome::Reset => "reset",
            Outcome::Protocol => "protocol",
            Outcome::Blocked => "blocked",
            Outcome::Unknown => "unknown",
            Outcome::Render => "render",
        }
    }

    /// The outcome that a database row's number stands for.
    pub fn from_number(number: i64) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| *outcome as i64 == number)
    }
}

/// A request as it went out, credentials masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    pub method: http::Method,
    pub url: String,
    pub headers: Headers,
    pub body: Bytes,
}

/// A response as it came back, up to the capture limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedResponse {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    /// Whether more came than is kept, or the body ended early.
    pub truncated: bool,
}

/// A finished attempt as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From 1 in its delivery.
    pub number: u32,
    pub at: Timestamp,
    pub duration_ms: u32,
    pub outcome: Outcome,
    /// Readable, for the customer; no internals.
    pub error: Option<String>,
    /// What else is to be known, whatever the outcome: that the request went out twice, say. Readable, for the customer.
    pub note: Option<String>,
    pub request: Option<SentRequest>,
    pub response: Option<ReceivedResponse>,
    pub trigger: Trigger,
}
