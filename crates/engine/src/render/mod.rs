//! The request that a webhook gets for an event: method, URL, headers and body, signed.
//!
//! What does not change from one delivery to the next is worked out once in a [`Plan`].

mod again;
mod body;
mod logged;
mod message_signatures;
mod plan;
mod value;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

pub use again::FirstSent;
pub use logged::log_headers;
pub use plan::{Plan, PlanError};

/// A request ready to be sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub method: Method,
    pub url: Arc<Url>,
    /// Without Host and Content-Length, which the connection adds.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Where in the body the event's data stand byte for byte; `None` where they do not.
    pub verbatim: Option<Range<usize>>,
}

/// Why an event gives no request for a webhook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("the header {0} would have a value with control characters")]
    Header(String),
    #[error("the profile has no payload for the event type {0}")]
    NoPayload(String),
    #[error("the first attempt's request cannot be made again: its {0} is none that can be sent")]
    FirstSent(String),
}
