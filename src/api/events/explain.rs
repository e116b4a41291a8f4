//! Why each webhook of an organization did or did not get an event.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use fanfare_engine::delivery::{SkipReason, State as DeliveryState};
use fanfare_engine::event::Event;
use fanfare_engine::id::{ProjectId, WebhookId};
use fanfare_engine::matching::Mismatch;
use fanfare_engine::webhook::{Status, Webhook};
use fanfare_store::entity;
use fanfare_store::log::{self, DeliveryFilter, DeliveryRow, EventRow};
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
    /// Whether the webhook got a delivery of the event.
    pub matched: bool,
    /// Without a delivery, why not: `event_type`, `filter`, `deactivated`, `auto_disabled`, `access_revoked` (its owner may
    /// not manage it any more), `created_later` or `changed_later` (it matches now, but may not have when the event was
    /// accepted), `test` (the event tried out another webhook), or `not_kept` (retention removed the delivery). With one that
    /// waits, why it does: `paused` or `unsendable`; or what ends it when its turn comes: `deactivated`, `auto_disabled` or
    /// `access_revoked`. With one that was skipped, the reason for that; and `webhook_deleted` for a webhook that is gone.
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
/// For each webhook of the organization: matched, or why not. Webhooks that got a delivery and were deleted since follow at the
/// end.
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
    let found = app.store.read(log::event_deliveries(row.id, &ids)).await?;
    let of_event = DeliveryFilter { event: Some(row.id), ..DeliveryFilter::default() };
    let limit = u32::try_from(MAX_WEBHOOKS).unwrap_or(u32::MAX);
    let newest = app.store.read(log::deliveries(&of_event, limit, limit)).await?;
    let is_gone = |delivery: &&DeliveryRow| organization.webhook(delivery.webhook).is_none();
    let gone: BTreeMap<WebhookId, &DeliveryRow> =
        newest.iter().rev().filter(is_gone).map(|delivery| (delivery.webhook, delivery)).collect();
    let deliveries: HashMap<_, _> = found.into_iter().map(|delivery| (delivery.webhook, delivery)).collect();
    let holds = app.compiled().holds();
    let (event_id, is_test) = (row.id.to_string(), row.is_test);
    let event = to_event(row, organization.project)?;
    let explain = |webhook: &Arc<CompiledWebhook>| {
        let verdict = match deliveries.get(&webhook.webhook.id) {
            Some(delivery) => with_delivery(webhook, delivery, &holds),
            None => without_delivery(webhook, &event, is_test),
        };
        let name = webhook.webhook.settings.name.clone();
        explained(webhook.webhook.id, name, verdict, deliveries.get(&webhook.webhook.id))
    };
    let present = webhooks.into_iter().map(explain);
    let deleted = gone.iter().rev().map(|(webhook, delivery)| {
        let detail = "the webhook was deleted since".to_owned();
        explained(*webhook, String::new(), Some((WEBHOOK_DELETED, detail)), Some(*delivery))
    });
    Ok(Json(Explanation { event_id, webhooks: present.chain(deleted).collect() }))
}

/// The reason for webhooks that are gone.
const WEBHOOK_DELETED: &str = "webhook_deleted";

/// A reason, and the same in words.
type Verdict = Option<(&'static str, String)>;

fn explained(webhook: WebhookId, name: String, verdict: Verdict, delivery: Option<&DeliveryRow>) -> WebhookExplanation {
    let (reason, detail) = verdict.unzip();
    WebhookExplanation {
        webhook_id: webhook.to_string(),
        name,
        matched: delivery.is_some(),
        reason,
        detail,
        delivery_id: delivery.map(|delivery| delivery.id.to_string()),
        delivery_state: delivery.map(|delivery| delivery.state),
        skipped_reason: delivery.and_then(|delivery| delivery.skipped_reason).map(SkipReason::name),
    }
}

/// What the log says counts, however the webhook is now.
fn with_delivery(webhook: &CompiledWebhook, delivery: &DeliveryRow, holds: &Holds) -> Verdict {
    if let Some(reason) = delivery.skipped_reason {
        if let (SkipReason::AccessRevoked, Err(revoked)) = (reason, &webhook.access) {
            return Some((reason.name(), revoked.to_string()));
        }
        return Some((reason.name(), was_skipped(reason)));
    }
    if !matches!(delivery.state, DeliveryState::Pending | DeliveryState::Delivering) {
        return None;
    }
    let status = webhook.webhook.status;
    if !status.takes_events() {
        return Some((status.name(), "the webhook is off; the delivery is skipped when its turn comes".to_owned()));
    }
    if webhook.lane().held {
        return Some(why_held(webhook, holds));
    }
    webhook.access.as_ref().err().map(|revoked| ("access_revoked", revoked.to_string()))
}

/// Why the event made no delivery.
fn without_delivery(webhook: &CompiledWebhook, event: &Event, is_test: bool) -> Verdict {
    let Webhook { status, status_reason, created_at, updated_at, .. } = &webhook.webhook;
    let accepted_at = event.id.made_at();
    Some(match webhook.interest.check(event) {
        Err(Mismatch::EventType) => ("event_type", format!("it does not want events of type {}", event.kind)),
        Err(Mismatch::Filter) => ("filter", "its filter names another entity".to_owned()),
        Ok(()) if is_test => ("test", "the event only tried out another webhook".to_owned()),
        Ok(()) if !status.takes_events() => {
            (status.name(), status_reason.clone().unwrap_or_else(|| "the webhook is off".to_owned()))
        }
        Ok(()) if let Err(revoked) = &webhook.access => ("access_revoked", revoked.to_string()),
        Ok(()) if *created_at >= accepted_at => {
            ("created_later", "it was created after the event was accepted; recover to send it".to_owned())
        }
        Ok(()) if *updated_at >= accepted_at => (
            "changed_later",
            "it was changed after the event was accepted and matches now; recover to send it".to_owned(),
        ),
        Ok(()) => ("not_kept", "its delivery is no longer in the log; retention removed it".to_owned()),
    })
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
        hops: 0,
    })
}
