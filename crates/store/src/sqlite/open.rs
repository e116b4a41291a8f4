//! Opening a file: refuse what is not ours or newer without touching it, then bring it up to date.

use std::fs::OpenOptions;
use std::path::Path;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::schema::{APPLICATION_ID, MIGRATIONS};
use crate::error::{StoreError, StoreResult};

/// How long a statement waits for another process that holds the file (a backup, say).
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// Larger than SQLite's own: fewer, fuller pages for rows of about a kilobyte.
const PAGE_SIZE: i64 = 8192;
/// Page cache of the writing connection, in KiB.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// Page cache of each reading connection, in KiB.
const READER_CACHE_KIB: i64 = 8 * 1024;
/// Prepared statements kept by each connection.
const STATEMENTS: usize = 128;

/// Reads whether the file may be used, through a connection that cannot write.
pub(super) fn check(path: &Path) -> StoreResult<()> {
    if !path.exists() || std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Ok(());
    }
    let connection = look(path).map_err(refusal(path))?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(refusal(path))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(refusal(path))?;
    if application == 0 && version == 0 {
        // A first start that ended before its first commit leaves a file with no table in it.
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(refusal(path))?;
        if tables == 0 {
            return Ok(());
        }
    }
    if application != APPLICATION_ID {
        return Err(StoreError::Refused(format!("{} is an SQLite file, but not one of Fanfare's", path.display())));
    }
    if version > MIGRATIONS.len() as i64 {
        return Err(StoreError::Refused(format!(
            "{} was written by a newer Fanfare (schema {version}; this one knows {}). Start that version, or restore a backup",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    Ok(())
}

/// Opens a file for looking only. Where no log lies beside it, SQLite is told that nobody changes it, since it would make
/// files of its own otherwise.
fn look(path: &Path) -> rusqlite::Result<Connection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match path.to_str() {
        Some(text) if !Path::new(&log).exists() => {
            let text = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(format!("file:{text}?immutable=1"), flags)
        }
        _ => Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY),
    }
}

fn refusal(path: &Path) -> impl FnOnce(rusqlite::Error) -> StoreError + '_ {
    move |error| {
        StoreError::Refused(format!(
            "{} cannot be read as a Fanfare database ({error}); it was left as it is. Restore a backup, or move it away to start empty",
            path.display()
        ))
    }
}

/// The connection that writes. `path` is `None` for a database in memory.
pub(super) fn writer(path: Option<&Path>) -> StoreResult<Connection> {
    let mut connection = match path {
        Some(path) => {
            check(path)?;
            make_private(path)?;
            Connection::open(path).map_err(refusal(path))?
        }
        None => Connection::open_in_memory().map_err(unavailable)?,
    };
    prepare(&connection, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE).map_err(unavailable)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(unavailable)?;
    // Every commit is on the disk before it is answered.
    connection.pragma_update(None, "synchronous", "FULL").map_err(unavailable)?;
    // Checkpoints run on a thread of their own; see `writer`.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(unavailable)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Makes the file, where there is none, for its owner alone; the log beside it gets the same rights from SQLite.
fn make_private(path: &Path) -> StoreResult<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let refused = |error| StoreError::Refused(format!("{} cannot be opened for writing: {error}", path.display()));
    options.open(path).map(drop).map_err(refused)
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> StoreResult<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unavailable)?;
    prepare(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

fn prepare(connection: &Connection, cache_kib: i64) -> StoreResult<()> {
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -cache_kib).map_err(unavailable)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(unavailable)
}

fn migrate(connection: &mut Connection) -> StoreResult<()> {
    // What a step sorts may be as large as the database.
    connection.pragma_update(None, "temp_store", "FILE").map_err(unavailable)?;
    if apply_steps(connection)? {
        // Nobody who sends is to wait until what the steps have written is folded.
        connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE).map_err(unavailable)?;
    }
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(unavailable)
}

/// Applies the steps that the file has not seen; answers whether there was one.
fn apply_steps(connection: &mut Connection) -> StoreResult<bool> {
    let mut is_changed = false;
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
        let seen: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(unavailable)?;
        let Some(step) = MIGRATIONS.get(usize::try_from(seen).unwrap_or(usize::MAX)) else {
            return Ok(is_changed);
        };
        transaction.execute_batch(step).map_err(unavailable)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(unavailable)?;
        transaction.pragma_update(None, "user_version", seen + 1).map_err(unavailable)?;
        transaction.commit().map_err(unavailable)?;
        is_changed = true;
    }
}

/// What a failed statement means to the caller, where nothing better is known.
pub(super) fn unavailable(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            StoreError::Damaged(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}
