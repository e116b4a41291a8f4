//! `/v1/api-keys`: keys with scopes, for a project, an organization or a user.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fanfare_engine::id::{ApiKeyId, OrganizationId, ProjectId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::api_keys::ApiKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Principal, ProjectManager, Scope};
use super::body::JsonBody;
use super::idempotency::with_secret;
use super::organizations::organization_in_body;
use super::page::{List, ListBody};
use super::problem::{Answer, Code, Problem};
use super::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::api_keys::{self, NewApiKey};
use crate::catalogue::projects;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(delete))
}

/// An API key, without the key.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyBody {
    #[schema(value_type = String)]
    id: ApiKeyId,
    name: String,
    /// Of `manage`, `read`, `events:write` and `host`.
    scopes: Vec<String>,
    /// The project on which it acts.
    #[schema(value_type = String)]
    project: ProjectId,
    /// The one organization on which it acts; null for all of the project.
    #[schema(value_type = Option<String>)]
    organization: Option<OrganizationId>,
    /// The one user on whose behalf it acts.
    user: Option<String>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<Timestamp>,
    /// The key itself: in the answer that made it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ffk_…")]
    key: Option<String>,
}

fn show(row: ApiKey, key: Option<String>) -> ApiKeyBody {
    ApiKeyBody {
        id: row.id,
        name: row.name,
        scopes: row.scopes,
        project: row.project,
        organization: row.organization,
        user: row.user,
        created_at: row.created_at,
        expires_at: row.expires_at,
        key,
    }
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    name: String,
    /// Of `manage` (everything), `read` (reading, but no secrets), `events:write` (posting events) and `host` (acting for the
    /// host itself in the systems' own APIs, where a key without a user does nothing otherwise).
    scopes: Vec<String>,
    /// The id or external id of the one organization on which it may act.
    organization: Option<String>,
    /// The one user of that organization on whose behalf it acts.
    user: Option<String>,
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<Timestamp>,
    /// By the admin key: the id or name of the project, by default `default`.
    project: Option<String>,
}

/// Which keys.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ApiKeyQuery {
    /// By the admin key: the id or name of the project, by default `default`.
    project: Option<String>,
    /// At most so many entries: 1 to 250, by default 50.
    limit: Option<u32>,
    /// The `next_cursor` of the piece before.
    cursor: Option<String>,
}

/// The API keys of the project.
#[utoipa::path(get, path = "/v1/api-keys", tag = "API keys", params(ApiKeyQuery),
    responses((status = 200, body = ListBody<ApiKeyBody>)))]
async fn list(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    QueryParts(query): QueryParts<ApiKeyQuery>,
) -> Answer<Json<ListBody<ApiKeyBody>>> {
    let project = project_of(&app, &principal, query.project.as_deref()).await?;
    let list = List::ask(&app.vault, format!("api-keys {project}"), query.limit, query.cursor.as_deref())?;
    let found = api_keys::list(&app, project, list.page()).await?;
    Ok(list.answer(found, |key| key.id.0, |key| show(key, None)))
}

/// Makes an API key. The answer is the only one that has the key.
#[utoipa::path(post, path = "/v1/api-keys", tag = "API keys", request_body = NewKey,
    responses((status = 201, body = ApiKeyBody)))]
async fn create(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    JsonBody(new): JsonBody<NewKey>,
) -> Answer<Response> {
    let project = project_of(&app, &principal, new.project.as_deref()).await?;
    let scopes = scopes(&new.scopes)?;
    let organization = match &new.organization {
        None => None,
        Some(text) => Some(organization_in_body(&app, project, text).await?.id),
    };
    let new = NewApiKey { name: new.name, scopes, organization, user: new.user, expires_at: new.expires_at };
    let (row, key) = api_keys::create(&app, project, new).await?;
    with_secret(StatusCode::CREATED, &show(row, Some(key)), &["key"])
}

/// Deletes an API key: it is refused from now on.
#[utoipa::path(delete, path = "/v1/api-keys/{key}", tag = "API keys",
    params(("key" = String, Path, description = "The id of the key"),
        ("project" = Option<String>, Query, description = "By the admin key: the id or name of the project")),
    responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(key): PathParts<String>,
    QueryParts(query): QueryParts<ProjectQuery>,
) -> Answer<StatusCode> {
    let project = project_of(&app, &principal, query.project.as_deref()).await?;
    let id = ApiKeyId::parse(&key).ok_or_else(|| Problem::not_found("API key"))?;
    api_keys::delete(&app, project, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// In which project.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectQuery {
    project: Option<String>,
}

/// The project whose keys are meant; only the admin key may name one.
async fn project_of(app: &App, principal: &Principal, named: Option<&str>) -> Answer<ProjectId> {
    match named {
        None => Ok(principal.project),
        Some(named) => {
            principal.require_admin()?;
            Ok(projects::find(app, named).await?.id)
        }
    }
}

fn scopes(names: &[String]) -> Answer<Vec<String>> {
    let unknown = names.iter().position(|name| Scope::parse(name).is_none());
    if let Some(index) = unknown {
        let known = Scope::ALL.map(Scope::name).join(", ");
        return Err(Problem::field(
            Code::ValidationFailed,
            format!("scopes[{index}]"),
            format!("must be one of {known}"),
        ));
    }
    let given = Scope::ALL.into_iter().filter(|scope| names.iter().any(|name| name == scope.name()));
    Ok(given.map(|scope| scope.name().to_owned()).collect())
}
