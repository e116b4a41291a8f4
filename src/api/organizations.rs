//! `/v1/organizations`: the customers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::id::{OrganizationId, ProjectId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::organizations::Organization;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{HostManager, HostReader, ProjectManager, ProjectReader};
use super::body::JsonBody;
use super::page::{List, ListBody};
use super::problem::{Answer, Code, Problem};
use super::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::catalogue::organizations::{self, OrganizationChanges};
use crate::catalogue::webhooks::given;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, put, patch, delete))
}

/// An organization.
#[derive(Serialize, ToSchema)]
#[schema(as = Organization)]
pub struct OrganizationBody {
    #[schema(value_type = String, example = "org_0bsx0000000r1")]
    id: OrganizationId,
    name: String,
    /// The host's own id, usable wherever the id is.
    external_id: Option<String>,
    metadata: BTreeMap<String, String>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

impl From<Organization> for OrganizationBody {
    fn from(organization: Organization) -> Self {
        OrganizationBody {
            id: organization.id,
            name: organization.name,
            external_id: organization.external_id,
            metadata: organization.metadata,
            created_at: organization.created_at,
            updated_at: organization.updated_at,
        }
    }
}

/// An organization to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    name: String,
    /// The host's own id, unique in the project; not `org_…`.
    external_id: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

/// What is to be different in an organization; what is left out stays, null takes away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationPatch {
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    external_id: Option<Option<String>>,
    metadata: Option<BTreeMap<String, String>>,
}

/// Which organizations.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrganizationQuery {
    /// Only those with this in their name or external id. Of many, so many are looked at for a piece: one may be short or
    /// empty though `next_cursor` says that the list goes on.
    search: Option<String>,
    /// At most so many entries: 1 to 250, by default 50.
    limit: Option<u32>,
    /// The `next_cursor` of the piece before.
    cursor: Option<String>,
}

/// The organizations of the project.
#[utoipa::path(get, path = "/v1/organizations", tag = "Organizations", params(OrganizationQuery),
    responses((status = 200, body = ListBody<OrganizationBody>)))]
async fn list(
    State(app): State<Arc<App>>,
    ProjectReader(principal): ProjectReader,
    QueryParts(query): QueryParts<OrganizationQuery>,
) -> Answer<Json<ListBody<OrganizationBody>>> {
    let project = principal.project;
    let name = format!("organizations {project} {:?}", query.search);
    let list = List::ask(&app.vault, name, query.limit, query.cursor.as_deref())?;
    let found = organizations::list(&app, project, query.search.as_deref(), list.page()).await?;
    Ok(list.answer(found, |organization| organization.id.0, OrganizationBody::from))
}

/// Makes an organization.
#[utoipa::path(post, path = "/v1/organizations", tag = "Organizations", request_body = NewOrganization,
    responses((status = 201, body = OrganizationBody)))]
async fn create(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    JsonBody(new): JsonBody<NewOrganization>,
) -> Answer<(StatusCode, Json<OrganizationBody>)> {
    let made = organizations::create(&app, principal.project, changes(new)).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// One organization.
#[utoipa::path(get, path = "/v1/organizations/{org}", tag = "Organizations",
    params(("org" = String, Path, description = "Its id or external id")),
    responses((status = 200, body = OrganizationBody)))]
async fn get(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    PathParts(org): PathParts<String>,
) -> Answer<Json<OrganizationBody>> {
    Ok(Json(principal.organization(&app, &org).await?.into()))
}

/// Makes the organization with this external id, or edits it.
#[utoipa::path(put, path = "/v1/organizations/{org}", tag = "Organizations",
    params(("org" = String, Path, description = "Its external id, or the id of one that exists")),
    request_body = NewOrganization,
    responses((status = 200, body = OrganizationBody), (status = 201, body = OrganizationBody)))]
async fn put(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(org): PathParts<String>,
    JsonBody(new): JsonBody<NewOrganization>,
) -> Answer<(StatusCode, Json<OrganizationBody>)> {
    let (organization, made) = organizations::put(&app, principal.project, &org, changes(new)).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(organization.into())))
}

/// Edits an organization.
#[utoipa::path(patch, path = "/v1/organizations/{org}", tag = "Organizations",
    params(("org" = String, Path, description = "Its id or external id")),
    request_body = OrganizationPatch, responses((status = 200, body = OrganizationBody)))]
async fn patch(
    State(app): State<Arc<App>>,
    HostManager(principal): HostManager,
    PathParts(org): PathParts<String>,
    JsonBody(patch): JsonBody<OrganizationPatch>,
) -> Answer<Json<OrganizationBody>> {
    let organization = principal.organization(&app, &org).await?;
    principal.whole_project()?;
    let changes = OrganizationChanges { name: patch.name, external_id: patch.external_id, metadata: patch.metadata };
    Ok(Json(organizations::edit(&app, &organization, changes).await?.into()))
}

/// Removes an organization with its webhooks, users and keys.
#[utoipa::path(delete, path = "/v1/organizations/{org}", tag = "Organizations",
    params(("org" = String, Path, description = "Its id or external id")), responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    HostManager(principal): HostManager,
    PathParts(org): PathParts<String>,
) -> Answer<StatusCode> {
    let organization = principal.organization(&app, &org).await?;
    principal.whole_project()?;
    organizations::delete(&app, &organization).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn changes(new: NewOrganization) -> OrganizationChanges {
    OrganizationChanges { name: Some(new.name), external_id: new.external_id.map(Some), metadata: new.metadata }
}

/// The organization that a member of the body names; one that is not there is a wrong field.
pub(super) async fn organization_in_body(app: &App, project: ProjectId, text: &str) -> Answer<Organization> {
    organizations::find(app, project, text).await.map_err(|error| match error {
        CatalogueError::NotFound(_) => {
            Problem::field(Code::ValidationFailed, "organization", "is no organization of this project")
        }
        other => other.into(),
    })
}
