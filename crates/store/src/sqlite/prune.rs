//! Removes what is too old or too much, a small piece at a time, never what is still to be sent.

use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, WebhookId, floor_at};
use fanfare_engine::time::Timestamp;
use rusqlite::Transaction;

use super::rows;
use crate::error::StoreResult;
use crate::queue::{Answer, Prune};
use crate::stats::Span;

/// After so many events and deliveries a piece ends, so that others get their turn.
const PIECE_ROWS: u32 = 1_000;

pub(super) fn prune(transaction: &Transaction<'_>, what: &Prune) -> StoreResult<Answer> {
    match *what {
        Prune::Age { organization, before, keys_before, after, limit } => {
            by_age(transaction, organization, [before, keys_before], after, limit)
        }
        Prune::Removed { limit } => of_removed(transaction, limit),
        Prune::Count { webhook, keep, limit } => by_count(transaction, webhook, keep, limit),
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

/// Looks at the organization's next `limit` events older than `before` and removes those that have nothing left to send; the
/// host's ids of those that are not older than `keys_before` stay known.
fn by_age(
    transaction: &Transaction<'_>,
    organization: OrganizationId,
    [before, keys_before]: [Timestamp; 2],
    after: i64,
    limit: u32,
) -> StoreResult<Answer> {
    let events = rows::all(
        transaction,
        "SELECT id, last_delivery_id FROM events INDEXED BY events_by_organization
         WHERE organization_id = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4",
        (organization.0, after, floor_at(before), limit),
        |row| Ok((EventId(row.get(0)?), row.get::<_, i64>(1)?)),
    )?;
    let mut position = if events.len() < limit as usize { None } else { events.last().map(|(id, _)| id.0) };
    let mut removed: u32 = 0;
    for (event, last_delivery) in events {
        let (rows, is_through) = remove_event(transaction, event, last_delivery, keys_before, PIECE_ROWS - removed)?;
        removed += rows;
        if !is_through {
            // The next piece goes on with this event.
            position = Some(event.0 - 1);
            break;
        }
        if removed >= PIECE_ROWS {
            position = Some(event.0);
            break;
        }
    }
    Ok(Answer::Pruned { removed: removed.into(), position })
}

/// Removes an event with its deliveries where none of them is to be sent; of one with more than `room` deliveries so many of
/// them. Answers how many rows that were, and whether nothing is left to do.
fn remove_event(
    transaction: &Transaction<'_>,
    event: EventId,
    last_delivery: i64,
    keys_before: Timestamp,
    room: u32,
) -> StoreResult<(u32, bool)> {
    let live: bool = rows::first(
        transaction,
        "SELECT EXISTS (SELECT 1 FROM deliveries WHERE id > ?1 AND id <= ?2 AND event_id = ?1 AND state < 2)
             OR EXISTS (SELECT 1 FROM deliveries WHERE late = 1 AND event_id = ?1 AND state < 2)",
        (event.0, last_delivery),
        |row| row.get(0),
    )?
    .unwrap_or(false);
    if live {
        return Ok((0, true));
    }
    let deliveries = rows::all(
        transaction,
        "SELECT id, webhook_id FROM (
             SELECT id, webhook_id FROM deliveries WHERE id > ?1 AND id <= ?2 AND event_id = ?1
             UNION ALL SELECT id, webhook_id FROM deliveries WHERE late = 1 AND event_id = ?1)
         LIMIT ?3",
        (event.0, last_delivery, room + 1),
        |row| Ok((DeliveryId(row.get(0)?), WebhookId(row.get(1)?))),
    )?;
    let is_through = deliveries.len() <= room as usize;
    let mut removed = 0;
    for (delivery, webhook) in deliveries.iter().take(room as usize) {
        if !is_through {
            // While the event is there, what it got must not be taken for missing.
            forget_up_to(transaction, *webhook, event.0)?;
        }
        remove_delivery(transaction, *delivery)?;
        removed += 1;
    }
    if !is_through {
        return Ok((removed, false));
    }
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
    Ok((1 + removed, true))
}

/// Notes that it is not known any more what a webhook got of events up to this one.
fn forget_up_to(transaction: &Transaction<'_>, webhook: WebhookId, event: i64) -> StoreResult<()> {
    rows::execute(
        transaction,
        "UPDATE webhooks SET forgotten_to = ?2 WHERE id = ?1 AND forgotten_to < ?2",
        (webhook.0, event),
    )?;
    Ok(())
}

fn remove_delivery(transaction: &Transaction<'_>, delivery: DeliveryId) -> StoreResult<()> {
    rows::execute(transaction, "DELETE FROM attempts WHERE id = ?1", [delivery.0])?;
    rows::execute(transaction, "DELETE FROM attempts WHERE number > 1 AND delivery_id = ?1", [delivery.0])?;
    rows::execute(transaction, "DELETE FROM deliveries WHERE id = ?1", [delivery.0])?;
    Ok(())
}

/// Removes up to `limit` rows of an organization that was removed; with the last of them it is forgotten.
fn of_removed(transaction: &Transaction<'_>, limit: u32) -> StoreResult<Answer> {
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
    for sql in TABLES {
        removed += rows::execute(transaction, sql, (organization, u64::from(limit).saturating_sub(removed) as i64))?;
    }
    if removed < u64::from(limit) {
        rows::execute(transaction, "DELETE FROM removed_organizations WHERE organization_id = ?1", [organization])?;
    }
    // Others may follow.
    Ok(Answer::Pruned { removed, position: Some(organization) })
}

/// Removes final deliveries of a webhook beyond its newest `keep`.
fn by_count(transaction: &Transaction<'_>, webhook: WebhookId, keep: u32, limit: u32) -> StoreResult<Answer> {
    let beyond = rows::all(
        transaction,
        "SELECT id, event_id FROM deliveries INDEXED BY deliveries_by_webhook WHERE webhook_id = ?1 AND state >= 2 AND id <= (
             SELECT id FROM deliveries INDEXED BY deliveries_by_webhook WHERE webhook_id = ?1
             ORDER BY id DESC LIMIT 1 OFFSET ?2)
         ORDER BY id LIMIT ?3",
        (webhook.0, keep, limit),
        |row| Ok((DeliveryId(row.get(0)?), row.get::<_, i64>(1)?)),
    )?;
    for (delivery, _) in &beyond {
        remove_delivery(transaction, *delivery)?;
    }
    if let Some(newest) = beyond.iter().map(|(_, event)| *event).max() {
        forget_up_to(transaction, webhook, newest)?;
    }
    let position = if beyond.len() < limit as usize { None } else { beyond.last().map(|(id, _)| id.0) };
    Ok(Answer::Pruned { removed: beyond.len() as u64, position })
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
        "DELETE FROM stats WHERE (kind, subject_id, span, bucket) IN (
             SELECT kind, subject_id, span, bucket FROM stats INDEXED BY stats_by_age
             WHERE span = ?1 AND bucket < ?2 LIMIT ?3)",
        (span as i64, before.0, limit),
    )
}
