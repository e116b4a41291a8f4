//! What people have sent by hand: a delivery once more, a test event.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::id::{DeliveryId, WebhookId};
use fanfare_engine::scheduler::Input;
use fanfare_engine::webhook::Status;
use fanfare_store::StoreError;
use fanfare_store::log::DeliveryRow;
use fanfare_store::queue::{Answer as StoreAnswer, Operation, Resend};

use super::webhooks::OpenWebhook;
use super::{CatalogueError, CatalogueResult};
use crate::app::App;
use crate::compiled::{CompiledWebhook, Sender};
use crate::dispatch::report;
use crate::test_event::TestEvent;
use crate::{intake, test_event};

/// How often a delivery is called back from memory before it counts as being sent.
const RECALLS: usize = 3;
/// Why deliveries of some profiles are never sent again.
pub const NOT_BY_HAND: &str = "the webhook's profile forbids sending a delivery again by hand";

/// Gives a delivery one more attempt, now. Answers whether it does: what is being sent, or held back by an earlier one of its
/// ordering key, is left as it is.
///
/// # Errors
/// Its webhook is deleted or gets nothing as it is, or its profile forbids it.
pub async fn resend(app: &App, row: &DeliveryRow) -> CatalogueResult<bool> {
    let webhook = app.compiled().webhook(row.webhook).await?;
    if webhook.as_ref().is_some_and(|webhook| !webhook.is_sent_by_hand()) {
        return Err(CatalogueError::State(NOT_BY_HAND));
    }
    match webhook.map(|webhook| webhook.webhook.status) {
        Some(Status::Active | Status::Paused) => {}
        Some(status) => {
            return Err(CatalogueError::Unready(format!("its webhook is {}; enable it first", status.name())));
        }
        None => return Err(CatalogueError::State("its webhook is deleted")),
    }
    let due = apply(app, Operation::Resend(Resend { deliveries: vec![row.id] })).await?;
    let is_sent = !due.is_empty();
    tell(app, due);
    Ok(is_sent)
}

/// Cancels a delivery: it is not tried again.
///
/// # Errors
/// It is final already, or is being sent at this moment.
pub async fn cancel(app: &App, row: &DeliveryRow) -> CatalogueResult<()> {
    if row.state.is_final() && row.next_attempt_at.is_none() {
        return Err(CatalogueError::Unready(format!("it is {} already", row.state.name())));
    }
    for _ in 0..RECALLS {
        // What only waits in memory goes back to the store, where it can be cancelled.
        app.dispatcher.tell(Input::Recall { webhook: row.webhook });
        let cancelled = apply(app, Operation::Cancel { deliveries: vec![row.id] }).await?;
        if !cancelled.is_empty() {
            tell(app, cancelled);
            return Ok(());
        }
    }
    Err(CatalogueError::State("it is being sent at this moment; look again when the attempt is over"))
}

/// Has the store change deliveries; answers the webhooks that have something due by it.
///
/// # Errors
/// The store's.
pub async fn apply(app: &App, operation: Operation) -> CatalogueResult<Vec<(WebhookId, u32)>> {
    match app.write(operation, "").await? {
        StoreAnswer::Released(webhooks) => Ok(webhooks),
        other => Err(StoreError::Damaged(format!("answered with {other:?}")).into()),
    }
}

/// Tells the dispatcher of webhooks that have something due.
pub fn tell(app: &App, webhooks: Vec<(WebhookId, u32)>) {
    let due = app.clock.now();
    app.dispatcher.tell_all(webhooks.into_iter().map(|(webhook, _)| Input::Stored { webhook, config: None, due }));
}

/// Sends a webhook the example of an event type: of `wanted`, or of that which its profile uses for tests. Answers the
/// delivery.
///
/// # Errors
/// It gets nothing as it is, or there is no such event type.
pub async fn try_out(app: &App, webhook: &OpenWebhook, wanted: Option<&str>) -> CatalogueResult<DeliveryId> {
    let (compiled, sender) = testable(app, webhook, "enable it").await?;
    let types = app.compiled().event_types(webhook.row.project).await?;
    let Some(event) = test_event::choose(&sender.profile, &webhook.row.settings, &types, wanted) else {
        return Err(CatalogueError::field("event_type", "is no event type of this project"));
    };
    send_test(app, &compiled, event).await
}

/// Sends one of the operator's own webhooks the example of an operational event. Answers the delivery.
///
/// # Errors
/// It gets nothing as it is, or there is no such event.
pub async fn try_out_report(app: &App, webhook: &OpenWebhook, kind: &str) -> CatalogueResult<DeliveryId> {
    let (compiled, _) = testable(app, webhook, "switch it on").await?;
    let Some(data) = report::example(kind) else {
        return Err(CatalogueError::field("event_type", "is no event of the operator's webhooks"));
    };
    let event = TestEvent { data: Bytes::from(data.to_string()), ..TestEvent::bare(kind) };
    send_test(app, &compiled, event).await
}

/// A webhook that can be sent a test, or what to do first where it gets nothing as it is.
async fn testable(
    app: &App,
    webhook: &OpenWebhook,
    advice: &str,
) -> CatalogueResult<(Arc<CompiledWebhook>, Arc<Sender>)> {
    let status = webhook.row.status;
    if !status.takes_events() {
        return Err(CatalogueError::Unready(format!("the webhook is {}; {advice} first", status.name())));
    }
    let unknown = CatalogueError::NotFound("webhook");
    let compiled = app.compiled().webhook(webhook.row.id).await?.ok_or(unknown)?;
    let sender = compiled.sender().map_err(|why| CatalogueError::Unready(why.0))?;
    Ok((compiled, sender))
}

async fn send_test(app: &App, webhook: &Arc<CompiledWebhook>, event: TestEvent) -> CatalogueResult<DeliveryId> {
    let (delivery, pending) = intake::accept_test(&app.dispatcher, webhook, event);
    pending.wait().await?;
    Ok(delivery)
}
