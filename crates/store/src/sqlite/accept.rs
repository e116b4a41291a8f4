//! Keeps an event and its deliveries, once.

use std::ops::Range;

use fanfare_engine::delivery::{State, Trigger};
use fanfare_engine::event;
use fanfare_engine::id::{DeliveryId, EventId};
use fanfare_engine::time::Timestamp;
use rusqlite::{Transaction, params};

use super::kept::{Kept, Statement};
use super::learn;
use super::rows;
use super::tally::Tally;
use crate::entity;
use crate::error::{StoreError, StoreResult};
use crate::queue::{Accept, Accepted, IDEMPOTENCY_LIFETIME, IdempotencyKey, Learn, NewDelivery};

/// The status that a repeated request for an event is answered with.
const ACCEPTED: i64 = 202;

pub(super) const FIND_OLD_KEY: &str = "SELECT 1 FROM event_keys WHERE organization_id = ?1 AND external_id = ?2";

/// Of values, not of a question that says whether to insert: SQLite would keep a copy of each page that such a statement
/// changes, in case it fails halfway.
pub(super) const INSERT_EVENT: &str =
    "INSERT INTO events (id, project_id, organization_id, type, external_id, fingerprint, occurred_at, entity, scope,
         ordering_key, deliveries, last_delivery_id, is_test, data, entity_data, hops)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
     ON CONFLICT (organization_id, external_id) WHERE external_id IS NOT NULL DO NOTHING";

pub(super) const INSERT_DELIVERY: &str =
    "INSERT INTO deliveries (id, event_id, project_id, organization_id, webhook_id, event_type, state, trigger,
         lease_node, epoch, claims, next_attempt_at, attempts, failures, ordering_key, one_shot, late)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, 0, 0, ?12, ?13, ?14)";

/// Keeps an event with all of its deliveries.
pub(super) fn accept(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    now: Timestamp,
    accept: &Accept,
    tally: &mut Tally,
) -> StoreResult<Accepted> {
    match keep_event(transaction, kept, now, accept, tally)? {
        Event::Kept { learnt } => {
            let held_back = keep_deliveries(transaction, kept, accept, 0..accept.deliveries.len())?;
            Ok(Accepted::New { held_back, learnt })
        }
        Event::Seen(seen) => Ok(seen),
    }
}

/// What came of keeping an event without its deliveries.
pub(super) enum Event {
    Kept {
        learnt: bool,
    },
    /// It was accepted before, or is refused.
    Seen(Accepted),
}

/// Keeps an event and all that goes with it but for its deliveries.
pub(super) fn keep_event(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    now: Timestamp,
    accept: &Accept,
    tally: &mut Tally,
) -> StoreResult<Event> {
    if let Some(key) = &accept.idempotency
        && let Some(answer) = kept_answer(transaction, now, key)?
    {
        return Ok(Event::Seen(answer));
    }
    let event = &*accept.event;
    let is_new = insert_event(kept, accept)?;
    let seen = if is_new { None } else { seen_before(transaction, accept)? };
    if let Some(key) = &accept.idempotency {
        match seen {
            None => keep_answer(transaction, now, key, event.id, accept.deliveries.len() as u64)?,
            Some(Accepted::Repeated { event, deliveries }) => {
                keep_answer(transaction, now, key, event, deliveries.into())?;
            }
            // What is refused leaves its key free.
            Some(_) => {}
        }
    }
    if let Some(seen) = seen {
        return Ok(Event::Seen(seen));
    }
    tally.event(now, (event.project, event.organization), accept.deliveries.len());
    let learnt = accept.learn != Learn::Nothing && learn::learn(transaction, now, event)?;
    Ok(Event::Kept { learnt })
}

/// Keeps some of the deliveries of an event that is kept. Answers those that wait for an earlier one of the same ordering key.
pub(super) fn keep_deliveries(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    accept: &Accept,
    which: Range<usize>,
) -> StoreResult<Vec<DeliveryId>> {
    let mut held_back = Vec::new();
    for delivery in &accept.deliveries[which] {
        if insert_delivery(transaction, &mut kept.insert_delivery, &accept.event, delivery, false)? {
            held_back.push(delivery.id);
        }
    }
    Ok(held_back)
}

/// The answer under the request's key, while it lasts.
fn kept_answer(transaction: &Transaction<'_>, now: Timestamp, key: &IdempotencyKey) -> StoreResult<Option<Accepted>> {
    let lifetime = i64::try_from(IDEMPOTENCY_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    let kept: Option<([u8; 16], Vec<u8>)> = rows::first(
        transaction,
        "SELECT fingerprint, answer FROM idempotency
         WHERE scope = ?1 AND key = ?2 AND answer IS NOT NULL AND created_at >= ?3",
        (&key.scope, &key.key, now.0.saturating_sub(lifetime)),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    match kept {
        Some((fingerprint, _)) if fingerprint != key.fingerprint => Ok(Some(Accepted::OtherRequest)),
        Some((_, answer)) => decode_answer(&answer).map(Some),
        None => Ok(None),
    }
}

/// What was accepted under the host's id for the event.
fn seen_before(transaction: &Transaction<'_>, accept: &Accept) -> StoreResult<Option<Accepted>> {
    let event = &accept.event;
    let kept: Option<(i64, [u8; 16], u32)> = rows::first(
        transaction,
        "SELECT id, fingerprint, deliveries FROM events WHERE organization_id = ?1 AND external_id = ?2
         UNION ALL SELECT event_id, fingerprint, deliveries FROM event_keys WHERE organization_id = ?1 AND external_id = ?2
         LIMIT 1",
        (event.organization.0, &event.external_id),
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    Ok(kept.map(|(id, fingerprint, deliveries)| {
        if fingerprint == accept.fingerprint {
            Accepted::Repeated { event: EventId(id), deliveries }
        } else {
            Accepted::OtherContent { event: EventId(id) }
        }
    }))
}

fn keep_answer(
    transaction: &Transaction<'_>,
    now: Timestamp,
    key: &IdempotencyKey,
    event: EventId,
    deliveries: u64,
) -> StoreResult<()> {
    let mut answer = event.0.to_be_bytes().to_vec();
    answer.extend_from_slice(&u32::try_from(deliveries).unwrap_or(u32::MAX).to_be_bytes());
    rows::execute(
        transaction,
        "INSERT INTO idempotency (scope, key, fingerprint, node_id, status, answer, created_at)
         VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)
         ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, node_id = 0, status = excluded.status,
             answer = excluded.answer, created_at = excluded.created_at",
        params![key.scope, key.key, key.fingerprint, ACCEPTED, answer, now.0],
    )?;
    Ok(())
}

fn decode_answer(answer: &[u8]) -> StoreResult<Accepted> {
    let (event, deliveries) =
        answer.split_first_chunk::<8>().ok_or_else(|| StoreError::Damaged("a kept answer is cut short".to_owned()))?;
    let deliveries = <[u8; 4]>::try_from(deliveries).unwrap_or_default();
    Ok(Accepted::Repeated { event: EventId(i64::from_be_bytes(*event)), deliveries: u32::from_be_bytes(deliveries) })
}

/// Inserts an event, unless there is or was one by the host's id for it. Answers whether it did.
fn insert_event(kept: &mut Kept<'_>, accept: &Accept) -> StoreResult<bool> {
    let Accept { event, deliveries, .. } = accept;
    if let Some(external_id) = &event.external_id
        && kept.find_old_key.finds((event.organization.0, external_id))?
    {
        return Ok(false);
    }
    let entity = event.entity.as_ref().map(entity::write).transpose()?;
    let scope = if event.scope.is_empty() { None } else { Some(rows::json(&event.scope)?) };
    let entity_data = event.entity.as_ref().and_then(|entity| entity.data.as_deref());
    let fingerprint = event.external_id.as_ref().map(|_| accept.fingerprint);
    let last = deliveries.last().map_or(event.id.0, |delivery| delivery.id.0);
    let inserted = kept.insert_event.execute(params![
        event.id.0,
        event.project.0,
        event.organization.0,
        &*event.kind,
        event.external_id,
        fingerprint,
        event.occurred_at.0,
        entity,
        scope,
        event.ordering_key,
        deliveries.len() as i64,
        last,
        deliveries.iter().any(|delivery| delivery.trigger.is_test()),
        &*event.data,
        entity_data,
        event.hops
    ])?;
    Ok(inserted > 0)
}

/// Inserts one delivery. Answers whether it is held back by an earlier one of the same ordering key.
pub(super) fn insert_delivery(
    transaction: &Transaction<'_>,
    insert: &mut Statement<'_>,
    event: &event::Event,
    delivery: &NewDelivery,
    late: bool,
) -> StoreResult<bool> {
    let held_back = match &event.ordering_key {
        None => false,
        Some(key) => earlier_is_live(transaction, delivery, key)?,
    };
    let lease = if held_back { None } else { delivery.lease };
    let due = if held_back { Timestamp::NEVER } else { delivery.due };
    insert.execute(params![
        delivery.id.0,
        event.id.0,
        event.project.0,
        event.organization.0,
        delivery.webhook.0,
        &*event.kind,
        State::Pending as i64,
        delivery.trigger as i64,
        lease.map_or(0, |node| node.0),
        i64::from(lease.is_some()),
        due.0,
        event.ordering_key,
        delivery.trigger == Trigger::Test,
        late
    ])?;
    Ok(held_back)
}

fn earlier_is_live(transaction: &Transaction<'_>, delivery: &NewDelivery, key: &str) -> StoreResult<bool> {
    let earlier: Option<DeliveryId> = rows::first(
        transaction,
        "SELECT id FROM deliveries INDEXED BY deliveries_ordered
         WHERE state < 2 AND ordering_key IS NOT NULL AND webhook_id = ?1 AND ordering_key = ?2 LIMIT 1",
        (delivery.webhook.0, key),
        |row| Ok(DeliveryId(row.get(0)?)),
    )?;
    Ok(earlier.is_some())
}
