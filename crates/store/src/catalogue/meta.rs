//! Values of the whole database: what it was sealed with.

use super::{query, step, unique};
use crate::arguments;
use crate::query::{Change, Query};

/// The value under `key`.
pub fn get(key: &str) -> Query<Vec<u8>> {
    query("SELECT value FROM meta WHERE key = ?1", arguments![key], |row| row.blob(0))
}

/// Stores a value in place of the one that may be there.
pub fn set(key: &str, value: Vec<u8>) -> Change {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    Change::one(step(sql, arguments![key, value]))
}

/// Keeps a value that was not there; `Taken("value")` where it was.
pub fn insert(key: &str, value: Vec<u8>) -> Change {
    Change::one(unique(step("INSERT INTO meta (key, value) VALUES (?1, ?2)", arguments![key, value]), "value"))
}
