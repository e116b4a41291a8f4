//! Where Fanfare keeps what it accepted. All SQL of the product is in this crate.
//!
//! Two kinds of access share one writer, so that they share its commits: the **queue** (`queue`: accept events, claim
//! what is due, record outcomes), written by hand for each database, and the **catalogue** (`catalogue`: projects,
//! organizations, webhooks, keys …), whose queries are data that every database runs. `conformance` is the contract:
//! whatever passes it is a store.

pub mod attempts;
pub mod backend;
pub mod bulk;
pub mod catalogue;
#[cfg(test)]
mod conformance;
pub mod entity;
mod error;
pub mod expired;
pub mod figures;
pub mod first_sent;
pub mod log;
pub mod query;
pub mod queue;
pub mod sqlite;
pub mod stats;

pub use backend::Backend;
pub use error::{StoreError, StoreResult};
pub use sqlite::Store;
