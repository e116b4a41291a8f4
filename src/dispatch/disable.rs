//! Switches off a webhook whose receiver is gone or does nothing but fail, and keeps since when it fails.

use std::sync::Arc;

use fanfare_engine::health;
use fanfare_engine::scheduler::Input;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Webhook;
use fanfare_store::StoreError;
use fanfare_store::catalogue::webhooks;
use fanfare_store::queue::{Operation, Touches};

use super::dispatcher::Dispatcher;
use super::report;
use crate::compiled::{CompiledOrganization, CompiledWebhook};

/// Keeps since when every attempt of a webhook has failed and when the last one did, or that it no longer fails.
pub(super) fn keep_failing(
    dispatcher: &Dispatcher,
    webhook: &CompiledWebhook,
    failing: Option<(Timestamp, Timestamp)>,
) {
    let Webhook { id, updated_at, .. } = webhook.webhook;
    // No cache is touched by it: the compiled webhook has noted it already.
    let operation = Operation::Note(webhooks::set_failing(id, updated_at, failing));
    dispatcher.tools.store.submit(operation, move |answer| {
        if let Err(error) = answer {
            tracing::warn!(webhook = %id, %error, "since when a webhook fails could not be kept");
        }
    });
}

/// Switches a webhook off and tells the operator; once, however many attempts find that it should be.
pub(super) async fn disable(
    dispatcher: &Arc<Dispatcher>,
    organization: &CompiledOrganization,
    webhook: &CompiledWebhook,
    reason: String,
) {
    let tools = &dispatcher.tools;
    // Every other reason is for how long it failed, which a clock that was set cannot tell.
    if reason != health::GONE && tools.trusted_clock.now().is_none() {
        return;
    }
    let id = webhook.webhook.id;
    let report = match organization.is_operator {
        true => None,
        false => report::auto_disabled(dispatcher, organization, webhook, &reason).await,
    };
    let (accept, reported) = report.map_or((None, Vec::new()), |report| (Some(report.accept), report.webhooks));
    let change = webhooks::disable_automatically(id, webhook.webhook.updated_at, &reason, tools.clock.now());
    let touches = Some(Touches { project: organization.project, organization: Some(organization.id) });
    match tools.store.apply(Operation::Change { change, touches, report: accept }).await {
        Ok(_) => tracing::info!(webhook = %id, reason, "a webhook was switched off"),
        // Another attempt was first, or the webhook was edited meanwhile: then what failed is not what it is now.
        Err(StoreError::Stale(_)) => return,
        Err(error) => {
            tracing::warn!(webhook = %id, %error, "a webhook could not be switched off");
            return;
        }
    }
    tools.compiled.webhook_changed(organization.id, id);
    tools.metrics.auto_disabled();
    dispatcher.webhook_changed(id).await;
    let now = tools.clock.now();
    dispatcher.tell_all(reported.into_iter().map(|webhook| Input::Stored { webhook, config: None, due: now }));
}
