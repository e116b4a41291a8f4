//! Removes what is older or more than is kept, in pieces so small, and with such rests, that delivery does not notice.

mod age;
mod count;
mod pace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::{EventId, OrganizationId, ProjectId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::projects;
use fanfare_store::query::Query;
use fanfare_store::queue::{Answer, Operation, Prune, Which};
use fanfare_store::{StoreError, StoreResult};
use tokio::time::Instant;

use crate::catalogue::sessions;
use crate::dispatch::dispatcher::Dispatcher;

/// Rows that a reader looks at in one question.
const LOOK: u32 = 1_000;
/// Rows of other kinds that are removed in one commit.
const PIECE: u32 = 200;
/// Every so many rounds what earlier rounds had to leave is looked for again: once in an hour.
const ROUNDS_UNTIL_LEFTOVERS: u64 = 60;
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
    /// Deliveries of each webhook beyond the newest so many are removed once they are final, and events of each
    /// organization beyond the newest so many once they have no delivery; `None` keeps all.
    pub deliveries_per_webhook: Option<u32>,
}

/// Removes what is not kept any longer, round by round.
pub struct Pruner {
    dispatcher: Arc<Dispatcher>,
    retention: Retention,
    rounds: u64,
    /// How far the events of each project were gone through by age, and how long that project kept them then.
    aged: BTreeMap<ProjectId, (Duration, EventId)>,
    /// How far the events of each organization were gone through by their number.
    counted: BTreeMap<OrganizationId, EventId>,
}

impl Pruner {
    /// One that has looked at nothing yet.
    pub fn new(dispatcher: Arc<Dispatcher>, retention: Retention) -> Pruner {
        Pruner { dispatcher, retention, rounds: 0, aged: BTreeMap::new(), counted: BTreeMap::new() }
    }

    /// One round over everything. Returns how many rows were removed: none while the clock cannot be trusted.
    ///
    /// # Errors
    /// The store cannot be read or written; what was removed until then stays removed.
    pub async fn round(&mut self) -> StoreResult<u64> {
        let Some(now) = self.dispatcher.tools.trusted_clock.now() else { return Ok(0) };
        let mut keeps = BTreeMap::new();
        let mut removed = 0;
        for project in self.ask(projects::all()).await? {
            let days = project.options.retention_days;
            let keep = days.map_or(self.retention.default, |days| Duration::from_secs(u64::from(days) * 86_400));
            keeps.insert(project.id, keep);
            if let Some(keep) = self.retention.deliveries_per_webhook {
                removed += self.deliveries_beyond(project.id, keep, now).await?;
            }
        }
        if let Some(keep) = self.retention.deliveries_per_webhook {
            removed += self.bare_events_beyond(keep, now).await?;
        }
        removed += self.too_old(&keeps, now).await?;
        if self.rounds % ROUNDS_UNTIL_LEFTOVERS == ROUNDS_UNTIL_LEFTOVERS - 1 {
            removed += self.leftovers(&keeps, now).await?;
        }
        self.rounds += 1;
        removed += self.stale_keys(now).await?;
        removed += self.repeated(Prune::Removed { limit: PIECE }).await?;
        Ok(removed)
    }

    async fn stale_keys(&self, now: Timestamp) -> StoreResult<u64> {
        let keys = Prune::Keys {
            event_keys_before: now.minus(EVENT_KEYS),
            idempotency_before: now.minus(IDEMPOTENCY),
            fine_stats_before: now.minus(FINE_STATISTICS),
            stats_before: now.minus(STATISTICS),
            sessions_before: now.minus(sessions::KEPT),
            limit: PIECE,
        };
        self.repeated(keys).await
    }

    /// Removes these events, in pieces. Answers how many rows that were.
    async fn remove(&self, mut events: &[EventId], which: Which, now: Timestamp) -> StoreResult<u64> {
        let mut removed = 0;
        while !events.is_empty() {
            let rows = pace::rows(self.dispatcher.tools.store.waiting());
            let (next, rest) = events.split_at(events.len().min(rows as usize));
            let keys_before = now.minus(EVENT_KEYS);
            let (count, position) =
                self.piece(Prune::Events { events: next.to_vec(), which, keys_before, rows }).await?;
            removed += count;
            events = match position {
                Some(position) => &events[events.partition_point(|event| event.0 <= position)..],
                None => rest,
            };
        }
        Ok(removed)
    }

    /// Has a piece done until nothing is left of it.
    async fn repeated(&self, what: Prune) -> StoreResult<u64> {
        let mut removed = 0;
        loop {
            let (count, position) = self.piece(what.clone()).await?;
            removed += count;
            if position.is_none() {
                return Ok(removed);
            }
        }
    }

    async fn piece(&self, what: Prune) -> StoreResult<(u64, Option<i64>)> {
        let started = Instant::now();
        let answer = self.dispatcher.tools.store.apply(Operation::Prune(what)).await?;
        tokio::time::sleep(pace::rest(started.elapsed())).await;
        match answer {
            Answer::Pruned { removed, position } => Ok((removed, position)),
            other => Err(StoreError::Damaged(format!("pruning was answered with {other:?}"))),
        }
    }

    /// Asks a question, and rests, so that others get the readers.
    async fn ask<T: Send + 'static>(&self, question: Query<T>) -> StoreResult<Vec<T>> {
        let started = Instant::now();
        let answer = self.dispatcher.tools.store.read(question).await?;
        tokio::time::sleep(pace::rest(started.elapsed())).await;
        Ok(answer)
    }
}
