//! `/v1/organizations/{org}/webhooks`: the customers' webhooks.

pub mod answers;
mod everywhere;
mod recover;
mod stats;
mod test_event;
pub mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use answers::{RotateBody, WebhookQuery};
use view::{SecretBody, WebhookBody};

use super::auth::{Manager, Reader};
use super::body::{JsonBody, OptionalJsonBody};
use super::page::ListBody;
use super::problem::Answer;
use super::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::webhooks::{Switch, WebhookInput};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(secret))
        .routes(routes!(rotate))
        .routes(routes!(test_event::test))
        .routes(routes!(recover::recover))
        .routes(routes!(stats::stats))
        .merge(everywhere::routes())
}

/// The webhooks of an organization.
#[utoipa::path(get, path = "/v1/organizations/{org}/webhooks", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"), WebhookQuery),
    responses((status = 200, body = ListBody<WebhookBody>)))]
async fn list(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts(org): PathParts<String>,
    QueryParts(query): QueryParts<WebhookQuery>,
) -> Answer<Json<ListBody<WebhookBody>>> {
    answers::list(&app, &answers::customer_place(&app, &principal, &org).await?, query).await
}

/// Makes a webhook. A secret that was made for it is in this answer, and later behind `…/secret`.
#[utoipa::path(post, path = "/v1/organizations/{org}/webhooks", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id")),
    request_body = WebhookInput, responses((status = 201, body = WebhookBody)))]
async fn create(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts(org): PathParts<String>,
    JsonBody(input): JsonBody<WebhookInput>,
) -> Answer<Response> {
    answers::create(&app, &answers::customer_place(&app, &principal, &org).await?, input).await
}

/// One webhook.
#[utoipa::path(get, path = "/v1/organizations/{org}/webhooks/{webhook}", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn get(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts((org, webhook)): PathParts<(String, String)>,
) -> Answer<Json<WebhookBody>> {
    answers::get(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook).await
}

/// Edits a webhook; what is left out stays, null takes away.
#[utoipa::path(patch, path = "/v1/organizations/{org}/webhooks/{webhook}", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    request_body = WebhookInput, responses((status = 200, body = WebhookBody)))]
async fn patch(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
    JsonBody(input): JsonBody<WebhookInput>,
) -> Answer<Json<WebhookBody>> {
    answers::edit(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook, &input).await
}

/// Removes a webhook. What still waits for it is skipped.
#[utoipa::path(delete, path = "/v1/organizations/{org}/webhooks/{webhook}", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
) -> Answer<StatusCode> {
    answers::delete(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook).await
}

/// Switches a webhook on.
#[utoipa::path(post, path = "/v1/organizations/{org}/webhooks/{webhook}/enable", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn enable(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
) -> Answer<Json<WebhookBody>> {
    answers::switch(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook, Switch::Enable).await
}

/// Switches a webhook off: it gets no events, and what waits for it is skipped.
#[utoipa::path(post, path = "/v1/organizations/{org}/webhooks/{webhook}/disable", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn disable(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
) -> Answer<Json<WebhookBody>> {
    answers::switch(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook, Switch::Disable).await
}

/// Holds a webhook: its events wait.
#[utoipa::path(post, path = "/v1/organizations/{org}/webhooks/{webhook}/pause", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn pause(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
) -> Answer<Json<WebhookBody>> {
    answers::switch(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook, Switch::Pause).await
}

/// Lets a held webhook go on: what waited is sent.
#[utoipa::path(post, path = "/v1/organizations/{org}/webhooks/{webhook}/resume", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn resume(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
) -> Answer<Json<WebhookBody>> {
    answers::switch(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook, Switch::Resume).await
}

/// The signing secret, and replaced ones that still sign.
#[utoipa::path(get, path = "/v1/organizations/{org}/webhooks/{webhook}/secret", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = SecretBody)))]
async fn secret(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
) -> Answer<Json<SecretBody>> {
    answers::secret(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook).await
}

/// Replaces the signing secret. The present one still signs for the overlap.
#[utoipa::path(post, path = "/v1/organizations/{org}/webhooks/{webhook}/secret/rotate", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    request_body = Option<RotateBody>, responses((status = 200, body = SecretBody)))]
async fn rotate(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
    OptionalJsonBody(body): OptionalJsonBody<RotateBody>,
) -> Answer<Response> {
    answers::rotate(&app, &answers::customer_place(&app, &principal, &org).await?, &webhook, body).await
}
