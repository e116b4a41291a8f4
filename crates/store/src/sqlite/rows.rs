//! Between SQLite's values and ours.

use std::borrow::Cow;
use std::cell::Cell;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params};

use super::open::unavailable;
use crate::error::{StoreError, StoreResult};
use crate::query::{Listed, Listing, Query, Row, Value};

/// Runs a statement that gives no rows; answers how many it changed.
pub(super) fn execute(connection: &Connection, sql: &str, parameters: impl Params) -> StoreResult<u64> {
    let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
    statement.execute(parameters).map(|rows| rows as u64).map_err(unavailable)
}

/// The first row of an answer, or `None`.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    decode: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> StoreResult<Option<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
    let mut rows = statement.query(parameters).map_err(unavailable)?;
    rows.next().map_err(unavailable)?.map(decode).transpose().map_err(unavailable)
}

/// All rows of an answer.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    mut decode: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> StoreResult<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
    let mut rows = statement.query(parameters).map_err(unavailable)?;
    let mut answer = Vec::new();
    while let Some(row) = rows.next().map_err(unavailable)? {
        answer.push(decode(row).map_err(unavailable)?);
    }
    Ok(answer)
}

/// Runs a query that is data.
pub(super) fn read<T>(connection: &Connection, query: &Query<T>) -> StoreResult<Vec<T>> {
    Ok(read_within(connection, query, usize::MAX)?.0)
}

/// The same up to the row with which the values that were read reach so many bytes. Answers whether it stopped there.
fn read_within<T>(connection: &Connection, query: &Query<T>, bytes: usize) -> StoreResult<(Vec<T>, bool)> {
    let mut statement = connection.prepare_cached(&query.sql).map_err(unavailable)?;
    let parameters = rusqlite::params_from_iter(query.arguments.iter().map(as_sql));
    let mut rows = statement.query(parameters).map_err(unavailable)?;
    let mut answer = Vec::new();
    let taken = Cell::new(0);
    while let Some(row) = rows.next().map_err(unavailable)? {
        if taken.get() >= bytes {
            return Ok((answer, true));
        }
        answer.push((query.decode)(&SqliteRow { row, taken: &taken })?);
    }
    Ok((answer, false))
}

/// Reads a page of a list.
pub(super) fn list<T, E>(connection: &Connection, listing: &Listing<T, E>) -> StoreResult<Listed<T, E>> {
    // Ends with the second question: both see the same moment.
    let _moment = listing.end.as_ref().map(|_| connection.unchecked_transaction()).transpose().map_err(unavailable)?;
    let (rows, full) = read_within(connection, &listing.rows, listing.bytes)?;
    let end = match &listing.end {
        Some(end) if !full && rows.len() < listing.limit => read(connection, end)?.into_iter().next(),
        _ => None,
    };
    Ok(Listed { rows, full, end })
}

/// A value as an argument.
pub(super) fn as_sql(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Value::Null => ValueRef::Null,
        Value::Int(value) => ValueRef::Integer(*value),
        Value::Text(value) => ValueRef::Text(value.as_bytes()),
        Value::Blob(value) => ValueRef::Blob(value),
    })
}

struct SqliteRow<'a> {
    row: &'a rusqlite::Row<'a>,
    /// How many bytes of texts and blobs were read so far.
    taken: &'a Cell<usize>,
}

impl Row for SqliteRow<'_> {
    fn value(&self, column: usize) -> StoreResult<Value> {
        let value = self.row.get_ref(column).map_err(unavailable)?;
        if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value {
            self.taken.set(self.taken.get() + bytes.len());
        }
        Ok(match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => Value::Int(value),
            ValueRef::Real(_) => return Err(StoreError::Damaged(format!("column {column} holds a float"))),
            ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
            ValueRef::Blob(value) => Value::Blob(value.to_vec()),
        })
    }
}

/// A JSON document, or nothing where there is nothing to say.
pub(super) fn json<T: serde::Serialize>(value: &T) -> StoreResult<Cow<'static, str>> {
    serde_json::to_string(value).map(Cow::Owned).map_err(|error| StoreError::Damaged(error.to_string()))
}
