//! Sending many deliveries again, and cancelling many: by the filters of their list.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::OrganizationId;
use fanfare_store::catalogue::jobs::Task;
use fanfare_store::log::DeliveryFilter;
use serde::Deserialize;
use utoipa::ToSchema;

use super::list::DeliveryQuery;
use crate::api::auth::{HostManager, Principal};
use crate::api::body::JsonBody;
use crate::api::jobs::{JobReceipt, Preview, start_or_preview};
use crate::api::organizations::organization_in_body;
use crate::api::problem::{Answer, Code, Problem};
use crate::app::App;

/// Which deliveries. They are those that match the filters at this moment, also where the list of one webhook shows only
/// the newest of them; later ones are not touched.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliverySelection {
    /// Only those of this organization, by its id or external id.
    organization: Option<String>,
    /// Only those for this webhook.
    webhook: Option<String>,
    /// Only those of this event: its id, or together with `organization` the host's own id.
    event: Option<String>,
    event_type: Option<String>,
    /// Only what this finds, as in the list.
    search: Option<String>,
    /// `pending`, `delivering`, `delivered`, `exhausted`, `skipped` or `cancelled`.
    state: Option<String>,
    /// Only those whose last answer had this status.
    response_code: Option<u16>,
    /// Only those made at this time or later.
    since: Option<String>,
    /// Only those made before this time.
    until: Option<String>,
    /// Must be true where no filter is given.
    #[serde(default)]
    all: bool,
    /// Do nothing, and answer how many deliveries it would be about.
    #[serde(default)]
    preview: bool,
}

impl DeliverySelection {
    /// The filter that is meant, and the organization that it is limited to.
    async fn read(self, app: &App, principal: &Principal) -> Answer<(DeliveryFilter, Option<OrganizationId>)> {
        let filtered = self.organization.is_some()
            || self.webhook.is_some()
            || self.event.is_some()
            || self.event_type.is_some()
            || self.search.is_some()
            || self.state.is_some()
            || self.response_code.is_some()
            || self.since.is_some()
            || self.until.is_some();
        if !filtered && !self.all {
            let message = "must be true where no filter is given; or give one, such as webhook, state or since";
            return Err(Problem::field(Code::ValidationFailed, "all", message));
        }
        let organization = match (&self.organization, principal.organization) {
            (None, own) => own,
            (Some(named), own) => {
                let found = organization_in_body(app, principal.project, named).await?;
                if own.is_some_and(|own| own != found.id) {
                    let message = "is no organization of this project";
                    return Err(Problem::field(Code::ValidationFailed, "organization", message));
                }
                Some(found.id)
            }
        };
        let query = DeliveryQuery {
            webhook: self.webhook,
            event: self.event,
            event_type: self.event_type,
            search: self.search,
            state: self.state,
            response_code: self.response_code,
            since: self.since,
            until: self.until,
            limit: None,
            cursor: None,
        };
        // What is wrong is in the body here, not in a query.
        let in_body = |problem: Problem| match problem.code {
            Code::InvalidParameter => Problem { code: Code::ValidationFailed, ..problem },
            _ => problem,
        };
        let filter = query.filter(app, principal.project, organization).await.map_err(in_body)?;
        Ok((filter, organization))
    }
}

/// Send many deliveries again
///
/// Each gets one more attempt, as if it were sent again alone. What is being sent is left alone, and so is what belongs
/// to a webhook that is deleted or not active. With `"preview": true` nothing is done and the number is answered.
#[utoipa::path(
    post, path = "/v1/deliveries/resend", tag = "Deliveries", request_body = DeliverySelection,
    responses((status = 202, description = "A job does it", body = JobReceipt),
              (status = 200, description = "A preview", body = Preview),
              (status = 409, description = "Too many jobs run already"),
              (status = 422, description = "No filter, or one that is not valid")),
)]
pub(super) async fn resend_many(
    State(app): State<Arc<App>>,
    HostManager(principal): HostManager,
    JsonBody(selection): JsonBody<DeliverySelection>,
) -> Answer<Response> {
    let preview = selection.preview;
    let (filter, organization) = selection.read(&app, &principal).await?;
    start_or_preview(&app, &principal, organization, Task::Resend(filter), preview).await
}

/// Cancel many deliveries
///
/// They are not tried again. Those that are final are left as they are, and so are those that are being sent at this
/// moment. With `"preview": true` nothing is done and the number is answered.
#[utoipa::path(
    post, path = "/v1/deliveries/cancel", tag = "Deliveries", request_body = DeliverySelection,
    responses((status = 202, description = "A job does it", body = JobReceipt),
              (status = 200, description = "A preview", body = Preview),
              (status = 409, description = "Too many jobs run already"),
              (status = 422, description = "No filter, or one that is not valid")),
)]
pub(super) async fn cancel_many(
    State(app): State<Arc<App>>,
    HostManager(principal): HostManager,
    JsonBody(selection): JsonBody<DeliverySelection>,
) -> Answer<Response> {
    let preview = selection.preview;
    let (mut filter, organization) = selection.read(&app, &principal).await?;
    filter.live = true;
    match filter.state {
        None | Some(DeliveryState::Delivering) => {}
        // Those that wait in memory for their turn are meant too.
        Some(DeliveryState::Pending) => filter.state = None,
        Some(_) => {
            let message = "must be pending or delivering: what is final cannot be cancelled";
            return Err(Problem::field(Code::ValidationFailed, "state", message));
        }
    }
    start_or_preview(&app, &principal, organization, Task::Cancel(filter), preview).await
}
