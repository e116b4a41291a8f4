//! Lanes whose deliveries are leased only with a slot in hand, since what is leased when the server dies counts as sent.
//!
//! Such a lane holds nothing in memory. A new delivery that finds a slot is written leased and sent once it is on disk;
//! the others wait in the store. When it is its turn the lane takes slots, then claims as many deliveries as it has slots;
//! what comes is sent at once, and slots that bring nothing go back.

use super::lane::Lane;
use super::{Command, Job, Scheduler};
use crate::id::WebhookId;
use crate::time::Timestamp;

impl Scheduler {
    /// It is this lane's turn: takes the slots that it may have, and claims for them.
    pub(super) fn claim_with_slots(&mut self, now: Timestamp, webhook: WebhookId, commands: &mut Vec<Command>) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        let (organization, most) = (lane.config.organization, lane.may_start(now));
        if !self.slots.try_take(now, organization, &mut lane.seat) {
            self.make_ready(now, webhook);
            return;
        }
        let max_bytes = self.reserve_for_claim(webhook);
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        let Some(max_bytes) = max_bytes else {
            self.slots.give_back_unused(now, organization, &mut lane.seat);
            return;
        };
        lane.took_slot();
        while lane.claimed_slots < most && self.slots.try_take(now, organization, &mut lane.seat) {
            lane.took_slot();
        }
        commands.push(Command::Claim { webhook, limit: lane.claimed_slots, max_bytes, slots: true });
    }

    /// Sends what such a claim brought, each in a slot that was taken for it, and hands on the slots that are left.
    pub(super) fn claimed_with_slots(
        &mut self,
        now: Timestamp,
        webhook: WebhookId,
        jobs: Vec<Job>,
        commands: &mut Vec<Command>,
    ) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        let mut unsent = Vec::new();
        for job in jobs {
            if self.draining || !lane.use_claimed_slot(now) {
                unsent.push((job.delivery, job.claim));
                continue;
            }
            lane.bytes += job.weight;
            self.memory.hold(lane.config.organization, job.weight);
            commands.push(Command::Send(job));
        }
        if !unsent.is_empty() {
            commands.push(Command::Release { webhook, leases: unsent });
        }
        self.return_slots(now, webhook);
    }

    /// A lane that waited for a slot does not want it now: it is forgotten, or looked at again once something is due, which
    /// may be later than it was where the clock was set back.
    pub(super) fn rest(&mut self, now: Timestamp, webhook: WebhookId) {
        let due = self.lanes.get(&webhook).filter(|lane| lane.config.at_most_once).and_then(|lane| lane.stored);
        match due.filter(|due| *due > now) {
            Some(due) => self.set_timer(webhook, due),
            None => self.forget_if_idle(now, webhook),
        }
    }

    /// Hands on the slots that were taken for a claim and not used.
    pub(super) fn return_slots(&mut self, now: Timestamp, webhook: WebhookId) {
        self.hand_on(now, webhook, Lane::return_slots);
    }

    /// Hands on the slots that were taken for deliveries which are admitted no more and were not sent.
    pub(super) fn return_admitted_slots(&mut self, now: Timestamp, webhook: WebhookId) {
        self.hand_on(now, webhook, Lane::return_admitted_slots);
    }

    fn hand_on(&mut self, now: Timestamp, webhook: WebhookId, unused: fn(&mut Lane) -> usize) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        for _ in 0..unused(lane) {
            self.slots.give_back_unused(now, lane.config.organization, &mut lane.seat);
        }
        // Where it may be sent to more than once by now, it may have a queue, too.
        if !lane.config.at_most_once {
            self.make_ready(now, webhook);
        }
    }
}
