//! Organizations that are being loaded, so that what changes meanwhile is not missed.

use std::collections::{HashMap, HashSet};

use fanfare_engine::id::OrganizationId;
use parking_lot::Mutex;

use super::access::Fact;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Loads {
    under_way: Mutex<HashMap<OrganizationId, Load>>,
}

#[derive(Debug, Default)]
struct Load {
    /// How many load it at this moment.
    count: usize,
    changed: HashSet<Fact>,
}

/// One load, until it is dropped.
pub(super) struct Loading<'a> {
    loads: &'a Loads,
    organization: OrganizationId,
}

impl Loads {
    /// Begins a load; to be called before anything is read.
    pub(super) fn begin(&self, organization: OrganizationId) -> Loading<'_> {
        self.under_way.lock().entry(organization).or_default().count += 1;
        Loading { loads: self, organization }
    }

    /// Tells the loads of an organization of a change.
    pub(super) fn changed(&self, organization: OrganizationId, fact: &Fact) {
        if let Some(load) = self.under_way.lock().get_mut(&organization) {
            load.changed.insert(fact.clone());
        }
    }
}

impl Loading<'_> {
    /// Whether something changed since it began, or since others began that go on.
    pub(super) fn missed(&self, relies_on: impl Fn(&Fact) -> bool) -> bool {
        let loads = self.loads.under_way.lock();
        loads.get(&self.organization).is_some_and(|load| load.changed.iter().any(relies_on))
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut loads = self.loads.under_way.lock();
        if let Some(load) = loads.get_mut(&self.organization) {
            load.count -= 1;
            if load.count == 0 {
                loads.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_learns_what_changed_while_it_went_on() {
        let loads = Loads::default();
        let (one, other) = (OrganizationId(1), OrganizationId(2));
        let fact = Fact::User("anna".to_owned());
        loads.changed(one, &fact);
        let first = loads.begin(one);
        assert!(!first.missed(|_| true));
        loads.changed(other, &fact);
        assert!(!first.missed(|_| true));
        loads.changed(one, &fact);
        assert!(first.missed(|changed| *changed == fact));
        assert!(!first.missed(|changed| *changed == Fact::User("ben".to_owned())));
        drop(first);
        assert!(!loads.begin(one).missed(|_| true));
        assert!(loads.under_way.lock().is_empty());
    }
}
