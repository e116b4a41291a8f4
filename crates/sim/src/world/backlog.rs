//! What waits in the store: claimed for the scheduler, given back, skipped, taken over from the dead.

use fanfare_engine::delivery::SkipReason;
use fanfare_engine::id::{NodeId, WebhookId};
use fanfare_engine::scheduler::{Input, LaneConfig};
use fanfare_engine::webhook::Status;
use fanfare_flow::claim::{self, Step, Wanted};
use fanfare_flow::turn;
use fanfare_store::StoreResult;
use fanfare_store::queue::{Answer, Lease, Operation};

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
        self.status(webhook).map_or(Some(SkipReason::WebhookDeleted), turn::skip_reason)
    }

    fn status(&self, webhook: WebhookId) -> Option<Status> {
        let status = self.catalogue.webhook(webhook)?.status;
        Some(if self.is_sabotaged(Sabotage::SendToDeactivated) { Status::Active } else { status })
    }

    pub(super) fn claim(&mut self, wanted: Wanted) -> Checked {
        let webhook = wanted.webhook;
        let config = self.catalogue.webhook(webhook).map_or(LaneConfig::UNKNOWN, |webhook| self.lane(webhook));
        let Some(process) = &self.process else { return Ok(()) };
        match claim::decide(wanted, process.node, self.status(webhook), config, self.clock()) {
            Step::Tell(input) => self.tell(input),
            Step::Claim(claim) => self.submit(Operation::Claim(claim), Then::Claimed { webhook, config }),
            Step::Skip(reason) => {
                let operation = Operation::SkipWaiting { webhook, reason, limit: SKIP_PIECE };
                self.submit(operation, Then::Skipped { webhook })
            }
        }
    }

    pub(super) fn claimed(&mut self, webhook: WebhookId, config: LaneConfig, answer: StoreResult<Answer>) -> Checked {
        let Ok(answer) = answer else { return self.tell(Input::ClaimFailed { webhook }) };
        match claim::claimed(webhook, config, answer) {
            Ok(input) => self.tell(input),
            Err(error) => fault("answers fit", webhook, error.to_string()),
        }
    }

    pub(super) fn skipped(&mut self, webhook: WebhookId, answer: StoreResult<Answer>) -> Checked {
        match answer {
            Ok(Answer::Count(count)) => self.tell(claim::skipped(webhook, count, SKIP_PIECE, self.clock())),
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
