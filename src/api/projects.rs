//! `/v1/projects`: products and environments, for the admin key.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::id::ProjectId;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::projects::Project;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, HostReader};
use super::body::JsonBody;
use super::page::{List, ListBody};
use super::problem::{Answer, Problem};
use super::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::projects::{self, ProjectChanges};
use crate::catalogue::webhooks::given;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch))
}

/// A project.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub struct ProjectBody {
    #[schema(value_type = String, example = "prj_0bsx0000000r1")]
    id: ProjectId,
    name: String,
    /// The profile of webhooks that name none.
    profile: String,
    /// The profiles that its webhooks may have beside that one.
    allowed_profiles: Vec<String>,
    /// How many days events and deliveries are kept; null for the server's own number.
    retention_days: Option<u32>,
    /// How the portal looks.
    theme: BTreeMap<String, String>,
    /// The origins whose pages may embed the portal.
    frame_ancestors: Vec<String>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

impl From<Project> for ProjectBody {
    fn from(project: Project) -> Self {
        ProjectBody {
            id: project.id,
            name: project.name,
            profile: project.profile,
            allowed_profiles: project.options.allowed_profiles,
            retention_days: project.options.retention_days,
            theme: project.options.theme,
            frame_ancestors: project.options.frame_ancestors,
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}

/// A project to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    name: String,
    profile: Option<String>,
    allowed_profiles: Option<Vec<String>>,
    /// From 1 to 3650.
    retention_days: Option<u32>,
    theme: Option<BTreeMap<String, String>>,
    frame_ancestors: Option<Vec<String>>,
}

/// What is to be different in a project; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectPatch {
    name: Option<String>,
    profile: Option<String>,
    allowed_profiles: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    retention_days: Option<Option<u32>>,
    theme: Option<BTreeMap<String, String>>,
    frame_ancestors: Option<Vec<String>>,
}

/// Which piece of a list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many entries: 1 to 250, by default 50.
    pub limit: Option<u32>,
    /// The `next_cursor` of the piece before.
    pub cursor: Option<String>,
}

/// The projects. A key of one project sees that one only.
#[utoipa::path(get, path = "/v1/projects", tag = "Projects", params(PageQuery),
    responses((status = 200, body = ListBody<ProjectBody>)))]
async fn list(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    QueryParts(query): QueryParts<PageQuery>,
) -> Answer<Json<ListBody<ProjectBody>>> {
    let list = List::ask(&app.vault, "projects".to_owned(), query.limit, query.cursor.as_deref())?;
    let found = match principal.is_admin() {
        true => projects::list(&app, list.page()).await?,
        false => vec![projects::by_id(&app, principal.project).await?].into(),
    };
    Ok(list.answer(found, |project| project.id.0, ProjectBody::from))
}

/// Makes a project.
#[utoipa::path(post, path = "/v1/projects", tag = "Projects", request_body = NewProject,
    responses((status = 201, body = ProjectBody)))]
async fn create(
    State(app): State<Arc<App>>,
    _: Admin,
    JsonBody(new): JsonBody<NewProject>,
) -> Answer<(StatusCode, Json<ProjectBody>)> {
    let changes = ProjectChanges {
        name: Some(new.name),
        profile: new.profile,
        allowed_profiles: new.allowed_profiles,
        retention_days: new.retention_days.map(Some),
        theme: new.theme,
        frame_ancestors: new.frame_ancestors,
    };
    let project = projects::create(&app, changes).await?;
    Ok((StatusCode::CREATED, Json(project.into())))
}

/// One project, by its id or its name.
#[utoipa::path(get, path = "/v1/projects/{project}", tag = "Projects",
    params(("project" = String, Path, description = "Its id or its name")),
    responses((status = 200, body = ProjectBody)))]
async fn get(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    PathParts(project): PathParts<String>,
) -> Answer<Json<ProjectBody>> {
    let project = projects::find(&app, &project).await?;
    if !principal.is_admin() && project.id != principal.project {
        return Err(Problem::not_found("project"));
    }
    Ok(Json(project.into()))
}

/// Edits a project.
#[utoipa::path(patch, path = "/v1/projects/{project}", tag = "Projects",
    params(("project" = String, Path, description = "Its id or its name")),
    request_body = ProjectPatch, responses((status = 200, body = ProjectBody)))]
async fn patch(
    State(app): State<Arc<App>>,
    _: Admin,
    PathParts(project): PathParts<String>,
    JsonBody(patch): JsonBody<ProjectPatch>,
) -> Answer<Json<ProjectBody>> {
    let project = projects::find(&app, &project).await?;
    let changes = ProjectChanges {
        name: patch.name,
        profile: patch.profile,
        allowed_profiles: patch.allowed_profiles,
        retention_days: patch.retention_days,
        theme: patch.theme,
        frame_ancestors: patch.frame_ancestors,
    };
    Ok(Json(projects::edit(&app, project.id, changes).await?.into()))
}
