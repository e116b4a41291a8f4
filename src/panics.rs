//! What becomes of a panic: it is counted and logged, and the parts that run as long as the server does are started again.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a part that panicked rests before it is started again. Doubled each time, up to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// A part that ran for longer than this before it panicked rests no longer than the first time.
const STEADY: Duration = Duration::from_secs(600);

/// Panics of this process since its start.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many panics there were since the process started.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Counts every panic from now on, then does what was done about panics before. To be called once or more often.
pub fn count_all() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            COUNT.fetch_add(1, Ordering::Relaxed);
            before(panic);
        }));
    });
}

/// Writes panics to the log, in its format, and no longer to standard error.
pub fn log_all() {
    std::panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let message = panic.payload_as_str().unwrap_or("a panic without a text");
    tracing::error!(at, thread = thread.name().unwrap_or_default(), message, "panic");
}

/// A part of the server that runs as long as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Wakes the scheduler when a delivery is due.
    Timer,
    /// Takes over what earlier processes held.
    Rescue,
    /// Says that this node is alive.
    Heartbeat,
    /// Follows the wall clock.
    Clock,
    /// Removes what is too old.
    Pruning,
    /// Does bulk work.
    Jobs,
}

impl Part {
    /// Its name in logs and in `/readyz`.
    pub fn name(self) -> &'static str {
        match self {
            Part::Timer => "timer",
            Part::Rescue => "rescue",
            Part::Heartbeat => "heartbeat",
            Part::Clock => "clock",
            Part::Pruning => "pruning",
            Part::Jobs => "jobs",
        }
    }
}

/// Knows which parts are down after a panic, and starts them again.
#[derive(Debug, Default)]
pub struct Supervisor {
    down: Mutex<BTreeSet<Part>>,
}

impl Supervisor {
    /// Runs a part until it returns. One that panics is started again after a rest, and counts as down until then.
    pub async fn run<F: Future<Output = ()>>(&self, part: Part, start: impl Fn() -> F) {
        let mut rest = FIRST_REST;
        loop {
            let begun = Instant::now();
            // What it shares with others is guarded by locks that a panic releases.
            if AssertUnwindSafe(async { start().await }).catch_unwind().await.is_ok() {
                return;
            }
            if begun.elapsed() > STEADY {
                rest = FIRST_REST;
            }
            tracing::error!(part = part.name(), ?rest, "a part of the server panicked and is started again");
            self.down.lock().insert(part);
            tokio::time::sleep(rest).await;
            self.down.lock().remove(&part);
            rest = LONGEST_REST.min(rest * 2);
        }
    }

    /// The parts that are down at this moment.
    pub fn down(&self) -> Vec<Part> {
        self.down.lock().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_panics_is_down_until_it_is_started_again() {
        let supervisor = Supervisor::default();
        let starts = Cell::new(0);
        let mut run = Box::pin(supervisor.run(Part::Pruning, async || {
            starts.set(starts.get() + 1);
            assert!(starts.get() > 3, "a fault of the part");
        }));
        // It rests for 1, 2 and 4 seconds.
        for (start, rest) in [(1, 1), (2, 2), (3, 4)] {
            assert!(futures_util::poll!(&mut run).is_pending());
            assert_eq!((starts.get(), supervisor.down()), (start, vec![Part::Pruning]));
            tokio::time::advance(Duration::from_secs(rest)).await;
        }
        run.await;
        assert_eq!((starts.get(), supervisor.down()), (4, vec![]));
    }

    #[test]
    fn every_panic_is_counted() {
        count_all();
        count_all();
        let before = count();
        let panicked = std::thread::scope(|scope| scope.spawn(|| panic!("counted")).join());
        assert!(panicked.is_err());
        assert!(count() > before);
    }
}
