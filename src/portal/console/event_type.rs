//! `/console/event-types/new` and `/console/event-types/edit/{name}`: one event type, with its schema and example; whether it
//! is deprecated; and a payload checked against it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_store::catalogue::event_types::EventType;
use serde_json::Value;

use super::Answer;
use super::event_types::PATH;
use super::faults::Field;
use super::operator::{Change, Operator, Sent};
use super::shell::{Shell, encoded};
use crate::app::App;
use crate::catalogue::event_types::{self as service, EventTypeChanges};
use crate::catalogue::{CatalogueError, CatalogueResult};
use crate::portal::faults::Refused;
use crate::portal::form::Form;
use crate::portal::json::indented;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::words::Moment;

/// What the form has.
const FIELDS: [Field; 5] =
    [("name", "Name"), ("kind", "Group"), ("description", "Description"), ("example", "Example"), ("schema", "Schema")];

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/console/event-types/new", get(new).post(add))
        .route("/console/event-types/edit/{name}", get(show).post(save))
        .route("/console/event-types/deprecate/{name}", post(deprecate))
        .route("/console/event-types/check/{name}", post(check))
        .route("/console/event-types/delete/{name}", post(delete))
}

#[derive(Template)]
#[template(path = "console/event_type.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    /// The one that is there; none for a new one.
    edited: Option<Edited>,
    draft: Draft,
    check: Check,
}

/// The event type that is edited.
struct Edited {
    name: String,
    /// Whether it comes with the project's profile, and stays with it.
    of_profile: bool,
    deprecated: Option<Moment>,
    has_schema: bool,
    /// Whether somebody else changed it since the form was loaded.
    changed: bool,
}

/// A payload that was to be checked.
#[derive(Default)]
struct Check {
    payload: String,
    /// What is wrong with it, each with the place in the payload; `None` where nothing was checked.
    found: Option<Vec<(String, String)>>,
}

/// What the form holds.
#[derive(Default)]
struct Draft {
    /// Which state of the event type was there when the form was loaded, so that nobody's changes are written over unseen.
    version: i64,
    name: String,
    kind: String,
    description: String,
    schema: String,
    example: String,
}

impl Draft {
    fn typed(form: &Form) -> Draft {
        let text = |name| form.get(name).replace("\r\n", "\n");
        Draft {
            // No event type has the version 0.
            version: form.get("version").parse().unwrap_or(0),
            name: form.get("name").trim().to_owned(),
            kind: form.get("kind").trim().to_owned(),
            description: text("description").trim().to_owned(),
            schema: text("schema"),
            example: text("example"),
        }
    }

    fn of(kind: &EventType) -> Draft {
        let json = |text: &Option<String>| text.as_deref().map(indented).unwrap_or_default();
        Draft {
            version: kind.version,
            name: kind.name.clone(),
            kind: kind.kind.clone().unwrap_or_default(),
            description: kind.description.clone().unwrap_or_default(),
            schema: json(&kind.schema),
            example: json(&kind.example),
        }
    }

    /// What it changes; everything is said, so that what is empty is taken away.
    fn changes(&self) -> CatalogueResult<EventTypeChanges> {
        let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(str::to_owned);
        let json = |field: &str, text: &str| match text.trim() {
            "" => Ok(None),
            text => serde_json::from_str::<Value>(text)
                .map(Some)
                .map_err(|error| CatalogueError::field(field, format!("is no JSON: {error}"))),
        };
        Ok(EventTypeChanges {
            kind: Some(text(&self.kind)),
            description: Some(text(&self.description)),
            schema: Some(json("schema", &self.schema)?),
            example: Some(json("example", &self.example)?),
            deprecated: None,
        })
    }
}

impl Page {
    fn new(operator: &Operator, draft: Draft) -> Page {
        let shell = Shell::new(operator, PATH, "Add an event type");
        Page { shell, t: operator.t, edited: None, draft, check: Check::default() }
    }

    async fn of(app: &App, operator: &Operator, kind: &EventType, draft: Draft) -> CatalogueResult<Page> {
        let profile = service::profile(app, operator.project.id).await?;
        let edited = Edited {
            name: kind.name.clone(),
            of_profile: profile.is_some_and(|profile| profile.catalogue.get(&kind.name).is_some()),
            deprecated: kind.deprecated_at.map(Moment::from),
            has_schema: kind.schema.is_some(),
            changed: false,
        };
        let shell = Shell::new(operator, PATH, kind.name.clone());
        Ok(Page { shell, t: operator.t, edited: Some(edited), draft, check: Check::default() })
    }
}

async fn new(operator: Operator) -> Answer {
    page(&Page::new(&operator, Draft::default()))
}

async fn show(State(app): State<Arc<App>>, operator: Operator, Path(name): Path<String>, uri: Uri) -> Answer {
    let notice = match Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") {
        "deprecated" => Some("It is deprecated. New webhooks are not offered it; its events are still taken and sent."),
        "offered" => Some("It is offered again."),
        _ => None,
    };
    let kind = service::get(&app, operator.project.id, &name).await?;
    let shown = Page::of(&app, &operator, &kind, Draft::of(&kind)).await?;
    page(&Page { shell: shown.shell.saying(notice), ..shown })
}

async fn add(State(app): State<Arc<App>>, Change(operator, form): Change) -> Answer {
    let draft = Draft::typed(&form);
    let made = match draft.changes() {
        Ok(changes) => service::create(&app, operator.project.id, &draft.name, changes).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(_) => Ok(Redirect::to(&format!("{PATH}?done=added")).into_response()),
        Err(error) => {
            let refused = Refused::of(operator.t, error)?;
            let shown = Page::new(&operator, draft);
            refused.answer(&Page { shell: shown.shell.faulting(&refused, &FIELDS), ..shown })
        }
    }
}

async fn save(State(app): State<Arc<App>>, Path(name): Path<String>, Change(operator, form): Change) -> Answer {
    let mut draft = Draft { name: name.clone(), ..Draft::typed(&form) };
    let saved = match draft.changes() {
        Ok(changes) => service::edit_seen(&app, operator.project.id, &name, changes, Some(draft.version)).await,
        Err(error) => Err(error),
    };
    let Err(error) = saved else {
        return Ok(Redirect::to(&format!("{PATH}?done=saved")).into_response());
    };
    let kind = service::get(&app, operator.project.id, &name).await?;
    let changed = matches!(error, CatalogueError::Contended(_));
    if changed {
        draft.version = kind.version;
    }
    let refused = Refused::of(operator.t, error)?;
    let shown = Page::of(&app, &operator, &kind, draft).await?;
    let edited = shown.edited.map(|edited| Edited { changed, ..edited });
    refused.answer(&Page { shell: shown.shell.faulting(&refused, &FIELDS), edited, ..shown })
}

async fn deprecate(State(app): State<Arc<App>>, Path(name): Path<String>, Change(operator, form): Change) -> Answer {
    let deprecated = form.get("to") != "offered";
    let changes = EventTypeChanges { deprecated: Some(deprecated), ..EventTypeChanges::default() };
    service::edit(&app, operator.project.id, &name, changes).await?;
    let done = if deprecated { "deprecated" } else { "offered" };
    Ok(Redirect::to(&format!("{PATH}/edit/{}?done={done}", encoded(&name))).into_response())
}

/// Checks a payload against the schema that is saved, as when an event of the type is posted. Nothing is changed.
async fn check(State(app): State<Arc<App>>, Path(name): Path<String>, Sent(operator, form): Sent) -> Answer {
    let kind = service::get(&app, operator.project.id, &name).await?;
    let payload = form.get("payload").replace("\r\n", "\n");
    let found = match serde_json::from_str::<Value>(&payload) {
        Err(error) => vec![("the payload".to_owned(), format!("is no JSON: {error}"))],
        Ok(_) => {
            let types = app.compiled().event_types(operator.project.id).await?;
            let errors = app.check_data(operator.project.id, &types, &name, payload.clone().into()).await?;
            let at = |pointer: String| if pointer.is_empty() { "the payload".to_owned() } else { pointer };
            errors.into_iter().map(|error| (at(error.pointer), error.message)).collect()
        }
    };
    let shown = Page::of(&app, &operator, &kind, Draft::of(&kind)).await?;
    page(&Page { check: Check { payload, found: Some(found) }, ..shown })
}

async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>, Change(operator, _): Change) -> Answer {
    service::delete(&app, operator.project.id, &name).await?;
    Ok(Redirect::to(&format!("{PATH}?done=deleted")).into_response())
}
