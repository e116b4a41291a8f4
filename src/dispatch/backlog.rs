//! What waits in the store: claims it for the scheduler, gives it back, skips it where nothing may be sent.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::delivery::SkipReason;
use fanfare_engine::id::{DeliveryId, WebhookId};
use fanfare_engine::scheduler::{Input, Job, LaneConfig};
use fanfare_engine::webhook::Status;
use fanfare_store::queue::{Answer, Claim, Claimed, ClaimedDelivery, Lease, Operation};
use fanfare_store::{StoreError, StoreResult};
use futures_util::FutureExt;

use super::dispatcher::Dispatcher;

/// Deliveries skipped in one commit.
const SKIP_PIECE: u32 = 500;
/// How long to wait before the store is asked to take something back again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a delivery is put off before it is looked at again.
const PUT_OFF: Duration = Duration::from_secs(10);

/// Leases due deliveries of a webhook and hands them to the scheduler.
pub(super) async fn claim(dispatcher: Arc<Dispatcher>, webhook: WebhookId, limit: u32, max_bytes: usize, slots: bool) {
    let claimed = AssertUnwindSafe(try_claim(&dispatcher, webhook, limit, max_bytes, slots)).catch_unwind().await;
    let claimed = claimed.unwrap_or_else(|_| Err(StoreError::Damaged("the claim panicked".to_owned())));
    match claimed {
        Ok(input) => dispatcher.tell(input),
        Err(error) => {
            tracing::warn!(%webhook, %error, "deliveries that wait could not be claimed");
            dispatcher.tell(Input::ClaimFailed { webhook });
        }
    }
}

async fn try_claim(
    dispatcher: &Arc<Dispatcher>,
    webhook: WebhookId,
    limit: u32,
    max_bytes: usize,
    slots: bool,
) -> StoreResult<Input> {
    let tools = &dispatcher.tools;
    let compiled = tools.compiled.webhook(webhook).await?;
    let reason = match compiled.as_deref().map(|compiled| compiled.webhook.status) {
        None => Some(SkipReason::WebhookDeleted),
        Some(Status::Deactivated) => Some(SkipReason::WebhookDeactivated),
        Some(Status::AutoDisabled) => Some(SkipReason::WebhookAutoDisabled),
        Some(Status::Active | Status::Paused) => None,
    };
    if let Some(reason) = reason {
        return skip(dispatcher, webhook, reason).await;
    }
    let config = compiled.map_or(LaneConfig::UNKNOWN, |compiled| compiled.lane());
    if config.held || (config.at_most_once && !slots) || max_bytes == 0 {
        let due = tools.clock.now();
        return Ok(Input::Claimed { webhook, config, jobs: Vec::new(), next_due: Some(due) });
    }
    let claim = Claim { webhook, node: tools.node, limit, max_bytes };
    match tools.store.apply(Operation::Claim(claim)).await? {
        Answer::Claimed(Claimed { deliveries, next_due, .. }) => {
            let jobs = deliveries.into_iter().map(|delivery| job(webhook, delivery)).collect();
            Ok(Input::Claimed { webhook, config, jobs, next_due })
        }
        other => Err(StoreError::Damaged(format!("a claim was answered with {other:?}"))),
    }
}

fn job(webhook: WebhookId, claimed: ClaimedDelivery) -> Job {
    Job {
        delivery: claimed.lease.delivery,
        webhook,
        claim: claimed.lease.claim,
        weight: claimed.event.weight(),
        event: claimed.event,
        attempts: claimed.attempts,
        failures: claimed.failures,
        trigger: claimed.trigger,
        single: claimed.single,
        may_have_been_sent: claimed.may_have_been_sent,
    }
}

/// Skips a piece of what waits for a webhook that gets nothing any more.
async fn skip(dispatcher: &Arc<Dispatcher>, webhook: WebhookId, reason: SkipReason) -> StoreResult<Input> {
    let operation = Operation::SkipWaiting { webhook, reason, limit: SKIP_PIECE };
    let Answer::Count(skipped) = dispatcher.tools.store.apply(operation).await? else {
        return Err(StoreError::Damaged("a skip was answered with something else".to_owned()));
    };
    dispatcher.tools.metrics.skipped(reason, skipped);
    let more = skipped >= u64::from(SKIP_PIECE);
    let next_due = more.then(|| dispatcher.tools.clock.now());
    Ok(Input::Claimed { webhook, config: LaneConfig::UNKNOWN, jobs: Vec::new(), next_due })
}

/// Gives leases back; once that is on disk, the scheduler knows that they wait there.
pub(super) fn release(dispatcher: &Arc<Dispatcher>, webhook: WebhookId, leases: &[(DeliveryId, u32)]) {
    let node = dispatcher.tools.node;
    let leases: Vec<Lease> = leases.iter().map(|&(delivery, claim)| Lease { delivery, node, claim }).collect();
    let again = leases.clone();
    let teller = Arc::clone(dispatcher);
    dispatcher.tools.store.submit(Operation::Release(leases), move |answer| match answer {
        Ok(_) => {
            let due = teller.tools.clock.now();
            teller.tell(Input::Stored { webhook, config: None, due });
        }
        // Whoever starts next takes them back.
        Err(_) if teller.tools.store.is_closed() => {}
        Err(error) => {
            tracing::warn!(%webhook, %error, "leases could not be given back; trying again");
            release_later(teller, webhook, again);
        }
    });
}

/// Gives a lease back for a while: its webhook goes on meanwhile, which would otherwise claim it again at once.
pub(super) fn put_off(dispatcher: &Arc<Dispatcher>, job: &Job) {
    let (webhook, due) = (job.webhook, dispatcher.tools.clock.now().plus(PUT_OFF));
    let lease = Lease { delivery: job.delivery, node: dispatcher.tools.node, claim: job.claim };
    let (teller, recorded) = (Arc::clone(dispatcher), job.recorded());
    dispatcher.tools.store.submit(Operation::PutOff(lease, due), move |answer| {
        if let Err(error) = &answer {
            tracing::error!(%webhook, %error, "a delivery could not be put off");
        }
        let stored = answer.is_ok().then_some(Input::Stored { webhook, config: None, due });
        teller.tell_all(std::iter::once(recorded).chain(stored));
    });
}

#[expect(clippy::disallowed_methods, reason = "ends by itself: either the store takes the leases back or it is closed")]
fn release_later(dispatcher: Arc<Dispatcher>, webhook: WebhookId, leases: Vec<Lease>) {
    let runtime = dispatcher.tools.runtime.clone();
    runtime.spawn(async move {
        tokio::time::sleep(AGAIN).await;
        let leases: Vec<_> = leases.iter().map(|lease| (lease.delivery, lease.claim)).collect();
        release(&dispatcher, webhook, &leases);
    });
}
