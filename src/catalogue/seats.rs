//! How many of something an organization may have at once, so that one of them does not take what there is for all.

use std::collections::HashMap;
use std::sync::Arc;

use fanfare_engine::id::OrganizationId;
use parking_lot::Mutex;

/// So many seats for each organization, and so many for all together.
#[derive(Clone)]
pub struct Seats {
    taken: Arc<Mutex<Taken>>,
    each: u32,
    all: u32,
}

#[derive(Default)]
struct Taken {
    all: u32,
    /// Only organizations that have any.
    of: HashMap<OrganizationId, u32>,
}

impl Seats {
    /// `each` for one organization, `all` for all of them.
    pub fn new(each: u32, all: u32) -> Seats {
        Seats { taken: Arc::default(), each, all }
    }

    /// Takes a seat until the answer is dropped; `None` where the organization has as many as it may, or all are taken.
    pub fn take(&self, organization: OrganizationId) -> Option<Seat> {
        let mut taken = self.taken.lock();
        let own = taken.of.get(&organization).copied().unwrap_or(0);
        if own >= self.each || taken.all >= self.all {
            return None;
        }
        taken.all += 1;
        taken.of.insert(organization, own + 1);
        Some(Seat { taken: Arc::clone(&self.taken), organization })
    }
}

/// A seat that is taken.
pub struct Seat {
    taken: Arc<Mutex<Taken>>,
    organization: OrganizationId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.all -= 1;
        if let Some(count) = taken.of.get_mut(&self.organization) {
            *count -= 1;
            if *count == 0 {
                taken.of.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_organization_has_its_own_bound_below_that_of_all() {
        let [one, two, three] = [1, 2, 3].map(OrganizationId);
        let seats = Seats::new(2, 3);
        let mut first = vec![seats.take(one).unwrap(), seats.take(one).unwrap()];
        assert!(seats.take(one).is_none(), "it has two");
        let second = seats.take(two).unwrap();
        assert!(seats.take(three).is_none(), "all are taken");
        first.pop();
        let third = seats.take(three).unwrap();
        assert!(seats.take(one).is_none());
        drop((first, second, third));
        let taken = seats.taken.lock();
        assert!(taken.of.is_empty() && taken.all == 0, "nothing is remembered of who has none");
    }
}
