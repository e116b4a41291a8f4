//! What follows an attempt: delivered, again later, given up, or the webhook switched off.

mod retry_after;

use std::time::Duration;

pub use retry_after::{MAX_RETRY_AFTER, parse_retry_after};

use crate::attempt::Outcome;
use crate::time::Timestamp;

/// The share of what a receiver asks its webhook to wait that chance adds at most.
const BACK_OFF_JITTER: f64 = 0.1;

/// When failed deliveries of one webhook are tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// From one attempt's end to the next attempt; as many retries as there are delays.
    pub delays: Vec<Duration>,
    /// The share of each delay that chance adds at most, 0 to 1.
    pub jitter: f64,
    pub honour_retry_after: bool,
    /// Whether a delivery is given up when nobody knows whether it was sent.
    pub stop_after_unknown: bool,
    /// Whether 410 Gone switches the webhook off.
    pub disable_on_410: bool,
}

/// How one attempt ended, as far as it matters to what follows.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub outcome: Outcome,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// What the answer's Retry-After asked for; see [`parse_retry_after`].
    pub retry_after: Option<Duration>,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    RetryAt(Timestamp),
    /// Failed, and the schedule has no attempt left.
    Exhausted,
    /// Failed, and the webhook is to be switched off: its receiver is gone.
    DisableWebhook,
}

/// What follows attempt `number` (from 1, of those that the schedule counts), which ended at `now` as `ended` says. `chance` is
/// random, from 0 to 1.
pub fn next(policy: &RetryPolicy, number: u32, ended: &Ended, now: Timestamp, chance: f64) -> Verdict {
    match ended.outcome {
        Outcome::Success => return Verdict::Delivered,
        Outcome::Status if policy.disable_on_410 && ended.status == Some(410) => return Verdict::DisableWebhook,
        Outcome::Unknown if policy.stop_after_unknown => return Verdict::Exhausted,
        _ => {}
    }
    let index = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let Some(delay) = policy.delays.get(index) else { return Verdict::Exhausted };
    let scheduled = with_jitter(*delay, policy.jitter, chance);
    Verdict::RetryAt(now.plus(scheduled.max(asked_for(policy, ended))))
}

/// Until when the whole webhook gets nothing, where its receiver asked for that: with 429 or 503 and Retry-After, which its
/// policy honours. Chance adds up to a tenth, so that many webhooks of one receiver don't come back at the same moment.
/// `chance` is random, from 0 to 1. The scheduler caps it.
pub fn back_off(policy: &RetryPolicy, ended: &Ended, now: Timestamp, chance: f64) -> Option<Timestamp> {
    let wait = asked_for(policy, ended);
    (wait > Duration::ZERO).then(|| now.plus(with_jitter(wait, BACK_OFF_JITTER, chance)))
}

fn with_jitter(delay: Duration, jitter: f64, chance: f64) -> Duration {
    let share = jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
    if share.is_finite() { delay.mul_f64(1.0 + share) } else { delay }
}

/// The wait that the receiver asked for, where it may.
fn asked_for(policy: &RetryPolicy, ended: &Ended) -> Duration {
    match (ended.status, ended.retry_after) {
        (Some(429 | 503), Some(wait)) if policy.honour_retry_after => wait.min(MAX_RETRY_AFTER),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_asks_for_holds_its_webhook_a_little_longer() {
        let policy = RetryPolicy {
            delays: Vec::new(),
            jitter: 0.0,
            honour_retry_after: true,
            stop_after_unknown: false,
            disable_on_410: true,
        };
        let ended = |status, seconds| Ended {
            outcome: Outcome::Status,
            status: Some(status),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let until = |ended: &Ended, chance| back_off(&policy, ended, Timestamp(0), chance).map(Timestamp::millis);
        assert_eq!(until(&ended(429, 60), 0.0), Some(60_000));
        assert_eq!(until(&ended(503, 60), 1.0), Some(66_000));
        assert_eq!(until(&ended(429, 0), 1.0), None);
        assert_eq!(until(&ended(500, 60), 0.0), None, "only 429 and 503 say so");
        let deaf = RetryPolicy { honour_retry_after: false, ..policy.clone() };
        assert_eq!(back_off(&deaf, &ended(429, 60), Timestamp(0), 0.0), None);
    }
}
