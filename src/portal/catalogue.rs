//! `/portal/catalogue`: the event types, with their examples to try out.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::access::Action;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::event_types::{self, EventType};
use fanfare_store::catalogue::webhooks::WebhookFilter;

use super::Answer;
use super::delivery;
use super::form::Form;
use super::json::{highlighted, indented};
use super::reach;
use super::shell::{Section, Shell, page};
use super::texts::Texts;
use super::visitor::Visitor;
use super::wanted::Wanted;
use super::webhooks::name_of;
use crate::app::App;
use crate::catalogue::{CatalogueResult, event_types as service, sending};

/// Where it is.
const PATH: &str = "/portal/catalogue";
/// Its filters.
const FILTERS: [&str; 2] = ["search", "webhook"];
/// How many event types are shown at most; a search finds the others.
const SHOWN: usize = 500;
/// How many webhooks can be chosen to send an example to; a search finds the others.
const MAX_CHOICES: u32 = 200;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list)).route("/portal/catalogue/send", post(send))
}

#[derive(Template)]
#[template(path = "portal/catalogue.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    kinds: Vec<Kind>,
    takers: Takers,
}

/// The webhooks that an example may be sent to.
#[derive(Default)]
struct Takers {
    /// Ids and names of those that are on.
    webhooks: Vec<(String, String)>,
    /// Whether there are more than can be chosen, so that a search for them is of use.
    more: bool,
}

/// Event types of one kind.
struct Kind {
    name: String,
    types: Vec<Entry>,
}

/// An event type.
struct Entry {
    name: String,
    title: String,
    description: String,
    /// As HTML, and as text to copy.
    example: Option<(String, String)>,
    schema: Option<(String, String)>,
    /// Whether new webhooks are not offered it any more.
    deprecated: bool,
}

async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Answer {
    let t = visitor.t;
    let wanted = Wanted::of(&FILTERS, &uri);
    page(&Page {
        shell: Shell::new(&visitor, Section::Catalogue, t.catalogue.title),
        t,
        kinds: kinds(&app, &visitor, wanted.given("search")).await?,
        takers: takers(&app, &visitor, wanted.given("webhook")).await?,
        wanted,
    })
}

/// The event types that have `search` in them, by kind: those of the project's profile first.
async fn kinds(app: &App, visitor: &Visitor, search: Option<&str>) -> CatalogueResult<Vec<Kind>> {
    let profile = service::profile(app, visitor.project.id).await?;
    let known = |name: &str| profile.as_ref().and_then(|profile| profile.catalogue.get(name));
    let title = |name: &str| known(name).and_then(|known| known.title.clone()).unwrap_or_else(|| name.to_owned());
    let search = search.map(str::to_lowercase);
    let fits = |kind: &EventType| {
        let text = format!("{} {} {}", kind.name, title(&kind.name), kind.description.as_deref().unwrap_or_default());
        search.as_ref().is_none_or(|search| text.to_lowercase().contains(search))
    };
    let mut found = app.store.read(event_types::all(visitor.project.id)).await?;
    found.retain(fits);
    let place = |kind: &EventType| {
        profile.as_ref().and_then(|profile| profile.catalogue.iter().position(|known| known.name == kind.name))
    };
    found.sort_by_key(|kind| place(kind).unwrap_or(usize::MAX));
    let mut kinds: Vec<Kind> = Vec::new();
    for kind in found.into_iter().take(SHOWN) {
        let group = kind.kind.unwrap_or_else(|| visitor.t.catalogue.other_kind.to_owned());
        let json = |text: String| (highlighted(&indented(&text)).0, indented(&text));
        let entry = Entry {
            title: title(&kind.name),
            name: kind.name,
            description: kind.description.unwrap_or_default(),
            example: kind.example.map(json),
            schema: kind.schema.map(json),
            deprecated: kind.deprecated_at.is_some(),
        };
        match kinds.iter_mut().find(|known| known.name == group) {
            Some(known) => known.types.push(entry),
            None => kinds.push(Kind { name: group, types: vec![entry] }),
        }
    }
    Ok(kinds)
}

/// The webhooks with `search` in their name or URL that an example may be sent to; none for who may not manage them.
async fn takers(app: &App, visitor: &Visitor, search: Option<&str>) -> CatalogueResult<Takers> {
    if !reach::allowed(reach::everything(app, visitor, Action::Manage).await)? {
        return Ok(Takers::default());
    }
    let newest = Piece { before: None, limit: MAX_CHOICES + 1 };
    let filter = WebhookFilter { search: search.map(str::to_owned), ..WebhookFilter::default() };
    let found = reach::webhooks(app, visitor, &filter, newest).await?;
    let more = found.len() > MAX_CHOICES as usize;
    let on = found.iter().take(MAX_CHOICES as usize).filter(|row| row.status.takes_events());
    Ok(Takers { webhooks: on.map(|row| (row.id.to_string(), name_of(visitor.t, &row.settings))).collect(), more })
}

/// Sends a webhook the example of an event type, and shows what becomes of it.
async fn send(State(app): State<Arc<App>>, visitor: Visitor, form: Form) -> Answer {
    let webhook = reach::webhook(&app, &visitor, form.get("webhook"), Action::Manage).await?;
    let delivery = sending::try_out(&app, &webhook, form.given("event_type")).await?;
    Ok(Redirect::to(&delivery::path(delivery, "")).into_response())
}
