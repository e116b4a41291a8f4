//! All profiles of a server, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builtin;
use super::{Profile, ProfileError, Scheme};

/// The profiles that webhooks may have: those that come with the program and those that the operator gave.
#[derive(Clone, Debug)]
pub struct Profiles {
    by_name: BTreeMap<Arc<str>, Arc<Profile>>,
}

impl Profiles {
    /// The profiles that come with the program and those in the `given` files, as pairs of file name and content. A given
    /// profile replaces one of the same name that comes with the program.
    ///
    /// # Errors
    /// Every mistake in every given file; two given files with one name are a mistake, too.
    pub fn load<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Profiles, Vec<ProfileError>> {
        let mut profiles = Profiles { by_name: read(builtin::FILES.iter().copied())? };
        profiles.by_name.append(&mut read(given)?);
        Ok(profiles)
    }

    /// The files that come with the program, as pairs of name and content.
    pub fn builtin() -> &'static [(&'static str, &'static str)] {
        builtin::FILES
    }

    /// The profile of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.by_name.values()
    }

    /// The same profiles for a server that is reached under this host name, with its port if any: `{sender.host}`.
    pub fn sent_from(mut self, host: &str) -> Profiles {
        let host: Arc<str> = host.into();
        for profile in self.by_name.values_mut() {
            Arc::make_mut(profile).sender_host = Arc::clone(&host);
        }
        self
    }

    /// The same profiles with http forbidden in each.
    pub fn https_only(mut self) -> Profiles {
        for profile in self.by_name.values_mut() {
            Arc::make_mut(profile).schemes = vec![Scheme::Https];
        }
        self
    }
}

fn read<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<BTreeMap<Arc<str>, Arc<Profile>>, Vec<ProfileError>> {
    let mut profiles: BTreeMap<Arc<str>, Arc<Profile>> = BTreeMap::new();
    let mut errors = Vec::new();
    for (file, text) in files {
        match Profile::parse(file, text) {
            Ok(profile) if profiles.contains_key(&profile.name) => {
                let reason = format!("{:?} is the name of a profile in another file; each needs its own", profile.name);
                errors.push(ProfileError { file: file.to_owned(), line: 1, key: "name".to_owned(), reason });
            }
            Ok(profile) => {
                profiles.insert(profile.name.clone(), Arc::new(profile));
            }
            Err(mut found) => errors.append(&mut found),
        }
    }
    if errors.is_empty() { Ok(profiles) } else { Err(errors) }
}
