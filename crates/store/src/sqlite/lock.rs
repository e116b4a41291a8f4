//! A data directory belongs to one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::{StoreError, StoreResult};

/// The file in the data directory whose lock says that somebody uses it. It stays there, empty.
pub(super) const FILE: &str = "fanfare.lock";

/// The right to use a directory. The system takes it back when it is dropped or its process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the directory, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where another process has it, or where nothing can be written in it.
    pub fn take(directory: &Path) -> StoreResult<Self> {
        let unusable = |error: std::io::Error| {
            StoreError::Refused(format!("{} cannot be used as data directory: {error}", directory.display()))
        };
        let path = directory.join(FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Refused(format!(
                "{} is in use by another Fanfare process. Stop that one, or give this one a directory of its own",
                directory.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}
