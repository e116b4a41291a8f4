//! Trying a webhook out by a test event.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fanfare_engine::id::DeliveryId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::customer_place;
use crate::api::auth::Manager;
use crate::api::body::OptionalJsonBody;
use crate::api::problem::Answer;
use crate::api::request::PathParts;
use crate::app::App;
use crate::catalogue::{sending, webhooks};

/// What to send.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestBody {
    /// One of the project's event types, whose example is sent; by default the test event of the
    /// webhook's profile, or the first that the webhook names.
    event_type: Option<String>,
}

/// A test that is on its way.
#[derive(Serialize, ToSchema)]
pub(super) struct TestReceipt {
    /// The delivery, with its attempt in the log.
    #[schema(value_type = String)]
    delivery_id: DeliveryId,
}

/// Sends a webhook a test event
///
/// A single attempt with the example of an event type, or `{}` where it has none. It is logged like any other, whether or
/// not the webhook wants events of that type.
#[utoipa::path(post, path = "/v1/organizations/{org}/webhooks/{webhook}/test", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    request_body = Option<TestBody>,
    responses((status = 202, body = TestReceipt),
        (status = 409, description = "The webhook is not active"),
        (status = 422, description = "There is no such event type")))]
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
    OptionalJsonBody(body): OptionalJsonBody<TestBody>,
) -> Answer<(StatusCode, Json<TestReceipt>)> {
    let place = customer_place(&app, &principal, &org).await?;
    let webhook = webhooks::managed(&app, &place, &webhook).await?;
    let delivery_id = sending::try_out(&app, &webhook, body.event_type.as_deref()).await?;
    Ok((StatusCode::ACCEPTED, Json(TestReceipt { delivery_id })))
}
