//! `docs/settings.md`: the server's settings, from the table that flags, variables and the file are read by.

use clap::{Arg, Args as _, Command};

use crate::config::Sources;

const HEAD: &str = "\
# Settings

The server's settings come from flags, then from the environment, then from a file, and what none of them says has its default.
One name stands for all three: the key `egress_allow` in the file is the flag `--egress-allow` and the variable
`FANFARE_EGRESS_ALLOW`. This page is made from the program's own table (`cargo run -- manual --settings > docs/settings.md`), and
a test keeps it so.

The file is TOML: `fanfare.toml` in the directory where the server is started, or the one that `--config` or `FANFARE_CONFIG`
names. Every key is at its top, without sections, and one that is not below is refused:

```toml
listen = \"0.0.0.0:8686\"
base_url = \"https://hooks.example.com\"
egress_allow = [\"10.0.0.0/8\", \"localhost\"]
retention_days = 14
https_only = true
```

`fanfare check` says every mistake in them before a server is started. A variable whose name starts with `FANFARE_` and is none
of these, nor one of the command line's, is not used, which the server's log says when it starts.

| key | variable | value | what it is |
|---|---|---|---|
";

const MEMORY: &str = "
## Memory

`memory_mib` is what bodies may take in memory, all together. Each use has a share, and what happens when it is used up is the
server's choice, not the operating system's:

| share | part | what it is for | when it is used up |
|---|---|---|---|
| `deliveries` | 1/2 | deliveries in memory, until their outcome is stored; each counts twice its event's size, for the event and for its request's body | deliveries wait in the database |
| `requests` | 1/4 | bodies above 4 KiB of requests to the API and the portal that are being read or handled | 503 with `Retry-After` |
| `responses` | 1/8 | bodies above 16 KiB that their client has not read yet | 503 with `Retry-After` |
| `logs` | 1/8 | what receivers answered, until it is written | the log keeps less of the response's body |

An organization, or a key that isn't bound to one, gets at most half of `requests`, `responses` or `logs`. An organization gets at most
a quarter of `deliveries`, and an eighth is reserved for organizations that use little. A single body that is larger than a share is taken while nothing else of the share is in use. `/metrics` shows each
share: `fanfare_memory_bytes`, `fanfare_memory_limit_bytes` and `fanfare_memory_refusals_total`.

Connections, caches (TLS sessions take at most 96 MiB) and the database come on top; see the figures for memory in [benchmarks.md](benchmarks.md).
";

/// The page.
pub(super) fn page() -> String {
    let mut text = HEAD.to_owned();
    let command = Sources::augment_args(Command::new("fanfare"));
    for setting in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let key = setting.get_id().as_str();
        let variable = setting.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let help = setting.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        text.push_str(&format!("| `{key}` | `{variable}` | {} | {help} |\n", kind(key, setting)));
    }
    text.push_str(MEMORY);
    text
}

/// What a value looks like in the file.
fn kind(key: &str, setting: &Arg) -> String {
    if Sources::LISTS.contains(&key) {
        return "list of texts, or one text with commas".to_owned();
    }
    let sample = |value: &str| Sources::parse("", &format!("{key} = {value}")).is_ok();
    let words: Vec<String> =
        setting.get_possible_values().iter().map(|word| format!("`\"{}\"`", word.get_name())).collect();
    match () {
        () if sample("true") => "`true` or `false`".to_owned(),
        () if sample("1") => "whole number".to_owned(),
        () if !words.is_empty() => words.join(" or "),
        () => "text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_this_one() {
        let kept = include_str!("../../docs/settings.md");
        assert!(
            kept == page(),
            "the settings have changed: write docs/settings.md anew by `cargo run -- manual --settings > docs/settings.md`"
        );
    }

    #[test]
    fn the_example_can_be_used() {
        let example = HEAD.split("```").nth(1).unwrap().trim_start_matches("toml");
        crate::config::Settings::new(&Sources::parse("fanfare.toml", example).unwrap()).unwrap();
    }
}
