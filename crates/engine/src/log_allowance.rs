//! How much of receivers' responses an organization may add to the log in a day.
//!
//! What a receiver answers is its own choice, and so is what it costs on the disk. Responses are logged whole until their
//! organization's day is used up; then those of successful attempts are logged without their bodies, and after the same
//! amount once more, those of failed ones, too.

use std::collections::HashMap;
use std::time::Duration;

use crate::attempt::Outcome;
use crate::id::OrganizationId;
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module. Days are those of UTC; a server that starts begins to count anew.
#[derive(Debug)]
pub struct LogAllowance {
    bytes_per_day: usize,
    day: i64,
    used: HashMap<OrganizationId, usize>,
}

impl LogAllowance {
    /// Nothing is used yet.
    pub fn new(bytes_per_day: usize) -> Self {
        LogAllowance { bytes_per_day, day: i64::MIN, used: HashMap::new() }
    }

    /// Whether a response of so many bytes may be logged whole, and counts it then. What is known of organizations lasts for a
    /// day, so that no more of them are known than got such responses in one.
    pub fn take(&mut self, now: Timestamp, organization: OrganizationId, outcome: Outcome, bytes: usize) -> bool {
        let day = now.millis().div_euclid(i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX));
        if day != self.day {
            self.day = day;
            self.used.clear();
        }
        let limit = match outcome {
            Outcome::Success => self.bytes_per_day,
            _ => self.bytes_per_day.saturating_mul(2),
        };
        let used = self.used.entry(organization).or_default();
        let fits = used.saturating_add(bytes) <= limit;
        *used += if fits { bytes } else { 0 };
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(12 * 60 * 60 * 1_000);
    const ORG: OrganizationId = OrganizationId(1);

    #[test]
    fn a_day_that_is_used_up_ends_at_midnight_and_is_one_organizations() {
        let mut allowance = LogAllowance::new(1_000);
        assert!(allowance.take(NOON, ORG, Outcome::Success, 600));
        assert!(!allowance.take(NOON, ORG, Outcome::Success, 401));
        assert!(allowance.take(NOON, ORG, Outcome::Success, 400), "what did not fit was not counted");
        assert!(allowance.take(NOON, OrganizationId(2), Outcome::Success, 1_000));
        assert!(!allowance.take(NOON.plus(DAY / 4), ORG, Outcome::Success, 1));
        assert!(allowance.take(NOON.plus(DAY / 2), ORG, Outcome::Success, 1));
        assert_eq!(allowance.used.len(), 1, "yesterday is forgotten");
    }

    #[test]
    fn failed_attempts_have_as_much_again() {
        let mut allowance = LogAllowance::new(1_000);
        assert!(allowance.take(NOON, ORG, Outcome::Success, 1_000));
        assert!(!allowance.take(NOON, ORG, Outcome::Success, 1));
        assert!(allowance.take(NOON, ORG, Outcome::Status, 1_000));
        assert!(!allowance.take(NOON, ORG, Outcome::Status, 1));
    }
}
