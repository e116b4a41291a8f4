//! Randomness from a seed: the same seed gives the same run on every machine.

/// A SplitMix64 generator: small, fast, and fixed for good, so that a seed in a report stays valid.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds start far apart.
        let mut chance = Chance { state: seed ^ 0x5851_F42D_4C95_7F2D };
        chance.state = chance.next().wrapping_mul(0xD134_2543_DE82_EF95);
        chance
    }

    /// An independent generator, for a part of the run whose draws must not depend on another part's.
    pub(crate) fn branch(&mut self) -> Self {
        Chance::new(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (high - low + 1).max(1) as u64;
        low + (self.next() % span) as i64
    }

    /// An index below `length`, which is at least 1.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        (self.next() % length.max(1) as u64) as usize
    }

    /// Whether something happens that happens `percent` times of a hundred.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.next() % 100 < u64::from(percent)
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_good() {
        let mut chance = Chance::new(1);
        let drawn = [chance.next(), chance.next()];
        assert_eq!(
            drawn,
            [Chance::new(1).next(), {
                let mut again = Chance::new(1);
                again.next();
                again.next()
            }]
        );
        assert_ne!(drawn[0], Chance::new(2).next());
    }

    #[test]
    fn bounds_are_kept() {
        let mut chance = Chance::new(7);
        for _ in 0..1_000 {
            assert!((-3..=3).contains(&chance.between(-3, 3)));
            assert!(chance.index(4) < 4);
            assert!((0.0..1.0).contains(&chance.share()));
        }
    }
}
