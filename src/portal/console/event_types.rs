//! `/console/event-types`: the project's catalogue of events.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use fanfare_store::catalogue::event_types as rows;

use super::Answer;
use super::operator::Operator;
use super::shell::{Shell, encoded};
use crate::app::App;
use crate::catalogue::event_types as service;
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::wanted::Wanted;

pub(super) const PATH: &str = "/console/event-types";
const FILTERS: [&str; 1] = ["search"];
/// How many are shown at most; a search finds the others.
const SHOWN: usize = 500;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list))
}

#[derive(Template)]
#[template(path = "console/event_types.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    href: String,
    kind: Option<String>,
    description: Option<String>,
    has_schema: bool,
    has_example: bool,
    deprecated: bool,
    /// Whether it comes with the project's profile.
    of_profile: bool,
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let wanted = Wanted::of(&FILTERS, &uri);
    let notice = match Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") {
        "added" => Some("The event type was added."),
        "saved" => Some("The changes were saved."),
        "deleted" => Some("The event type was deleted."),
        _ => None,
    };
    let profile = service::profile(&app, operator.project.id).await?;
    let search = wanted.given("search").map(str::to_lowercase);
    let found = app.store.read(rows::listed(operator.project.id)).await?;
    let fits = |kind: &rows::Listed| {
        let text = format!("{} {}", kind.name, kind.description.as_deref().unwrap_or_default()).to_lowercase();
        search.as_ref().is_none_or(|search| text.contains(search.as_str()))
    };
    let show = |kind: rows::Listed| Row {
        of_profile: profile.as_ref().is_some_and(|profile| profile.catalogue.get(&kind.name).is_some()),
        href: format!("{PATH}/edit/{}", encoded(&kind.name)),
        name: kind.name,
        kind: kind.kind,
        description: kind.description,
        has_schema: kind.has_schema,
        has_example: kind.has_example,
        deprecated: kind.deprecated,
    };
    page(&Page {
        shell: Shell::new(&operator, PATH, "Event types").saying(notice),
        t: operator.t,
        rows: found.into_iter().filter(fits).take(SHOWN).map(show).collect(),
        wanted,
    })
}
