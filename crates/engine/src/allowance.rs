//! How often something may happen: several times at once, then one more after each while.

use std::time::Duration;

use crate::time::Timestamp;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many times at once. At least one.
    pub at_once: u32,
    /// After how long once more.
    pub one_more: Duration,
}

/// What was taken of an allowance: the moment at which all of it is there again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken(pub Timestamp);

impl Allowance {
    /// Returns what is taken after one more time; `None` where that is not allowed yet.
    pub fn take(self, taken: Taken, now: Timestamp) -> Option<Taken> {
        let all = self.one_more.saturating_mul(self.at_once);
        let missing = taken.0.since(now);
        // More than all of it can't be missing: the clock was set back, and nobody waits until it is where it was.
        let missing = if missing > all { Duration::ZERO } else { missing };
        (missing + self.one_more <= all).then(|| Taken(now.plus(missing + self.one_more)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN: Allowance = Allowance { at_once: 10, one_more: Duration::from_secs(6) };
    const START: Timestamp = Timestamp(1_790_000_000_000);

    /// How often it may happen at this moment.
    fn times(allowance: Allowance, mut taken: Taken, now: Timestamp) -> (u32, Taken) {
        let mut count = 0;
        while let Some(more) = allowance.take(taken, now) {
            (taken, count) = (more, count + 1);
        }
        (count, taken)
    }

    #[test]
    fn several_at_once_and_then_slowly() {
        let at = |seconds| START.plus(Duration::from_secs(seconds));
        let (count, taken) = times(TEN, Taken::default(), START);
        assert_eq!(count, 10);
        assert_eq!(TEN.take(taken, at(5)), None);
        let (count, taken) = times(TEN, taken, at(12));
        assert_eq!(count, 2);
        assert_eq!(times(TEN, taken, at(100_000)).0, 10);
    }

    #[test]
    fn nobody_waits_for_a_clock_that_was_set_back() {
        let (_, taken) = times(TEN, Taken::default(), START);
        assert_eq!(times(TEN, taken, START.minus(Duration::from_secs(3600))).0, 10);
    }

    proptest! {
        #[test]
        fn no_more_than_is_allowed(steps in prop::collection::vec(0u64..20_000, 1..200)) {
            let (mut now, mut taken, mut count) = (START, Taken::default(), 0u32);
            for step in steps {
                now = now.plus(Duration::from_millis(step));
                let (more, after) = times(TEN, taken, now);
                (taken, count) = (after, count + more);
            }
            let passed = now.since(START).as_millis() / TEN.one_more.as_millis();
            prop_assert!(u128::from(count) <= 10 + passed, "{} in {}", count, passed);
        }
    }
}
