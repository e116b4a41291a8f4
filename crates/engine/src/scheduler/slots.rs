//! How many requests may be under way, over all and for each organization.

use std::collections::{HashMap, VecDeque};

use crate::id::{OrganizationId, WebhookId};

/// See the module.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    limit_per_organization: usize,
    in_flight: usize,
    unrecorded: usize,
    organizations: HashMap<OrganizationId, Share>,
}

#[derive(Debug, Default)]
struct Share {
    in_flight: usize,
    /// Lanes that had something to send when the share was used up.
    parked: VecDeque<WebhookId>,
}

impl Slots {
    pub(super) fn new(limit: usize, limit_per_organization: usize) -> Self {
        Slots { limit, limit_per_organization, in_flight: 0, unrecorded: 0, organizations: HashMap::new() }
    }

    /// Whether a further request may start, whosever it is. What is not recorded counts, so that a store that cannot
    /// keep up slows the sending down.
    pub(super) fn is_free(&self) -> bool {
        self.in_flight + self.unrecorded < self.limit
    }

    /// Takes a slot, or parks the webhook until its organization gives one back.
    pub(super) fn take(&mut self, organization: OrganizationId, webhook: WebhookId) -> bool {
        let share = self.organizations.entry(organization).or_default();
        if share.in_flight >= self.limit_per_organization {
            share.parked.push_back(webhook);
            return false;
        }
        share.in_flight += 1;
        self.in_flight += 1;
        true
    }

    /// Takes a further slot if both limits let it.
    pub(super) fn try_take(&mut self, organization: OrganizationId) -> bool {
        if !self.is_free() {
            return false;
        }
        let share = self.organizations.entry(organization).or_default();
        if share.in_flight >= self.limit_per_organization {
            return false;
        }
        share.in_flight += 1;
        self.in_flight += 1;
        true
    }

    /// A slot was taken and no request was made.
    pub(super) fn give_back_unused(&mut self, organization: OrganizationId) {
        self.give_back(organization);
        self.recorded();
    }

    /// A request is over and its outcome not yet on disk.
    pub(super) fn give_back(&mut self, organization: OrganizationId) {
        self.in_flight -= 1;
        self.unrecorded += 1;
        if let Some(share) = self.organizations.get_mut(&organization) {
            share.in_flight -= 1;
            if share.in_flight == 0 && share.parked.is_empty() {
                self.organizations.remove(&organization);
            }
        }
    }

    /// The next webhook that was parked for a slot of this organization, if there is a slot for it.
    pub(super) fn unpark(&mut self, organization: OrganizationId) -> Option<WebhookId> {
        let share = self.organizations.get_mut(&organization)?;
        if share.in_flight < self.limit_per_organization { share.parked.pop_front() } else { None }
    }

    pub(super) fn recorded(&mut self) {
        self.unrecorded -= 1;
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn unrecorded(&self) -> usize {
        self.unrecorded
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.unrecorded == 0
    }
}
