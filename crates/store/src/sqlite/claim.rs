//! Leases: nodes join, take what is due, give it back, and take over from nodes that are no more.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{Single, SkipReason, State, Trigger};
use fanfare_engine::event::{Entity, Event};
use fanfare_engine::id::{DeliveryId, EventId, IdGenerator, MAX_NODES, NodeId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use rusqlite::{Transaction, params};

use super::core::Joined;
use super::finish;
use super::kept::{Kept, Statement};
use super::open::unavailable;
use super::rows;
use super::tally::{Ended, Tally};
use crate::entity;
use crate::error::{StoreError, StoreResult};
use crate::queue::{Claim, Claimed, ClaimedDelivery, Lease, LoggedAttempt, MAX_CLAIMS};

/// What the log says of an attempt that nobody lived to tell of.
const MAY_HAVE_BEEN_SENT: &str = "the server stopped before it recorded the outcome; the request may have been sent";

/// The same, where a backup was restored.
const MAY_HAVE_BEEN_SENT_SINCE_BACKUP: &str =
    "the database was restored from a backup; the request may have been sent after the backup was made";

/// No process has this number. The node that has it holds what was unfinished in a restored backup, until it is rescued.
const BACKUP_NODE: u16 = 0;

pub(super) fn join(transaction: &Transaction<'_>, now: Timestamp) -> StoreResult<Joined> {
    let others = rows::all(transaction, "SELECT id, number FROM nodes ORDER BY id", (), |row| {
        Ok((NodeId(row.get(0)?), row.get::<_, u16>(1)?))
    })?;
    // Numbers go round, so that two processes in a row do not share one even if the clock steps back between them.
    let number = others.last().map_or(1, |(_, number)| if number + 1 < MAX_NODES { number + 1 } else { 1 });
    let newest = others.iter().map(|(id, _)| id.0).max().unwrap_or(0);
    let id = IdGenerator::new(number).next(now).max(newest + 1);
    rows::execute(
        transaction,
        "INSERT INTO nodes (id, number, started_at, heartbeat_at) VALUES (?1, ?2, ?3, ?3)",
        (id, number, now.0),
    )?;
    let newest_id = rows::first(
        transaction,
        "SELECT max(coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(id) FROM deliveries), 0))",
        (),
        |row| row.get(0),
    )?;
    Ok(Joined {
        node: NodeId(id),
        number,
        newest_id: newest_id.unwrap_or(0),
        dead: others.into_iter().map(|(id, _)| id).collect(),
    })
}

pub(super) fn claim(
    transaction: &Transaction<'_>,
    now: Timestamp,
    wish: &Claim,
    catalogue_version: i64,
) -> StoreResult<Claimed> {
    let candidates = rows::all(
        transaction,
        "SELECT id, event_id, epoch, attempts, failures, trigger, one_shot, claims > 0
         FROM deliveries INDEXED BY deliveries_live
         WHERE state < 2 AND lease_node = 0 AND webhook_id = ?1 AND next_attempt_at <= ?2
         ORDER BY next_attempt_at, id LIMIT ?3",
        (wish.webhook.0, now.0, wish.limit),
        |row| {
            Ok((
                DeliveryId(row.get(0)?),
                EventId(row.get(1)?),
                row.get::<_, u32>(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get::<_, i64>(6)?,
                row.get::<_, bool>(7)?,
            ))
        },
    )?;
    let mut deliveries = Vec::with_capacity(candidates.len());
    let mut bytes = 0;
    for (id, event_id, epoch, attempts, failures, trigger, one_shot, may_have_been_sent) in candidates {
        if bytes >= wish.max_bytes {
            break;
        }
        let event = load_event(transaction, event_id).map_err(missing)?;
        let lease = Lease { delivery: id, node: wish.node, claim: epoch + 1 };
        rows::execute(
            transaction,
            "UPDATE deliveries SET lease_node = ?2, epoch = ?3 WHERE id = ?1",
            (id.0, wish.node.0, lease.claim),
        )?;
        bytes += event.weight();
        let trigger = Trigger::from_number(trigger).unwrap_or(Trigger::Schedule);
        let single = Single::from_number(one_shot);
        deliveries.push(ClaimedDelivery {
            lease,
            event: Arc::new(event),
            attempts,
            failures,
            trigger,
            single,
            may_have_been_sent,
        });
    }
    let next_due = next_due(transaction, wish.webhook)?;
    Ok(Claimed { deliveries, next_due, catalogue_version })
}

fn next_due(transaction: &Transaction<'_>, webhook: WebhookId) -> StoreResult<Option<Timestamp>> {
    let due = rows::first(
        transaction,
        "SELECT next_attempt_at FROM deliveries INDEXED BY deliveries_live
         WHERE state < 2 AND lease_node = 0 AND webhook_id = ?1 ORDER BY next_attempt_at LIMIT 1",
        [webhook.0],
        |row| Ok(Timestamp(row.get(0)?)),
    )?;
    Ok(due.filter(|due| *due != Timestamp::NEVER))
}

/// Reads an event whole; [`StoreError::Stale`] where it is gone.
pub(super) fn load_event(transaction: &Transaction<'_>, id: EventId) -> StoreResult<Event> {
    rows::first(
        transaction,
        "SELECT project_id, organization_id, type, external_id, occurred_at, entity, scope, ordering_key, data, entity_data,
             hops
         FROM events WHERE id = ?1",
        [id.0],
        |row| {
            Ok((
                Event {
                    id,
                    project: ProjectId(row.get(0)?),
                    organization: OrganizationId(row.get(1)?),
                    kind: row.get::<_, Arc<str>>(2)?,
                    external_id: row.get(3)?,
                    occurred_at: Timestamp(row.get(4)?),
                    entity: None,
                    scope: Vec::new(),
                    ordering_key: row.get(7)?,
                    data: Bytes::from(row.get::<_, Vec<u8>>(8)?),
                    hops: row.get(10)?,
                },
                row.get::<_, Option<String>>(5)?,
                row.get::<_, Option<String>>(6)?,
                row.get::<_, Option<Vec<u8>>>(9)?,
            ))
        },
    )?
    .ok_or(StoreError::Stale("event"))
    .and_then(|(event, entity, scope, entity_data)| complete(event, entity.as_deref(), scope.as_deref(), entity_data))
}

/// A delivery that is not final keeps its event; without it the database is not what was written.
fn missing(error: StoreError) -> StoreError {
    match error {
        StoreError::Stale(_) => StoreError::Damaged("the event of a delivery that waits is missing".to_owned()),
        other => other,
    }
}

fn complete(
    mut event: Event,
    entity: Option<&str>,
    scope: Option<&str>,
    entity_data: Option<Vec<u8>>,
) -> StoreResult<Event> {
    if let Some(text) = entity {
        event.entity = Some(Entity { data: entity_data.map(Bytes::from), ..entity::read(text)? });
    }
    if let Some(text) = scope {
        event.scope = entity::read_scope(text)?;
    }
    Ok(event)
}

/// Notes that a delivery which was taken back before is being sent. Others need no such note: their first lease counts.
pub(super) fn begin(transaction: &Transaction<'_>, lease: Lease) -> StoreResult<u64> {
    rows::execute(
        transaction,
        "UPDATE deliveries SET state = 1 WHERE id = ?1 AND lease_node = ?2 AND epoch = ?3",
        (lease.delivery.0, lease.node.0, lease.claim),
    )
}

/// Gives leases back.
pub(super) fn release(transaction: &Transaction<'_>, now: Timestamp, leases: &[Lease]) -> StoreResult<u64> {
    let mut released = 0;
    for lease in leases {
        released += rows::execute(
            transaction,
            "UPDATE deliveries SET state = 0, lease_node = 0, next_attempt_at = min(next_attempt_at, ?4)
             WHERE id = ?1 AND lease_node = ?2 AND epoch = ?3",
            (lease.delivery.0, lease.node.0, lease.claim, now.0),
        )?;
    }
    Ok(released)
}

/// Gives a lease back until a later moment.
pub(super) fn put_off(transaction: &Transaction<'_>, lease: Lease, until: Timestamp) -> StoreResult<u64> {
    rows::execute(
        transaction,
        "UPDATE deliveries SET state = 0, lease_node = 0, next_attempt_at = ?4
         WHERE id = ?1 AND lease_node = ?2 AND epoch = ?3",
        (lease.delivery.0, lease.node.0, lease.claim, until.0),
    )
}

/// Takes back some of what a dead node held. What it may have been sending says so in its log: all that was leased for the
/// first time, and of what was taken back before that which it noted to be sending; the rest only waited in its memory.
/// What a node died of too often is set aside, since the sender itself may be what fails on it. Removes the node's row once
/// it holds nothing.
pub(super) fn rescue(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    now: Timestamp,
    node: NodeId,
    limit: u32,
    tally: &mut Tally,
) -> StoreResult<Vec<(WebhookId, u32)>> {
    let held = rows::all(
        transaction,
        "SELECT id, webhook_id, claims, attempts, ordering_key, trigger, claims = 0 OR state = 1,
             project_id, organization_id FROM deliveries INDEXED BY deliveries_live
         WHERE state < 2 AND lease_node = ?1 LIMIT ?2",
        (node.0, limit),
        |row| {
            Ok((
                DeliveryId(row.get(0)?),
                WebhookId(row.get(1)?),
                row.get::<_, u32>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, Option<String>>(4)?,
                row.get::<_, i64>(5)?,
                row.get::<_, bool>(6)?,
                (ProjectId(row.get(7)?), OrganizationId(row.get(8)?)),
            ))
        },
    )?;
    let number =
        rows::first(transaction, "SELECT number FROM nodes WHERE id = ?1", [node.0], |row| row.get::<_, u16>(0))?;
    let from_backup = number == Some(BACKUP_NODE);
    let why = if from_backup { MAY_HAVE_BEEN_SENT_SINCE_BACKUP } else { MAY_HAVE_BEEN_SENT };
    let mut freed: Vec<(WebhookId, u32)> = Vec::new();
    for (id, webhook, claims, attempts, ordering_key, trigger, begun, owners) in held {
        if begun {
            let trigger = Trigger::from_number(trigger).unwrap_or(Trigger::Schedule);
            log_unknown(transaction, &mut kept.insert_attempt, now, why, id, attempts + 1, trigger)?;
            let ended = Ended { at: now, duration_ms: 0, outcome: Outcome::Unknown, response_code: None };
            tally.attempt(owners.0, owners.1, webhook, ended);
        }
        let poison = begun && claims + 1 >= MAX_CLAIMS;
        let (state, reason) =
            if poison { (State::Skipped, Some(SkipReason::Poison as i64)) } else { (State::Pending, None) };
        rows::execute(
            transaction,
            "UPDATE deliveries SET lease_node = 0, claims = claims + ?6, attempts = attempts + ?6,
                 next_attempt_at = CASE WHEN ?7 THEN max(next_attempt_at, ?5) ELSE ?5 END,
                 response_code = CASE WHEN ?6 THEN NULL ELSE response_code END,
                 state = CASE WHEN ?4 IS NOT NULL AND one_shot = 2 THEN 2 ELSE ?2 END,
                 skipped_reason = CASE WHEN one_shot = 2 THEN NULL ELSE ?3 END,
                 completed_at = CASE WHEN one_shot = 2 THEN completed_at ELSE ?4 END,
                 one_shot = CASE WHEN ?4 IS NULL THEN one_shot ELSE 0 END WHERE id = ?1",
            params![id.0, state as i64, reason, poison.then_some(now.0), now.0, begun, from_backup],
        )?;
        if let (true, Some(key)) = (poison, ordering_key) {
            finish::unblock(transaction, now, webhook, &key)?;
        }
        match freed.iter_mut().find(|(known, _)| *known == webhook) {
            Some((_, count)) => *count += 1,
            None => freed.push((webhook, 1)),
        }
    }
    if freed.is_empty() {
        rows::execute(transaction, "DELETE FROM nodes WHERE id = ?1", [node.0])?;
    }
    Ok(freed)
}

/// Hands every unfinished delivery of a restored backup to a node that no process is, so that the next start rescues it.
/// Retries keep their times.
pub(super) fn hand_to_backup_node(transaction: &Transaction<'_>) -> StoreResult<()> {
    let newest = rows::first(transaction, "SELECT coalesce(max(id), 0) FROM nodes", (), |row| row.get::<_, i64>(0))?;
    let node = newest.unwrap_or(0) + 1;
    rows::execute(
        transaction,
        "INSERT INTO nodes (id, number, started_at, heartbeat_at) VALUES (?1, ?2, 0, 0)",
        (node, BACKUP_NODE),
    )?;
    rows::execute(transaction, "UPDATE deliveries SET lease_node = ?1 WHERE state < 2", [node])?;
    Ok(())
}

/// Takes every lease in a restored backup away without a note, so that the deliveries are simply sent.
pub(super) fn forget_leases(transaction: &Transaction<'_>) -> StoreResult<()> {
    rows::execute(transaction, "UPDATE deliveries SET lease_node = 0, claims = 0, state = 0 WHERE state < 2", ())?;
    Ok(())
}

fn log_unknown(
    transaction: &Transaction<'_>,
    insert: &mut Statement<'_>,
    now: Timestamp,
    why: &str,
    delivery: DeliveryId,
    number: i64,
    trigger: Trigger,
) -> StoreResult<()> {
    let attempt = LoggedAttempt {
        id: fresh_attempt_id(transaction)?,
        at: now,
        duration_ms: 0,
        outcome: Outcome::Unknown,
        error: Some(why.to_owned()),
        note: None,
        trigger,
        request: None,
        response: None,
    };
    finish::insert_attempt(insert, delivery, number, &attempt)
}

/// An id that no attempt has yet, for rows that the store makes itself: below zero, where no generated id lies.
fn fresh_attempt_id(transaction: &Transaction<'_>) -> StoreResult<i64> {
    let mut statement =
        transaction.prepare_cached("SELECT min(coalesce(min(id), 0), 0) - 1 FROM attempts").map_err(unavailable)?;
    statement.query_row((), |row| row.get(0)).map_err(unavailable)
}

#[cfg(test)]
mod tests {
    use super::super::Core;
    use super::*;
    use crate::queue::{Accept, Learn, NewDelivery, Operation};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn who_joins_learns_the_newest_id() {
        let mut core = Core::in_memory().unwrap();
        assert_eq!(core.join(NOW).unwrap().newest_id, 0);
        let event = Event {
            id: EventId(70),
            project: ProjectId(1),
            organization: OrganizationId(1),
            kind: "t".into(),
            external_id: None,
            data: Bytes::from_static(b"{}"),
            entity: None,
            scope: Vec::new(),
            occurred_at: NOW,
            ordering_key: None,
            hops: 0,
        };
        let (id, webhook) = (DeliveryId(71), WebhookId(1));
        let delivery = NewDelivery { id, webhook, lease: None, due: NOW, trigger: Trigger::Schedule };
        let accept = Accept {
            event: Arc::new(event),
            fingerprint: [0; 16],
            idempotency: None,
            deliveries: vec![delivery],
            learn: Learn::Nothing,
        };
        assert!(core.apply(NOW, &[Operation::Accept(accept)])[0].is_ok());
        assert_eq!(core.join(NOW).unwrap().newest_id, 71);
    }
}
