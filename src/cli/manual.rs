//! `fanfare manual`: the commands as `docs/cli.md` lists them, from the command line's own help; and the page of settings.

use clap::{Args, Command, CommandFactory};

use super::answers::print;
use super::program::Program;
use super::settings_page;

const HEAD: &str = "\
# The command line

`fanfare` is one program. `fanfare COMMAND --help` says everything of a command; this page is made from the same words
(`cargo run -- manual > docs/cli.md`), and a test keeps it so.

The commands on organizations, users, entities, event types, webhooks, events, deliveries and API keys ask a running server:
`--url` (or `FANFARE_URL`, by default `http://127.0.0.1:8686`) says which, and `--key` (or `FANFARE_KEY`, `FANFARE_ADMIN_KEY`,
else the file `admin-key` in `./fanfare-data` or `./fanfare-demo`) with which key. They print tables, or with `--json` the API's
answer; in JSON, characters that could mislead a terminal are escaped. `FANFARE_ORG` stands for `--org`. A refusal is said on
standard error, with the fields that were wrong, and ends with exit code 1; a command line that cannot be understood ends with 2.
";

/// Print the list of all commands as Markdown
#[derive(Args, Debug)]
pub struct ManualArgs {
    /// The list of all settings instead
    #[arg(long)]
    settings: bool,
}

/// Prints the page.
///
/// # Errors
/// Standard output cannot be written to.
pub fn run(args: &ManualArgs) -> anyhow::Result<()> {
    print(&if args.settings { settings_page::page() } else { page() })
}

fn page() -> String {
    let mut program = Program::command();
    program.build();
    let mut text = HEAD.to_owned();
    for command in shown(&program) {
        let name = command.get_name();
        text.push_str(&format!("\n## fanfare {name}\n\n{}.\n", about(command)));
        let below: Vec<&Command> = shown(command).collect();
        if below.is_empty() {
            let options = options(command);
            if !options.is_empty() {
                text.push_str(&format!("\n{options}"));
            }
            continue;
        }
        text.push_str("\n| command | what it does |\n|---|---|\n");
        for command in below {
            text.push_str(&format!("| `{}` | {} |\n", usage(command), about(command).replace('|', "\\|")));
        }
    }
    text
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default().trim_end_matches('.').to_owned()
}

/// The command with what it must and may be given, but for what all of its kind share.
fn usage(command: &Command) -> String {
    let mut words = vec![command.get_name().to_owned()];
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set() && !argument.is_global_set()) {
        let required = argument.is_required_set();
        let word = match argument.get_long() {
            Some("help" | "version") => continue,
            Some(long) if argument.get_action().takes_values() => format!("--{long} {}", value(argument)),
            Some(long) => format!("--{long}"),
            None => value(argument),
        };
        words.push(if required { word } else { format!("[{word}]") });
    }
    words.join(" ").replace('|', "\\|")
}

fn value(argument: &clap::Arg) -> String {
    argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default()
}

/// The value as it is written behind the option's name.
fn given(argument: &clap::Arg) -> String {
    let optional = argument.get_num_args().is_some_and(|count| count.min_values() == 0);
    if !(optional && argument.is_require_equals_set()) {
        return format!(" {}", value(argument));
    }
    let possible = argument.get_possible_values();
    let words: Vec<&str> = possible.iter().map(clap::builder::PossibleValue::get_name).collect();
    format!("[={}]", words.join("|"))
}

/// A line for each option of a command.
fn options(command: &Command) -> String {
    let mut text = String::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let Some(long) = argument.get_long().filter(|long| !["help", "version"].contains(long)) else { continue };
        let value = if argument.get_action().takes_values() { given(argument) } else { String::new() };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("- `--{long}{value}`: {help}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_this_one() {
        let kept = include_str!("../../docs/cli.md");
        assert!(
            kept == page(),
            "the command line has changed: write docs/cli.md anew by `cargo run -- manual > docs/cli.md`"
        );
    }

    #[test]
    fn the_command_line_is_well_formed_and_every_part_of_it_explained() {
        Program::command().debug_assert();
        let mut pending = vec![Program::command()];
        while let Some(command) = pending.pop() {
            assert!(!about(&command).is_empty(), "{} has no description", command.get_name());
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let id = argument.get_id();
                assert!(argument.get_help().is_some(), "{} of {} is not explained", id, command.get_name());
            }
            pending.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        }
    }
}
