//! The store in virtual time: the real SQL in memory, behind a writer that gathers, takes its time, and may refuse.

use std::collections::VecDeque;

use fanfare_engine::id::{NodeId, WebhookId};
use fanfare_engine::scheduler::{Job, LaneConfig};
use fanfare_flow::intake::Placed;
use fanfare_flow::record::Recording;
use fanfare_store::StoreResult;
use fanfare_store::queue::{Lease, Operation};
use fanfare_store::sqlite::Core;

use crate::chance::Chance;

/// What the process does once an operation is answered.
#[derive(Debug)]
pub(crate) enum Then {
    /// Tell the scheduler of an event's deliveries, and answer the host's post.
    Accepted {
        post: usize,
        placed: Placed,
    },
    Finished(Recording),
    Claimed {
        webhook: WebhookId,
        config: LaneConfig,
    },
    Skipped {
        webhook: WebhookId,
    },
    Released {
        webhook: WebhookId,
        leases: Vec<Lease>,
    },
    Rescued {
        node: NodeId,
    },
    /// It is noted that a delivery is sent.
    Begun {
        job: Job,
    },
    /// Something of webhooks became due by somebody's wish.
    Freed,
}

/// An operation on its way to the disk.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) operation: Operation,
    pub(crate) then: Then,
}

/// The disk outlives every process; what waits for it does not.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) core: Core,
    pub(crate) waiting: VecDeque<Entry>,
    /// What the writer took and has not committed yet.
    pub(crate) writing: Vec<Entry>,
    /// Whether it refuses to write.
    pub(crate) refuses: bool,
    /// Whether nothing more may be handed to it: its process stops.
    pub(crate) closed: bool,
    pub(crate) pace: Pace,
}

/// How fast it writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Most operations of one commit.
    pub(crate) batch: usize,
    /// Whether some commits take long.
    pub(crate) stutters: bool,
    /// What each row takes beside, in microseconds.
    pub(crate) micros_per_row: i64,
}

impl Pace {
    /// Milliseconds that a commit of so many rows takes.
    pub(crate) fn commit(self, rows: i64, chance: &mut Chance) -> i64 {
        let stutters = self.stutters && chance.percent(3);
        rows * self.micros_per_row / 1_000 + if stutters { chance.between(100, 1_000) } else { chance.between(1, 8) }
    }
}

impl Disk {
    pub(crate) fn new(pace: Pace) -> StoreResult<Self> {
        Ok(Disk {
            core: Core::in_memory()?,
            waiting: VecDeque::new(),
            writing: Vec::new(),
            refuses: false,
            closed: false,
            pace,
        })
    }

    /// Whether nothing is on its way to it.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_empty()
    }

    /// About how many rows it is writing.
    pub(crate) fn rows(&self) -> i64 {
        let rows = |entry: &Entry| match &entry.operation {
            Operation::Accept(accept) => 1 + accept.deliveries.len() as i64,
            Operation::Claim(claim) => i64::from(claim.limit),
            Operation::Release(leases) => leases.len() as i64,
            _ => 1,
        };
        self.writing.iter().map(rows).sum()
    }

    /// Takes the next operations to be committed together.
    pub(crate) fn take_batch(&mut self) {
        let count = self.waiting.len().min(self.pace.batch);
        self.writing.extend(self.waiting.drain(..count));
    }
}
