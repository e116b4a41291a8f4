//! How often a wrong key is looked at and noted: a few at once, then slowly. Right ones never wait.

use std::time::Duration;

use fanfare_engine::time::Timestamp;
use parking_lot::Mutex;

/// How many wrong keys may be tried at once.
const AT_ONCE: u32 = 10;
/// After how long one more may be tried.
const ONE_MORE: Duration = Duration::from_secs(6);

/// Counts wrong keys, of everybody together: whom a proxy brings all look alike.
pub(super) struct Tries(Mutex<State>);

struct State {
    left: u32,
    since: Timestamp,
}

impl Default for Tries {
    fn default() -> Self {
        Tries(Mutex::new(State { left: AT_ONCE, since: Timestamp::default() }))
    }
}

impl Tries {
    /// Counts a wrong key; false where there were too many of late.
    pub(super) fn another(&self, now: Timestamp) -> bool {
        let mut state = self.0.lock();
        refill(&mut state, now);
        let may = state.left > 0;
        state.left = state.left.saturating_sub(1);
        may
    }
}

fn refill(state: &mut State, now: Timestamp) {
    let passed = now.since(state.since).as_millis() / ONE_MORE.as_millis();
    // A clock that was set back starts anew, so that nobody waits for it to come to where it was.
    if passed > 0 || now < state.since {
        state.left = u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(state.left).min(AT_ONCE);
        state.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_keys_are_slowed_down() {
        let tries = Tries::default();
        let start = Timestamp(1_790_000_000_000);
        let at = |seconds: u64| start.plus(Duration::from_secs(seconds));
        (0..AT_ONCE).for_each(|_| assert!(tries.another(start)));
        assert!(!tries.another(start) && !tries.another(at(5)));
        assert!(tries.another(at(6)));
        assert!(!tries.another(at(7)));
        // A long time gives no more than at first.
        (0..AT_ONCE).for_each(|_| assert!(tries.another(at(100_000))));
        assert!(!tries.another(at(100_000)));
    }
}
