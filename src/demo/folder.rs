//! The directory of a demonstration: known by a file in it, so that nobody else's data are used or removed.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The file by which a directory is known to be a demonstration's. It is locked while one runs there.
const MARK: &str = "fanfare-demo";

/// A directory that this process alone uses for a demonstration.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock until the demonstration ends.
    _mark: File,
}

impl Folder {
    /// Takes the directory: one that is not there or empty is made one of the demonstration's; of an earlier
    /// demonstration's, the content is removed first where `fresh` says so.
    ///
    /// # Errors
    /// It holds something else, another demonstration runs there, or it cannot be written to.
    pub(super) fn claim(directory: &Path, fresh: bool) -> anyhow::Result<Folder> {
        let shown = directory.display();
        let mark = directory.join(MARK);
        if !mark.exists() && !is_empty(directory).with_context(|| format!("cannot read {shown}"))? {
            bail!("{shown} holds something else than an earlier demo; --data names another directory");
        }
        make(directory).with_context(|| format!("cannot make the directory {shown}"))?;
        let file = File::options().create(true).truncate(false).write(true).open(&mark);
        let file = file.with_context(|| format!("cannot write to {shown}"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another demo runs in {shown}; --data names another directory"),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {shown}")),
        }
        if fresh {
            empty(directory).with_context(|| format!("cannot empty {shown}"))?;
        }
        let path = std::path::absolute(directory).with_context(|| format!("cannot find {shown}"))?;
        Ok(Folder { path, _mark: file })
    }

    /// Where it is, from the root on.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn is_empty(directory: &Path) -> std::io::Result<bool> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn make(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Removes the files of a server, but not the mark, which is locked. A directory in it is not a server's and stays.
fn empty(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() != MARK && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_kept_until_a_fresh_start_is_wanted() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("demo");
        drop(Folder::claim(&directory, true).unwrap());
        std::fs::write(directory.join("fanfare.db"), "data").unwrap();
        drop(Folder::claim(&directory, false).unwrap());
        assert!(directory.join("fanfare.db").exists());
        drop(Folder::claim(&directory, true).unwrap());
        assert!(!directory.join("fanfare.db").exists());
    }

    #[test]
    fn what_is_not_a_demonstrations_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("fanfare.db"), "a real server's").unwrap();
        for fresh in [false, true] {
            let error = Folder::claim(directory.path(), fresh).unwrap_err().to_string();
            assert!(error.contains("holds something else"), "{error}");
        }
        assert!(directory.path().join("fanfare.db").exists());
    }

    #[test]
    fn two_at_once_do_not_share() {
        let directory = tempfile::tempdir().unwrap();
        let first = Folder::claim(directory.path(), false).unwrap();
        let error = Folder::claim(directory.path(), true).unwrap_err().to_string();
        assert!(error.starts_with("another demo runs in"), "{error}");
        drop(first);
        assert!(Folder::claim(directory.path(), true).is_ok());
    }
}
