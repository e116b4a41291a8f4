//! What a run says at its end.

use std::fmt;

/// Figures of a run in which every invariant held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Things that happened.
    pub steps: u64,
    /// Virtual milliseconds until everything had come to rest.
    pub lasted_ms: i64,
    /// Events that the host was promised to have delivered.
    pub events: usize,
    pub deliveries: usize,
    /// Requests made.
    pub requests: usize,
    /// Requests of which nobody knows what came of them.
    pub unknown: u32,
    pub delivered: usize,
    pub exhausted: usize,
    pub skipped: usize,
    pub cancelled: usize,
    /// Times that the process was killed.
    pub crashes: u32,
    /// Outcomes of processes taken for dead that the store turned away.
    pub fenced: u32,
    /// Slot-milliseconds: requests under way, summed over the time in which the host posts.
    pub busy_ms: u64,
    /// Of quiet webhooks: milliseconds from acceptance to arrival that 99 of 100 deliveries stay below.
    pub neighbours_p99_ms: i64,
    /// Of events posted while others catch up: milliseconds until their answer that 99 of 100 stay below.
    pub acks_p99_ms: i64,
    /// A number that two runs share only if everything in them happened alike.
    pub digest: u64,
}

impl Report {
    /// Adds the figures of another run.
    pub fn add(&mut self, other: &Report) {
        self.steps += other.steps;
        self.lasted_ms += other.lasted_ms;
        self.events += other.events;
        self.deliveries += other.deliveries;
        self.requests += other.requests;
        self.unknown += other.unknown;
        self.delivered += other.delivered;
        self.exhausted += other.exhausted;
        self.skipped += other.skipped;
        self.cancelled += other.cancelled;
        self.crashes += other.crashes;
        self.fenced += other.fenced;
        self.busy_ms += other.busy_ms;
        self.neighbours_p99_ms = self.neighbours_p99_ms.max(other.neighbours_p99_ms);
        self.acks_p99_ms = self.acks_p99_ms.max(other.acks_p99_ms);
        self.digest ^= other.digest;
    }
}

/// An invariant that a run broke.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Give it to [`crate::run`] with the same plan to see the same again.
    pub seed: u64,
    /// Which invariant.
    pub rule: &'static str,
    /// What broke it.
    pub message: String,
    /// What had happened before, line by line.
    pub trace: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} broke “{}”: {}", self.seed, self.rule, self.message)?;
        f.write_str(&self.trace)
    }
}

impl std::error::Error for Violation {}
