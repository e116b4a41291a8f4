//! How a receiver answers: at once, late, with which status, or not at all.

use std::num::NonZeroU64;
use std::ops::Range;
use std::time::Duration;

use http::StatusCode;

/// What the receiver was told to do with the requests it gets.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The status of an ordinary answer.
    pub status: StatusCode,
    /// How long to wait before answering.
    pub delay: Duration,
    /// Every so many requests, one is failed with [`Behaviour::failure`].
    pub fail_every: Option<NonZeroU64>,
    /// Requests that are all failed, by their numbers: the receiver is down for a while.
    pub outage: Range<u64>,
    /// The status of a request that is failed on purpose.
    pub failure: StatusCode,
    /// Take requests and never answer them.
    pub stall: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            status: StatusCode::OK,
            delay: Duration::ZERO,
            fail_every: None,
            outage: 0..0,
            failure: StatusCode::INTERNAL_SERVER_ERROR,
            stall: false,
        }
    }
}

/// What one request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer with this status, after this delay.
    Answer {
        /// The answer's status.
        status: StatusCode,
        /// The wait before it.
        delay: Duration,
    },
    /// Nothing, until the sender goes away.
    Stall,
}

impl Behaviour {
    /// The reply to the `number`-th request, counted from 1.
    pub fn reply(&self, number: u64) -> Reply {
        if self.stall {
            return Reply::Stall;
        }
        let failed =
            self.outage.contains(&number) || self.fail_every.is_some_and(|every| number.is_multiple_of(every.get()));
        Reply::Answer { status: if failed { self.failure } else { self.status }, delay: self.delay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(behaviour: &Behaviour) -> Vec<u16> {
        let status = |number| match behaviour.reply(number) {
            Reply::Answer { status, .. } => status.as_u16(),
            Reply::Stall => 0,
        };
        (1..=6).map(status).collect()
    }

    #[test]
    fn fails_every_third() {
        let behaviour = Behaviour { fail_every: NonZeroU64::new(3), ..Behaviour::default() };
        assert_eq!(statuses(&behaviour), [200, 200, 500, 200, 200, 500]);
    }

    #[test]
    fn fails_all_of_an_outage() {
        let behaviour = Behaviour { outage: 2..4, failure: StatusCode::BAD_GATEWAY, ..Behaviour::default() };
        assert_eq!(statuses(&behaviour), [200, 502, 502, 200, 200, 200]);
    }

    #[test]
    fn a_stalled_receiver_answers_nothing() {
        assert_eq!(Behaviour { stall: true, ..Behaviour::default() }.reply(1), Reply::Stall);
    }
}
