//! Why each webhook of an organization did or did not get an event.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use fanfare_engine::delivery::{SkipReason, State as DeliveryState};
use fanfare_engine::event::Event;
use fanfare_engine::id::{ProjectId, WebhookId};
use fanfare_engine::matching::Mismatch;
use fanfare_engine::webhook::Status;
use fanfare_store::entity;
use fanfare_store::log::{self, DeliveryRow, EventRow};
use serde::Serialize;

use super::post::seen_organization;
use super::read;
use crate::api::auth::Reader;
use crate::api::problem::Answer;
use crate::api::request::PathParts;
use crate::app::App;
use crate::compiled::{CompiledWebhook, Holds};

/// Webhooks that are explained at most, the newest first.
const MAX_WEBHOOKS: usize = 1_000;

/// How an event and the webhooks of its organization go together.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Explanation {
    pub event_id: String,
    pub webhooks: Vec<WebhookExplanation>,
}

/// How an event and one webhook go together.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WebhookExplanation {
    pub webhook_id: String,
    pub name: String,
    /// Whether the webhook, as it is now, matches the event.
    pub matched: bool,
    /// Why not: `event_type`, `filter`, `deactivated`, `auto_disabled`; or, where it matches, `access_revoked`
    /// (its owner may not manage it any more, so nothing is sent), where there is no delivery `created_later`, where its
    /// delivery waits `paused` or `unsendable`, and where it was skipped the reason for that.
    pub reason: Option<&'static str>,
    /// In words.
    pub detail: Option<String>,
    /// The delivery, where there is one.
    pub delivery_id: Option<String>,
    /// What became of it.
    #[schema(value_type = Option<String>)]
    pub delivery_state: Option<DeliveryState>,
    /// Why it was skipped, if it was.
    #[schema(value_type = Option<String>)]
    pub skipped_reason: Option<&'static str>,
}

/// Explain an event
///
/// For each webhook of the organization: matched, or why not.
#[utoipa::path(
    get, path = "/v1/organizations/{org}/events/{event}/explain", tag = "Events",
    params(("org" = String, Path, description = "The organization's id or external id"),
           ("event" = String, Path, description = "The event's id, or the host's own id for it")),
    responses((status = 200, description = "A line for each webhook, newest first", body = Explanation)),
)]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts((org, event)): PathParts<(String, String)>,
) -> Answer<Json<Explanation>> {
    let organization = seen_organization(&app, &principal, &org).await?;
    let row = read::find(&app, organization.id, &event).await?;
    let webhooks: Vec<_> = organization.webhooks().rev().take(MAX_WEBHOOKS).collect();
    let ids: Vec<WebhookId> = webhooks.iter().map(|webhook| webhook.webhook.id).collect();
    let deliveries = app.store.read(log::event_deliveries(row.id, &ids)).await?;
    let deliveries: HashMap<_, _> = deliveries.into_iter().map(|delivery| (delivery.webhook, delivery)).collect();
    let holds = app.compiled().holds();
    let event_id = row.id.to_string();
    let event = to_event(row, organization.project)?;
    let explain = |webhook: &Arc<CompiledWebhook>| {
        let delivery = deliveries.get(&webhook.webhook.id);
        explain_webhook(webhook, &event, delivery, &holds)
    };
    Ok(Json(Explanation { event_id, webhooks: webhooks.into_iter().map(explain).collect() }))
}

fn explain_webhook(
    webhook: &CompiledWebhook,
    event: &Event,
    delivery: Option<&DeliveryRow>,
    holds: &Holds,
) -> WebhookExplanation {
    let status = webhook.webhook.status;
    let (reason, detail) = match webhook.interest.check(event) {
        Err(Mismatch::EventType) => {
            (Some("event_type"), Some(format!("it does not want events of type {}", event.kind)))
        }
        Err(Mismatch::Filter) => (Some("filter"), Some("its filter names another entity".to_owned())),
        Ok(()) if !status.takes_events() => (Some(status.name()), webhook.webhook.status_reason.clone()),
        Ok(()) if let Err(revoked) = &webhook.access => (Some("access_revoked"), Some(revoked.to_string())),
        Ok(()) => match delivery {
            None => {
                let detail = "it matches now, but did not when the event was accepted; recover to send it";
                (Some("created_later"), Some(detail.to_owned()))
            }
            Some(DeliveryRow { state: DeliveryState::Pending | DeliveryState::Delivering, .. })
                if webhook.lane().held =>
            {
                let (reason, detail) = why_held(webhook, holds);
                (Some(reason), Some(detail))
            }
            Some(DeliveryRow { skipped_reason: Some(reason), .. }) => (Some(reason.name()), Some(was_skipped(*reason))),
            Some(_) => (None, None),
        },
    };
    WebhookExplanation {
        webhook_id: webhook.webhook.id.to_string(),
        name: webhook.webhook.settings.name.clone(),
        matched: webhook.interest.check(event).is_ok() && status.takes_events(),
        reason,
        detail,
        delivery_id: delivery.map(|delivery| delivery.id.to_string()),
        delivery_state: delivery.map(|delivery| delivery.state),
        skipped_reason: delivery.and_then(|delivery| delivery.skipped_reason).map(SkipReason::name),
    }
}

/// Why what waits for a webhook is not sent.
fn why_held(webhook: &CompiledWebhook, holds: &Holds) -> (&'static str, String) {
    if let Err(reason) = webhook.sender() {
        return ("unsendable", reason.0);
    }
    let detail = match webhook.webhook.status {
        Status::Paused => webhook.webhook.status_reason.clone().unwrap_or_else(|| "the webhook is paused".to_owned()),
        _ if holds.names(webhook.webhook.organization) => "a pause holds the organization".to_owned(),
        _ => "a pause holds the receiver's host, or everything".to_owned(),
    };
    ("paused", format!("{}; what waits is sent when that ends", detail.trim_end_matches('.')))
}

/// What was the matter when a delivery was skipped.
fn was_skipped(reason: SkipReason) -> String {
    let cause = match reason {
        SkipReason::WebhookDeactivated => "the webhook was switched off when its turn came",
        SkipReason::WebhookAutoDisabled => "the webhook had been switched off for failing when its turn came",
        SkipReason::WebhookDeleted => "the webhook was gone when its turn came",
        SkipReason::OrganizationDeleted => "the organization was gone when its turn came",
        SkipReason::AccessRevoked => "the webhook's owner had no right to it when its turn came",
        SkipReason::Poison => "servers died on it again and again",
    };
    format!("{cause}; resend it if it is still wanted")
}

fn to_event(row: EventRow, project: ProjectId) -> Answer<Event> {
    Ok(Event {
        id: row.id,
        project,
        organization: row.organization,
        kind: Arc::from(row.kind),
        external_id: row.external_id,
        data: Bytes::from(row.data),
        entity: row.entity.as_deref().map(entity::read).transpose()?,
        scope: row.scope.as_deref().map_or(Ok(Vec::new()), entity::read_scope)?,
        occurred_at: row.occurred_at,
        ordering_key: row.ordering_key,
    })
}
