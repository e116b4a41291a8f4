//! Slows down whoever tries keys: how many wrong ones each caller tried, in memory of a fixed size.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use fanfare_engine::allowance::{Allowance, Taken};
use fanfare_engine::caller::Caller;
use fanfare_engine::time::Timestamp;

use crate::catalogue::api_keys;

/// How many wrong keys one caller may try: twenty at once, then twenty a minute.
pub const WRONG_KEYS: Allowance = Allowance { at_once: 20, one_more: Duration::from_secs(3) };
/// How long a key that was right may be shown again by the same caller, whatever others try there.
const TRUSTED_FOR: Duration = Duration::from_secs(3_600);
/// How many callers are told apart, about; those with the same place share what they may try. A place takes 24 bytes.
const PLACES: usize = 8_192;

/// See the module.
pub struct Guesses {
    places: Box<[Place]>,
    /// Seeded by chance, so that nobody can choose whose place to share.
    hasher: RandomState,
}

#[derive(Default)]
struct Place {
    /// [`Taken`], in milliseconds.
    wrong: AtomicI64,
    /// When a thought-up key of somebody here was right, in milliseconds.
    right: AtomicI64,
    /// The hash of that key.
    right_key: AtomicU64,
}

impl Default for Guesses {
    fn default() -> Self {
        Guesses { places: (0..PLACES).map(|_| Place::default()).collect(), hasher: RandomState::new() }
    }
}

impl Guesses {
    /// Whether a key may be looked at. A right one must not be refused because of what others at the same address try, behind the
    /// same proxy for example. So keys that nobody can guess, which are all that Fanfare makes, are always looked at; and so is
    /// one that was right here within the last hour. What is left are keys that an operator thought up, from where they
    /// were not right lately.
    pub fn may_try(&self, caller: Caller, key: &str, now: Timestamp) -> bool {
        api_keys::is_made(key) || self.was_right(caller, key, now) || {
            WRONG_KEYS.take(self.place(caller).taken(), now).is_some()
        }
    }

    fn was_right(&self, caller: Caller, key: &str, now: Timestamp) -> bool {
        let place = self.place(caller);
        let right = Timestamp(place.right.load(Ordering::Relaxed));
        let recently = right != Timestamp::default() && now.since(right) < TRUSTED_FOR;
        recently && place.right_key.load(Ordering::Relaxed) == self.hasher.hash_one(key)
    }

    /// Notes that a key was right.
    pub fn right(&self, caller: Caller, key: &str, now: Timestamp) {
        if api_keys::is_made(key) {
            return;
        }
        let place = self.place(caller);
        place.right_key.store(self.hasher.hash_one(key), Ordering::Relaxed);
        place.right.store(now.millis(), Ordering::Relaxed);
    }

    /// Counts a wrong key. `false` where there were too many.
    pub fn wrong(&self, caller: Caller, now: Timestamp) -> bool {
        let take = |taken| WRONG_KEYS.take(Taken(Timestamp(taken)), now).map(|Taken(at)| at.millis());
        self.place(caller).wrong.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn place(&self, caller: Caller) -> &Place {
        let hash = self.hasher.hash_one(caller);
        &self.places[(hash % PLACES as u64) as usize]
    }
}

impl Place {
    fn taken(&self) -> Taken {
        Taken(Timestamp(self.wrong.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn caller(text: &str) -> Caller {
        Caller::at(text.parse().unwrap())
    }

    /// Guesses after as many wrong keys as one caller may try, and the caller.
    fn tried() -> (Guesses, Caller) {
        let (guesses, caller) = (Guesses::default(), caller("192.0.2.1"));
        (0..WRONG_KEYS.at_once).for_each(|_| assert!(guesses.wrong(caller, NOW)));
        assert!(!guesses.wrong(caller, NOW));
        (guesses, caller)
    }

    #[test]
    fn who_tried_too_many_keys_waits() {
        let (guesses, caller) = tried();
        assert!(!guesses.may_try(caller, "a-key-thought-up", NOW));
        let later = NOW.plus(WRONG_KEYS.one_more);
        assert!(guesses.may_try(caller, "a-key-thought-up", later) && guesses.wrong(caller, later));
        assert!(!guesses.may_try(caller, "a-key-thought-up", later) && !guesses.wrong(caller, later));
    }

    #[test]
    fn others_do_not() {
        let (guesses, _) = tried();
        let free = (0..20u8).filter(|last| guesses.may_try(caller(&format!("198.51.100.{last}")), "a", NOW)).count();
        // Some may share the place by chance.
        assert!(free >= 18, "{free}");
    }

    #[test]
    fn right_keys_are_never_kept_out() {
        let (guesses, caller) = tried();
        assert!(guesses.may_try(caller, &api_keys::make_key(), NOW));
        guesses.right(caller, &api_keys::make_key(), NOW);
        assert!(!guesses.may_try(caller, "a-key-thought-up", NOW), "a right key vouches for itself alone");
        guesses.right(caller, "a-key-thought-up", NOW);
        assert!(guesses.may_try(caller, "a-key-thought-up", NOW));
        assert!(!guesses.may_try(caller, "another", NOW));
        assert!(!guesses.wrong(caller, NOW), "wrong keys are still refused as too many");
    }
}
