//! `/v1/operator-webhooks`: the operator's own, for what happens in Fanfare itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{ProjectManager, ProjectReader};
use super::body::{JsonBody, OptionalJsonBody};
use super::page::ListBody;
use super::problem::Answer;
use super::request::{PathParts, QueryParts};
use super::webhooks::answers::{self, RotateBody, WebhookQuery};
use super::webhooks::view::{SecretBody, WebhookBody};
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
}

/// The webhooks of the operator.
#[utoipa::path(get, path = "/v1/operator-webhooks", tag = "Operator webhooks",
    params(WebhookQuery),
    responses((status = 200, body = ListBody<WebhookBody>)))]
async fn list(
    State(app): State<Arc<App>>,
    ProjectReader(principal): ProjectReader,
    QueryParts(query): QueryParts<WebhookQuery>,
) -> Answer<Json<ListBody<WebhookBody>>> {
    answers::list(&app, &answers::operator_place(&app, &principal).await?, query).await
}

/// Makes a webhook. A secret that was made for it is in this answer, and later behind `…/secret`. Its events are `webhook.auto_disabled` and `delivery.exhausted`.
#[utoipa::path(post, path = "/v1/operator-webhooks", tag = "Operator webhooks",
    request_body = WebhookInput, responses((status = 201, body = WebhookBody)))]
async fn create(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    JsonBody(input): JsonBody<WebhookInput>,
) -> Answer<Response> {
    answers::create(&app, &answers::operator_place(&app, &principal).await?, input).await
}

/// One webhook.
#[utoipa::path(get, path = "/v1/operator-webhooks/{webhook}", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn get(
    State(app): State<Arc<App>>,
    ProjectReader(principal): ProjectReader,
    PathParts(webhook): PathParts<String>,
) -> Answer<Json<WebhookBody>> {
    answers::get(&app, &answers::operator_place(&app, &principal).await?, &webhook).await
}

/// Edits a webhook; what is left out stays, null takes away.
#[utoipa::path(patch, path = "/v1/operator-webhooks/{webhook}", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    request_body = WebhookInput, responses((status = 200, body = WebhookBody)))]
async fn patch(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(webhook): PathParts<String>,
    JsonBody(input): JsonBody<WebhookInput>,
) -> Answer<Json<WebhookBody>> {
    answers::edit(&app, &answers::operator_place(&app, &principal).await?, &webhook, &input).await
}

/// Removes a webhook. What still waits for it is skipped.
#[utoipa::path(delete, path = "/v1/operator-webhooks/{webhook}", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(webhook): PathParts<String>,
) -> Answer<StatusCode> {
    answers::delete(&app, &answers::operator_place(&app, &principal).await?, &webhook).await
}

/// Switches a webhook on.
#[utoipa::path(post, path = "/v1/operator-webhooks/{webhook}/enable", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn enable(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(webhook): PathParts<String>,
) -> Answer<Json<WebhookBody>> {
    answers::switch(&app, &answers::operator_place(&app, &principal).await?, &webhook, Switch::Enable).await
}

/// Switches a webhook off: it gets no events, and what waits for it is skipped.
#[utoipa::path(post, path = "/v1/operator-webhooks/{webhook}/disable", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn disable(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(webhook): PathParts<String>,
) -> Answer<Json<WebhookBody>> {
    answers::switch(&app, &answers::operator_place(&app, &principal).await?, &webhook, Switch::Disable).await
}

/// Holds a webhook: its events wait.
#[utoipa::path(post, path = "/v1/operator-webhooks/{webhook}/pause", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn pause(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(webhook): PathParts<String>,
) -> Answer<Json<WebhookBody>> {
    answers::switch(&app, &answers::operator_place(&app, &principal).await?, &webhook, Switch::Pause).await
}

/// Lets a held webhook go on: what waited is sent.
#[utoipa::path(post, path = "/v1/operator-webhooks/{webhook}/resume", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody)))]
async fn resume(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(webhook): PathParts<String>,
) -> Answer<Json<WebhookBody>> {
    answers::switch(&app, &answers::operator_place(&app, &principal).await?, &webhook, Switch::Resume).await
}

/// The signing secret, and replaced ones that still sign.
#[utoipa::path(get, path = "/v1/operator-webhooks/{webhook}/secret", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = SecretBody)))]
async fn secret(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(webhook): PathParts<String>,
) -> Answer<Json<SecretBody>> {
    answers::secret(&app, &answers::operator_place(&app, &principal).await?, &webhook).await
}

/// Replaces the signing secret. The present one still signs for the overlap.
#[utoipa::path(post, path = "/v1/operator-webhooks/{webhook}/secret/rotate", tag = "Operator webhooks",
    params(("webhook" = String, Path, description = "The webhook's id")),
    request_body = Option<RotateBody>, responses((status = 200, body = SecretBody)))]
async fn rotate(
    State(app): State<Arc<App>>,
    ProjectManager(principal): ProjectManager,
    PathParts(webhook): PathParts<String>,
    OptionalJsonBody(body): OptionalJsonBody<RotateBody>,
) -> Answer<Response> {
    answers::rotate(&app, &answers::operator_place(&app, &principal).await?, &webhook, body).await
}
