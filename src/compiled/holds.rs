//! What is held: an organization, a receiver's host, or everything of a project. Nothing is lost, it waits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_engine::id::{OrganizationId, ProjectId};
use parking_lot::RwLock;

/// One hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    Organization(OrganizationId),
    /// A host of a project's receivers, in lower case.
    Host(ProjectId, String),
    Everything(ProjectId),
}

/// All holds, for look-up.
#[derive(Clone, Debug, Default)]
pub struct Holds {
    organizations: HashSet<OrganizationId>,
    hosts: HashMap<ProjectId, HashSet<String>>,
    projects: HashSet<ProjectId>,
}

impl Holds {
    /// Gathers holds for look-up.
    pub fn new(holds: impl IntoIterator<Item = Hold>) -> Self {
        let mut all = Holds::default();
        for hold in holds {
            match hold {
                Hold::Organization(organization) => {
                    all.organizations.insert(organization);
                }
                Hold::Host(project, host) => {
                    all.hosts.entry(project).or_default().insert(host);
                }
                Hold::Everything(project) => {
                    all.projects.insert(project);
                }
            }
        }
        all
    }

    /// Whether there is a hold on this organization itself.
    pub fn names(&self, organization: OrganizationId) -> bool {
        self.organizations.contains(&organization)
    }

    /// Whether a webhook of this project and organization with a receiver on this host is held.
    pub fn covers(&self, project: ProjectId, organization: OrganizationId, host: &str) -> bool {
        self.projects.contains(&project)
            || self.organizations.contains(&organization)
            || self.hosts.get(&project).is_some_and(|hosts| hosts.contains(host))
    }

    fn is_empty(&self) -> bool {
        self.organizations.is_empty() && self.hosts.is_empty() && self.projects.is_empty()
    }
}

/// What is held at this moment. Compiled webhooks look here when they are asked, so that a hold compiles nothing anew.
#[derive(Debug, Default)]
pub(super) struct HeldNow {
    /// Whether anything is, for a look without the lock.
    any: AtomicBool,
    holds: RwLock<Arc<Holds>>,
}

impl HeldNow {
    pub(super) fn new(holds: Holds) -> Self {
        let held = HeldNow::default();
        held.set(holds);
        held
    }

    pub(super) fn set(&self, holds: Holds) {
        let mut now = self.holds.write();
        self.any.store(!holds.is_empty(), Ordering::SeqCst);
        *now = Arc::new(holds);
    }

    pub(super) fn get(&self) -> Arc<Holds> {
        Arc::clone(&self.holds.read())
    }

    /// See [`Holds::covers`].
    pub(super) fn covers(&self, project: ProjectId, organization: OrganizationId, host: &str) -> bool {
        self.any.load(Ordering::SeqCst) && self.holds.read().covers(project, organization, host)
    }
}
