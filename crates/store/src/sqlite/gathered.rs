//! Figures gathered in memory over many commits, so that a row is written once for what happened in seconds, together with its
//! neighbours.
//!
//! While little happens, figures are written in the commit that they count. While much does, each commit only notes what it
//! counted, in one small row. After some seconds all of it is written, a piece in each of the following commits, and
//! then the notes are removed. After a crash the notes are read, so that nothing that was counted is lost or counted twice.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_engine::time::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::open::unavailable;
use super::rows;
use super::tally::{self, Key, Row, Rows, Tally};
use crate::error::{StoreError, StoreResult};
use crate::stats::Subject;

/// How long figures are gathered before they are written.
const GATHERED_FOR: Duration = Duration::from_secs(5);
/// Up to so many operations in a second, figures are written with them.
const FEW_OPERATIONS: usize = 128;
/// Rows that are gathered before they are written, however soon; some 300 bytes each.
const MAX_ROWS: usize = 32_768;
/// Rows that are written in one commit, where that is enough to write all of them in [`COMMITS`].
const PIECE: usize = 256;
/// In so many commits all that was gathered is written, so that what is gathered meanwhile stays bounded.
const COMMITS: usize = 128;
/// The note of how far the writing has come; other notes count from 1.
const PROGRESS: i64 = 0;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// What is noted and waits to be written.
    waiting: Rows,
    /// Since when.
    since: Option<Timestamp>,
    /// The newest note.
    newest: i64,
    /// What is being written: everything up to the note `writing_to` that is not written yet.
    writing: Rows,
    writing_to: i64,
    /// Whether it is to be written soon, whatever the time.
    hurries: bool,
    /// The second of the last operation, and how many there were in it.
    second: (i64, usize),
}

/// What one commit does about figures.
#[derive(Debug)]
pub(super) struct Step {
    /// The note of what the commit counts, unless that is written at once.
    noted: Option<i64>,
    /// Up to which row this commit writes what is being written.
    written_to: Option<Key>,
}

impl Gathered {
    /// Reads what was noted and not written when the last process ended, and notes it as one.
    pub(super) fn recover(connection: &mut Connection) -> StoreResult<Gathered> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
        let notes = rows::all(&transaction, "SELECT id, facts FROM uncounted ORDER BY id", (), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        if notes.is_empty() {
            return Ok(Gathered::default());
        }
        let mut waiting = BTreeMap::new();
        let mut progress = None;
        for (id, facts) in notes {
            if id == PROGRESS {
                progress = Some(decode_progress(&facts)?);
                continue;
            }
            let is_written = |key: &Key| progress.is_some_and(|(to, last)| id <= to && *key <= last);
            let rows = tally::decode(&facts)?;
            add_all(&mut waiting, rows.into_iter().filter(|(key, _)| !is_written(key)));
        }
        rows::execute(&transaction, "DELETE FROM uncounted", ())?;
        let newest = note(&transaction, &waiting)?;
        transaction.commit().map_err(unavailable)?;
        Ok(Gathered { waiting, newest, hurries: true, ..Gathered::default() })
    }

    /// Writes or notes what a commit counts, and writes the next piece of what is due.
    pub(super) fn write(
        &self,
        transaction: &Transaction<'_>,
        now: Timestamp,
        operations: usize,
        tally: &Tally,
    ) -> StoreResult<Step> {
        let is_quiet = self.is_empty() && self.in_this_second(now) + operations <= FEW_OPERATIONS;
        let noted = match (is_quiet, tally.is_empty()) {
            (_, true) => None,
            (true, false) => {
                tally::write(transaction, tally.rows())?;
                None
            }
            (false, false) => Some(note(transaction, tally.rows())?),
        };
        let written_to = self.write_piece(transaction)?;
        Ok(Step { noted, written_to })
    }

    fn write_piece(&self, transaction: &Transaction<'_>) -> StoreResult<Option<Key>> {
        let piece = self.writing.len().div_ceil(COMMITS).max(PIECE).min(self.writing.len());
        let Some(last) = piece.checked_sub(1).and_then(|place| self.writing.keys().nth(place)) else { return Ok(None) };
        tally::write(transaction, self.writing.range(..=*last))?;
        match self.writing.last_key_value().is_some_and(|(end, _)| end == last) {
            true => rows::execute(transaction, "DELETE FROM uncounted WHERE id <= ?1", [self.writing_to])?,
            false => rows::execute(
                transaction,
                "INSERT INTO uncounted (id, facts) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET facts = excluded.facts",
                (PROGRESS, encode_progress(self.writing_to, last)),
            )?,
        };
        Ok(Some(*last))
    }

    /// The commit is on the disk.
    pub(super) fn committed(&mut self, now: Timestamp, operations: usize, tally: Tally, step: &Step) {
        self.second = (now.seconds(), self.in_this_second(now) + operations);
        if let Some(noted) = step.noted {
            self.newest = noted;
            self.since.get_or_insert(now);
            add_all(&mut self.waiting, tally.into_rows());
        }
        if let Some(last) = step.written_to {
            let rest = self.writing.split_off(&last);
            self.writing = rest;
            self.writing.remove(&last);
        }
        if self.writing.is_empty() && self.is_due(now) {
            self.writing = std::mem::take(&mut self.waiting);
            self.writing_to = self.newest;
            self.since = None;
            self.hurries = false;
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let waited = |since: Timestamp| now >= since.plus(GATHERED_FOR) || now < since;
        !self.waiting.is_empty() && (self.hurries || self.waiting.len() > MAX_ROWS || self.since.is_some_and(waited))
    }

    fn in_this_second(&self, now: Timestamp) -> usize {
        if self.second.0 == now.seconds() { self.second.1 } else { 0 }
    }

    /// Has what waits written by the next commits, since there is nothing else to do.
    pub(super) fn hurry(&mut self) {
        self.hurries = !self.waiting.is_empty();
    }

    /// Whether the next commit has figures to write.
    pub(super) fn has_a_piece(&self) -> bool {
        !self.writing.is_empty() || (self.hurries && !self.waiting.is_empty())
    }

    /// Whether everything is written.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_empty()
    }

    /// Writes everything at once.
    pub(super) fn write_all(&self, transaction: &Transaction<'_>) -> StoreResult<()> {
        tally::write(transaction, self.writing.iter().chain(&self.waiting))?;
        rows::execute(transaction, "DELETE FROM uncounted", ())?;
        Ok(())
    }
}

fn add_all(rows: &mut Rows, more: impl IntoIterator<Item = (Key, Row)>) {
    for (key, row) in more {
        rows.entry(key).or_default().add(&row);
    }
}

/// Keeps a note of what was counted; answers its number.
fn note(transaction: &Transaction<'_>, rows: &Rows) -> StoreResult<i64> {
    // Numbers go on from the largest, which is zero while only the progress is noted.
    rows::execute(
        transaction,
        "INSERT INTO uncounted (id, facts) SELECT coalesce(max(id), 0) + 1, ?1 FROM uncounted",
        [tally::encode(rows)],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// Up to which note, and up to which row of it, figures are written.
fn encode_progress(to: i64, (start, subject): &Key) -> Vec<u8> {
    [to, *start, subject.kind(), subject.id()].into_iter().flat_map(i64::to_be_bytes).collect()
}

fn decode_progress(bytes: &[u8]) -> StoreResult<(i64, Key)> {
    let damaged = || StoreError::Damaged("the progress of figures is not readable".to_owned());
    let (numbers, []) = bytes.as_chunks::<8>() else { return Err(damaged()) };
    let [to, start, kind, id] = numbers else { return Err(damaged()) };
    let [to, start, kind, id] = [to, start, kind, id].map(|number| i64::from_be_bytes(*number));
    let subject = Subject::from_parts(kind, id).ok_or_else(damaged)?;
    Ok((to, (start, subject)))
}
