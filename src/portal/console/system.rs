//! `/console/system`: what runs, how much it holds, and how fast it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use fanfare_store::catalogue::nodes;
use fanfare_store::log;
use fanfare_store::sqlite::COMMIT_BUCKETS_MICROS;
use fanfare_store::stats::{self, Figures, Span, Subject};

use super::Answer;
use super::figures::{Figure, Pace, age, at_least};
use super::operator::{Change, Operator};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::portal::charts::grouped;
use crate::portal::refusal::Refusal;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::words::Moment;

const PATH: &str = "/console/system";
const HOUR: Duration = Duration::from_secs(3_600);
/// What follows the store's name in the names of its files.
const FILES: [&str; 2] = ["", "-wal"];
/// After how long without a sign a node is shown as silent.
const SILENT: Duration = Duration::from_secs(30);
/// How many deliveries of a backlog are counted.
const MAX_COUNTED: u32 = 1_000_000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show)).route("/console/system/clock/confirm", post(confirm_clock))
}

#[derive(Template)]
#[template(path = "console/system.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    version: &'static str,
    now: Vec<Figure>,
    throughput: Vec<Figure>,
    speed: Vec<Figure>,
    nodes: Vec<Node>,
    /// When a clock that was set will be trusted again.
    clock_trusted_at: Option<Moment>,
    /// Whether this operator may say that it is right.
    may_confirm: bool,
    /// Where the store is, and how large.
    store: String,
}

struct Node {
    id: String,
    number: u16,
    started: Moment,
    seen: Moment,
    silent: bool,
    /// Whether it is the one that answers this.
    own: bool,
}

async fn show(State(app): State<Arc<App>>, operator: Operator) -> Answer {
    let now = app.now();
    let show = |node: nodes::Node| Node {
        own: node.id == app.node,
        id: node.id.to_string(),
        number: node.number,
        started: node.started_at.into(),
        seen: node.heartbeat_at.into(),
        silent: node.id != app.node && now.since(node.heartbeat_at) > SILENT,
    };
    let nodes = app.store.read(nodes::all()).await?.into_iter().map(show).collect();
    page(&Page {
        shell: Shell::new(&operator, PATH, "System"),
        t: operator.t,
        version: env!("CARGO_PKG_VERSION"),
        now: holds(&app).await?,
        throughput: throughput(&app, &operator).await?,
        speed: speed(&app, &operator).await?,
        nodes,
        clock_trusted_at: app.dispatcher.tools.trusted_clock.trusted_at().map(Moment::from),
        may_confirm: operator.operates.is_admin(),
        store: app.store.path().display().to_string(),
    })
}

/// Trusts the clock from now on.
async fn confirm_clock(State(app): State<Arc<App>>, Change(operator, _): Change) -> Answer {
    if !operator.operates.is_admin() {
        return Err(Refusal::Forbidden("only the admin key may confirm the time".to_owned()));
    }
    app.dispatcher.tools.trusted_clock.confirm();
    Ok(Redirect::to(PATH).into_response())
}

/// What waits, and what this node holds.
async fn holds(app: &App) -> CatalogueResult<Vec<Figure>> {
    let waiting = app.store.read_one(log::waiting(MAX_COUNTED)).await?.unwrap_or(0);
    // Bounded by what nodes hold in memory.
    let leased = app.store.read_one(log::leased()).await?.unwrap_or(0);
    let figures = app.dispatcher.figures();
    let oldest = app.dispatcher.oldest_due();
    let backlog = at_least(waiting + leased, waiting >= u64::from(MAX_COUNTED));
    Ok(vec![
        Figure::new("Backlog", backlog, "deliveries of all projects that are not over"),
        Figure::new("Leased", grouped(leased), "of them with a node"),
        Figure::new("Under way", figures.in_flight.to_string(), "requests to receivers"),
        Figure::new("In memory", figures.queued.to_string(), format!("deliveries, {}", bytes(figures.bytes as u64))),
        Figure::new("Busy webhooks", figures.lanes.to_string(), "with anything to do"),
        Figure::new("Backing off", app.dispatcher.backing_off().to_string(), "webhooks whose receivers asked to wait"),
        Figure::new(
            "Oldest due",
            oldest.map_or_else(|| "none".to_owned(), |due| age(app.now().since(due))),
            "how long it waits",
        ),
    ])
}

/// How much comes in and goes out.
async fn throughput(app: &App, operator: &Operator) -> CatalogueResult<Vec<Figure>> {
    let pace = Pace::of(app, operator).await?;
    Ok(vec![
        pace.figure("Events a second", |usage| usage.events),
        pace.figure("Deliveries a second", |usage| usage.deliveries),
        pace.figure("Attempts a second", |usage| usage.attempts),
    ])
}

/// How fast receivers and store are.
async fn speed(app: &App, operator: &Operator) -> CatalogueResult<Vec<Figure>> {
    let since = app.now().minus(HOUR);
    let subject = Subject::Project(operator.project.id);
    let mut hour = Figures::default();
    for (_, figures) in app.store.read(stats::series(subject, Span::FiveMinutes, since)).await? {
        hour.add(&figures);
    }
    let took = |share| hour.percentile_ms(share).map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0} ms"));
    let commits = app.store.figures();
    let counts: Vec<u64> = commits.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
    let (made, done) = (commits.commits.load(Ordering::Relaxed), commits.operations.load(Ordering::Relaxed));
    let size: u64 = FILES.iter().filter_map(|end| store_file(app, end)).sum();
    let together = done.checked_div(made).map_or_else(|| "–".to_owned(), |each| each.to_string());
    Ok(vec![
        Figure::new("Receivers, median", took(0.5), "of this project's attempts in the last hour"),
        Figure::new("Receivers, 95 %", took(0.95), "answered within this"),
        Figure::new("Receivers, 99 %", took(0.99), "answered within this"),
        Figure::new("Store size", bytes(size), "on disk"),
        Figure::new("Commits, 99 %", within(&counts, 0.99), "of the store, since this server started"),
        Figure::new("Writes together", together, format!("operations a commit; {} wait", app.store.waiting())),
    ])
}

fn store_file(app: &App, end: &str) -> Option<u64> {
    let mut path = app.store.path().as_os_str().to_owned();
    path.push(end);
    std::fs::metadata(path).ok().map(|file| file.len())
}

/// The bound below which this share of commits took.
fn within(counts: &[u64], share: f64) -> String {
    let all: u64 = counts.iter().sum();
    let mut below = 0;
    for (count, bound) in counts.iter().zip(COMMIT_BUCKETS_MICROS) {
        below += count;
        if all > 0 && below as f64 >= all as f64 * share {
            return format!("≤ {} ms", bound as f64 / 1_000.0);
        }
    }
    match (all, COMMIT_BUCKETS_MICROS.last()) {
        (1.., Some(most)) => format!("> {} ms", *most as f64 / 1_000.0),
        _ => "–".to_owned(),
    }
}

/// Bytes in their largest unit.
fn bytes(count: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", count as f64 / unit as f64),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_within_a_bound() {
        assert_eq!(within(&[0; 11], 0.99), "–");
        let mut counts = [0; 11];
        counts[2] = 99;
        counts[10] = 1;
        assert_eq!(within(&counts, 0.99), format!("≤ {} ms", COMMIT_BUCKETS_MICROS[2] as f64 / 1_000.0));
        assert!(within(&counts, 1.0).starts_with('>'));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([0, 1_536, 5 << 20].map(bytes), ["0 B", "1.5 KiB", "5.0 MiB"]);
    }
}
