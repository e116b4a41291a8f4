//! Bringing a stopped server's database up to date, apart from a start.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::lock::DirectoryLock;
use super::open;
use super::store::FILE;
use crate::error::StoreResult;

/// What was done to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The schema's version before; 0 where there was no database.
    pub from: i64,
    /// The schema's version now: that of this program.
    pub to: i64,
}

/// Brings the database in `directory` up to date, or makes it. The server must have been stopped; its next start would do
/// the same.
///
/// # Errors
/// [`StoreError::Refused`](crate::StoreError::Refused), with nothing changed, where a process uses the directory, or the
/// file is damaged, newer or not Fanfare's.
pub fn upgrade(directory: &Path) -> StoreResult<Upgrade> {
    let _lock = DirectoryLock::take(directory)?;
    let path = directory.join(FILE);
    open::check(&path)?;
    let from = if path.exists() { version(&open_to_read(&path)?)? } else { 0 };
    let connection = open::writer(Some(&path))?;
    let to = version(&connection)?;
    connection.close().map_err(|(_, error)| open::unavailable(error))?;
    Ok(Upgrade { from, to })
}

fn open_to_read(path: &Path) -> StoreResult<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(open::unavailable)
}

fn version(connection: &Connection) -> StoreResult<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(open::unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StoreError;
    use crate::sqlite::schema::MIGRATIONS;

    #[test]
    fn a_database_is_made_and_then_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let newest = MIGRATIONS.len() as i64;
        assert_eq!(upgrade(directory.path()).unwrap(), Upgrade { from: 0, to: newest });
        assert_eq!(upgrade(directory.path()).unwrap(), Upgrade { from: newest, to: newest });
    }

    #[test]
    fn a_directory_in_use_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let _lock = DirectoryLock::take(directory.path()).unwrap();
        assert!(matches!(upgrade(directory.path()), Err(StoreError::Refused(_))));
    }
}
