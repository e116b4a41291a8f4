//! The thread that writes: takes whatever waits, commits it together, tells everyone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanfare_engine::time::Timestamp;

use super::core::Core;
use super::folder::Folder;
use super::inbox::{Done, Entry, Inbox};
use super::wide::{self, Piece, Progress};
use crate::error::{StoreError, StoreResult};
use crate::queue::{Accept, Answer, Operation};

/// Most operations of one commit.
const BATCH: usize = 1_000;
/// A commit that writes so many rows takes no further operation, so that others need not wait for long.
const BATCH_ROWS: usize = 10_000;
/// The log of changes is folded into the main file whenever about so many pages were added to it (32 MiB).
const FOLD_PAGES: u64 = 4_096;
/// Once it has so many (128 MiB) it starts anew. The writer folds the last of it itself for that, which takes some
/// milliseconds: seldom enough that few notice. A start after a crash reads it whole.
const RENEW_PAGES: u64 = 4 * FOLD_PAGES;
/// Past this many pages the writer folds it all itself, so that the log stays bounded (512 MiB).
const FOLD_AT_ONCE_PAGES: u64 = 65_536;

/// After so long without operations, figures are written that would be gathered further.
const IDLE: Duration = Duration::from_millis(250);
/// How long the writer rests after outcomes could not be written.
const AGAIN: Duration = Duration::from_millis(200);

/// Figures about commits, for the metrics.
#[derive(Debug, Default)]
pub struct CommitFigures {
    /// Commits made.
    pub commits: AtomicU64,
    /// Operations in them.
    pub operations: AtomicU64,
    /// Microseconds that they took, all together.
    pub micros: AtomicU64,
    /// Commits by duration; the bounds are [`COMMIT_BUCKETS_MICROS`].
    pub buckets: [AtomicU64; COMMIT_BUCKETS_MICROS.len() + 1],
}

/// Upper bounds of the buckets of commit durations, in microseconds.
pub const COMMIT_BUCKETS_MICROS: [u64; 10] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 2_000_000];

impl CommitFigures {
    fn add(&self, operations: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = COMMIT_BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(operations as u64, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

/// The wall clock, given by the caller.
pub(super) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Writes until the inbox is closed and empty. A panic costs what it happened on and nothing else: an operation that panics
/// is answered with an error, and whoever waits for another one is told what came of that.
pub(super) fn run(core: Core, inbox: &Inbox, now: &Now, figures: &CommitFigures, folder: &Folder) {
    // Should the thread end in spite of that, nothing may wait for it.
    let _closing = CloseOnPanic(inbox);
    let mut writer = Writer { core, inbox, now, figures, folder, wide: None, asked_at: 0 };
    let mut entries: Vec<Entry> = Vec::with_capacity(BATCH);
    let mut operations = Vec::with_capacity(BATCH);
    let mut listeners = Vec::with_capacity(BATCH);
    while inbox.take_within(writer.patience(), BATCH, BATCH_ROWS, &mut entries).is_some() {
        for Entry { operation, done } in entries.drain(..) {
            match (wide::width(&operation), operation) {
                (Some(_), Operation::Accept(accept)) => {
                    writer.wide = Some(Wide { accept, done, progress: Progress::default() });
                }
                (_, operation) => {
                    operations.push(operation);
                    listeners.push(done);
                }
            }
        }
        if operations.is_empty() && writer.wide.is_none() {
            // Nothing came: time for the figures.
            writer.core.gathered().hurry();
        }
        writer.commit(&mut operations, &mut listeners);
        writer.fold();
    }
    // What a full disk does not take now is noted, and written after the next start.
    let _ = writer.core.write_figures();
    writer.core.checkpoint();
}

struct CloseOnPanic<'a>(&'a Inbox);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

/// An event for many webhooks that is being written.
struct Wide {
    accept: Accept,
    done: Done,
    progress: Progress,
}

/// What became of each operation, and of the piece beside them.
type Outcomes = (Vec<StoreResult<Answer>>, Option<StoreResult<Piece>>);

struct Writer<'a> {
    core: Core,
    inbox: &'a Inbox,
    now: &'a Now,
    figures: &'a CommitFigures,
    folder: &'a Folder,
    wide: Option<Wide>,
    /// How many pages the log had when a fold was asked for last.
    asked_at: u64,
}

impl Writer<'_> {
    /// For how long to wait for operations until there is something else to do; `None` while there is not.
    fn patience(&mut self) -> Option<Duration> {
        let gathered = self.core.gathered();
        match (gathered.has_a_piece(), gathered.is_empty()) {
            (true, _) => Some(Duration::ZERO),
            (false, false) => Some(IDLE),
            (false, true) => None,
        }
    }

    /// Carries operations out and tells their listeners. What must be kept and could not be written goes back to the inbox.
    #[expect(
        clippy::disallowed_methods,
        reason = "durations of commits are measured for the metrics; no decision depends on them"
    )]
    fn commit(&mut self, operations: &mut Vec<Operation>, listeners: &mut Vec<Done>) {
        let started = std::time::Instant::now();
        let (answers, piece) = self.apply(operations);
        self.figures.add(operations.len(), started.elapsed());
        let mut unwritten = Vec::new();
        for ((operation, done), answer) in operations.drain(..).zip(listeners.drain(..)).zip(answers) {
            match answer {
                Err(StoreError::Unavailable(_)) if operation.must_be_kept() => {
                    unwritten.push(Entry { operation, done });
                }
                // The panic is reported by the hook of the process; the next listener must be told all the same.
                answer => drop(catch_unwind(AssertUnwindSafe(|| done(answer)))),
            }
        }
        let must_rest = self.go_on(piece) || !unwritten.is_empty();
        if must_rest {
            self.inbox.put_back(unwritten, AGAIN);
        }
    }

    /// Notes how far the event for many webhooks has come, and tells its listener at its end. Answers whether the piece could not
    /// be written and is to be tried again.
    fn go_on(&mut self, piece: Option<StoreResult<Piece>>) -> bool {
        let Some((wide, piece)) = self.wide.as_mut().zip(piece) else { return false };
        let answer = match piece {
            Ok(Piece::More(progress)) => {
                wide.progress = progress;
                return false;
            }
            // The event is on the disk; what is missing of it is written once there is room, or by the next start.
            Err(StoreError::Unavailable(_)) if wide.progress.is_begun() && !self.inbox.is_closed() => return true,
            Ok(Piece::End(accepted)) => Ok(Answer::Accepted(accepted)),
            Err(error) => Err(error),
        };
        self.inbox.wide_is_written();
        if let Some(Wide { done, .. }) = self.wide.take() {
            drop(catch_unwind(AssertUnwindSafe(|| done(answer))));
        }
        false
    }

    /// Where carrying them out together panics, each is carried out alone, so that only one that panics again is refused.
    fn apply(&mut self, operations: &[Operation]) -> Outcomes {
        if let Ok(outcomes) = self.try_apply(operations, true) {
            return outcomes;
        }
        let panicked = || StoreError::Damaged("the writer panicked on this operation".to_owned());
        let alone = operations.chunks(1).map(|operation| {
            let answer = self.try_apply(operation, false).ok().and_then(|(mut answers, _)| answers.pop());
            answer.unwrap_or_else(|| Err(panicked()))
        });
        let answers = alone.collect();
        let is_wide = self.wide.is_some();
        let piece = is_wide.then(|| self.try_apply(&[], true).ok().and_then(|(_, piece)| piece));
        (answers, piece.map(|piece| piece.unwrap_or_else(|| Err(panicked()))))
    }

    fn try_apply(&mut self, operations: &[Operation], with_wide: bool) -> std::thread::Result<Outcomes> {
        let wide = self.wide.as_ref().filter(|_| with_wide).map(|wide| (&wide.accept, &wide.progress));
        let core = &mut self.core;
        // The transaction is rolled back while the stack unwinds, and the rest of the core changes after its commit.
        catch_unwind(AssertUnwindSafe(|| core.apply_beside((self.now)(), operations, wide)))
    }

    /// Keeps the log of changes short; the bulk of that is done beside the writer.
    fn fold(&mut self) {
        let pages = self.core.log_pages();
        if pages < self.asked_at {
            self.asked_at = 0;
        }
        if pages > FOLD_AT_ONCE_PAGES || (self.folder.take_folded() && self.asked_at > RENEW_PAGES) {
            self.core.checkpoint();
        } else if pages > self.asked_at + FOLD_PAGES {
            self.folder.ask();
            self.asked_at = pages;
        }
    }
}
