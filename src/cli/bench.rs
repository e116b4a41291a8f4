//! `fanfare bench`: measures a server against a bare forwarder and against nothing at all, on the same machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use crate::bench::api::{Api, Setup};
use crate::bench::child::{self, Child, Scratch, ServerCommand};
use crate::bench::disk;
use crate::bench::figures::{self, Figure};
use crate::bench::forwarder;
use crate::bench::pages;
use crate::bench::receiver::webhook_path;
use crate::bench::report::{self, Series};
use crate::bench::round::{Bench, Shape, Target};
use crate::bench::starting;
use crate::bench::subject::{Subject, allows_http};
use crate::bench::template::MAX_PAYLOAD;
use crate::bench::waiting::{self, Wanted};
use crate::config::load_profiles;
use crate::random;

/// The most events sent before a target's first round, so that its caches and connections are warm.
const MAX_WARM_UP: u32 = 1000;

/// Measure how fast events are acknowledged and delivered
#[derive(clap::Args, Debug)]
pub struct BenchArgs {
    /// Measure the server at this URL; without it, one is started for the measurement, with data of its own
    #[arg(long, requires = "admin_key")]
    pub url: Option<String>,
    /// The admin key of the server at --url
    #[arg(long, env = "FANFARE_ADMIN_KEY", hide_env_values = true)]
    pub admin_key: Option<String>,
    /// The process id of the server at --url, if it runs on this machine: its CPU time and memory are read
    #[arg(long, requires = "url")]
    pub server_pid: Option<u32>,
    /// Events in each round
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    pub events: u32,
    /// Send for this many seconds in each round, instead of a number of events
    #[arg(long, value_name = "SECONDS", conflicts_with = "events", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub duration: Option<u64>,
    /// Connections that events are posted over
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub connections: u32,
    /// Webhooks that each event goes to
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub fan_out: u32,
    /// Bytes of each event's data
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(..=MAX_PAYLOAD as i64))]
    pub payload: u32,
    /// Events a second, answered or not (open loop); without it, each connection waits for its answer
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// Rounds; the report gives the median, the least and the most
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// The profile of the webhooks that are measured, in the server that is started: one that comes with Fanfare, or of the
    /// directory that --server-env FANFARE_PROFILES_DIR=… names
    #[arg(long, value_name = "NAME", conflicts_with_all = ["url", "backlog", "start", "pages"])]
    pub profile: Option<String>,
    /// Requests in flight to one webhook at most, in the server that is started
    #[arg(long, value_name = "N", conflicts_with = "url")]
    pub webhook_concurrency: Option<u32>,
    /// A further setting of the server that is started; may be given several times
    #[arg(long = "server-env", value_name = "NAME=VALUE", conflicts_with = "url", value_parser = setting)]
    pub server_env: Vec<(String, String)>,
    /// The program to start instead of this one, for comparing builds
    #[arg(long, value_name = "PROGRAM", conflicts_with = "url")]
    pub server_program: Option<PathBuf>,
    /// Where the data of what is started goes: on the kind of disk that matters; the system's temporary directory
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,
    /// Where deliveries are received
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub receive_on: SocketAddr,
    /// Seconds in which nothing arrives until what is missing counts as lost
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub patience: u64,
    /// Measure instead what a server does while this many deliveries wait: memory, restarts, other events, catching up
    #[arg(long, value_name = "DELIVERIES", conflicts_with_all = ["url", "rate", "start"],
        value_parser = clap::value_parser!(u32).range(1_000..=20_000_000))]
    pub backlog: Option<u32>,
    /// Measure instead how soon a server with an empty store is ready, and what it uses while idle
    #[arg(long, conflicts_with = "url")]
    pub start: bool,
    /// Measure instead how soon the portal's pages come where this many deliveries are stored, and what they weigh
    #[arg(long, value_name = "DELIVERIES", conflicts_with_all = ["url", "rate", "start", "backlog"],
        num_args = 0..=1, default_missing_value = "1000000", value_parser = clap::value_parser!(u32).range(1_000..=20_000_000))]
    pub pages: Option<u32>,
    /// Do not measure the limits (a bare forwarder; the receiver without anything between)
    #[arg(long)]
    pub no_limits: bool,
    /// Write the report as JSON
    #[arg(long)]
    pub json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.1..=1e6).contains(rate));
    rate.ok_or_else(|| "a number of events a second from 0.1 to 1000000 is expected".to_owned())
}

fn setting(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    parts.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "NAME=VALUE is expected".to_owned())
}

/// Measures and reports; Ctrl-C ends it and takes everything that was started along.
///
/// # Errors
/// The server cannot be started, reached or set up, or acknowledges nothing; deliveries were lost.
pub async fn run(args: BenchArgs) -> anyhow::Result<()> {
    let interrupt = async {
        // Without a handler there is no tidying up, but Ctrl-C still ends the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    measure(args, interrupt).await
}

async fn measure(args: BenchArgs, interrupt: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::pin!(interrupt);
    if args.start {
        return unless(interrupt, measure_start(&args)).await;
    }
    if let Some(deliveries) = args.backlog {
        return unless(interrupt, measure_backlog(&args, deliveries)).await;
    }
    if let Some(deliveries) = args.pages {
        return unless(interrupt, measure_pages(&args, deliveries)).await;
    }
    let Some(subject) = subject(&args)? else { return Ok(()) };
    let bench = Bench::start(args.receive_on, u64::from_ne_bytes(random::bytes()))?;
    // Declared before whatever runs in it, so that it is removed after that has ended.
    let scratch = scratch(&args)?;
    let sync = disk::sync_time(scratch.path())?;
    let fanfare = unless(interrupt.as_mut(), Fanfare::start(&args, &bench, &scratch, subject)).await?;
    let mut targets = vec![fanfare.target(&args)];
    let _forwarder = if args.no_limits { None } else { Some(add_limits(&args, &bench, &scratch, &mut targets)?) };

    let result = unless(interrupt, rounds(&args, &bench, &targets)).await;
    if let Err(error) = fanfare.clear(&args).await {
        eprintln!("could not remove what the measurement made: {error:#}");
    }
    let series = result?;
    let output = match args.json {
        true => serde_json::to_string_pretty(&report::json(settings(&args, sync), &series))?,
        false => report::table(&title(&args, sync), &series),
    };
    println!("{output}");
    let lost: u64 = series[0].rounds.iter().map(|round| round.lost).sum();
    anyhow::ensure!(lost == 0, "{lost} deliveries of acknowledged events never arrived");
    Ok(())
}

/// What is measured; `None` where nothing can be, which is said.
fn subject(args: &BenchArgs) -> anyhow::Result<Option<Subject>> {
    let Some(name) = &args.profile else { return Ok(Some(Subject::plain())) };
    let directory = args.server_env.iter().find(|(setting, _)| setting == "FANFARE_PROFILES_DIR");
    let profiles = load_profiles(directory.map(|(_, path)| Path::new(path)))?;
    let profile = profiles.get(name).with_context(|| format!("--profile: there is no profile {name:?}"))?;
    if !allows_http(profile) {
        eprintln!("skipped: webhooks of the profile {name} are https only, and a measurement goes without TLS");
        return Ok(None);
    }
    Subject::under(profile).map(Some)
}

async fn measure_start(args: &BenchArgs) -> anyhow::Result<()> {
    let scratch = scratch(args)?;
    let sync = disk::sync_time(scratch.path())?;
    let figures = starting::measure(&server_command(args)?, scratch.path()).await?;
    print_figures(args, &format!("an empty store\n{}", machine(sync)), sync, &figures)
}

async fn measure_backlog(args: &BenchArgs, deliveries: u32) -> anyhow::Result<()> {
    let bench = Bench::start(args.receive_on, u64::from_ne_bytes(random::bytes()))?;
    let scratch = scratch(args)?;
    let sync = disk::sync_time(scratch.path())?;
    let wanted = Wanted {
        command: &server_command(args)?,
        directory: scratch.path(),
        deliveries,
        shape: shape(args),
        rounds: args.rounds,
    };
    let (figures, lost) = waiting::measure(&wanted, &bench).await?;
    let title = format!("{deliveries} deliveries of {} bytes wait; beside them {}", args.payload, title(args, sync));
    print_figures(args, &title, sync, &figures)?;
    anyhow::ensure!(lost == 0, "{lost} deliveries of acknowledged events never arrived");
    Ok(())
}

async fn measure_pages(args: &BenchArgs, deliveries: u32) -> anyhow::Result<()> {
    let bench = Bench::start(args.receive_on, u64::from_ne_bytes(random::bytes()))?;
    let scratch = scratch(args)?;
    let sync = disk::sync_time(scratch.path())?;
    let wanted = pages::Wanted {
        command: &server_command(args)?,
        directory: scratch.path(),
        deliveries,
        payload: args.payload as usize,
        patience: Duration::from_secs(args.patience),
    };
    let figures = pages::measure(&wanted, &bench).await?;
    let title = format!("pages over {deliveries} deliveries of {} bytes\n{}", args.payload, machine(sync));
    print_figures(args, &title, sync, &figures)
}

fn print_figures(args: &BenchArgs, title: &str, sync: Duration, figures: &[Figure]) -> anyhow::Result<()> {
    let output = match args.json {
        true => serde_json::to_string_pretty(&figures::json(settings(args, sync), figures))?,
        false => figures::table(title, figures),
    };
    println!("{output}");
    Ok(())
}

fn scratch(args: &BenchArgs) -> anyhow::Result<Scratch> {
    Scratch::new(&args.data_dir.clone().unwrap_or_else(std::env::temp_dir))
}

/// What `work` comes to, unless it is interrupted.
async fn unless<T>(
    interrupt: impl Future<Output = ()>,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        result = work => result,
        () = interrupt => Err(anyhow::anyhow!("interrupted")),
    }
}

/// Every target in every round: what disturbs the machine then disturbs all of them.
async fn rounds(args: &BenchArgs, bench: &Bench, targets: &[Target]) -> anyhow::Result<Vec<Series>> {
    let shape = shape(args);
    for target in targets {
        let events = shape.events.unwrap_or(MAX_WARM_UP).min(MAX_WARM_UP);
        bench.run(target, &Shape { events: Some(events), duration: None, rate: None, ..shape }).await?;
    }
    let mut series: Vec<Series> =
        targets.iter().map(|target| Series { name: target.name, rounds: Vec::new() }).collect();
    for round in 1..=args.rounds {
        for (target, series) in targets.iter().zip(&mut series) {
            let measured = bench.run(target, &shape).await?;
            let rate = measured.deliveries_per_second.unwrap_or(0.0);
            eprintln!("round {round} of {}: {}: {rate:.0} deliveries/s", args.rounds, target.name);
            series.rounds.push(measured);
        }
    }
    Ok(series)
}

fn shape(args: &BenchArgs) -> Shape {
    Shape {
        events: args.duration.is_none().then_some(args.events),
        duration: args.duration.map(Duration::from_secs),
        connections: args.connections as usize,
        rate: args.rate,
        payload: args.payload as usize,
        patience: Duration::from_secs(args.patience),
    }
}

/// The server that is measured.
struct Fanfare {
    api: Api,
    setup: Setup,
    subject: Subject,
    child: Option<Child>,
}

impl Fanfare {
    async fn start(args: &BenchArgs, bench: &Bench, scratch: &Scratch, subject: Subject) -> anyhow::Result<Self> {
        let (child, api) = match (&args.url, &args.admin_key) {
            (Some(url), Some(key)) => (None, Api::new(url, key).await?),
            _ => {
                let started = child::start_server(&server_command(args)?, scratch.path()).await?;
                (Some(started.child), started.api)
            }
        };
        let setup = api.set_up(bench.receiver(), args.fan_out as usize, bench.nonce(), &subject).await?;
        Ok(Fanfare { api, setup, subject, child })
    }

    fn target(&self, args: &BenchArgs) -> Target {
        let pid = self.child.as_ref().map(Child::pid).or(args.server_pid);
        Target::server(&self.api, &self.setup, pid, args.fan_out as usize, &self.subject)
    }

    /// Removes what was made in a server that goes on after the measurement.
    async fn clear(&self, args: &BenchArgs) -> anyhow::Result<()> {
        if args.url.is_some() { self.api.clear(&self.setup).await } else { Ok(()) }
    }
}

fn server_command(args: &BenchArgs) -> anyhow::Result<ServerCommand> {
    let program = args.server_program.clone().map_or_else(std::env::current_exe, Ok)?;
    let key = random::bytes::<24>().iter().map(|byte| format!("{byte:02x}")).collect();
    let concurrency = args.webhook_concurrency.map(|most| ("FANFARE_WEBHOOK_CONCURRENCY".to_owned(), most.to_string()));
    let profile = args.profile.as_ref().map(|name| ("FANFARE_PROFILE".to_owned(), name.clone()));
    let settings = concurrency.into_iter().chain(profile).chain(args.server_env.iter().cloned()).collect();
    Ok(ServerCommand { program, key, settings })
}

/// Starts the forwarder and adds the two limits.
fn add_limits(args: &BenchArgs, bench: &Bench, scratch: &Scratch, targets: &mut Vec<Target>) -> anyhow::Result<Child> {
    let program = std::env::current_exe()?;
    let fan_out = args.fan_out as usize;
    let (child, address) =
        child::start_forwarder(&program, scratch.path(), bench.receiver(), fan_out, args.connections as usize)?;
    targets.push(Target {
        name: "forwarder",
        address,
        host: address.to_string(),
        path: "/v1/organizations/bench/events".to_owned(),
        key: targets[0].key.clone(),
        pid: Some(child.pid()),
        fan_out,
        secrets: vec![forwarder::SECRET.to_owned(); fan_out],
        subject: Subject::plain(),
    });
    targets.push(Target {
        name: "direct",
        address: bench.receiver(),
        host: bench.receiver().to_string(),
        path: webhook_path(0),
        key: targets[0].key.clone(),
        pid: None,
        fan_out: 1,
        secrets: Vec::new(),
        subject: Subject::plain(),
    });
    Ok(child)
}

fn title(args: &BenchArgs, sync: Duration) -> String {
    let amount = match args.duration {
        Some(seconds) => format!("{seconds} s of events"),
        None => format!("{} events", args.events),
    };
    let pace = match args.rate {
        Some(rate) => format!("open loop at {rate} events/s"),
        None => "closed loop".to_owned(),
    };
    let profile = args.profile.as_ref().map_or_else(String::new, |name| format!("profile {name}: "));
    format!(
        "{profile}{amount} of {} bytes × fan-out {}, {} connections, {pace}, {} rounds: median (least–most)\n\
         {}",
        args.payload,
        args.fan_out,
        args.connections,
        args.rounds,
        machine(sync)
    )
}

/// The line that says on what it was measured.
fn machine(sync: Duration) -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cpus} CPUs shared by server, load and receiver; fdatasync {:.2} ms", sync.as_secs_f64() * 1e3)
}

fn settings(args: &BenchArgs, sync: Duration) -> serde_json::Value {
    json!({
        "events": args.duration.is_none().then_some(args.events),
        "duration_seconds": args.duration,
        "connections": args.connections,
        "fan_out": args.fan_out,
        "payload_bytes": args.payload,
        "rate": args.rate,
        "rounds": args.rounds,
        "profile": args.profile,
        "backlog": args.backlog,
        "pages": args.pages,
        "webhook_concurrency": args.webhook_concurrency,
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "fdatasync_ms": sync.as_secs_f64() * 1e3,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn parse(args: &[&str]) -> Result<BenchArgs, clap::Error> {
        Program::try_parse_from(std::iter::once(&"bench").chain(args)).map(|program| program.args)
    }

    #[test]
    fn a_duration_takes_the_place_of_the_events() {
        let shape = shape(&parse(&["--duration", "5", "--rate", "100"]).unwrap());
        assert_eq!((shape.events, shape.duration, shape.rate), (None, Some(Duration::from_secs(5)), Some(100.0)));
        assert!(parse(&["--duration", "5", "--events", "5"]).is_err());
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for wrong in [
            ["--events", "0"],
            ["--connections", "0"],
            ["--fan-out", "0"],
            ["--rounds", "0"],
            ["--rate", "0"],
            ["--rate", "nan"],
            ["--payload", "999999999"],
            ["--server-env", "novalue"],
            ["--backlog", "10"],
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn measures_one_thing_at_a_time_and_restarts_only_its_own_server() {
        let remote = ["--url", "http://127.0.0.1:1", "--admin-key", "k"];
        for mode in [["--backlog", "1000"].as_slice(), &["--start"], &["--pages"], &["--pages", "1000"]] {
            assert!(parse(mode).is_ok(), "{mode:?}");
            assert!(parse(&[mode, &remote].concat()).is_err(), "{mode:?}");
        }
        assert!(parse(&["--backlog", "1000", "--start"]).is_err());
        assert!(parse(&["--backlog", "1000", "--pages"]).is_err());
        assert!(parse(&["--backlog", "1000", "--rate", "5"]).is_err());
    }
}
