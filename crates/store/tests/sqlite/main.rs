//! What only the embedded store can do wrong: files, processes, disks and copies.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod backups;
mod crashes;
mod feed;
#[cfg(target_os = "linux")]
mod full_disk;
mod gathering;
mod lists;
mod panics;
mod process;
mod refusals;
mod wide;
