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
    use crate::sqlite::schema::{APPLICATION_ID, MIGRATIONS};

    #[test]
    fn a_database_is_made_and_then_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let newest = MIGRATIONS.len() as i64;
        assert_eq!(upgrade(directory.path()).unwrap(), Upgrade { from: 0, to: newest });
        assert_eq!(upgrade(directory.path()).unwrap(), Upgrade { from: newest, to: newest });
    }

    #[test]
    fn events_of_the_first_schema_are_kept_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let old = Connection::open(&path).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        // One with an id of the host's, one without, and the key of one that was removed.
        old.execute_batch(
            "INSERT INTO events VALUES (10, 1, 2, 'a', 'host-1', 5, '{}', '[]', 'k', 1, 11, 0), (20, 1, 2, 'b', NULL, 6, NULL, NULL, NULL, 0, 20, 1);
             INSERT INTO payloads VALUES (10, x'01', x'02'), (20, x'03', NULL);
             INSERT INTO event_keys VALUES (2, 'host-1', 10, x'07', 1), (2, 'host-0', 9, x'08', 4);",
        )
        .unwrap();
        old.close().unwrap();

        assert_eq!(upgrade(directory.path()).unwrap(), Upgrade { from: 1, to: MIGRATIONS.len() as i64 });
        let new = open_to_read(&path).unwrap();
        let row = |sql: &str| {
            let values = new.query_row(sql, (), |row| {
                let columns = row.as_ref().column_count();
                (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column)).collect::<Result<Vec<_>, _>>()
            });
            values.unwrap().into_iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            row(
                "SELECT external_id, fingerprint, entity, ordering_key, last_delivery_id, data, entity_data FROM events WHERE id = 10"
            ),
            r#"Text("host-1") Blob([7]) Text("{}") Text("k") Integer(11) Blob([1]) Blob([2])"#
        );
        assert_eq!(
            row("SELECT external_id, fingerprint, is_test, data, entity_data FROM events WHERE id = 20"),
            "Null Null Integer(1) Blob([3]) Null"
        );
        assert_eq!(
            row("SELECT count(*), min(event_id), min(deliveries) FROM event_keys"),
            "Integer(1) Integer(9) Integer(4)"
        );
    }

    #[test]
    fn a_directory_in_use_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let _lock = DirectoryLock::take(directory.path()).unwrap();
        assert!(matches!(upgrade(directory.path()), Err(StoreError::Refused(_))));
    }
}
