//! Randomness: the system's for secrets and identifiers, a cheap generator for spreading retries.

use std::cell::Cell;

/// Fills `out` with bytes that nobody can guess; for secrets, keys, nonces and public identifiers.
///
/// # Panics
/// Where the operating system refuses randomness, which it does not once it has booted: a server that cannot make
/// secrets must not go on with guessable ones.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system for randomness")]
pub fn fill(out: &mut [u8]) {
    if let Err(error) = getrandom::fill(out) {
        panic!("the operating system gave no randomness: {error}");
    }
}

/// `N` bytes that nobody can guess, as from [`fill`].
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill(&mut out);
    out
}

/// A number in `0.0..1.0`, evenly spread; to keep retries apart and for nothing that must not be guessed.
///
/// It costs some nanoseconds: each thread has its own generator, seeded from the system at its first use.
pub fn jitter() -> f64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(u64::from_ne_bytes(bytes()));
    }
    STATE.with(|state| {
        let (next, number) = split_mix(state.get());
        state.set(next);
        fraction(number)
    })
}

/// One step of SplitMix64: the state to keep and the number to give.
fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, mixed ^ (mixed >> 31))
}

/// The upper 53 bits, which a double holds exactly, as a fraction of one.
fn fraction(number: u64) -> f64 {
    const ONE: u64 = 1 << 53;
    (number >> 11) as f64 / ONE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_bytes_differ_from_call_to_call() {
        assert_ne!(bytes::<32>(), bytes::<32>());
    }

    #[test]
    fn the_generator_gives_the_published_sequence() {
        let (state, first) = split_mix(0);
        let (_, second) = split_mix(state);
        assert_eq!(first, 0xe220_a839_7b1d_cdaf);
        assert_eq!(second, 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn fractions_stay_below_one() {
        assert_eq!(fraction(0), 0.0);
        assert!(fraction(u64::MAX) < 1.0);
    }

    #[test]
    fn jitter_is_spread_over_the_whole_range() {
        let mut tenths = [0u32; 10];
        for _ in 0..10_000 {
            tenths[(jitter() * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|&count| (700..1_300).contains(&count)), "{tenths:?}");
    }

    #[test]
    fn threads_do_not_share_a_sequence() {
        let here = jitter();
        let there = std::thread::scope(|scope| scope.spawn(jitter).join().unwrap());
        assert_ne!(here.to_bits(), there.to_bits());
    }
}
