//! Follows the wall clock: has what waits follow a clock that was set back, and stores the latest time that can be trusted.

use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::WebhookId;
use fanfare_engine::scheduler::Input;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::meta;
use fanfare_store::queue::{Answer, Operation, PullDue, Pulled};
use fanfare_store::{Store, StoreError, StoreResult, log};

use crate::dispatch::dispatcher::Dispatcher;

/// Deliveries changed in one commit.
const PIECE: u32 = 500;
/// The key of the latest time that could be trusted.
const LATEST: &str = "latest_trusted_time";
/// A stored time that is younger than this is not stored again.
const STORE_EVERY: Duration = Duration::from_secs(10);

/// The latest time that an earlier process trusted.
///
/// # Errors
/// The store cannot be read.
pub async fn latest_trusted(store: &Store) -> StoreResult<Option<Timestamp>> {
    let stored = store.read_one(meta::get(LATEST)).await?;
    Ok(stored.and_then(|bytes| Some(Timestamp(i64::from_be_bytes(bytes.try_into().ok()?)))))
}

/// Looks at the clock once. `stored` is the time that was stored last.
///
/// # Errors
/// The store cannot be read or written to. What was not done is done the next time.
pub async fn follow_clock(dispatcher: &Arc<Dispatcher>, stored: &mut Option<Timestamp>) -> StoreResult<()> {
    let tools = &dispatcher.tools;
    let trusted = tools.trusted_clock.now();
    if let Some(back) = tools.trusted_clock.take_step_back() {
        if let Err(error) = pull_all(dispatcher, back).await {
            tools.trusted_clock.put_back(back);
            return Err(error);
        }
        *stored = None;
    }
    // Not before all has followed: should the process die, the next one sees the step, too.
    let Some(now) = trusted.filter(|now| stored.is_none_or(|stored| now.since(stored) >= STORE_EVERY)) else {
        return Ok(());
    };
    let change = meta::set(LATEST, now.millis().to_be_bytes().to_vec());
    tools.store.apply(Operation::Change { change, touches: None, report: None }).await?;
    *stored = Some(now);
    Ok(())
}

async fn pull_all(dispatcher: &Arc<Dispatcher>, by: Duration) -> StoreResult<()> {
    for (webhook, _) in dispatcher.tools.store.read(log::waiting_webhooks()).await? {
        pull(dispatcher, webhook, by).await?;
    }
    Ok(())
}

async fn pull(dispatcher: &Arc<Dispatcher>, webhook: WebhookId, by: Duration) -> StoreResult<()> {
    let mut after = None;
    loop {
        let wish = PullDue { webhook, by, after, limit: PIECE };
        let (last, first_due) = match dispatcher.tools.store.apply(Operation::PullDue(wish)).await? {
            Answer::Pulled(Pulled { last, first_due }) => (last, first_due),
            other => return Err(StoreError::Damaged(format!("pulling was answered with {other:?}"))),
        };
        if let Some(due) = first_due {
            dispatcher.tell(Input::Stored { webhook, config: None, due });
        }
        match last {
            Some(_) => after = last,
            None => return Ok(()),
        }
    }
}
