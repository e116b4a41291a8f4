//! What can go wrong in a store, sorted by what the caller can do about it.

/// A failed use of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot take this now (full disk, closed, too much waiting); the same call may succeed later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Something with the same unique value exists; names which of the change's values it was.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// What the change builds upon is not there or was changed meanwhile; names what.
    #[error("{0} is gone or was changed meanwhile")]
    Stale(&'static str),
    /// The database does not hold what this version of Fanfare writes.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The database cannot be used by this version or this process; nothing was changed.
    #[error("{0}")]
    Refused(String),
}

/// The result of a use of the store.
pub type StoreResult<T> = Result<T, StoreError>;
