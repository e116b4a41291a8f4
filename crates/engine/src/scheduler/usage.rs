//! How many slots a webhook or an organization has used lately: requests under way, averaged over some seconds.
//!
//! A sliding window of two halves, the one that is full and the one that is being filled, in whole slot-milliseconds: a few
//! numbers for each, the same on every machine, and forgotten after two spans.

use crate::time::Timestamp;

/// The time over which use is averaged, in milliseconds.
pub(super) const SPAN: u64 = 10_000;
/// Use below this many slot-milliseconds in a span is not worth remembering.
const NEGLIGIBLE: u64 = 250;

/// See the module.
#[derive(Debug)]
pub(super) struct Usage {
    in_flight: usize,
    /// Up to when it is counted.
    counted_to: Timestamp,
    /// Milliseconds since the current span began.
    elapsed: u64,
    /// Slot-milliseconds in the current span, and in the one before.
    current: u64,
    previous: u64,
    /// Requests that ended in the current span, and in the one before.
    ended: u64,
    ended_before: u64,
}

impl Usage {
    pub(super) fn new(now: Timestamp) -> Self {
        Usage { in_flight: 0, counted_to: now, elapsed: 0, current: 0, previous: 0, ended: 0, ended_before: 0 }
    }

    /// Requests under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn take(&mut self, now: Timestamp) {
        self.count(now);
        self.in_flight += 1;
    }

    pub(super) fn give_back(&mut self, now: Timestamp) {
        self.count(now);
        self.in_flight -= 1;
        self.ended += 1;
    }

    /// About how long its requests take, in milliseconds, those under way among them; at least.
    pub(super) fn takes(&mut self, now: Timestamp) -> u64 {
        let used = self.used(now);
        used / (self.ended + self.ended_before * (SPAN - self.elapsed) / SPAN).max(1)
    }

    /// Slot-milliseconds used within the last [`SPAN`].
    pub(super) fn used(&mut self, now: Timestamp) -> u64 {
        self.count(now);
        self.current + self.previous * (SPAN - self.elapsed) / SPAN
    }

    /// Whether nothing is under way, and was not for long.
    pub(super) fn is_negligible(&mut self, now: Timestamp) -> bool {
        self.in_flight == 0 && self.used(now) < NEGLIGIBLE
    }

    /// Counts the time since it was last counted. A clock that was set back counts nothing; one that was set forward, no more
    /// than two spans.
    fn count(&mut self, now: Timestamp) {
        let passed = u64::try_from(now.since(self.counted_to).as_millis()).unwrap_or(u64::MAX).min(2 * SPAN);
        self.counted_to = now;
        let in_flight = self.in_flight as u64;
        let mut left = passed;
        while left > 0 {
            let part = left.min(SPAN - self.elapsed);
            self.current += in_flight * part;
            self.elapsed += part;
            left -= part;
            if self.elapsed == SPAN {
                (self.previous, self.current, self.elapsed) = (self.current, 0, 0);
                (self.ended_before, self.ended) = (self.ended, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn use_is_averaged_and_forgotten() {
        let mut usage = Usage::new(Timestamp(0));
        (0..3).for_each(|_| usage.take(Timestamp(0)));
        assert_eq!(usage.used(Timestamp(2_000)), 3 * 2_000);
        assert_eq!(usage.used(Timestamp(60_000)), 3 * SPAN);
        (0..3).for_each(|_| usage.give_back(Timestamp(60_000)));
        assert_eq!(usage.used(Timestamp(65_000)), 3 * SPAN / 2);
        assert!(!usage.is_negligible(Timestamp(65_000)));
        assert!(usage.is_negligible(Timestamp(80_000)));
    }

    #[test]
    fn how_long_requests_take_is_known_soon_also_of_those_that_hang() {
        let mut usage = Usage::new(Timestamp(0));
        for start in (0..10_000).step_by(100) {
            usage.take(Timestamp(start));
            usage.give_back(Timestamp(start + 20));
        }
        assert_eq!(usage.takes(Timestamp(10_000)), 20);
        let mut hangs = Usage::new(Timestamp(0));
        hangs.take(Timestamp(0));
        assert_eq!(hangs.takes(Timestamp(4_000)), 4_000);
    }

    #[test]
    fn a_clock_that_is_set_counts_no_more_than_two_spans() {
        let mut usage = Usage::new(Timestamp(50_000));
        usage.take(Timestamp(50_000));
        assert_eq!(usage.used(Timestamp(0)), 0);
        assert_eq!(usage.used(Timestamp(i64::MAX)), SPAN);
    }

    proptest! {
        #[test]
        fn what_is_used_without_a_break_is_what_is_under_way(slots in 1usize..100, pauses in prop::collection::vec(0i64..7_000, 1..40)) {
            let (mut usage, mut now) = (Usage::new(Timestamp(0)), 0);
            (0..slots).for_each(|_| usage.take(Timestamp(0)));
            for pause in pauses {
                now += pause;
                let used = usage.used(Timestamp(now));
                prop_assert!(used <= slots as u64 * SPAN);
                prop_assert!(now < 2 * SPAN as i64 || used == slots as u64 * SPAN);
            }
        }
    }
}
