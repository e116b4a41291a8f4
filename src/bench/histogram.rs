//! A histogram of durations in microseconds, in buckets whose width grows with the value: within 1.6 % everywhere.

/// Each power of two is cut into this many buckets.
const SUB_BUCKETS: u64 = 64;
const SUB_BITS: u32 = SUB_BUCKETS.trailing_zeros();
/// Longer durations (12 days) are counted as this long.
const LONGEST: u64 = (1 << 40) - 1;
const BUCKETS: usize = ((40 - SUB_BITS as usize) + 1) * SUB_BUCKETS as usize;

/// Counts of durations in microseconds. About 18 KiB, however many are recorded.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; BUCKETS], total: 0, longest: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, micros: u64) {
        let micros = micros.min(LONGEST);
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.longest = self.longest.max(micros);
    }

    /// How many were recorded.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest, in microseconds, exactly; `None` where nothing was recorded.
    pub fn longest(&self) -> Option<u64> {
        (self.total > 0).then_some(self.longest)
    }

    /// The duration that `share` (0 to 1) of all do not exceed, in microseconds, rounded up to its bucket's end.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((share.clamp(0.0, 1.0) * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(bucket_end(at).min(self.longest));
            }
        }
        Some(self.longest)
    }
}

/// Values below 64 have a bucket each; above, the six bits after the leading one choose within its power of two.
fn bucket(micros: u64) -> usize {
    if micros < SUB_BUCKETS {
        return micros as usize;
    }
    let power = micros.ilog2() - SUB_BITS;
    let within = (micros >> power) - SUB_BUCKETS;
    ((u64::from(power) + 1) * SUB_BUCKETS + within) as usize
}

/// The largest value that falls into a bucket.
fn bucket_end(at: usize) -> u64 {
    let at = at as u64;
    if at < SUB_BUCKETS {
        return at;
    }
    let power = at / SUB_BUCKETS - 1;
    ((at % SUB_BUCKETS + SUB_BUCKETS + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_within_two_percent() {
        for value in (0..5000).chain([65_535, 65_536, 1_000_003, LONGEST - 1, LONGEST]) {
            let end = bucket_end(bucket(value));
            assert!(end >= value && (end - value) as f64 <= value as f64 / 60.0, "{value} ends at {end}");
            if value > 0 {
                assert!(bucket_end(bucket(value) - usize::from(bucket(value) > 0)) < value || bucket(value) == 0);
            }
        }
        assert_eq!(bucket(LONGEST), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_a_thousand() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.record(value));
        assert_eq!(histogram.quantile(0.001), Some(1));
        let median = histogram.quantile(0.5).unwrap();
        assert!((500..=508).contains(&median), "{median}");
        let high = histogram.quantile(0.99).unwrap();
        assert!((990..=1000).contains(&high), "{high}");
        assert_eq!(histogram.quantile(1.0), Some(1000));
        assert_eq!(histogram.longest(), Some(1000));
        assert_eq!(histogram.total(), 1000);
    }

    #[test]
    fn nothing_recorded_has_no_quantile_and_too_long_is_capped() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.longest()), (None, None));
        histogram.record(u64::MAX);
        assert_eq!(histogram.quantile(0.5), Some(LONGEST));
    }
}
