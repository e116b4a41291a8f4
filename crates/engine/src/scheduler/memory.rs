//! How many bytes of deliveries are in memory, over all and for each organization, and who waits for some to be free.

use std::collections::VecDeque;

use foldhash::HashMap;

use super::LaneConfig;
use crate::id::{OrganizationId, WebhookId};

/// The part of the memory that one organization may use, as a divisor: so many that hang leave nothing for others.
const ORGANIZATION_SHARE: usize = 4;
/// The part that one webhook may use, as a divisor, so that one which hangs leaves room for its organization's others.
const LANE_SHARE: usize = 8;
/// What one webhook and one organization may use however little memory there is, in bytes.
pub(super) const LEAST_SHARE: usize = 64 << 10;
/// A claim may bring this part of all bytes, so that many lanes can claim at once.
const CLAIM_PART: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    bytes: usize,
    organizations: HashMap<OrganizationId, Share>,
    /// Webhooks that wait for memory, whosever it is, before they can claim.
    starved: VecDeque<WebhookId>,
}

#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// Webhooks that wait for memory of their organization.
    starved: VecDeque<WebhookId>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Memory { limit, bytes: 0, organizations: HashMap::default(), starved: VecDeque::new() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What one webhook may use.
    pub(super) fn lane_share(&self) -> usize {
        (self.limit / LANE_SHARE).max(LEAST_SHARE)
    }

    /// Whether so much more of an organization fits.
    pub(super) fn has_room(&self, organization: OrganizationId, weight: usize) -> bool {
        self.bytes + weight <= self.limit && weight <= self.left_for(organization)
    }

    /// Whether more than half of all memory is used, or of an organization's share.
    pub(super) fn is_scarce(&self, organization: OrganizationId) -> bool {
        let used = self.organizations.get(&organization).map_or(0, |share| share.bytes);
        2 * self.bytes > self.limit || used > self.left_for(organization)
    }

    pub(super) fn hold(&mut self, organization: OrganizationId, weight: usize) {
        self.bytes += weight;
        self.organizations.entry(organization).or_default().bytes += weight;
    }

    /// Something is not in memory any more. One that waits for memory of its organization may ask again.
    pub(super) fn let_go(&mut self, organization: OrganizationId, weight: usize) {
        self.bytes -= weight;
        if let Some(share) = self.organizations.get_mut(&organization) {
            share.bytes -= weight;
        }
        self.feed_next_of(organization);
    }

    /// Keeps memory free for what a claim may bring and answers how much. Where there is none the webhook waits in line,
    /// until [`Memory::next_fed`] names it.
    pub(super) fn hold_for_claim(&mut self, organization: OrganizationId, webhook: WebhookId) -> Option<usize> {
        let left = self.limit.saturating_sub(self.bytes);
        let left_for = self.left_for(organization);
        let part = (self.limit / CLAIM_PART).max(1).min(left).min(left_for);
        if part > 0 {
            self.hold(organization, part);
            return Some(part);
        }
        if left == 0 {
            self.starved.push_back(webhook);
        } else {
            self.organizations.entry(organization).or_default().starved.push_back(webhook);
        }
        None
    }

    /// The next webhook in line, if there is memory for it.
    pub(super) fn next_fed(&mut self) -> Option<WebhookId> {
        if self.bytes < self.limit { self.starved.pop_front() } else { None }
    }

    /// Lets the next that waits for memory of its organization get into the line of all, if there is some. To be called
    /// after each that [`Memory::next_fed`] named, since that one may not have needed what there is.
    pub(super) fn feed_next_of(&mut self, organization: OrganizationId) {
        let left = self.left_for(organization);
        let Some(share) = self.organizations.get_mut(&organization) else { return };
        if left > 0 {
            self.starved.extend(share.starved.pop_front());
        }
        if share.bytes == 0 && share.starved.is_empty() {
            self.organizations.remove(&organization);
        }
    }

    /// How much of its share an organization has left. Of those of which only the webhook's id is known, nothing is in
    /// memory but what their claims may bring.
    fn left_for(&self, organization: OrganizationId) -> usize {
        if organization == LaneConfig::UNKNOWN.organization {
            return self.limit;
        }
        let share = (self.limit / ORGANIZATION_SHARE).max(LEAST_SHARE);
        share.saturating_sub(self.organizations.get(&organization).map_or(0, |share| share.bytes))
    }
}
