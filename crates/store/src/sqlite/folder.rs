//! The thread that folds the log of changes into the main file while the writer goes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

/// The writer's handle to the thread.
pub(super) struct Folder {
    wish: Option<SyncSender<()>>,
    folded: Arc<AtomicBool>,
}

impl Folder {
    /// Asks for a fold unless one is asked for already.
    pub(super) fn ask(&self) {
        if let Some(wish) = &self.wish {
            let _ = wish.try_send(());
        }
    }

    /// Whether a fold has ended since the last call.
    pub(super) fn take_folded(&self) -> bool {
        self.folded.swap(false, Ordering::AcqRel)
    }
}

/// Starts the thread; it ends when the folder is dropped.
pub(super) fn start(path: PathBuf) -> std::io::Result<(Folder, JoinHandle<()>)> {
    let (wish, wishes) = sync_channel(1);
    let folded = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&folded);
    let thread =
        std::thread::Builder::new().name("store-folder".to_owned()).spawn(move || run(&path, &wishes, &tell))?;
    Ok((Folder { wish: Some(wish), folded }, thread))
}

fn run(path: &std::path::Path, wishes: &Receiver<()>, folded: &AtomicBool) {
    let Ok(connection) = Connection::open(path) else { return };
    // A connection that has read nothing does not know of the log, and folds nothing.
    if connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get::<_, i64>(0)).is_err() {
        return;
    }
    while wishes.recv().is_ok() {
        // What a reader or the writer hinders is folded the next time.
        let _ = connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE);
        folded.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    #[test]
    fn the_log_is_folded_beside_the_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fanfare.db");
        let writer = open::writer(Some(&path)).unwrap();
        let before = std::fs::metadata(&path).unwrap().len();
        writer.execute("INSERT INTO meta (key, value) VALUES ('large', zeroblob(1000000))", ()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), before, "it is in the log alone");
        let (folder, thread) = start(path.clone()).unwrap();
        folder.ask();
        drop(folder);
        thread.join().unwrap();
        // Free pages of the file take some of it.
        assert!(std::fs::metadata(&path).unwrap().len() >= before + 500_000);
    }
}
