//! Removes what is too old or too much, a small piece at a time, never what is still to be sent.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_engine::delivery::State;
use fanfare_engine::id::{DeliveryId, EventId, WebhookId, floor_at};
use fanfare_engine::time::Timestamp;
use rusqlite::Transaction;

use super::rows;
use crate::error::StoreResult;
use crate::queue::{Answer, Prune, Which};
use crate::stats::Span;

pub(super) fn prune(transaction: &Transaction<'_>, what: &Prune) -> StoreResult<Answer> {
    match *what {
        Prune::Events { ref events, which, keys_before, rows } => {
            remove_events(transaction, events, which, keys_before, rows)
        }
        Prune::Deliveries { ref deliveries, keys_before } => remove_deliveries(transaction, deliveries, keys_before),
        Prune::Removed { limit } => of_removed(transaction, limit),
        Prune::Keys {
            event_keys_before,
            idempotency_before,
            fine_stats_before,
            stats_before,
            sessions_before,
            limit,
        } => {
            let before = [event_keys_before, idempotency_before, fine_stats_before, stats_before, sessions_before];
            keys(transaction, before, limit)
        }
    }
}

/// A delivery as pruning looks at it.
struct Made {
    id: DeliveryId,
    webhook: WebhookId,
    is_live: bool,
    attempts: i64,
}

/// Removes those of the events that may go, until about `limit` rows are removed.
fn remove_events(
    transaction: &Transaction<'_>,
    events: &[EventId],
    which: Which,
    keys_before: Timestamp,
    limit: u32,
) -> StoreResult<Answer> {
    let mut removed: u32 = 0;
    let mut through = None;
    for event in events {
        if removed >= limit {
            return Ok(Answer::Pruned { removed: removed.into(), position: through });
        }
        let (rows, is_through) = remove_event(transaction, *event, which, keys_before, limit - removed)?;
        removed += rows;
        if !is_through {
            // The next piece goes on with this event.
            return Ok(Answer::Pruned { removed: removed.into(), position: Some(event.0 - 1) });
        }
        through = Some(event.0);
    }
    Ok(Answer::Pruned { removed: removed.into(), position: None })
}

/// Removes an event with its deliveries where it may go; of one with more than `room` deliveries so many of them. Answers how
/// many rows that were, and whether nothing is left to do.
fn remove_event(
    transaction: &Transaction<'_>,
    event: EventId,
    which: Which,
    keys_before: Timestamp,
    room: u32,
) -> StoreResult<(u32, bool)> {
    // One whose deliveries are not all written stays: the next start writes the rest.
    let sql = "SELECT last_delivery_id FROM events
         WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM unfinished_events WHERE event_id = ?1)";
    let Some(last) = rows::first(transaction, sql, [event.0], |row| row.get::<_, i64>(0))? else {
        return Ok((0, true));
    };
    let made = deliveries_of(transaction, event, last, room.saturating_add(1))?;
    let is_through = made.len() <= room as usize;
    let stays = match which {
        Which::Bare => !made.is_empty(),
        Which::Final => made.iter().any(|made| made.is_live) || (!is_through && has_live(transaction, event, last)?),
    };
    if stays {
        return Ok((0, true));
    }
    let mut removed = 0;
    for delivery in made.iter().take(room as usize) {
        if !is_through {
            // While the event is there, what it got must not be taken for missing.
            forget_up_to(transaction, delivery.webhook, event)?;
        }
        removed += remove_delivery(transaction, delivery)?;
    }
    if is_through {
        removed += remove_bare_event(transaction, event, keys_before)?;
    }
    Ok((removed, is_through))
}

/// Up to `limit` deliveries of an event.
fn deliveries_of(transaction: &Transaction<'_>, event: EventId, last: i64, limit: u32) -> StoreResult<Vec<Made>> {
    rows::all(
        transaction,
        "SELECT id, webhook_id, state, attempts FROM deliveries WHERE id > ?1 AND id <= ?2 AND event_id = ?1
         UNION ALL SELECT id, webhook_id, state, attempts FROM deliveries WHERE late = 1 AND event_id = ?1 LIMIT ?3",
        (event.0, last, limit),
        made,
    )
}

fn made(row: &rusqlite::Row<'_>) -> rusqlite::Result<Made> {
    Ok(Made {
        id: DeliveryId(row.get(0)?),
        webhook: WebhookId(row.get(1)?),
        is_live: row.get::<_, i64>(2)? < State::Delivered as i64,
        attempts: row.get(3)?,
    })
}

fn has_live(transaction: &Transaction<'_>, event: EventId, last: i64) -> StoreResult<bool> {
    let live = rows::first(
        transaction,
        "SELECT EXISTS (SELECT 1 FROM deliveries WHERE id > ?1 AND id <= ?2 AND event_id = ?1 AND state < 2)
             OR EXISTS (SELECT 1 FROM deliveries WHERE late = 1 AND event_id = ?1 AND state < 2)",
        (event.0, last),
        |row| row.get(0),
    )?;
    Ok(live.unwrap_or(false))
}

/// Removes an event that has no deliveries any more. The host's id for it stays known where it is not old.
fn remove_bare_event(transaction: &Transaction<'_>, event: EventId, keys_before: Timestamp) -> StoreResult<u32> {
    if event.0 >= floor_at(keys_before) {
        rows::execute(
            transaction,
            "INSERT INTO event_keys (organization_id, external_id, event_id, fingerprint, deliveries)
             SELECT organization_id, external_id, id, fingerprint, deliveries FROM events
             WHERE id = ?1 AND external_id IS NOT NULL",
            [event.0],
        )?;
    }
    rows::execute(transaction, "DELETE FROM events WHERE id = ?1", [event.0])?;
    Ok(1)
}

/// Notes that it is not known any more what a webhook got of events up to this one.
fn forget_up_to(transaction: &Transaction<'_>, webhook: WebhookId, event: EventId) -> StoreResult<()> {
    rows::execute(
        transaction,
        "UPDATE webhooks SET forgotten_to = ?2 WHERE id = ?1 AND forgotten_to < ?2",
        (webhook.0, event.0),
    )?;
    Ok(())
}

/// Removes a delivery with its attempts; answers how many rows that are about.
fn remove_delivery(transaction: &Transaction<'_>, delivery: &Made) -> StoreResult<u32> {
    let id = delivery.id.0;
    rows::execute(transaction, "DELETE FROM attempts WHERE id = ?1", [id])?;
    if delivery.attempts > 1 {
        rows::execute(transaction, "DELETE FROM attempts WHERE number > 1 AND delivery_id = ?1", [id])?;
    }
    rows::execute(transaction, "DELETE FROM deliveries WHERE id = ?1", [id])?;
    Ok(1 + u32::try_from(delivery.attempts).unwrap_or(u32::MAX))
}

/// Removes those of the deliveries that are final, and the events that have none left then.
fn remove_deliveries(
    transaction: &Transaction<'_>,
    deliveries: &[DeliveryId],
    keys_before: Timestamp,
) -> StoreResult<Answer> {
    let mut removed = 0;
    let mut events = BTreeSet::new();
    let mut forgotten = BTreeMap::new();
    for delivery in deliveries {
        let sql = "SELECT id, webhook_id, state, attempts, event_id FROM deliveries WHERE id = ?1";
        let found = rows::first(transaction, sql, [delivery.0], |row| Ok((made(row)?, EventId(row.get(4)?))))?;
        let Some((delivery, event)) = found.filter(|(delivery, _)| !delivery.is_live) else { continue };
        removed += remove_delivery(transaction, &delivery)?;
        let newest = forgotten.entry(delivery.webhook).or_insert(event);
        *newest = event.max(*newest);
        events.insert(event);
    }
    for (webhook, newest) in forgotten {
        forget_up_to(transaction, webhook, newest)?;
    }
    for event in events {
        removed += remove_event(transaction, event, Which::Bare, keys_before, 0)?.0;
    }
    Ok(Answer::Pruned { removed: removed.into(), position: None })
}

/// Removes up to `limit` rows of an organization that was removed; with the last of them it is forgotten.
fn of_removed(transaction: &Transaction<'_>, limit: u32) -> StoreResult<Answer> {
    const LAST_ATTEMPTS: &str = "DELETE FROM last_attempts WHERE webhook_id IN (
        SELECT id FROM webhooks WHERE organization_id = ?1 LIMIT ?2)";
    const TABLES: [&str; 3] = [
        "DELETE FROM webhooks WHERE id IN (SELECT id FROM webhooks WHERE organization_id = ?1 LIMIT ?2)",
        "DELETE FROM users WHERE id IN (SELECT id FROM users WHERE organization_id = ?1 LIMIT ?2)",
        "DELETE FROM entities WHERE (organization_id, type, id) IN (
             SELECT organization_id, type, id FROM entities WHERE organization_id = ?1 LIMIT ?2)",
    ];
    let first = "SELECT organization_id FROM removed_organizations ORDER BY organization_id LIMIT 1";
    let organization: Option<i64> = rows::first(transaction, first, (), |row| row.get(0))?;
    let Some(organization) = organization else { return Ok(Answer::Pruned { removed: 0, position: None }) };
    let mut removed = 0;
    rows::execute(transaction, LAST_ATTEMPTS, (organization, limit))?;
    for sql in TABLES {
        removed += rows::execute(transaction, sql, (organization, u64::from(limit).saturating_sub(removed) as i64))?;
    }
    if removed < u64::from(limit) {
        rows::execute(transaction, "DELETE FROM removed_organizations WHERE organization_id = ?1", [organization])?;
    }
    // Others may follow.
    Ok(Answer::Pruned { removed, position: Some(organization) })
}

fn keys(transaction: &Transaction<'_>, before: [Timestamp; 5], limit: u32) -> StoreResult<Answer> {
    let [event_keys, idempotency, fine_stats, stats_of_hours, sessions] = before;
    let removed = [
        rows::execute(
            transaction,
            "DELETE FROM event_keys WHERE (organization_id, external_id) IN (
                 SELECT organization_id, external_id FROM event_keys INDEXED BY event_keys_by_age
                 WHERE event_id < ?1 LIMIT ?2)",
            (floor_at(event_keys), limit),
        )?,
        rows::execute(
            transaction,
            "DELETE FROM idempotency WHERE (scope, key) IN (
                 SELECT scope, key FROM idempotency WHERE created_at < ?1 LIMIT ?2)",
            (idempotency.0, limit),
        )?,
        stats(transaction, Span::FiveMinutes, fine_stats, limit)?,
        stats(transaction, Span::Hour, stats_of_hours, limit)?,
        // The newest stays, since versions count on from it. A node of the embedded store is the only one, and saw each
        // change when it made it.
        rows::execute(
            transaction,
            "DELETE FROM catalogue_changes WHERE version IN (
                 SELECT version FROM catalogue_changes WHERE version < (SELECT max(version) FROM catalogue_changes) LIMIT ?1)",
            [limit],
        )?,
        rows::execute(
            transaction,
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < ?1 LIMIT ?2)",
            (sessions.0, limit),
        )?,
    ];
    let more = removed.iter().any(|rows| *rows == u64::from(limit));
    Ok(Answer::Pruned { removed: removed.iter().sum(), position: more.then_some(0) })
}

fn stats(transaction: &Transaction<'_>, span: Span, before: Timestamp, limit: u32) -> StoreResult<u64> {
    rows::execute(
        transaction,
        "DELETE FROM stats WHERE (span, bucket, kind, subject_id) IN (
             SELECT span, bucket, kind, subject_id FROM stats WHERE span = ?1 AND bucket < ?2 LIMIT ?3)",
        (span as i64, before.0, limit),
    )
}
