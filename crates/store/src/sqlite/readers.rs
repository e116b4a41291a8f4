//! The threads that read, each with a connection of its own.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::open;
use crate::error::{StoreError, StoreResult};

/// Questions that may wait for a reader.
const WAITING: usize = 1_024;

/// One question, ready to be asked.
pub(super) type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The way to the reading threads.
pub(super) struct Readers {
    questions: SyncSender<Question>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts `count` threads; they end when this is dropped.
    pub(super) fn start(path: &Path, count: usize) -> StoreResult<Self> {
        let (questions, waiting) = sync_channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let threads = (0..count)
            .map(|number| {
                let connection = open::reader(path)?;
                let waiting = Arc::clone(&waiting);
                std::thread::Builder::new()
                    .name(format!("store-reader-{number}"))
                    .spawn(move || run(&connection, &waiting))
                    .map_err(|error| StoreError::Unavailable(error.to_string()))
            })
            .collect::<StoreResult<Vec<_>>>()?;
        Ok(Readers { questions, threads })
    }

    /// Has what was asked answered, and waits until the threads have ended.
    pub(super) fn end(self) {
        drop(self.questions);
        for thread in self.threads {
            let _ = thread.join();
        }
    }

    /// Hands a question to whichever reader is free first.
    pub(super) fn ask(&self, question: Question) -> StoreResult<()> {
        self.questions.try_send(question).map_err(|error| {
            StoreError::Unavailable(match error {
                TrySendError::Full(_) => "more questions wait than it can hold".to_owned(),
                TrySendError::Disconnected(_) => "it is closing".to_owned(),
            })
        })
    }
}

fn run(connection: &Connection, waiting: &Mutex<Receiver<Question>>) {
    loop {
        let question = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(question) = question else { return };
        // A question that panics tells its asker by dropping the answer's channel; the reader goes on.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| question(connection)));
    }
}
