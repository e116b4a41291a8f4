//! What happened in one run: which events were acknowledged, which deliveries arrived, how late.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::histogram::Histogram;
use super::mark::Mark;

/// The most deliveries that one run can follow: one byte each.
pub const MAX_DELIVERIES: usize = 64 * 1024 * 1024;

/// The clock of the measuring process: microseconds since it was made.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Clock(Instant::now())
    }

    /// Microseconds since the start.
    pub fn micros(&self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

/// The record of one run; written by the load and the receiver, read at the end.
pub struct Ledger {
    /// The run's number, as in the marks.
    pub run: u32,
    /// How many webhooks each event goes to.
    pub fan_out: usize,
    acked: Vec<AtomicU8>,
    arrivals: Vec<AtomicU8>,
    acks: AtomicU64,
    last_ack: AtomicU64,
    arrived: AtomicU64,
    duplicates: AtomicU64,
    strays: AtomicU64,
    last_arrival: AtomicU64,
    /// At this many arrivals, `complete` is told.
    wanted: AtomicU64,
    complete: Notify,
    latency: Mutex<Histogram>,
    ack_latency: Mutex<Histogram>,
}

impl Ledger {
    /// A ledger for at most `events` events, each to `fan_out` webhooks.
    pub fn new(run: u32, events: usize, fan_out: usize) -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU8::new(0)).collect();
        Ledger {
            run,
            fan_out,
            acked: zeros(events),
            arrivals: zeros(events * fan_out),
            acks: AtomicU64::new(0),
            last_ack: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            strays: AtomicU64::new(0),
            last_arrival: AtomicU64::new(0),
            wanted: AtomicU64::new(u64::MAX),
            complete: Notify::new(),
            latency: Mutex::default(),
            ack_latency: Mutex::default(),
        }
    }

    /// How many events can be followed.
    pub fn capacity(&self) -> usize {
        self.acked.len()
    }

    /// The server acknowledged an event that was sent at `sent`.
    pub fn ack(&self, event: u32, sent: u64, now: u64) {
        self.acked[event as usize].store(1, Relaxed);
        self.acks.fetch_add(1, Relaxed);
        self.last_ack.fetch_max(now, Relaxed);
        self.ack_latency.lock().record(now.saturating_sub(sent));
    }

    /// A delivery came to the `webhook`-th webhook. Only the first of its kind counts for latency.
    pub fn arrive(&self, mark: Mark, webhook: usize, now: u64) {
        let cell = (mark.event as usize).checked_mul(self.fan_out).and_then(|at| self.arrivals.get(at + webhook));
        let Some(cell) = cell.filter(|_| mark.run == self.run && webhook < self.fan_out) else {
            self.strays.fetch_add(1, Relaxed);
            return;
        };
        if cell.fetch_add(1, Relaxed) > 0 {
            // The count stops before it could come round to zero.
            cell.fetch_min(2, Relaxed);
            self.duplicates.fetch_add(1, Relaxed);
            return;
        }
        self.latency.lock().record(now.saturating_sub(mark.sent));
        self.last_arrival.fetch_max(now, Relaxed);
        if self.arrived.fetch_add(1, Relaxed) + 1 >= self.wanted.load(Relaxed) {
            self.complete.notify_one();
        }
    }

    /// A request came that carries no mark, or another run's.
    pub fn stray(&self) {
        self.strays.fetch_add(1, Relaxed);
    }

    /// From now on [`Ledger::completed`] waits for every acknowledged event's deliveries. To be called after the load.
    pub fn expect_all(&self) {
        self.wanted.store(self.acks.load(Relaxed) * self.fan_out as u64, Relaxed);
    }

    /// Returns when deliveries may be complete; whether they are, [`Ledger::missing`] says.
    pub async fn completed(&self) {
        self.complete.notified().await;
    }

    /// Deliveries that arrived, each counted once.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Relaxed)
    }

    /// Deliveries of acknowledged events that have not arrived.
    pub fn missing(&self) -> u64 {
        let of_event = |(event, acked): (usize, &AtomicU8)| {
            let from = event * self.fan_out;
            let cells = &self.arrivals[from..from + self.fan_out];
            if acked.load(Relaxed) == 0 { 0 } else { cells.iter().filter(|cell| cell.load(Relaxed) == 0).count() }
        };
        self.acked.iter().enumerate().map(of_event).sum::<usize>() as u64
    }

    /// What the run came to.
    pub fn totals(&self) -> Totals {
        Totals {
            acks: self.acks.load(Relaxed),
            last_ack: self.last_ack.load(Relaxed),
            arrived: self.arrived(),
            last_arrival: self.last_arrival.load(Relaxed),
            lost: self.missing(),
            duplicates: self.duplicates.load(Relaxed),
            strays: self.strays.load(Relaxed),
            latency: self.latency.lock().clone(),
            ack_latency: self.ack_latency.lock().clone(),
        }
    }
}

/// The sums of a ledger. Times are microseconds on the measuring process's [`Clock`].
pub struct Totals {
    /// Acknowledged events.
    pub acks: u64,
    /// When the last was acknowledged.
    pub last_ack: u64,
    /// Deliveries that arrived, each counted once.
    pub arrived: u64,
    /// When the last arrived.
    pub last_arrival: u64,
    /// Deliveries of acknowledged events that never arrived.
    pub lost: u64,
    /// Arrivals beyond the first of the same delivery.
    pub duplicates: u64,
    /// Requests of no or another run.
    pub strays: u64,
    /// From sending an event to each arrival.
    pub latency: Histogram,
    /// From sending an event to its acknowledgement.
    pub ack_latency: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(run: u32, event: u32) -> Mark {
        Mark { run, event, sent: 100 }
    }

    #[test]
    fn tells_lost_twice_and_stray() {
        let ledger = Ledger::new(1, 3, 2);
        ledger.ack(0, 100, 150);
        ledger.ack(1, 100, 160);
        ledger.arrive(mark(1, 0), 0, 200);
        ledger.arrive(mark(1, 0), 1, 210);
        ledger.arrive(mark(1, 1), 1, 300);
        ledger.arrive(mark(1, 1), 1, 900);
        // Event 2 was never acknowledged: its arrival counts, its absence elsewhere is no loss.
        ledger.arrive(mark(1, 2), 0, 220);
        ledger.arrive(mark(2, 0), 0, 999);
        ledger.arrive(mark(1, 0), 2, 999);
        ledger.arrive(mark(1, 3), 0, 999);
        let totals = ledger.totals();
        assert_eq!((totals.acks, totals.last_ack), (2, 160));
        assert_eq!((totals.arrived, totals.lost, totals.duplicates, totals.strays), (4, 1, 1, 3));
        assert_eq!(totals.last_arrival, 300, "a repetition is not the end of the run");
        assert_eq!(totals.latency.longest(), Some(200));
        assert_eq!(totals.ack_latency.longest(), Some(60));
    }

    #[tokio::test]
    async fn says_when_all_may_have_come() {
        let ledger = Ledger::new(1, 2, 1);
        ledger.ack(0, 0, 1);
        ledger.ack(1, 0, 1);
        ledger.arrive(mark(1, 0), 0, 2);
        ledger.expect_all();
        let mut waiting = Box::pin(ledger.completed());
        assert!(futures_util::FutureExt::now_or_never(&mut waiting).is_none());
        ledger.arrive(mark(1, 1), 0, 3);
        waiting.await;
        assert_eq!(ledger.missing(), 0);
    }
}
