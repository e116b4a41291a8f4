//! `fanfare check`: says every mistake in the settings and profiles before a server is started with them.

use std::path::PathBuf;

use clap::Args;

use super::answers::print;
use super::{mistakes, program};
use crate::config::{Sources, unknown_variables};

/// Check the settings and the profiles, and say every mistake
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Settings file [default: fanfare.toml, if it is there]
    #[arg(long, env = "FANFARE_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
}

/// Says what a server would be started with, or every mistake, each with its place.
///
/// # Errors
/// There are mistakes.
pub fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let found = mistakes::find(&args.sources, args.config.as_deref());
    for mistake in &found.mistakes {
        eprintln!("{mistake}");
    }
    for line in unknown_variables(&program::variables()) {
        eprintln!("{line}");
    }
    match found.mistakes.len() {
        0 => print(&found.told),
        1 => anyhow::bail!("there is 1 mistake in the settings"),
        several => anyhow::bail!("there are {several} mistakes in the settings"),
    }
}
