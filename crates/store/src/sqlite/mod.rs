//! The embedded store: one SQLite file, one thread that writes, a few that read.
//!
//! `core` is synchronous and has no clock, so that the simulator runs it as it is; `writer` and `readers` put it on
//! threads and `Store` is the handle.

mod accept;
mod claim;
#[cfg(test)]
mod conforming;
mod core;
mod finish;
mod folder;
mod inbox;
mod open;
mod prune;
mod readers;
mod resend;
mod rows;
mod schema;
mod store;
mod writer;

pub use self::core::{Core, Joined};
pub(crate) use self::rows::decode_headers;
pub use self::store::{Limits, Store};
pub use self::writer::{COMMIT_BUCKETS_MICROS, CommitFigures};
