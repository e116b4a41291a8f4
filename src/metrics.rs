//! Counts what happens, and writes it as Prometheus reads it.

use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{SkipReason, State};
use fanfare_store::queue::Next;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds of the buckets of the attempts' latency, in seconds.
const LATENCY: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// The counters. Gauges are read when asked for.
#[derive(Debug)]
pub struct Metrics {
    events: AtomicU64,
    repeated: AtomicU64,
    refused: AtomicU64,
    deliveries_made: AtomicU64,
    finished: [AtomicU64; State::ALL.len()],
    retries: AtomicU64,
    attempts: [AtomicU64; Outcome::ALL.len()],
    skipped: [AtomicU64; SkipReason::ALL.len()],
    fenced: AtomicU64,
    auto_disabled: AtomicU64,
    shortened: AtomicU64,
    latency: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            events: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            deliveries_made: AtomicU64::new(0),
            finished: Default::default(),
            retries: AtomicU64::new(0),
            attempts: Default::default(),
            skipped: Default::default(),
            fenced: AtomicU64::new(0),
            auto_disabled: AtomicU64::new(0),
            shortened: AtomicU64::new(0),
            latency: Histogram::new(LATENCY),
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Metrics {
    /// An event was accepted and matched so many webhooks.
    pub fn accepted(&self, deliveries: usize) {
        add(&self.events, 1);
        add(&self.deliveries_made, deliveries as u64);
    }

    /// An event came again.
    pub fn repeated(&self) {
        add(&self.repeated, 1);
    }

    /// An event was refused because the store could not take it.
    pub fn refused(&self) {
        add(&self.refused, 1);
    }

    /// An attempt was made.
    pub fn attempt(&self, outcome: Outcome, duration_ms: u32) {
        add(&self.attempts[outcome as usize], 1);
        self.latency.observe(f64::from(duration_ms) / 1_000.0);
    }

    /// An attempt is recorded.
    pub fn finished(&self, next: Next) {
        match next {
            Next::Delivered => add(&self.finished[State::Delivered as usize], 1),
            Next::Exhausted => add(&self.finished[State::Exhausted as usize], 1),
            Next::Skipped(_) => add(&self.finished[State::Skipped as usize], 1),
            Next::RetryAt(_) => add(&self.retries, 1),
        }
    }

    /// Deliveries were skipped.
    pub fn skipped(&self, reason: SkipReason, count: u64) {
        add(&self.skipped[reason as usize - 1], count);
    }

    /// An outcome came too late: somebody else had taken the delivery over.
    pub fn fenced(&self) {
        add(&self.fenced, 1);
    }

    /// A webhook was switched off.
    pub fn auto_disabled(&self) {
        add(&self.auto_disabled, 1);
    }

    /// A response was logged without its body, since the memory or its organization's day was used up.
    pub fn shortened(&self) {
        add(&self.shortened, 1);
    }

    /// Events accepted since the start.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Deliveries that succeeded since the start.
    pub fn delivered(&self) -> u64 {
        self.finished[State::Delivered as usize].load(Ordering::Relaxed)
    }
}

impl Collector for &'static Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.write(encoder)
    }
}

impl Metrics {
    /// Writes all counters.
    pub fn write(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let shortened = "Responses logged without their body, since memory or their organization's day was used up";
        let plain = [
            ("fanfare_events", "Events accepted", &self.events),
            ("fanfare_events_repeated", "Events that came again and were answered as before", &self.repeated),
            ("fanfare_events_refused", "Events refused because the store could not take them", &self.refused),
            ("fanfare_deliveries_made", "Deliveries made of events", &self.deliveries_made),
            ("fanfare_retries", "Attempts after which another was scheduled", &self.retries),
            ("fanfare_outcomes_fenced", "Outcomes that came after the lease was lost", &self.fenced),
            ("fanfare_responses_shortened", shortened, &self.shortened),
            ("fanfare_webhooks_auto_disabled", "Webhooks switched off for failing", &self.auto_disabled),
        ];
        for (name, help, value) in plain {
            let counter = ConstCounter::new(value.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let states = State::ALL.iter().map(|state| (state.name(), &self.finished[*state as usize]));
        family(&mut encoder, "fanfare_deliveries", "Deliveries that ended, by state", "state", states)?;
        let outcomes = Outcome::ALL.iter().map(|outcome| (outcome.name(), &self.attempts[*outcome as usize]));
        family(&mut encoder, "fanfare_attempts", "Attempts, by outcome", "outcome", outcomes)?;
        let reasons = SkipReason::ALL.iter().map(|reason| (reason.name(), &self.skipped[*reason as usize - 1]));
        family(&mut encoder, "fanfare_deliveries_skipped", "Deliveries skipped, by reason", "reason", reasons)?;
        let name = "fanfare_attempt_duration_seconds";
        let help = "From the start of an attempt to the end of the answer";
        self.latency.encode(encoder.encode_descriptor(name, help, None, self.latency.metric_type())?)
    }
}

fn family<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl Iterator<Item = (&'static str, &'a AtomicU64)>,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, prometheus_client::metrics::MetricType::Counter)?;
    for (value, counter) in values {
        let counter = ConstCounter::new(counter.load(Ordering::Relaxed));
        counter.encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}
