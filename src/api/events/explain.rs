//! Why each webhook of an organization did or did not get an event.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use fanfare_engine::event::Event;
use fanfare_engine::id::{ProjectId, WebhookId};
use fanfare_engine::matching::Mismatch;
use fanfare_store::entity;
use fanfare_store::log::{self, EventRow};
use serde::Serialize;

use super::post::seen_organization;
use super::read;
use crate::api::auth::Reader;
use crate::api::problem::Answer;
use crate::api::request::PathParts;
use crate::app::App;
use crate::compiled::CompiledWebhook;

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
    /// (its owner may not manage it any more, so nothing is sent), and where there is no delivery `created_later`.
    pub reason: Option<&'static str>,
    /// In words.
    pub detail: Option<String>,
    /// The delivery, where there is one.
    pub delivery_id: Option<String>,
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
    let deliveries: HashMap<_, _> = app.store.read(log::event_deliveries(row.id, &ids)).await?.into_iter().collect();
    let event_id = row.id.to_string();
    let event = to_event(row, organization.project)?;
    let explain = |webhook: &Arc<CompiledWebhook>| {
        let delivery = deliveries.get(&webhook.webhook.id);
        explain_webhook(webhook, &event, delivery.map(ToString::to_string))
    };
    Ok(Json(Explanation { event_id, webhooks: webhooks.into_iter().map(explain).collect() }))
}

fn explain_webhook(webhook: &CompiledWebhook, event: &Event, delivery_id: Option<String>) -> WebhookExplanation {
    let status = webhook.webhook.status;
    let (reason, detail) = match webhook.interest.check(event) {
        Err(Mismatch::EventType) => {
            (Some("event_type"), Some(format!("it does not want events of type {}", event.kind)))
        }
        Err(Mismatch::Filter) => (Some("filter"), Some("its filter names another entity".to_owned())),
        Ok(()) if !status.takes_events() => (Some(status.name()), webhook.webhook.status_reason.clone()),
        Ok(()) if let Err(revoked) = &webhook.access => (Some("access_revoked"), Some(revoked.to_string())),
        Ok(()) if delivery_id.is_none() => {
            let detail = "it matches now, but did not when the event was accepted; recover to send it";
            (Some("created_later"), Some(detail.to_owned()))
        }
        Ok(()) => (None, None),
    };
    WebhookExplanation {
        webhook_id: webhook.webhook.id.to_string(),
        name: webhook.webhook.settings.name.clone(),
        matched: webhook.interest.check(event).is_ok() && status.takes_events(),
        reason,
        detail,
        delivery_id,
    }
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
