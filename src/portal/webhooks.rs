//! `/portal/webhooks`: the list of webhooks, with a switch for each.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::access::Action;
use fanfare_engine::id::WebhookId;
use fanfare_engine::profile::Profile;
use fanfare_engine::webhook::{Events, Settings};
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::event_types;
use fanfare_store::catalogue::webhooks::{WebhookFilter, WebhookRow};
use fanfare_store::stats;

use super::Answer;
use super::form::Form;
use super::shell::{Section, Shell, page};
use super::sparkline::{self, Day};
use super::texts::{Texts, counted, fill};
use super::visitor::Visitor;
use super::wanted::Wanted;
use super::words::{Moment, Standing, percent};
use super::{reach, webhook};
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::catalogue::webhooks::{Switch, switch};

/// Where the list is.
pub(super) const PATH: &str = "/portal/webhooks";
/// Its filters.
const FILTERS: [&str; 3] = ["search", "status", "event"];
/// How many webhooks a page shows.
const SHOWN: usize = 50;
/// How many rows are read at once while looking for those that match.
const READ_AT_ONCE: u32 = 250;
/// How often that is done for one page; the list goes on from there.
const READS: usize = 20;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list)).route("/portal/webhooks/{webhook}/switch", post(turn))
}

#[derive(Template)]
#[template(path = "portal/webhooks.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    /// Whether the visitor may change anything.
    manages: bool,
    rows: Vec<Row>,
    event_types: Vec<String>,
    older: Option<String>,
    /// Whether it ends where so many rows were looked at, and not where the page is full.
    cut: bool,
}

/// A webhook as the list shows it.
struct Row {
    id: String,
    name: String,
    url: String,
    copy_label: String,
    view_label: String,
    switch_label: String,
    standing: Standing,
    reason: Option<String>,
    failing_since: Option<Moment>,
    on: bool,
    events: String,
    day: Day,
    rate: String,
    chart: String,
    last: Option<Moment>,
}

async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Answer {
    let t = visitor.t;
    let wanted = Wanted::of(&FILTERS, &uri);
    let list = format!("portal webhooks {} {}", visitor.organization.id, wanted.query());
    let before = wanted.cursor().and_then(|cursor| app.vault.read_cursor(&list, cursor));
    let (found, next) = matching(&app, &visitor, &wanted, before).await?;
    let cut = next.is_some() && found.len() < SHOWN;
    let older = next.map(|id| wanted.href(PATH, Some(&app.vault.cursor(&list, id))));
    let notice = notice(t, uri.query().unwrap_or_default());
    page(&Page {
        shell: Shell::new(&visitor, Section::Webhooks, t.webhooks.title).saying(notice),
        t,
        manages: reach::allowed(reach::everything(&app, &visitor, Action::Manage).await)?,
        rows: rows(&app, t, found).await?,
        event_types: app.store.read(event_types::names(visitor.project.id)).await?,
        older,
        cut,
        wanted,
    })
}

/// What was done before the list was shown again.
fn notice(t: &Texts, query: &str) -> Option<&'static str> {
    match Form::parse(query.as_bytes()).get("done") {
        "added" => Some(t.webhooks.added),
        "added-off" => Some(t.webhooks.added_off),
        "deleted" => Some(t.webhooks.deleted),
        _ => None,
    }
}

/// The webhooks below `before` that are wanted, as many as a page shows, and where the list goes on.
async fn matching(
    app: &App,
    visitor: &Visitor,
    wanted: &Wanted,
    mut before: Option<i64>,
) -> CatalogueResult<(Vec<WebhookRow>, Option<i64>)> {
    let standing = wanted.given("status").and_then(|name| Standing::ALL.into_iter().find(|known| known.name() == name));
    let filter = WebhookFilter {
        organization: None,
        status: standing.map(Standing::status),
        fails: standing.and_then(Standing::fails),
        search: wanted.given("search").map(str::to_owned),
        ..WebhookFilter::default()
    };
    let fits =
        |row: &WebhookRow| wanted.given("event").is_none_or(|name| names(app, &row.profile, &row.settings, name));
    let mut found: Vec<WebhookRow> = Vec::new();
    for _ in 0..READS {
        let piece = Piece { before, limit: READ_AT_ONCE };
        let mut read = reach::search(app, visitor, &filter, piece).await?;
        before = read.next(READ_AT_ONCE as usize - 1, |webhook| webhook.id.0);
        let cut = read.cut;
        for webhook in read.rows.into_iter().filter(|webhook| fits(webhook)) {
            if found.len() == SHOWN {
                let last = found.last().map(|webhook| webhook.id.0);
                return Ok((found, last));
            }
            found.push(webhook);
        }
        // Where the store passed over many, that is enough for one page.
        if before.is_none() || cut.is_some() {
            break;
        }
    }
    Ok((found, before))
}

/// Whether a webhook wants events of this type.
fn names(app: &App, profile: &str, settings: &Settings, name: &str) -> bool {
    let known = app.profiles.get(profile).and_then(|profile| profile.catalogue.get(name));
    let name = known.map_or(name, |known| &known.name);
    match &settings.events {
        Events::All => true,
        Events::Only(names) => names.iter().any(|known| known == name),
    }
}

async fn rows(app: &App, t: &Texts, webhooks: Vec<WebhookRow>) -> CatalogueResult<Vec<Row>> {
    let ids: Vec<WebhookId> = webhooks.iter().map(|webhook| webhook.id).collect();
    let mut days = sparkline::days(app, &ids).await?;
    let sent = app.store.read(stats::last_sent(&ids)).await?;
    let show = |row: WebhookRow| {
        let day = days.remove(&row.id).unwrap_or_default();
        let profile = app.profiles.get(&row.profile);
        let name = name_of(t, &row.settings);
        let (reason, failing_since) = webhook::reason(&row);
        Row {
            id: row.id.to_string(),
            copy_label: fill(t.webhooks.copy_url, &[("name", &name)]),
            view_label: fill(t.webhooks.view_of, &[("name", &name)]),
            switch_label: fill(t.webhooks.switch_label, &[("name", &name)]),
            name,
            standing: Standing::of(row.status, row.failing_since),
            reason,
            failing_since,
            on: row.status.takes_events(),
            events: events_of(t, profile.map(|profile| &**profile), &row.settings.events),
            rate: match day.succeeded + day.failed {
                0 => t.webhooks.no_attempts.to_owned(),
                all => fill(t.webhooks.rate, &[("rate", &percent(day.failed, all))]),
            },
            chart: fill(t.webhooks.chart, &[("succeeded", &day.succeeded), ("failed", &day.failed)]),
            day,
            last: sent.iter().find(|(id, _)| *id == row.id).map(|(_, at)| Moment::from(*at)),
            url: row.settings.url,
        }
    };
    Ok(webhooks.into_iter().map(show).collect())
}

/// What a webhook is called.
pub(super) fn name_of(t: &Texts, settings: &Settings) -> String {
    if settings.name.is_empty() { t.webhooks.unnamed.to_owned() } else { settings.name.clone() }
}

/// Which events a webhook wants, in short.
pub(super) fn events_of(t: &Texts, profile: Option<&Profile>, events: &Events) -> String {
    match events {
        Events::All => t.webhooks.all_events.to_owned(),
        Events::Only(names) => match &names[..] {
            [name] => {
                profile.and_then(|profile| profile.catalogue.get(name)?.title.clone()).unwrap_or_else(|| name.clone())
            }
            names => counted(t.webhooks.events_one, t.webhooks.events_many, names.len() as u64),
        },
    }
}

/// Switches a webhook on or off, and goes back to where the switch was.
async fn turn(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let to = match form.get("to") {
        "on" => Switch::Enable,
        _ => Switch::Disable,
    };
    switch(&app, &visitor.place(), &id, to).await?;
    let wanted = Wanted::read(&FILTERS, form.get("list"));
    Ok(Redirect::to(&wanted.href(PATH, wanted.cursor())).into_response())
}
