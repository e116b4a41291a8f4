//! The texts of what sends many deliveries again.

use crate::portal::texts::{JobTexts, RecoverTexts};

pub(super) const RECOVER: RecoverTexts = RecoverTexts {
    title: "Recover",
    lead: "Send this webhook what it did not get: what failed, and what happened while it was off.",
    link: "Recover what was missed",
    since: "From",
    until: "Until",
    until_hint: "Empty for now.",
    not_begun: "Nothing was sent yet",
    since_needed: "Say from which time on: what happened then or later is sent.",
    until_earlier: "Until must be later than from.",
    states: "Send again what is",
    states_hint: "Events that the webhook matches and has no delivery of are always sent.",
    preview: "Count first",
    note: "They are sent oldest first, at the webhook's usual pace.",
    start: "Send them",
    nothing: "There is nothing to recover in that time.",
    off: "The webhook is off. Switch it on before you recover what it missed.",
};

pub(super) const JOB: JobTexts = JobTexts {
    resend: "Sending deliveries again",
    cancel_many: "Cancelling deliveries",
    recover: "Recovering what was missed",
    running: "Under way",
    completed: "Done",
    cancelled: "Stopped",
    failed: "Failed",
    of: "{done} of {total} deliveries",
    one: "{n} delivery",
    many: "{n} deliveries",
    more_than: "{n} deliveries or more",
    started: "Begun",
    stop: "Stop",
    reload: "See how far it is",
    deliveries: "To the deliveries",
};
