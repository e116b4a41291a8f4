//! `/portal/catalogue/type`: one event type, with its example to try out. Its name is in the query, since it may have any
//! visible character.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::access::Action;
use fanfare_engine::profile::Profile;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::webhooks::WebhookFilter;
use url::form_urlencoded::Serializer;

use super::Answer;
use super::form::Form;
use super::json::{Allowance, indented};
use super::shell::{Section, Shell, page};
use super::texts::Texts;
use super::visitor::Visitor;
use super::wanted::Wanted;
use super::webhooks::name_of;
use super::{delivery, reach};
use crate::app::App;
use crate::catalogue::{CatalogueResult, event_types as service, sending};

/// Where it is.
const PATH: &str = "/portal/catalogue/type";
/// What it is asked for: its name, and what is searched for in the webhooks that its example may be sent to.
const ASKED: [&str; 2] = ["name", "webhook"];
/// How many webhooks can be chosen to send an example to; a search finds the others.
const MAX_CHOICES: usize = 200;
/// How many bytes of marked up JSON it may hold; what comes after them is shown plain.
const MAX_MARKED: usize = 1024 * 1024;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show)).route("/portal/catalogue/send", post(send))
}

#[derive(Template)]
#[template(path = "portal/event_type.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    name: String,
    title: String,
    description: String,
    /// As HTML, and as text to copy.
    example: Option<(String, String)>,
    /// As HTML.
    schema: Option<String>,
    /// Whether new webhooks are not offered it any more.
    deprecated: bool,
    takers: Takers,
}

/// The webhooks that an example may be sent to.
#[derive(Default)]
struct Takers {
    /// Ids and names of those that are on.
    webhooks: Vec<(String, String)>,
    /// Whether there may be more, so that a search for them is of use.
    more: bool,
}

async fn show(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Answer {
    let wanted = Wanted::of(&ASKED, &uri);
    let kind = service::get(&app, visitor.project.id, wanted.get("name")).await?;
    let profile = service::profile(&app, visitor.project.id).await?;
    let title = title(profile.as_deref(), &kind.name);
    let mut allowance = Allowance::new(MAX_MARKED);
    page(&Page {
        shell: Shell::new(&visitor, Section::Catalogue, title.clone()),
        t: visitor.t,
        takers: takers(&app, &visitor, wanted.given("webhook")).await?,
        wanted,
        title,
        name: kind.name,
        description: kind.description.unwrap_or_default(),
        example: kind.example.map(|text| (allowance.show(&text), indented(&text))),
        schema: kind.schema.map(|text| allowance.show(&text)),
        deprecated: kind.deprecated_at.is_some(),
    })
}

/// The webhooks with `search` in their name or URL that an example may be sent to; none for who may not manage them.
async fn takers(app: &App, visitor: &Visitor, search: Option<&str>) -> CatalogueResult<Takers> {
    if !reach::allowed(reach::everything(app, visitor, Action::Manage).await)? {
        return Ok(Takers::default());
    }
    let newest = Piece { before: None, limit: MAX_CHOICES as u32 + 1 };
    let filter = WebhookFilter { takes_events: true, search: search.map(str::to_owned), ..WebhookFilter::default() };
    let mut found = reach::search(app, visitor, &filter, newest).await?;
    let more = found.next(MAX_CHOICES, |row| row.id.0).is_some();
    let webhooks = found.rows.iter().map(|row| (row.id.to_string(), name_of(visitor.t, &row.settings))).collect();
    Ok(Takers { webhooks, more })
}

/// Sends a webhook the example of an event type, and shows what becomes of it.
async fn send(State(app): State<Arc<App>>, visitor: Visitor, form: Form) -> Answer {
    let webhook = reach::webhook(&app, &visitor, form.get("webhook"), Action::Manage).await?;
    let delivery = sending::try_out(&app, &webhook, form.given("event_type")).await?;
    Ok(Redirect::to(&delivery::path(delivery, "")).into_response())
}

/// What an event type is called: as the profile says, or by its name.
pub(super) fn title(profile: Option<&Profile>, name: &str) -> String {
    let known = profile.and_then(|profile| profile.catalogue.get(name));
    known.and_then(|known| known.title.clone()).unwrap_or_else(|| name.to_owned())
}

/// The page of an event type.
pub(super) fn path(name: &str) -> String {
    format!("{PATH}?{}", Serializer::new(String::new()).append_pair(ASKED[0], name).finish())
}
