//! Whether the server lives and is ready, and its metrics, for those who watch over it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fanfare_engine::delivery::State;
use fanfare_store::log::{self, Live};
use fanfare_store::sqlite::COMMIT_BUCKETS_MICROS;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::problem::{Answer, Code, Problem};
use crate::app::App;
use crate::memory_budget::{COPIES, Use};
use crate::panics::{self, Part};

const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The routes for those who watch over the server.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "Operation", security(()),
    responses((status = 200, description = "It does", body = String)))]
pub async fn healthz() -> &'static str {
    "ok"
}

/// Whether requests can be served
///
/// The text is `ready`. After a panic, a second line counts the panics since the start.
#[utoipa::path(get, path = "/readyz", tag = "Operation", security(()),
    responses((status = 200, description = "They can", body = String),
              (status = 503, description = "The store does not answer or write, the server is stopping, or a part of it \
                  panicked and is about to be started again")))]
pub async fn readyz(extract::State(app): extract::State<Arc<App>>) -> Answer<String> {
    if *app.leaving.borrow() || *app.stopping.borrow() {
        return Err(Problem::new(Code::Unavailable, "the server is stopping"));
    }
    if app.store.is_closed() {
        return Err(Problem::new(Code::Unavailable, "the store no longer writes; restart the server"));
    }
    let down: Vec<&str> = app.dispatcher.tools.supervisor.down().into_iter().map(Part::name).collect();
    if !down.is_empty() {
        let down = down.join(", ");
        return Err(Problem::new(Code::Unavailable, format!("panicked and about to be started again: {down}")));
    }
    app.store.read(fanfare_store::catalogue::projects::count()).await?;
    Ok(match panics::count() {
        0 => "ready".to_owned(),
        count => format!("ready\npanics since the start: {count}; the log has more"),
    })
}

/// Metrics
///
/// In the OpenMetrics format that Prometheus reads. Events in, deliveries and attempts by outcome, attempt latency,
/// backlog, age of the oldest due delivery, commit latency of the store.
#[utoipa::path(get, path = "/metrics", tag = "Operation", security(()),
    responses((status = 200, description = "All figures", body = String)))]
pub async fn metrics(extract::State(app): extract::State<Arc<App>>) -> Answer<Response> {
    // Whoever asks may ask as often as he likes, and the index may be long.
    let count = || {
        let store = app.store.clone();
        async move { store.read_one(log::live()).await }
    };
    let Live { backlog, leased } = app.live.get((), count).await?.unwrap_or_default();
    let gauges = Gauges::read(&app, backlog);
    let live = [(State::Pending, backlog.saturating_sub(leased)), (State::Delivering, leased)];
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures { app: Arc::clone(&app), gauges, live }));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Problem::internal(&error))?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}

#[derive(Debug)]
struct Gauges(Vec<(&'static str, &'static str, i64)>);

impl Gauges {
    fn read(app: &App, backlog: u64) -> Self {
        let now = app.clock.now();
        let figures = app.dispatcher.figures();
        let age = app.dispatcher.oldest_due().map_or(0, |due| now.since(due).as_millis());
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        Gauges(vec![
            ("fanfare_backlog", "Deliveries that are not final", i64::try_from(backlog).unwrap_or(i64::MAX)),
            (
                "fanfare_oldest_due_age_milliseconds",
                "How long the oldest due delivery waits",
                i64::try_from(age).unwrap_or(i64::MAX),
            ),
            ("fanfare_in_flight", "Requests to receivers under way", number(figures.in_flight)),
            ("fanfare_unrecorded", "Requests that are over and not yet recorded", number(figures.recording)),
            ("fanfare_queued", "Deliveries in memory that wait for their turn", number(figures.queued)),
            ("fanfare_queued_bytes", "Bytes of deliveries in memory", number(figures.bytes)),
            ("fanfare_lanes", "Webhooks that have anything to do", number(figures.lanes)),
            (
                "fanfare_webhooks_backing_off",
                "Webhooks whose receivers asked to wait, by 429 or 503 with Retry-After",
                number(app.dispatcher.backing_off()),
            ),
            ("fanfare_store_waiting", "Operations that wait for the store's writer", number(app.store.waiting())),
            (
                "fanfare_clock_trusted",
                "1 while the system clock is trusted, 0 after it was set by a lot",
                i64::from(app.dispatcher.tools.trusted_clock.trusted_at().is_none()),
            ),
            (
                "fanfare_connections_kept",
                "Idle connections to receivers",
                number(app.dispatcher.tools.http.kept_connections()),
            ),
        ])
    }
}

struct Figures {
    app: Arc<App>,
    gauges: Gauges,
    /// Deliveries that are not final, by state.
    live: [(State, u64); 2],
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.gauges.fmt(f)
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, value) in &self.gauges.0 {
            let gauge = ConstGauge::new(*value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let panics = ConstCounter::new(panics::count());
        let help = "Panics of the server's own code";
        panics.encode(encoder.encode_descriptor("fanfare_panics", help, None, panics.metric_type())?)?;
        self.memory(&mut encoder)?;
        self.live(&mut encoder)?;
        self.commits(&mut encoder)?;
        self.app.dispatcher.tools.metrics.write(encoder)
    }
}

impl Figures {
    fn live(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Deliveries that are not final, by state";
        let mut family = encoder.encode_descriptor("fanfare_deliveries_live", help, None, MetricType::Gauge)?;
        for (state, count) in self.live {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            gauge.encode(family.encode_family(&[("state", state.name())])?)?;
        }
        Ok(())
    }

    /// What each share of the memory budget has and uses.
    fn memory(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let budget = &self.app.dispatcher.tools.memory;
        let deliveries = self.app.dispatcher.figures().bytes * COPIES;
        let held = |share| if share == Use::Deliveries { deliveries } else { budget.held(share) };
        let gauges: [(_, _, &dyn Fn(Use) -> usize); 2] = [
            ("fanfare_memory_bytes", "Memory in use, by what it is for", &held),
            ("fanfare_memory_limit_bytes", "Memory that may be used, by what it is for", &|share| budget.limit(share)),
        ];
        for (name, help, value) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for share in Use::ALL {
                let gauge = ConstGauge::new(i64::try_from(value(share)).unwrap_or(i64::MAX));
                gauge.encode(family.encode_family(&[("use", share.name())])?)?;
            }
        }
        let help = "What was refused or shortened for lack of memory, by what it was for";
        let mut family = encoder.encode_descriptor("fanfare_memory_refusals", help, None, MetricType::Counter)?;
        for share in Use::ALL {
            ConstCounter::new(budget.refused(share)).encode(family.encode_family(&[("use", share.name())])?)?;
        }
        Ok(())
    }

    fn commits(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let figures = self.app.store.figures();
        let bounds = COMMIT_BUCKETS_MICROS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let counts = figures.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let sum = figures.micros.load(Ordering::Relaxed) as f64 / 1e6;
        let name = "fanfare_store_commit_seconds";
        let histogram = MetricType::Histogram;
        let mut metric = encoder.encode_descriptor(name, "Commits of the store", None, histogram)?;
        metric.encode_histogram::<NoLabelSet>(sum, figures.commits.load(Ordering::Relaxed), &buckets, None)?;
        let operations = ConstCounter::new(figures.operations.load(Ordering::Relaxed));
        let help = "Operations in the store's commits";
        operations.encode(encoder.encode_descriptor(
            "fanfare_store_operations",
            help,
            None,
            operations.metric_type(),
        )?)
    }
}
