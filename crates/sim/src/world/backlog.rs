//! What waits in the store: claimed for the scheduler, given back, skipped, taken over from the dead.

use fanfare_engine::delivery::SkipReason;
use fanfare_engine::id::{NodeId, WebhookId};
use fanfare_engine::scheduler::{Input, Job, LaneConfig};
use fanfare_engine::webhook::Status;
use fanfare_store::StoreResult;
use fanfare_store::queue::{Answer, Claim, ClaimedDelivery, Lease, Operation};

use super::{Again, Happening, World, note};
use crate::disk::Then;
use crate::ledger::{Checked, fault};
use crate::plan::Sabotage;

/// Deliveries skipped in one commit: few, so that it takes several.
const SKIP_PIECE: u32 = 3;
/// Deliveries taken over in one commit.
const RESCUE_PIECE: u32 = 3;
/// Milliseconds before the store is asked again.
const AGAIN: i64 = 1_000;

impl World {
    /// Why nothing is sent to a webhook any more, if so.
    pub(super) fn skip_reason(&self, webhook: WebhookId) -> Option<SkipReason> {
        match self.catalogue.webhook(webhook).map(|webhook| webhook.status) {
            None => Some(SkipReason::WebhookDeleted),
            Some(_) if self.is_sabotaged(Sabotage::SendToDeactivated) => None,
            Some(Status::Deactivated) => Some(SkipReason::WebhookDeactivated),
            Some(Status::AutoDisabled) => Some(SkipReason::WebhookAutoDisabled),
            Some(Status::Active | Status::Paused) => None,
        }
    }

    pub(super) fn claim(&mut self, webhook: WebhookId, limit: u32, max_bytes: usize, slots: bool) -> Checked {
        if let Some(reason) = self.skip_reason(webhook) {
            let operation = Operation::SkipWaiting { webhook, reason, limit: SKIP_PIECE };
            return self.submit(operation, Then::Skipped { webhook });
        }
        let config = self.catalogue.webhook(webhook).map_or(LaneConfig::UNKNOWN, |webhook| self.lane(webhook));
        if config.held || (config.at_most_once && !slots) || max_bytes == 0 {
            let due = self.clock();
            return self.tell(Input::Claimed { webhook, config, jobs: Vec::new(), next_due: Some(due) });
        }
        let Some(process) = &self.process else { return Ok(()) };
        let claim = Claim { webhook, node: process.node, limit, max_bytes };
        self.submit(Operation::Claim(claim), Then::Claimed { webhook, config })
    }

    pub(super) fn claimed(&mut self, webhook: WebhookId, config: LaneConfig, answer: StoreResult<Answer>) -> Checked {
        match answer {
            Ok(Answer::Claimed(claimed)) => {
                let jobs = claimed.deliveries.into_iter().map(|claimed| job(webhook, claimed)).collect();
                self.tell(Input::Claimed { webhook, config, jobs, next_due: claimed.next_due })
            }
            Ok(other) => fault("answers fit", webhook, format!("a claim was answered with {other:?}")),
            Err(_) => self.tell(Input::ClaimFailed { webhook }),
        }
    }

    pub(super) fn skipped(&mut self, webhook: WebhookId, answer: StoreResult<Answer>) -> Checked {
        match answer {
            Ok(Answer::Count(count)) => {
                let next_due = (count >= u64::from(SKIP_PIECE)).then(|| self.clock());
                self.tell(Input::Claimed { webhook, config: LaneConfig::UNKNOWN, jobs: Vec::new(), next_due })
            }
            Ok(other) => fault("answers fit", webhook, format!("a skip was answered with {other:?}")),
            Err(_) => self.tell(Input::ClaimFailed { webhook }),
        }
    }

    pub(super) fn release(&mut self, webhook: WebhookId, leases: Vec<Lease>) -> Checked {
        if self.is_sabotaged(Sabotage::ForgetRelease) {
            return Ok(());
        }
        self.submit(Operation::Release(leases.clone()), Then::Released { webhook, leases })
    }

    pub(super) fn released(&mut self, webhook: WebhookId, leases: Vec<Lease>, answer: StoreResult<Answer>) -> Checked {
        match answer {
            Ok(_) => {
                let due = self.clock();
                self.tell(Input::Stored { webhook, config: None, due })
            }
            Err(_) => {
                self.try_again(Again::Release(webhook, leases));
                Ok(())
            }
        }
    }

    pub(super) fn rescue(&mut self, node: NodeId) -> Checked {
        if self.is_sabotaged(Sabotage::SkipRescue) {
            return Ok(());
        }
        self.submit(Operation::Rescue { node, limit: RESCUE_PIECE }, Then::Rescued { node })
    }

    pub(super) fn rescued(&mut self, node: NodeId, answer: StoreResult<Answer>) -> Checked {
        match answer {
            Ok(Answer::Released(freed)) if freed.is_empty() => {
                self.ledger.rescued(node);
                self.wake_zombies(node);
                Ok(())
            }
            Ok(Answer::Released(freed)) => {
                if self.drained == Some(node) {
                    let message = format!("{freed:?} were still leased to a process that had drained");
                    return fault("a drain gives everything back", freed[0].0, message);
                }
                let due = self.clock();
                for (webhook, _) in freed {
                    self.tell(Input::Stored { webhook, config: None, due })?;
                }
                self.rescue(node)
            }
            Ok(other) => fault("answers fit", node, format!("a rescue was answered with {other:?}")),
            Err(_) => {
                self.try_again(Again::Rescue(node));
                Ok(())
            }
        }
    }

    /// Something became due because somebody wished it.
    pub(super) fn freed(&mut self, answer: StoreResult<Answer>) -> Checked {
        let Ok(Answer::Released(freed)) = answer else { return Ok(()) };
        let due = self.clock();
        freed.into_iter().try_for_each(|(webhook, _)| self.tell(Input::Stored { webhook, config: None, due }))
    }

    fn try_again(&mut self, operation: Again) {
        if let Some(process) = &self.process {
            let process = process.number;
            note!(self, "tried again later: {operation:?}");
            self.after(AGAIN, Happening::Again { process, operation });
        }
    }

    pub(super) fn again(&mut self, operation: Again) -> Checked {
        match operation {
            Again::Release(webhook, leases) => self.release(webhook, leases),
            Again::Rescue(node) => self.rescue(node),
        }
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
