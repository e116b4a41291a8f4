//! Bounds the bytes of deliveries in memory, in total and per organization, and lines up the webhooks that wait for some.
//!
//! An organization may use a quarter. An eighth of the total is reserved for organizations that use little, so others make progress
//! no matter how many fill their quarters with large deliveries for receivers that hang.

use std::collections::VecDeque;

use foldhash::HashMap;

use crate::id::{OrganizationId, WebhookId};

/// The part that one organization may use, as a divisor.
const ORGANIZATION_SHARE: usize = 4;
/// The part that one webhook may use, as a divisor, so that one which hangs leaves room for its organization's others.
const LANE_SHARE: usize = 8;
/// The part reserved for organizations that use little, as a divisor.
const RESERVE: usize = 8;
/// The most that such an organization uses, as a divisor of the total. 64 of them fit into the reserve.
const LITTLE: usize = 512;
/// What one webhook and one organization may use however little memory there is, in bytes.
pub(super) const LEAST_SHARE: usize = 64 << 10;
/// A claim may bring this part of all bytes, so that many lanes can claim at once.
const CLAIM_PART: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    /// The size of the largest delivery. A claim brings at least one.
    largest: usize,
    bytes: usize,
    organizations: HashMap<OrganizationId, Share>,
    /// Webhooks that can't claim before there is memory outside the reserve, with their organization.
    starved: VecDeque<(OrganizationId, WebhookId)>,
    /// Webhooks that can't claim before there is any memory. Their organizations use little.
    starved_of_little: VecDeque<WebhookId>,
}

#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// Webhooks that wait for memory of their organization.
    starved: VecDeque<WebhookId>,
    /// How many of its webhooks are in [`Memory::starved`].
    in_line: usize,
}

impl Memory {
    pub(super) fn new(limit: usize, largest: usize) -> Self {
        Memory {
            limit,
            largest: largest.max(1),
            bytes: 0,
            organizations: HashMap::default(),
            starved: VecDeque::new(),
            starved_of_little: VecDeque::new(),
        }
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
        weight <= self.left_for(organization)
    }

    /// Whether more than half of all memory is used, or of an organization's share.
    pub(super) fn is_scarce(&self, organization: OrganizationId) -> bool {
        2 * self.bytes > self.limit || 2 * self.held(organization) > self.organization_share()
    }

    pub(super) fn hold(&mut self, organization: OrganizationId, weight: usize) {
        self.bytes += weight;
        self.organizations.entry(organization).or_default().bytes += weight;
    }

    /// Something is not in memory any more. One that waits for memory of its organization may ask again.
    pub(super) fn let_go(&mut self, organization: OrganizationId, weight: usize) {
        self.bytes -= weight;
        let little = self.little();
        if let Some(share) = self.organizations.get_mut(&organization) {
            share.bytes -= weight;
            if share.in_line > 0 && share.bytes < little {
                share.in_line = 0;
                let (own, others): (VecDeque<_>, _) = self.starved.drain(..).partition(|(of, _)| *of == organization);
                self.starved = others;
                self.starved_of_little.extend(own.into_iter().map(|(_, webhook)| webhook));
            }
        }
        self.feed_next_of(organization);
    }

    /// Keeps memory free for what a claim may bring and answers how much. Where there is none the webhook waits in line,
    /// until [`Memory::next_fed`] names it.
    pub(super) fn hold_for_claim(&mut self, organization: OrganizationId, webhook: WebhookId) -> Option<usize> {
        let left = self.left_for(organization);
        // An organization that uses little may exceed that by one delivery.
        if left >= self.largest || (left > 0 && self.uses_little(organization)) {
            let part = (self.limit / CLAIM_PART).max(self.largest).min(left);
            self.hold(organization, part);
            return Some(part);
        }
        self.wait(organization, webhook);
        None
    }

    /// Puts a webhook in the line for what it lacks: its organization's share, memory outside the reserve, or any.
    fn wait(&mut self, organization: OrganizationId, webhook: WebhookId) {
        if self.uses_little(organization) {
            self.starved_of_little.push_back(webhook);
            return;
        }
        let has_share = self.has_share(organization);
        let share = self.organizations.entry(organization).or_default();
        if has_share {
            share.in_line += 1;
            self.starved.push_back((organization, webhook));
        } else {
            share.starved.push_back(webhook);
        }
    }

    /// The next webhook in line, if there is memory for it.
    pub(super) fn next_fed(&mut self) -> Option<WebhookId> {
        if self.bytes < self.limit
            && let Some(webhook) = self.starved_of_little.pop_front()
        {
            return Some(webhook);
        }
        if self.bytes + self.largest > self.limit - self.reserve() {
            return None;
        }
        let (organization, webhook) = self.starved.pop_front()?;
        if let Some(share) = self.organizations.get_mut(&organization) {
            share.in_line -= 1;
        }
        Some(webhook)
    }

    /// Lets the next that waits for memory of its organization get into the line of all, if there is some. To be called
    /// after each that [`Memory::next_fed`] named, since that one may not have needed what there is.
    pub(super) fn feed_next_of(&mut self, organization: OrganizationId) {
        let has_share = self.has_share(organization);
        let Some(share) = self.organizations.get_mut(&organization) else { return };
        let next = if has_share { share.starved.pop_front() } else { None };
        if let Some(webhook) = next {
            self.wait(organization, webhook);
        } else if share.bytes == 0 && share.starved.is_empty() && share.in_line == 0 {
            self.organizations.remove(&organization);
        }
    }

    /// Whether an organization's share has room for a claim.
    fn has_share(&self, organization: OrganizationId) -> bool {
        self.uses_little(organization) || self.held(organization) + self.largest <= self.organization_share()
    }

    /// Whether an organization may use some of the reserve.
    fn uses_little(&self, organization: OrganizationId) -> bool {
        self.held(organization) < self.little()
    }

    /// Returns how much more an organization may use now.
    fn left_for(&self, organization: OrganizationId) -> usize {
        let free = self.limit.saturating_sub(self.bytes);
        let held = self.held(organization);
        let free = free.saturating_sub(self.reserve()).max(self.little().saturating_sub(held).min(free));
        self.organization_share().saturating_sub(held).min(free)
    }

    fn held(&self, organization: OrganizationId) -> usize {
        self.organizations.get(&organization).map_or(0, |share| share.bytes)
    }

    fn organization_share(&self) -> usize {
        (self.limit / ORGANIZATION_SHARE).max(LEAST_SHARE)
    }

    fn reserve(&self) -> usize {
        self.limit / RESERVE
    }

    /// Returns the most that an organization which uses little has.
    fn little(&self) -> usize {
        (self.limit / LITTLE).max(1)
    }
}
