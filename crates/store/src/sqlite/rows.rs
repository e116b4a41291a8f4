//! Between SQLite's values and ours.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use fanfare_engine::attempt::Headers;
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

/// Writes headers as lines, `name: value\n`; a value holds no line feed.
pub(crate) fn encode_headers(headers: &Headers) -> BytesMut {
    let length = headers.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
    let mut text = BytesMut::with_capacity(length);
    for (name, value) in headers {
        text.put_slice(name.as_bytes());
        text.put_slice(b": ");
        text.put_slice(value);
        text.put_u8(b'\n');
    }
    text
}

/// Reads what [`encode_headers`] wrote.
pub(crate) fn decode_headers(text: &[u8]) -> Headers {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let at = line.windows(2).position(|pair| pair == b": ").unwrap_or(line.len());
            let value = line.get(at + 2..).unwrap_or_default();
            (String::from_utf8_lossy(&line[..at]).into_owned(), Bytes::copy_from_slice(value))
        })
        .collect()
}

/// A JSON document, or nothing where there is nothing to say.
pub(super) fn json<T: serde::Serialize>(value: &T) -> StoreResult<Cow<'static, str>> {
    serde_json::to_string(value).map(Cow::Owned).map_err(|error| StoreError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip() {
        let headers: Headers = vec![
            ("a".to_owned(), Bytes::from_static(b"b: c")),
            ("empty".to_owned(), Bytes::new()),
            ("bytes".to_owned(), Bytes::from_static(b"\xff\x00")),
        ];
        assert_eq!(decode_headers(&encode_headers(&headers)), headers);
    }
}
