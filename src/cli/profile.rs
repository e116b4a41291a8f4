//! `fanfare profile`: which profiles there are, what they say, and whether a file of one is right.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use fanfare_engine::profile::{Profile, Profiles};
use serde_json::{Value, json};

use super::answers::print;
use super::profile_try::{self, TryArgs};
use super::table;
use crate::config::read_profile_files;

/// See profiles (how webhooks look and behave), and check your own
#[derive(Args, Debug)]
pub struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
    /// Directory of further profiles, *.toml
    #[arg(long, env = "FANFARE_PROFILES_DIR", hide_env_values = true, value_name = "DIRECTORY", global = true)]
    profiles_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// List the profiles that come with Fanfare and those of the directory
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a profile's file
    Show {
        /// The profile's name
        name: String,
    },
    /// Print the request that a profile makes of an event, signed, as text and as a curl command; nothing is sent
    Try(TryArgs),
    /// Check files of profiles; every mistake is said with its line and key
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// A file that cannot be read, an unknown profile, or a mistake in one.
pub fn run(args: ProfileArgs) -> anyhow::Result<()> {
    let directory = args.profiles_dir;
    match args.command {
        ProfileCommand::List { json } => list(&Files::read(directory)?, json),
        ProfileCommand::Show { name } => show(&Files::read(directory)?, &name),
        ProfileCommand::Try(args) => profile_try::run(&args, Files::read(directory)?.find(args.profile())?.0),
        ProfileCommand::Check { files } => check(&files),
    }
}

/// Profiles' files as pairs of name and content.
struct Files {
    given: Vec<(String, String)>,
}

impl Files {
    fn read(directory: Option<PathBuf>) -> anyhow::Result<Files> {
        let given = directory.map(|directory| read_profile_files(&directory)).transpose()?.unwrap_or_default();
        Ok(Files { given })
    }

    /// Every profile with its file's name and content. One of the directory stands for a built-in one of its name.
    fn all(&self) -> anyhow::Result<Vec<(Profile, Option<&str>, &str)>> {
        let mut all: Vec<(Profile, Option<&str>, &str)> = Vec::new();
        let given = self.given.iter().map(|(file, text)| (Some(file.as_str()), text.as_str()));
        let builtin = Profiles::builtin().iter().map(|(_, text)| (None, *text));
        for (file, text) in given.chain(builtin) {
            let profile = Profile::parse(file.unwrap_or("built in"), text).map_err(|mistakes| {
                let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                anyhow::anyhow!("{}", lines.join("\n"))
            })?;
            if !all.iter().any(|(known, ..)| known.name == profile.name) {
                all.push((profile, file, text));
            }
        }
        all.sort_by(|(a, ..), (b, ..)| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The profile of this name, with its file's content.
    fn find(&self, name: &str) -> anyhow::Result<(Profile, &str)> {
        let all = self.all()?;
        let known: Vec<String> = all.iter().map(|(profile, ..)| profile.name.to_string()).collect();
        let found = all.into_iter().find(|(profile, ..)| &*profile.name == name);
        let (profile, _, text) =
            found.with_context(|| format!("there is no profile {name:?}; there are {}", known.join(", ")))?;
        Ok((profile, text))
    }
}

fn list(files: &Files, json: bool) -> anyhow::Result<()> {
    let entry = |(profile, file, _): &(Profile, Option<&str>, &str)| json!({"name": &*profile.name, "description": profile.description, "file": file});
    let entries: Vec<Value> = files.all()?.iter().map(entry).collect();
    if json {
        return print(&format!("{}\n", json!({"data": entries})));
    }
    print(&table::of(
        &entries,
        &[("NAME", "name"), ("DESCRIPTION", "description"), ("FILE", "file")],
        table::Cells::for_output(),
    ))
}

fn show(files: &Files, name: &str) -> anyhow::Result<()> {
    print(files.find(name)?.1)
}

fn check(paths: &[PathBuf]) -> anyhow::Result<()> {
    let mut mistakes = 0;
    for path in paths {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Err(error) => {
                mistakes += 1;
                eprintln!("{file}: {error}");
            }
            Ok(text) => match Profile::parse(&file, &text) {
                Ok(profile) => print(&format!("{file}: right; it is the profile {:?}\n", profile.name))?,
                Err(found) => {
                    mistakes += found.len();
                    found.iter().for_each(|mistake| eprintln!("{mistake}"));
                }
            },
        }
    }
    match mistakes {
        0 => Ok(()),
        1 => anyhow::bail!("there is 1 mistake"),
        _ => anyhow::bail!("there are {mistakes} mistakes"),
    }
}
