//! What may be done with what is set up: each change is checked, written, and told to the observer.
//!
//! The API and the portal both work through here, so that the same rules hold for both.

pub mod access;
pub mod api_keys;
pub mod deliveries;
pub mod entities;
pub mod event_types;
pub mod events;
mod fields;
pub mod jobs;
pub mod operators;
pub mod organizations;
pub mod pauses;
pub mod projects;
pub mod seats;
pub mod sending;
pub mod sessions;
pub mod themes;
pub mod turns;
pub mod users;
pub mod watching;
pub mod webhooks;

use fanfare_engine::profile::FieldError;
use fanfare_store::query::{Listed, Listing, Query};
use fanfare_store::{StoreError, StoreResult};

use crate::app::App;
use crate::vault::VaultError;

/// How often an edit is tried anew where another node edited the same meanwhile.
const EDIT_TRIES: usize = 8;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// It is not there, or not the asker's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// What was asked for is not valid.
    #[error("{} fields are not valid", .0.len())]
    Invalid(Vec<FieldError>),
    /// The URL leads to an address that may not be called.
    #[error("url {0}")]
    Denied(String),
    /// The value of this field belongs to another one.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// It was edited again and again meanwhile.
    #[error("the {0} was changed by somebody else meanwhile")]
    Contended(&'static str),
    /// The user on whose behalf it was to be done may not; says what is lacking.
    #[error("{0}")]
    Forbidden(String),
    /// It cannot be done in its present state; says why and what to do.
    #[error("{0}")]
    State(&'static str),
    /// It cannot be done as things are; says why and what to do.
    #[error("{0}")]
    Unready(String),
    /// It cannot be done at this moment, and soon can; says why.
    #[error("{0}")]
    Busy(&'static str),
    /// There may be no more of it.
    #[error("there may be at most {most} {what}")]
    Full { what: &'static str, most: u32 },
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Vault(VaultError),
}

impl CatalogueError {
    /// One field that is not valid.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        CatalogueError::Invalid(vec![FieldError::new(field, message)])
    }
}

impl From<StoreError> for CatalogueError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken(field) => CatalogueError::Taken(field),
            StoreError::Stale(what) => CatalogueError::NotFound(what),
            other => CatalogueError::Store(other),
        }
    }
}

impl From<VaultError> for CatalogueError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            other => CatalogueError::Vault(other),
        }
    }
}

/// The result of something done with the catalogue.
pub type CatalogueResult<T> = Result<T, CatalogueError>;

/// The most bytes of rows that a page of a list holds, beyond the row that reaches them. One with fewer entries than it was
/// asked for says where the list goes on.
pub const MAX_PAGE_BYTES: usize = 4 << 20;

/// What a list found for a page.
#[derive(Clone, Debug)]
pub struct Found<T> {
    pub rows: Vec<T>,
    /// The last row that was looked at, where a search stopped there and not at the end of the page or of the list.
    pub cut: Option<i64>,
    /// Whether the rows stop because of their bytes.
    pub full: bool,
}

impl<T: Send + 'static> Found<T> {
    /// Reads a page of a list; `end` says where a search stopped.
    async fn read(app: &App, rows: Query<T>, limit: u32, end: Option<Query<i64>>) -> StoreResult<Self> {
        let listing = Listing { rows, limit: limit as usize, bytes: MAX_PAGE_BYTES, end };
        let Listed { rows, full, end } = app.store.list(listing).await?;
        Ok(Found { rows, cut: end, full })
    }
}

impl<T> From<Vec<T>> for Found<T> {
    /// All there is for the page.
    fn from(rows: Vec<T>) -> Self {
        Found { rows, cut: None, full: false }
    }
}

impl<T> Found<T> {
    /// Keeps the first `shown`. Answers below which id the list goes on; `None` at its end.
    pub fn next(&mut self, shown: usize, id: impl Fn(&T) -> i64) -> Option<i64> {
        let goes_on = self.full || self.rows.len() > shown;
        self.rows.truncate(shown);
        self.rows.last().map(id).filter(|_| goes_on).or(self.cut)
    }

    /// The same rows in another form.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Found<U> {
        Found { rows: self.rows.into_iter().map(change).collect(), cut: self.cut, full: self.full }
    }
}

/// Refuses one more where there are `most` already.
fn check_room(count: Option<i64>, what: &'static str, most: u32) -> CatalogueResult<()> {
    match count {
        Some(count) if count >= i64::from(most) => Err(CatalogueError::Full { what, most }),
        _ => Ok(()),
    }
}
