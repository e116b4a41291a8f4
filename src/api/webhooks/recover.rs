//! Sending a webhook what it did not get.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::jobs::{Recovery, Task};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answers::{active, customer_place};
use crate::api::auth::Manager;
use crate::api::body::JsonBody;
use crate::api::jobs::{JobReceipt, Preview, start_or_preview};
use crate::api::problem::{Answer, Code, Problem};
use crate::api::request::PathParts;
use crate::app::App;
use crate::catalogue::webhooks;

/// The states in which the receiver did not accept a delivery and will not be asked again.
const NOT_ACCEPTED: [DeliveryState; 3] = [DeliveryState::Exhausted, DeliveryState::Skipped, DeliveryState::Cancelled];

/// What is to be sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecoverBody {
    /// What happened at this time or later, as accepted here.
    #[schema(value_type = String, format = "date-time")]
    since: Timestamp,
    /// What happened before this time; by default everything up to now.
    #[schema(value_type = Option<String>, format = "date-time")]
    until: Option<Timestamp>,
    /// Which of its deliveries are sent again: `exhausted`, `skipped`, `cancelled`, `delivered`. By default the first
    /// three, which the receiver did not accept. An empty list sends only what there is no delivery of.
    states: Option<Vec<String>>,
    /// Do nothing, and answer how many deliveries it would be about.
    #[serde(default)]
    preview: bool,
}

/// Sends a webhook what it did not get
///
/// Of the events since a time, oldest first: deliveries that failed or were never sent get one more attempt; and events that
/// the webhook, as it is now, matches but has no delivery of get one, as if they had just been posted. Test events are left
/// alone; so are events whose deliveries may have been removed because only the newest are kept. Done by a job. With `"preview": true` nothing is done and the number is answered.
#[utoipa::path(post, path = "/v1/organizations/{org}/webhooks/{webhook}/recover", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    request_body = RecoverBody,
    responses((status = 202, description = "A job does it", body = JobReceipt),
        (status = 200, description = "A preview", body = Preview),
        (status = 409, description = "The webhook is not active, or too many jobs run already")))]
pub(super) async fn recover(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts((org, webhook)): PathParts<(String, String)>,
    JsonBody(body): JsonBody<RecoverBody>,
) -> Answer<Response> {
    let place = customer_place(&app, &principal, &org).await?;
    let webhook = webhooks::managed(&app, &place, &webhook).await?;
    active(&webhook)?;
    if body.until.is_some_and(|until| until <= body.since) {
        return Err(Problem::field(Code::ValidationFailed, "until", "must be later than since"));
    }
    let states = match body.states {
        None => NOT_ACCEPTED.to_vec(),
        Some(names) => names.iter().enumerate().map(|(at, name)| state(at, name)).collect::<Answer<_>>()?,
    };
    let recovery = Recovery { webhook: webhook.row.id, since: body.since, until: body.until, states };
    start_or_preview(&app, &principal, Some(place.organization), Task::Recover(recovery), body.preview).await
}

fn state(at: usize, name: &str) -> Answer<DeliveryState> {
    let found = DeliveryState::ALL.into_iter().find(|state| state.is_final() && state.name() == name);
    found.ok_or_else(|| {
        let message = "must be exhausted, skipped, cancelled or delivered; the others are sent anyway";
        Problem::field(Code::ValidationFailed, format!("states[{at}]"), message)
    })
}
