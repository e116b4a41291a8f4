//! Copies of the whole database: made beside a running server, and put in place of what a stopped one had.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::claim;
use super::kept::Kept;
use super::lock::{self, DirectoryLock};
use super::open;
use super::owner::give_as;
use super::rows;
use super::schema::APPLICATION_ID;
use super::store::FILE;
use super::wide;
use crate::error::{StoreError, StoreResult};

/// How many faults of a damaged file are looked for; the first is shown.
const FAULTS: u32 = 1;

/// Writes a copy of the database in `directory` to the new file `to`: all that was committed when it began, checked and
/// on the disk when it returns. A running server goes on meanwhile, and is not waited for. What is in the copy can be
/// read by whoever can read the file, which is nobody but its owner at first.
///
/// # Errors
/// [`StoreError::Refused`] where there is no database, it is not Fanfare's or damaged, where `to` exists, or where the
/// directory that it is to be in does not;
/// [`StoreError::Unavailable`] where it cannot be written. Nothing is left behind then.
pub fn backup(directory: &Path, to: &Path) -> StoreResult<()> {
    if to.exists() {
        return Err(exists(to));
    }
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir()) {
        return Err(StoreError::Refused(format!("{} is no directory; make it first", parent.display())));
    }
    let partial = copy_beside(&directory.join(FILE), to)?;
    partial.publish(to)
}

/// What becomes of the deliveries that were waiting or being sent when a backup was made. Some of them may have gone out
/// since, and the backup can't know which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The next start logs each as possibly sent. What that means is up to the webhook's profile: it is retried, or ends
    /// there where nothing may be sent twice.
    MayHaveBeenSent,
    /// All are sent, even where nothing may be sent twice.
    Resend,
}

/// Puts the database in the file `from` in place of the one in `directory`, which is created if it is missing. The
/// server must have been stopped. The old database stays until the new one is complete. Whoever owned that one, or else the
/// directory, owns the new one, even when root restores it.
///
/// # Errors
/// [`StoreError::Refused`] where a process uses the directory, or where `from` is not Fanfare's, newer than this version
/// or damaged; [`StoreError::Unavailable`] where it cannot be written. The old database is as it was then.
pub fn restore(from: &Path, directory: &Path, unfinished: Unfinished) -> StoreResult<()> {
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let _lock = DirectoryLock::take(directory)?;
    let target = directory.join(FILE);
    let partial = copy_beside(from, &target)?;
    settle(&partial.0, unfinished)?;
    let model = if target.exists() { target.as_path() } else { directory };
    for path in [&partial.0, &directory.join(lock::FILE)] {
        give_as(path, model).map_err(|error| failed(path, &error))?;
    }
    remove_log(&target)?;
    partial.replace(&target)
}

/// A copy that is not in its place yet; removed where it does not get there.
struct Partial(PathBuf);

impl Partial {
    /// Makes an empty file beside `place` that only its owner may read.
    fn beside(place: &Path) -> StoreResult<Self> {
        let path = with_suffix(place, &format!(".{}.partial", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(|error| failed(&path, &error))?;
        Ok(Partial(path))
    }

    /// Gives the copy its name, which must be free.
    fn publish(self, to: &Path) -> StoreResult<()> {
        match fs::hard_link(&self.0, to) {
            Ok(()) => sync_directory(to),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(to)),
            // Not every file system has links.
            Err(_) if to.exists() => Err(exists(to)),
            Err(_) => self.replace(to),
        }
    }

    /// Gives the copy a name, in place of what had it.
    fn replace(self, to: &Path) -> StoreResult<()> {
        fs::rename(&self.0, to).map_err(|error| failed(to, &error))?;
        sync_directory(to)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already where it was renamed.
        let _ = fs::remove_file(&self.0);
        for log in logs(&self.0) {
            let _ = fs::remove_file(log);
        }
    }
}

/// A checked copy of `source`, on the disk, beside `place`.
fn copy_beside(source: &Path, place: &Path) -> StoreResult<Partial> {
    if !fs::metadata(source).is_ok_and(|file| file.is_file() && file.len() > 0) {
        return Err(StoreError::Refused(format!("{} is not there or holds no database", source.display())));
    }
    open::check(source)?;
    let partial = Partial::beside(place)?;
    copy(source, &partial.0).map_err(|error| match error {
        StoreError::Damaged(what) => StoreError::Refused(format!("{} is damaged: {what}", source.display())),
        other => other,
    })?;
    let file = File::open(&partial.0).map_err(|error| failed(&partial.0, &error))?;
    file.sync_all().map_err(|error| failed(&partial.0, &error))?;
    Ok(partial)
}

fn copy(source: &Path, to: &Path) -> StoreResult<()> {
    let from = Connection::open_with_flags(source, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(open::unavailable)?;
    from.busy_timeout(open::BUSY_TIMEOUT).map_err(open::unavailable)?;
    let mut into = Connection::open(to).map_err(open::unavailable)?;
    // All in one step: one moment of the source, which the server's writes neither disturb nor wait for.
    let step = Backup::new(&from, &mut into).and_then(|backup| backup.step(-1)).map_err(open::unavailable)?;
    if step != StepResult::Done {
        return Err(StoreError::Unavailable(format!(
            "{} is being changed in another way; try again",
            source.display()
        )));
    }
    // A single file, without a log beside it.
    into.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(open::unavailable)?;
    verify(&into)?;
    into.close().map_err(|(_, error)| open::unavailable(error))
}

/// Decides what the next start does with unfinished deliveries.
fn settle(copy: &Path, unfinished: Unfinished) -> StoreResult<()> {
    let mut connection = Connection::open(copy).map_err(open::unavailable)?;
    let transaction = connection.transaction().map_err(open::unavailable)?;
    // Of an event that was being written when the backup was made, the rest was sent since, too.
    let has_plans = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'unfinished_events')";
    if rows::first(&transaction, has_plans, (), |row| row.get(0))?.unwrap_or(false) {
        wide::finish_all(&transaction, &mut Kept::of(&transaction))?;
    }
    match unfinished {
        Unfinished::MayHaveBeenSent => claim::hand_to_backup_node(&transaction)?,
        Unfinished::Resend => claim::forget_leases(&transaction)?,
    }
    transaction.commit().map_err(open::unavailable)?;
    connection.close().map_err(|(_, error)| open::unavailable(error))
}

fn verify(connection: &Connection) -> StoreResult<()> {
    let verdict: String = connection
        .query_row(&format!("PRAGMA integrity_check({FAULTS})"), [], |row| row.get(0))
        .map_err(open::unavailable)?;
    if verdict != "ok" {
        return Err(StoreError::Damaged(verdict));
    }
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(open::unavailable)?;
    if application != APPLICATION_ID {
        return Err(StoreError::Damaged("it holds no tables of Fanfare's".to_owned()));
    }
    Ok(())
}

/// Removes the log of a database that is about to be replaced: with the new one it would be nonsense. Its changes are
/// folded into the old file first where possible, so that a crash at this point loses nothing of it.
fn remove_log(path: &Path) -> StoreResult<()> {
    if path.exists()
        && let Ok(connection) = Connection::open(path)
    {
        let _ = connection.wal_checkpoint_v2(None::<&str>, rusqlite::wal::CheckpointMode::TRUNCATE);
    }
    for log in logs(path) {
        match fs::remove_file(&log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&log, &error)),
            _ => {}
        }
    }
    Ok(())
}

fn logs(path: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|suffix| with_suffix(path, suffix))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Has the names in a file's directory written to the disk.
fn sync_directory(path: &Path) -> StoreResult<()> {
    // Elsewhere a directory cannot be opened, and names are written with the files.
    #[cfg(unix)]
    {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|directory| directory.sync_all()).map_err(|error| failed(parent, &error))?;
    }
    Ok(())
}

fn exists(path: &Path) -> StoreError {
    StoreError::Refused(format!("{} exists, and is not overwritten. Give another name", path.display()))
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
