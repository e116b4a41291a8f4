//! Events for many webhooks: written in pieces, each in a commit that others share, so that nobody waits for the whole.
//!
//! The first commit holds the event and a plan of all its deliveries. From then on the event is never lost in part: after a
//! crash the next start writes the missing deliveries. The sender gets its response after the last one. Operations that could
//! act on a part of the event wait, but lists may show it with only some of its deliveries until then.

use std::ops::Range;

use fanfare_engine::delivery::Trigger;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, WebhookId};
use fanfare_engine::time::Timestamp;
use rusqlite::Transaction;

use super::accept;
use super::claim;
use super::core::note_learnt;
use super::kept::Kept;
use super::rows;
use super::tally::Tally;
use crate::error::{StoreError, StoreResult};
use crate::queue::{Accept, Accepted, NewDelivery, Operation};

/// An event for more webhooks than this is written in pieces.
pub(super) const WIDE: usize = 512;
/// Deliveries of one piece: what takes a few milliseconds.
pub(super) const PIECE: usize = 256;
/// Bytes of one delivery in a plan.
const PLANNED: usize = 25;

/// Whose event for many webhooks an operation brings, and for how many.
pub(super) fn width(operation: &Operation) -> Option<(OrganizationId, usize)> {
    match operation {
        Operation::Accept(accept) if accept.deliveries.len() > WIDE => {
            Some((accept.event.organization, accept.deliveries.len()))
        }
        _ => None,
    }
}

/// How far the writing of an event has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether the event and the plan are on the disk.
    is_planned: bool,
    /// Deliveries that are on the disk.
    written: usize,
    held_back: Vec<DeliveryId>,
    learnt: bool,
}

/// What a piece comes to once it is committed.
#[derive(Debug)]
pub(super) enum Piece {
    /// There is more to write.
    More(Progress),
    /// This is what came of it.
    End(Accepted),
}

impl Progress {
    /// Whether it must go on, whatever happens: the event is on the disk, and its sender may already count on it.
    pub(super) fn is_begun(&self) -> bool {
        self.is_planned
    }

    /// Writes the next piece.
    pub(super) fn write(
        &self,
        transaction: &Transaction<'_>,
        kept: &mut Kept<'_>,
        now: Timestamp,
        accept: &Accept,
        version: &mut i64,
        tally: &mut Tally,
    ) -> StoreResult<Piece> {
        if !self.is_planned {
            return begin(transaction, kept, now, accept, version, tally);
        }
        let next = self.next(accept);
        let end = next.end;
        let mut held_back = self.held_back.clone();
        held_back.extend(accept::keep_deliveries(transaction, kept, accept, next)?);
        if end < accept.deliveries.len() {
            return Ok(Piece::More(Progress { is_planned: true, written: end, held_back, learnt: self.learnt }));
        }
        forget_plan(transaction, accept.event.id)?;
        Ok(Piece::End(Accepted::New { held_back, learnt: self.learnt }))
    }

    fn next(&self, accept: &Accept) -> Range<usize> {
        self.written..accept.deliveries.len().min(self.written + PIECE)
    }
}

fn begin(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    now: Timestamp,
    accept: &Accept,
    version: &mut i64,
    tally: &mut Tally,
) -> StoreResult<Piece> {
    match accept::keep_event(transaction, kept, now, accept, tally)? {
        accept::Event::Seen(seen) => Ok(Piece::End(seen)),
        accept::Event::Kept { learnt } => {
            note_learnt(transaction, accept, learnt, version)?;
            let plan: Vec<u8> = accept.deliveries.iter().flat_map(encode).collect();
            rows::execute(
                transaction,
                "INSERT INTO unfinished_events (event_id, deliveries) VALUES (?1, ?2)",
                (accept.event.id.0, plan),
            )?;
            Ok(Piece::More(Progress { is_planned: true, learnt, ..Progress::default() }))
        }
    }
}

fn forget_plan(transaction: &Transaction<'_>, event: EventId) -> StoreResult<()> {
    rows::execute(transaction, "DELETE FROM unfinished_events WHERE event_id = ?1", [event.0])?;
    Ok(())
}

fn encode(delivery: &NewDelivery) -> [u8; PLANNED] {
    let mut planned = [0; PLANNED];
    planned[..8].copy_from_slice(&delivery.id.0.to_be_bytes());
    planned[8..16].copy_from_slice(&delivery.webhook.0.to_be_bytes());
    planned[16..24].copy_from_slice(&delivery.due.0.to_be_bytes());
    planned[24] = u8::from(delivery.lease.is_some()) | (delivery.trigger as u8) << 1;
    planned
}

/// A planned delivery, and whether a node was to have it. It has none now.
fn decode(planned: &[u8; PLANNED]) -> StoreResult<(NewDelivery, bool)> {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&planned[at..at + 8]);
        i64::from_be_bytes(bytes)
    };
    let trigger = Trigger::from_number(i64::from(planned[24] >> 1))
        .ok_or_else(|| StoreError::Damaged("a planned delivery has an unknown trigger".to_owned()))?;
    let delivery = NewDelivery {
        id: DeliveryId(number(0)),
        webhook: WebhookId(number(8)),
        lease: None,
        due: Timestamp(number(16)),
        trigger,
    };
    Ok((delivery, planned[24] & 1 == 1))
}

/// Writes the missing deliveries of events that an earlier process did not finish. Their senders got no response, and nothing
/// of these events was sent, so deliveries leased to that process go back to waiting.
pub(super) fn finish_all(transaction: &Transaction<'_>, kept: &mut Kept<'_>) -> StoreResult<()> {
    let plans =
        rows::all(transaction, "SELECT event_id, deliveries FROM unfinished_events ORDER BY event_id", (), |row| {
            Ok((EventId(row.get(0)?), row.get::<_, Vec<u8>>(1)?))
        })?;
    for (id, plan) in plans {
        let event = match claim::load_event(transaction, id) {
            // There is nothing left to write for an event that was removed.
            Err(StoreError::Stale(_)) => {
                forget_plan(transaction, id)?;
                continue;
            }
            event => event?,
        };
        let written = rows::first(
            transaction,
            "SELECT coalesce(max(d.id), 0) FROM events e JOIN deliveries d
                 ON d.id > e.id AND d.id <= e.last_delivery_id AND d.event_id = e.id WHERE e.id = ?1",
            [id.0],
            |row| row.get::<_, i64>(0),
        )?;
        for planned in plan.as_chunks::<PLANNED>().0 {
            let (delivery, was_leased) = decode(planned)?;
            if delivery.id.0 > written.unwrap_or(0) {
                accept::insert_delivery(transaction, &mut kept.insert_delivery, &event, &delivery, false)?;
            } else if was_leased {
                rows::execute(
                    transaction,
                    "UPDATE deliveries SET lease_node = 0 WHERE id = ?1 AND state = 0 AND epoch = 1 AND claims = 0",
                    [delivery.id.0],
                )?;
            }
        }
        forget_plan(transaction, id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use bytes::Bytes;
    use fanfare_engine::delivery::State;
    use fanfare_engine::event::Event;
    use fanfare_engine::id::{NodeId, ProjectId};

    use super::super::{Core, Unfinished, restore};
    use super::*;
    use crate::log;
    use crate::query::Query;
    use crate::queue::{Learn, Prune, Which};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const MANY: i64 = 1_000;
    const EVENT: i64 = 5_000_000;

    /// An event for many webhooks, every other delivery of which this node has.
    fn accept(node: NodeId, ordering_key: Option<&str>) -> Accept {
        let event = Event {
            id: EventId(EVENT),
            project: ProjectId(1),
            organization: OrganizationId(1),
            kind: "t".into(),
            external_id: None,
            data: Bytes::from_static(b"{}"),
            entity: None,
            scope: Vec::new(),
            occurred_at: NOW,
            ordering_key: ordering_key.map(str::to_owned),
            hops: 0,
        };
        let delivery = |number| NewDelivery {
            id: DeliveryId(EVENT + number),
            webhook: WebhookId(number),
            lease: (number % 2 == 0).then_some(node),
            due: Timestamp(NOW.0 + number),
            trigger: Trigger::Schedule,
        };
        let deliveries = (1..=MANY).map(delivery).collect();
        let (event, learn) = (Arc::new(event), Learn::Nothing);
        Accept { event, fingerprint: [0; 16], idempotency: None, deliveries, learn }
    }

    /// Writes so many pieces of it, as a process does that is killed then.
    fn write_pieces(path: &Path, pieces: usize, ordering_key: Option<&str>) {
        let mut core = Core::open(path).unwrap();
        let node = core.join(NOW).unwrap().node;
        let accept = accept(node, ordering_key);
        let mut progress = Progress::default();
        for _ in 0..pieces {
            match core.apply_beside(NOW, &[], Some((&accept, &progress))).1.unwrap().unwrap() {
                Piece::More(more) => progress = more,
                Piece::End(end) => panic!("it is over: {end:?}"),
            }
        }
    }

    fn count(core: &Core, sql: &'static str) -> i64 {
        core.read(&Query { sql: sql.into(), arguments: Vec::new(), decode: |row| row.int(0) }).unwrap()[0]
    }

    #[test]
    fn the_next_start_writes_what_is_missing() {
        for pieces in 1..=4 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("fanfare.db");
            write_pieces(&path, pieces, None);
            let mut core = Core::open(&path).unwrap();
            assert_eq!(count(&core, "SELECT count(*) FROM deliveries"), (PIECE * (pieces - 1)) as i64);
            core.join(NOW).unwrap();
            assert_eq!(count(&core, "SELECT count(*) FROM unfinished_events"), 0);
            assert_eq!(count(&core, "SELECT count(*) FROM deliveries WHERE lease_node <> 0 OR state <> 0"), 0);
            for number in 1..=MANY {
                let row = core.read(&log::delivery(DeliveryId(EVENT + number))).unwrap().pop().expect("one is missing");
                assert_eq!((row.event, row.webhook), (EventId(EVENT), WebhookId(number)));
                assert_eq!(row.next_attempt_at, Some(Timestamp(NOW.0 + number)));
            }
        }
    }

    #[test]
    fn what_was_claimed_between_two_pieces_stays_with_its_node() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fanfare.db");
        write_pieces(&path, 2, None);
        let mut core = Core::open(&path).unwrap();
        let node = NodeId(count(&core, "SELECT max(id) FROM nodes"));
        let claim = |webhook| {
            Operation::Claim(crate::queue::Claim { webhook: WebhookId(webhook), node, limit: 1, max_bytes: usize::MAX })
        };
        // The first was written to wait in the store, so that somebody could claim it.
        assert!(core.apply(Timestamp(NOW.0 + MANY), &[claim(1)])[0].is_ok());
        core.join(NOW).unwrap();
        assert_eq!(count(&core, "SELECT count(*) FROM deliveries WHERE lease_node <> 0"), 1);
        assert_eq!(count(&core, "SELECT lease_node FROM deliveries WHERE webhook_id = 1"), node.0);
    }

    #[test]
    fn a_restored_event_is_whole_before_it_is_judged_what_was_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fanfare.db");
        write_pieces(&path, 3, None);
        let restored = tempfile::tempdir().unwrap();
        restore(&path, restored.path(), Unfinished::MayHaveBeenSent).unwrap();
        let mut core = Core::open(&restored.path().join("fanfare.db")).unwrap();
        core.join(NOW).unwrap();
        let held = "SELECT count(*) FROM deliveries WHERE lease_node = (SELECT lease_node FROM deliveries LIMIT 1) AND lease_node > 0";
        assert_eq!(count(&core, held), MANY, "each may have been sent");
    }

    #[test]
    fn an_event_that_is_not_whole_is_not_pruned() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fanfare.db");
        write_pieces(&path, 2, None);
        // All that is there of it is final.
        let end = format!("UPDATE deliveries SET state = {}, lease_node = 0", State::Cancelled as i64);
        rusqlite::Connection::open(&path).unwrap().execute(&end, ()).unwrap();
        let mut core = Core::open(&path).unwrap();
        let events = vec![EventId(EVENT)];
        let prune = |which| {
            let events = events.clone();
            Operation::Prune(Prune::Events { events, which, keys_before: NOW, rows: u32::MAX })
        };
        for which in [Which::Bare, Which::Final] {
            assert!(core.apply(NOW, &[prune(which)])[0].is_ok());
        }
        assert_eq!(count(&core, "SELECT count(*) FROM events"), 1);
        core.join(NOW).unwrap();
        assert_eq!(count(&core, "SELECT count(*) FROM deliveries"), MANY);
    }

    #[test]
    fn a_plan_without_its_event_is_dropped_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fanfare.db");
        write_pieces(&path, 1, None);
        rusqlite::Connection::open(&path).unwrap().execute("DELETE FROM events", ()).unwrap();
        let mut core = Core::open(&path).unwrap();
        core.join(NOW).unwrap();
        assert_eq!(count(&core, "SELECT count(*) FROM unfinished_events"), 0);
        assert_eq!(count(&core, "SELECT count(*) FROM deliveries"), 0);
    }

    #[test]
    fn an_event_that_was_not_begun_is_not_there() {
        let mut core = Core::in_memory().unwrap();
        let node = core.join(NOW).unwrap().node;
        let (first, second) = (accept(node, None), accept(node, None));
        let begin =
            |core: &mut Core, accept: &Accept| core.apply_beside(NOW, &[], Some((accept, &Progress::default()))).1;
        assert!(matches!(begin(&mut core, &first), Some(Ok(Piece::More(progress))) if progress.is_begun()));
        // Its id is there already, which is a mistake.
        assert!(matches!(begin(&mut core, &second), Some(Err(StoreError::Unavailable(_)))));
        assert_eq!(count(&core, "SELECT count(*) FROM events"), 1);
    }

    #[test]
    fn plans_are_read_as_they_were_written() {
        let accept = accept(NodeId(7), None);
        for delivery in &accept.deliveries {
            for trigger in [Trigger::Schedule, Trigger::Manual, Trigger::Test] {
                let delivery = NewDelivery { trigger, ..*delivery };
                let (read, was_leased) = decode(&encode(&delivery)).unwrap();
                assert_eq!(
                    (read.id, read.webhook, read.due, read.trigger),
                    (delivery.id, delivery.webhook, delivery.due, trigger)
                );
                assert_eq!((read.lease, was_leased), (None, delivery.lease.is_some()));
            }
        }
    }
}
