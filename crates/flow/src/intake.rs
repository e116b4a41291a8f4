//! Turns an event into deliveries, and builds the facts for the scheduler once they are stored.

use std::sync::Arc;

use fanfare_engine::delivery::{Single, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, NodeId, WebhookId};
use fanfare_engine::scheduler::{Input, Job, LaneConfig};
use fanfare_engine::time::Timestamp;
use fanfare_store::StoreResult;
use fanfare_store::queue::{Accepted, NewDelivery};

/// What a delivery weighs in memory besides its event, in bytes.
const DELIVERY_WEIGHT: usize = 512;

/// An event and its deliveries, on their way to the store.
#[derive(Clone, Debug)]
pub struct Placed {
    pub event: Arc<Event>,
    pub deliveries: Vec<NewDelivery>,
    /// Bytes that each delivery counts for in memory.
    weight: usize,
}

/// Makes a delivery of `event` for each target. `admit` asks the scheduler for room; a delivery that gets it is leased to `node` and
/// sent from memory, and the others wait in the store. With an ordering key all wait there: an earlier one may have to go
/// first.
pub fn place(
    event: Event,
    targets: impl Iterator<Item = (DeliveryId, WebhookId, LaneConfig)>,
    node: NodeId,
    trigger: Trigger,
    now: Timestamp,
    mut admit: impl FnMut(DeliveryId, WebhookId, LaneConfig, usize) -> bool,
) -> Placed {
    let weight = event.weight() + DELIVERY_WEIGHT;
    let ordered = event.ordering_key.is_some();
    let deliveries = targets
        .map(|(id, webhook, lane)| {
            let in_memory = !ordered && admit(id, webhook, lane, weight);
            NewDelivery { id, webhook, lease: in_memory.then_some(node), due: now, trigger }
        })
        .collect();
    Placed { event: Arc::new(event), deliveries, weight }
}

impl Placed {
    /// Returns the facts for the scheduler, given the store's answer.
    pub fn inputs(self, accepted: &StoreResult<Accepted>) -> impl Iterator<Item = Input> {
        let is_new = matches!(accepted, Ok(Accepted::New { .. }));
        let held_back: &[DeliveryId] = match accepted {
            Ok(Accepted::New { held_back, .. }) => held_back,
            _ => &[],
        };
        let Placed { event, deliveries, weight } = self;
        deliveries.into_iter().filter_map(move |delivery| {
            let webhook = delivery.webhook;
            match (is_new, delivery.lease) {
                (true, Some(_)) => Some(Input::Accepted(job(&event, &delivery, weight))),
                (false, Some(_)) => Some(Input::Refused { webhook, weight }),
                // It is due once the one before it is final, and that is told then.
                (true, None) if held_back.binary_search(&delivery.id).is_ok() => None,
                (true, None) => Some(Input::Stored { webhook, config: None, due: delivery.due }),
                (false, None) => None,
            }
        })
    }
}

fn job(event: &Arc<Event>, delivery: &NewDelivery, weight: usize) -> Job {
    Job {
        delivery: delivery.id,
        webhook: delivery.webhook,
        claim: 1,
        event: Arc::clone(event),
        attempts: 0,
        failures: 0,
        trigger: delivery.trigger,
        single: if delivery.trigger == Trigger::Test { Single::Attempt } else { Single::No },
        may_have_been_sent: false,
        weight,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{NOW, event};

    /// Three deliveries, of which there is room for the first in memory.
    fn placed(ordering_key: Option<&str>) -> Placed {
        let targets = (10..13).map(|id| (DeliveryId(id), WebhookId(id), LaneConfig::UNKNOWN));
        place(event(ordering_key), targets, NodeId(1), Trigger::Schedule, NOW, |id, _, _, _| id.0 == 10)
    }

    fn told(placed: Placed, accepted: StoreResult<Accepted>) -> Vec<(&'static str, i64)> {
        let name = |input| match input {
            Input::Accepted(job) => ("accepted", job.webhook.0),
            Input::Refused { webhook, .. } => ("refused", webhook.0),
            Input::Stored { webhook, .. } => ("stored", webhook.0),
            other => panic!("{other:?}"),
        };
        placed.inputs(&accepted).map(name).collect()
    }

    #[test]
    fn what_has_room_is_sent_from_memory_and_the_rest_waits() {
        let new = Accepted::New { held_back: vec![DeliveryId(12)], learnt: false };
        assert_eq!(told(placed(None), Ok(new)), [("accepted", 10), ("stored", 11)], "the third waits for another");
        let repeated = Accepted::Repeated { event: fanfare_engine::id::EventId(1), deliveries: 3 };
        assert_eq!(told(placed(None), Ok(repeated)), [("refused", 10)]);
    }

    #[test]
    fn an_ordering_key_keeps_deliveries_out_of_memory() {
        assert!(placed(Some("key")).deliveries.iter().all(|delivery| delivery.lease.is_none()));
        assert!(placed(None).deliveries[0].lease.is_some());
    }
}
