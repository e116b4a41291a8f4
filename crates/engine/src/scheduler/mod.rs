//! In which order everything is sent: a state machine without clock, sockets or store.
//!
//! Each webhook has a *lane*: deliveries in memory, leased to this node; the rest waits in the store. Lanes take turns,
//! one request each, so a webhook with a million deliveries delays no other; `slots` says whose turn it is, so that
//! receivers which hold their requests for long delay no other either. A lane sends no more at once than its
//! concurrency allows (less while its receiver is in trouble), and no faster than its rate limit. What does not fit into a lane's window or the budget of bytes goes to the store, and what
//! comes later queues behind it there. A webhook that is sent to at most once has nothing in memory: see `late`.
//!
//! Facts go in by [`Scheduler::step`]; [`Command`]s come out. Each is to be carried out and its result told.

mod catch_up;
mod claims;
mod lane;
mod late;
mod memory;
mod slots;
mod usage;
mod words;

use std::collections::BTreeSet;
use std::time::Duration;

use foldhash::HashMap;

use self::catch_up::CatchUp;
pub use self::lane::MAX_BACK_OFF;
use self::lane::{Lane, Room, Turn};
use self::memory::Memory;
use self::slots::Slots;
pub use self::words::{Command, Figures, Input, Job, LaneConfig, Limits};
use crate::id::WebhookId;
use crate::time::Timestamp;

/// A clock that goes back by less than this was not set; two threads read it one after the other.
const CLOCK_JITTER: Duration = Duration::from_secs(1);

/// The state machine. See the module.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    lanes: HashMap<WebhookId, Lane>,
    /// When lanes must be looked at again.
    timers: BTreeSet<(Timestamp, WebhookId)>,
    slots: Slots,
    memory: Memory,
    catch_up: CatchUp,
    queued: usize,
    /// Deliveries that were admitted and are not yet on disk.
    admitted: usize,
    /// Claims that are not answered.
    claims: usize,
    /// The latest moment that it was told.
    latest: Timestamp,
    draining: bool,
}

impl Scheduler {
    /// A scheduler with nothing to do.
    pub fn new(limits: Limits) -> Self {
        Scheduler {
            limits,
            lanes: HashMap::default(),
            timers: BTreeSet::new(),
            slots: Slots::new(limits.in_flight),
            memory: Memory::new(limits.bytes, limits.largest),
            catch_up: CatchUp::new(),
            queued: 0,
            admitted: 0,
            claims: 0,
            latest: Timestamp(i64::MIN),
            draining: false,
        }
    }

    /// Asks for room for a new delivery of `weight` bytes before it is written. `true`: write it leased and tell by
    /// [`Input::Accepted`] (or [`Input::Refused`]). `false`: write it unleased and tell by [`Input::Stored`].
    pub fn admit(&mut self, now: Timestamp, webhook: WebhookId, config: LaneConfig, weight: usize) -> bool {
        if self.draining || config.held || !self.memory.has_room(config.organization, weight) {
            return false;
        }
        let lane = self.lanes.entry(webhook).or_insert_with(|| Lane::new(now, webhook, config));
        lane.learn(config);
        if lane.config.held {
            // It is held no longer, as who asks knows; news of that was lost.
            lane.configure(config);
        }
        let room = Room::of(&self.limits, &self.memory, lane.config.organization);
        let has_room = lane.bytes + weight <= self.memory.lane_share()
            && lane.has_room(now, room)
            && !lane.waits_in_store(now)
            && lane.backs_off(now).is_none();
        if !has_room || (lane.config.at_most_once && !lane.admit_with_slot(now, &mut self.slots)) {
            // It may not be told of what it is not written for: the store may know it already, or fail.
            self.forget_if_idle(now, webhook);
            return false;
        }
        lane.reserved += 1;
        lane.bytes += weight;
        self.admitted += 1;
        self.memory.hold(lane.config.organization, weight);
        true
    }

    /// Takes in a fact and adds what is to be done to `commands`.
    pub fn step(&mut self, now: Timestamp, input: Input, commands: &mut Vec<Command>) {
        self.look_at_clock(now, commands);
        self.slots.forget_faded(now);
        match input {
            Input::Accepted(job) => self.accepted(now, job, commands),
            Input::Refused { webhook, weight } => self.refused(now, webhook, weight, commands),
            Input::Stored { webhook, config, due } => self.stored(now, webhook, config, due, commands),
            Input::Claimed { webhook, config, jobs, next_due } => {
                self.claimed(now, webhook, config, jobs, next_due, commands);
            }
            Input::ClaimFailed { webhook } => self.claim_failed(now, webhook),
            Input::Sent { webhook, weight, trouble } => self.sent(now, webhook, weight, trouble, commands),
            Input::Trouble { webhook } => {
                if let Some(lane) = self.lanes.get_mut(&webhook) {
                    lane.slow_down();
                }
            }
            Input::BackOff { webhook, until } => self.back_off(now, webhook, until, commands),
            Input::Recorded { organization, weight } => {
                self.slots.recorded();
                self.memory.let_go(organization, weight);
            }
            Input::Edited { webhook } => {
                // It may have a new receiver, and its editor expects the change to take effect now.
                if let Some(lane) = self.lanes.get_mut(&webhook) {
                    lane.end_back_off();
                }
            }
            Input::Configured { webhook, config } => self.configured(now, webhook, config, commands),
            Input::Recall { webhook } => self.empty(webhook, commands),
            Input::Tick => self.tick(now, commands),
            Input::Drain => self.drain(commands),
        }
        self.feed_starved(now, commands);
        self.claim_in_turn(now, commands);
        self.send(now, commands);
    }

    /// When [`Input::Tick`] is wanted at the latest; `None` while only facts can bring work.
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        let claims = if self.may_claim() { self.catch_up.wakes_at() } else { None };
        earlier(self.timers.first().map(|(at, _)| *at), claims)
    }

    /// Whether a drain is through: nothing is under way, nothing unrecorded, nothing in memory or on its way there.
    pub fn is_drained(&self) -> bool {
        self.draining && self.slots.is_idle() && self.queued == 0 && self.admitted == 0 && self.claims == 0
    }

    /// Every webhook that has anything to do.
    pub fn webhooks(&self) -> Vec<WebhookId> {
        self.lanes.keys().copied().collect()
    }

    /// Until when a webhook gets nothing because its receiver asked for that, with 429 or 503 and Retry-After.
    pub fn backs_off_until(&self, now: Timestamp, webhook: WebhookId) -> Option<Timestamp> {
        self.lanes.get(&webhook)?.backs_off(now)
    }

    /// How many webhooks get nothing because their receivers asked for that. Looks at every lane.
    pub fn backing_off(&self, now: Timestamp) -> usize {
        self.lanes.values().filter(|lane| lane.backs_off(now).is_some()).count()
    }

    /// Figures for the metrics.
    pub fn figures(&self) -> Figures {
        Figures {
            in_flight: self.slots.in_flight(),
            recording: self.slots.unrecorded(),
            queued: self.queued,
            bytes: self.memory.bytes(),
            lanes: self.lanes.len(),
        }
    }

    /// Since when the oldest delivery waits that is due and not under way; `None` where nothing waits. Looks at every
    /// lane.
    pub fn oldest_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.lanes.values().filter_map(Lane::oldest_due).min().filter(|due| *due <= now)
    }

    fn accepted(&mut self, now: Timestamp, job: Job, commands: &mut Vec<Command>) {
        let webhook = job.webhook;
        self.admitted -= 1;
        let Some(lane) = self.lanes.get_mut(&webhook) else {
            self.memory.let_go(job.event.organization, job.weight);
            commands.push(Command::Release { webhook, leases: vec![(job.delivery, job.claim)] });
            return;
        };
        lane.reserved -= 1;
        if !self.draining && lane.use_admitted_slot(now) {
            commands.push(Command::Send(job));
            return;
        }
        if self.draining || !lane.may_queue(now) {
            self.memory.let_go(lane.config.organization, job.weight);
            lane.bytes -= job.weight;
            commands.push(Command::Release { webhook, leases: vec![(job.delivery, job.claim)] });
        } else {
            lane.queue.push_back(job);
            self.queued += 1;
            self.serve(now, webhook, commands);
        }
        self.return_admitted_slots(now, webhook);
    }

    fn refused(&mut self, now: Timestamp, webhook: WebhookId, weight: usize, commands: &mut Vec<Command>) {
        self.admitted -= 1;
        if let Some(lane) = self.lanes.get_mut(&webhook) {
            self.memory.let_go(lane.config.organization, weight);
            lane.reserved -= 1;
            lane.bytes -= weight;
        }
        self.return_admitted_slots(now, webhook);
        // What was kept free for it may be what a claim waits for.
        self.claim_or_wait(now, webhook, commands);
    }

    fn stored(
        &mut self,
        now: Timestamp,
        webhook: WebhookId,
        config: Option<LaneConfig>,
        due: Timestamp,
        commands: &mut Vec<Command>,
    ) {
        let lane = self.lanes.entry(webhook).or_insert_with(|| Lane::new(now, webhook, LaneConfig::UNKNOWN));
        if let Some(config) = config {
            lane.learn(config);
        }
        if due != Timestamp::NEVER {
            lane.stored = earlier(lane.stored, Some(due));
            // A claim that is under way may not see it.
            lane.unseen = earlier(lane.unseen, Some(due).filter(|_| lane.claiming));
        }
        self.claim_or_wait(now, webhook, commands);
    }

    fn sent(&mut self, now: Timestamp, webhook: WebhookId, weight: usize, trouble: bool, commands: &mut Vec<Command>) {
        if let Some(lane) = self.lanes.get_mut(&webhook) {
            lane.bytes -= weight;
            lane.sent(now, trouble);
            self.slots.give_back(now, lane.config.organization, &mut lane.seat, Some(trouble));
            if trouble {
                let keep = lane.window(self.limits.window_per_slot);
                self.give_back_beyond(webhook, keep, commands);
            }
        }
        self.serve(now, webhook, commands);
        self.claim_or_wait(now, webhook, commands);
    }

    /// Lets lanes that wait for memory ask again, as long as there is some.
    fn feed_starved(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        while let Some(webhook) = self.memory.next_fed() {
            let Some(lane) = self.lanes.get_mut(&webhook) else { continue };
            lane.starved = false;
            let organization = lane.config.organization;
            self.claim_or_wait(now, webhook, commands);
            self.memory.feed_next_of(organization);
        }
    }

    /// A receiver asked for no requests for a while: what waits for it does so in the store, and comes back in its order.
    fn back_off(&mut self, now: Timestamp, webhook: WebhookId, until: Timestamp, commands: &mut Vec<Command>) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        lane.back_off(now, until);
        self.empty(webhook, commands);
        self.claim_or_wait(now, webhook, commands);
    }

    fn configured(&mut self, now: Timestamp, webhook: WebhookId, config: LaneConfig, commands: &mut Vec<Command>) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        lane.configure(config);
        lane.reconfigured = lane.claiming;
        self.give_back_unfit(now, webhook, commands);
        if !config.held {
            self.make_ready(now, webhook);
            self.claim_or_wait(now, webhook, commands);
        }
    }

    /// Gives back what waits in memory of a webhook that must have nothing there.
    fn give_back_unfit(&mut self, now: Timestamp, webhook: WebhookId, commands: &mut Vec<Command>) {
        if self.lanes.get(&webhook).is_some_and(|lane| !lane.may_queue(now)) {
            self.empty(webhook, commands);
        }
    }

    fn tick(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        while let Some((at, webhook)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, webhook));
            if let Some(lane) = self.lanes.get_mut(&webhook) {
                lane.timer = None;
            }
            self.make_ready(now, webhook);
            self.claim_or_wait(now, webhook, commands);
        }
    }

    fn drain(&mut self, commands: &mut Vec<Command>) {
        self.draining = true;
        self.timers.clear();
        let mut webhooks: Vec<WebhookId> = self.lanes.keys().copied().collect();
        // The order of a hash map differs from run to run, and a simulated run must not.
        webhooks.sort_unstable();
        for webhook in webhooks {
            self.empty(webhook, commands);
        }
    }

    /// Gives back everything of a lane that is not under way.
    fn empty(&mut self, webhook: WebhookId, commands: &mut Vec<Command>) {
        self.give_back_beyond(webhook, 0, commands);
    }

    /// Gives back what a lane holds beyond its first `keep` deliveries, the newest.
    fn give_back_beyond(&mut self, webhook: WebhookId, keep: usize, commands: &mut Vec<Command>) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        if lane.queue.len() <= keep {
            return;
        }
        let given_back = lane.queue.split_off(keep);
        let weight = given_back.iter().map(|job| job.weight).sum::<usize>();
        self.queued -= given_back.len();
        self.memory.let_go(lane.config.organization, weight);
        lane.bytes -= weight;
        let leases = given_back.into_iter().map(|job| (job.delivery, job.claim)).collect();
        commands.push(Command::Release { webhook, leases });
    }

    /// Puts a lane in line if it has something to send and may send it.
    fn make_ready(&mut self, now: Timestamp, webhook: WebhookId) {
        if self.draining {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(&webhook)
            && lane.may_join_line(now)
        {
            self.slots.wait(now, lane.config.organization, &mut lane.seat);
        }
    }

    /// Sends for a lane as long as there are slots for it and nobody waits for one, and puts it in line for the rest. To stand in
    /// line costs more than all else.
    fn serve(&mut self, now: Timestamp, webhook: WebhookId, commands: &mut Vec<Command>) {
        let may_go_first = |scheduler: &Self| {
            let may_join = |lane: &Lane| lane.may_join_line(now);
            !scheduler.draining && scheduler.slots.nobody_waits() && scheduler.lanes.get(&webhook).is_some_and(may_join)
        };
        while may_go_first(self) {
            match self.take_turn(now, webhook, commands) {
                After::MaySendMore => {}
                After::LacksSlot => break,
                After::Rests => return,
            }
        }
        self.make_ready(now, webhook);
    }

    /// Sends as long as there are slots for who is next.
    fn send(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        while !self.draining
            && let Some(webhook) = self.slots.next(now)
        {
            let Some(lane) = self.lanes.get_mut(&webhook) else { return };
            self.slots.leave(now, lane.config.organization, &mut lane.seat);
            match self.take_turn(now, webhook, commands) {
                After::MaySendMore | After::LacksSlot => self.make_ready(now, webhook),
                After::Rests => {}
            }
        }
    }

    fn take_turn(&mut self, now: Timestamp, webhook: WebhookId, commands: &mut Vec<Command>) -> After {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return After::Rests };
        match lane.turn(now) {
            Turn::Nothing => self.rest(now, webhook),
            Turn::Wait(until) => self.set_timer(webhook, until),
            Turn::Claim => self.claim_with_slots(now, webhook, commands),
            Turn::Send => {
                if !self.slots.try_take(now, lane.config.organization, &mut lane.seat) {
                    return After::LacksSlot;
                }
                if let Some(job) = lane.send(now) {
                    self.queued -= 1;
                    commands.push(Command::Send(job));
                }
                return After::MaySendMore;
            }
        }
        After::Rests
    }

    fn set_timer(&mut self, webhook: WebhookId, at: Timestamp) {
        if self.draining {
            return;
        }
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        if lane.timer.is_some_and(|known| known <= at) {
            return;
        }
        if let Some(known) = lane.timer.replace(at) {
            self.timers.remove(&(known, webhook));
        }
        self.timers.insert((at, webhook));
    }

    fn forget_if_idle(&mut self, now: Timestamp, webhook: WebhookId) {
        let Some(lane) = self.lanes.get_mut(&webhook).filter(|lane| lane.is_idle()) else { return };
        // When it was last sent to, and what it used, is remembered until that does not matter any more.
        if let Some(until) = lane.remembered_until(now) {
            self.set_timer(webhook, until);
        } else if let Some(at) = self.lanes.remove(&webhook).and_then(|lane| lane.timer) {
            self.timers.remove(&(at, webhook));
        }
    }

    /// Where the clock was set back, what waits for a moment is looked at anew: it may be far ahead now.
    fn look_at_clock(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        let back = self.latest.since(now);
        self.latest = self.latest.max(now);
        if back < CLOCK_JITTER {
            return;
        }
        self.latest = now;
        self.lanes.values_mut().for_each(|lane| lane.follow_clock(back));
        for (_, webhook) in std::mem::take(&mut self.timers) {
            if let Some(lane) = self.lanes.get_mut(&webhook) {
                lane.timer = None;
            }
            self.make_ready(now, webhook);
            self.claim_or_wait(now, webhook, commands);
        }
    }
}

/// What a lane does after its turn.
enum After {
    MaySendMore,
    LacksSlot,
    /// It has nothing to send, or waits for something else than a slot.
    Rests,
}

/// The earlier of two moments where there are any.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests;
