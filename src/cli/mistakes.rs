//! Finds every mistake in the settings, where a start would stop at the first.

use std::fmt;
use std::path::Path;

use toml::de::DeTable;

use crate::config::{DEFAULT_FILE, Settings, SettingsError, Sources, check_admin_key, load_profiles};
use crate::delivery::tls;
use crate::logging;
use crate::vault::MasterKey;

/// A mistake and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file with the line, or the flag and the variable; empty where the mistake's text says it.
    pub place: String,
    /// What is wrong and what would be right.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.text)
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub mistakes: Vec<Mistake>,
    /// What a server would be started with, for people, a line each; of use where there is no mistake.
    pub told: String,
}

/// Checks what flags and environment say (`given`), the settings file, and the profiles that both lead to.
pub fn find(given: &Sources, file: Option<&Path>) -> Found {
    let mut mistakes = Vec::new();
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let name = path.display().to_string();
    let mut kept = Sources::default();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => None,
        Err(error) => {
            mistakes.push(Mistake { place: name.clone(), text: error.to_string() });
            None
        }
    };
    if let Some(text) = &text {
        kept = in_file(&name, text, &mut mistakes);
    }
    for (setting, variable, single) in given.each() {
        let place = format!("--{} or {variable}", setting.replace('_', "-"));
        mistakes.extend(in_setting(&single).map(|error| Mistake { place, text: reason(error) }));
    }
    let whole = given.clone().or(kept);
    let profiles = in_profiles(&whole, &mut mistakes);
    let told = match Settings::new(&whole) {
        Ok(settings) => format!(
            "The settings are right ({}).\nIt would listen on {}, keep its data in {}, and know the profiles {profiles}.\n",
            if text.is_some() { &name } else { "no settings file" },
            settings.listen,
            settings.data.display(),
        ),
        Err(error) => error.to_string(),
    };
    Found { mistakes, told }
}

/// What a file says, as far as it is right.
fn in_file(file: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Sources {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let place = |at: usize| format!("{file}:{}", text[..at.min(text.len())].matches('\n').count() + 1);
    for error in &syntax {
        let at = error.span().map_or(0, |span| span.start);
        mistakes.push(Mistake { place: place(at), text: error.message().trim().to_owned() });
    }
    if !syntax.is_empty() {
        return Sources::default();
    }
    let mut known = Sources::default();
    for (key, value) in document.get_ref() {
        let place = place(key.span().start);
        let name = key.get_ref();
        if !Sources::NAMES.contains(&&**name) {
            let text = format!("{name}: is no setting; `fanfare serve --help` lists them");
            mistakes.push(Mistake { place, text });
            continue;
        }
        let piece = format!("{name} = {}", &text[value.span()]);
        match toml::from_str::<Sources>(&piece) {
            Err(error) => mistakes.push(Mistake { place, text: format!("{name}: {}", error.message()) }),
            Ok(single) => match in_setting(&single) {
                Some(error) => mistakes.push(Mistake { place, text: format!("{name}: {}", reason(error)) }),
                None => known = known.or(single),
            },
        }
    }
    known
}

/// What is wrong with the one setting that is given.
fn in_setting(single: &Sources) -> Option<SettingsError> {
    let settings = match Settings::new(single) {
        Ok(settings) => settings,
        Err(error) => return Some(error),
    };
    let wrong = |setting, reason: String| SettingsError::Value { setting, reason };
    if let Some(roots) = &settings.extra_roots
        && let Err(error) = tls::client_config(Some(roots))
    {
        return Some(wrong("tls_ca_file", error.to_string()));
    }
    let admin_key = single.admin_key.as_deref().map(|key| check_admin_key(key.trim()));
    let log = single.log.as_deref().map(|text| logging::filter(text).map(drop));
    let master_key = single
        .master_key
        .as_deref()
        .map(|key| key.trim().parse::<MasterKey>().map(drop).map_err(|error| wrong("master_key", error.to_string())));
    [admin_key, log, master_key].into_iter().flatten().find_map(Result::err)
}

/// Checks the profiles; answers their names.
fn in_profiles(sources: &Sources, mistakes: &mut Vec<Mistake>) -> String {
    let mut note = |text: String| mistakes.push(Mistake { place: String::new(), text });
    match load_profiles(sources.profiles_dir.as_deref()) {
        Err(error) => {
            error.to_string().lines().for_each(|line| note(line.to_owned()));
            String::new()
        }
        Ok(profiles) => {
            if let Some(name) = &sources.profile
                && profiles.get(name).is_none()
            {
                note(format!("profile: there is no profile {name:?}; `fanfare profile list` lists them"));
            }
            profiles.iter().map(|profile| &*profile.name).collect::<Vec<_>>().join(", ")
        }
    }
}

fn reason(error: SettingsError) -> String {
    match error {
        SettingsError::Value { reason, .. } | SettingsError::File { reason, .. } => reason,
        SettingsError::Profiles(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, given: &Sources) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f.toml");
        std::fs::write(&file, text).unwrap();
        let prefix = format!("{}/", directory.path().display());
        let found = find(given, Some(&file));
        found.mistakes.iter().map(|mistake| mistake.to_string().replace(&prefix, "")).collect()
    }

    #[test]
    fn every_mistake_is_said_with_its_place() {
        let text = "listen = \"8686\"\n# fine\nretention_days = 7\nport = 3\nhttps_only = \"yes\"\nlog = \"a=b=c\"\n\
                    profile = \"none\"\nadmin_key = \"short\"\nmaster_key = \"x\"\n";
        let said = checked(text, &Sources::default());
        let starts = [
            "f.toml:1: listen: \"8686\" is no address",
            "f.toml:4: port: is no setting",
            "f.toml:5: https_only: invalid type: string \"yes\"",
            "f.toml:6: log: \"a=b=c\"",
            "f.toml:8: admin_key: it must have 16 to 256",
            "f.toml:9: master_key: ",
            "profile: there is no profile \"none\"",
        ];
        let mut sorted = said.clone();
        sorted.sort();
        assert_eq!(sorted.len(), starts.len(), "{said:?}");
        for (line, start) in sorted.iter().zip(starts) {
            assert!(line.starts_with(start), "{line} does not start with {start}");
        }
    }

    #[test]
    fn flags_and_variables_are_named() {
        let given = Sources { memory_mib: Some(1), base_url: Some("a".to_owned()), ..Sources::default() };
        let said = checked("", &given);
        assert!(said[0].starts_with("--base-url or FANFARE_BASE_URL: \"a\" is no URL"), "{said:?}");
        assert_eq!(said[1], "--memory-mib or FANFARE_MEMORY_MIB: 1 is not from 4 to 65536");
    }

    #[test]
    fn what_is_no_toml_is_said_with_its_line() {
        let said = checked("listen = \"127.0.0.1:1\"\nlog = \n", &Sources::default());
        assert!(said[0].starts_with("f.toml:2: "), "{said:?}");
    }

    #[test]
    fn what_is_right_is_told() {
        let found = find(&Sources { listen: Some("127.0.0.1:9".to_owned()), ..Sources::default() }, None);
        assert_eq!(found.mistakes, []);
        assert!(found.told.contains("listen on 127.0.0.1:9"), "{}", found.told);
    }
}
