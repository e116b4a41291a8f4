//! What only the embedded store can do wrong: files, processes, disks and copies.

mod backups;
mod crashes;
mod feed;
#[cfg(target_os = "linux")]
mod full_disk;
mod process;
mod refusals;
