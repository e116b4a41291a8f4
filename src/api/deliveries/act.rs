//! Sending a delivery again, and cancelling one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::access::Action;
use fanfare_store::log;

use super::body::DeliveryBody;
use super::list::{find, show};
use crate::api::auth::Manager;
use crate::api::problem::{Answer, Problem};
use crate::api::request::PathParts;
use crate::app::App;
use crate::catalogue::sending;

/// Send a delivery again
///
/// One more attempt now, numbered and logged. A delivered one stays delivered. One that waits for a retry gets it now; one
/// that is being sent is left alone.
#[utoipa::path(
    post, path = "/v1/organizations/{org}/deliveries/{delivery}/resend", tag = "Deliveries",
    params(("org" = String, Path, description = "The organization's id or external id"),
           ("delivery" = String, Path, description = "The delivery's id")),
    responses((status = 202, description = "The delivery as it is now", body = DeliveryBody),
              (status = 409, description = "Its webhook is deleted or not active")),
)]
pub(super) async fn resend(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, delivery)): PathParts<(String, String)>,
) -> Answer<(StatusCode, Json<DeliveryBody>)> {
    let row = find(&app, &principal, &org, &delivery, Action::Manage).await?;
    sending::resend(&app, &row).await?;
    let row = app.store.read_one(log::delivery(row.id)).await?.ok_or_else(|| Problem::not_found("delivery"))?;
    Ok((StatusCode::ACCEPTED, Json(show(&app, &row).await?)))
}

/// Cancel a delivery
///
/// It is not tried again. One that is being sent at this moment cannot be cancelled.
#[utoipa::path(
    post, path = "/v1/organizations/{org}/deliveries/{delivery}/cancel", tag = "Deliveries",
    params(("org" = String, Path, description = "The organization's id or external id"),
           ("delivery" = String, Path, description = "The delivery's id")),
    responses((status = 200, description = "The delivery as it is now", body = DeliveryBody),
              (status = 409, description = "It is final, or is being sent")),
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, delivery)): PathParts<(String, String)>,
) -> Answer<Json<DeliveryBody>> {
    let row = find(&app, &principal, &org, &delivery, Action::Manage).await?;
    sending::cancel(&app, &row).await?;
    let row = app.store.read_one(log::delivery(row.id)).await?.ok_or_else(|| Problem::not_found("delivery"))?;
    Ok(Json(show(&app, &row).await?))
}
