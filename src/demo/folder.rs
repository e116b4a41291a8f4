//! The directory of a demonstration: known by a file in it, so that nobody else's data are used or removed.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fanfare_store::sqlite::DirectoryLock;

/// The file by which a directory is known to be a demonstration's.
const MARK: &str = "fanfare-demo";
/// The file by which a process says that it uses a directory.
const LOCK: &str = "fanfare.lock";

/// A directory that is a demonstration's.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Takes the directory: one that is not there or empty is made one of the demonstration's; of an earlier
    /// demonstration's, the content is removed first where `fresh` says so.
    ///
    /// # Errors
    /// It holds something else, it is to be emptied while in use, or it cannot be written to.
    pub(super) fn claim(directory: &Path, fresh: bool) -> anyhow::Result<Folder> {
        let shown = directory.display();
        let mark = directory.join(MARK);
        if !mark.exists() && !is_empty(directory).with_context(|| format!("cannot read {shown}"))? {
            bail!("{shown} holds something else than an earlier demo; --data names another directory");
        }
        make(directory).with_context(|| format!("cannot make the directory {shown}"))?;
        File::create(&mark).with_context(|| format!("cannot write to {shown}"))?;
        if fresh {
            let _lock = DirectoryLock::take(directory)?;
            empty(directory).with_context(|| format!("cannot empty {shown}"))?;
        }
        let path = std::path::absolute(directory).with_context(|| format!("cannot find {shown}"))?;
        Ok(Folder { path })
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

/// Removes the files of a server, but not the mark and the lock. A directory in it is not a server's and stays.
fn empty(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if ![MARK, LOCK].contains(&&*entry.file_name().to_string_lossy()) && entry.file_type()?.is_file() {
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
    fn what_is_in_use_is_not_emptied() {
        let directory = tempfile::tempdir().unwrap();
        drop(Folder::claim(directory.path(), false).unwrap());
        std::fs::write(directory.path().join("fanfare.db"), "data").unwrap();
        let lock = DirectoryLock::take(directory.path()).unwrap();
        let error = Folder::claim(directory.path(), true).unwrap_err().to_string();
        assert!(error.contains("in use by another"), "{error}");
        assert!(directory.path().join("fanfare.db").exists());
        drop(lock);
        assert!(Folder::claim(directory.path(), true).is_ok());
    }
}
