//! Makes waiting deliveries due earlier, after the clock was set back.

use fanfare_engine::id::DeliveryId;
use fanfare_engine::time::Timestamp;
use rusqlite::Transaction;

use super::rows;
use crate::error::StoreResult;
use crate::queue::{PullDue, Pulled};

/// Goes through the deliveries in the order in which they were due. A changed one lands behind that position, so none is
/// changed twice.
pub(super) fn pull(transaction: &Transaction<'_>, now: Timestamp, wish: &PullDue) -> StoreResult<Pulled> {
    let (after, after_id) = wish.after.map_or((now.0, i64::MAX), |(due, id)| (due.0, id.0));
    let found = rows::all(
        transaction,
        "SELECT id, next_attempt_at FROM deliveries INDEXED BY deliveries_live
         WHERE state < 2 AND lease_node = 0 AND webhook_id = ?1 AND next_attempt_at >= ?2 AND next_attempt_at < ?4
             AND (next_attempt_at > ?2 OR id > ?3)
         ORDER BY next_attempt_at, id LIMIT ?5",
        (wish.webhook.0, after, after_id, Timestamp::NEVER.0, wish.limit),
        |row| Ok((DeliveryId(row.get(0)?), Timestamp(row.get(1)?))),
    )?;
    let earlier = |due: Timestamp| due.minus(wish.by).max(now);
    for (id, due) in &found {
        rows::execute(
            transaction,
            "UPDATE deliveries SET next_attempt_at = ?2 WHERE id = ?1",
            (id.0, earlier(*due).0),
        )?;
    }
    let last = found.last().filter(|_| found.len() == wish.limit as usize).map(|(id, due)| (*due, *id));
    Ok(Pulled { last, first_due: found.first().map(|(_, due)| earlier(*due)) })
}
