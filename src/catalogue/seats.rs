//! How many of something one owner may have at once, so that it cannot take what there is for all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use fanfare_engine::id::OrganizationId;
use parking_lot::Mutex;

/// A number of seats for each owner, by default an organization, and a number for all owners together.
#[derive(Clone)]
pub struct Seats<K = OrganizationId> {
    taken: Arc<Mutex<Taken<K>>>,
    each: u32,
    all: u32,
}

struct Taken<K> {
    all: u32,
    /// Only owners that have any.
    of: HashMap<K, u32>,
}

impl<K: Copy + Eq + Hash> Seats<K> {
    /// `each` for one owner, `all` for all of them.
    pub fn new(each: u32, all: u32) -> Seats<K> {
        Seats { taken: Arc::new(Mutex::new(Taken { all: 0, of: HashMap::new() })), each, all }
    }

    /// Takes a seat until the returned value is dropped; `None` where the owner has as many as it may, or all are taken.
    pub fn take(&self, owner: K) -> Option<Seat<K>> {
        let mut taken = self.taken.lock();
        let own = taken.of.get(&owner).copied().unwrap_or(0);
        if own >= self.each || taken.all >= self.all {
            return None;
        }
        taken.all += 1;
        taken.of.insert(owner, own + 1);
        Some(Seat { taken: Arc::clone(&self.taken), owner })
    }
}

/// A seat that is taken.
pub struct Seat<K: Copy + Eq + Hash = OrganizationId> {
    taken: Arc<Mutex<Taken<K>>>,
    owner: K,
}

impl<K: Copy + Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.all -= 1;
        if let Some(count) = taken.of.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                taken.of.remove(&self.owner);
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
