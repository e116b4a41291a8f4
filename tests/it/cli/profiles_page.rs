//! What docs/profiles.md shows: its profile, what its commands say, and the list of those that come with Fanfare.

use std::fs;

use serde_json::Value;

use super::{fanfare, run};

const PAGE: &str = include_str!("../../../docs/profiles.md");

/// The first block of this language.
fn block(language: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let start = PAGE.find(&fence).unwrap_or_else(|| panic!("the page has no {language}")) + fence.len();
    &PAGE[start..start + PAGE[start..].find("```").unwrap()]
}

/// The command of the page that starts so, as a person would type it.
fn command(start: &str) -> Vec<&'static str> {
    let line = PAGE.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("the page has no {start:?}"));
    line.split(' ').skip(1).collect()
}

#[test]
fn the_profile_of_the_page_is_checked_and_tried_as_the_page_says() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("profiles")).unwrap();
    fs::write(directory.path().join("profiles/parcelworks.toml"), block("toml")).unwrap();
    let ran = |start: &str| run(fanfare(directory.path()).args(command(start))).well();
    let checked = ran("fanfare profile check ");
    assert_eq!(checked, "profiles/parcelworks.toml: right; it is the profile \"parcelworks\"\n");
    let tried = ran("fanfare profile try ");
    let request = tried.split("\n# signed with").next().unwrap();
    assert_eq!(block("http").trim_end(), request.trim_end(), "{tried}");
    let settings = ran("fanfare check ");
    assert!(settings.contains("parcelworks"), "{settings}");
}

#[test]
fn every_profile_that_comes_with_the_program_is_on_the_page() {
    let directory = tempfile::tempdir().unwrap();
    let listed = run(fanfare(directory.path()).args(["profile", "list", "--json"])).well();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let mut names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split('`').next());
    // The table of headers comes later, and has capital letters.
    let mut shown: Vec<_> = rows.filter(|name| !name.contains(char::is_uppercase)).collect();
    names.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, names);
}
