//! Statements that every event and every outcome need, looked up once for a commit and not for each of its operations.

use rusqlite::{CachedStatement, Connection, Params};

use super::open::unavailable;
use crate::error::StoreResult;

/// The statements of one commit.
pub(super) struct Kept<'t> {
    pub(super) find_old_key: Statement<'t>,
    pub(super) insert_event: Statement<'t>,
    pub(super) insert_delivery: Statement<'t>,
    pub(super) end_lease: Statement<'t>,
    pub(super) insert_attempt: Statement<'t>,
}

impl<'t> Kept<'t> {
    pub(super) fn of(connection: &'t Connection) -> Self {
        let statement = |sql| Statement { connection, sql, found: None };
        Kept {
            find_old_key: statement(super::accept::FIND_OLD_KEY),
            insert_event: statement(super::accept::INSERT_EVENT),
            insert_delivery: statement(super::accept::INSERT_DELIVERY),
            end_lease: statement(super::finish::END_LEASE),
            insert_attempt: statement(super::finish::INSERT_ATTEMPT),
        }
    }
}

/// A statement that is prepared when it is first needed.
pub(super) struct Statement<'t> {
    connection: &'t Connection,
    sql: &'static str,
    found: Option<CachedStatement<'t>>,
}

impl<'t> Statement<'t> {
    /// Runs it; answers how many rows it changed.
    pub(super) fn execute(&mut self, parameters: impl Params) -> StoreResult<u64> {
        self.prepared()?.execute(parameters).map(|rows| rows as u64).map_err(unavailable)
    }

    /// Whether it gives a row.
    pub(super) fn finds(&mut self, parameters: impl Params) -> StoreResult<bool> {
        self.prepared()?.exists(parameters).map_err(unavailable)
    }

    fn prepared(&mut self) -> StoreResult<&mut CachedStatement<'t>> {
        match &mut self.found {
            Some(statement) => Ok(statement),
            none => Ok(none.insert(self.connection.prepare_cached(self.sql).map_err(unavailable)?)),
        }
    }
}
