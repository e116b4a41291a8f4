//! Responses stored under the key that a request named, so that a repetition gets the same one.
//!
//! The commit that does the work takes the key (see [`Once`](crate::queue::Once)); the response is stored afterwards. If the
//! process dies between the two, the row says that the work was done and what it made.

use fanfare_engine::time::Timestamp;

use super::{query, step};
use crate::arguments;
use crate::error::{StoreError, StoreResult};
use crate::query::{Change, Query, Row};
use crate::queue::IdempotencyKey;

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of the request that used the key.
    pub fingerprint: [u8; 16],
    pub outcome: Outcome,
}

/// What is known of the work under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work was committed and the response was not stored: the id of what was made, empty where nothing was.
    Done { made: String },
    /// Status and body of the response.
    Answered(u16, Vec<u8>),
}

fn decode(row: &dyn Row) -> StoreResult<Kept> {
    let damaged = |what: &str| StoreError::Damaged(format!("an idempotency key is stored with {what}"));
    let answer = row.blob(2)?;
    let outcome = match row.int_or_null(1)? {
        None => Outcome::Done { made: String::from_utf8(answer).map_err(|_| damaged("no readable id"))? },
        Some(status) => Outcome::Answered(u16::try_from(status).map_err(|_| damaged("no status"))?, answer),
    };
    Ok(Kept { fingerprint: row.blob(0)?.try_into().map_err(|_| damaged("no fingerprint"))?, outcome })
}

/// What is stored under this key since `since`.
pub fn get(key: &IdempotencyKey, since: Timestamp) -> Query<Kept> {
    query(
        "SELECT fingerprint, status, answer FROM idempotency
         WHERE scope = ?1 AND key = ?2 AND answer IS NOT NULL AND created_at >= ?3",
        arguments![key.scope.as_str(), key.key.as_str(), since],
        decode,
    )
}

/// Finds a row if a request with another body used any key of this scope since `since`.
pub fn other_in_scope(key: &IdempotencyKey, since: Timestamp) -> Query<i64> {
    query(
        "SELECT 1 FROM idempotency WHERE scope = ?1 AND created_at >= ?2 AND fingerprint <> ?3 LIMIT 1",
        arguments![key.scope.as_str(), since, key.fingerprint.to_vec()],
        |row| row.int(0),
    )
}

/// Stores the response of a request whose work is done, or that found nothing to do.
pub fn answer(key: &IdempotencyKey, status: u16, body: Vec<u8>, now: Timestamp) -> Change {
    Change::one(step(
        "INSERT INTO idempotency (scope, key, fingerprint, node_id, status, answer, created_at)
         VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)
         ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, node_id = 0, status = excluded.status,
             answer = excluded.answer, created_at = excluded.created_at",
        arguments![key.scope.as_str(), key.key.as_str(), key.fingerprint.to_vec(), i64::from(status), body, now],
    ))
}
