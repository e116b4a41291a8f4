//! The forwarder's log: one thread writes whatever waits, syncs once, and lets all of it go.

use std::fs::File;
use std::io::{Error, Result, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// The most entries that one sync makes durable.
const MAX_BATCH: usize = 1024;
/// The most entries that wait; each connection has one at most.
const MAX_WAITING: usize = 16 * 1024;
/// The most synced batches whose senders have not been told yet.
const MAX_SYNCED: usize = 64;

struct Entry {
    body: Bytes,
    done: oneshot::Sender<()>,
}

/// The handle that entries are given to.
#[derive(Clone)]
pub(super) struct Journal(SyncSender<Entry>);

impl Journal {
    /// Makes the log anew and starts its thread, and on this thread's [`tokio::task::LocalSet`] the task that tells
    /// the senders: one wake-up between the threads for a batch, not for each entry.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::create(path)?;
        let (sender, entries) = sync_channel(MAX_WAITING);
        let (synced, mut batches) = mpsc::channel::<Vec<oneshot::Sender<()>>>(MAX_SYNCED);
        std::thread::Builder::new().name("journal".into()).spawn(move || write_all(file, &entries, &synced))?;
        tokio::task::spawn_local(async move {
            while let Some(batch) = batches.recv().await {
                for done in batch {
                    // A connection that broke while it waited does not want to know.
                    let _ = done.send(());
                }
            }
        });
        Ok(Journal(sender))
    }

    /// Returns when `body` is on the disk.
    pub(super) async fn append(&self, body: Bytes) -> Result<()> {
        let (done, synced) = oneshot::channel();
        self.0.send(Entry { body, done }).map_err(|_| Error::other("the log has failed"))?;
        synced.await.map_err(|_| Error::other("the log has failed"))
    }
}

fn write_all(mut file: File, entries: &Receiver<Entry>, synced: &mpsc::Sender<Vec<oneshot::Sender<()>>>) {
    let mut lines = Vec::new();
    while let Ok(first) = entries.recv() {
        lines.clear();
        let mut batch = Vec::new();
        for entry in std::iter::once(first).chain(entries.try_iter()).take(MAX_BATCH) {
            lines.extend_from_slice(&(entry.body.len() as u32).to_be_bytes());
            lines.extend_from_slice(&entry.body);
            batch.push(entry.done);
        }
        if file.write_all(&lines).and_then(|()| file.sync_data()).is_err() || synced.blocking_send(batch).is_err() {
            return;
        }
    }
}
