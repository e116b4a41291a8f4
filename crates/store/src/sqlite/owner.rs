//! Whose files are: what root makes in a server's directory is given to the server's user.

use std::io;
use std::path::Path;

/// Gives `path` the owner and the group of `model`. Only root may give files away, so everybody else keeps what they made.
///
/// # Errors
/// Those of the file system, but for the lack of that right.
#[cfg(unix)]
pub(super) fn give_as(path: &Path, model: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, lchown};

    // Whoever owns the directory may have put a link there; what it leads to is not to be given away.
    let (own, wanted) = (std::fs::symlink_metadata(path)?, std::fs::symlink_metadata(model)?);
    if own.uid() == wanted.uid() {
        return Ok(());
    }
    match lchown(path, Some(wanted.uid()), Some(wanted.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

/// Elsewhere a file takes its rights from its directory.
#[cfg(not(unix))]
pub(super) fn give_as(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}
