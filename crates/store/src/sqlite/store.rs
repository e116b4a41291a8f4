//! The handle to the embedded store: hands operations to the writer and questions to the readers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use fanfare_engine::time::Timestamp;
use tokio::sync::oneshot;

use super::core::{Core, Joined};
use super::folder;
use super::inbox::{Bounds, Entry, Inbox};
use super::lock::DirectoryLock;
use super::readers::Readers;
use super::rows;
use super::writer::{self, CommitFigures};
use crate::backend::Backend;
use crate::error::{StoreError, StoreResult};
use crate::query::{Change, Listed, Listing, Query};
use crate::queue::{Answer, Operation, Touches};

/// The file's name in the data directory.
pub(super) const FILE: &str = "fanfare.db";

/// What may wait in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Operations that wait for the writer; new events beyond are refused.
    pub waiting_operations: usize,
    /// Bytes of events that wait for the writer.
    pub waiting_bytes: usize,
    /// Threads that read.
    pub readers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { waiting_operations: 16_384, waiting_bytes: 64 * 1024 * 1024, readers: 2 }
    }
}

/// The store. Cheap to clone. [`Store::close`] waits until all is written; without it, what waits is written after the
/// last handle is dropped.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Arc<Inbox>,
    readers: Mutex<Option<Readers>>,
    figures: Arc<CommitFigures>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    path: PathBuf,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Store {
    /// Opens the file `fanfare.db` in `directory`, or makes it, and registers a node that starts now.
    ///
    /// # Errors
    /// [`StoreError::Refused`], with nothing changed, where the file is damaged, newer or not Fanfare's, or where another
    /// process uses the directory.
    pub fn open(
        directory: &Path,
        limits: Limits,
        now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> StoreResult<(Self, Joined)> {
        let path = directory.join(FILE);
        let lock = DirectoryLock::take(directory)?;
        let mut core = Core::open(&path)?;
        let joined = core.join(now())?;
        let readers = Readers::start(&path, limits.readers)?;
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        let (folder, folder_thread) = folder::start(path.clone()).map_err(failed)?;
        let inbox = Arc::new(Inbox::new(Bounds { operations: limits.waiting_operations, bytes: limits.waiting_bytes }));
        let figures = Arc::new(CommitFigures::default());
        let writer = {
            let (inbox, figures) = (Arc::clone(&inbox), Arc::clone(&figures));
            std::thread::Builder::new()
                .name("store-writer".to_owned())
                .spawn(move || {
                    // The directory is free once nothing is written any more.
                    let _lock = lock;
                    writer::run(core, &inbox, &now, &figures, &folder);
                })
                .map_err(failed)?
        };
        let threads = Mutex::new(vec![writer, folder_thread]);
        let shared = Shared { inbox, readers: Mutex::new(Some(readers)), figures, threads, path };
        Ok((Store { shared: Arc::new(shared) }, joined))
    }

    /// Hands an operation to the writer. `done` is called once, on the writer's thread, after the commit; it must not
    /// block. Where new work is refused because too much waits, `done` gets [`StoreError::Unavailable`] at once.
    pub fn submit(&self, operation: Operation, done: impl FnOnce(StoreResult<Answer>) + Send + 'static) {
        self.shared.inbox.push(Entry { operation, done: Box::new(done) });
    }

    /// Carries out one operation and waits for its commit.
    pub async fn apply(&self, operation: Operation) -> StoreResult<Answer> {
        let (sender, answer) = oneshot::channel();
        self.submit(operation, move |result| {
            // Whoever asked may have gone; what was committed stays committed.
            let _ = sender.send(result);
        });
        answer.await.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Changes the catalogue; answers its new version.
    pub async fn change(&self, change: Change, touches: Option<Touches>) -> StoreResult<i64> {
        match self.apply(Operation::Change { change, touches, report: None }).await? {
            Answer::Changed { catalogue_version } => Ok(catalogue_version),
            other => Err(StoreError::Damaged(format!("a change was answered with {other:?}"))),
        }
    }

    /// Asks a question.
    pub async fn read<T: Send + 'static>(&self, query: Query<T>) -> StoreResult<Vec<T>> {
        self.ask(move |connection| rows::read(connection, &query)).await
    }

    /// Asks for a page of a list.
    pub async fn list<T: Send + 'static, E: Send + 'static>(
        &self,
        listing: Listing<T, E>,
    ) -> StoreResult<Listed<T, E>> {
        self.ask(move |connection| rows::list(connection, &listing)).await
    }

    async fn ask<A: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> StoreResult<A> + Send + 'static,
    ) -> StoreResult<A> {
        let (sender, answer) = oneshot::channel();
        let question = Box::new(move |connection: &rusqlite::Connection| {
            // Whoever asked may have gone while it waited for its turn.
            if !sender.is_closed() {
                let _ = sender.send(read(connection));
            }
        });
        match &*self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(readers) => readers.ask(question)?,
            None => return Err(closed()),
        }
        answer.await.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Why a question or an operation was dropped without an answer.
    fn unanswered(&self) -> StoreError {
        match self.is_closed() {
            true => closed(),
            false => StoreError::Damaged("the thread that was to answer panicked".to_owned()),
        }
    }

    /// Asks for at most one row.
    pub async fn read_one<T: Send + 'static>(&self, query: Query<T>) -> StoreResult<Option<T>> {
        Ok(self.read(query).await?.into_iter().next())
    }

    /// Figures about commits.
    pub fn figures(&self) -> &CommitFigures {
        &self.shared.figures
    }

    /// How many operations wait for the writer.
    pub fn waiting(&self) -> usize {
        self.shared.inbox.len()
    }

    /// Whether nothing is written any more: it was closed, or its writer has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.inbox.is_closed()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Writes what waits, then ends the threads. Blocks until they have ended.
    pub fn close(&self) {
        // Whoever only reads goes first: the last to go folds the log of changes into the main file and removes it.
        let readers = self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(readers) = readers {
            readers.end();
        }
        self.shared.inbox.close();
        for thread in self.shared.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

impl Backend for Store {
    fn submit(&self, operation: Operation, done: impl FnOnce(StoreResult<Answer>) + Send + 'static) {
        Store::submit(self, operation, done);
    }

    fn read<T: Send + 'static>(&self, query: Query<T>) -> impl Future<Output = StoreResult<Vec<T>>> + Send {
        Store::read(self, query)
    }

    fn close(&self) {
        Store::close(self);
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closing".to_owned())
}
