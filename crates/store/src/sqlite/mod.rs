//! The embedded store: one SQLite file, one thread that writes, a few that read.
//!
//! `core` is synchronous and has no clock, so that the simulator runs it as it is; `writer` and `readers` put it on
//! threads and `Store` is the handle.

mod accept;
mod backup;
mod claim;
#[cfg(test)]
mod conforming;
mod core;
mod due;
mod finish;
mod folder;
mod gathered;
mod inbox;
mod kept;
mod keyed;
mod learn;
mod lock;
mod open;
mod owner;
mod prune;
mod readers;
mod resend;
mod rows;
mod schema;
mod store;
mod tally;
mod upgrade;
mod wide;
mod work;
mod writer;

pub use self::backup::{Unfinished, backup, restore};
pub use self::core::{Core, Joined};
pub use self::lock::DirectoryLock;
pub use self::store::{Limits, Store};
pub use self::upgrade::{Upgrade, upgrade};
pub use self::writer::{COMMIT_BUCKETS_MICROS, CommitFigures};
