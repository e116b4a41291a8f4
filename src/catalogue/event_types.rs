//! A project's event types: made, edited, listed, removed.

use std::sync::Arc;

use fanfare_engine::event::{MAX_TYPE_NAME, is_valid_type_name};
use fanfare_engine::id::ProjectId;
use fanfare_engine::profile::{EventTypeKnobs, Profile};
use fanfare_engine::time::Timestamp;
use fanfare_store::StoreError;
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::event_types::{self as rows, EventType};
use fanfare_store::catalogue::projects::Project;
use fanfare_store::query::{Change, Step};
use fanfare_store::queue::Touches;
use serde_json::Value;

use super::fields::Faults;
use super::projects::{self, MAX_PROJECTS};
use super::{CatalogueError, CatalogueResult, EDIT_TRIES, Found, check_room};
use crate::app::App;
use crate::compiled::{Exhausted, MAX_EFFORT, Schema, judge};

/// How many event types a project may have.
pub const MAX_EVENT_TYPES: u32 = 10_000;
/// The longest description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 2_000;
/// The longest name of a group, in characters.
pub const MAX_KIND_CHARS: usize = 100;
/// The largest schema, in bytes of JSON.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// The largest example, in bytes of JSON.
pub const MAX_EXAMPLE_BYTES: usize = 64 * 1024;

const NAME: &str = "event type";

/// What is to be different: `None` leaves it as it is, `Some(None)` takes it away.
#[derive(Clone, Debug, Default)]
pub struct EventTypeChanges {
    pub kind: Option<Option<String>>,
    pub description: Option<Option<String>>,
    pub schema: Option<Option<Value>>,
    pub example: Option<Option<Value>>,
    /// Whether it is deprecated: not offered any more, though its events are still taken and sent.
    pub deprecated: Option<bool>,
}

/// Makes an event type.
///
/// # Errors
/// Fields that are not valid, a name that is taken, or too many event types.
pub async fn create(
    app: &App,
    project: ProjectId,
    name: &str,
    changes: EventTypeChanges,
) -> CatalogueResult<EventType> {
    check_room(app.store.read_one(rows::count(project)).await?, "event types in a project", MAX_EVENT_TYPES)?;
    let now = app.now();
    let kind = EventType {
        id: app.ids.next(),
        project,
        name: name.to_owned(),
        kind: None,
        description: None,
        schema: None,
        example: None,
        deprecated_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let kind = apply(kind, changes, now);
    check(app, &kind).await?;
    app.make(rows::insert(&kind), Some(touches(project)), &kind.name).await?;
    app.observer.project_changed(project);
    Ok(kind)
}

/// Edits an event type; its name stays.
///
/// # Errors
/// It is unknown, or fields are not valid.
pub async fn edit(app: &App, project: ProjectId, name: &str, changes: EventTypeChanges) -> CatalogueResult<EventType> {
    edit_seen(app, project, name, changes, None).await
}

/// Edits an event type that was looked at before, in its `version`; in any where that is not known.
///
/// # Errors
/// As for [`edit`]; and [`CatalogueError::Contended`] where it was changed since.
pub async fn edit_seen(
    app: &App,
    project: ProjectId,
    name: &str,
    changes: EventTypeChanges,
    version: Option<i64>,
) -> CatalogueResult<EventType> {
    let _turn = app.turns.wait(project.0).await;
    for _ in 0..EDIT_TRIES {
        let now = app.now();
        let before = get(app, project, name).await?;
        if version.is_some_and(|seen| seen != before.version) {
            return Err(CatalogueError::Contended(NAME));
        }
        let mut kind = apply(before, changes.clone(), now);
        check(app, &kind).await?;
        kind.updated_at = now;
        match app.change(rows::update(&kind), Some(touches(project))).await {
            Ok(_) => {
                app.observer.project_changed(project);
                kind.version += 1;
                return Ok(kind);
            }
            Err(StoreError::Stale(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CatalogueError::Contended(NAME))
}

/// The event type of this name.
pub async fn get(app: &App, project: ProjectId, name: &str) -> CatalogueResult<EventType> {
    app.store.read_one(rows::by_name(project, name)).await?.ok_or(CatalogueError::NotFound(NAME))
}

/// A page of a project's event types, of one group or of all.
pub async fn list(app: &App, project: ProjectId, kind: Option<&str>, page: Page) -> CatalogueResult<Found<EventType>> {
    Ok(Found::read(app, rows::list(project, kind, page), page.limit, None).await?)
}

/// The project's own profile; `None` where the server does not have it any more.
pub async fn profile(app: &App, project: ProjectId) -> CatalogueResult<Option<Arc<Profile>>> {
    Ok(app.profiles.get(&projects::by_id(app, project).await?.profile).cloned())
}

/// What makes the event types of the profiles that the project allows, as far as it does not have them yet. Where two
/// profiles have one of the same name, it is as the project's own profile has it.
pub(super) fn of_profiles(app: &App, project: &Project) -> Vec<Step> {
    let now = app.now();
    let event_type = |known: &EventTypeKnobs| EventType {
        id: app.ids.next(),
        project: project.id,
        name: known.name.clone(),
        kind: known.kind.clone(),
        description: known.description.clone(),
        schema: known.schema.clone(),
        example: known.example.as_ref().map(|example| example.data.clone()),
        deprecated_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    profiles(app, project)
        .flat_map(|profile| profile.catalogue.iter())
        .map(|known| rows::insert_missing(&event_type(known)))
        .collect()
}

/// The profiles that the project allows, its own first, as far as the server has them.
fn profiles<'a>(app: &'a App, project: &'a Project) -> impl Iterator<Item = &'a Arc<Profile>> {
    let names = std::iter::once(&project.profile).chain(&project.options.allowed_profiles);
    names.filter_map(|name| app.profiles.get(name))
}

/// Makes the event types that came into the profiles of projects since those were made.
///
/// # Errors
/// A store that does not answer.
pub async fn complete(app: &App) -> CatalogueResult<()> {
    let page = Page { before: None, limit: MAX_PROJECTS };
    for project in app.store.read(fanfare_store::catalogue::projects::list(page)).await? {
        let names = app.store.read(rows::names(project.id)).await?;
        let mut known = profiles(app, &project).flat_map(|profile| profile.catalogue.iter());
        if known.all(|known| names.contains(&known.name)) {
            continue;
        }
        let steps = of_profiles(app, &project);
        app.change(Change { steps }, Some(touches(project.id))).await?;
        app.observer.project_changed(project.id);
    }
    Ok(())
}

/// Removes an event type. Webhooks that name it keep the name, and get nothing by it.
///
/// # Errors
/// It is unknown, or comes with a profile that the project allows.
pub async fn delete(app: &App, project: ProjectId, name: &str) -> CatalogueResult<()> {
    let owner = projects::by_id(app, project).await?;
    if profiles(app, &owner).any(|profile| profile.catalogue.iter().any(|known| known.name == name)) {
        return Err(CatalogueError::State(
            "the event type comes with the project's profile and stays as long as that does",
        ));
    }
    app.change(rows::delete(project, name), Some(touches(project))).await?;
    app.observer.project_changed(project);
    Ok(())
}

fn touches(project: ProjectId) -> Touches {
    Touches { project, organization: None }
}

fn apply(mut kind: EventType, changes: EventTypeChanges, now: Timestamp) -> EventType {
    let text = |value: Option<Value>| value.map(|value| value.to_string());
    kind.kind = changes.kind.unwrap_or(kind.kind);
    kind.description = changes.description.unwrap_or(kind.description);
    kind.schema = changes.schema.map_or(kind.schema, text);
    kind.example = changes.example.map_or(kind.example, text);
    kind.deprecated_at = match changes.deprecated {
        None => kind.deprecated_at,
        Some(true) => kind.deprecated_at.or(Some(now)),
        Some(false) => None,
    };
    kind
}

async fn check(app: &App, kind: &EventType) -> CatalogueResult<()> {
    let mut faults = Faults::default();
    faults.require(is_valid_type_name(&kind.name), "name", || {
        format!("must have 1 to {MAX_TYPE_NAME} visible ASCII characters, without spaces")
    });
    let at_most = |text: &Option<String>, most: usize| text.as_ref().is_none_or(|text| text.chars().count() <= most);
    faults.require(at_most(&kind.kind, MAX_KIND_CHARS), "kind", || {
        format!("must have at most {MAX_KIND_CHARS} characters")
    });
    faults.require(at_most(&kind.description, MAX_DESCRIPTION_CHARS), "description", || {
        format!("must have at most {MAX_DESCRIPTION_CHARS} characters")
    });
    let small = |text: &Option<String>, most: usize| text.as_ref().is_none_or(|text| text.len() <= most);
    faults.require(small(&kind.example, MAX_EXAMPLE_BYTES), "example", || {
        format!("must have at most {MAX_EXAMPLE_BYTES} bytes")
    });
    if !small(&kind.schema, MAX_SCHEMA_BYTES) {
        faults.require(false, "schema", || format!("must have at most {MAX_SCHEMA_BYTES} bytes"));
        return faults.finish();
    }
    if let Some(schema) = kind.schema.clone() {
        let example = kind.example.clone();
        let found = app.computing.run(kind.project, move || check_schema(&schema, example.as_deref())).await;
        let busy = "as many schemas and events of the project wait to be checked as may; retry in a second";
        if let Err((field, message)) = found.ok_or(CatalogueError::Busy(busy))? {
            faults.require(false, field, || message);
        }
    }
    faults.finish()
}

/// A schema must be one, be small enough in what it asks for, refer to nothing outside itself, and fit the example. Answers the
/// field that is wrong, and why.
fn check_schema(schema: &str, example: Option<&str>) -> Result<(), (&'static str, String)> {
    let wrong = |message: String| ("schema", message);
    let schema: Value = serde_json::from_str(schema).map_err(|_| wrong("is not JSON".to_owned()))?;
    if !schema.is_object() && !schema.is_boolean() {
        return Err(wrong("must be an object: a JSON Schema".to_owned()));
    }
    judge(&schema).map_err(wrong)?;
    let compiled = Schema::compile(&schema).map_err(|why| wrong(format!("is no JSON Schema: {why}")))?;
    let Some(example) = example.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return Ok(()) };
    match compiled.check_masked(&example, MAX_EFFORT) {
        Ok(errors) => match errors.first() {
            None => Ok(()),
            Some(error) => {
                Err(("example", format!("does not fit the schema at \"{}\": {}", error.pointer, error.message)))
            }
        },
        Err(Exhausted) => Err(wrong("takes too long to check the example; simplify it".to_owned())),
    }
}
