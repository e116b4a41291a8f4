//! `/v1/organizations/{org}/users`: the people of an organization, as the host knows them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::access::Grants;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::users::UserRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{HostManager, HostReader};
use super::body::JsonBody;
use super::entities::EntityShape;
use super::page::{List, ListBody};
use super::problem::Answer;
use super::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::users::{self, UserInput};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete))
}

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserBody {
    /// The host's own id, as `Fanfare-User` names it.
    #[schema(example = "anna")]
    id: String,
    name: Option<String>,
    roles: Vec<String>,
    permissions: Vec<String>,
    #[schema(value_type = GrantsShape)]
    grants: Grants,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

impl From<UserRow> for UserBody {
    fn from(row: UserRow) -> Self {
        UserBody {
            id: row.user.id,
            name: row.name,
            roles: row.user.roles,
            permissions: row.user.permissions,
            grants: row.user.grants,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// What is told of a user; what is left out the user has not.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// For people.
    name: Option<String>,
    /// At most 100.
    #[serde(default)]
    roles: Vec<String>,
    /// At most 100.
    #[serde(default)]
    permissions: Vec<String>,
    /// "all", or at most 1000 entities.
    #[serde(default)]
    #[schema(value_type = Option<GrantsShape>)]
    grants: Grants,
}

/// The entities that a user has access to, each with those below it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum GrantsShape {
    /// The word "all".
    #[schema(example = "all")]
    All(String),
    Entities(Vec<EntityShape>),
}

/// Which users.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// At most so many entries: 1 to 250, by default 50.
    limit: Option<u32>,
    /// The `next_cursor` of the piece before.
    cursor: Option<String>,
}

/// The users of an organization.
#[utoipa::path(get, path = "/v1/organizations/{org}/users", tag = "Users",
    params(("org" = String, Path, description = "The organization's id or external id"), UserQuery),
    responses((status = 200, body = ListBody<UserBody>)))]
async fn list(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    PathParts(org): PathParts<String>,
    QueryParts(query): QueryParts<UserQuery>,
) -> Answer<Json<ListBody<UserBody>>> {
    let organization = principal.organization(&app, &org).await?;
    let list = List::ask(&app.vault, format!("users {}", organization.id), query.limit, query.cursor.as_deref())?;
    let found = users::list(&app, &organization, list.page()).await?;
    Ok(list.answer(found, |user| user.row, UserBody::from))
}

/// One user.
#[utoipa::path(get, path = "/v1/organizations/{org}/users/{user}", tag = "Users",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("user" = String, Path, description = "The host's own id of the user")),
    responses((status = 200, body = UserBody)))]
async fn get(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    PathParts((org, user)): PathParts<(String, String)>,
) -> Answer<Json<UserBody>> {
    let organization = principal.organization(&app, &org).await?;
    Ok(Json(users::get(&app, &organization, &user).await?.into()))
}

/// Makes a user, or replaces all that is known of one. From the answer on, the user's webhooks are judged by it where their
/// profile asks again at each message.
#[utoipa::path(put, path = "/v1/organizations/{org}/users/{user}", tag = "Users",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("user" = String, Path, description = "The host's own id of the user: 1 to 255 bytes")),
    request_body = NewUser,
    responses((status = 200, description = "Replaced", body = UserBody),
        (status = 201, description = "Made", body = UserBody)))]
async fn put(
    State(app): State<Arc<App>>,
    HostManager(principal): HostManager,
    PathParts((org, user)): PathParts<(String, String)>,
    JsonBody(new): JsonBody<NewUser>,
) -> Answer<(StatusCode, Json<UserBody>)> {
    let organization = principal.organization(&app, &org).await?;
    let NewUser { name, roles, permissions, grants } = new;
    let input = UserInput { name, roles, permissions, grants };
    let (row, made) = users::put(&app, &organization, &user, input).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(row.into())))
}

/// Forgets a user. The user's webhooks stay, owned by one who has nothing: where their profile asks again at each message,
/// nothing is sent any more. Hand them over before.
#[utoipa::path(delete, path = "/v1/organizations/{org}/users/{user}", tag = "Users",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("user" = String, Path, description = "The host's own id of the user")),
    responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    HostManager(principal): HostManager,
    PathParts((org, user)): PathParts<(String, String)>,
) -> Answer<StatusCode> {
    let organization = principal.organization(&app, &org).await?;
    users::delete(&app, &organization, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}
