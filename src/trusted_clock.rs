//! The wall clock with the question whether it can be trusted, for what removes or disables things because of their age.

use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::clock_watch::{ClockWatch, Reading, Step};
use fanfare_engine::time::Timestamp;
use parking_lot::Mutex;

use crate::clock::Clock;

/// See the module, and [`ClockWatch`] for when a clock is trusted.
pub struct TrustedClock {
    clock: Arc<dyn Clock>,
    watched: Mutex<Watched>,
}

struct Watched {
    watch: ClockWatch,
    /// By how much the clock was set back, until what is due follows.
    back: Duration,
}

impl TrustedClock {
    /// Starts to watch a clock. `last_trusted` is the latest time that an earlier process trusted.
    pub fn start(clock: Arc<dyn Clock>, last_trusted: Option<Timestamp>) -> Self {
        let (watch, step) = ClockWatch::start(read(&*clock), last_trusted);
        let mut watched = Watched { watch, back: Duration::ZERO };
        watched.note(step);
        TrustedClock { clock, watched: Mutex::new(watched) }
    }

    /// The time, where it can be trusted.
    pub fn now(&self) -> Option<Timestamp> {
        let mut watched = self.watched.lock();
        // Under the lock, or one reading could overtake another and look like a step back.
        let reading = read(&*self.clock);
        let step = watched.watch.observe(reading);
        watched.note(step);
        watched.watch.is_trusted().then_some(reading.wall)
    }

    /// When the clock will be trusted again if it runs steadily; `None` where it is trusted now.
    pub fn trusted_at(&self) -> Option<Timestamp> {
        self.watched.lock().watch.trusted_at()
    }

    /// An operator says that the clock is right.
    pub fn confirm(&self) {
        self.watched.lock().watch.confirm();
    }

    /// By how much the clock was set back since this was asked last. Who asks has what is due follow.
    pub fn take_step_back(&self) -> Option<Duration> {
        let back = std::mem::take(&mut self.watched.lock().back);
        Some(back).filter(|back| !back.is_zero())
    }
}

impl Watched {
    fn note(&mut self, step: Option<Step>) {
        match step {
            Some(Step::Back(by)) => {
                tracing::warn!(?by, trusted = self.watch.is_trusted(), "the system's clock was set back");
                self.back += by;
            }
            Some(Step::Forward(by)) => {
                tracing::warn!(
                    ?by,
                    "the system's clock was set forward; nothing is pruned or disabled until it has been steady for an hour, or until it is confirmed"
                );
            }
            None => {}
        }
    }
}

fn read(clock: &dyn Clock) -> Reading {
    Reading { wall: clock.now(), passed: clock.passed() }
}
