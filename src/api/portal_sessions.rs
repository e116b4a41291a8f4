//! `/v1/organizations/{org}/portal-sessions`: links by which a customer's people get into the portal.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fanfare_engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Manager;
use super::body::OptionalJsonBody;
use super::idempotency::with_secret;
use super::problem::{Answer, Code, Problem};
use super::request::PathParts;
use crate::app::App;
use crate::catalogue::sessions::{self, NewSession};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create))
}

/// Who is to visit the portal, and for how long.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPortalSession {
    /// The user who visits, by the host's own id, with the rights that this user has. Without it the visitor may do
    /// everything in the organization.
    user: Option<String>,
    /// How many seconds the visit may last: 60 to 604800 (7 days), by default 3600.
    expires_in: Option<u32>,
}

/// A link into the portal.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalSession)]
pub(super) struct PortalSessionBody {
    /// Opens the portal once, within ten minutes. Give it to nobody else.
    #[schema(example = "https://webhooks.example.com/portal/open/…")]
    url: String,
    /// When the visit ends.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
}

/// Makes a link into an organization's portal
///
/// For the address of a frame or a link on a page of the host's. It opens the portal once, within ten minutes; the browser that
/// opened it stays in until `expires_at`. The query parameters `mode`, `accent`, `radius` and `font` may be added to it, as in
/// a project's theme.
#[utoipa::path(post, path = "/v1/organizations/{org}/portal-sessions", tag = "Portal",
    params(("org" = String, Path, description = "The organization's id or external id")),
    request_body = Option<NewPortalSession>, responses((status = 201, body = PortalSessionBody)))]
async fn create(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts(org): PathParts<String>,
    OptionalJsonBody(body): OptionalJsonBody<NewPortalSession>,
) -> Answer<Response> {
    let organization = principal.organization(&app, &org).await?;
    let user = match (principal.user, body.user) {
        (Some(own), Some(named)) if own != named => {
            let message = "must be the user on whose behalf the request is made, or be left out";
            return Err(Problem::field(Code::ValidationFailed, "user", message));
        }
        (Some(own), _) => Some(own),
        (None, named) => named,
    };
    let new = NewSession { user, seconds: body.expires_in, console: None };
    let (session, code) = sessions::create(&app, &organization, new).await?;
    let url = format!("{}/portal/open/{code}", app.base_url);
    with_secret(StatusCode::CREATED, &PortalSessionBody { url, expires_at: session.expires_at }, &["url"])
}
