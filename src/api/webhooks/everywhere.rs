//! `/v1/webhooks`: the webhooks of all organizations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fanfare_store::catalogue::webhooks::WebhookFilter;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{search, status};
use super::view::{WebhookBody, show};
use crate::api::auth::HostReader;
use crate::api::page::{List, ListBody};
use crate::api::problem::Answer;
use crate::api::request::QueryParts;
use crate::app::App;
use crate::catalogue::webhooks;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_everywhere))
}

/// Which webhooks of the project.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EverywhereQuery {
    /// Only those of this organization, by its id or external id.
    organization: Option<String>,
    /// Only those with this status: `active`, `deactivated`, `paused` or `auto_disabled`.
    status: Option<String>,
    /// Only those with this in their name or URL. Of many, so many are looked at for a piece: one may be short or empty though
    /// `next_cursor` says that the list goes on.
    search: Option<String>,
    /// At most so many entries: 1 to 250, by default 50.
    limit: Option<u32>,
    /// The `next_cursor` of the piece before.
    cursor: Option<String>,
}

/// The webhooks of all organizations. A key that is bound to an organization sees that one's only.
#[utoipa::path(get, path = "/v1/webhooks", tag = "Webhooks", params(EverywhereQuery),
    responses((status = 200, body = ListBody<WebhookBody>)))]
async fn list_everywhere(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    QueryParts(query): QueryParts<EverywhereQuery>,
) -> Answer<Json<ListBody<WebhookBody>>> {
    let organization = match &query.organization {
        Some(text) => Some(principal.organization(&app, text).await?.id),
        None => principal.organization,
    };
    let (project, status_name, text) = (principal.project, &query.status, &query.search);
    let name = format!("all webhooks {project} {organization:?} {status_name:?} {text:?}");
    let list = List::ask(&app.vault, name, query.limit, query.cursor.as_deref())?;
    let filter = WebhookFilter {
        organization,
        status: status(query.status.as_deref())?,
        search: search(query.search)?,
        ..WebhookFilter::default()
    };
    let found = webhooks::list(&app, project, &filter, list.page()).await?;
    Ok(list.answer(found, |webhook| webhook.row.id.0, |webhook| show(webhook, false, None)))
}
