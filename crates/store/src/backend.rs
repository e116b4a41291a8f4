//! What a database offers to be a store: operations in, answers to questions out.

use std::future::Future;

use crate::error::StoreResult;
use crate::query::Query;
use crate::queue::{Answer, Operation};

/// A store's handle. Whatever passes the suite in `conformance` keeps its contract.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Hands over an operation. `done` is called once, after the commit that holds it, and must not block. Operations
    /// of one handle are carried out in the order in which they were handed over.
    ///
    /// What brings new work is refused with [`StoreError::Unavailable`](crate::StoreError::Unavailable) when too much
    /// waits; what tells of something that happened is kept and tried until it is written.
    fn submit(&self, operation: Operation, done: impl FnOnce(StoreResult<Answer>) + Send + 'static);

    /// Asks a question; the answer holds whatever was committed before it was asked.
    fn read<T: Send + 'static>(&self, query: Query<T>) -> impl Future<Output = StoreResult<Vec<T>>> + Send;

    /// Writes what waits and lets go of the database. Blocks until that is done.
    fn close(&self);
}
