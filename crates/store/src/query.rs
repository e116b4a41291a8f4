//! A query is data: SQL, arguments and a decoder, so that one text serves every database.
//!
//! Placeholders are `?1`, `?2`, …; each is first used in ascending order.

use std::borrow::Cow;

use crate::error::{StoreError, StoreResult};

/// An argument or a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Int(i64::from(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Blob(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl From<fanfare_engine::time::Timestamp> for Value {
    fn from(value: fanfare_engine::time::Timestamp) -> Self {
        Value::Int(value.millis())
    }
}

/// A page of a list.
pub struct Listing<T, E> {
    pub rows: Query<T>,
    /// How many rows `rows` gives at most.
    pub limit: usize,
    /// No further row once those read have so many bytes; the first is read however large it is.
    pub bytes: usize,
    /// Says where the rows that were looked at end, for a list that looks at only so many. Asked where fewer than `limit` came,
    /// about the same moment: what is written or removed in between would shift one against the other.
    pub end: Option<Query<E>>,
}

/// What a [`Listing`] gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T, E> {
    pub rows: Vec<T>,
    /// Whether the rows stop because of their bytes.
    pub full: bool,
    pub end: Option<E>,
}

/// One row of an answer, read by column number from 0.
pub trait Row {
    /// The column as it is.
    fn value(&self, column: usize) -> StoreResult<Value>;

    /// An integer.
    fn int(&self, column: usize) -> StoreResult<i64> {
        match self.value(column)? {
            Value::Int(value) => Ok(value),
            other => Err(unexpected(column, "an integer", &other)),
        }
    }

    /// An integer or NULL.
    fn int_or_null(&self, column: usize) -> StoreResult<Option<i64>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Int(value) => Ok(Some(value)),
            other => Err(unexpected(column, "an integer or NULL", &other)),
        }
    }

    /// A text.
    fn text(&self, column: usize) -> StoreResult<String> {
        match self.value(column)? {
            Value::Text(value) => Ok(value),
            other => Err(unexpected(column, "a text", &other)),
        }
    }

    /// A text or NULL.
    fn text_or_null(&self, column: usize) -> StoreResult<Option<String>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(value) => Ok(Some(value)),
            other => Err(unexpected(column, "a text or NULL", &other)),
        }
    }

    /// Bytes.
    fn blob(&self, column: usize) -> StoreResult<Vec<u8>> {
        match self.value(column)? {
            Value::Blob(value) => Ok(value),
            other => Err(unexpected(column, "bytes", &other)),
        }
    }

    /// Bytes or NULL.
    fn blob_or_null(&self, column: usize) -> StoreResult<Option<Vec<u8>>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Blob(value) => Ok(Some(value)),
            other => Err(unexpected(column, "bytes or NULL", &other)),
        }
    }
}

fn unexpected(column: usize, wanted: &str, found: &Value) -> StoreError {
    let kind = match found {
        Value::Null => "NULL",
        Value::Int(_) => "an integer",
        Value::Text(_) => "a text",
        Value::Blob(_) => "bytes",
    };
    StoreError::Damaged(format!("column {column} holds {kind} where {wanted} belongs"))
}

/// A question to the database.
pub struct Query<T> {
    pub sql: Cow<'static, str>,
    pub arguments: Vec<Value>,
    pub decode: fn(&dyn Row) -> StoreResult<T>,
}

/// What a step of a change must do to count as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Any number of rows.
    Any,
    /// At least one row, else the whole change is undone and answered with [`StoreError::Stale`] of this name.
    Some(&'static str),
}

/// One statement of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub sql: Cow<'static, str>,
    pub arguments: Vec<Value>,
    pub expect: Expect,
    /// What a violated uniqueness is about; see [`StoreError::Taken`].
    pub unique: &'static str,
}

/// Statements that happen together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    pub steps: Vec<Step>,
}

impl Change {
    /// A change of one statement.
    pub fn one(step: Step) -> Self {
        Change { steps: vec![step] }
    }

    /// This change and then another statement.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// Ids for `IN (…)`, which finds nothing where there are none. To be used for a few thousand at most.
pub(crate) fn listed(ids: impl IntoIterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    // A list without entries is not valid everywhere.
    if ids.is_empty() { "NULL".to_owned() } else { ids.join(",") }
}

/// Makes the arguments of a query from values of different types.
#[macro_export]
macro_rules! arguments {
    ($($value:expr),* $(,)?) => { vec![$($crate::query::Value::from($value)),*] };
}
