//! The server's process: the scheduler and what carries out its commands. All of it is lost in a crash.

use std::collections::BTreeMap;

use fanfare_engine::id::{DeliveryId, IdGenerator, NodeId, OrganizationId, WebhookId};
use fanfare_engine::scheduler::{Command, Input, Job, LaneConfig, Limits, Scheduler};
use fanfare_engine::time::Timestamp;
use fanfare_flow::claim::Wanted;
use fanfare_store::queue::Lease;
use fanfare_store::sqlite::Joined;

use super::{Happening, World, note};
use crate::catalogue::Webhook;
use crate::ledger::{Checked, fault};
use crate::plan::Sabotage;

/// See the module.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u32,
    pub(super) node: NodeId,
    pub(super) ids: IdGenerator,
    pub(super) scheduler: Scheduler,
    /// When it has itself woken, if it has.
    pub(super) wakes_at: Option<i64>,
    pub(super) draining: bool,
    pub(super) drained: bool,
    /// Bytes that claims may bring which are asked of the store and not answered.
    claims: BTreeMap<WebhookId, usize>,
    /// Bytes of what is in memory, counted apart from the scheduler; and of each delivery in it that is not handed out.
    memory: usize,
    queued: BTreeMap<DeliveryId, usize>,
    /// Requests handed out by the scheduler and not told to be over.
    busy: BTreeMap<WebhookId, u32>,
    busy_organizations: BTreeMap<OrganizationId, usize>,
    pub(super) under_way: usize,
    /// Requests handed out and not told to be recorded.
    unrecorded: usize,
    /// When a webhook was last sent to: by the wall clock, and after how many steps of it.
    last_sent: BTreeMap<WebhookId, (i64, u32)>,
    /// Until when a receiver asked for no requests, and after how many steps of the clock.
    pub(super) asked_to_wait: BTreeMap<WebhookId, (Timestamp, u32)>,
}

impl Process {
    pub(super) fn new(number: u32, joined: &Joined, limits: Limits) -> Self {
        Process {
            number,
            node: joined.node,
            ids: IdGenerator::starting_after(joined.number, joined.newest_id),
            scheduler: Scheduler::new(limits),
            wakes_at: None,
            draining: false,
            drained: false,
            claims: BTreeMap::new(),
            memory: 0,
            queued: BTreeMap::new(),
            busy: BTreeMap::new(),
            busy_organizations: BTreeMap::new(),
            under_way: 0,
            unrecorded: 0,
            last_sent: BTreeMap::new(),
            asked_to_wait: BTreeMap::new(),
        }
    }

    /// Takes note of a delivery that is in memory from now on.
    pub(super) fn holds(&mut self, delivery: DeliveryId, weight: usize) {
        self.memory += weight;
        self.queued.insert(delivery, weight);
    }

    /// Takes note of a delivery that was in memory and is given up.
    pub(super) fn gives_up(&mut self, delivery: DeliveryId) {
        self.memory -= self.queued.remove(&delivery).unwrap_or(0);
    }

    /// Takes note of an admitted delivery that did not come to be, of which the scheduler is told.
    pub(super) fn is_refused(&mut self, delivery: DeliveryId) {
        self.queued.remove(&delivery);
    }

    /// What is in memory and not handed out.
    pub(super) fn waiting(&self) -> impl Iterator<Item = DeliveryId> {
        self.queued.keys().copied()
    }

    pub(super) fn lease(&self, job: &Job) -> Lease {
        Lease { delivery: job.delivery, node: self.node, claim: job.claim }
    }
}

impl World {
    /// Whether the process of this number is the one that runs.
    pub(super) fn lives(&self, number: u32) -> bool {
        self.process.as_ref().is_some_and(|process| process.number == number)
    }

    /// What the process tells the scheduler of a webhook.
    pub(super) fn lane(&self, webhook: &Webhook) -> LaneConfig {
        let mut lane = self.catalogue.lane(webhook);
        if self.is_sabotaged(Sabotage::IgnoreConcurrency) {
            lane.concurrency *= 4;
        }
        if self.is_sabotaged(Sabotage::IgnoreRate) {
            lane.rate = None;
        }
        if self.is_sabotaged(Sabotage::LeaseEarly) {
            lane.at_most_once = false;
        }
        lane
    }

    /// Tells the scheduler a fact and does what follows from it.
    pub(super) fn tell(&mut self, input: Input) -> Checked {
        let clock = self.clock();
        let Some(process) = &mut self.process else { return Ok(()) };
        match &input {
            Input::Sent { webhook, .. } => {
                process.under_way -= 1;
                process.busy.entry(*webhook).and_modify(|busy| *busy -= 1);
                if let Some(organization) = self.catalogue.organization_of(*webhook) {
                    process.busy_organizations.entry(organization).and_modify(|busy| *busy -= 1);
                }
            }
            Input::Recorded { weight, .. } => {
                process.memory -= weight;
                process.unrecorded -= 1;
            }
            Input::Refused { weight, .. } => process.memory -= weight,
            Input::Claimed { webhook, jobs, .. } => {
                process.claims.remove(webhook);
                jobs.iter().for_each(|job| process.holds(job.delivery, job.weight));
            }
            Input::ClaimFailed { webhook } => _ = process.claims.remove(webhook),
            _ => {}
        }
        let mut commands = Vec::new();
        process.scheduler.step(clock, input, &mut commands);
        self.look_at_memory(&commands)?;
        for command in commands {
            self.carry_out(command)?;
        }
        self.set_alarm();
        self.stop_if_drained()
    }

    /// Memory is counted rightly, and nothing more is asked for once it is full.
    fn look_at_memory(&mut self, commands: &[Command]) -> Checked {
        let Some(process) = &mut self.process else { return Ok(()) };
        let mut asks = false;
        for command in commands {
            match command {
                Command::Claim { webhook, max_bytes, .. } => {
                    asks |= *max_bytes > 0;
                    process.claims.insert(*webhook, *max_bytes);
                }
                Command::Release { leases, .. } => leases.iter().for_each(|(id, _)| process.gives_up(*id)),
                Command::Send(_) => {}
            }
        }
        let expected = process.claims.values().sum::<usize>();
        let bytes = process.memory + expected;
        if process.scheduler.figures().bytes != bytes {
            let message = format!("{:?}, and {bytes} of it {expected} for claims", process.scheduler.figures());
            return fault("memory is counted", "in memory", message);
        }
        // What a claim brings may exceed what it asked for by one delivery, and then nothing more is asked for.
        if asks && bytes > self.limits.bytes {
            return fault("memory is bounded", "in memory", format!("{bytes} bytes of {}", self.limits.bytes));
        }
        Ok(())
    }

    fn carry_out(&mut self, command: Command) -> Checked {
        match command {
            Command::Send(job) => self.hand_out(job),
            Command::Claim { webhook, limit, max_bytes, slots } => {
                note!(self, "{webhook} claims {limit}, {max_bytes} bytes");
                let Some(process) = &mut self.process else { return Ok(()) };
                let process = process.number;
                let after = self.chance.between(0, 2);
                self.after(after, Happening::Claim { process, wanted: Wanted { webhook, limit, max_bytes, slots } });
                Ok(())
            }
            Command::Release { webhook, leases } => {
                note!(self, "{webhook} gives back {leases:?}");
                let Some(process) = &self.process else { return Ok(()) };
                let node = process.node;
                let leases = leases.into_iter().map(|(delivery, claim)| Lease { delivery, node, claim }).collect();
                self.release(webhook, leases)
            }
        }
    }

    /// Starts the task that makes an attempt, and judges whether the scheduler keeps its bounds.
    fn hand_out(&mut self, job: Job) -> Checked {
        let (webhook, id) = (job.webhook, job.delivery);
        let clock = self.clock().millis();
        let Some(process) = &mut self.process else { return Ok(()) };
        let (busy, unrecorded) = (process.busy.entry(webhook).or_default(), &mut process.unrecorded);
        process.queued.remove(&id);
        *busy += 1;
        *unrecorded += 1;
        process.under_way += 1;
        let (busy, unrecorded) = (*busy, *unrecorded);
        let organization = self.catalogue.organization_of(webhook).unwrap_or(OrganizationId(0));
        let share = process.busy_organizations.entry(organization).or_default();
        *share += 1;
        let share = *share;
        let last = process.last_sent.insert(webhook, (clock, self.clock_steps));
        let asked_to_wait = process.asked_to_wait.get(&webhook).copied();
        let number = process.number;

        if process.draining {
            return fault("a drain starts nothing", id, format!("{id} is sent while the process drains"));
        }
        if unrecorded > self.limits.in_flight {
            return fault("the limit of all holds", id, format!("{unrecorded} are under way or not recorded"));
        }
        self.leaves_room(id, organization, share - 1, self.limits.in_flight - (unrecorded - 1))?;
        if let Some((until, _)) =
            asked_to_wait.filter(|&(until, steps)| steps == self.clock_steps && until.millis() > clock)
        {
            let message = format!("{id} is sent though {webhook} was asked to wait until {until}");
            return fault("a receiver that asks to wait is left alone", id, message);
        }
        if let Some(settings) = self.catalogue.webhook(webhook) {
            let most = settings.concurrency.max(settings.concurrency_before);
            // Of one that is off, the scheduler knows no settings any more; what it hands out is skipped.
            if busy > most && self.skip_reason(webhook).is_none() {
                return fault(
                    "a webhook's concurrency holds",
                    id,
                    format!("{busy} of {webhook}'s {most} are under way"),
                );
            }
            if let (Some(rate), Some((sent, steps))) = (settings.rate, last)
                && steps == self.clock_steps
                && (clock - sent) * 1_000 < (rate.interval_nanos() / 1_000) as i64
            {
                let message = format!("{webhook} is sent to {} ms after the last, at {rate:?}", clock - sent);
                return fault("a rate limit holds", id, message);
            }
        }
        let after = self.chance.between(0, 1);
        self.after(after, Happening::Begin { process: number, job });
        Ok(())
    }

    /// Whoever holds slots leaves some free: some of the reserve where he is light, all of it and more where he is not. What
    /// is sent at most once is not looked at, since its slot was taken before, when more were free.
    fn leaves_room(&self, id: DeliveryId, organization: OrganizationId, held: usize, free: usize) -> Checked {
        let once = |id: WebhookId| self.catalogue.webhook(id).is_none_or(|webhook| webhook.retry.stop_after_unknown);
        let webhook = self.ledger.stories.get(&id).map(|story| story.webhook);
        let must_be_free = (self.limits.in_flight / 8 + held / 8) * held.min(8) / 8;
        if webhook.is_none_or(once) || free > must_be_free {
            return Ok(());
        }
        let message = format!("{organization} holds {held} and takes another one of {free}");
        fault("an organization leaves room for others", id, message)
    }

    /// Has the process woken when its scheduler wants it.
    pub(super) fn set_alarm(&mut self) {
        let clock = self.clock();
        let Some(process) = &mut self.process else { return };
        let Some(next) = process.scheduler.next_wakeup() else { return };
        let wait = i64::try_from(next.since(clock).as_millis()).unwrap_or(i64::MAX / 4);
        let at = self.now + wait;
        if process.wakes_at.is_some_and(|known| known <= at && known > self.now) {
            return;
        }
        process.wakes_at = Some(at);
        let process = process.number;
        self.timeline.put(at, Happening::Wake { process });
    }

    pub(super) fn wake(&mut self) -> Checked {
        let clock = self.clock();
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.wakes_at != Some(self.now) {
            // It was put off, or came sooner.
            return Ok(());
        }
        process.wakes_at = None;
        if process.scheduler.next_wakeup().is_some_and(|at| at <= clock) {
            return self.tell(Input::Tick);
        }
        self.set_alarm();
        Ok(())
    }
}
