//! One load of an organization at a time: who wants it meanwhile waits, and finds it loaded.

use std::collections::HashMap;
use std::sync::Arc;

use fanfare_engine::id::OrganizationId;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// See the module. Holds no more than what is being loaded.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<OrganizationId, Arc<AsyncMutex<()>>>>,
}

/// The right to load an organization, until it is dropped.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    id: OrganizationId,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Flights {
    /// Waits until nobody else loads this organization.
    pub(super) async fn begin(&self, id: OrganizationId) -> Flight<'_> {
        let gate = Arc::clone(self.under_way.lock().entry(id).or_default());
        // Made before the wait, so that whoever gives up waiting leaves nothing behind.
        let mut flight = Flight { flights: self, id, turn: None };
        flight.turn = Some(gate.lock_owned().await);
        flight
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way.lock();
        self.turn = None;
        // Nobody else has it but the map: whoever comes next makes a new one.
        if under_way.get(&self.id).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            under_way.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_after_the_other_and_nothing_is_left() {
        let flights = Flights::default();
        let id = OrganizationId(1);
        let first = flights.begin(id).await;
        let mut second = Box::pin(flights.begin(id));
        assert!(futures_util::poll!(&mut second).is_pending(), "it waits");
        let mut given_up = Box::pin(flights.begin(id));
        assert!(futures_util::poll!(&mut given_up).is_pending());
        drop(given_up);
        let other = flights.begin(OrganizationId(2)).await;
        drop(first);
        drop(second.await);
        drop(other);
        assert!(flights.under_way.lock().is_empty());
    }
}
