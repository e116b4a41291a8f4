//! Removes what is older than the retention, in pieces so small that delivery does not notice.

use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::ProjectId;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::projects;
use fanfare_store::queue::{Answer, Operation, Prune};
use fanfare_store::{StoreError, StoreResult};

use crate::dispatch::dispatcher::Dispatcher;

/// Events looked at, or rows removed, in one commit.
const PIECE: u32 = 200;
/// Rest between two pieces, so that others get their turn.
const REST: Duration = Duration::from_millis(5);
/// The host's own event ids are kept at least so long.
const EVENT_KEYS: Duration = Duration::from_secs(7 * 86_400);
/// Idempotency keys are kept so long.
const IDEMPOTENCY: Duration = Duration::from_secs(86_400);
/// Statistics are kept so long.
const STATISTICS: Duration = Duration::from_secs(90 * 86_400);

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Events, deliveries and attempts of projects that say nothing else.
    pub default: Duration,
}

/// One round over everything. Answers how many rows were removed.
pub async fn prune(dispatcher: &Arc<Dispatcher>, retention: Retention) -> StoreResult<u64> {
    let store = &dispatcher.tools.store;
    let now = dispatcher.tools.clock.now();
    let mut removed = 0;
    for project in store.read(projects::all()).await? {
        let days = project.options.retention_days;
        let keep = days.map_or(retention.default, |days| Duration::from_secs(u64::from(days) * 86_400));
        removed += by_age(dispatcher, project.id, before(now, keep)).await?;
    }
    removed += stale_keys(dispatcher, now).await?;
    Ok(removed)
}

async fn stale_keys(dispatcher: &Arc<Dispatcher>, now: Timestamp) -> StoreResult<u64> {
    let mut removed = 0;
    let mut after = 0;
    loop {
        let keys = Prune::Keys {
            event_keys_before: before(now, EVENT_KEYS),
            idempotency_before: before(now, IDEMPOTENCY),
            stats_before: before(now, STATISTICS),
            after,
            limit: PIECE,
        };
        let (count, position) = piece(dispatcher, keys).await?;
        removed += count;
        match position {
            Some(position) => after = position,
            None => return Ok(removed),
        }
    }
}

async fn by_age(dispatcher: &Arc<Dispatcher>, project: ProjectId, before: Timestamp) -> StoreResult<u64> {
    let mut removed = 0;
    let mut after = 0;
    loop {
        let (count, position) = piece(dispatcher, Prune::Age { project, before, after, limit: PIECE }).await?;
        removed += count;
        match position {
            Some(position) => after = position,
            None => return Ok(removed),
        }
    }
}

async fn piece(dispatcher: &Arc<Dispatcher>, what: Prune) -> StoreResult<(u64, Option<i64>)> {
    let answer = dispatcher.tools.store.apply(Operation::Prune(what)).await?;
    tokio::time::sleep(REST).await;
    match answer {
        Answer::Pruned { removed, position } => Ok((removed, position)),
        other => Err(StoreError::Damaged(format!("pruning was answered with {other:?}"))),
    }
}

fn before(now: Timestamp, keep: Duration) -> Timestamp {
    let millis = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.millis().saturating_sub(millis))
}
