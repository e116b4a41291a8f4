//! `/console/event-types/new` and `/console/event-types/edit/{name}`: one event type, with its schema and example.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use serde_json::Value;

use super::Answer;
use super::event_types::PATH;
use super::operator::{Change, Operator};
use super::shell::{Shell, encoded, faults};
use crate::app::App;
use crate::catalogue::event_types::{self as service, EventTypeChanges};
use crate::catalogue::{CatalogueError, CatalogueResult};
use crate::portal::form::Form;
use crate::portal::json::indented;
use crate::portal::shell::page;
use crate::portal::texts::Texts;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/console/event-types/new", get(new).post(add))
        .route("/console/event-types/edit/{name}", get(show).post(save))
        .route("/console/event-types/delete/{name}", post(delete))
}

#[derive(Template)]
#[template(path = "console/event_type.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    /// The name of the one that is there; none for a new one.
    edited: Option<String>,
    /// Whether it comes with the project's profile, and stays with it.
    of_profile: bool,
    draft: Draft,
}

/// What the form holds.
#[derive(Default)]
struct Draft {
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
            name: form.get("name").trim().to_owned(),
            kind: form.get("kind").trim().to_owned(),
            description: text("description").trim().to_owned(),
            schema: text("schema"),
            example: text("example"),
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
        })
    }
}

async fn new(operator: Operator) -> Answer {
    let shell = Shell::new(&operator, PATH, "Add an event type");
    page(&Page { shell, t: operator.t, edited: None, of_profile: false, draft: Draft::default() })
}

async fn show(State(app): State<Arc<App>>, operator: Operator, Path(name): Path<String>) -> Answer {
    let kind = service::get(&app, operator.project.id, &name).await?;
    let profile = service::profile(&app, operator.project.id).await?;
    let json = |text: Option<String>| text.map(|text| indented(&text)).unwrap_or_default();
    let draft = Draft {
        name: name.clone(),
        kind: kind.kind.unwrap_or_default(),
        description: kind.description.unwrap_or_default(),
        schema: json(kind.schema),
        example: json(kind.example),
    };
    page(&Page {
        shell: Shell::new(&operator, PATH, name.clone()),
        t: operator.t,
        of_profile: profile.is_some_and(|profile| profile.catalogue.get(&name).is_some()),
        edited: Some(name),
        draft,
    })
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
            let shell = Shell::new(&operator, PATH, "Add an event type").faulting(faults(error)?);
            page(&Page { shell, t: operator.t, edited: None, of_profile: false, draft })
        }
    }
}

async fn save(State(app): State<Arc<App>>, Path(name): Path<String>, Change(operator, form): Change) -> Answer {
    let draft = Draft { name: name.clone(), ..Draft::typed(&form) };
    let saved = match draft.changes() {
        Ok(changes) => service::edit(&app, operator.project.id, &name, changes).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => Ok(Redirect::to(&format!("{PATH}?done=saved")).into_response()),
        Err(error) => {
            let shell = Shell::new(&operator, PATH, name.clone()).faulting(faults(error)?);
            page(&Page { shell, t: operator.t, edited: Some(name), of_profile: false, draft })
        }
    }
}

async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>, Change(operator, _): Change) -> Answer {
    service::delete(&app, operator.project.id, &name).await?;
    Ok(Redirect::to(&format!("{PATH}?done=deleted")).into_response())
}
