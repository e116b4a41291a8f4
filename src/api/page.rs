//! Lists: how they are asked for piece by piece, and how a piece is answered.

use axum::Json;
use fanfare_store::catalogue::Page;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Answer, Code, Problem};
use crate::catalogue::Found;
use crate::vault::Vault;

/// How many entries a list gives where the request does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// How many entries a list gives at most.
pub const MAX_LIMIT: u32 = 250;

/// The list that a cursor belongs to: its name and whose it is.
pub struct List<'a> {
    vault: &'a Vault,
    name: String,
    limit: u32,
    before: Option<i64>,
}

impl<'a> List<'a> {
    /// Reads `limit` and `cursor` of a request for the list of this name. A cursor of another list is refused, so the
    /// name says whose list it is and how it is filtered.
    pub fn ask(vault: &'a Vault, name: String, limit: Option<u32>, cursor: Option<&str>) -> Answer<Self> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::field(Code::InvalidParameter, "limit", format!("must be from 1 to {MAX_LIMIT}")));
        }
        let before = cursor.map(|cursor| vault.read_cursor(&name, cursor).ok_or_else(bad_cursor)).transpose()?;
        Ok(List { vault, name, limit, before })
    }

    /// What to ask the store for: one more than is answered, to know whether the list goes on.
    pub fn page(&self) -> Page {
        Page { before: self.before, limit: self.limit + 1 }
    }

    /// How many entries the answer may have.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Where the list goes on; `None` at its start.
    pub fn before(&self) -> Option<i64> {
        self.before
    }

    /// The answer with these entries, where it is known already where the list goes on.
    pub fn answer_until<T>(&self, data: Vec<T>, next: Option<i64>) -> Json<ListBody<T>> {
        Json(ListBody { data, next_cursor: next.map(|id| self.vault.cursor(&self.name, id)) })
    }

    /// The answer with the entries found. `id` gives the id of an entry, by which the list is ordered.
    pub fn answer<R, T>(
        &self,
        found: impl Into<Found<R>>,
        id: impl Fn(&R) -> i64,
        show: impl Fn(R) -> T,
    ) -> Json<ListBody<T>> {
        let mut found = found.into();
        let next = found.next(self.limit as usize, id);
        self.answer_until(found.rows.into_iter().map(show).collect(), next)
    }
}

fn bad_cursor() -> Problem {
    Problem::field(Code::InvalidCursor, "cursor", "is not one that this list gave; start anew without it")
}

/// A piece of a list, newest first. Where entries are large it has fewer than were asked for; `next_cursor` leads on.
#[derive(Serialize, ToSchema)]
pub struct ListBody<T> {
    pub data: Vec<T>,
    /// What to send as `cursor` for the next piece; null at the end.
    pub next_cursor: Option<String>,
}
