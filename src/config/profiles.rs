//! Reads the operator's own profiles.

use std::path::Path;

use fanfare_engine::profile::Profiles;

use super::SettingsError;

/// The profiles that come with the program, and those of a directory.
pub fn load_profiles(directory: Option<&Path>) -> Result<Profiles, SettingsError> {
    let files = match directory {
        Some(directory) => read_profile_files(directory)?,
        None => Vec::new(),
    };
    let given = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Profiles::load(given).map_err(|errors| {
        SettingsError::Profiles(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// The files of profiles in a directory, as pairs of name and content, in the order of their names.
pub fn read_profile_files(directory: &Path) -> Result<Vec<(String, String)>, SettingsError> {
    read(directory).map_err(|error| SettingsError::value("profiles_dir", format!("{}: {error}", directory.display())))
}

fn read(directory: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}
