//! Between SQLite's values and ours.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params};

use super::open::unavailable;
use crate::error::{StoreError, StoreResult};
use crate::query::{Query, Row, Value};

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
    let mut statement = connection.prepare_cached(&query.sql).map_err(unavailable)?;
    let parameters = rusqlite::params_from_iter(query.arguments.iter().map(as_sql));
    let mut rows = statement.query(parameters).map_err(unavailable)?;
    let mut answer = Vec::new();
    while let Some(row) = rows.next().map_err(unavailable)? {
        answer.push((query.decode)(&SqliteRow(row))?);
    }
    Ok(answer)
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

struct SqliteRow<'a>(&'a rusqlite::Row<'a>);

impl Row for SqliteRow<'_> {
    fn value(&self, column: usize) -> StoreResult<Value> {
        Ok(match self.0.get_ref(column).map_err(unavailable)? {
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
