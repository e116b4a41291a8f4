//! The admin key and the master key: given, or made at the first start and kept in the data directory.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::SettingsError;
use crate::random;
use crate::vault::MasterKey;

/// The shortest admin key that is taken, in bytes.
const MIN_ADMIN_KEY: usize = 16;
const ADMIN_KEY_FILE: &str = "admin-key";
const MASTER_KEY_FILE: &str = "master-key";

/// Where a key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    Given,
    /// Read from this file.
    Kept(PathBuf),
    /// Made now, and kept in this file.
    Made(PathBuf),
}

/// Both keys.
pub struct Keys {
    pub admin: String,
    pub admin_origin: KeyOrigin,
    pub master: MasterKey,
    pub master_origin: KeyOrigin,
}

impl Keys {
    /// Takes the given keys, or those in the data directory, or makes them there.
    pub fn load(data: &Path, admin: Option<&str>, master: Option<&str>) -> Result<Self, SettingsError> {
        let make_admin = || format!("ffk_{}", MasterKey::generate().to_hex());
        let (admin, admin_origin) = one("admin_key", admin, &data.join(ADMIN_KEY_FILE), make_admin)?;
        check_admin_key(&admin)?;
        let make_master = || MasterKey::generate().to_hex();
        let (master, master_origin) = one("master_key", master, &data.join(MASTER_KEY_FILE), make_master)?;
        let master = master.parse().map_err(|error| SettingsError::value("master_key", format!("{error}")))?;
        Ok(Keys { admin, admin_origin, master, master_origin })
    }
}

/// Whether an admin key can be used.
///
/// # Errors
/// It is too short, or holds what no header can.
pub fn check_admin_key(key: &str) -> Result<(), SettingsError> {
    if key.len() >= MIN_ADMIN_KEY && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let reason = format!("it must be at least {MIN_ADMIN_KEY} visible ASCII characters");
    Err(SettingsError::value("admin_key", reason))
}

fn one(
    setting: &'static str,
    given: Option<&str>,
    file: &Path,
    make: impl FnOnce() -> String,
) -> Result<(String, KeyOrigin), SettingsError> {
    if let Some(given) = given {
        return Ok((given.trim().to_owned(), KeyOrigin::Given));
    }
    let failed = |error: std::io::Error| SettingsError::value(setting, format!("{}: {error}", file.display()));
    match std::fs::read_to_string(file) {
        Ok(text) => return Ok((text.trim().to_owned(), KeyOrigin::Kept(file.to_owned()))),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let key = make();
    write_private(file, &key).map_err(failed)?;
    Ok((key, KeyOrigin::Made(file.to_owned())))
}

/// Writes a new file that only its owner reads, whole or not at all.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    let unique = random::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let partial = file.with_extension(unique);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&partial)?;
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.sync_all()?;
    std::fs::rename(&partial, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_for_the_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let made = Keys::load(directory.path(), None, None).unwrap();
        let file = directory.path().join("admin-key");
        assert_eq!(made.admin_origin, KeyOrigin::Made(file.clone()));
        let again = Keys::load(directory.path(), None, None).unwrap();
        assert_eq!(again.admin_origin, KeyOrigin::Kept(file.clone()));
        assert_eq!(again.admin, made.admin);
        assert!(again.master == made.master);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Keys::load(directory.path(), Some("short"), None).is_err());
        assert!(Keys::load(directory.path(), Some("long enough for a key"), None).is_err(), "a blank cannot be sent");
        assert!(Keys::load(directory.path(), None, Some("nonsense")).is_err());
    }
}
