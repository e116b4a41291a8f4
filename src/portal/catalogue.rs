//! `/portal/catalogue`: the event types that there are. What each sends is on its own page, which a script shows in the list.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use fanfare_store::catalogue::event_types::{self, Listed};

use super::Answer;
use super::event_type::{self, title};
use super::shell::{Section, Shell, page};
use super::texts::Texts;
use super::visitor::Visitor;
use super::wanted::Wanted;
use crate::app::App;
use crate::catalogue::{CatalogueResult, event_types as service};

/// Where it is.
pub(super) const PATH: &str = "/portal/catalogue";
/// Its filters.
const FILTERS: [&str; 1] = ["search"];
/// How many event types are shown at most; a search finds the others.
const SHOWN: usize = 500;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list))
}

#[derive(Template)]
#[template(path = "portal/catalogue.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    kinds: Vec<Kind>,
    /// Whether there are more than are shown.
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
    /// Whether new webhooks are not offered it any more.
    deprecated: bool,
    /// Where its page is.
    href: String,
}

async fn list(State(app): State<Arc<App>>, visitor: Visitor, uri: Uri) -> Answer {
    let t = visitor.t;
    let wanted = Wanted::of(&FILTERS, &uri);
    let (kinds, more) = kinds(&app, &visitor, wanted.given("search")).await?;
    page(&Page { shell: Shell::new(&visitor, Section::Catalogue, t.catalogue.title), t, kinds, more, wanted })
}

/// The event types that have `search` in them, by kind: those of the project's profile first. And whether there are more.
async fn kinds(app: &App, visitor: &Visitor, search: Option<&str>) -> CatalogueResult<(Vec<Kind>, bool)> {
    let profile = service::profile(app, visitor.project.id).await?;
    let profile = profile.as_deref();
    let search = search.map(str::to_lowercase);
    let fits = |kind: &Listed| {
        let description = kind.description.as_deref().unwrap_or_default();
        let text = format!("{} {} {description}", kind.name, title(profile, &kind.name));
        search.as_ref().is_none_or(|search| text.to_lowercase().contains(search))
    };
    let mut found = app.store.read(event_types::listed(visitor.project.id)).await?;
    found.retain(fits);
    let place =
        |kind: &Listed| profile.and_then(|profile| profile.catalogue.iter().position(|known| known.name == kind.name));
    found.sort_by_key(|kind| place(kind).unwrap_or(usize::MAX));
    let more = found.len() > SHOWN;
    let mut kinds: Vec<Kind> = Vec::new();
    for kind in found.into_iter().take(SHOWN) {
        let group = kind.kind.unwrap_or_else(|| visitor.t.catalogue.other_kind.to_owned());
        let entry = Entry {
            title: title(profile, &kind.name),
            href: event_type::path(&kind.name),
            name: kind.name,
            description: kind.description.unwrap_or_default(),
            deprecated: kind.deprecated,
        };
        match kinds.iter_mut().find(|known| known.name == group) {
            Some(known) => known.types.push(entry),
            None => kinds.push(Kind { name: group, types: vec![entry] }),
        }
    }
    Ok((kinds, more))
}
