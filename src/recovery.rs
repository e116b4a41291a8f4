//! What a webhook is still to get of the events that there were.

use fanfare_engine::id::{DeliveryId, floor_at};
use fanfare_store::bulk::Received;
use fanfare_store::catalogue::jobs::Recovery;

use crate::compiled::CompiledWebhook;

/// What recovery does about one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Send the delivery there is once more.
    Resend(DeliveryId),
    /// Make a delivery: there was none.
    Deliver,
    Nothing,
}

/// What is to be done about an event. Tests are left alone, whichever webhook they were for.
pub fn wanted(recovery: &Recovery, webhook: &CompiledWebhook, received: &Received) -> Wanted {
    if received.is_test {
        return Wanted::Nothing;
    }
    match received.delivery {
        Some((delivery, state)) if recovery.states.contains(&state) => Wanted::Resend(delivery),
        Some(_) => Wanted::Nothing,
        // It may have got it.
        None if received.is_forgotten => Wanted::Nothing,
        None if webhook.interest.check(&received.event).is_ok() => Wanted::Deliver,
        None => Wanted::Nothing,
    }
}

/// Between which ids the events are that a recovery looks at: above the first, below the second. `position` is the last
/// one looked at, `end` the first one that is too new.
pub fn bounds(recovery: &Recovery, position: i64, end: i64) -> (i64, i64) {
    let below = recovery.until.map_or(end, |until| floor_at(until).min(end));
    (position.max(floor_at(recovery.since) - 1), below)
}
