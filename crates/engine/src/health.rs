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

/// So many attempts in a row must have failed before a webhook counts as failing: fewer happen to receivers that are well.
pub const FAILING_AFTER: u32 = 5;
/// The part of the limit for which a single failed attempt can account, as a divisor. Time without attempts does not count
/// beyond it, so that it takes more than this many failures to switch a webhook off.
const GAP_PART: u32 = 10;
/// The longest for which a single failed attempt accounts.
const LONGEST_GAP: Duration = Duration::from_secs(12 * 3_600);

/// Attempts of a webhook that failed one after the other, without a success between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streak {
    failures: u32,
    /// When the first failed, and later by the time in which nothing was tried.
    since: Timestamp,
    last: Timestamp,
}

impl Streak {
    /// The first attempt fails.
    pub fn start(now: Timestamp) -> Self {
        Streak { failures: 1, since: now, last: now }
    }

    /// As it was noted: what [`Streak::failing_since`] and [`Streak::last`] said.
    pub fn noted(since: Timestamp, last: Timestamp) -> Self {
        Streak { failures: FAILING_AFTER, since, last: last.max(since) }
    }

    /// A further attempt fails.
    pub fn go_on(&mut self, policy: &HealthPolicy, now: Timestamp) {
        let counts = policy.after.map_or(LONGEST_GAP, |limit| (limit / GAP_PART).min(LONGEST_GAP));
        let idle = now.since(self.last).saturating_sub(counts);
        self.failures = self.failures.saturating_add(1);
        self.since = self.since.plus(idle);
        self.last = now;
    }

    /// Since when every attempt has failed, not counting time in which there were none; `None` while too few have failed to
    /// say so.
    pub fn failing_since(&self) -> Option<Timestamp> {
        (self.failures >= FAILING_AFTER).then_some(self.since)
    }

    /// When the last of them failed.
    pub fn last(&self) -> Timestamp {
        self.last
    }
}

/// Judges a webhook after a failed attempt.
pub fn judge(policy: &HealthPolicy, streak: &Streak) -> Health {
    let (Some(limit), Some(since)) = (policy.after, streak.failing_since()) else { return Health::Stay };
    if streak.last.since(since) < limit {
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

    const HOUR: u64 = 3_600;
    const FIVE_DAYS: HealthPolicy = HealthPolicy { after: Some(Duration::from_secs(120 * HOUR)) };

    fn at(hours: u64) -> Timestamp {
        Timestamp(0).plus(Duration::from_secs(hours * HOUR))
    }

    /// A streak of failures at these hours.
    fn failing(policy: &HealthPolicy, hours: impl IntoIterator<Item = u64>) -> Streak {
        let mut hours = hours.into_iter();
        let mut streak = Streak::start(at(hours.next().unwrap()));
        hours.for_each(|hour| streak.go_on(policy, at(hour)));
        streak
    }

    #[test]
    fn five_days_of_failure_switch_off() {
        assert_eq!(judge(&FIVE_DAYS, &failing(&FIVE_DAYS, 0..120)), Health::Stay);
        let Health::Disable(reason) = judge(&FIVE_DAYS, &failing(&FIVE_DAYS, 0..=120)) else { panic!("still on") };
        assert_eq!(reason, "Every attempt has failed for 5 days, since 1970-01-01T00:00:00.000Z.");
    }

    #[test]
    fn one_that_fails_now_and_then_is_not_failing() {
        assert_eq!(failing(&FIVE_DAYS, 0..4).failing_since(), None);
        assert_eq!(failing(&FIVE_DAYS, 0..5).failing_since(), Some(at(0)));
    }

    #[test]
    fn days_of_silence_between_two_failures_switch_nothing_off() {
        let silent = failing(&FIVE_DAYS, [0, 0, 0, 0, 0, 24 * 30]);
        assert_eq!(judge(&FIVE_DAYS, &silent), Health::Stay);
        assert_eq!(silent.failing_since(), Some(at(24 * 30 - 12)), "half a day counts for it");
        let hour = HealthPolicy { after: Some(Duration::from_secs(HOUR)) };
        assert_eq!(judge(&hour, &failing(&hour, (0..10).map(|day| day * 24))), Health::Stay);
        assert_ne!(judge(&hour, &failing(&hour, (0..11).map(|day| day * 24))), Health::Stay);
    }

    #[test]
    fn a_streak_that_was_noted_goes_on() {
        let streak = failing(&FIVE_DAYS, 0..100);
        let mut again = Streak::noted(streak.failing_since().unwrap(), streak.last());
        again.go_on(&FIVE_DAYS, at(100));
        assert_eq!(judge(&FIVE_DAYS, &again), Health::Stay);
        (101..=120).for_each(|hour| again.go_on(&FIVE_DAYS, at(hour)));
        assert_ne!(judge(&FIVE_DAYS, &again), Health::Stay);
    }

    #[test]
    fn without_a_limit_nothing_is_switched_off() {
        let policy = HealthPolicy { after: None };
        assert_eq!(judge(&policy, &failing(&policy, 0..9_000)), Health::Stay);
    }

    #[test]
    fn a_clock_that_stepped_back_switches_nothing_off() {
        let policy = HealthPolicy { after: Some(Duration::from_secs(60)) };
        assert_eq!(judge(&policy, &failing(&policy, [9, 9, 9, 9, 9, 0])), Health::Stay);
    }
}
