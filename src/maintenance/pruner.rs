//! Removes what is older than the retention, in pieces so small that delivery does not notice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::{OrganizationId, ProjectId, floor_at};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::webhooks::{self, WebhookFilter};
use fanfare_store::catalogue::{Page, projects};
use fanfare_store::log;
use fanfare_store::queue::{Answer, Operation, Prune};
use fanfare_store::{StoreError, StoreResult};

use crate::catalogue::sessions;
use crate::dispatch::dispatcher::Dispatcher;

/// Events looked at, or rows removed, in one commit.
const PIECE: u32 = 200;
/// Rest between two pieces, so that others get their turn.
const REST: Duration = Duration::from_millis(5);
/// The host's own event ids are kept at least so long.
const EVENT_KEYS: Duration = Duration::from_secs(7 * 86_400);
/// Idempotency keys are kept so long.
const IDEMPOTENCY: Duration = Duration::from_secs(86_400);
/// Figures by five minutes are kept so long.
const FINE_STATISTICS: Duration = Duration::from_secs(3 * 86_400);
/// Figures by the hour are kept so long.
const STATISTICS: Duration = Duration::from_secs(90 * 86_400);

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Events, deliveries and attempts of projects that say nothing else.
    pub default: Duration,
    /// Deliveries of each webhook beyond the newest so many are removed once they are final; `None` keeps all.
    pub deliveries_per_webhook: Option<u32>,
}

/// One round over everything. Answers how many rows were removed.
pub async fn prune(dispatcher: &Arc<Dispatcher>, retention: Retention) -> StoreResult<u64> {
    let store = &dispatcher.tools.store;
    let now = dispatcher.tools.clock.now();
    let mut removed = 0;
    let mut before = BTreeMap::new();
    for project in store.read(projects::all()).await? {
        let days = project.options.retention_days;
        let keep = days.map_or(retention.default, |days| Duration::from_secs(u64::from(days) * 86_400));
        before.insert(project.id, now.minus(keep));
        if let Some(keep) = retention.deliveries_per_webhook {
            removed += by_count(dispatcher, project.id, keep).await?;
        }
    }
    removed += too_old(dispatcher, &before, now).await?;
    removed += stale_keys(dispatcher, now).await?;
    removed += of_removed_organizations(dispatcher).await?;
    Ok(removed)
}

async fn of_removed_organizations(dispatcher: &Arc<Dispatcher>) -> StoreResult<u64> {
    let mut removed = 0;
    loop {
        let (count, position) = piece(dispatcher, Prune::Removed { limit: PIECE }).await?;
        removed += count;
        if position.is_none() {
            return Ok(removed);
        }
    }
}

async fn stale_keys(dispatcher: &Arc<Dispatcher>, now: Timestamp) -> StoreResult<u64> {
    let mut removed = 0;
    loop {
        let keys = Prune::Keys {
            event_keys_before: now.minus(EVENT_KEYS),
            idempotency_before: now.minus(IDEMPOTENCY),
            fine_stats_before: now.minus(FINE_STATISTICS),
            stats_before: now.minus(STATISTICS),
            sessions_before: now.minus(sessions::KEPT),
            limit: PIECE,
        };
        let (count, position) = piece(dispatcher, keys).await?;
        removed += count;
        if position.is_none() {
            return Ok(removed);
        }
    }
}

/// Removes of every organization what is older than its project keeps.
async fn too_old(
    dispatcher: &Arc<Dispatcher>,
    before: &BTreeMap<ProjectId, Timestamp>,
    now: Timestamp,
) -> StoreResult<u64> {
    let mut removed = 0;
    let mut last = None;
    loop {
        let found = dispatcher.tools.store.read(log::oldest_events(last, PIECE)).await?;
        for oldest in &found {
            let before = before.get(&oldest.project).copied().filter(|before| oldest.event.0 < floor_at(*before));
            if let Some(before) = before {
                removed += by_age(dispatcher, oldest.organization, before, now.minus(EVENT_KEYS)).await?;
            }
        }
        match found.last().filter(|_| found.len() == PIECE as usize) {
            Some(oldest) => last = Some(oldest.organization),
            None => return Ok(removed),
        }
    }
}

async fn by_age(
    dispatcher: &Arc<Dispatcher>,
    organization: OrganizationId,
    before: Timestamp,
    keys_before: Timestamp,
) -> StoreResult<u64> {
    let mut removed = 0;
    let mut after = 0;
    loop {
        let what = Prune::Age { organization, before, keys_before, after, limit: PIECE };
        let (count, position) = piece(dispatcher, what).await?;
        removed += count;
        match position {
            Some(position) => after = position,
            None => return Ok(removed),
        }
    }
}

async fn by_count(dispatcher: &Arc<Dispatcher>, project: ProjectId, keep: u32) -> StoreResult<u64> {
    let mut removed = 0;
    let mut page = Page { before: None, limit: PIECE };
    loop {
        let webhooks = dispatcher.tools.store.read(webhooks::list(project, &WebhookFilter::default(), page)).await?;
        for webhook in &webhooks {
            let what = Prune::Count { webhook: webhook.id, keep, limit: PIECE };
            loop {
                let (count, position) = piece(dispatcher, what).await?;
                removed += count;
                if position.is_none() {
                    break;
                }
            }
        }
        match webhooks.last().filter(|_| webhooks.len() == PIECE as usize) {
            Some(last) => page.before = Some(last.id.0),
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
