//! Answers kept under the key that a request named, so that a repetition gets the same one.
//!
//! A request first takes its key, then does its work, then keeps its answer. A key taken by a process that is no more
//! may be taken over.

use fanfare_engine::id::NodeId;
use fanfare_engine::time::Timestamp;

use super::{must, query, step, unique};
use crate::arguments;
use crate::error::{StoreError, StoreResult};
use crate::query::{Change, Query, Row};
use crate::queue::IdempotencyKey;

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of the request that took the key.
    pub fingerprint: [u8; 16],
    /// The process that took it.
    pub node: NodeId,
    /// Status and body of the answer; `None` while the work is not done.
    pub answer: Option<(u16, Vec<u8>)>,
    pub created_at: Timestamp,
}

fn decode(row: &dyn Row) -> StoreResult<Kept> {
    let damaged = |_| StoreError::Damaged("an idempotency key is kept in another form".to_owned());
    let answer = match (row.int_or_null(2)?, row.blob_or_null(3)?) {
        (Some(status), Some(body)) => {
            let status =
                u16::try_from(status).map_err(|_| StoreError::Damaged("a kept answer has no status".to_owned()))?;
            Some((status, body))
        }
        _ => None,
    };
    Ok(Kept {
        fingerprint: row.blob(0)?.try_into().map_err(damaged)?,
        node: NodeId(row.int(1)?),
        answer,
        created_at: Timestamp(row.int(4)?),
    })
}

/// What is kept under this key.
pub fn get(key: &IdempotencyKey) -> Query<Kept> {
    query(
        "SELECT fingerprint, node_id, status, answer, created_at FROM idempotency WHERE scope = ?1 AND key = ?2",
        arguments![key.scope.as_str(), key.key.as_str()],
        decode,
    )
}

/// Takes a key, also from entries made before `expired` and from unfinished ones of other nodes than `node`;
/// `Taken("idempotency key")` where somebody else has it.
pub fn take(key: &IdempotencyKey, node: NodeId, now: Timestamp, expired: Timestamp) -> Change {
    let old = step(
        "DELETE FROM idempotency WHERE scope = ?1 AND key = ?2
             AND (created_at < ?3 OR (answer IS NULL AND node_id <> ?4
                 AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.id = idempotency.node_id)))",
        arguments![key.scope.as_str(), key.key.as_str(), expired, node.0],
    );
    let own = step(
        "INSERT INTO idempotency (scope, key, fingerprint, node_id, status, answer, created_at)
         VALUES (?1, ?2, ?3, ?4, NULL, NULL, ?5)",
        arguments![key.scope.as_str(), key.key.as_str(), key.fingerprint.to_vec(), node.0, now],
    );
    Change::one(old).then(unique(own, "idempotency key"))
}

/// Keeps the answer under a key that `node` took.
pub fn finish(key: &IdempotencyKey, node: NodeId, status: u16, body: Vec<u8>) -> Change {
    Change::one(must(
        "idempotency key",
        "UPDATE idempotency SET status = ?1, answer = ?2 WHERE scope = ?3 AND key = ?4 AND node_id = ?5",
        arguments![i64::from(status), body, key.scope.as_str(), key.key.as_str(), node.0],
    ))
}

/// Gives a key back whose work was refused, so that it can be tried again.
pub fn give_back(key: &IdempotencyKey, node: NodeId) -> Change {
    Change::one(step(
        "DELETE FROM idempotency WHERE scope = ?1 AND key = ?2 AND node_id = ?3 AND answer IS NULL",
        arguments![key.scope.as_str(), key.key.as_str(), node.0],
    ))
}
