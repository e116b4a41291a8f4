//! `/console`: how a project does now, and how it did.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::pauses;
use fanfare_store::catalogue::webhooks;
use fanfare_store::stats::{self, Subject};

use super::figures::{Figure, Pace, age, at_least};
use super::operator::Operator;
use super::shell::Shell;
use super::{Answer, HOME};
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::portal::charts::{self, Charts, Range, grouped};
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::words;

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

async fn show(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let t = operator.t;
    let project = operator.project.id;
    let range = Range::named(Form::parse(uri.query().unwrap_or_default().as_bytes()).get(charts::PARAMETER));
    let first = |limit| Piece { before: None, limit };
    let failing = app.store.read_one(webhooks::count_failing(project, MAX_FAILING)).await?.unwrap_or(0);
    let held = app.store.read(pauses::list(project, first(MAX_FAILING))).await?.len();
    page(&Page {
        shell: Shell::new(&operator, HOME, "Overview"),
        t,
        figures: figures(&app, &operator).await?,
        charts: charts::of(&app, t, Subject::Project(project), range).await?,
        failing: (failing > 0).then(|| match failing {
            1 => "1 webhook fails".to_owned(),
            many if many == i64::from(MAX_FAILING) => format!("{many} or more webhooks fail"),
            many => format!("{many} webhooks fail"),
        }),
        held,
    })
}

/// What happens now: throughput, failures, backlog.
async fn figures(app: &App, operator: &Operator) -> CatalogueResult<Vec<Figure>> {
    let now = app.now();
    let pace = Pace::of(app, operator).await?;
    let hour = &pace.hour;
    let backlog = app.store.read_one(stats::backlog(operator.project.id)).await?.unwrap_or_default();
    // What is paused waits as it should, and is not late.
    let late = backlog.first_due_of_active.filter(|due| *due <= now);
    let failed = format!("{} of {} attempts", grouped(hour.failed), grouped(hour.attempts));
    Ok(vec![
        pace.figure("Events a second", |usage| usage.events),
        pace.figure("Attempts a second", |usage| usage.attempts),
        Figure::new("Failed, last hour", words::percent(hour.failed, hour.attempts), failed),
        Figure::new(
            "Backlog",
            at_least(backlog.deliveries, backlog.more),
            "deliveries that are not over, retries and paused ones included",
        ),
        Figure::new(
            "Oldest due",
            late.map_or_else(|| "none".to_owned(), |due| age(now.since(due))),
            if late.is_some() { "since it should have gone out" } else { "nothing is late" },
        ),
    ])
}
