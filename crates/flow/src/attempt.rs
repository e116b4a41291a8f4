//! Decides what follows an attempt, for the delivery and for its webhook.

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{Single, Trigger};
use fanfare_engine::health::{self, Health, HealthPolicy, Streak};
use fanfare_engine::retry::{self, Ended, RetryPolicy, Verdict};
use fanfare_engine::scheduler::Job;
use fanfare_engine::time::Timestamp;
use fanfare_store::queue::Next;

/// The policies of a webhook.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    pub retry: &'a RetryPolicy,
    pub health: &'a HealthPolicy,
}

/// What an attempt says about its webhook.
#[derive(Clone, Copy, Debug, Default)]
pub struct About {
    /// The request went to another URL than the webhook has now, because it was sent again as it was first sent. It says
    /// nothing about the webhook's receiver.
    pub elsewhere: bool,
    /// The webhook's failed attempts up to now. `None` if this attempt doesn't count.
    pub failures: Option<Streak>,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Where the delivery goes.
    pub next: Next,
    /// The reason to disable the webhook, if there is one.
    pub disable: Option<String>,
    /// The receiver can't keep up.
    pub trouble: bool,
    /// The receiver asked for no requests before this time.
    pub back_off: Option<Timestamp>,
}

/// Decides what follows an attempt of `job` that ended at `now`. `policies` is `None` if the webhook can't be sent to any more.
/// `chance` is random, from 0 to 1.
pub fn conclude(
    job: &Job,
    policies: Option<Policies<'_>>,
    ended: &Ended,
    about: &About,
    now: Timestamp,
    chance: f64,
) -> Conclusion {
    let trouble = !about.elsewhere && is_trouble(ended);
    let Some(Policies { retry, health }) = policies else {
        return Conclusion { next: single(job, Next::Exhausted), disable: None, trouble, back_off: None };
    };
    let (next, gone) = match retry::next(retry, job.failures + 1, ended, now, chance) {
        Verdict::Delivered => (Next::Delivered, false),
        Verdict::RetryAt(at) => (Next::RetryAt(at), false),
        Verdict::Exhausted => (Next::Exhausted, false),
        // A test, or a request to a former URL, doesn't disable the webhook.
        Verdict::DisableWebhook => (Next::Exhausted, !about.elsewhere && job.trigger != Trigger::Test),
    };
    let disable = match (gone, about.failures) {
        (true, _) => Some(health::GONE.to_owned()),
        (false, Some(failures)) => match health::judge(health, &failures) {
            Health::Stay => None,
            Health::Disable(reason) => Some(reason),
        },
        (false, None) => None,
    };
    let back_off = retry::back_off(retry, ended, now, chance).filter(|_| !about.elsewhere);
    Conclusion { next: single(job, next), disable, trouble, back_off }
}

/// Returns where a delivery goes. A single attempt has no successors, and what was delivered before stays delivered.
pub fn single(job: &Job, next: Next) -> Next {
    match (job.single, next) {
        (Single::No, next) => next,
        (Single::StaysDelivered, _) | (Single::Attempt, Next::Delivered) => Next::Delivered,
        (Single::Attempt, _) => Next::Exhausted,
    }
}

/// Whether the receiver can't keep up. What went wrong on this side says nothing about it.
fn is_trouble(ended: &Ended) -> bool {
    match ended.outcome {
        Outcome::Timeout | Outcome::Dns | Outcome::Connect | Outcome::Tls | Outcome::Reset | Outcome::Protocol => true,
        Outcome::Status => ended.status.is_some_and(|status| status == 429 || status >= 500),
        Outcome::Success | Outcome::Blocked | Outcome::Unknown | Outcome::Render => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::samples::{NOW, job};

    fn concluded(job: &Job, outcome: Outcome, status: Option<u16>, about: &About) -> Conclusion {
        let retry = RetryPolicy {
            delays: vec![Duration::from_secs(60)],
            jitter: 0.0,
            honour_retry_after: true,
            disable_on_410: true,
            stop_after_unknown: false,
        };
        let policies = Policies { retry: &retry, health: &HealthPolicy { after: None } };
        let ended = Ended { outcome, status, retry_after: Some(Duration::from_secs(10)) };
        conclude(job, Some(policies), &ended, about, NOW, 0.0)
    }

    #[test]
    fn a_failure_is_retried_until_the_schedule_ends() {
        let first = concluded(&job(), Outcome::Status, Some(500), &About::default());
        assert_eq!(first.next, Next::RetryAt(NOW.plus(Duration::from_secs(60))));
        let last = concluded(&Job { failures: 1, ..job() }, Outcome::Status, Some(500), &About::default());
        assert_eq!(last.next, Next::Exhausted);
        assert!(first.trouble && last.trouble);
    }

    #[test]
    fn a_single_attempt_is_not_retried() {
        for (single, outcome, next) in [
            (Single::Attempt, Outcome::Timeout, Next::Exhausted),
            (Single::Attempt, Outcome::Success, Next::Delivered),
            (Single::StaysDelivered, Outcome::Timeout, Next::Delivered),
        ] {
            assert_eq!(concluded(&Job { single, ..job() }, outcome, None, &About::default()).next, next);
        }
    }

    #[test]
    fn gone_disables_the_webhook_that_was_asked() {
        let gone = |job: &Job, elsewhere| {
            concluded(job, Outcome::Status, Some(410), &About { elsewhere, failures: None }).disable.is_some()
        };
        assert!(gone(&job(), false));
        assert!(!gone(&job(), true), "it was another receiver");
        assert!(!gone(&Job { trigger: Trigger::Test, ..job() }, false), "it was a test");
    }

    #[test]
    fn only_the_receivers_own_trouble_counts() {
        for outcome in [Outcome::Success, Outcome::Blocked, Outcome::Unknown, Outcome::Render] {
            assert!(!concluded(&job(), outcome, None, &About::default()).trouble, "{outcome:?}");
        }
        for status in [429, 500, 503] {
            assert!(concluded(&job(), Outcome::Status, Some(status), &About::default()).trouble, "{status}");
        }
        assert!(!concluded(&job(), Outcome::Status, Some(404), &About::default()).trouble);
        let elsewhere = About { elsewhere: true, failures: None };
        let busy = concluded(&job(), Outcome::Status, Some(429), &elsewhere);
        assert!(!busy.trouble && busy.back_off.is_none());
    }
}
