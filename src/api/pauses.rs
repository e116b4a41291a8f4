//! `/v1/pauses`: holds on sending. What is held waits.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::id::{OrganizationId, PauseId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::pauses::{Hold, Pause};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{ProjectManager, ProjectReader};
use super::body::JsonBody;
use super::organizations::organization_in_body;
use super::page::{List, ListBody};
use super::problem::{Answer, Code, Problem};
use super::projects::PageQuery;
use super::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::pauses;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(delete))
}

/// A hold on sending: of an organization, of a host, or of everything in the project.
#[derive(Serialize, ToSchema)]
#[schema(as = Pause)]
pub struct PauseBody {
    #[schema(value_type = String)]
    id: PauseId,
    #[schema(value_type = Option<String>)]
    organization: Option<OrganizationId>,
    host: Option<String>,
    everything: bool,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
}

impl From<Pause> for PauseBody {
    fn from(pause: Pause) -> Self {
        let (organization, host, everything) = match pause.hold {
            Hold::Organization(id) => (Some(id), None, false),
            Hold::Host(host) => (None, Some(host), false),
            Hold::Everything => (None, None, true),
        };
        PauseBody { id: pause.id, organization, host, everything, created_at: pause.created_at }
    }
}

/// What to hold: one organization, one host, or everything.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPause {
    /// The id or external id of an organization.
    organization: Option<String>,
    /// A host name or address, as in the URLs of webhooks.
    host: Option<String>,
    /// True to hold everything in the project, which is also what an empty object means.
    everything: Option<bool>,
}

/// The holds of the project.
#[utoipa::path(get, path = "/v1/pauses", tag = "Pauses", params(PageQuery),
    responses((status = 200, body = ListBody<PauseBody>)))]
async fn list(
    State(app): State<Arc<App>>,
    ProjectReader(principal): ProjectReader,
    QueryParts(query): QueryParts<PageQuery>,
) -> Answer<Json<ListBody<PauseBody>>> {
    let project = principal.project;
    let list = List::ask(&app.vault, format!("pauses {project}"), query.limit, query.cursor.as_deref())?;
    let found = pauses::list(&app, project, list.page()).await?;
    Ok(list.answer(found, |pause| pause.id.0, PauseBody::from))
}

/// Starts a hold.
#[utoipa::path(post, path = "/v1/pauses", tag = "Pauses", request_body = NewPause,
    responses((status = 201, body = PauseBody)))]
async fn create(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    JsonBody(new): JsonBody<NewPause>,
) -> Answer<(StatusCode, Json<PauseBody>)> {
    let project = principal.project;
    let hold = match (&new.organization, &new.host, new.everything) {
        (Some(organization), None, None | Some(false)) => {
            Hold::Organization(organization_in_body(&app, project, organization).await?.id)
        }
        (None, Some(host), None | Some(false)) => Hold::Host(pauses::canonical_host(host)?),
        (None, None, None | Some(true)) => Hold::Everything,
        _ => {
            let message = "must be true without organization and host; give one of the three";
            return Err(Problem::field(Code::ValidationFailed, "everything", message));
        }
    };
    let pause = pauses::create(&app, project, hold).await?;
    Ok((StatusCode::CREATED, Json(pause.into())))
}

/// Ends a hold: what was held is sent.
#[utoipa::path(delete, path = "/v1/pauses/{pause}", tag = "Pauses", params(("pause" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(pause): PathParts<String>,
) -> Answer<StatusCode> {
    let project = principal.project;
    let id = PauseId::parse(&pause).ok_or_else(|| Problem::not_found("pause"))?;
    pauses::delete(&app, project, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
