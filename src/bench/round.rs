//! One run against one target: send the load, wait for the last arrival, work out what it came to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::api::{Api, Setup};
use super::give_way::give_way;
use super::ledger::{Clock, Ledger, MAX_DELIVERIES, Totals};
use super::load::{self, Plan, Sent};
use super::process::{self, Usage};
use super::receiver::{Receiver, Run};
use super::sample::Sample;
use super::subject::Subject;
use super::template::{Address, Template};

/// How often it is looked whether deliveries still arrive.
const LOOK: Duration = Duration::from_secs(1);
/// After the last arrival, the time in which a target may finish its books before its CPU time is read.
const SETTLE: Duration = Duration::from_millis(300);
/// For how many events a second there is room in a run whose length is given in time.
const MOST_PER_SECOND: f64 = 200_000.0;

/// What is measured: Fanfare, or one of the limits.
pub struct Target {
    /// The column it has in the report.
    pub name: &'static str,
    /// Where events are posted.
    pub address: SocketAddr,
    /// The Host header.
    pub host: String,
    /// The path of the POST.
    pub path: String,
    /// The key of the Authorization header.
    pub key: String,
    /// Whose CPU time and memory are read.
    pub pid: Option<u32>,
    /// How many deliveries each event makes there.
    pub fan_out: usize,
    /// The secrets of its webhooks, in order, if deliveries are signed and can be checked.
    pub secrets: Vec<String>,
    /// What is posted.
    pub subject: Subject,
}

impl Target {
    /// A server in which `setup` was made for `subject`, with `fan_out` webhooks.
    pub fn server(api: &Api, setup: &Setup, pid: Option<u32>, fan_out: usize, subject: &Subject) -> Self {
        Target {
            name: "fanfare",
            address: api.address(),
            host: api.host().to_owned(),
            path: api.events_path(&setup.organization),
            key: api.key().to_owned(),
            pid,
            fan_out,
            secrets: setup.secrets.clone(),
            subject: subject.clone(),
        }
    }
}

/// How much is sent, and how.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many events; where a duration is given instead, `None`.
    pub events: Option<u32>,
    /// For how long to send.
    pub duration: Option<Duration>,
    /// Over how many connections.
    pub connections: usize,
    /// Events a second; `None` is as fast as they are acknowledged.
    pub rate: Option<f64>,
    /// The size of an event's data, in bytes.
    pub payload: usize,
    /// How long nothing may arrive until what is missing counts as lost.
    pub patience: Duration,
}

impl Shape {
    /// The most events of one run: what was asked for, what a duration has room for, what a ledger can follow.
    fn most_events(&self, fan_out: usize) -> u32 {
        let timed = |time: Duration| (self.rate.unwrap_or(MOST_PER_SECOND) * time.as_secs_f64()).ceil();
        let wanted = self.events.map(f64::from).or(self.duration.map(timed)).unwrap_or(0.0);
        (wanted as usize).clamp(1, MAX_DELIVERIES / fan_out) as u32
    }
}

/// The measuring side: one receiver and one clock for all runs.
pub struct Bench {
    receiver: Receiver,
    clock: Clock,
    next_run: AtomicU32,
    nonce: u64,
}

impl Bench {
    /// Starts the receiver. `nonce` sets this measurement's events apart from those of every other.
    ///
    /// # Errors
    /// The receiver's address cannot be listened on.
    pub fn start(receive_on: SocketAddr, nonce: u64) -> anyhow::Result<Self> {
        let clock = Clock::start();
        Ok(Bench { receiver: Receiver::start(receive_on, clock)?, clock, next_run: AtomicU32::new(1), nonce })
    }

    /// Where deliveries are received.
    pub fn receiver(&self) -> SocketAddr {
        self.receiver.address()
    }

    /// Sets this measurement's names and events apart from those of every other.
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// The clock that events are stamped by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Begins a run of at most `events` events, each to webhooks with these secrets or to `fan_out` without one. From now
    /// on arrivals are recorded in it.
    ///
    /// # Errors
    /// A secret that is not a Standard Webhooks secret.
    pub fn begin(&self, events: u32, fan_out: usize, secrets: &[String]) -> anyhow::Result<Arc<Run>> {
        let number = self.next_run.fetch_add(1, Relaxed);
        let ledger = Arc::new(Ledger::new(number, events as usize, fan_out));
        let run = Arc::new(Run { ledger, sample: Sample::new(secrets)? });
        self.record(&run);
        Ok(run)
    }

    /// From now on arrivals are recorded in `run` again.
    pub fn record(&self, run: &Arc<Run>) {
        self.receiver.record(run.clone());
    }

    /// Measures one run.
    ///
    /// # Errors
    /// Nothing at all was acknowledged, with the first refusal.
    pub async fn run(&self, target: &Target, shape: &Shape) -> anyhow::Result<Measured> {
        let events = shape.most_events(target.fan_out);
        let run = self.begin(events, target.fan_out, &target.secrets)?;
        let ledger = &run.ledger;
        let before = self.usages(target);
        let sent = self.send(target, shape, events, ledger.clone()).await?;
        if sent.hopeless {
            let reason = sent.first_failure.unwrap_or_default();
            bail!("{} acknowledged nothing; its first answer: {reason}", target.name);
        }
        wait_for_arrivals(ledger, shape.patience).await;
        tokio::time::sleep(SETTLE).await;
        let after = self.usages(target);
        let (signed, badly_signed) = run.sample.counts();
        let mut measured = Measured::of(&sent, &ledger.totals());
        measured.cost(before, after);
        measured.signatures_valid = signed;
        measured.signatures_invalid = badly_signed;
        Ok(measured)
    }

    async fn send(&self, target: &Target, shape: &Shape, events: u32, ledger: Arc<Ledger>) -> anyhow::Result<Sent> {
        let address = Address { host: &target.host, path: &target.path, key: &target.key };
        let plan = Plan {
            target: target.address,
            template: Template::new(&address, shape.payload, self.nonce, ledger.run, &target.subject),
            connections: shape.connections,
            events,
            duration: shape.duration,
            rate: shape.rate,
        };
        let clock = self.clock;
        let (done, sent) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("bench-load".into()).spawn(move || {
            give_way();
            let _ = done.send(load::run(plan, ledger, clock));
        })?;
        sent.await.context("the load has failed")?.context("the load could not start")
    }

    fn usages(&self, target: &Target) -> Usages {
        Usages { target: target.pid.and_then(process::usage), load: process::usage(std::process::id()) }
    }
}

/// Returns when everything acknowledged has arrived, or nothing has for as long as `patience`.
pub async fn wait_for_arrivals(ledger: &Ledger, patience: Duration) {
    ledger.expect_all();
    let mut waited = Duration::ZERO;
    let mut arrived = ledger.arrived();
    while ledger.missing() > 0 && waited < patience {
        if tokio::time::timeout(LOOK, ledger.completed()).await.is_err() {
            waited += LOOK;
        }
        if ledger.arrived() != arrived {
            arrived = ledger.arrived();
            waited = Duration::ZERO;
        }
    }
}

struct Usages {
    target: Option<Usage>,
    load: Option<Usage>,
}

/// What one run came to. Rates are per second, latencies in milliseconds; what could not be measured is absent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// Acknowledged events.
    pub acked: u64,
    /// Deliveries that arrived, each counted once.
    pub delivered: u64,
    /// Deliveries of acknowledged events that never arrived.
    pub lost: u64,
    /// Arrivals beyond the first of the same delivery.
    pub duplicates: u64,
    /// Events answered with something else than success.
    pub refused: u64,
    /// Events whose connection failed.
    pub broken: u64,
    /// Requests that belong to no or another run.
    pub strays: u64,
    /// Sampled deliveries whose signature was right.
    pub signatures_valid: u64,
    /// Sampled deliveries whose signature was wrong or missing.
    pub signatures_invalid: u64,
    /// Acknowledgements a second, to the last of them.
    pub acks_per_second: Option<f64>,
    /// Deliveries a second, to the last arrival.
    pub deliveries_per_second: Option<f64>,
    /// From the event's POST (at a rate: from when it was due) to its arrival.
    pub latency_p50_ms: Option<f64>,
    /// The same, of which 5 % take longer.
    pub latency_p95_ms: Option<f64>,
    /// The same, of which 1 % take longer.
    pub latency_p99_ms: Option<f64>,
    /// The longest.
    pub latency_max_ms: Option<f64>,
    /// From the event's POST to its acknowledgement.
    pub ack_p50_ms: Option<f64>,
    /// The same, of which 5 % take longer.
    pub ack_p95_ms: Option<f64>,
    /// The same, of which 1 % take longer.
    pub ack_p99_ms: Option<f64>,
    /// The longest.
    pub ack_max_ms: Option<f64>,
    /// CPU time of the target for each delivery.
    pub cpu_ms_per_delivery: Option<f64>,
    /// CPU time of the load and the receiver for each delivery.
    pub load_cpu_ms_per_delivery: Option<f64>,
    /// The most memory the target ever had resident, since its start.
    pub peak_memory_mib: Option<f64>,
    /// The first refusal or failure.
    pub first_failure: Option<String>,
}

impl Measured {
    fn of(sent: &Sent, totals: &Totals) -> Self {
        let rate = |count: u64, last: u64| {
            let micros = last.saturating_sub(sent.started);
            (count > 0 && micros > 0).then(|| count as f64 * 1e6 / micros as f64)
        };
        let millis = |micros: Option<u64>| micros.map(|micros| micros as f64 / 1e3);
        let (latency, ack) = (&totals.latency, &totals.ack_latency);
        Measured {
            acked: totals.acks,
            delivered: totals.arrived,
            lost: totals.lost,
            duplicates: totals.duplicates,
            refused: sent.refused,
            broken: sent.broken,
            strays: totals.strays,
            acks_per_second: rate(totals.acks, totals.last_ack),
            deliveries_per_second: rate(totals.arrived, totals.last_arrival),
            latency_p50_ms: millis(latency.quantile(0.5)),
            latency_p95_ms: millis(latency.quantile(0.95)),
            latency_p99_ms: millis(latency.quantile(0.99)),
            latency_max_ms: millis(latency.longest()),
            ack_p50_ms: millis(ack.quantile(0.5)),
            ack_p95_ms: millis(ack.quantile(0.95)),
            ack_p99_ms: millis(ack.quantile(0.99)),
            ack_max_ms: millis(ack.longest()),
            first_failure: sent.first_failure.clone(),
            ..Measured::default()
        }
    }

    fn cost(&mut self, before: Usages, after: Usages) {
        let delivered = self.delivered as f64;
        let each = |before: Option<Usage>, after: Option<Usage>| {
            let spent = after?.cpu_ms - before?.cpu_ms;
            (delivered > 0.0).then_some(spent / delivered)
        };
        self.cpu_ms_per_delivery = each(before.target, after.target);
        self.load_cpu_ms_per_delivery = each(before.load, after.load);
        self.peak_memory_mib = after.target.map(|usage| process::mebibytes(usage.peak_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::mark::Mark;
    use crate::bench::receiver::webhook_path;

    fn shape() -> Shape {
        Shape {
            events: Some(300),
            duration: None,
            connections: 3,
            rate: None,
            payload: 100,
            patience: Duration::from_secs(5),
        }
    }

    #[tokio::test]
    async fn measures_the_receiver_itself() {
        let bench = Bench::start("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let target = Target {
            name: "direct",
            address: bench.receiver(),
            host: "h".into(),
            path: webhook_path(0),
            key: String::new(),
            pid: None,
            fan_out: 1,
            secrets: Vec::new(),
            subject: Subject::plain(),
        };
        for _ in 0..2 {
            let measured = bench.run(&target, &shape()).await.unwrap();
            assert_eq!((measured.acked, measured.delivered, measured.lost, measured.strays), (300, 300, 0, 0));
            assert!(measured.latency_p50_ms <= measured.latency_p99_ms && measured.latency_p50_ms.is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_arrive_in_time_is_lost() {
        let ledger = Ledger::new(1, 2, 1);
        ledger.ack(0, 0, 10);
        ledger.ack(1, 0, 10);
        ledger.arrive(Mark { run: 1, event: 0, sent: 0 }, 0, 500_000);
        wait_for_arrivals(&ledger, Duration::from_secs(20)).await;
        let measured = Measured::of(&Sent::default(), &ledger.totals());
        assert_eq!((measured.delivered, measured.lost), (1, 1));
        assert_eq!(measured.deliveries_per_second, Some(2.0));
    }

    #[test]
    fn a_run_has_room_for_what_is_asked_and_no_more_than_can_be_followed() {
        assert_eq!(shape().most_events(10), 300);
        let timed = Shape { events: None, duration: Some(Duration::from_secs(2)), rate: Some(50.0), ..shape() };
        assert_eq!(timed.most_events(1), 100);
        let endless = Shape { events: None, duration: Some(Duration::from_secs(100_000)), ..shape() };
        assert_eq!(endless.most_events(10) as usize, MAX_DELIVERIES / 10);
    }
}
