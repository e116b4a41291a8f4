//! `fanfare serve`: runs the server until it is told to stop.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::program;
use crate::clock::SystemClock;
use crate::config::{KeyOrigin, Sources, unknown_variables};
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

/// Runs until SIGTERM or SIGINT, then finishes what is under way.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let sources = args.sources.or(Sources::read(args.config.as_deref())?);
    logging::start(sources.log.as_deref(), sources.log_format.unwrap_or_default())?;
    panics::log_all();
    for line in unknown_variables(&program::variables()) {
        tracing::warn!("{line}");
    }
    // From the first moment on, so that a stop during the start is a stop and not a kill.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut server = tokio::select! {
        server = Server::start(&sources, Arc::new(SystemClock)) => server?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    announce(&server);
    let failed = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = server.failed() => true,
    };
    tracing::info!("stopping: finishing what is under way");
    if server.stop().await {
        tracing::info!("stopped; nothing is under way");
    } else {
        tracing::warn!("stopped before everything was finished; the next start takes it over");
    }
    anyhow::ensure!(!failed, "the server could no longer accept connections; its log says why");
    Ok(())
}

fn announce(server: &Server) {
    tracing::info!(address = %server.address, version = env!("CARGO_PKG_VERSION"), "listening");
    if let KeyOrigin::Made(file) = &server.admin_key_origin {
        // Shown once; from now on it is in the file alone.
        eprintln!("The admin key was made: {}\nIt is kept in {}.", server.admin_key, file.display());
    }
    if let KeyOrigin::Made(file) = &server.master_key_origin {
        eprintln!("The master key, which encrypts secrets, was made and is kept in {}. Back it up.", file.display());
    }
}
