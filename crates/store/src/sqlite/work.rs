//! A piece of a job: what it does, and how far the job got, in one.

use fanfare_engine::id::WebhookId;
use fanfare_engine::time::Timestamp;
use rusqlite::Transaction;

use super::kept::Kept;
use super::resend;
use super::rows;
use super::tally::Tally;
use crate::error::{StoreError, StoreResult};
use crate::queue::Work;

/// Does a piece unless somebody did it before, or the job runs no more. Answers the webhooks of what changed, each once.
pub(super) fn work(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    now: Timestamp,
    piece: &Work,
    tally: &mut Tally,
) -> StoreResult<Vec<(WebhookId, u32)>> {
    // First of all, since what is refused must have changed nothing.
    let moved = rows::execute(
        transaction,
        "UPDATE jobs SET position = ?3, state = CASE WHEN ?4 THEN 'completed' ELSE state END, updated_at = ?5
         WHERE id = ?1 AND position = ?2 AND state = 'running'",
        (piece.job.0, piece.from, piece.to, piece.ends, now.0),
    )?;
    if moved == 0 {
        return Err(StoreError::Stale("job"));
    }
    let mut changed = resend::resend(transaction, now, &piece.resend)?;
    changed.extend(resend::cancel(transaction, now, &piece.cancel)?);
    for wish in &piece.deliver {
        match resend::deliver(transaction, kept, now, wish, tally) {
            Ok(made) => changed.extend(made),
            // Its retention ended meanwhile.
            Err(StoreError::Stale(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let done: i64 = changed.iter().map(|(_, count)| i64::from(*count)).sum();
    rows::execute(transaction, "UPDATE jobs SET done = done + ?2 WHERE id = ?1", (piece.job.0, done))?;
    Ok(together(changed))
}

/// Each webhook once.
fn together(mut changed: Vec<(WebhookId, u32)>) -> Vec<(WebhookId, u32)> {
    changed.sort_unstable();
    changed.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    changed
}
