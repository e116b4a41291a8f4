//! What is held: an organization, a receiver's host, or everything of a project. Nothing is lost, it waits.

use std::collections::HashSet;

use fanfare_engine::id::{OrganizationId, ProjectId};

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
    hosts: HashSet<(ProjectId, String)>,
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
                    all.hosts.insert((project, host));
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
            || (!self.hosts.is_empty() && self.hosts.contains(&(project, host.to_owned())))
    }
}
