//! The rest of an answer whose head has decided the outcome.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::connection::Http1;
use super::exchange::{BodyEnd, Exchange, Reading, Rest};
use super::http2::Http2;
use super::pool::Pool;

/// An answer so far.
pub(super) struct Answered {
    pub(super) exchange: Exchange,
    pub(super) tail: Option<Box<Tail>>,
}

impl From<Exchange> for Answered {
    fn from(exchange: Exchange) -> Answered {
        Answered { exchange, tail: None }
    }
}

/// The connection that an answer comes over.
pub(super) enum Carrier {
    /// `keep`: it may take another request.
    Http1 { connection: Http1, keep: bool },
    /// It is in the pool, and counts as in use while this is here.
    Http2 { _connection: Arc<Http2> },
}

impl Carrier {
    /// Keeps it for the next request.
    pub(super) fn keep(self, pool: &Arc<Pool>, origin: &str, offered: Option<Duration>) {
        if let Carrier::Http1 { connection, keep: true } = self {
            pool.keep(origin, connection, offered);
        }
    }
}

/// The part of a body that has not come yet. Dropping it closes the stream or connection.
pub struct Tail {
    reading: Reading,
    carrier: Carrier,
    pool: Arc<Pool>,
    origin: Box<str>,
    deadline: Instant,
}

impl Tail {
    pub(super) fn new(reading: Reading, carrier: Carrier, pool: Arc<Pool>, origin: &str, deadline: Instant) -> Tail {
        Tail { reading, carrier, pool, origin: origin.into(), deadline }
    }

    /// The end of the exchange's timeout.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Reads on until the body is complete, it reaches the capture limit, or the time is over.
    pub async fn read(self, until: Instant) -> FullBody {
        let Tail { mut reading, carrier, pool, origin, deadline } = self;
        let end = reading.read(until.min(deadline)).await.unwrap_or(BodyEnd::Broken);
        let rest = reading.rest(end);
        let body = reading.into_bytes();
        if let Rest::Reusable { offered } = rest {
            carrier.keep(&pool, &origin, offered);
        }
        FullBody { body, end }
    }
}

/// A body as far as it was read.
pub struct FullBody {
    /// From its beginning.
    pub body: Bytes,
    end: BodyEnd,
}

impl FullBody {
    /// Whether more came than is kept, or it ended early.
    pub fn is_truncated(&self) -> bool {
        self.end != BodyEnd::Complete
    }

    /// Whether the receiver did not bring it to an end.
    pub fn is_unfinished(&self) -> bool {
        self.end == BodyEnd::Broken
    }
}
