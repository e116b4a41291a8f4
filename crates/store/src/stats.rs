//! Figures of webhooks, projects and organizations, from what was counted as it happened.

use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Status;

use crate::catalogue::Page;
use crate::error::{StoreError, StoreResult};
use crate::figures::COLUMNS;
use crate::query::{Query, Row, listed};

pub use crate::figures::{DURATIONS_MS, Figures};

/// Whose figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Project(ProjectId),
    Organization(OrganizationId),
    Webhook(WebhookId),
}

impl Subject {
    pub(crate) fn kind(self) -> i64 {
        match self {
            Subject::Project(_) => 0,
            Subject::Organization(_) => 1,
            Subject::Webhook(_) => 2,
        }
    }

    pub(crate) fn id(self) -> i64 {
        match self {
            Subject::Project(id) => id.0,
            Subject::Organization(id) => id.0,
            Subject::Webhook(id) => id.0,
        }
    }
}

/// How much time a row of figures spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum Span {
    /// Kept for a few days.
    FiveMinutes = 0,
    /// Kept for months.
    Hour = 1,
}

impl Span {
    /// In milliseconds.
    pub const fn millis(self) -> i64 {
        match self {
            Span::FiveMinutes => 5 * 60 * 1_000,
            Span::Hour => 60 * 60 * 1_000,
        }
    }

    /// Where the span starts that holds this moment.
    pub const fn start(self, at: Timestamp) -> i64 {
        at.0 - at.0.rem_euclid(self.millis())
    }
}

/// Attempts, whatever came of them.
const ATTEMPTS: &str = "succeeded + failed_status + failed_timeout + failed_connection + failed_other";
/// Attempts that did not succeed.
const FAILED: &str = "failed_status + failed_timeout + failed_connection + failed_other";

/// Deliveries of a backlog that are counted at most, over all projects.
pub const MAX_BACKLOG: u32 = 1_000_000;

/// Attempts of a webhook in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    pub succeeded: u64,
    pub failed: u64,
    /// Of all of them together.
    pub duration_ms: u64,
}

/// How the last attempt for a webhook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    pub at: Timestamp,
    pub outcome: Outcome,
    pub response_code: Option<u16>,
}

/// What happened in a project or organization in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub events: u64,
    pub deliveries: u64,
    pub attempts: u64,
    /// Attempts that did not succeed.
    pub failed: u64,
}

impl Usage {
    /// What happened in the `span` before `now`, of spans of five minutes with their starts; see [`project`]. Of the one that
    /// lies only partly in it, its share is taken.
    pub fn within(buckets: &[(Timestamp, Usage)], now: Timestamp, span: Duration) -> Usage {
        let from = now.minus(span).millis();
        let length = Span::FiveMinutes.millis();
        let part = |start: Timestamp| (start.millis() + length - from).clamp(0, length) as f64 / length as f64;
        let sum = |figure: fn(&Usage) -> u64| {
            buckets.iter().map(|(start, usage)| part(*start) * figure(usage) as f64).sum::<f64>().round() as u64
        };
        Usage {
            events: sum(|usage| usage.events),
            deliveries: sum(|usage| usage.deliveries),
            attempts: sum(|usage| usage.attempts),
            failed: sum(|usage| usage.failed),
        }
    }
}

/// What an organization used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationUsage {
    pub organization: OrganizationId,
    pub external_id: Option<String>,
    pub name: String,
    /// Since the first and the second of the times that were asked for.
    pub usage: [Usage; 2],
}

/// What waits in a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that are not final, be they due or not.
    pub deliveries: u64,
    /// When the first of them is or was due.
    pub first_due: Option<Timestamp>,
    /// The same of webhooks that are on: what is paused waits as it should.
    pub first_due_of_active: Option<Timestamp>,
    /// Whether there may be more: only [`MAX_BACKLOG`] were looked at.
    pub more: bool,
}

fn count(row: &dyn Row, column: usize) -> StoreResult<u64> {
    u64::try_from(row.int(column)?).map_err(|_| StoreError::Damaged("a figure is below zero".to_owned()))
}

/// Attempts of a webhook since each of three times: the first two are taken down to five minutes and lie within a few
/// days, the third to the hour.
pub fn attempts(webhook: WebhookId, since: [Timestamp; 3]) -> Query<[Attempts; 3]> {
    let [first, second, third] = since;
    let sum = |from: usize, span: Span| {
        let sums = |column: &str| {
            format!(
                "(SELECT coalesce(sum({column}), 0) FROM stats WHERE kind = 2 AND subject_id = ?4 AND span = {} AND bucket >= ?{from})",
                span as i64
            )
        };
        ["succeeded", FAILED, "duration_ms"].map(sums).join(", ")
    };
    let sums = [sum(1, Span::FiveMinutes), sum(2, Span::FiveMinutes), sum(3, Span::Hour)];
    Query {
        sql: format!("SELECT {}", sums.join(", ")).into(),
        arguments: crate::arguments![
            Span::FiveMinutes.start(first),
            Span::FiveMinutes.start(second),
            Span::Hour.start(third),
            webhook.0
        ],
        decode: |row| {
            let read = |at: usize| -> StoreResult<Attempts> {
                Ok(Attempts {
                    succeeded: count(row, at)?,
                    failed: count(row, at + 1)?,
                    duration_ms: count(row, at + 2)?,
                })
            };
            Ok([read(0)?, read(3)?, read(6)?])
        },
    }
}

/// Figures by `span`, from the one that holds `since`, oldest first; each with the time of its start. Spans in which nothing
/// happened are left out.
pub fn series(subject: Subject, span: Span, since: Timestamp) -> Query<(Timestamp, Figures)> {
    let sql = format!(
        "SELECT bucket, {} FROM stats WHERE kind = ?1 AND subject_id = ?2 AND span = ?3 AND bucket >= ?4 ORDER BY bucket",
        COLUMNS.join(", ")
    );
    Query {
        sql: sql.into(),
        arguments: crate::arguments![subject.kind(), subject.id(), span as i64, span.start(since)],
        decode: |row| Ok((Timestamp(row.int(0)?), Figures::read(row, 1)?)),
    }
}

/// How the last attempt for a webhook ended, while statistics of it are kept.
pub fn last_attempt(webhook: WebhookId) -> Query<LastAttempt> {
    Query {
        sql: "SELECT last_at, last_outcome, last_response FROM stats
              WHERE kind = 2 AND subject_id = ?1 AND span = 1 AND last_at IS NOT NULL ORDER BY bucket DESC LIMIT 1"
            .into(),
        arguments: crate::arguments![webhook.0],
        decode: |row| last(row, 0),
    }
}

fn last(row: &dyn Row, at: usize) -> StoreResult<LastAttempt> {
    let damaged = |what: &str| StoreError::Damaged(format!("the last attempt has {what}"));
    let code = row.int_or_null(at + 2)?.map(u16::try_from).transpose();
    Ok(LastAttempt {
        at: Timestamp(row.int(at)?),
        outcome: Outcome::from_number(row.int(at + 1)?).ok_or_else(|| damaged("an unknown outcome"))?,
        response_code: code.map_err(|_| damaged("no status"))?,
    })
}

/// What a webhook got in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourOfWebhook {
    pub webhook: WebhookId,
    /// The hour's start.
    pub start: Timestamp,
    pub succeeded: u64,
    pub failed: u64,
}

/// Attempts of these webhooks by the hour, from the hour that holds `since`; hours without any are left out.
pub fn hours(webhooks: &[WebhookId], since: Timestamp) -> Query<HourOfWebhook> {
    Query {
        sql: format!(
            "SELECT subject_id, bucket, succeeded, {FAILED} FROM stats
             WHERE kind = 2 AND subject_id IN ({}) AND span = 1 AND bucket >= ?1 ORDER BY subject_id, bucket",
            listed(webhooks.iter().map(|id| id.0))
        )
        .into(),
        arguments: crate::arguments![Span::Hour.start(since)],
        decode: |row| {
            Ok(HourOfWebhook {
                webhook: WebhookId(row.int(0)?),
                start: Timestamp(row.int(1)?),
                succeeded: count(row, 2)?,
                failed: count(row, 3)?,
            })
        },
    }
}

/// When each of these webhooks was last sent something, while statistics of it are kept.
pub fn last_sent(webhooks: &[WebhookId]) -> Query<(WebhookId, Timestamp)> {
    Query {
        sql: format!(
            "SELECT id, last_at FROM (
                 SELECT w.id, (SELECT last_at FROM stats WHERE kind = 2 AND subject_id = w.id AND span = 1
                     AND last_at IS NOT NULL ORDER BY bucket DESC LIMIT 1) AS last_at
                 FROM webhooks w WHERE w.id IN ({})) AS sent
             WHERE last_at IS NOT NULL",
            listed(webhooks.iter().map(|id| id.0))
        )
        .into(),
        arguments: Vec::new(),
        decode: |row| Ok((WebhookId(row.int(0)?), Timestamp(row.int(1)?))),
    }
}

/// What happened in a project, by five minutes, from those that hold `since`; each with the time of its start.
pub fn project(project: ProjectId, since: Timestamp) -> Query<(Timestamp, Usage)> {
    Query {
        sql: format!(
            "SELECT bucket, events, deliveries, {ATTEMPTS}, {FAILED} FROM stats
             WHERE kind = 0 AND subject_id = ?1 AND span = 0 AND bucket >= ?2 ORDER BY bucket"
        )
        .into(),
        arguments: crate::arguments![project.0, Span::FiveMinutes.start(since)],
        decode: |row| Ok((Timestamp(row.int(0)?), usage(row, 1)?)),
    }
}

fn usage(row: &dyn Row, at: usize) -> StoreResult<Usage> {
    Ok(Usage {
        events: count(row, at)?,
        deliveries: count(row, at + 1)?,
        attempts: count(row, at + 2)?,
        failed: count(row, at + 3)?,
    })
}

/// A page of a project's customers, and what each used since two times, which are taken down to whole hours.
pub fn organizations(project: ProjectId, since: [Timestamp; 2], page: Page) -> Query<OrganizationUsage> {
    let starts = since.map(|at| Span::Hour.start(at));
    let earliest = starts.into_iter().min().unwrap_or(0);
    let sum =
        |column: &str, number: usize| format!("coalesce(sum(CASE WHEN bucket >= ?{number} THEN {column} END), 0)");
    let sums: Vec<String> = (1..=2)
        .flat_map(|number| ["events", "deliveries", ATTEMPTS, FAILED].map(|column| sum(column, number)))
        .collect();
    let sql = format!(
        "SELECT o.id, o.external_id, o.name, {}
         FROM (SELECT id, external_id, name FROM organizations
               WHERE project_id = ?3 AND is_operator = 0 AND id < ?4 ORDER BY id DESC LIMIT ?5) o
         LEFT JOIN stats s ON s.kind = 1 AND s.subject_id = o.id AND s.span = 1 AND s.bucket >= ?6
         GROUP BY o.id, o.external_id, o.name ORDER BY o.id DESC",
        sums.join(", ")
    );
    Query {
        sql: sql.into(),
        arguments: crate::arguments![
            starts[0],
            starts[1],
            project.0,
            page.before.unwrap_or(i64::MAX),
            i64::from(page.limit),
            earliest
        ],
        decode: |row| {
            Ok(OrganizationUsage {
                organization: OrganizationId(row.int(0)?),
                external_id: row.text_or_null(1)?,
                name: row.text(2)?,
                usage: [usage(row, 3)?, usage(row, 7)?],
            })
        },
    }
}

/// What waits for the webhooks of a project. Looks at no more than [`MAX_BACKLOG`] deliveries, in an index.
pub fn backlog(project: ProjectId) -> Query<Backlog> {
    Query {
        sql: "SELECT coalesce(sum(CASE WHEN h.project_id = ?2 THEN w.waiting END), 0),
                  min(CASE WHEN h.project_id = ?2 THEN w.due END),
                  min(CASE WHEN h.project_id = ?2 AND h.status = ?3 THEN w.due END),
                  coalesce(sum(w.waiting), 0)
              FROM (
                  SELECT webhook_id, count(*) AS waiting, min(next_attempt_at) AS due
                  FROM (SELECT lease_node, webhook_id, next_attempt_at FROM deliveries INDEXED BY deliveries_live
                        WHERE state < 2 ORDER BY lease_node, webhook_id LIMIT ?1)
                  GROUP BY lease_node, webhook_id) w
              LEFT JOIN webhooks h ON h.id = w.webhook_id"
            .into(),
        arguments: crate::arguments![i64::from(MAX_BACKLOG), project.0, Status::Active as i64],
        decode: |row| {
            let due = |column| -> StoreResult<Option<Timestamp>> {
                Ok(row.int_or_null(column)?.map(Timestamp).filter(|due| *due != Timestamp::NEVER))
            };
            Ok(Backlog {
                deliveries: count(row, 0)?,
                first_due: due(1)?,
                first_due_of_active: due(2)?,
                more: count(row, 3)? >= u64::from(MAX_BACKLOG),
            })
        },
    }
}

/// What these organizations used since a time, which is taken down to a whole hour. Those that used nothing are left out.
pub fn usage_of(organizations: &[OrganizationId], since: Timestamp) -> Query<(OrganizationId, Usage)> {
    let list = listed(organizations.iter().map(|id| id.0));
    Query {
        sql: format!(
            "SELECT subject_id, sum(events), sum(deliveries), sum({ATTEMPTS}), sum({FAILED}) FROM stats
             WHERE kind = 1 AND subject_id IN ({list}) AND span = 1 AND bucket >= ?1 GROUP BY subject_id"
        )
        .into(),
        arguments: crate::arguments![Span::Hour.start(since)],
        decode: |row| Ok((OrganizationId(row.int(0)?), usage(row, 1)?)),
    }
}

/// How the last attempt for each of these webhooks ended, while statistics of it are kept.
pub fn last_attempts(webhooks: &[WebhookId]) -> Query<(WebhookId, LastAttempt)> {
    let values = webhooks.iter().map(|id| format!("({})", id.0)).collect::<Vec<_>>().join(",");
    // A list without entries is not valid, and no webhook has the id 0.
    let values = if values.is_empty() { "(0)".to_owned() } else { values };
    Query {
        sql: format!(
            "WITH w (id) AS (VALUES {values})
             SELECT w.id, s.last_at, s.last_outcome, s.last_response FROM w
             JOIN stats s ON s.kind = 2 AND s.subject_id = w.id AND s.span = 1 AND s.bucket = (
                 SELECT max(bucket) FROM stats
                 WHERE kind = 2 AND subject_id = w.id AND span = 1 AND last_at IS NOT NULL)"
        )
        .into(),
        arguments: Vec::new(),
        decode: |row| Ok((WebhookId(row.int(0)?), last(row, 1)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_counts_as_far_as_it_lies_in_the_time() {
        let usage = |events| Usage { events, ..Usage::default() };
        let start = |number: i64| Timestamp(number * Span::FiveMinutes.millis());
        let buckets = [(start(8), usage(1_000)), (start(9), usage(100)), (start(10), usage(7))];
        // A fifth of the newest bucket has passed, so four fifths of the one before count.
        let now = Timestamp(start(10).millis() + Span::FiveMinutes.millis() / 5);
        assert_eq!(Usage::within(&buckets, now, Duration::from_secs(300)).events, 80 + 7);
    }
}
