//! Follows the wall clock: has what waits follow a clock that was set back, and stores the latest time that can be trusted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::{DeliveryId, WebhookId};
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

/// See the module.
#[derive(Debug, Default)]
pub struct Timekeeper {
    /// The time that was stored last.
    stored: Option<Timestamp>,
    /// What is left to do of a step back.
    pull: Option<Pull>,
}

impl Timekeeper {
    /// Looks at the clock once.
    ///
    /// # Errors
    /// The store cannot be read or written to. What was not done is done the next time.
    pub async fn look(&mut self, dispatcher: &Arc<Dispatcher>) -> StoreResult<()> {
        let tools = &dispatcher.tools;
        let trusted = tools.trusted_clock.now();
        self.go_on_pulling(dispatcher).await?;
        if let Some(by) = tools.trusted_clock.take_step_back() {
            self.pull = Some(Pull { by, webhooks: None, after: None });
            self.stored = None;
            self.go_on_pulling(dispatcher).await?;
        }
        // Not before all has followed: should the process die, the next one sees the step, too.
        let Some(now) = trusted.filter(|now| self.stored.is_none_or(|stored| now.since(stored) >= STORE_EVERY)) else {
            return Ok(());
        };
        let change = meta::set(LATEST, now.millis().to_be_bytes().to_vec());
        tools.store.apply(Operation::Change { change, touches: None, report: None }).await?;
        self.stored = Some(now);
        Ok(())
    }

    /// Has what waits follow a step back, from where the last attempt ended: what has followed already must not follow again.
    async fn go_on_pulling(&mut self, dispatcher: &Arc<Dispatcher>) -> StoreResult<()> {
        let Some(pull) = &mut self.pull else { return Ok(()) };
        let store = &dispatcher.tools.store;
        if pull.webhooks.is_none() {
            let waiting = store.read(log::waiting_webhooks()).await?;
            pull.webhooks = Some(waiting.into_iter().map(|(webhook, _)| webhook).collect());
        }
        while let Some(wish) = pull.next() {
            match store.apply(Operation::PullDue(wish)).await? {
                Answer::Pulled(Pulled { last, first_due }) => {
                    pull.pulled(last);
                    if let Some(due) = first_due {
                        dispatcher.tell(Input::Stored { webhook: wish.webhook, config: None, due });
                    }
                }
                other => return Err(StoreError::Damaged(format!("pulling was answered with {other:?}"))),
            }
        }
        self.pull = None;
        Ok(())
    }
}

/// A step back that what waits has to follow.
#[derive(Debug)]
struct Pull {
    by: Duration,
    /// Those for which something waits and has not followed, the next one first; `None` before they are known.
    webhooks: Option<VecDeque<WebhookId>>,
    /// The last delivery of the first of them that has followed.
    after: Option<(Timestamp, DeliveryId)>,
}

impl Pull {
    /// The next piece.
    fn next(&self) -> Option<PullDue> {
        let webhook = *self.webhooks.as_ref()?.front()?;
        Some(PullDue { webhook, by: self.by, after: self.after, limit: PIECE })
    }

    /// That piece has followed, up to `last`; `None` where the webhook has no more.
    fn pulled(&mut self, last: Option<(Timestamp, DeliveryId)>) {
        self.after = last;
        if last.is_none()
            && let Some(webhooks) = &mut self.webhooks
        {
            webhooks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_followed_does_not_follow_again() {
        let webhooks = Some([1, 2].map(WebhookId).into());
        let mut pull = Pull { by: Duration::from_secs(3_600), webhooks, after: None };
        let next = |pull: &Pull| pull.next().map(|wish| (wish.webhook.0, wish.after));
        let last = (Timestamp(1_000), DeliveryId(7));
        assert_eq!(next(&pull), Some((1, None)));
        pull.pulled(Some(last));
        // The store fails here, however often: it goes on from there.
        assert_eq!((next(&pull), next(&pull)), (Some((1, Some(last))), Some((1, Some(last)))));
        pull.pulled(None);
        assert_eq!(next(&pull), Some((2, None)));
        pull.pulled(None);
        assert_eq!(next(&pull), None);
    }
}
