//! Decides what happens to a delivery whose turn it is.

use fanfare_engine::delivery::SkipReason;
use fanfare_engine::scheduler::Job;
use fanfare_engine::webhook::Status;

/// What matters of a webhook, as it is at this moment.
#[derive(Clone, Copy, Debug)]
pub struct WebhookState {
    pub status: Status,
    /// A pause holds it.
    pub held: bool,
    pub at_most_once: bool,
    /// Its owner may not see what it gets any more.
    pub access_revoked: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the request.
    Send,
    /// Have the store note that it is being sent, then decide again. A node that died had it, and nobody knows whether it was
    /// sent; only what is noted counts as sent if this node dies, too.
    Begin,
    /// Nothing may be sent to its webhook any more.
    Skip(SkipReason),
    /// It may have been sent before, and its webhook wants nothing twice.
    GiveUp,
    /// Give it back to the store. It is due again once the webhook is no longer held.
    GiveBack,
}

/// Decides about `job`. `webhook` is the reason if the webhook is gone. `begun` says that the store has noted it.
pub fn decide(job: &Job, webhook: Result<WebhookState, SkipReason>, begun: bool) -> Step {
    let webhook = match webhook {
        Ok(webhook) => webhook,
        Err(gone) => return Step::Skip(gone),
    };
    if let Some(reason) = skip_reason(webhook.status) {
        return Step::Skip(reason);
    }
    match job.may_have_been_sent {
        _ if webhook.held => Step::GiveBack,
        true if webhook.at_most_once => Step::GiveUp,
        _ if webhook.access_revoked => Step::Skip(SkipReason::AccessRevoked),
        true if !begun => Step::Begin,
        _ => Step::Send,
    }
}

/// Returns why nothing is sent to a webhook with this status, if so.
pub fn skip_reason(status: Status) -> Option<SkipReason> {
    match status {
        Status::Active | Status::Paused => None,
        Status::Deactivated => Some(SkipReason::WebhookDeactivated),
        Status::AutoDisabled => Some(SkipReason::WebhookAutoDisabled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::job;

    const READY: WebhookState =
        WebhookState { status: Status::Active, held: false, at_most_once: false, access_revoked: false };

    #[test]
    fn what_may_have_been_sent_is_noted_before_it_is_sent_again() {
        let again = Job { may_have_been_sent: true, ..job() };
        assert_eq!(decide(&job(), Ok(READY), false), Step::Send);
        assert_eq!(decide(&again, Ok(READY), false), Step::Begin);
        assert_eq!(decide(&again, Ok(READY), true), Step::Send);
        for begun in [false, true] {
            assert_eq!(decide(&again, Ok(WebhookState { at_most_once: true, ..READY }), begun), Step::GiveUp);
        }
    }

    #[test]
    fn a_webhook_that_changed_is_not_sent_to() {
        let step = |webhook| decide(&Job { may_have_been_sent: true, ..job() }, Ok(webhook), false);
        assert_eq!(step(WebhookState { held: true, at_most_once: true, ..READY }), Step::GiveBack);
        assert_eq!(step(WebhookState { access_revoked: true, ..READY }), Step::Skip(SkipReason::AccessRevoked));
        let off = WebhookState { status: Status::AutoDisabled, held: true, ..READY };
        assert_eq!(step(off), Step::Skip(SkipReason::WebhookAutoDisabled));
        assert_eq!(decide(&job(), Err(SkipReason::WebhookDeleted), false), Step::Skip(SkipReason::WebhookDeleted));
    }
}
