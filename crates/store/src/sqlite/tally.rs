//! What one commit counts, and how it is noted until it is added to the figures.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use rusqlite::{Connection, params_from_iter};

use super::open::unavailable;
use crate::error::{StoreError, StoreResult};
use crate::figures::{COLUMNS, Figures};
use crate::stats::{Span, Subject};

/// Whose figures, in which five minutes: their start comes first, so that rows lie in the order in which they are written.
pub(super) type Key = (i64, Subject);

/// Figures by what they are about.
pub(super) type Rows = BTreeMap<Key, Row>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: Rows,
}

/// What is counted of one subject in five minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    figures: Figures,
    last: Option<Last>,
}

/// How the last attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    at: Timestamp,
    outcome: Outcome,
    response_code: Option<u16>,
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
    pub(super) fn add(&mut self, other: &Row) {
        self.figures.add(&other.figures);
        self.ended(other.last);
    }

    fn ended(&mut self, ended: Option<Last>) {
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
        let Ended { at, duration_ms, outcome, response_code } = ended;
        let subjects = [Subject::Project(project), Subject::Organization(organization), Subject::Webhook(webhook)];
        self.each(at, subjects, |row| row.figures.count_attempt(outcome, response_code, duration_ms));
        self.each(at, [Subject::Webhook(webhook)], |row| row.ended(Some(Last { at, outcome, response_code })));
    }

    fn each(&mut self, at: Timestamp, subjects: impl IntoIterator<Item = Subject>, change: impl Fn(&mut Row)) {
        for subject in subjects {
            change(self.rows.entry((Span::FiveMinutes.start(at), subject)).or_default());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn into_rows(self) -> Rows {
        self.rows
    }
}

/// Adds rows to the figures that are kept.
pub(super) fn write<'r>(
    connection: &Connection,
    rows: impl IntoIterator<Item = (&'r Key, &'r Row)>,
) -> StoreResult<()> {
    static FIGURES: LazyLock<String> = LazyLock::new(add_figures);
    let mut add = connection.prepare_cached(&FIGURES).map_err(unavailable)?;
    let mut ended = connection.prepare_cached(ENDED).map_err(unavailable)?;
    for ((start, subject), row) in rows {
        let columns = row.figures.columns().map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        for (span, start) in [(Span::FiveMinutes, *start), (Span::Hour, Span::Hour.start(Timestamp(*start)))] {
            let key = [span as i64, start, subject.kind(), subject.id()];
            add.execute(params_from_iter(key.into_iter().chain(columns))).map_err(unavailable)?;
        }
        if let Some(last) = row.last {
            ended.execute((subject.id(), last.at.0, last.outcome as i64, last.response_code)).map_err(unavailable)?;
        }
    }
    Ok(())
}

const ENDED: &str = "INSERT INTO last_attempts (webhook_id, at, outcome, response) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (webhook_id) DO UPDATE SET at = excluded.at, outcome = excluded.outcome, response = excluded.response
         WHERE excluded.at >= last_attempts.at";

fn add_figures() -> String {
    let places: Vec<String> = (0..4 + COLUMNS.len()).map(|index| format!("?{}", index + 1)).collect();
    let sums: Vec<String> = COLUMNS.iter().map(|column| format!("{column} = {column} + excluded.{column}")).collect();
    format!(
        "INSERT INTO stats (span, bucket, kind, subject_id, {}) VALUES ({})
         ON CONFLICT (span, bucket, kind, subject_id) DO UPDATE SET {}",
        COLUMNS.join(", "),
        places.join(", "),
        sums.join(", ")
    )
}

/// Rows as bytes. Of the figures only those that are not zero are in it, after a mask that says which.
pub(super) fn encode(rows: &Rows) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ((start, subject), row) in rows {
        bytes.push(subject.kind() as u8);
        bytes.extend(subject.id().to_be_bytes());
        bytes.extend(start.to_be_bytes());
        let columns = row.figures.columns();
        let mask =
            columns.iter().enumerate().filter(|(_, count)| **count > 0).fold(0, |mask, (at, _)| mask | 1u32 << at);
        bytes.extend(mask.to_be_bytes());
        columns.iter().filter(|count| **count > 0).for_each(|count| bytes.extend(count.to_be_bytes()));
        match row.last {
            None => bytes.push(0),
            Some(Last { at, outcome, response_code }) => {
                bytes.push(1);
                bytes.extend(at.0.to_be_bytes());
                bytes.push(outcome as u8);
                // No answer has the status 0.
                bytes.extend(response_code.unwrap_or(0).to_be_bytes());
            }
        }
    }
    bytes
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(mut bytes: &[u8]) -> StoreResult<Vec<(Key, Row)>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        rows.push(decode_row(&mut bytes).ok_or_else(|| StoreError::Damaged("noted figures are cut short".to_owned()))?);
    }
    Ok(rows)
}

fn decode_row(bytes: &mut &[u8]) -> Option<(Key, Row)> {
    let [kind] = take(bytes)?;
    let subject = Subject::from_parts(i64::from(kind), i64::from_be_bytes(take(bytes)?))?;
    let start = i64::from_be_bytes(take(bytes)?);
    let mask = u32::from_be_bytes(take(bytes)?);
    let mut columns = [0; COLUMNS.len()];
    for (at, column) in columns.iter_mut().enumerate() {
        if mask >> at & 1 == 1 {
            *column = u64::from_be_bytes(take(bytes)?);
        }
    }
    let last = match take(bytes)? {
        [0] => None,
        _ => {
            let at = Timestamp(i64::from_be_bytes(take(bytes)?));
            let [outcome] = take(bytes)?;
            let outcome = Outcome::from_number(i64::from(outcome))?;
            let response_code = Some(u16::from_be_bytes(take(bytes)?)).filter(|code| *code != 0);
            Some(Last { at, outcome, response_code })
        }
    };
    Some(((start, subject), Row { figures: Figures::from_columns(&columns), last }))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_noted() {
        let mut tally = Tally::default();
        let now = Timestamp(1_800_000_000_000);
        tally.event(now, (ProjectId(1), OrganizationId(i64::MAX)), 70_000);
        tally.late_delivery(now, ProjectId(1), OrganizationId(2));
        for (outcome, response_code, duration_ms) in
            [(Outcome::Success, Some(204), 0), (Outcome::Status, Some(599), u32::MAX), (Outcome::Unknown, None, 7)]
        {
            let ended = Ended { at: now, duration_ms, outcome, response_code };
            tally.attempt(ProjectId(1), OrganizationId(2), WebhookId(i64::from(duration_ms)), ended);
        }
        let bytes = encode(tally.rows());
        assert_eq!(decode(&bytes).unwrap().into_iter().collect::<Rows>(), tally.into_rows());
        assert_eq!(decode(&[]).unwrap(), []);
        assert!(decode(&bytes[..bytes.len() - 1]).is_err());
    }
}
