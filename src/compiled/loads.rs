//! Organizations that are being loaded, so that what changes meanwhile is not missed.

use std::collections::{HashMap, HashSet};

use fanfare_engine::id::{OrganizationId, ProjectId};
use parking_lot::Mutex;

use super::access::Fact;

/// Most facts that are told apart of what changed during a load; where there are more, anything may have.
const FACTS: usize = 1_000;

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
    /// Projects that allow other profiles since it began.
    profiles: HashSet<ProjectId>,
    /// Anything may have changed since it began.
    spoilt: bool,
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

    /// Whether an organization is being loaded.
    pub(super) fn is_under_way(&self, organization: OrganizationId) -> bool {
        self.under_way.lock().contains_key(&organization)
    }

    /// Tells the loads of an organization of a change.
    pub(super) fn changed(&self, organization: OrganizationId, fact: &Fact) {
        if let Some(load) = self.under_way.lock().get_mut(&organization) {
            load.spoilt |= load.changed.len() >= FACTS;
            if !load.spoilt {
                load.changed.insert(fact.clone());
            }
        }
    }

    /// Tells all loads that a project allows other profiles now; which of them are of that project is not known yet.
    pub(super) fn profiles_changed(&self, project: ProjectId) {
        #[expect(clippy::iter_over_hash_type, reason = "each is told the same, in whatever order")]
        for load in self.under_way.lock().values_mut() {
            load.profiles.insert(project);
        }
    }

    /// Tells the loads of an organization that anything may have changed.
    pub(super) fn spoil(&self, organization: OrganizationId) {
        if let Some(load) = self.under_way.lock().get_mut(&organization) {
            load.spoilt = true;
        }
    }
}

impl Loading<'_> {
    /// Whether something changed since it began, or since others began that go on, that matters to what was loaded.
    pub(super) fn missed(&self, project: ProjectId, relies_on: impl Fn(&Fact) -> bool) -> bool {
        let loads = self.loads.under_way.lock();
        loads
            .get(&self.organization)
            .is_some_and(|load| load.spoilt || load.profiles.contains(&project) || load.changed.iter().any(relies_on))
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

    const PROJECT: ProjectId = ProjectId(9);

    #[test]
    fn a_load_learns_what_changed_while_it_went_on() {
        let loads = Loads::default();
        let (one, other) = (OrganizationId(1), OrganizationId(2));
        let fact = Fact::User("anna".to_owned());
        loads.changed(one, &fact);
        let first = loads.begin(one);
        assert!(!first.missed(PROJECT, |_| true));
        loads.changed(other, &fact);
        loads.profiles_changed(ProjectId(8));
        assert!(!first.missed(PROJECT, |_| true));
        loads.changed(one, &fact);
        assert!(first.missed(PROJECT, |changed| *changed == fact));
        assert!(!first.missed(PROJECT, |changed| *changed == Fact::User("ben".to_owned())));
        loads.profiles_changed(PROJECT);
        assert!(first.missed(PROJECT, |_| false));
        drop(first);
        let second = loads.begin(one);
        assert!(!second.missed(PROJECT, |_| true));
        loads.spoil(one);
        assert!(second.missed(PROJECT, |_| false));
        drop(second);
        assert!(loads.under_way.lock().is_empty());
    }

    #[test]
    fn what_is_told_apart_is_bounded() {
        let loads = Loads::default();
        let load = loads.begin(OrganizationId(1));
        for number in 0..FACTS {
            loads.changed(OrganizationId(1), &Fact::User(number.to_string()));
        }
        assert!(!load.missed(PROJECT, |_| false));
        loads.changed(OrganizationId(1), &Fact::User("one more".to_owned()));
        assert!(load.missed(PROJECT, |_| false));
    }
}
