//! What waits for the writer: bounded for new work, never refused for outcomes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use fanfare_engine::id::OrganizationId;

use super::wide;
use crate::error::{StoreError, StoreResult};
use crate::queue::{Answer, Operation};

/// Called once on the writer's thread with what came of an operation; must not block.
pub(super) type Done = Box<dyn FnOnce(StoreResult<Answer>) + Send>;

/// An operation and whom to tell.
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) done: Done,
}

/// How many deliveries of events for many webhooks one organization may have waiting for the writer, beside the first event:
/// each takes some of the writer's time.
const WIDE_WAITING: usize = 50_000;

/// So many outcomes are company enough for each other.
const COMPANY: usize = 64;
/// How many outcomes a commit takes at least beside other entries.
const OUTCOMES_BESIDE_OTHERS: usize = 256;

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
    /// What can wait for company; see [`Waiting::is_turn_of_outcomes`].
    outcomes: VecDeque<Entry>,
    /// Whether the last commit left outcomes waiting.
    passed_over: bool,
    intake_bytes: usize,
    /// Deliveries of events for many webhooks, of each organization that has any waiting.
    wide: HashMap<OrganizationId, usize>,
    /// Whose event for many webhooks is being written, piece by piece.
    under_way: Option<OrganizationId>,
    /// What waits until that event is written.
    behind: VecDeque<Entry>,
    /// The organizations whose events are among that.
    behind_of: HashSet<OrganizationId>,
    closed: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.outcomes.is_empty()
    }

    fn len(&self) -> usize {
        self.entries.len() + self.outcomes.len() + self.behind.len()
    }

    /// Whether an operation waits until the event that is under way is written: it would see a part of it, it would overtake
    /// another event of its organization, or it is a further event for many webhooks.
    fn is_behind(&self, operation: &Operation) -> bool {
        let Some(under_way) = self.under_way else { return false };
        match operation {
            Operation::Accept(accept) => {
                let organization = accept.event.organization;
                organization == under_way || self.behind_of.contains(&organization) || wide::width(operation).is_some()
            }
            _ => operation.looks_at_whole_events(),
        }
    }

    /// Whether the next commit is to hold the outcomes that wait. Nobody waits for them as the sender of an event does for its
    /// answer, and many together take fewer pages and less time than few at a time.
    fn is_turn_of_outcomes(&self) -> bool {
        self.entries.is_empty() || self.outcomes.len() >= COMPANY || self.passed_over
    }

    /// Takes up to `limit` entries that need not wait, no further one once they write `rows` rows.
    fn take_entries(&mut self, limit: usize, rows: usize, into: &mut Vec<Entry>) {
        let mut sum = 0;
        while into.len() < limit && sum < rows {
            let Some(entry) = self.entries.pop_front() else { return };
            if self.is_behind(&entry.operation) {
                if let Operation::Accept(accept) = &entry.operation {
                    self.behind_of.insert(accept.event.organization);
                }
                self.behind.push_back(entry);
                continue;
            }
            match wide::width(&entry.operation) {
                Some((organization, _)) => {
                    self.under_way = Some(organization);
                    sum += wide::PIECE;
                }
                None => sum += entry.operation.rows(),
            }
            into.push(entry);
        }
    }
}

impl Waiting {
    /// How many outcomes a commit takes beside what else waits: as many as that writes rows, so that a burst of outcomes, as when
    /// many requests time out at once, doesn't delay new events by the time it takes to write them.
    fn beside(&self, limit: usize) -> usize {
        if self.entries.is_empty() {
            return limit;
        }
        OUTCOMES_BESIDE_OTHERS.max(self.entries.iter().take(limit).map(|entry| entry.operation.rows()).sum())
    }
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
            if waiting.len() >= self.bounds.operations || bytes > self.bounds.bytes {
                drop(waiting);
                return refuse(entry, "more waits to be written than it can hold");
            }
            if let Some((organization, deliveries)) = wide::width(&entry.operation) {
                let before = waiting.wide.get(&organization).copied().unwrap_or(0);
                if before > 0 && before + deliveries > WIDE_WAITING {
                    drop(waiting);
                    return refuse(entry, "as many deliveries of one organization wait to be written as may");
                }
                waiting.wide.insert(organization, before + deliveries);
            }
            waiting.intake_bytes = bytes;
        }
        let was_empty = waiting.is_empty();
        if entry.operation.looks_at_leases() {
            // What was over before it was asked for is to be over for it.
            let outcomes = std::mem::take(&mut waiting.outcomes);
            waiting.entries.extend(outcomes);
        }
        match entry.operation.can_wait() {
            true => waiting.outcomes.push_back(entry),
            false => waiting.entries.push_back(entry),
        }
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
            entries.into_iter().for_each(|entry| refuse(entry, "it is closing"));
            return;
        }
        for entry in entries.into_iter().rev() {
            waiting.entries.push_front(entry);
        }
        let until_closed = |waiting: &mut Waiting| !waiting.closed;
        drop(self.filled.wait_timeout_while(waiting, pause, until_closed));
    }

    /// As [`Inbox::take_within`], however long it takes.
    #[cfg(test)]
    pub(super) fn take(&self, limit: usize, rows: usize, into: &mut Vec<Entry>) -> Option<()> {
        self.take_within(None, limit, rows, into)
    }

    /// Waits for entries, for so long where `patience` says so, and takes up to `limit` of them, no further one once they write `rows` rows; `None` once closed and
    /// empty. Outcomes leave the rest half of that, so that new work goes on however many wait.
    ///
    /// An event for many webhooks that is taken is under way until [`Inbox::wide_is_written`]. Until then this does not wait for
    /// entries, and leaves those that must come after it.
    pub(super) fn take_within(
        &self,
        patience: Option<Duration>,
        limit: usize,
        rows: usize,
        into: &mut Vec<Entry>,
    ) -> Option<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.is_empty() && waiting.under_way.is_none() {
            if waiting.closed {
                return None;
            }
            let Some(patience) = patience else {
                waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (again, timeout) = self.filled.wait_timeout(waiting, patience).unwrap_or_else(PoisonError::into_inner);
            waiting = again;
            if timeout.timed_out() && !waiting.closed {
                break;
            }
        }
        let outcomes = match waiting.is_turn_of_outcomes() {
            true => waiting.outcomes.len().min(limit - waiting.entries.len().min(limit / 2)).min(waiting.beside(limit)),
            false => 0,
        };
        waiting.passed_over = outcomes == 0 && !waiting.outcomes.is_empty();
        waiting.take_entries(limit - outcomes, rows.saturating_sub(outcomes), into);
        let taken: usize = into.iter().filter(|e| e.operation.is_intake()).map(|e| e.operation.weight()).sum();
        waiting.intake_bytes = waiting.intake_bytes.saturating_sub(taken);
        for (organization, deliveries) in into.iter().filter_map(|entry| wide::width(&entry.operation)) {
            if let Some(left) = waiting.wide.get_mut(&organization) {
                *left = left.saturating_sub(deliveries);
                if *left == 0 {
                    waiting.wide.remove(&organization);
                }
            }
        }
        // After the rest: an event that comes with its outcome, as in a test, comes first.
        into.extend(waiting.outcomes.drain(..outcomes));
        Some(())
    }

    /// The event that was under way is written, or will not be: what waited for that goes before all others.
    pub(super) fn wide_is_written(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.under_way = None;
        waiting.behind_of.clear();
        let mut next = std::mem::take(&mut waiting.behind);
        next.append(&mut waiting.entries);
        waiting.entries = next;
    }

    /// How many entries wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
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

    /// Nobody writes any more: refuses everything from now on, and what waits as well.
    pub(super) fn abandon(&self) {
        let left = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *waiting, Waiting { closed: true, ..Waiting::default() })
        };
        left.entries
            .into_iter()
            .chain(left.behind)
            .chain(left.outcomes)
            .for_each(|entry| refuse(entry, "its writer has ended"));
    }
}

/// Refuses an operation. A panic in its callback must harm neither the writer nor other callers.
fn refuse(entry: Entry, why: &str) {
    let refused = Err(StoreError::Unavailable(why.to_owned()));
    drop(catch_unwind(AssertUnwindSafe(|| (entry.done)(refused))));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use fanfare_engine::delivery::{Single, Trigger};
    use fanfare_engine::event::Event;
    use fanfare_engine::id::{DeliveryId, EventId, NodeId, OrganizationId, ProjectId, WebhookId};
    use fanfare_engine::time::Timestamp;

    use super::super::wide::WIDE;
    use super::*;
    use crate::queue::{Accept, Finish, Held, Learn, Lease, NewDelivery, Next};

    fn event_for(webhooks: i64) -> Operation {
        event_of(1, webhooks)
    }

    fn outcome(ordering_key: Option<&str>) -> Operation {
        let held = Held {
            project: ProjectId(1),
            organization: OrganizationId(1),
            ordering_key: ordering_key.map(str::to_owned),
            attempts: 0,
            single: Single::No,
        };
        let lease = Lease { delivery: DeliveryId(1), node: NodeId(1), claim: 1 };
        let (attempt, next, report) = (None, Next::Delivered, None);
        Operation::Finish(Box::new(Finish { lease, webhook: WebhookId(1), held, attempt, next, report }))
    }

    fn push(inbox: &Inbox, operation: Operation) {
        inbox.push(Entry { operation, done: Box::new(|_| {}) });
    }

    /// How many events and how many outcomes the next commit holds.
    fn next_commit(inbox: &Inbox) -> (usize, usize) {
        let mut entries = Vec::new();
        inbox.take(100, 1_000, &mut entries).unwrap();
        let events = entries.iter().filter(|entry| entry.operation.is_intake()).count();
        (events, entries.len() - events)
    }

    #[test]
    fn a_burst_of_outcomes_leaves_commits_short_while_events_come() {
        let inbox = Inbox::new(Bounds { operations: 10_000, bytes: 1 << 20 });
        let outcomes_beside = |events: i64, webhooks: i64| {
            (0..600).for_each(|_| push(&inbox, outcome(None)));
            (0..events).for_each(|_| push(&inbox, event_for(webhooks)));
            let mut entries = Vec::new();
            inbox.take(1_000, 10_000, &mut entries).unwrap();
            let taken = entries.iter().filter(|entry| !entry.operation.is_intake()).count();
            while inbox.len() > 0 {
                inbox.take(1_000, 10_000, &mut entries).unwrap();
            }
            taken
        };
        assert_eq!(outcomes_beside(1, 1), OUTCOMES_BESIDE_OTHERS);
        assert_eq!(outcomes_beside(40, 9), 400, "as many as the events have rows");
        assert_eq!(outcomes_beside(0, 0), 600);
    }

    fn event_of(organization: i64, webhooks: i64) -> Operation {
        let event = Event {
            id: EventId(1),
            project: ProjectId(1),
            organization: OrganizationId(organization),
            kind: "t".into(),
            external_id: None,
            data: Bytes::from_static(b"{}"),
            entity: None,
            scope: Vec::new(),
            occurred_at: Timestamp(0),
            ordering_key: None,
            hops: 0,
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
    fn outcomes_wait_for_company_while_events_come() {
        let inbox = Inbox::new(Bounds { operations: 1_000, bytes: 1 << 20 });
        let mut commits = Vec::new();
        for _ in 0..6 {
            push(&inbox, event_for(1));
            push(&inbox, outcome(None));
            commits.push(next_commit(&inbox));
        }
        assert_eq!(commits, [(1, 0), (1, 2), (1, 0), (1, 2), (1, 0), (1, 2)]);
        push(&inbox, outcome(None));
        assert_eq!(next_commit(&inbox), (0, 1), "with nothing else to do, they go at once");
        push(&inbox, event_for(1));
        (0..COMPANY).for_each(|_| push(&inbox, outcome(None)));
        assert_eq!(next_commit(&inbox), (1, COMPANY), "they are enough");
        for _ in 0..100 {
            push(&inbox, event_for(1));
            push(&inbox, outcome(None));
        }
        assert_eq!(next_commit(&inbox), (50, 50), "half a commit where both are many");
        assert_eq!((next_commit(&inbox), next_commit(&inbox)), ((50, 0), (0, 50)));
    }

    #[test]
    fn who_sends_again_finds_the_outcomes_that_came_before() {
        let inbox = Inbox::new(Bounds { operations: 1_000, bytes: 1 << 20 });
        push(&inbox, event_for(1));
        push(&inbox, outcome(None));
        push(&inbox, Operation::Cancel { deliveries: Vec::new() });
        let mut entries = Vec::new();
        inbox.take(100, 1_000, &mut entries).unwrap();
        assert!(matches!(entries[1].operation, Operation::Finish(_)));
        assert!(matches!(entries[2].operation, Operation::Cancel { .. }));
    }

    #[test]
    fn an_outcome_that_others_wait_for_goes_at_once() {
        let inbox = Inbox::new(Bounds { operations: 1_000, bytes: 1 << 20 });
        push(&inbox, event_for(1));
        push(&inbox, outcome(Some("order")));
        push(&inbox, outcome(None));
        assert_eq!(next_commit(&inbox), (1, 1));
    }

    #[test]
    fn an_organization_has_only_so_much_waiting() {
        let inbox = Inbox::new(Bounds { operations: 1_000, bytes: 1 << 30 });
        let refused = |organization, webhooks| {
            let (sender, told) = std::sync::mpsc::sync_channel(1);
            let done = Box::new(move |answer: StoreResult<Answer>| sender.send(answer.is_err()).unwrap());
            inbox.push(Entry { operation: event_of(organization, webhooks), done });
            told.try_recv().unwrap_or(false)
        };
        let wide = WIDE_WAITING as i64;
        assert!(!refused(1, 2 * wide), "one gets through, however many webhooks it is for");
        assert!(refused(1, WIDE as i64 + 1) && !refused(1, WIDE as i64), "only what others notice is counted");
        assert!(!refused(2, wide / 2) && !refused(2, wide / 2) && refused(2, wide / 2));
        let mut entries = Vec::new();
        inbox.take(1, usize::MAX, &mut entries).unwrap();
        inbox.wide_is_written();
        assert!(!refused(1, wide));
        while inbox.len() > 0 {
            inbox.take(100, usize::MAX, &mut Vec::new()).unwrap();
            inbox.wide_is_written();
        }
        assert!(inbox.waiting.lock().unwrap().wide.is_empty());
    }

    #[test]
    fn case_072_events_for_many_webhooks_do_not_share_one_commit() {
        let inbox = Inbox::new(Bounds { operations: 100, bytes: 1 << 20 });
        for webhooks in [1, 500, 500, 2, 2] {
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

    #[test]
    fn what_would_see_a_part_of_an_event_waits_until_it_is_written() {
        let inbox = Inbox::new(Bounds { operations: 100, bytes: 1 << 30 });
        let wide = WIDE as i64 + 1;
        let take = || {
            let mut entries = Vec::new();
            inbox.take(100, usize::MAX, &mut entries).unwrap();
            entries.into_iter().map(|entry| entry.operation).collect::<Vec<_>>()
        };
        let rows = |operations: &[Operation]| operations.iter().map(Operation::rows).collect::<Vec<_>>();
        push(&inbox, event_of(1, wide));
        push(&inbox, event_of(1, 1));
        push(&inbox, event_of(2, wide));
        push(&inbox, Operation::Cancel { deliveries: Vec::new() });
        push(&inbox, event_of(2, 3));
        push(&inbox, Operation::Heartbeat { node: NodeId(1) });
        assert_eq!(rows(&take()), [WIDE + 2, 1]);
        assert!(rows(&take()).is_empty(), "the next piece of the event is all that there is to write");
        assert_eq!(inbox.len(), 4);
        push(&inbox, event_of(3, 4));
        inbox.wide_is_written();
        assert_eq!(rows(&take()), [2, WIDE + 2, 5]);
        inbox.wide_is_written();
        let last = take();
        assert!(matches!(last[0], Operation::Cancel { .. }), "{last:?}");
        assert_eq!(rows(&last[1..]), [4], "an event does not overtake another one of its organization");
    }
}
