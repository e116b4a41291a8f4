//! The forwarder's log: one thread writes whatever waits, syncs once, and lets all of it go.

use std::fs::File;
use std::io::{Error, Result, Write};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// The most entries that one sync makes durable.
const MAX_BATCH: usize = 1024;
/// The most entries that wait; each connection has one at most.
const MAX_WAITING: usize = 16 * 1024;

struct Entry {
    body: Bytes,
    done: oneshot::Sender<()>,
}

/// The handle that entries are given to; the thread ends with the last of them.
#[derive(Clone)]
pub(super) struct Journal(mpsc::Sender<Entry>);

impl Journal {
    /// Makes the log anew and starts its thread.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::create(path)?;
        let (sender, entries) = mpsc::channel(MAX_WAITING);
        std::thread::Builder::new().name("journal".into()).spawn(move || write_all(file, entries))?;
        Ok(Journal(sender))
    }

    /// Returns when `body` is on the disk.
    pub(super) async fn append(&self, body: Bytes) -> Result<()> {
        let (done, synced) = oneshot::channel();
        self.0.send(Entry { body, done }).await.map_err(|_| Error::other("the log has failed"))?;
        synced.await.map_err(|_| Error::other("the log has failed"))
    }
}

fn write_all(mut file: File, mut entries: mpsc::Receiver<Entry>) {
    let mut lines = Vec::new();
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while entries.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        lines.clear();
        for entry in &batch {
            lines.extend_from_slice(&(entry.body.len() as u32).to_be_bytes());
            lines.extend_from_slice(&entry.body);
        }
        if file.write_all(&lines).and_then(|()| file.sync_data()).is_err() {
            // Whoever waits is told by the dropped entries.
            return;
        }
        for entry in batch.drain(..) {
            // A connection that broke while it waited does not want to know.
            let _ = entry.done.send(());
        }
    }
}
