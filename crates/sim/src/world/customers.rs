//! What people do meanwhile: edit webhooks, hold organizations, have deliveries sent again or cancelled.

use fanfare_engine::id::WebhookId;
use fanfare_engine::scheduler::{Input, LaneConfig};
use fanfare_engine::webhook::Status;
use fanfare_store::queue::{Operation, Resend};

use super::{Happening, World, note};
use crate::disk::Then;
use crate::ledger::Checked;

/// A change of a webhook, or of what is held of its organization.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    pub(super) webhook: WebhookId,
    pub(super) kind: EditKind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum EditKind {
    Pause,
    Enable,
    Deactivate,
    Delete,
    Concurrency(u32),
    Hold,
    LetGo,
}

impl World {
    pub(super) fn edit(&mut self, edit: Edit) -> Checked {
        let Edit { webhook: id, kind } = edit;
        let Some(webhook) = self.catalogue.webhook_mut(id).filter(|_| !self.quiet) else { return Ok(()) };
        let organization = webhook.organization;
        match kind {
            EditKind::Pause if webhook.status == Status::Active => self.catalogue.set_status(id, Status::Paused),
            EditKind::Pause => return Ok(()),
            EditKind::Enable => self.catalogue.set_status(id, Status::Active),
            EditKind::Deactivate => self.catalogue.set_status(id, Status::Deactivated),
            EditKind::Delete => self.catalogue.delete(id),
            EditKind::Concurrency(concurrency) => {
                webhook.concurrency_before = webhook.concurrency_before.max(webhook.concurrency);
                webhook.concurrency = concurrency;
            }
            EditKind::Hold => _ = self.catalogue.held.insert(organization),
            EditKind::LetGo => _ = self.catalogue.held.remove(&organization),
        }
        note!(self, "somebody edits: {edit:?}");
        let of_organization = matches!(kind, EditKind::Hold | EditKind::LetGo);
        let changed = if of_organization { self.catalogue.of(organization) } else { vec![id] };
        for webhook in changed {
            let after = self.chance.between(0, 20);
            self.after(after, Happening::Changed { webhook });
        }
        Ok(())
    }

    /// The process learns of a change, and its scheduler with it.
    pub(super) fn webhook_changed(&mut self, id: WebhookId) -> Checked {
        if let Some(webhook) = self.catalogue.webhook_mut(id) {
            webhook.concurrency_before = webhook.concurrency;
        }
        if let Some(process) = &mut self.process {
            // An edit ends a pause that the receiver asked for.
            process.asked_to_wait.remove(&id);
        }
        self.tell(Input::Edited { webhook: id })?;
        match self.catalogue.webhook(id).filter(|webhook| webhook.status.takes_events()) {
            Some(webhook) => {
                let config = self.lane(webhook);
                note!(self, "the scheduler learns of {id}: {config:?}");
                self.tell(Input::Configured { webhook: id, config })
            }
            // What waits is skipped when it is claimed.
            None => {
                let due = self.clock();
                note!(self, "the scheduler learns that {id} is off");
                self.tell(Input::Configured { webhook: id, config: LaneConfig::UNKNOWN })?;
                self.tell(Input::Stored { webhook: id, config: None, due })
            }
        }
    }

    /// Somebody has a delivery, whichever, sent again or cancelled.
    pub(super) fn wish(&mut self, cancel: bool) -> Checked {
        let count = self.ledger.stories.len();
        let at = self.chance.index(count);
        let Some((&id, story)) = self.ledger.stories.iter().nth(at) else { return Ok(()) };
        let webhook = story.webhook;
        if self.process.as_ref().is_none_or(|process| process.draining) {
            return Ok(());
        }
        let takes = self.catalogue.webhook(webhook).is_some_and(|webhook| webhook.status.takes_events());
        if cancel {
            note!(self, "somebody cancels {id}");
            // What only waits in memory goes back to the store, where it can be cancelled.
            self.tell(Input::Recall { webhook })?;
            self.submit(Operation::Cancel { deliveries: vec![id] }, Then::Freed)
        } else if takes {
            note!(self, "somebody has {id} sent again");
            self.submit(Operation::Resend(Resend { deliveries: vec![id] }), Then::Freed)
        } else {
            Ok(())
        }
    }
}
