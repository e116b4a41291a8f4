//! How soon a server with an empty store is ready, and what it uses while it has nothing to do.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::child::{self, ServerCommand, Started};
use super::figures::{Bound, Figure};
use super::process::{self, Usage};

/// How often it is started, each time with no data.
const STARTS: usize = 5;
/// After the start, the time in which the server may settle.
const SETTLE: Duration = Duration::from_secs(1);
/// For how long the idle server is watched.
const IDLE: Duration = Duration::from_secs(10);

/// Starts the server several times in fresh directories below `directory`, and watches the last one idle.
///
/// # Errors
/// The server does not start, or its usage cannot be read (no /proc).
pub async fn measure(command: &ServerCommand, directory: &Path) -> anyhow::Result<Vec<Figure>> {
    let mut took = Vec::with_capacity(STARTS);
    let mut last = None;
    for number in 1..=STARTS {
        drop(last.take());
        let started = start_empty(command, &directory.join(format!("start-{number}"))).await?;
        eprintln!("start {number} of {STARTS}: ready after {} ms", started.took.as_millis());
        took.push(started.took.as_secs_f64() * 1e3);
        last = Some(started);
    }
    let started = last.context("nothing was started")?;
    tokio::time::sleep(SETTLE).await;
    let before = usage(&started)?;
    tokio::time::sleep(IDLE).await;
    let after = usage(&started)?;
    let idle = (after.cpu_ms - before.cpu_ms) / (IDLE.as_secs_f64() * 1e3) * 100.0;
    Ok(vec![
        Figure::new("start_to_ready_ms", "start to ready, ms", 0, took).bound(Bound::AtMost(300.0)),
        Figure::new("idle_cpu_percent", "idle CPU, % of one CPU", 2, vec![idle]).bound(Bound::AtMost(0.5)),
        Figure::new("idle_memory_mib", "idle memory, MiB", 1, vec![process::mebibytes(after.resident_bytes)]),
    ])
}

async fn start_empty(command: &ServerCommand, directory: &Path) -> anyhow::Result<Started> {
    std::fs::create_dir(directory).with_context(|| format!("cannot make the directory {}", directory.display()))?;
    child::start_server(command, directory).await
}

fn usage(started: &Started) -> anyhow::Result<Usage> {
    process::usage(started.child.pid()).context("what the server uses cannot be read from /proc")
}
