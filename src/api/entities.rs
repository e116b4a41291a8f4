//! `/v1/organizations/{org}/entities`: what the host's entities belong to, for grants that cover what is below them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::event::EntityRef;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::entities::EntityRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{HostManager, HostReader};
use super::body::JsonBody;
use super::problem::Answer;
use super::request::PathParts;
use crate::app::App;
use crate::catalogue::entities;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get, put, delete))
}

/// A type and id of the host's own.
#[derive(Serialize, ToSchema)]
#[schema(as = EntityRef)]
pub struct EntityShape {
    #[serde(rename = "type")]
    #[schema(example = "Company")]
    pub kind: String,
    pub id: String,
}

/// What an entity belongs to.
#[derive(Serialize, ToSchema)]
#[schema(as = EntityScope)]
pub struct EntityBody {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    /// Its ancestors.
    #[schema(value_type = Vec<EntityShape>)]
    scope: Vec<EntityRef>,
    /// Who said so last: `host` or `event`.
    told_by: &'static str,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

impl From<EntityRow> for EntityBody {
    fn from(row: EntityRow) -> Self {
        EntityBody {
            kind: row.entity.kind,
            id: row.entity.id,
            scope: row.scope,
            told_by: row.told_by.name(),
            updated_at: row.updated_at,
        }
    }
}

/// What an entity belongs to, as the host says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScope {
    /// Its ancestors, at most 100.
    #[schema(value_type = Vec<EntityShape>)]
    scope: Vec<EntityRef>,
}

/// What an entity belongs to.
#[utoipa::path(get, path = "/v1/organizations/{org}/entities/{type}/{id}", tag = "Entities",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("type" = String, Path, description = "The entity's type"), ("id" = String, Path, description = "The entity's id")),
    responses((status = 200, body = EntityBody)))]
async fn get(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    PathParts((org, kind, id)): PathParts<(String, String, String)>,
) -> Answer<Json<EntityBody>> {
    let organization = principal.organization(&app, &org).await?;
    Ok(Json(entities::get(&app, &organization, &EntityRef { kind, id }).await?.into()))
}

/// Says what an entity belongs to. Where a profile asks for access to entities, events say it too, by their `scope`; what
/// was said last holds, whoever said it.
#[utoipa::path(put, path = "/v1/organizations/{org}/entities/{type}/{id}", tag = "Entities",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("type" = String, Path, description = "The entity's type"), ("id" = String, Path, description = "The entity's id")),
    request_body = NewScope, responses((status = 200, body = EntityBody)))]
async fn put(
    State(app): State<Arc<App>>,
    HostManager(principal): HostManager,
    PathParts((org, kind, id)): PathParts<(String, String, String)>,
    JsonBody(new): JsonBody<NewScope>,
) -> Answer<Json<EntityBody>> {
    let organization = principal.organization(&app, &org).await?;
    Ok(Json(entities::put(&app, &organization, EntityRef { kind, id }, new.scope).await?.into()))
}

/// Forgets what an entity belongs to, until an event says so again.
#[utoipa::path(delete, path = "/v1/organizations/{org}/entities/{type}/{id}", tag = "Entities",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("type" = String, Path, description = "The entity's type"), ("id" = String, Path, description = "The entity's id")),
    responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    HostManager(principal): HostManager,
    PathParts((org, kind, id)): PathParts<(String, String, String)>,
) -> Answer<StatusCode> {
    let organization = principal.organization(&app, &org).await?;
    entities::delete(&app, &organization, &EntityRef { kind, id }).await?;
    Ok(StatusCode::NO_CONTENT)
}
