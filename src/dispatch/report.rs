//! Tells the operator: makes operational events and deliveries of them to the operator's own webhooks.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::Trigger;
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, WebhookId};
use fanfare_engine::scheduler::Job;
use fanfare_store::queue::{Accept, Learn, LoggedAttempt, NewDelivery};
use serde_json::json;

use super::dispatcher::Dispatcher;
use crate::compiled::{CompiledOrganization, CompiledWebhook};

/// A delivery used up its schedule.
pub const DELIVERY_EXHAUSTED: &str = "delivery.exhausted";
/// A webhook was switched off because its receiver failed for too long or is gone.
pub const WEBHOOK_AUTO_DISABLED: &str = "webhook.auto_disabled";
/// Every operational event that the operator can subscribe to, with what it says.
pub const OPERATIONAL_EVENTS: [(&str, &str); 2] = [
    (DELIVERY_EXHAUSTED, "A delivery failed and its schedule has no attempt left."),
    (
        WEBHOOK_AUTO_DISABLED,
        "A webhook was switched off because its receiver failed for too long or answered 410 Gone.",
    ),
];

/// What an operational event of this type says, with made-up values; `None` where there is no such type.
pub fn example(kind: &str) -> Option<serde_json::Value> {
    match kind {
        DELIVERY_EXHAUSTED => Some(json!({
            "delivery_id": DeliveryId(1),
            "event_id": EventId(1),
            "event_type": "job.created",
            "organization_id": OrganizationId(1),
            "webhook_id": WebhookId(1),
            "attempts": 9,
            "outcome": Outcome::Status,
            "response_code": 503,
            "error": null,
        })),
        WEBHOOK_AUTO_DISABLED => Some(json!({
            "webhook_id": WebhookId(1),
            "organization_id": OrganizationId(1),
            "name": "An example",
            "url": "https://example.com/webhooks",
            "reason": "This is a test. Nothing was switched off.",
        })),
        _ => None,
    }
}

/// An operational event to keep, and the webhooks that get it.
pub(super) struct Report {
    pub(super) accept: Accept,
    pub(super) webhooks: Vec<WebhookId>,
}

/// The report of an exhausted delivery; `None` where nobody wants to know.
pub(super) async fn exhausted(dispatcher: &Dispatcher, job: &Job, attempt: &LoggedAttempt) -> Option<Report> {
    let ending = Ending {
        attempts: job.attempts + 1,
        outcome: attempt.outcome,
        response_code: attempt.response.as_ref().map(|response| response.status),
        error: attempt.error.as_deref(),
    };
    of_exhausted(dispatcher, job, &ending).await
}

/// The report of a delivery that is not sent again because it may have been sent.
pub(super) async fn given_up(dispatcher: &Dispatcher, job: &Job) -> Option<Report> {
    let ending = Ending {
        attempts: job.attempts,
        outcome: Outcome::Unknown,
        response_code: None,
        error: Some("The server stopped while it was being sent; it may have arrived and is not sent again."),
    };
    of_exhausted(dispatcher, job, &ending).await
}

/// How the last attempt ended.
struct Ending<'a> {
    attempts: u32,
    outcome: Outcome,
    response_code: Option<u16>,
    error: Option<&'a str>,
}

async fn of_exhausted(dispatcher: &Dispatcher, job: &Job, ending: &Ending<'_>) -> Option<Report> {
    let data = json!({
        "delivery_id": job.delivery,
        "event_id": job.event.id,
        "event_type": &*job.event.kind,
        "organization_id": job.event.organization,
        "webhook_id": job.webhook,
        "attempts": ending.attempts,
        "outcome": ending.outcome,
        "response_code": ending.response_code,
        "error": ending.error,
    });
    make(dispatcher, job.event.project, DELIVERY_EXHAUSTED, &data).await
}

/// The report of a webhook that was switched off.
pub(super) async fn auto_disabled(
    dispatcher: &Dispatcher,
    organization: &CompiledOrganization,
    webhook: &CompiledWebhook,
    reason: &str,
) -> Option<Report> {
    let data = json!({
        "webhook_id": webhook.webhook.id,
        "organization_id": organization.id,
        "name": webhook.webhook.settings.name,
        "url": webhook.webhook.settings.url,
        "reason": reason,
    });
    make(dispatcher, organization.project, WEBHOOK_AUTO_DISABLED, &data).await
}

async fn make(
    dispatcher: &Dispatcher,
    project: fanfare_engine::id::ProjectId,
    kind: &str,
    data: &serde_json::Value,
) -> Option<Report> {
    let tools = &dispatcher.tools;
    let operator = match tools.compiled.operator(project).await {
        Ok(operator) => operator?,
        Err(error) => {
            tracing::warn!(%error, kind, "the operator's webhooks could not be read; the event is not reported");
            return None;
        }
    };
    let now = tools.clock.now();
    let mut event = Event {
        id: EventId(0),
        project,
        organization: operator.id,
        kind: Arc::from(kind),
        external_id: None,
        data: Bytes::from(data.to_string()),
        entity: None,
        scope: Vec::new(),
        occurred_at: now,
        ordering_key: None,
        hops: 0,
    };
    let webhooks: Vec<WebhookId> = operator.matches(&event).map(|webhook| webhook.webhook.id).collect();
    if webhooks.is_empty() {
        return None;
    }
    let ids = tools.ids.run(1 + webhooks.len());
    event.id = EventId(ids[0]);
    let deliveries = webhooks
        .iter()
        .zip(&ids[1..])
        .map(|(webhook, id)| NewDelivery {
            id: DeliveryId(*id),
            webhook: *webhook,
            lease: None,
            due: now,
            trigger: Trigger::Schedule,
        })
        .collect();
    let accept =
        Accept { event: Arc::new(event), fingerprint: [0; 16], idempotency: None, deliveries, learn: Learn::Nothing };
    Some(Report { accept, webhooks })
}
