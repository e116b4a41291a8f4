//! Idempotency keys, taken in the commit that does the work.

use fanfare_engine::time::Timestamp;
use rusqlite::{Transaction, params};

use super::rows;
use crate::error::StoreResult;
use crate::queue::{IDEMPOTENCY_LIFETIME, IdempotencyKey};

/// What a key that is taken is called.
pub(super) const NAME: &str = "idempotency key";

/// Whether work was done under this key, and the key still counts.
pub(super) fn is_used(transaction: &Transaction<'_>, now: Timestamp, key: &IdempotencyKey) -> StoreResult<bool> {
    let used = rows::first(
        transaction,
        "SELECT 1 FROM idempotency WHERE scope = ?1 AND key = ?2 AND answer IS NOT NULL AND created_at >= ?3",
        (&key.scope, &key.key, oldest(now).0),
        |row| row.get::<_, i64>(0),
    )?;
    Ok(used.is_some())
}

/// Takes a key for work of this commit. The status is unknown until the response is stored; until then the answer is the id of
/// what was made.
pub(super) fn take(transaction: &Transaction<'_>, now: Timestamp, key: &IdempotencyKey, made: &str) -> StoreResult<()> {
    rows::execute(
        transaction,
        "INSERT INTO idempotency (scope, key, fingerprint, node_id, status, answer, created_at)
         VALUES (?1, ?2, ?3, 0, NULL, ?4, ?5)
         ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, node_id = 0, status = NULL,
             answer = excluded.answer, created_at = excluded.created_at",
        params![key.scope, key.key, key.fingerprint, made.as_bytes(), now.0],
    )?;
    Ok(())
}

/// A key counts from this moment on.
fn oldest(now: Timestamp) -> Timestamp {
    let lifetime = i64::try_from(IDEMPOTENCY_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(lifetime))
}
