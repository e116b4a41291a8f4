//! The thread that writes: takes whatever waits, commits it together, tells everyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanfare_engine::time::Timestamp;

use super::core::Core;
use super::folder::Folder;
use super::inbox::{Entry, Inbox};
use crate::error::StoreError;

/// Most operations of one commit.
const BATCH: usize = 1_000;
/// A commit that writes so many rows takes no further operation: an event for 10,000 webhooks takes some 30 ms, and others
/// wait for no more than that.
const BATCH_ROWS: usize = 10_000;
/// The log of changes is folded into the main file whenever about so many pages were added to it (32 MiB).
const FOLD_PAGES: u64 = 4_096;
/// Once it has so many (128 MiB) it starts anew. The writer folds the last of it itself for that, which takes some
/// milliseconds: seldom enough that few notice. A start after a crash reads it whole.
const RENEW_PAGES: u64 = 4 * FOLD_PAGES;
/// Past this many pages the writer folds it all itself, so that the log stays bounded (512 MiB).
const FOLD_AT_ONCE_PAGES: u64 = 65_536;

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

/// Writes until the inbox is closed and empty.
#[expect(
    clippy::disallowed_methods,
    reason = "durations of commits are measured for the metrics; no decision depends on them"
)]
pub(super) fn run(mut core: Core, inbox: &Inbox, now: &Now, figures: &CommitFigures, folder: &Folder) {
    // How many pages the log had when a fold was asked for last.
    let mut asked_at = 0;
    let mut entries: Vec<Entry> = Vec::with_capacity(BATCH);
    let mut operations = Vec::with_capacity(BATCH);
    let mut listeners = Vec::with_capacity(BATCH);
    while inbox.take(BATCH, BATCH_ROWS, &mut entries).is_some() {
        for Entry { operation, done } in entries.drain(..) {
            operations.push(operation);
            listeners.push(done);
        }
        let started = std::time::Instant::now();
        let answers = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| core.apply(now(), &operations)));
        figures.add(operations.len(), started.elapsed());
        let answers = answers.unwrap_or_else(|_| {
            operations.iter().map(|_| Err(StoreError::Unavailable("the writer failed".to_owned()))).collect()
        });
        let mut unwritten = Vec::new();
        for ((operation, done), answer) in operations.drain(..).zip(listeners.drain(..)).zip(answers) {
            match answer {
                Err(StoreError::Unavailable(_)) if operation.must_be_kept() => {
                    unwritten.push(Entry { operation, done });
                }
                answer => done(answer),
            }
        }
        if !unwritten.is_empty() {
            inbox.put_back(unwritten, AGAIN);
        }
        // The fold's bulk is done beside the writer.
        let pages = core.log_pages();
        if pages < asked_at {
            asked_at = 0;
        }
        if pages > FOLD_AT_ONCE_PAGES || (folder.take_folded() && asked_at > RENEW_PAGES) {
            core.checkpoint();
        } else if pages > asked_at + FOLD_PAGES {
            folder.ask();
            asked_at = pages;
        }
    }
    // What a full disk does not take now is a second's figures; there is nobody left to tell.
    let _ = core.write_figures();
    core.checkpoint();
}
