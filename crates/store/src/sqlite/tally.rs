//! Figures gathered over one batch, so that a row is written once for each webhook and not for each attempt.

use std::collections::BTreeMap;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use rusqlite::{Connection, params};

use super::rows::execute;
use crate::error::StoreResult;
use crate::log::STATS_BUCKET_MS;
use crate::stats::USAGE_BUCKET_MS;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally {
    webhooks: BTreeMap<(WebhookId, i64), Attempts>,
    owners: BTreeMap<(ProjectId, OrganizationId), Usage>,
}

#[derive(Debug)]
struct Attempts {
    succeeded: i64,
    failed: i64,
    duration_ms: i64,
    last: Ended,
}

/// How an attempt ended, for the figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub at: Timestamp,
    pub duration_ms: u32,
    pub outcome: Outcome,
    pub response_code: Option<u16>,
}

#[derive(Debug, Default)]
struct Usage {
    events: i64,
    deliveries: i64,
    attempts: i64,
    failed: i64,
}

impl Tally {
    /// An event was kept, with so many deliveries.
    pub(super) fn event(&mut self, project: ProjectId, organization: OrganizationId, deliveries: usize) {
        let usage = self.owners.entry((project, organization)).or_default();
        usage.events += 1;
        usage.deliveries += deliveries as i64;
    }

    /// A delivery was made of an event that was kept before.
    pub(super) fn late_delivery(&mut self, project: ProjectId, organization: OrganizationId) {
        self.owners.entry((project, organization)).or_default().deliveries += 1;
    }

    /// An attempt was recorded.
    pub(super) fn attempt(
        &mut self,
        project: ProjectId,
        organization: OrganizationId,
        webhook: WebhookId,
        ended: Ended,
    ) {
        let failed = i64::from(ended.outcome != Outcome::Success);
        let usage = self.owners.entry((project, organization)).or_default();
        usage.attempts += 1;
        usage.failed += failed;
        let none = Attempts { succeeded: 0, failed: 0, duration_ms: 0, last: ended };
        let count = self.webhooks.entry((webhook, bucket(ended.at, STATS_BUCKET_MS))).or_insert(none);
        count.succeeded += 1 - failed;
        count.failed += failed;
        count.duration_ms += i64::from(ended.duration_ms);
        if ended.at >= count.last.at {
            count.last = ended;
        }
    }

    /// Adds everything to what is kept.
    pub(super) fn write(self, connection: &Connection, now: Timestamp) -> StoreResult<()> {
        for ((webhook, bucket), count) in &self.webhooks {
            write_attempts(connection, *webhook, *bucket, count)?;
        }
        let mut projects: BTreeMap<ProjectId, Usage> = BTreeMap::new();
        for ((project, organization), usage) in &self.owners {
            write_usage(connection, USAGE_OF_ORGANIZATION, organization.0, bucket(now, USAGE_BUCKET_MS), usage)?;
            let sum = projects.entry(*project).or_default();
            sum.events += usage.events;
            sum.deliveries += usage.deliveries;
            sum.attempts += usage.attempts;
            sum.failed += usage.failed;
        }
        for (project, usage) in &projects {
            write_usage(connection, USAGE_OF_PROJECT, project.0, bucket(now, STATS_BUCKET_MS), usage)?;
        }
        Ok(())
    }
}

/// Where the bucket starts that holds this moment.
fn bucket(at: Timestamp, span: i64) -> i64 {
    at.millis() - at.millis().rem_euclid(span)
}

fn write_attempts(connection: &Connection, webhook: WebhookId, bucket: i64, count: &Attempts) -> StoreResult<()> {
    execute(
        connection,
        "INSERT INTO webhook_stats (webhook_id, bucket, succeeded, failed, duration_ms, last_at, last_outcome, last_response)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (webhook_id, bucket) DO UPDATE SET succeeded = succeeded + excluded.succeeded,
             failed = failed + excluded.failed, duration_ms = duration_ms + excluded.duration_ms,
             last_at = max(last_at, excluded.last_at),
             last_outcome = CASE WHEN excluded.last_at >= last_at THEN excluded.last_outcome ELSE last_outcome END,
             last_response = CASE WHEN excluded.last_at >= last_at THEN excluded.last_response ELSE last_response END",
        params![
            webhook.0,
            bucket,
            count.succeeded,
            count.failed,
            count.duration_ms,
            count.last.at.0,
            count.last.outcome as i64,
            count.last.response_code
        ],
    )?;
    Ok(())
}

const USAGE_OF_ORGANIZATION: &str =
    "INSERT INTO organization_stats (organization_id, bucket, events, deliveries, attempts, failed)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (organization_id, bucket) DO UPDATE SET events = events + excluded.events,
         deliveries = deliveries + excluded.deliveries, attempts = attempts + excluded.attempts,
         failed = failed + excluded.failed";

const USAGE_OF_PROJECT: &str = "INSERT INTO project_stats (project_id, bucket, events, deliveries, attempts, failed)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (project_id, bucket) DO UPDATE SET events = events + excluded.events,
         deliveries = deliveries + excluded.deliveries, attempts = attempts + excluded.attempts,
         failed = failed + excluded.failed";

fn write_usage(connection: &Connection, sql: &str, owner: i64, bucket: i64, usage: &Usage) -> StoreResult<()> {
    execute(connection, sql, (owner, bucket, usage.events, usage.deliveries, usage.attempts, usage.failed))?;
    Ok(())
}
