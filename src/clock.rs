//! The wall clock: the system's, and one that a test sets.
//!
//! Nothing else reads the time of day. Durations (timeouts, how long an attempt took) are measured with
//! `tokio::time::Instant`, which never steps back and which tests can pause.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fanfare_engine::time::Timestamp;

/// Says what time it is.
pub trait Clock: Send + Sync {
    /// The present moment. It may be earlier than one that was given before, where the system's time was set back.
    fn now(&self) -> Timestamp;

    /// The time that has passed since some fixed moment. Setting the system's time does not change it.
    fn passed(&self) -> Duration;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        from_system_time(SystemTime::now())
    }

    fn passed(&self) -> Duration {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        #[expect(clippy::disallowed_methods, reason = "tests pass a clock of their own")]
        let now = Instant::now();
        now.saturating_duration_since(*FIRST.get_or_init(|| now))
    }
}

/// A system time in whole milliseconds, rounded towards the epoch.
fn from_system_time(moment: SystemTime) -> Timestamp {
    match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => Timestamp(whole_millis(after)),
        Err(before) => Timestamp(-whole_millis(before.duration())),
    }
}

fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A clock that stands still until it is set or advanced; for tests, from any thread.
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicI64,
    passed_millis: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        ManualClock { millis: AtomicI64::new(start.millis()), passed_millis: AtomicU64::new(0) }
    }

    /// Shows `moment` from now on, be it earlier or later, without any time having passed.
    pub fn set(&self, moment: Timestamp) {
        self.millis.store(moment.millis(), Ordering::SeqCst);
    }

    /// Moves on by `duration` and says what it shows then. Stops at [`Timestamp::NEVER`].
    pub fn advance(&self, duration: Duration) -> Timestamp {
        self.passed_millis.fetch_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        let moved = |millis| Some(Timestamp(millis).plus(duration).millis());
        let before = self.millis.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
        let (Ok(before) | Err(before)) = before;
        Timestamp(before).plus(duration)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.millis.load(Ordering::SeqCst))
    }

    fn passed(&self) -> Duration {
        Duration::from_millis(self.passed_millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_times_become_milliseconds_on_both_sides_of_the_epoch() {
        let after = UNIX_EPOCH + Duration::from_micros(1_500);
        let before = UNIX_EPOCH - Duration::from_micros(1_500);
        assert_eq!(from_system_time(after), Timestamp(1));
        assert_eq!(from_system_time(before), Timestamp(-1));
    }

    #[test]
    fn the_system_clock_shows_this_century() {
        let now = SystemClock.now();
        assert!(now > "2026-01-01T00:00:00Z".parse().unwrap(), "{now}");
        assert!(now < "2100-01-01T00:00:00Z".parse().unwrap(), "{now}");
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp(1_000));
        assert_eq!(clock.now(), Timestamp(1_000));
        assert_eq!(clock.advance(Duration::from_millis(250)), Timestamp(1_250));
        assert_eq!(clock.now(), Timestamp(1_250));
        clock.set(Timestamp(7));
        assert_eq!(clock.now(), Timestamp(7));
        clock.set(Timestamp::NEVER);
        assert_eq!(clock.advance(Duration::from_secs(1)), Timestamp::NEVER);
    }
}
