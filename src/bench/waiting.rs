//! What a server costs while very many deliveries wait: memory, restarts, other customers' events; and how it catches up.
//!
//! Two servers are started. In both, the organization `other` gets events as usual; in one of them, another organization
//! is held by a pause and its deliveries wait. The rounds go to both in turn, so that what disturbs the machine disturbs
//! both. Then the full server is killed and started several times, and at last the pause ends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::api::Setup;
use super::child::{self, ServerCommand, Started};
use super::figures::{Bound, Figure};
use super::fill::fill;
use super::process::{self, Usage, mebibytes};
use super::receiver::Run;
use super::round::{Bench, Shape, Target, wait_for_arrivals};
use super::subject::Subject;
use super::template::{Address, Template};

/// Events of each server's first, unmeasured round.
const WARM_UP: u32 = 1_000;
/// After the fill, the time in which the server may finish its books.
const SETTLE: Duration = Duration::from_secs(2);
/// How often it is looked whether the first delivery has come, and with it how exactly that is measured.
const LOOK: Duration = Duration::from_millis(2);
/// How often memory is read while the waiting deliveries are sent.
const SAMPLE: Duration = Duration::from_millis(500);
const MEMORY: Bound = Bound::AtMost(300.0);

/// What is to be measured.
pub struct Wanted<'a> {
    /// How the two servers are started.
    pub command: &'a ServerCommand,
    /// Where their data goes.
    pub directory: &'a Path,
    /// How many deliveries wait.
    pub deliveries: u32,
    /// The rounds of other events.
    pub shape: Shape,
    /// How many rounds, and how many restarts.
    pub rounds: u32,
}

/// A server with two organizations, each with one webhook.
struct Site<'a> {
    command: &'a ServerCommand,
    directory: std::path::PathBuf,
    started: Started,
    held: Setup,
    other: Setup,
}

impl<'a> Site<'a> {
    async fn start(wanted: &Wanted<'a>, bench: &Bench, name: &str) -> anyhow::Result<Self> {
        let directory = wanted.directory.join(name);
        std::fs::create_dir(&directory)?;
        let started = child::start_server(wanted.command, &directory).await?;
        let held = started.api.set_up(bench.receiver(), 1, bench.nonce(), &Subject::plain()).await?;
        let other = started.api.set_up(bench.receiver(), 1, !bench.nonce(), &Subject::plain()).await?;
        Ok(Site { command: wanted.command, directory, started, held, other })
    }

    fn target(&self) -> Target {
        Target::server(&self.started.api, &self.other, Some(self.started.child.pid()), 1, &Subject::plain())
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        process::usage(self.started.child.pid()).context("what the server uses cannot be read from /proc")
    }

    /// Kills the server, as a failing machine would, and starts it again on the same data.
    async fn restart(self) -> anyhow::Result<Self> {
        drop(self.started);
        let started = child::start_server(self.command, &self.directory).await?;
        Ok(Site { started, ..self })
    }
}

/// Measures; see the module. Answers the figures, and how many deliveries were lost.
///
/// # Errors
/// A server does not start, or refuses events.
pub async fn measure(wanted: &Wanted<'_>, bench: &Bench) -> anyhow::Result<(Vec<Figure>, u64)> {
    let empty = Site::start(wanted, bench, "empty").await?;
    let full = Site::start(wanted, bench, "full").await?;
    let warm_up = Shape { events: Some(WARM_UP), duration: None, rate: None, ..wanted.shape };
    for site in [&empty, &full] {
        bench.run(&site.target(), &warm_up).await?;
    }
    let mut figures = Vec::new();
    let pause = full.started.api.pause(&full.held.organization).await?;
    let waiting = fill_up(&full, wanted, bench, &mut figures).await?;
    beside(&empty, &full, wanted, bench, &mut figures).await?;
    drop(empty);
    let full = restarts(full, wanted, bench, &mut figures).await?;
    drain(&full, &pause, &waiting, wanted, bench, &mut figures).await?;
    let lost = waiting.ledger.totals().lost;
    Ok((figures, lost))
}

/// Has the deliveries wait, and reads what that takes.
async fn fill_up(
    site: &Site<'_>,
    wanted: &Wanted<'_>,
    bench: &Bench,
    figures: &mut Vec<Figure>,
) -> anyhow::Result<Arc<Run>> {
    let before = site.usage()?;
    let run = bench.begin(wanted.deliveries, 1, &site.held.secrets)?;
    let nowhere = Address { host: "", path: "", key: "" };
    let template = Template::new(&nowhere, wanted.shape.payload, bench.nonce(), run.ledger.run, &Subject::plain());
    let started = bench.clock().micros();
    fill(&site.started.api, &site.held.organization, &template, &run.ledger, bench.clock()).await?;
    let seconds = bench.clock().micros().saturating_sub(started) as f64 / 1e6;
    eprintln!("{} deliveries wait, after {seconds:.0} s", wanted.deliveries);
    anyhow::ensure!(run.ledger.arrived() == 0, "deliveries were sent though their organization is held");
    tokio::time::sleep(SETTLE).await;
    let after = site.usage()?;
    let cpu = (after.cpu_ms - before.cpu_ms) / f64::from(wanted.deliveries);
    figures.extend([
        Figure::new("fill_per_second", "taking them in, events/s", 0, vec![f64::from(wanted.deliveries) / seconds]),
        Figure::new("fill_cpu_ms_per_event", "taking them in, CPU ms/event", 4, vec![cpu]),
        Figure::new("memory_before_mib", "memory before, MiB", 1, vec![mebibytes(before.resident_bytes)]),
        Figure::new("memory_waiting_mib", "memory while they wait, MiB", 1, vec![mebibytes(after.resident_bytes)])
            .bound(MEMORY),
        Figure::new("memory_peak_mib", "its peak so far, MiB", 1, vec![mebibytes(after.peak_bytes)]).bound(MEMORY),
    ]);
    Ok(run)
}

/// Posts another organization's events to both servers in turn.
async fn beside(
    empty: &Site<'_>,
    full: &Site<'_>,
    wanted: &Wanted<'_>,
    bench: &Bench,
    figures: &mut Vec<Figure>,
) -> anyhow::Result<()> {
    let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=wanted.rounds {
        let mut rate = [0.0; 2];
        for (site, rate) in [empty, full].into_iter().zip(&mut rate) {
            let measured = bench.run(&site.target(), &wanted.shape).await?;
            anyhow::ensure!(measured.lost == 0, "{} deliveries of the other organization were lost", measured.lost);
            *rate = measured.acks_per_second.unwrap_or(0.0);
        }
        eprintln!("round {round} of {}: {:.0} events/s, empty {:.0}", wanted.rounds, rate[1], rate[0]);
        alone.push(rate[0]);
        beside.push(rate[1]);
        ratios.push(rate[1] / rate[0]);
    }
    figures.extend([
        Figure::new("ingest_empty_per_second", "other events with an empty store, events/s", 0, alone),
        Figure::new("ingest_waiting_per_second", "other events while they wait, events/s", 0, beside),
        Figure::new("ingest_ratio", "the one over the other", 2, ratios).bound(Bound::AtLeast(0.8)),
        Figure::new("memory_ingest_mib", "peak memory after that, MiB", 1, vec![mebibytes(full.usage()?.peak_bytes)])
            .bound(MEMORY),
    ]);
    Ok(())
}

/// Kills and starts the server, and posts an event as soon as it is ready.
async fn restarts<'a>(
    mut site: Site<'a>,
    wanted: &Wanted<'_>,
    bench: &Bench,
    figures: &mut Vec<Figure>,
) -> anyhow::Result<Site<'a>> {
    let (mut ready, mut delivered, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=wanted.rounds {
        site = site.restart().await?;
        let one = Shape { events: Some(1), duration: None, rate: None, connections: 1, ..wanted.shape };
        let before = site.started.at.elapsed();
        let measured = bench.run(&site.target(), &one).await?;
        let latency = measured.latency_max_ms.context("the event posted after the restart was not delivered")?;
        eprintln!("restart {number} of {}: ready after {} ms", wanted.rounds, site.started.took.as_millis());
        ready.push(site.started.took.as_secs_f64());
        delivered.push(before.as_secs_f64() + latency / 1e3);
        memory.push(mebibytes(site.usage()?.resident_bytes));
    }
    figures.extend([
        Figure::new("restart_to_ready_s", "restart to ready, s", 2, ready).bound(Bound::AtMost(5.0)),
        Figure::new("restart_to_delivery_s", "restart to a new event's delivery, s", 2, delivered),
        Figure::new("memory_restarted_mib", "memory after a restart, MiB", 1, memory).bound(MEMORY),
    ]);
    Ok(site)
}

/// Ends the pause and waits until everything has arrived.
async fn drain(
    site: &Site<'_>,
    pause: &str,
    waiting: &Arc<Run>,
    wanted: &Wanted<'_>,
    bench: &Bench,
    figures: &mut Vec<Figure>,
) -> anyhow::Result<()> {
    bench.record(waiting);
    let before = site.usage()?;
    let started = bench.clock().micros();
    let since = |micros: u64| micros.saturating_sub(started) as f64 / 1e6;
    site.started.api.resume(pause).await?;
    let first = first_arrival(waiting, bench, wanted.shape.patience).await.map(since);
    let mut memory = Vec::new();
    let arrivals = wait_for_arrivals(&waiting.ledger, wanted.shape.patience);
    tokio::pin!(arrivals);
    loop {
        tokio::select! {
            () = &mut arrivals => break,
            () = tokio::time::sleep(SAMPLE) => memory.push(mebibytes(site.usage()?.resident_bytes)),
        }
    }
    let after = site.usage()?;
    let totals = waiting.ledger.totals();
    let seconds = since(totals.last_arrival);
    let (signed, badly_signed) = waiting.sample.counts();
    let arrived = totals.arrived as f64;
    eprintln!("{arrived} deliveries arrived within {seconds:.0} s");
    let cpu = (after.cpu_ms - before.cpu_ms) / arrived.max(1.0);
    figures.extend([
        Figure::new(
            "resume_to_delivery_s",
            "end of the pause to the first delivery, s",
            3,
            first.into_iter().collect(),
        ),
        Figure::new("drain_per_second", "then deliveries/s", 0, vec![arrived / seconds.max(1e-6)]),
        Figure::new("drain_cpu_ms_per_delivery", "then CPU ms/delivery", 4, vec![cpu]),
        Figure::new("memory_drain_mib", "memory meanwhile, MiB", 1, memory),
        Figure::new("memory_drain_peak_mib", "its peak, MiB", 1, vec![mebibytes(after.peak_bytes)]).bound(MEMORY),
        Figure::new("lost", "lost", 0, vec![totals.lost as f64]).bound(Bound::AtMost(0.0)),
        Figure::new("duplicates", "duplicates", 0, vec![totals.duplicates as f64]).bound(Bound::AtMost(0.0)),
        Figure::new("signatures_valid", "signatures valid", 0, vec![signed as f64]),
        Figure::new("signatures_invalid", "signatures invalid", 0, vec![badly_signed as f64]).bound(Bound::AtMost(0.0)),
    ]);
    Ok(())
}

/// When the first delivery had come; `None` where none comes within `patience`.
async fn first_arrival(run: &Run, bench: &Bench, patience: Duration) -> Option<u64> {
    let come = async {
        while run.ledger.arrived() == 0 {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(patience, come).await.ok().map(|()| bench.clock().micros())
}
