//! What waits in the store: claims it for the scheduler, gives it back, skips it where nothing may be sent.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::{DeliveryId, WebhookId};
use fanfare_engine::scheduler::{Input, Job, LaneConfig};
use fanfare_flow::claim::{self, Step, Wanted};
use fanfare_flow::record;
use fanfare_store::queue::{Answer, Lease, Operation};
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
pub(super) async fn claim(dispatcher: Arc<Dispatcher>, wanted: Wanted) {
    let webhook = wanted.webhook;
    let claimed = AssertUnwindSafe(try_claim(&dispatcher, wanted)).catch_unwind().await;
    let claimed = claimed.unwrap_or_else(|_| Err(StoreError::Damaged("the claim panicked".to_owned())));
    match claimed {
        Ok(input) => dispatcher.tell(input),
        Err(error) => {
            tracing::warn!(%webhook, %error, "deliveries that wait could not be claimed");
            dispatcher.tell(Input::ClaimFailed { webhook });
        }
    }
}

async fn try_claim(dispatcher: &Arc<Dispatcher>, wanted: Wanted) -> StoreResult<Input> {
    let tools = &dispatcher.tools;
    let webhook = wanted.webhook;
    let compiled = tools.compiled.webhook(webhook).await?;
    let status = compiled.as_deref().map(|compiled| compiled.webhook.status);
    let config = compiled.map_or(LaneConfig::UNKNOWN, |compiled| compiled.lane());
    match claim::decide(wanted, tools.node, status, config, tools.clock.now()) {
        Step::Tell(input) => Ok(input),
        Step::Claim(claim) => claim::claimed(webhook, config, tools.store.apply(Operation::Claim(claim)).await?),
        Step::Skip(reason) => {
            let operation = Operation::SkipWaiting { webhook, reason, limit: SKIP_PIECE };
            let Answer::Count(skipped) = tools.store.apply(operation).await? else {
                return Err(StoreError::Damaged("a skip was answered with something else".to_owned()));
            };
            tools.metrics.skipped(reason, skipped);
            Ok(claim::skipped(webhook, skipped, SKIP_PIECE, tools.clock.now()))
        }
    }
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
    let lease = record::lease(job, dispatcher.tools.node);
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
