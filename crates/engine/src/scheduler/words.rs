//! The scheduler's words: its bounds, the facts that it is told, and the commands that it gives.

use std::sync::Arc;

use crate::delivery::{Single, Trigger};
use crate::event::Event;
use crate::id::{DeliveryId, OrganizationId, WebhookId};
use crate::time::Timestamp;
use crate::webhook::RateLimit;

/// The bounds of what is held and sent at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests under way or not yet recorded, over all webhooks.
    pub in_flight: usize,
    /// Bytes of deliveries in memory and of their requests, over all webhooks.
    pub bytes: usize,
    /// Bytes of the largest delivery there may be: a claim brings one at least.
    pub largest: usize,
    /// Deliveries that a lane holds for each request it may have under way.
    pub window_per_slot: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { in_flight: 4_096, bytes: 64 << 20, largest: 0, window_per_slot: 64 }
    }
}

/// What the scheduler must know of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneConfig {
    pub organization: OrganizationId,
    /// Requests under way at once, at most. At least 1.
    pub concurrency: u32,
    pub rate: Option<RateLimit>,
    /// Nothing is sent while this holds (a pause); everything waits in the store.
    pub held: bool,
    /// Its deliveries are leased only once there is a slot for them, right before they are sent: what is leased when the
    /// server dies counts as sent. New ones that find no slot wait in the store, and none in memory.
    pub at_most_once: bool,
}

impl LaneConfig {
    /// Of a webhook of which only the id is known, or which gets nothing any more: it holds nothing back, and says nothing
    /// else. Nothing is sent before the rest is known.
    pub const UNKNOWN: LaneConfig =
        LaneConfig { organization: OrganizationId(0), concurrency: 1, rate: None, held: false, at_most_once: false };

    pub(super) fn is_known(&self) -> bool {
        self.organization != LaneConfig::UNKNOWN.organization
    }
}

/// A leased delivery in memory.
#[derive(Clone, Debug)]
pub struct Job {
    pub delivery: DeliveryId,
    pub webhook: WebhookId,
    /// The claim of its lease.
    pub claim: u32,
    pub event: Arc<Event>,
    /// How many attempts are in its log.
    pub attempts: u32,
    /// How many attempts of the schedule failed.
    pub failures: u32,
    pub trigger: Trigger,
    pub single: Single,
    /// A node that is no more held it, and nobody knows whether it sent it.
    pub may_have_been_sent: bool,
    /// Bytes it counts for, until its outcome is on disk: its request has a body of its own. It is what was asked for by
    /// [`Scheduler::admit`](super::Scheduler::admit).
    pub weight: usize,
}

impl Job {
    /// What the scheduler is told once the request is over, or was never made.
    pub fn sent(&self, trouble: bool) -> Input {
        Input::Sent { webhook: self.webhook, weight: self.weight, trouble }
    }

    /// What the scheduler is told once the outcome is on disk.
    pub fn recorded(&self) -> Input {
        Input::Recorded { organization: self.event.organization, weight: self.weight }
    }
}

/// A fact that the scheduler is told.
#[derive(Debug)]
pub enum Input {
    /// An admitted delivery is on disk, leased.
    Accepted(Job),
    /// An admitted delivery did not come to be.
    Refused { webhook: WebhookId, weight: usize },
    /// Something of this webhook waits in the store, due at this time.
    Stored { webhook: WebhookId, config: Option<LaneConfig>, due: Timestamp },
    /// The answer to [`Command::Claim`]. The settings are those of before the claim.
    Claimed { webhook: WebhookId, config: LaneConfig, jobs: Vec<Job>, next_due: Option<Timestamp> },
    /// [`Command::Claim`] could not be carried out.
    ClaimFailed { webhook: WebhookId },
    /// The request of a [`Command::Send`] is over, or was never made. `trouble`: the receiver showed that it cannot keep up.
    Sent { webhook: WebhookId, weight: usize, trouble: bool },
    /// The receiver showed that it cannot keep up after [`Input::Sent`] was told.
    Trouble { webhook: WebhookId },
    /// The receiver asked for no requests before this time. To be told before [`Input::Sent`].
    BackOff { webhook: WebhookId, until: Timestamp },
    /// What came of a [`Command::Send`] is on disk, and nothing of the delivery is in memory any more: see [`Job::recorded`].
    Recorded { organization: OrganizationId, weight: usize },
    /// The webhook was edited: what its receiver asked for before does not hold any more. [`Input::Configured`] follows.
    Edited { webhook: WebhookId },
    /// The webhook's settings changed; [`LaneConfig::UNKNOWN`] where it gets nothing any more.
    Configured { webhook: WebhookId, config: LaneConfig },
    /// Give back what waits in memory for this webhook, so that it can be changed in the store.
    Recall { webhook: WebhookId },
    /// Time has passed.
    Tick,
    /// Send nothing new; give everything back.
    Drain,
}

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Make the request. Answer with [`Input::Sent`] and then [`Input::Recorded`].
    Send(Job),
    /// Lease what is due. Answer with [`Input::Claimed`] or [`Input::ClaimFailed`]. `slots`: there is a slot for each, and it
    /// is sent at once. Without them, nothing is leased of a webhook that is sent to at most once, and nothing of any where
    /// `max_bytes` is 0; the answer then only tells its settings, and that something is due.
    Claim { webhook: WebhookId, limit: u32, max_bytes: usize, slots: bool },
    /// Give back leases of a webhook; then tell by [`Input::Stored`] that they wait.
    Release { webhook: WebhookId, leases: Vec<(DeliveryId, u32)> },
}

/// Figures for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests under way.
    pub in_flight: usize,
    /// Requests that are over and not yet recorded.
    pub recording: usize,
    /// Deliveries in memory that wait for their turn.
    pub queued: usize,
    /// Bytes of what is in memory, and of what claims under way may bring.
    pub bytes: usize,
    /// Webhooks that have anything to do.
    pub lanes: usize,
}
