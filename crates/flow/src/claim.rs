//! Decides how deliveries that wait in the store are claimed, and turns the store's answer into what the scheduler takes.

use fanfare_engine::delivery::SkipReason;
use fanfare_engine::id::{NodeId, WebhookId};
use fanfare_engine::scheduler::{Input, Job, LaneConfig};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Status;
use fanfare_store::queue::{Answer, Claim, Claimed, ClaimedDelivery};
use fanfare_store::{StoreError, StoreResult};

use crate::turn::skip_reason;

/// What the scheduler asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub webhook: WebhookId,
    /// How many deliveries at most.
    pub limit: u32,
    /// How many bytes; 0 asks for the webhook's settings alone.
    pub max_bytes: usize,
    /// There is a slot for each of them.
    pub slots: bool,
}

/// What to do.
#[derive(Debug)]
pub enum Step {
    /// Skip a piece of what waits: nothing may be sent to the webhook any more.
    Skip(SkipReason),
    /// Tell the scheduler; nothing is claimed.
    Tell(Input),
    Claim(Claim),
}

/// Decides about a claim by `node`. `status` is `None` for a webhook that was deleted, and `config` is its lane's.
pub fn decide(wanted: Wanted, node: NodeId, status: Option<Status>, config: LaneConfig, now: Timestamp) -> Step {
    let Wanted { webhook, limit, max_bytes, slots } = wanted;
    if let Some(reason) = status.map_or(Some(SkipReason::WebhookDeleted), skip_reason) {
        return Step::Skip(reason);
    }
    if config.held || (config.at_most_once && !slots) || max_bytes == 0 {
        return Step::Tell(Input::Claimed { webhook, config, jobs: Vec::new(), next_due: Some(now) });
    }
    Step::Claim(Claim { webhook, node, limit, max_bytes })
}

/// Returns what a claim brought.
///
/// # Errors
/// The store answered with something else.
pub fn claimed(webhook: WebhookId, config: LaneConfig, answer: Answer) -> StoreResult<Input> {
    let Answer::Claimed(Claimed { deliveries, next_due, .. }) = answer else {
        return Err(StoreError::Damaged(format!("a claim was answered with {answer:?}")));
    };
    let jobs = deliveries.into_iter().map(|delivery| job(webhook, delivery)).collect();
    Ok(Input::Claimed { webhook, config, jobs, next_due })
}

/// Returns what the scheduler is told once `count` deliveries were skipped, of at most `piece` at once.
pub fn skipped(webhook: WebhookId, count: u64, piece: u32, now: Timestamp) -> Input {
    let next_due = (count >= u64::from(piece)).then_some(now);
    Input::Claimed { webhook, config: LaneConfig::UNKNOWN, jobs: Vec::new(), next_due }
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

#[cfg(test)]
mod tests {
    use fanfare_engine::id::OrganizationId;

    use super::*;
    use crate::samples::{NOW, WEBHOOK};

    const CONFIG: LaneConfig = LaneConfig { organization: OrganizationId(2), ..LaneConfig::UNKNOWN };
    const WANTED: Wanted = Wanted { webhook: WEBHOOK, limit: 8, max_bytes: 1_000, slots: false };

    fn decided(wanted: Wanted, status: Option<Status>, config: LaneConfig) -> Step {
        decide(wanted, NodeId(1), status, config, NOW)
    }

    #[test]
    fn nothing_is_claimed_that_could_not_be_sent() {
        let active = Some(Status::Active);
        assert!(matches!(decided(WANTED, active, CONFIG), Step::Claim(Claim { limit: 8, .. })));
        let once = LaneConfig { at_most_once: true, ..CONFIG };
        assert!(matches!(decided(Wanted { slots: true, ..WANTED }, active, once), Step::Claim(_)));
        for (wanted, config) in
            [(WANTED, LaneConfig { held: true, ..CONFIG }), (WANTED, once), (Wanted { max_bytes: 0, ..WANTED }, CONFIG)]
        {
            let step = decided(wanted, active, config);
            assert!(matches!(step, Step::Tell(Input::Claimed { next_due: Some(NOW), .. })), "{step:?}");
        }
        for (status, reason) in
            [(None, SkipReason::WebhookDeleted), (Some(Status::Deactivated), SkipReason::WebhookDeactivated)]
        {
            assert!(matches!(decided(WANTED, status, CONFIG), Step::Skip(found) if found == reason));
        }
    }

    #[test]
    fn a_full_piece_of_skipped_deliveries_is_followed_by_another() {
        let next = |count| match skipped(WEBHOOK, count, 3, NOW) {
            Input::Claimed { next_due, .. } => next_due,
            other => panic!("{other:?}"),
        };
        assert_eq!((next(3), next(2)), (Some(NOW), None));
    }
}
