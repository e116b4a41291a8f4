//! `/v1/event-types`: a project's catalogue of what may happen.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::id::EventTypeId;
use fanfare_engine::profile::{EventTypeKnobs, Profile};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::event_types::EventType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{ProjectManager, Reader};
use super::body::JsonBody;
use super::page::{List, ListBody};
use super::problem::Answer;
use super::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::event_types::{self, EventTypeChanges};
use crate::catalogue::webhooks::given;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete))
}

/// An event type.
#[derive(Serialize, ToSchema)]
#[schema(as = EventType)]
pub struct EventTypeBody {
    #[schema(value_type = String)]
    id: EventTypeId,
    #[schema(example = "job.created")]
    name: String,
    /// What it is grouped under.
    kind: Option<String>,
    description: Option<String>,
    /// A JSON Schema of the data.
    schema: Option<Value>,
    /// An example of the data.
    example: Option<Value>,
    /// Whether it is deprecated: new webhooks are not offered it, and its events are still taken and sent.
    deprecated: bool,
    /// Since when; null where it is not.
    #[schema(value_type = Option<String>, format = "date-time")]
    deprecated_at: Option<Timestamp>,
    /// What people see, where the project's profile has a title for it.
    title: Option<String>,
    /// What the project's profile says of the filters of webhooks that name it; null where it says nothing.
    filter: Option<FilterRules>,
    /// What the host posts for it: the type itself, unless the project's profile says otherwise.
    listens_to: Vec<String>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

/// Which filter a webhook has that names an event type.
#[derive(Serialize, ToSchema)]
pub struct FilterRules {
    /// Whether a type of entity is named: `none`, `optional`, `required`.
    rule: &'static str,
    /// Whether an entity of that type is named: `none`, `optional`, `required`.
    id: &'static str,
    /// Which types of entity may be named; empty for any.
    types: Vec<EntityTypeBody>,
}

/// A type of entity.
#[derive(Serialize, ToSchema)]
#[schema(as = EntityType)]
pub struct EntityTypeBody {
    name: String,
    /// What may be given instead of the name.
    number: Option<u32>,
}

impl FilterRules {
    fn of(profile: &Profile, known: &EventTypeKnobs) -> Self {
        let entity_type = |name: &String| EntityTypeBody {
            name: name.clone(),
            number: profile.entity_type(name).and_then(|known| known.number),
        };
        FilterRules {
            rule: known.filter.rule.name(),
            id: known.filter.id.name(),
            types: known.filter.types.iter().map(entity_type).collect(),
        }
    }
}

impl EventTypeBody {
    /// `profile` is the project's own.
    fn show(kind: EventType, profile: Option<&Profile>) -> Self {
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        let known = profile.and_then(|profile| Some((profile, profile.catalogue.get(&kind.name)?)));
        EventTypeBody {
            title: known.and_then(|(_, known)| known.title.clone()),
            filter: known.map(|(profile, known)| FilterRules::of(profile, known)),
            listens_to: known.map_or_else(|| vec![kind.name.clone()], |(_, known)| known.listens_to.clone()),
            id: kind.id,
            name: kind.name,
            kind: kind.kind,
            description: kind.description,
            schema: json(kind.schema),
            example: json(kind.example),
            deprecated: kind.deprecated_at.is_some(),
            deprecated_at: kind.deprecated_at,
            created_at: kind.created_at,
            updated_at: kind.updated_at,
        }
    }
}

async fn shown(app: &App, kind: EventType) -> Answer<EventTypeBody> {
    let profile = event_types::profile(app, kind.project).await?;
    Ok(EventTypeBody::show(kind, profile.as_deref()))
}

/// An event type to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEventType {
    /// 1 to 128 visible ASCII characters; it never changes.
    name: String,
    kind: Option<String>,
    description: Option<String>,
    /// A JSON Schema that refers to nothing outside itself: at most 64 KiB, 64 levels deep, with 1,000 references and 100 regular
    /// expressions.
    schema: Option<Value>,
    /// It must fit the schema.
    example: Option<Value>,
}

/// What is to be different in an event type; what is left out stays, null takes away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventTypePatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    kind: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Value>)]
    schema: Option<Option<Value>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Value>)]
    example: Option<Option<Value>>,
    /// Whether it is deprecated: new webhooks are not offered it, and its events are still taken and sent.
    deprecated: Option<bool>,
}

/// Which event types.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventTypeQuery {
    /// Only those of this group.
    kind: Option<String>,
    /// At most so many entries: 1 to 250, by default 50.
    limit: Option<u32>,
    /// The `next_cursor` of the piece before.
    cursor: Option<String>,
}

/// The event types of the project.
#[utoipa::path(get, path = "/v1/event-types", tag = "Event types", params(EventTypeQuery),
    responses((status = 200, body = ListBody<EventTypeBody>)))]
async fn list(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    QueryParts(query): QueryParts<EventTypeQuery>,
) -> Answer<Json<ListBody<EventTypeBody>>> {
    let name = format!("event-types {} {:?}", principal.project, query.kind);
    let list = List::ask(&app.vault, name, query.limit, query.cursor.as_deref())?;
    let found = event_types::list(&app, principal.project, query.kind.as_deref(), list.page()).await?;
    let profile = event_types::profile(&app, principal.project).await?;
    Ok(list.answer(found, |kind| kind.id.0, |kind| EventTypeBody::show(kind, profile.as_deref())))
}

/// Makes an event type.
#[utoipa::path(post, path = "/v1/event-types", tag = "Event types", request_body = NewEventType,
    responses((status = 201, body = EventTypeBody)))]
async fn create(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    JsonBody(new): JsonBody<NewEventType>,
) -> Answer<(StatusCode, Json<EventTypeBody>)> {
    let changes = EventTypeChanges {
        kind: Some(new.kind),
        description: Some(new.description),
        schema: Some(new.schema),
        example: Some(new.example),
        deprecated: None,
    };
    let kind = event_types::create(&app, principal.project, &new.name, changes).await?;
    Ok((StatusCode::CREATED, Json(shown(&app, kind).await?)))
}

/// One event type.
#[utoipa::path(get, path = "/v1/event-types/{name}", tag = "Event types", params(("name" = String, Path)),
    responses((status = 200, body = EventTypeBody)))]
async fn get(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts(name): PathParts<String>,
) -> Answer<Json<EventTypeBody>> {
    let kind = event_types::get(&app, principal.project, &name).await?;
    Ok(Json(shown(&app, kind).await?))
}

/// Edits an event type.
#[utoipa::path(patch, path = "/v1/event-types/{name}", tag = "Event types", params(("name" = String, Path)),
    request_body = EventTypePatch, responses((status = 200, body = EventTypeBody)))]
async fn patch(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(name): PathParts<String>,
    JsonBody(patch): JsonBody<EventTypePatch>,
) -> Answer<Json<EventTypeBody>> {
    let changes = EventTypeChanges {
        kind: patch.kind,
        description: patch.description,
        schema: patch.schema,
        example: patch.example,
        deprecated: patch.deprecated,
    };
    let kind = event_types::edit(&app, principal.project, &name, changes).await?;
    Ok(Json(shown(&app, kind).await?))
}

/// Removes an event type. Webhooks that name it keep the name. One that comes with the project's profile stays.
#[utoipa::path(delete, path = "/v1/event-types/{name}", tag = "Event types", params(("name" = String, Path)),
    responses((status = 204), (status = 409, description = "It comes with the project's profile")))]
async fn delete(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(name): PathParts<String>,
) -> Answer<StatusCode> {
    event_types::delete(&app, principal.project, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
