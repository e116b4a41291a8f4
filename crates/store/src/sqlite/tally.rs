//! Figures gathered in memory, so that a row is written once for each subject and not for each attempt.
//!
//! While few operations come at once, what they count is written in their own commit. While many do, it is gathered over
//! several commits, for at most [`GATHERED_FOR`] as long as anything is written at all: a crash then loses that much of the
//! figures, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use rusqlite::{Connection, params_from_iter};

use super::rows::execute;
use crate::error::StoreResult;
use crate::figures::{COLUMNS, Figures};
use crate::stats::{Span, Subject};

/// How long figures are gathered before they are written.
const GATHERED_FOR: Duration = Duration::from_secs(1);
/// Up to so many operations in a commit, figures are written with them.
const FEW_OPERATIONS: usize = 16;
/// Rows that are gathered at most.
const MAX_ROWS: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By subject and the start of its five minutes.
    rows: BTreeMap<(Subject, i64), Row>,
    /// Since when something waits to be written.
    since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    figures: Figures,
    /// The last attempt.
    last: Option<Ended>,
}

/// How an attempt ended, for the figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub at: Timestamp,
    pub duration_ms: u32,
    pub outcome: Outcome,
    pub response_code: Option<u16>,
}

impl Row {
    fn add(&mut self, other: &Row) {
        self.figures.add(&other.figures);
        self.ended(other.last);
    }

    fn ended(&mut self, ended: Option<Ended>) {
        if let Some(ended) = ended
            && self.last.is_none_or(|last| ended.at >= last.at)
        {
            self.last = Some(ended);
        }
    }
}

impl Tally {
    /// An event was kept, with so many deliveries.
    pub(super) fn event(&mut self, now: Timestamp, owners: (ProjectId, OrganizationId), deliveries: usize) {
        self.each(now, [Subject::Project(owners.0), Subject::Organization(owners.1)], |row| {
            row.figures.events += 1;
            row.figures.deliveries += deliveries as u64;
        });
    }

    /// A delivery was made of an event that was kept before.
    pub(super) fn late_delivery(&mut self, now: Timestamp, project: ProjectId, organization: OrganizationId) {
        let owners = [Subject::Project(project), Subject::Organization(organization)];
        self.each(now, owners, |row| row.figures.deliveries += 1);
    }

    /// An attempt was recorded.
    pub(super) fn attempt(
        &mut self,
        project: ProjectId,
        organization: OrganizationId,
        webhook: WebhookId,
        ended: Ended,
    ) {
        let subjects = [Subject::Project(project), Subject::Organization(organization), Subject::Webhook(webhook)];
        self.each(ended.at, subjects, |row| {
            row.figures.count_attempt(ended.outcome, ended.response_code, ended.duration_ms);
            row.ended(Some(ended));
        });
    }

    fn each(&mut self, at: Timestamp, subjects: impl IntoIterator<Item = Subject>, change: impl Fn(&mut Row)) {
        for subject in subjects {
            change(self.rows.entry((subject, Span::FiveMinutes.start(at))).or_default());
        }
    }

    /// Takes over what another gathered at `now`.
    pub(super) fn take_over(&mut self, other: Tally, now: Timestamp) {
        if !other.rows.is_empty() {
            self.since.get_or_insert(now);
        }
        for (key, row) in other.rows {
            self.rows.entry(key).or_default().add(&row);
        }
    }

    /// Whether what was gathered is to be written in a commit of so many operations.
    pub(super) fn is_due(&self, now: Timestamp, operations: usize) -> bool {
        let waited = |since: Timestamp| now >= since.plus(GATHERED_FOR) || now < since;
        operations <= FEW_OPERATIONS || self.rows.len() > MAX_ROWS || self.since.is_some_and(waited)
    }

    /// Adds everything to what is kept.
    pub(super) fn write(&self, connection: &Connection) -> StoreResult<()> {
        let mut hours: BTreeMap<(Subject, i64), Row> = BTreeMap::new();
        for ((subject, start), row) in &self.rows {
            write_row(connection, *subject, Span::FiveMinutes, *start, row)?;
            hours.entry((*subject, Span::Hour.start(Timestamp(*start)))).or_default().add(row);
        }
        hours.iter().try_for_each(|((subject, start), row)| write_row(connection, *subject, Span::Hour, *start, row))
    }
}

fn write_row(connection: &Connection, subject: Subject, span: Span, start: i64, row: &Row) -> StoreResult<()> {
    use std::sync::LazyLock;
    static SQL: LazyLock<String> = LazyLock::new(sql);
    let last = row.last;
    let numbers = row.figures.columns().map(|count| Some(i64::try_from(count).unwrap_or(i64::MAX)));
    let key = [subject.kind(), subject.id(), span as i64, start].map(Some);
    let ended = [
        last.map(|last| last.at.0),
        last.map(|last| last.outcome as i64),
        last.and_then(|last| last.response_code).map(i64::from),
    ];
    execute(connection, &SQL, params_from_iter(key.into_iter().chain(ended).chain(numbers)))?;
    Ok(())
}

fn sql() -> String {
    let places: Vec<String> = (0..7 + COLUMNS.len()).map(|index| format!("?{}", index + 1)).collect();
    let sums: Vec<String> = COLUMNS.iter().map(|column| format!("{column} = {column} + excluded.{column}")).collect();
    format!(
        "INSERT INTO stats (kind, subject_id, span, bucket, last_at, last_outcome, last_response, {})
         VALUES ({}) ON CONFLICT (kind, subject_id, span, bucket) DO UPDATE SET
             last_outcome = CASE WHEN excluded.last_at >= coalesce(last_at, excluded.last_at)
                            THEN excluded.last_outcome ELSE last_outcome END,
             last_response = CASE WHEN excluded.last_at >= coalesce(last_at, excluded.last_at)
                             THEN excluded.last_response ELSE last_response END,
             last_at = coalesce(max(last_at, excluded.last_at), last_at, excluded.last_at), {}",
        COLUMNS.join(", "),
        places.join(", "),
        sums.join(", ")
    )
}
