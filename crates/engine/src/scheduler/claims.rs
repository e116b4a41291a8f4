//! Asks the store for what waits there, when something is due and a lane has room for it, and takes in what comes.

use std::time::Duration;

use super::lane::{Lane, Room};
use super::{Command, Job, LaneConfig, Scheduler, earlier};
use crate::id::WebhookId;
use crate::time::Timestamp;

/// How long a lane waits after the store could not give it work.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);

impl Scheduler {
    pub(super) fn claimed(
        &mut self,
        now: Timestamp,
        webhook: WebhookId,
        config: LaneConfig,
        jobs: Vec<Job>,
        next_due: Option<Timestamp>,
        commands: &mut Vec<Command>,
    ) {
        let lane = self.lanes.entry(webhook).or_insert_with(|| Lane::new(now, webhook, config));
        if std::mem::take(&mut lane.reconfigured) {
            lane.learn(config);
        } else {
            lane.configure(config);
        }
        let (with_slots, may_queue) = (lane.claimed_slots > 0, lane.may_queue(now));
        let brought = (lane.claims_deliveries() && config.is_known() && !config.held && !config.at_most_once)
            .then(|| u32::try_from(jobs.len()).unwrap_or(u32::MAX));
        self.catch_up.answered(now, lane.asked_at, std::mem::take(&mut lane.asked), brought);
        lane.answered(&mut self.memory);
        self.claims -= 1;
        lane.stored = earlier(next_due, lane.unseen.take());
        if with_slots {
            self.claimed_with_slots(now, webhook, jobs, commands);
        } else if self.draining || !may_queue {
            let leases: Vec<_> = jobs.iter().map(|job| (job.delivery, job.claim)).collect();
            if !leases.is_empty() {
                commands.push(Command::Release { webhook, leases });
            }
        } else {
            self.queued += jobs.len();
            self.memory.hold(lane.config.organization, jobs.iter().map(|job| job.weight).sum());
            lane.bytes += jobs.iter().map(|job| job.weight).sum::<usize>();
            lane.queue.extend(jobs);
            self.make_ready(now, webhook);
        }
        self.give_back_unfit(now, webhook, commands);
        self.claim_or_wait(now, webhook, commands);
    }

    pub(super) fn claim_failed(&mut self, now: Timestamp, webhook: WebhookId) {
        if let Some(lane) = self.lanes.get_mut(&webhook) {
            lane.reconfigured = false;
            self.catch_up.answered(now, lane.asked_at, std::mem::take(&mut lane.asked), None);
            lane.answered(&mut self.memory);
            self.claims -= 1;
            self.return_slots(now, webhook);
            self.set_timer(webhook, now.plus(CLAIM_AGAIN));
        }
    }

    /// Asks the store for more where a lane has room and something is due; else sets the clock for it.
    pub(super) fn claim_or_wait(&mut self, now: Timestamp, webhook: WebhookId, commands: &mut Vec<Command>) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        let Some(due) = lane.stored else {
            self.forget_if_idle(now, webhook);
            return;
        };
        if self.draining || lane.config.held || lane.claiming {
            return;
        }
        let due = lane.backs_off(now).map_or(due, |until| until.max(due));
        if due > now {
            self.set_timer(webhook, due);
            return;
        }
        if lane.config.at_most_once {
            // It claims when it is its turn for a slot.
            self.make_ready(now, webhook);
            return;
        }
        let room = Room::of(&self.limits, &self.memory, lane.config.organization);
        if !lane.starved && lane.wants(now, room).is_some() {
            if !std::mem::replace(&mut lane.in_line_to_claim, true) {
                self.catch_up.join(lane.config.organization, webhook);
            }
            self.claim_in_turn(now, commands);
        }
    }

    /// Whether claims may be made at all.
    pub(super) fn may_claim(&self) -> bool {
        !self.draining && self.memory.bytes() < self.limits.bytes
    }

    /// Lets webhooks that stand in line for it claim, as fast as they may.
    pub(super) fn claim_in_turn(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        while self.may_claim()
            && let Some((webhook, most)) = self.catch_up.next(now)
        {
            let Some(lane) = self.lanes.get_mut(&webhook) else { continue };
            lane.in_line_to_claim = false;
            // It may have been sent to, held or edited since it came.
            if !lane.may_claim(now) {
                self.claim_or_wait(now, webhook, commands);
                continue;
            }
            let room = Room::of(&self.limits, &self.memory, lane.config.organization);
            let Some(wanted) = lane.wants(now, room) else { continue };
            let Some(max_bytes) = self.reserve_for_claim(webhook) else { continue };
            let Some(lane) = self.lanes.get_mut(&webhook) else { continue };
            let limit = if lane.claims_deliveries() { wanted.min(most) } else { 1 };
            (lane.asked, lane.asked_at) = (limit, now);
            self.catch_up.asked(now, limit);
            commands.push(Command::Claim { webhook, limit, max_bytes, slots: false });
        }
    }

    /// Keeps memory free for what a claim may bring and answers how much; where there is none, the lane waits for it.
    pub(super) fn reserve_for_claim(&mut self, webhook: WebhookId) -> Option<usize> {
        let lane = self.lanes.get_mut(&webhook)?;
        if lane.starved {
            return None;
        }
        let organization = lane.config.organization;
        // Whose memory it would be is not known yet: such a claim brings nothing but the settings.
        let bytes = if lane.config.is_known() { self.memory.hold_for_claim(organization, webhook) } else { Some(0) };
        let Some(bytes) = bytes else {
            lane.starved = true;
            return None;
        };
        lane.claiming = true;
        lane.claimed_bytes = (organization, bytes);
        self.claims += 1;
        Some(bytes)
    }
}
