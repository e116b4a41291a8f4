//! What is set up: projects, their event types, organizations, users, webhooks and API keys, and holds on sending.
//!
//! Each function gives a [`Query`] or a [`Change`](crate::query::Change) as data, in SQL that every
//! database runs. Rows that people edit carry a `version`; an update names the version that it read and fails with
//! [`StoreError::Stale`] where another one was written meanwhile.

pub mod api_keys;
pub mod entities;
pub mod event_types;
pub mod idempotency;
pub mod jobs;
pub mod labels;
pub mod meta;
pub mod nodes;
pub mod organizations;
pub mod ownership;
pub mod pauses;
pub mod profiles_in_use;
pub mod projects;
pub mod sessions;
pub mod users;
pub mod webhooks;

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{StoreError, StoreResult};
use crate::query::{Expect, Query, Row, Step, Value};

/// A piece of a list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only rows with ids below this one: where the last page ended.
    pub before: Option<i64>,
    /// At most so many rows.
    pub limit: u32,
}

impl Page {
    fn below(self) -> Value {
        Value::Int(self.before.unwrap_or(i64::MAX))
    }

    fn limit(self) -> Value {
        Value::Int(i64::from(self.limit))
    }
}

/// Rows that a search looks at for one page, at most: one that few rows match must not read all there are. Where it stopped
/// is asked for by `scan_end`.
pub const SCAN: u32 = 10_000;

/// Conditions that are put together one by one, with their arguments.
struct Conditions {
    clauses: Vec<String>,
    arguments: Vec<Value>,
}

impl Conditions {
    fn new() -> Self {
        Conditions { clauses: Vec::new(), arguments: Vec::new() }
    }

    /// Adds a condition whose one `?` stands for `value`.
    fn add(&mut self, clause: &str, value: impl Into<Value>) {
        self.arguments.push(value.into());
        self.clauses.push(clause.replace('?', &format!("?{}", self.arguments.len())));
    }

    /// Adds that only the next [`SCAN`] rows of `source` are looked at for which the conditions so far hold, which are to be
    /// those that its index knows.
    fn within_scan(&mut self, source: &str, page: Page) {
        let end = self.end(source, page);
        self.clauses.push(format!("id >= coalesce(({end}), 0)"));
    }

    /// Where that ends; no row where there are no more.
    fn scan_end(mut self, source: &str, page: Page) -> Query<i64> {
        let end = self.end(source, page);
        query(end, self.arguments, decode_int)
    }

    fn end(&mut self, source: &str, page: Page) -> String {
        self.add("id < ?", page.below());
        let clauses = self.clauses.join(" AND ");
        format!("SELECT id FROM {source} WHERE {clauses} ORDER BY id DESC LIMIT 1 OFFSET {}", SCAN - 1)
    }

    /// The page of rows of `table` for which all conditions hold.
    fn page<T>(mut self, columns: &str, table: &str, page: Page, decode: fn(&dyn Row) -> StoreResult<T>) -> Query<T> {
        self.add("id < ?", page.below());
        self.arguments.push(page.limit());
        let sql = format!(
            "SELECT {columns} FROM {table} WHERE {} ORDER BY id DESC LIMIT ?{}",
            self.clauses.join(" AND "),
            self.arguments.len()
        );
        Query { sql: Cow::Owned(sql), arguments: self.arguments, decode }
    }
}

/// A query with fixed text.
fn query<T>(
    sql: impl Into<Cow<'static, str>>,
    arguments: Vec<Value>,
    decode: fn(&dyn Row) -> StoreResult<T>,
) -> Query<T> {
    Query { sql: sql.into(), arguments, decode }
}

/// A statement that may touch any number of rows.
fn step(sql: &'static str, arguments: Vec<Value>) -> Step {
    Step { sql: Cow::Borrowed(sql), arguments, expect: Expect::Any, unique: "" }
}

/// A statement that must touch a row, or the change fails as stale in `what`.
fn must(what: &'static str, sql: &'static str, arguments: Vec<Value>) -> Step {
    Step { sql: Cow::Borrowed(sql), arguments, expect: Expect::Some(what), unique: "" }
}

/// The step with a name for what may be taken.
fn unique(step: Step, what: &'static str) -> Step {
    Step { unique: what, ..step }
}

/// The pattern that finds `text` anywhere in what is kept in lower case, for `LIKE … ESCAPE '\'`.
pub(crate) fn pattern(text: &str) -> String {
    literal(&text.to_lowercase())
}

/// The pattern that finds `text` anywhere, for `LIKE … ESCAPE '\'`, which knows no case of its own beyond ASCII.
pub(crate) fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// A document as the text that is kept.
fn document<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("documents of the catalogue have text keys and finite numbers")
}

pub(crate) fn parse_document<T: DeserializeOwned>(text: &str) -> StoreResult<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged(format!("a document cannot be read: {error}")))
}

fn decode_int(row: &dyn Row) -> StoreResult<i64> {
    row.int(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_text_literally() {
        assert_eq!(pattern("50%_Off\\"), "%50\\%\\_off\\\\%");
    }

    #[test]
    fn conditions_number_their_arguments() {
        let mut conditions = Conditions::new();
        conditions.add("project_id = ?", 7);
        conditions.add("name = ?", "a");
        let query = conditions.page("id", "things", Page { before: None, limit: 3 }, decode_int);
        assert_eq!(
            query.sql,
            "SELECT id FROM things WHERE project_id = ?1 AND name = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4"
        );
        assert_eq!(query.arguments.len(), 4);
    }
}
