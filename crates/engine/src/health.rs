//! When a webhook is switched off because its receiver does nothing but fail.

use std::time::Duration;

use crate::time::Timestamp;

/// What is tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// How long every attempt may fail; `None` for any time.
    pub after: Option<Duration>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Stay,
    /// Switch the webhook off, with this reason for people.
    Disable(String),
}

/// The reason for people where the receiver answered 410 Gone.
pub const GONE: &str = "The receiver answered 410 Gone.";

/// Judges a webhook whose attempts have all failed since `failing_since`; to be asked after a failed attempt.
pub fn judge(policy: &HealthPolicy, failing_since: Option<Timestamp>, now: Timestamp) -> Health {
    let (Some(limit), Some(since)) = (policy.after, failing_since) else { return Health::Stay };
    if now.since(since) < limit {
        return Health::Stay;
    }
    Health::Disable(format!("Every attempt has failed for {}, since {since}.", in_words(limit)))
}

fn in_words(limit: Duration) -> String {
    let minutes = limit.as_secs() / 60;
    match (minutes / (24 * 60), minutes % (24 * 60), minutes / 60, minutes % 60) {
        (days @ 2.., 0, ..) => format!("{days} days"),
        (_, _, hours @ 1.., 0) => format!("{hours} hours"),
        _ => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn five_days_of_failure_switch_off() {
        let policy = HealthPolicy { after: Some(Duration::from_secs(120 * 3_600)) };
        let since = Some(Timestamp(0));
        assert_eq!(judge(&policy, since, Timestamp(120 * HOUR_MS - 1)), Health::Stay);
        let Health::Disable(reason) = judge(&policy, since, Timestamp(120 * HOUR_MS)) else { panic!("still on") };
        assert_eq!(reason, "Every attempt has failed for 5 days, since 1970-01-01T00:00:00.000Z.");
        assert_eq!(judge(&policy, None, Timestamp(900 * HOUR_MS)), Health::Stay);
    }

    #[test]
    fn without_a_limit_nothing_is_switched_off() {
        assert_eq!(judge(&HealthPolicy { after: None }, Some(Timestamp(0)), Timestamp::NEVER), Health::Stay);
    }

    #[test]
    fn a_clock_that_stepped_back_switches_nothing_off() {
        let policy = HealthPolicy { after: Some(Duration::from_secs(60)) };
        assert_eq!(judge(&policy, Some(Timestamp(HOUR_MS)), Timestamp(0)), Health::Stay);
    }
}
