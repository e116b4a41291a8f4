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

    /// The subject with this kind and this id.
    pub(crate) fn from_parts(kind: i64, id: i64) -> Option<Subject> {
        match kind {
            0 => Some(Subject::Project(ProjectId(id))),
            1 => Some(Subject::Organization(OrganizationId(id))),
            2 => Some(Subject::Webhook(WebhookId(id))),
            _ => None,
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

/// The starts of the spans for which there are figures, from one on, as a table for a recursive query. Figures lie by time first,
/// so that those of a subject are found by a look for each span.
fn starts(name: &str, span: &str, from: &str) -> String {
    format!(
        "{name} (start) AS (
             SELECT min(bucket) FROM stats WHERE span = {span} AND bucket >= {from}
             UNION ALL
             SELECT (SELECT min(bucket) FROM stats WHERE span = {span} AND bucket > {name}.start) FROM {name}
             WHERE {name}.start IS NOT NULL)"
    )
}

/// The rows of figures of each of these spans that match a condition, to be added to a query with [`starts`].
fn in_spans(name: &str, span: &str) -> String {
    format!("{name} CROSS JOIN stats s WHERE s.span = {span} AND s.bucket = {name}.start")
}

/// Attempts of a webhook since each of three times: the first two are taken down to five minutes and lie within a few
/// days, the third to the hour.
pub fn attempts(webhook: WebhookId, since: [Timestamp; 3]) -> Query<[Attempts; 3]> {
    let [first, second, third] = since;
    let [first, second] = [first, second].map(|at| Span::FiveMinutes.start(at));
    let columns = format!("s.span, s.bucket, s.succeeded, {FAILED} AS failed, s.duration_ms");
    let sums = |which: &str| {
        ["succeeded", "failed", "duration_ms"]
            .map(|column| format!("coalesce(sum(CASE WHEN {which} THEN {column} END), 0)"))
            .join(", ")
    };
    let sums = [sums("span = 0 AND bucket >= ?4"), sums("span = 0 AND bucket >= ?5"), sums("span = 1")].join(", ");
    let (minutes, hours) = (starts("m", "0", "?1"), starts("h", "1", "?2"));
    let (in_minutes, in_hours) = (in_spans("m", "0"), in_spans("h", "1"));
    Query {
        sql: format!(
            "WITH RECURSIVE {minutes}, {hours}
             SELECT {sums} FROM (
                 SELECT {columns} FROM {in_minutes} AND s.kind = 2 AND s.subject_id = ?3
                 UNION ALL SELECT {columns} FROM {in_hours} AND s.kind = 2 AND s.subject_id = ?3) AS of_webhook"
        )
        .into(),
        arguments: crate::arguments![first.min(second), Span::Hour.start(third), webhook.0, first, second],
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
        "WITH RECURSIVE {} SELECT s.bucket, {} FROM {} AND s.kind = ?3 AND s.subject_id = ?4 ORDER BY s.bucket",
        starts("t", "?1", "?2"),
        COLUMNS.join(", "),
        in_spans("t", "?1")
    );
    Query {
        sql: sql.into(),
        arguments: crate::arguments![span as i64, span.start(since), subject.kind(), subject.id()],
        decode: |row| Ok((Timestamp(row.int(0)?), Figures::read(row, 1)?)),
    }
}

/// How the last attempt for a webhook ended.
pub fn last_attempt(webhook: WebhookId) -> Query<LastAttempt> {
    Query {
        sql: "SELECT at, outcome, response FROM last_attempts WHERE webhook_id = ?1".into(),
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
            "WITH RECURSIVE {} SELECT s.subject_id, s.bucket, s.succeeded, {FAILED} FROM {}
             AND s.kind = 2 AND s.subject_id IN ({}) ORDER BY s.subject_id, s.bucket",
            starts("t", "1", "?1"),
            in_spans("t", "1"),
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

/// When each of these webhooks was last sent something.
pub fn last_sent(webhooks: &[WebhookId]) -> Query<(WebhookId, Timestamp)> {
    Query {
        sql: format!(
            "SELECT webhook_id, at FROM last_attempts WHERE webhook_id IN ({}) ORDER BY webhook_id",
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
            "WITH RECURSIVE {} SELECT s.bucket, events, deliveries, {ATTEMPTS}, {FAILED} FROM {}
             AND s.kind = 0 AND s.subject_id = ?2 ORDER BY s.bucket",
            starts("t", "0", "?1"),
            in_spans("t", "0")
        )
        .into(),
        arguments: crate::arguments![Span::FiveMinutes.start(since), project.0],
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
    let starts_of_both = since.map(|at| Span::Hour.start(at));
    let earliest = starts_of_both.into_iter().min().unwrap_or(0);
    let (mut sums, mut columns) = (String::new(), String::new());
    for since in [5, 6] {
        for (number, column) in ["events", "deliveries", ATTEMPTS, FAILED].into_iter().enumerate() {
            let name = format!("sum_{since}_{number}");
            sums.push_str(&format!(", sum(CASE WHEN s.bucket >= ?{since} THEN {column} END) AS {name}"));
            columns.push_str(&format!(", coalesce({name}, 0)"));
        }
    }
    let (hours, in_hours) = (starts("t", "1", "?1"), in_spans("t", "1"));
    let sql = format!(
        "WITH RECURSIVE {hours},
         o AS (SELECT id, external_id, name FROM organizations
               WHERE project_id = ?2 AND is_operator = 0 AND id < ?3 ORDER BY id DESC LIMIT ?4),
         u AS (SELECT s.subject_id{sums} FROM {in_hours} AND s.kind = 1 AND s.subject_id IN (SELECT id FROM o)
               GROUP BY s.subject_id)
         SELECT o.id, o.external_id, o.name{columns} FROM o LEFT JOIN u ON u.subject_id = o.id ORDER BY o.id DESC"
    );
    Query {
        sql: sql.into(),
        arguments: crate::arguments![
            earliest,
            project.0,
            page.before.unwrap_or(i64::MAX),
            i64::from(page.limit),
            starts_of_both[0],
            starts_of_both[1]
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
            "WITH RECURSIVE {} SELECT s.subject_id, sum(events), sum(deliveries), sum({ATTEMPTS}), sum({FAILED}) FROM {}
             AND s.kind = 1 AND s.subject_id IN ({list}) GROUP BY s.subject_id",
            starts("t", "1", "?1"),
            in_spans("t", "1")
        )
        .into(),
        arguments: crate::arguments![Span::Hour.start(since)],
        decode: |row| Ok((OrganizationId(row.int(0)?), usage(row, 1)?)),
    }
}

/// How the last attempt for each of these webhooks ended.
pub fn last_attempts(webhooks: &[WebhookId]) -> Query<(WebhookId, LastAttempt)> {
    Query {
        sql: format!(
            "SELECT webhook_id, at, outcome, response FROM last_attempts WHERE webhook_id IN ({}) ORDER BY webhook_id",
            listed(webhooks.iter().map(|id| id.0))
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
