//! The database without threads or clock: carries out operations, many to a commit.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_engine::id::NodeId;
use fanfare_engine::time::Timestamp;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::gathered::Gathered;
use super::kept::Kept;
use super::open::{self, unavailable};
use super::rows;
use super::tally::Tally;
use super::wide::{self, Piece, Progress};
use super::{accept, claim, due, finish, keyed, prune, resend, work};
use crate::error::{StoreError, StoreResult};
use crate::query::{Change, Expect, Query};
use crate::queue::{Accept, Accepted, Answer, Learn, Operation, Touches};

/// How SQLite says that a unique value is there already: in an index, a primary key or a row's number.
const UNIQUENESS: [i32; 3] = [
    rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE,
    rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
    rusqlite::ffi::SQLITE_CONSTRAINT_ROWID,
];

/// One writing connection.
#[derive(Debug)]
pub struct Core {
    connection: Connection,
    catalogue_version: i64,
    /// What was counted and is not written yet.
    gathered: Gathered,
    /// Pages in the log of changes after the last commit.
    log_pages: Arc<AtomicU64>,
}

/// A node's place among the nodes, after joining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// This node's row.
    pub node: NodeId,
    /// Its number, for its ids; no other live node has it.
    pub number: u16,
    /// The largest id of an event or delivery; this node's ids must be larger, so that order is kept.
    pub newest_id: i64,
    /// Nodes that are no more and may still hold leases.
    pub dead: Vec<NodeId>,
}

impl Core {
    /// Opens or makes the file. Fails with [`StoreError::Refused`], having changed nothing, where it is damaged, newer
    /// or somebody else's.
    pub fn open(path: &Path) -> StoreResult<Self> {
        Self::over(open::writer(Some(path))?)
    }

    /// An empty database in memory.
    pub fn in_memory() -> StoreResult<Self> {
        Self::over(open::writer(None)?)
    }

    fn over(mut connection: Connection) -> StoreResult<Self> {
        let log_pages = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&log_pages);
        let note = move |_: &mut Wal, pages: i32| {
            seen.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(note)).map_err(unavailable)?;
        let gathered = Gathered::recover(&mut connection)?;
        let catalogue_version = connection
            .query_row("SELECT coalesce(max(version), 0) FROM catalogue_changes", [], |row| row.get(0))
            .map_err(unavailable)?;
        Ok(Core { connection, catalogue_version, gathered, log_pages })
    }

    /// Registers a node that starts now. The embedded store has one node at a time, so every other one is dead.
    pub fn join(&mut self, now: Timestamp) -> StoreResult<Joined> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
        wide::finish_all(&transaction, &mut Kept::of(&transaction))?;
        // Left by attempts that were under way when their webhook was deleted.
        let orphans = "DELETE FROM last_attempts WHERE webhook_id NOT IN (SELECT id FROM webhooks)";
        rows::execute(&transaction, orphans, ())?;
        let joined = claim::join(&transaction, now)?;
        transaction.commit().map_err(unavailable)?;
        Ok(joined)
    }

    /// Carries out the operations in one transaction and answers each. One that is refused changes nothing; where one
    /// fails otherwise, each gets a transaction of its own, so that only the failing one is undone.
    pub fn apply(&mut self, now: Timestamp, operations: &[Operation]) -> Vec<StoreResult<Answer>> {
        self.apply_beside(now, operations, None).0
    }

    /// The same; with the operations goes the next piece of an event for many webhooks, if there is one.
    pub(super) fn apply_beside(
        &mut self,
        now: Timestamp,
        operations: &[Operation],
        wide: Option<(&Accept, &Progress)>,
    ) -> (Vec<StoreResult<Answer>>, Option<StoreResult<Piece>>) {
        match self.apply_together(now, operations, wide) {
            Ok((answers, piece)) => (answers, piece.map(Ok)),
            Err(error) if operations.len() == 1 && wide.is_none() => (vec![Err(error)], None),
            Err(_) => {
                let alone = operations.iter().map(|operation| {
                    let (mut answers, _) = self.apply_together(now, std::slice::from_ref(operation), None)?;
                    answers.pop().unwrap_or_else(|| Err(StoreError::Unavailable("no answer".to_owned())))
                });
                let answers = alone.collect();
                let piece = wide.map(|wide| {
                    let (_, piece) = self.apply_together(now, &[], Some(wide))?;
                    piece.ok_or_else(|| StoreError::Unavailable("no answer".to_owned()))
                });
                (answers, piece)
            }
        }
    }

    fn apply_together(
        &mut self,
        now: Timestamp,
        operations: &[Operation],
        wide: Option<(&Accept, &Progress)>,
    ) -> StoreResult<(Vec<StoreResult<Answer>>, Option<Piece>)> {
        let mut version = self.catalogue_version;
        let mut tally = Tally::default();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
        let mut kept = Kept::of(&transaction);
        let mut answers = Vec::with_capacity(operations.len());
        for operation in operations {
            answers.push(match carry_out(&transaction, &mut kept, now, operation, &mut version, &mut tally) {
                Err(refused @ (StoreError::Taken(_) | StoreError::Stale(_))) => Err(refused),
                answer => Ok(answer?),
            });
        }
        let piece = wide
            .map(|(accept, progress)| progress.write(&transaction, &mut kept, now, accept, &mut version, &mut tally))
            .transpose()?;
        drop(kept);
        let step = self.gathered.write(&transaction, now, operations.len(), &tally)?;
        transaction.commit().map_err(unavailable)?;
        self.catalogue_version = version;
        self.gathered.committed(now, operations.len(), tally, &step);
        Ok((answers, piece))
    }

    /// Asks a question.
    pub fn read<T>(&self, query: &Query<T>) -> StoreResult<Vec<T>> {
        rows::read(&self.connection, query)
    }

    /// How many pages the log of changes holds.
    pub(super) fn log_pages(&self) -> u64 {
        self.log_pages.load(Ordering::Relaxed)
    }

    /// Writes the figures that were gathered and not written yet, all at once.
    ///
    /// # Errors
    /// The disk does not take them; they are noted, and written after the next start.
    pub fn write_figures(&mut self) -> StoreResult<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
        self.gathered.write_all(&transaction)?;
        transaction.commit().map_err(unavailable)?;
        self.gathered = Gathered::default();
        Ok(())
    }

    /// The figures that were gathered and not written yet.
    pub(super) fn gathered(&mut self) -> &mut Gathered {
        &mut self.gathered
    }

    /// Folds the log of changes into the main file as far as no reader hinders it.
    pub fn checkpoint(&self) {
        // Whatever could not be folded now is folded the next time; nothing depends on it.
        let _ = self.connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE);
    }
}

/// Carries out one operation. What is refused as taken or stale has changed nothing.
fn carry_out(
    transaction: &Transaction<'_>,
    kept: &mut Kept<'_>,
    now: Timestamp,
    operation: &Operation,
    version: &mut i64,
    tally: &mut Tally,
) -> StoreResult<Answer> {
    match operation {
        Operation::Accept(wish) => {
            let accepted = accept::accept(transaction, kept, now, wish, tally)?;
            note_learnt(transaction, wish, matches!(accepted, Accepted::New { learnt: true, .. }), version)?;
            Ok(Answer::Accepted(accepted))
        }
        Operation::Finish(outcome) => finish::finish(transaction, kept, now, outcome, tally).map(Answer::Finished),
        Operation::Claim(wish) => claim::claim(transaction, now, wish, *version).map(Answer::Claimed),
        Operation::Release(leases) => claim::release(transaction, now, leases).map(Answer::Count),
        Operation::PutOff(lease, until) => claim::put_off(transaction, *lease, *until).map(Answer::Count),
        Operation::Begin(lease) => claim::begin(transaction, *lease).map(Answer::Count),
        Operation::PullDue(wish) => due::pull(transaction, now, wish).map(Answer::Pulled),
        Operation::SkipWaiting { webhook, reason, limit } => {
            finish::skip_waiting(transaction, now, *webhook, *reason, *limit).map(Answer::Count)
        }
        Operation::Rescue { node, limit } => {
            claim::rescue(transaction, kept, now, *node, *limit, tally).map(Answer::Released)
        }
        Operation::Resend(wish) => resend::resend(transaction, now, &wish.deliveries).map(Answer::Released),
        Operation::Cancel { deliveries } => resend::cancel(transaction, now, deliveries).map(Answer::Released),
        Operation::Deliver(wish) => resend::deliver(transaction, kept, now, wish, tally).map(Answer::Released),
        Operation::Work(piece) => work::work(transaction, kept, now, piece, tally).map(Answer::Released),
        Operation::Prune(what) => prune::prune(transaction, what),
        Operation::Change { change, touches, report } => {
            apply_change(transaction, change)?;
            if let Some(report) = report {
                accept::accept(transaction, kept, now, report, tally)?;
            }
            if let Some(touches) = touches {
                *version = note_touch(transaction, *touches)?;
            }
            Ok(Answer::Changed { catalogue_version: *version })
        }
        Operation::Once(once) => {
            if keyed::is_used(transaction, now, &once.key)? {
                return Err(StoreError::Taken(keyed::NAME));
            }
            let answer = carry_out(transaction, kept, now, &once.operation, version, tally)?;
            if !matches!(&answer, Answer::Released(changed) if changed.is_empty()) {
                keyed::take(transaction, now, &once.key, &once.made)?;
            }
            Ok(answer)
        }
        Operation::Note(change) => {
            apply_change(transaction, change)?;
            Ok(Answer::Changed { catalogue_version: *version })
        }
        Operation::Heartbeat { node } => {
            let rows = rows::execute(transaction, "UPDATE nodes SET heartbeat_at = ?2 WHERE id = ?1", (node.0, now.0))?;
            Ok(Answer::Count(rows))
        }
    }
}

/// Carries out a change whole or not at all, whatever becomes of the transaction around it.
fn apply_change(transaction: &Transaction<'_>, change: &Change) -> StoreResult<()> {
    rows::execute(transaction, "SAVEPOINT change", ())?;
    let outcome = apply_steps(transaction, change);
    if outcome.is_err() {
        rows::execute(transaction, "ROLLBACK TO change", ())?;
    }
    rows::execute(transaction, "RELEASE change", ())?;
    outcome
}

fn apply_steps(transaction: &Transaction<'_>, change: &Change) -> StoreResult<()> {
    for step in &change.steps {
        let mut statement = transaction.prepare_cached(&step.sql).map_err(unavailable)?;
        let parameters = rusqlite::params_from_iter(step.arguments.iter().map(rows::as_sql));
        let changed = statement.execute(parameters).map_err(|error| match error.sqlite_error() {
            Some(cause) if UNIQUENESS.contains(&cause.extended_code) => StoreError::Taken(step.unique),
            _ => unavailable(error),
        })?;
        match step.expect {
            Expect::Some(what) if changed == 0 => return Err(StoreError::Stale(what)),
            Expect::Some(_) | Expect::Any => {}
        }
    }
    Ok(())
}

/// Raises the catalogue's version where an event brought news of what something compiled depends on.
pub(super) fn note_learnt(
    transaction: &Transaction<'_>,
    accept: &Accept,
    learnt: bool,
    version: &mut i64,
) -> StoreResult<()> {
    if learnt && accept.learn == Learn::WatchedScope {
        let organization = Some(accept.event.organization);
        *version = note_touch(transaction, Touches { project: accept.event.project, organization })?;
    }
    Ok(())
}

fn note_touch(transaction: &Transaction<'_>, touches: Touches) -> StoreResult<i64> {
    rows::execute(
        transaction,
        "INSERT INTO catalogue_changes (project_id, organization_id) VALUES (?1, ?2)",
        (touches.project.0, touches.organization.map(|organization| organization.0)),
    )?;
    Ok(transaction.last_insert_rowid())
}
