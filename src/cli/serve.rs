//! `fanfare serve`: runs the server until it is told to stop.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::program;
use crate::clock::SystemClock;
use crate::config::{KeyOrigin, LogFormat, Sources, unknown_variables};
use crate::logging;
use crate::panics;
use crate::server::Server;

/// Run the server
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Settings file [default: fanfare.toml, if it is there]
    #[arg(long, env = "FANFARE_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
}

/// What went wrong is in the log already.
#[derive(Debug, thiserror::Error)]
#[error("what went wrong is in the log")]
pub struct Logged;

/// Runs until SIGTERM or SIGINT, then finishes what is under way.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let sources = args.sources.or(Sources::read(args.config.as_deref())?);
    let format = sources.log_format.unwrap_or_default();
    logging::start(sources.log.as_deref(), format)?;
    panics::log_all();
    match serve(&sources, format).await {
        // Machines read every line of this log.
        Err(error) if format == LogFormat::Json => {
            tracing::error!("{error:#}");
            Err(Logged.into())
        }
        ended => ended,
    }
}

async fn serve(sources: &Sources, format: LogFormat) -> anyhow::Result<()> {
    for line in unknown_variables(&program::variables()) {
        tracing::warn!("{line}");
    }
    // From the first moment on, so that a stop during the start is a stop and not a kill.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut server = tokio::select! {
        server = Server::start(sources, Arc::new(SystemClock)) => server?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    announce(&server, format);
    let ended = tokio::select! {
        _ = terminate.recv() => End::Terminated,
        _ = interrupt.recv() => End::Interrupted,
        () = server.failed() => End::Failed,
    };
    let delay = if ended == End::Terminated { server.leave() } else { Duration::ZERO };
    if !delay.is_zero() {
        tracing::info!(seconds = delay.as_secs(), "not ready any more; serving until the shutdown delay is over");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    tracing::info!("stopping: finishing what is under way");
    if server.stop().await {
        tracing::info!("stopped; nothing is under way");
    } else {
        tracing::warn!("stopped before everything was finished; the next start takes it over");
    }
    anyhow::ensure!(ended != End::Failed, "the server could no longer accept connections; its log says why");
    Ok(())
}

/// Why the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Terminated,
    Interrupted,
    /// It listens no more, by a fault of its own.
    Failed,
}

/// Says what was made. A key is shown to a person at a terminal, once; a log never has one.
fn announce(server: &Server, format: LogFormat) {
    tracing::info!(address = %server.address, version = env!("CARGO_PKG_VERSION"), "listening");
    if let KeyOrigin::Made(file) = &server.admin_key_origin {
        match format {
            LogFormat::Text if std::io::stderr().is_terminal() => {
                eprintln!("The admin key was made: {}\nIt is kept in {}.", server.admin_key, file.display());
            }
            _ => tracing::info!(file = %file.display(), "the admin key was made; it is in the file alone"),
        }
    }
    if let KeyOrigin::Made(file) = &server.master_key_origin {
        tracing::info!(file = %file.display(), "the master key, which encrypts secrets, was made; back it up");
    }
}
