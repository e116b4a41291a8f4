//! The admin key and the master key: given, or made at the first start and kept in the data directory.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::SettingsError;
use crate::keyring::MAX_KEY_BYTES;
use crate::random;
use crate::vault::MasterKey;

/// The shortest admin key that is taken, in bytes.
const MIN_ADMIN_KEY: usize = 16;

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
    /// The files of a data directory that keep them.
    pub const FILES: [&str; 2] = [ADMIN.file, MASTER.file];

    /// Checks the given keys and those in the data directory, and makes nothing.
    ///
    /// # Errors
    /// A key that cannot be used, or a file that cannot be read.
    pub fn check(data: &Path, admin: Option<&str>, master: Option<&str>) -> Result<(), SettingsError> {
        if let Some((admin, origin)) = ADMIN.find(data, admin)? {
            origin.naming(check_admin_key(&admin))?;
        }
        if let Some((master, origin)) = MASTER.find(data, master)? {
            origin.naming(read_master_key(&master))?;
        }
        Ok(())
    }

    /// Takes the given keys, or those in the data directory, or makes them there. `sealed`: the database was sealed under
    /// a master key before, for which a new one is no substitute.
    ///
    /// # Errors
    /// As [`Keys::check`]; or the master key of a sealed database is missing, or a file cannot be written.
    pub fn load(data: &Path, admin: Option<&str>, master: Option<&str>, sealed: bool) -> Result<Self, SettingsError> {
        Self::check(data, admin, master)?;
        let found = MASTER.find(data, master)?;
        if sealed && found.is_none() {
            return Err(MASTER.missing(data));
        }
        let (master, master_origin) = MASTER.or_make(found, data, || MasterKey::generate().to_hex())?;
        let make_admin = || format!("ffk_{}", MasterKey::generate().to_hex());
        let (admin, admin_origin) = ADMIN.or_make(ADMIN.find(data, admin)?, data, make_admin)?;
        Ok(Keys { admin, admin_origin, master: read_master_key(&master)?, master_origin })
    }
}

/// Whether an admin key can be used.
///
/// # Errors
/// It is too short or too long for a request to be recognized by it, or holds what no header can.
pub fn check_admin_key(key: &str) -> Result<(), SettingsError> {
    if (MIN_ADMIN_KEY..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let reason = format!("it must have {MIN_ADMIN_KEY} to {MAX_KEY_BYTES} visible ASCII characters and no spaces");
    Err(SettingsError::value("admin_key", reason))
}

fn read_master_key(text: &str) -> Result<MasterKey, SettingsError> {
    text.parse().map_err(|error| SettingsError::value(MASTER.setting, format!("{error}")))
}

/// One of the keys: the setting that gives it, and the file that keeps it.
struct Place {
    setting: &'static str,
    variable: &'static str,
    file: &'static str,
}

const ADMIN: Place = Place { setting: "admin_key", variable: "FANFARE_ADMIN_KEY", file: "admin-key" };
const MASTER: Place = Place { setting: "master_key", variable: "FANFARE_MASTER_KEY", file: "master-key" };

impl Place {
    /// The key, if it is given or kept.
    fn find(&self, data: &Path, given: Option<&str>) -> Result<Option<(String, KeyOrigin)>, SettingsError> {
        if let Some(given) = given {
            return Ok(Some((given.trim().to_owned(), KeyOrigin::Given)));
        }
        let file = data.join(self.file);
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some((text.trim().to_owned(), KeyOrigin::Kept(file)))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&file, &error)),
        }
    }

    /// What was found, or a new key, which is kept.
    fn or_make(
        &self,
        found: Option<(String, KeyOrigin)>,
        data: &Path,
        make: impl FnOnce() -> String,
    ) -> Result<(String, KeyOrigin), SettingsError> {
        if let Some(found) = found {
            return Ok(found);
        }
        let (key, file) = (make(), data.join(self.file));
        write_private(&file, &key).map_err(|error| self.failed(&file, &error))?;
        Ok((key, KeyOrigin::Made(file)))
    }

    fn failed(&self, file: &Path, error: &std::io::Error) -> SettingsError {
        SettingsError::value(self.setting, format!("{}: {error}", file.display()))
    }

    fn missing(&self, data: &Path) -> SettingsError {
        let reason = format!(
            "the file {} is missing, and {} is not set; the secrets in this database were sealed under that key, and no \
             other opens them: put the file back, or give the key",
            data.join(self.file).display(),
            self.variable
        );
        SettingsError::value(self.setting, reason)
    }
}

impl KeyOrigin {
    /// The result, with the file named in what is wrong with a key that was kept in one.
    fn naming<T>(&self, result: Result<T, SettingsError>) -> Result<T, SettingsError> {
        result.map_err(|error| match (error, self) {
            (SettingsError::Value { setting, reason }, KeyOrigin::Kept(file)) => {
                SettingsError::value(setting, format!("{}: {reason}", file.display()))
            }
            (error, _) => error,
        })
    }
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
        let made = Keys::load(directory.path(), None, None, false).unwrap();
        let file = directory.path().join("admin-key");
        assert_eq!(made.admin_origin, KeyOrigin::Made(file.clone()));
        let again = Keys::load(directory.path(), None, None, false).unwrap();
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
        assert!(Keys::load(directory.path(), Some("short"), None, false).is_err());
        assert!(
            Keys::load(directory.path(), Some("long enough for a key"), None, false).is_err(),
            "a blank cannot be sent"
        );
        let longest = "k".repeat(MAX_KEY_BYTES);
        assert!(check_admin_key(&longest).is_ok());
        let said = check_admin_key(&(longest + "k")).unwrap_err().to_string();
        assert_eq!(said, "admin_key: it must have 16 to 256 visible ASCII characters and no spaces");
        assert!(Keys::load(directory.path(), None, Some("nonsense"), false).is_err());
    }

    #[test]
    fn a_bad_key_in_a_file_is_named_by_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("admin-key");
        std::fs::write(&file, "short\n").unwrap();
        let said = Keys::check(directory.path(), None, None).unwrap_err().to_string();
        assert!(said.starts_with(&format!("admin_key: {}: it must have", file.display())), "{said}");
    }

    #[test]
    fn no_new_master_key_is_made_for_a_sealed_database() {
        let directory = tempfile::tempdir().unwrap();
        let said = Keys::load(directory.path(), None, None, true).err().unwrap().to_string();
        assert!(said.contains("master-key is missing") && said.contains("FANFARE_MASTER_KEY"), "{said}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
