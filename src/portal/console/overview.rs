//! `/console`: how a project does now, and how it did.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::pauses;
use fanfare_store::catalogue::webhooks::{self, WebhookFilter};
use fanfare_store::stats::{self, Span, Subject, Usage};

use super::operator::Operator;
use super::shell::Shell;
use super::{Answer, HOME};
use crate::app::App;
use crate::portal::charts::{self, Charts, Range, grouped};
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::words;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);
/// How many failing webhooks are counted.
const MAX_FAILING: u32 = 1_000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(HOME, get(show)).route("/console/", get(show))
}

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    figures: Vec<Figure>,
    charts: Charts,
    /// How many webhooks fail, in words; `None` where none does.
    failing: Option<String>,
    /// How many holds on sending there are.
    held: usize,
}

/// A number with what it is of.
pub(super) struct Figure {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

async fn show(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let t = operator.t;
    let project = operator.project.id;
    let range = Range::named(Form::parse(uri.query().unwrap_or_default().as_bytes()).get(charts::PARAMETER));
    let filter = WebhookFilter { failing: true, ..WebhookFilter::default() };
    let first = |limit| Piece { before: None, limit };
    let failing = app.store.read(webhooks::list(project, &filter, first(MAX_FAILING))).await?.len();
    let held = app.store.read(pauses::list(project, first(MAX_FAILING))).await?.len();
    page(&Page {
        shell: Shell::new(&operator, HOME, "Overview"),
        t,
        figures: figures(&app, &operator).await?,
        charts: charts::of(&app, t, Subject::Project(project), range).await?,
        failing: (failing > 0).then(|| match failing {
            1 => "1 webhook fails".to_owned(),
            many if many == MAX_FAILING as usize => format!("{many} or more webhooks fail"),
            many => format!("{many} webhooks fail"),
        }),
        held,
    })
}

/// What happens now: throughput, failures, backlog.
pub(super) async fn figures(app: &App, operator: &Operator) -> Result<Vec<Figure>, crate::portal::refusal::Refusal> {
    let project = operator.project.id;
    let now = app.now();
    let buckets = app.store.read(stats::project(project, before(now, HOUR))).await?;
    let backlog = app.store.read_one(stats::backlog(project)).await?.unwrap_or_default();
    let (five, hour) = (within(&buckets, now, FIVE_MINUTES), within(&buckets, now, HOUR));
    let a_second = |count: u64| amount(count as f64 / FIVE_MINUTES.as_secs_f64());
    let due = backlog.first_due.filter(|due| *due <= now);
    Ok(vec![
        Figure {
            label: "Events a second",
            value: a_second(five.events),
            note: format!("{} in the last hour", grouped(hour.events)),
        },
        Figure {
            label: "Attempts a second",
            value: a_second(five.attempts),
            note: format!("{} in the last hour", grouped(hour.attempts)),
        },
        Figure {
            label: "Failed, last hour",
            value: words::percent(hour.failed, hour.attempts),
            note: format!("{} of {} attempts", grouped(hour.failed), grouped(hour.attempts)),
        },
        Figure {
            label: "Backlog",
            value: grouped(backlog.deliveries),
            note: "deliveries that are not over, retries included".to_owned(),
        },
        Figure {
            label: "Oldest due",
            value: due.map_or_else(|| "none".to_owned(), |due| age(now.since(due))),
            note: if due.is_some() { "since it should have gone out" } else { "nothing is late" }.to_owned(),
        },
    ])
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    Timestamp(now.millis().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

/// What happened in the last while. Of the bucket that lies only partly in it, its share is taken.
fn within(buckets: &[(Timestamp, Usage)], now: Timestamp, span: Duration) -> Usage {
    let from = before(now, span).millis();
    let length = Span::FiveMinutes.millis();
    let sum = |figure: fn(&Usage) -> u64| {
        let part = |start: Timestamp| (start.millis() + length - from).clamp(0, length) as f64 / length as f64;
        buckets.iter().map(|(start, usage)| part(*start) * figure(usage) as f64).sum::<f64>().round() as u64
    };
    Usage {
        events: sum(|usage| usage.events),
        deliveries: sum(|usage| usage.deliveries),
        attempts: sum(|usage| usage.attempts),
        failed: sum(|usage| usage.failed),
    }
}

/// An amount with as many digits as say something.
fn amount(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 || value == 0.0 => format!("{value:.1}").trim_end_matches(".0").to_owned(),
        value => format!("{value:.2}"),
    }
}

/// A span in its largest unit, rounded down.
pub(super) fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_counts_as_far_as_it_lies_in_the_time() {
        let usage = |events| Usage { events, ..Usage::default() };
        let start = |number: i64| Timestamp(number * Span::FiveMinutes.millis());
        let buckets = [(start(8), usage(1_000)), (start(9), usage(100)), (start(10), usage(7))];
        let now = Timestamp(start(10).millis() + Span::FiveMinutes.millis() / 5);
        assert_eq!(within(&buckets, now, FIVE_MINUTES).events, 80 + 7);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.034, 1.5, 12.34, 1_234.5].map(amount), ["0", "0.03", "1.50", "12.3", "1234"]);
        let ages = [5, 59_000, 600_000, 7_300_000, 400_000_000].map(|ms| age(Duration::from_millis(ms)));
        assert_eq!(ages, ["5 ms", "59 s", "10 min", "2 h", "4 days"]);
    }
}
