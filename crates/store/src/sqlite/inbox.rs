//! What waits for the writer: bounded for new work, never refused for outcomes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{StoreError, StoreResult};
use crate::queue::{Answer, Operation};

/// Called once on the writer's thread with what came of an operation; must not block.
pub(super) type Done = Box<dyn FnOnce(StoreResult<Answer>) + Send>;

/// An operation and whom to tell.
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) done: Done,
}

/// The limits of what may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) operations: usize,
    pub(super) bytes: usize,
}

/// The queue in front of the writer.
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    bounds: Bounds,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    intake_bytes: usize,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(bounds: Bounds) -> Self {
        Inbox { waiting: Mutex::default(), filled: Condvar::new(), bounds }
    }

    /// Adds an entry. New work is refused when too much waits or the store closes, and its sender told at once; the rest
    /// only once it is closed.
    pub(super) fn push(&self, entry: Entry) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            drop(waiting);
            return refuse(entry, "it is closing");
        }
        if entry.operation.is_intake() {
            let bytes = waiting.intake_bytes + entry.operation.weight();
            if waiting.entries.len() >= self.bounds.operations || bytes > self.bounds.bytes {
                drop(waiting);
                return refuse(entry, "more waits to be written than it can hold");
            }
            waiting.intake_bytes = bytes;
        }
        let was_empty = waiting.entries.is_empty();
        waiting.entries.push_back(entry);
        drop(waiting);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Puts back entries that could not be written and must be, before all others, and waits a moment or until the
    /// inbox closes. Once it is closed they are given up, and their senders told.
    pub(super) fn put_back(&self, entries: Vec<Entry>, pause: Duration) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            drop(waiting);
            for entry in entries {
                (entry.done)(Err(StoreError::Unavailable("it is closing".to_owned())));
            }
            return;
        }
        for entry in entries.into_iter().rev() {
            waiting.entries.push_front(entry);
        }
        let until_closed = |waiting: &mut Waiting| !waiting.closed;
        drop(self.filled.wait_timeout_while(waiting, pause, until_closed));
    }

    /// Waits for entries and takes up to `limit` of them, no further one once they write `rows` rows; `None` once closed and
    /// empty.
    pub(super) fn take(&self, limit: usize, rows: usize, into: &mut Vec<Entry>) -> Option<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.entries.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let mut sum = 0;
        let fits = |entry: &&Entry| {
            let fits = sum < rows;
            sum += entry.operation.rows();
            fits
        };
        let count = waiting.entries.iter().take(limit).take_while(fits).count();
        into.extend(waiting.entries.drain(..count));
        let taken: usize = into.iter().filter(|e| e.operation.is_intake()).map(|e| e.operation.weight()).sum();
        waiting.intake_bytes = waiting.intake_bytes.saturating_sub(taken);
        Some(())
    }

    /// How many entries wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    /// Whether everything is refused for good.
    pub(super) fn is_closed(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Refuses everything from now on; what waits is still written.
    pub(super) fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.filled.notify_all();
    }
}

fn refuse(entry: Entry, why: &str) {
    (entry.done)(Err(StoreError::Unavailable(why.to_owned())));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use fanfare_engine::delivery::Trigger;
    use fanfare_engine::event::Event;
    use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
    use fanfare_engine::time::Timestamp;

    use super::*;
    use crate::queue::{Accept, Learn, NewDelivery};

    fn event_for(webhooks: i64) -> Operation {
        let event = Event {
            id: EventId(1),
            project: ProjectId(1),
            organization: OrganizationId(1),
            kind: "t".into(),
            external_id: None,
            data: Bytes::from_static(b"{}"),
            entity: None,
            scope: Vec::new(),
            occurred_at: Timestamp(0),
            ordering_key: None,
        };
        let delivery = |id| NewDelivery {
            id: DeliveryId(id),
            webhook: WebhookId(id),
            lease: None,
            due: Timestamp(0),
            trigger: Trigger::Schedule,
        };
        let deliveries = (0..webhooks).map(delivery).collect();
        Operation::Accept(Accept {
            event: Arc::new(event),
            fingerprint: [0; 16],
            idempotency: None,
            deliveries,
            learn: Learn::Nothing,
        })
    }

    #[test]
    fn case_072_events_for_many_webhooks_do_not_share_one_commit() {
        let inbox = Inbox::new(Bounds { operations: 100, bytes: 1 << 20 });
        for webhooks in [1, 500, 700, 2, 2] {
            inbox.push(Entry { operation: event_for(webhooks), done: Box::new(|_| {}) });
        }
        let mut sizes = Vec::new();
        for _ in 0..2 {
            let mut entries = Vec::new();
            inbox.take(100, 1_000, &mut entries).unwrap();
            sizes.push(entries.len());
        }
        assert_eq!(sizes, [3, 2]);
        inbox.push(Entry { operation: event_for(5_000), done: Box::new(|_| {}) });
        let mut entries = Vec::new();
        inbox.take(100, 1_000, &mut entries).unwrap();
        assert_eq!(entries.len(), 1, "however many rows, one gets through");
    }
}
