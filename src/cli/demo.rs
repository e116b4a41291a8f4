//! `fanfare demo`: shows a server at work, with a customer and a receiver, in one process.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::LogFormat;
use crate::demo::{self, Options};
use crate::logging;

/// The most events each second that can be asked for.
const MAX_RATE: f64 = 100.0;

/// See it work: a server, a customer with a webhook, and a receiver that fails now and then
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Directory of its data; kept, and used again by the next demo
    #[arg(long, default_value = "./fanfare-demo", value_name = "DIRECTORY")]
    data: PathBuf,
    /// Remove the data of an earlier demo first
    #[arg(long)]
    fresh: bool,
    /// The server's port, or the next one that is free; 0 takes any
    #[arg(long, short, default_value_t = 8686)]
    port: u16,
    /// Events each second
    #[arg(long, default_value = "2", value_parser = rate)]
    rate: f64,
    /// Whether the output is coloured
    #[arg(long, value_enum, default_value_t)]
    colour: Colour,
    #[arg(long, hide = true, env = "NO_COLOR")]
    no_colour: Option<String>,
    /// What the server logs, such as info
    #[arg(long, default_value = "warn")]
    log: String,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= MAX_RATE);
    rate.ok_or_else(|| format!("a number above 0, up to {MAX_RATE}, is expected"))
}

/// Runs until Ctrl-C or SIGTERM, then finishes what is under way.
///
/// # Errors
/// The directory is not a demo's, no port is free, or the server cannot start.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    logging::start(Some(&args.log), LogFormat::Text)?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let no_colour = args.no_colour.is_some_and(|value| !value.is_empty());
    let colour = match args.colour {
        Colour::Auto => std::io::stdout().is_terminal() && !no_colour,
        Colour::Always => true,
        Colour::Never => false,
    };
    let options = Options {
        directory: args.data,
        fresh: args.fresh,
        port: args.port,
        rate: args.rate,
        colour,
        program: std::env::args().next().unwrap_or_else(|| "fanfare".to_owned()),
    };
    demo::run(options, &mut std::io::stdout(), stop).await
}
