//! What people ask for: send again, cancel, deliver what was never sent.

use fanfare_engine::delivery::{State, Trigger};
use fanfare_engine::id::{DeliveryId, WebhookId};
use fanfare_engine::time::Timestamp;
use rusqlite::{Transaction, params};

use super::kept::Kept;
use super::rows;
use super::tally::Tally;
use super::{accept, claim, finish};
use crate::error::StoreResult;
use crate::queue::{Deliver, NewDelivery};

/// Makes deliveries due now. A final one gets a single attempt and a delivered one stays delivered; one that waits for
/// its next attempt gets it early; one that is being sent is left alone.
pub(super) fn resend(
    transaction: &Transaction<'_>,
    now: Timestamp,
    deliveries: &[DeliveryId],
) -> StoreResult<Vec<(WebhookId, u32)>> {
    let mut due = Due::default();
    for id in deliveries {
        let webhook = rows::first(
            transaction,
            "UPDATE deliveries SET state = 0, next_attempt_at = ?2, trigger = ?3, skipped_reason = NULL, claims = 0,
                 completed_at = CASE WHEN state = 2 OR one_shot = 2 THEN completed_at END,
                 one_shot = CASE WHEN state = 2 THEN 2 WHEN state > 2 THEN 1 ELSE one_shot END
             WHERE id = ?1 AND lease_node = 0 AND (state <> 0 OR next_attempt_at <> ?4)
             RETURNING webhook_id",
            (id.0, now.0, Trigger::Manual as i64, Timestamp::NEVER.0),
            |row| Ok(WebhookId(row.get(0)?)),
        )?;
        due.add(webhook);
    }
    Ok(due.0)
}

/// Cancels deliveries that nobody is sending at this moment; answers the webhooks of those cancelled.
pub(super) fn cancel(
    transaction: &Transaction<'_>,
    now: Timestamp,
    deliveries: &[DeliveryId],
) -> StoreResult<Vec<(WebhookId, u32)>> {
    let mut cancelled = Due::default();
    for id in deliveries {
        let row = rows::first(
            transaction,
            "UPDATE deliveries SET state = CASE WHEN one_shot = 2 THEN 2 ELSE ?2 END, one_shot = 0,
                 completed_at = CASE WHEN one_shot = 2 THEN completed_at ELSE ?3 END
             WHERE id = ?1 AND state < 2 AND lease_node = 0 RETURNING webhook_id, ordering_key",
            (id.0, State::Cancelled as i64, now.0),
            |row| Ok((WebhookId(row.get(0)?), row.get::<_, Option<String>>(1)?)),
        )?;
        let Some((webhook, key)) = row else { continue };
        if let Some(key) = key {
            finish::unblock(transaction, now, webhook, &key)?;
        }
        cancelled.add(Some(webhook));
    }
    Ok(cancelled.0)
}

/// Makes a delivery of a kept event, unless its webhook has one of it already.
pub(super) fn deliver(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    now: Timestamp,
    wish: &Deliver,
    tally: &mut Tally,
) -> StoreResult<Vec<(WebhookId, u32)>> {
    let there = rows::first(
        transaction,
        "SELECT d.id FROM events e JOIN deliveries d ON d.id > e.id AND d.id <= e.last_delivery_id
             AND d.event_id = e.id AND d.webhook_id = ?2 WHERE e.id = ?1
         UNION ALL SELECT id FROM deliveries WHERE late = 1 AND event_id = ?1 AND webhook_id = ?2 LIMIT 1",
        params![wish.event.0, wish.webhook.0],
        |row| row.get::<_, i64>(0),
    )?;
    if there.is_some() {
        return Ok(Vec::new());
    }
    let event = claim::load_event(transaction, wish.event)?;
    let delivery = NewDelivery { id: wish.id, webhook: wish.webhook, lease: None, due: now, trigger: wish.trigger };
    accept::insert_delivery(transaction, &mut kept.insert_delivery, &event, &delivery, true)?;
    tally.late_delivery(now, event.project, event.organization);
    Ok(vec![(wish.webhook, 1)])
}

/// How many deliveries of each webhook became due.
#[derive(Default)]
struct Due(Vec<(WebhookId, u32)>);

impl Due {
    fn add(&mut self, webhook: Option<WebhookId>) {
        let Some(webhook) = webhook else { return };
        match self.0.iter_mut().find(|(known, _)| *known == webhook) {
            Some((_, count)) => *count += 1,
            None => self.0.push((webhook, 1)),
        }
    }
}
