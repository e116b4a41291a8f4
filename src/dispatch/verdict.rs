//! What follows an attempt, for the delivery and for its webhook.

use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{Single, Trigger};
use fanfare_engine::health::{self, Health, Streak};
use fanfare_engine::retry::{self, Ended, Verdict};
use fanfare_engine::scheduler::Job;
use fanfare_engine::time::Timestamp;
use fanfare_store::queue::Next;

use crate::compiled::CompiledWebhook;

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
    /// Whether the request went elsewhere than the webhook's go now, as it was first sent. Then it says nothing about the
    /// webhook's receiver.
    pub(super) elsewhere: bool,
    /// The attempts of the webhook that failed up to now; `None` where this one does not count.
    pub(super) failures: Option<Streak>,
}

/// See the module.
pub(super) struct Conclusion {
    pub(super) next: Next,
    /// Why the webhook is to be switched off, if it is.
    pub(super) disable: Option<String>,
    /// Whether the receiver showed that it cannot keep up.
    pub(super) trouble: bool,
    /// Until when the receiver asked for no requests.
    pub(super) back_off: Option<Timestamp>,
}

/// `chance` is random, from 0 to 1.
pub(super) fn conclude(
    job: &Job,
    webhook: &CompiledWebhook,
    ending: &Ending,
    now: Timestamp,
    chance: f64,
) -> Conclusion {
    let trouble = !ending.elsewhere && is_trouble(ending);
    let Ok(sender) = webhook.sender() else {
        return Conclusion { next: single(job, Next::Exhausted), disable: None, trouble, back_off: None };
    };
    let ended = Ended { outcome: ending.outcome, status: ending.status, retry_after: ending.retry_after };
    let (next, disable) = match retry::next(&sender.retry, job.failures + 1, &ended, now, chance) {
        Verdict::Delivered => (Next::Delivered, None),
        Verdict::RetryAt(at) => (Next::RetryAt(at), None),
        Verdict::Exhausted => (Next::Exhausted, None),
        // What is gone is another receiver, or was only tried out.
        Verdict::DisableWebhook if ending.elsewhere || job.trigger == Trigger::Test => (Next::Exhausted, None),
        Verdict::DisableWebhook => (Next::Exhausted, Some(health::GONE.to_owned())),
    };
    let disable = disable.or_else(|| match health::judge(&sender.health, &ending.failures?) {
        Health::Stay => None,
        Health::Disable(reason) => Some(reason),
    });
    let back_off = retry::back_off(&sender.retry, &ended, now, chance).filter(|_| !ending.elsewhere);
    Conclusion { next: single(job, next), disable, trouble, back_off }
}

/// A single attempt is not followed by others, and what was delivered stays delivered.
pub(super) fn single(job: &Job, next: Next) -> Next {
    match (job.single, next) {
        (Single::No, next) => next,
        (Single::StaysDelivered, _) | (Single::Attempt, Next::Delivered) => Next::Delivered,
        (Single::Attempt, _) => Next::Exhausted,
    }
}

fn is_trouble(ending: &Ending) -> bool {
    match ending.outcome {
        Outcome::Timeout | Outcome::Dns | Outcome::Connect | Outcome::Tls | Outcome::Reset | Outcome::Protocol => true,
        Outcome::Status => ending.status.is_some_and(|status| status == 429 || status >= 500),
        Outcome::Success | Outcome::Blocked | Outcome::Unknown | Outcome::Render => false,
    }
}
