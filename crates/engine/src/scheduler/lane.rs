//! One webhook's deliveries in memory, and how fast its receiver may be sent requests.

use std::collections::VecDeque;
use std::time::Duration;

use super::memory::Memory;
use super::slots::{Seat, Slots};
use super::usage::SPAN;
use super::{Job, LaneConfig, Limits};
use crate::id::{OrganizationId, WebhookId};
use crate::time::Timestamp;

/// Most deliveries that one claim asks for.
const MAX_CLAIM: usize = 256;

/// How late a rate-limited request may start for the next one not to be put off by it, in nanoseconds: timers come late,
/// and clocks are read in milliseconds.
const CATCH_UP: i64 = 20_000_000;
/// Only where requests are closer than this; further apart, what is lost is little, and the distance is kept exactly.
const CATCH_UP_BELOW: i64 = 100_000_000;
const NANOS_OF_MILLI: i64 = 1_000_000;

/// The longest for which a receiver's Retry-After holds all of its webhook's deliveries: a wrong value must not stop a
/// webhook for long, and a receiver that gets a request too early can answer with Retry-After again.
pub const MAX_BACK_OFF: Duration = Duration::from_secs(3_600);

/// Where memory is scarce, a lane holds what it sends within so many milliseconds, and so many deliveries at least.
const SOON: u64 = 2_000;
const LEAST_WINDOW: usize = 4;

/// How long a lane that claims with slots in hand gathers them: there is one claim at a time, and it takes as long for one
/// delivery as for many.
const GATHERING: Duration = Duration::from_millis(2);
/// Only where it may have so many: of few, each counts.
const GATHER_FROM: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) config: LaneConfig,
    pub(super) queue: VecDeque<Job>,
    /// Admitted and not yet on disk.
    pub(super) reserved: usize,
    /// Slots that were taken for what is admitted; at most [`Lane::reserved`]. Which delivery uses one does not matter.
    admitted_slots: usize,
    /// Bytes of what is admitted, queued or under way.
    pub(super) bytes: usize,
    /// What it uses of the slots, and its place in line for more.
    pub(super) seat: Seat,
    /// How many requests may be under way now: halved by each sign of trouble, one more with each success.
    allowed: u32,
    /// The earliest moment for the next request under the rate limit, in nanoseconds.
    next_send_nanos: i64,
    /// Until when its receiver asked for no requests.
    backs_off_until: Option<Timestamp>,
    /// Whether it waited for nothing but that moment, so that it may catch up on what it is late.
    behind: bool,
    /// Until when it gathers slots for a claim; `None` where it does not.
    gathers_until: Option<Timestamp>,
    /// When the first delivery that waits in the store is due; `None` where nothing waits.
    pub(super) stored: Option<Timestamp>,
    /// When the first is due of what was written to the store since the claim that is under way was asked for.
    pub(super) unseen: Option<Timestamp>,
    pub(super) claiming: bool,
    /// Whether it stands in line to claim.
    pub(super) in_line_to_claim: bool,
    /// How many deliveries the claim that is under way asks for, and when it was made; none where it has slots for them.
    pub(super) asked: u32,
    pub(super) asked_at: Timestamp,
    /// Bytes that are kept free for what the claim that is under way may bring, and of whose share.
    pub(super) claimed_bytes: (OrganizationId, usize),
    /// Slots that were taken for what the claim that is under way may bring.
    pub(super) claimed_slots: u32,
    /// Whether its settings changed since the claim that is under way was asked for: its answer tells older ones.
    pub(super) reconfigured: bool,
    /// Whether it waits for memory.
    pub(super) starved: bool,
    pub(super) timer: Option<Timestamp>,
}

/// What there is room for in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Deliveries for each request that may be under way.
    pub(super) per_slot: usize,
    /// Whether there is little left.
    pub(super) is_scarce: bool,
}

impl Room {
    pub(super) fn of(limits: &Limits, memory: &Memory, organization: OrganizationId) -> Self {
        Room { per_slot: limits.window_per_slot, is_scarce: memory.is_scarce(organization) }
    }
}

/// What a lane does when it is its turn.
pub(super) enum Turn {
    Nothing,
    Wait(Timestamp),
    /// Lease what can be sent at once.
    Claim,
    Send,
}

impl Lane {
    pub(super) fn new(now: Timestamp, webhook: WebhookId, config: LaneConfig) -> Self {
        Lane {
            config,
            queue: VecDeque::new(),
            reserved: 0,
            admitted_slots: 0,
            bytes: 0,
            seat: Seat::new(now, webhook),
            allowed: config.concurrency.max(1),
            next_send_nanos: i64::MIN,
            backs_off_until: None,
            behind: false,
            gathers_until: None,
            stored: None,
            unseen: None,
            claiming: false,
            in_line_to_claim: false,
            asked: 0,
            asked_at: now,
            claimed_bytes: (LaneConfig::UNKNOWN.organization, 0),
            claimed_slots: 0,
            reconfigured: false,
            starved: false,
            timer: None,
        }
    }

    /// Takes settings over where none are known.
    pub(super) fn learn(&mut self, config: LaneConfig) {
        if !self.config.is_known() {
            self.configure(config);
        }
    }

    /// Takes settings over. A webhook that gets nothing any more is not held, so that what waits for it is skipped; the
    /// rest of what is known stays, since its slots were taken by it.
    pub(super) fn configure(&mut self, config: LaneConfig) {
        if !config.is_known() {
            self.config.held = config.held;
            return;
        }
        let was_at_limit = self.allowed == self.limit();
        // A webhook never changes its organization; only what was unknown becomes known, before anything is sent.
        self.config = config;
        self.allowed = if was_at_limit { self.limit() } else { self.allowed.min(self.limit()) };
    }

    /// How many requests may be under way while the receiver is not in trouble.
    fn limit(&self) -> u32 {
        self.config.concurrency.max(1)
    }

    /// Takes note that the receiver cannot keep up.
    pub(super) fn slow_down(&mut self) {
        self.allowed = (self.allowed / 2).max(1);
    }

    /// Whether the claim that is under way may bring anything but the settings.
    pub(super) fn claims_deliveries(&self) -> bool {
        self.claimed_bytes.1 > 0
    }

    /// The claim that was under way is answered; gives back the bytes that were kept free for it.
    pub(super) fn answered(&mut self, memory: &mut Memory) {
        self.claiming = false;
        memory.let_go(self.claimed_bytes.0, std::mem::take(&mut self.claimed_bytes.1));
    }

    /// Its receiver asked for no requests before `until`, which is looked at anew where the clock is set back.
    pub(super) fn back_off(&mut self, now: Timestamp, until: Timestamp) {
        let until = until.min(now.plus(MAX_BACK_OFF));
        self.backs_off_until = self.backs_off_until.max(Some(until));
        // It begins anew with one request at once.
        self.allowed = 1;
    }

    /// The clock was set back by this much.
    pub(super) fn follow_clock(&mut self, back: Duration) {
        self.backs_off_until = self.backs_off_until.map(|until| until.minus(back));
    }

    pub(super) fn end_back_off(&mut self) {
        self.backs_off_until = None;
    }

    /// Until when its receiver asked for no requests, if that is ahead.
    pub(super) fn backs_off(&self, now: Timestamp) -> Option<Timestamp> {
        // Never further ahead, unless the clock was set back.
        self.backs_off_until.map(|until| until.min(now.plus(MAX_BACK_OFF))).filter(|until| *until > now)
    }

    /// Whether nothing may be sent and everything waits in the store: it is held, or its receiver asked for it.
    fn is_still(&self, now: Timestamp) -> bool {
        self.config.held || self.backs_off(now).is_some()
    }

    /// Whether its deliveries may wait in memory.
    pub(super) fn may_queue(&self, now: Timestamp) -> bool {
        !self.config.at_most_once && !self.is_still(now)
    }

    /// How many deliveries it may hold in memory: fewer while its receiver is in trouble.
    pub(super) fn window(&self, per_slot: usize) -> usize {
        self.allowed as usize * per_slot
    }

    /// The same at this moment. Where memory is scarce, no more than it is likely to send soon: what waits for slow receivers
    /// waits in the store, and leaves the memory to those that use it.
    fn window_now(&mut self, now: Timestamp, room: Room) -> usize {
        let window = self.window(room.per_slot);
        if !room.is_scarce {
            return window;
        }
        let soon = self.seat.in_flight().max(1) as u64 * SOON / self.seat.takes(now).max(1);
        let soon = usize::try_from(soon).unwrap_or(usize::MAX).max(self.seat.in_flight()).max(LEAST_WINDOW);
        window.min(soon)
    }

    pub(super) fn has_room(&mut self, now: Timestamp, room: Room) -> bool {
        self.queue.len() + self.reserved < self.window_now(now, room)
    }

    /// Whether new deliveries must queue in the store, behind what waits there already. A retry that is due later does
    /// not hold new ones up.
    pub(super) fn waits_in_store(&self, now: Timestamp) -> bool {
        self.stored.is_some_and(|due| due <= now)
    }

    /// Whether something is due in the store that may be claimed for its queue.
    pub(super) fn may_claim(&self, now: Timestamp) -> bool {
        !self.claiming && self.may_queue(now) && self.waits_in_store(now)
    }

    /// How many deliveries it would take from the store now.
    pub(super) fn wants(&mut self, now: Timestamp, room: Room) -> Option<u32> {
        let window = self.window_now(now, room);
        let held = self.queue.len() + self.reserved;
        if held * 2 > window {
            return None;
        }
        u32::try_from((window - held).min(MAX_CLAIM)).ok()
    }

    pub(super) fn may_join_line(&self, now: Timestamp) -> bool {
        !self.seat.is_in_line() && self.has_a_turn(now)
    }

    /// Requests under way, and slots that were taken ahead.
    fn in_flight(&self) -> u32 {
        u32::try_from(self.seat.in_flight()).unwrap_or(u32::MAX)
    }

    fn has_a_turn(&self, now: Timestamp) -> bool {
        let has_work = if self.config.at_most_once { self.may_claim_late(now) } else { !self.queue.is_empty() };
        has_work && !self.is_still(now) && self.in_flight() < self.allowed
    }

    /// Whether a claim with slots in hand would bring something.
    fn may_claim_late(&self, now: Timestamp) -> bool {
        !self.claiming && !self.starved && self.waits_in_store(now)
    }

    pub(super) fn turn(&mut self, now: Timestamp) -> Turn {
        if !self.has_a_turn(now) {
            return Turn::Nothing;
        }
        if let Some(until) = self.paced_until(now) {
            self.behind = true;
            return Turn::Wait(until);
        }
        if self.config.at_most_once {
            if let Some(until) = self.gathering(now) {
                return Turn::Wait(until);
            }
            // What it sends counts from now on, though it starts once the store has answered.
            if !std::mem::replace(&mut self.behind, true) {
                self.next_send_nanos = self.next_send_nanos.max(nanos(now));
            }
            return Turn::Claim;
        }
        Turn::Send
    }

    /// Until when it waits for more slots to come back before it claims for those that it has: for a moment at most, and only
    /// while more than one in eight is in use.
    fn gathering(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.allowed < GATHER_FROM
            || self.in_flight().saturating_mul(8) <= self.allowed
            || self.config.rate.is_some()
        {
            self.gathers_until = None;
            return None;
        }
        // Never further ahead, unless the clock was set back.
        let latest = now.plus(GATHERING);
        let until = self.gathers_until.map_or(latest, |until| until.min(latest));
        // Kept until a claim has a slot: a lane that gets none then does not gather anew.
        self.gathers_until = Some(until);
        (until > now).then_some(until)
    }

    /// How many requests it may start now, all at once; at least one where it is its turn.
    pub(super) fn may_start(&self, now: Timestamp) -> u32 {
        let free = self.allowed.saturating_sub(self.in_flight());
        let Some(pace) = self.pace_nanos() else { return free };
        let late = nanos(now).saturating_sub(self.paced_from(now, pace)) / pace;
        free.min(u32::try_from(late).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// Takes a slot for a delivery that is yet to be written, if there is one. Under a rate limit there is none: what waits
    /// for its moment waits in the store.
    pub(super) fn admit_with_slot(&mut self, now: Timestamp, slots: &mut Slots) -> bool {
        let may = self.config.rate.is_none() && self.in_flight() < self.allowed;
        if !may || !slots.try_take(now, self.config.organization, &mut self.seat) {
            return false;
        }
        self.admitted_slots += 1;
        true
    }

    /// Uses a slot that was taken for what is admitted, if there is one and the lane may still use it.
    pub(super) fn use_admitted_slot(&mut self, now: Timestamp) -> bool {
        let may = self.admitted_slots > 0 && !self.is_still(now) && self.is_below_its_cap();
        self.admitted_slots -= usize::from(may);
        may
    }

    /// Whether a slot that was taken ahead may be used now. An edit or trouble may have lowered the cap, and the rate, since
    /// the slot was taken.
    fn is_below_its_cap(&self) -> bool {
        let taken_ahead = self.claimed_slots + u32::try_from(self.admitted_slots).unwrap_or(u32::MAX);
        self.in_flight().saturating_sub(taken_ahead) < self.allowed
    }

    /// Gives back the slots that were taken for what is admitted no more; answers how many.
    pub(super) fn return_admitted_slots(&mut self) -> usize {
        let unused = self.admitted_slots.saturating_sub(self.reserved);
        self.admitted_slots -= unused;
        unused
    }

    /// A slot was taken before it is known for what.
    pub(super) fn took_slot(&mut self) {
        self.gathers_until = None;
        self.claimed_slots += 1;
    }

    /// Uses a slot that was taken for what a claim brought, if there is one and the lane may still use it.
    pub(super) fn use_claimed_slot(&mut self, now: Timestamp) -> bool {
        let may =
            self.claimed_slots > 0 && !self.is_still(now) && self.is_below_its_cap() && self.paced_until(now).is_none();
        if may {
            self.claimed_slots -= 1;
            self.pace(now);
        }
        may
    }

    /// Gives back the slots that were taken and not used; answers how many.
    pub(super) fn return_slots(&mut self) -> usize {
        let unused = std::mem::take(&mut self.claimed_slots);
        // There was nothing left that it was late with.
        self.behind &= unused == 0;
        unused as usize
    }

    /// Until when the rate limit lets no further request start; `None` where one may start now.
    pub(super) fn paced_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        let pace = self.pace_nanos()?;
        let now = nanos(now);
        // It is never further ahead, unless the clock was set back.
        self.next_send_nanos = self.next_send_nanos.min(now.saturating_add(pace));
        let whole = self.next_send_nanos.saturating_add(NANOS_OF_MILLI - 1).div_euclid(NANOS_OF_MILLI);
        (self.next_send_nanos > now).then_some(Timestamp(whole))
    }

    /// Nanoseconds from one request to the next under the rate limit.
    fn pace_nanos(&self) -> Option<i64> {
        self.config.rate.map(|rate| i64::try_from(rate.interval_nanos()).unwrap_or(i64::MAX))
    }

    /// From when on a request that starts now counts: from when it might have started, where it is only a little late.
    fn paced_from(&self, now: Timestamp, pace: i64) -> i64 {
        let catch_up = if self.behind && pace < CATCH_UP_BELOW { CATCH_UP } else { 0 };
        self.next_send_nanos.max(nanos(now).saturating_sub(catch_up))
    }

    /// The next to be sent, in a slot that was taken for it.
    pub(super) fn send(&mut self, now: Timestamp) -> Option<Job> {
        let job = self.queue.pop_front()?;
        self.pace(now);
        Some(job)
    }

    /// Takes note that a request starts now.
    fn pace(&mut self, now: Timestamp) {
        if let Some(pace) = self.pace_nanos() {
            self.next_send_nanos = self.paced_from(now, pace).saturating_add(pace);
            self.behind &= self.next_send_nanos <= nanos(now);
        }
    }

    pub(super) fn sent(&mut self, now: Timestamp, trouble: bool) {
        if trouble {
            self.slow_down();
        } else if self.backs_off(now).is_none() {
            self.allowed = (self.allowed + 1).min(self.limit());
        }
    }

    /// Since when its oldest delivery waits, in memory or in the store.
    pub(super) fn oldest_due(&self) -> Option<Timestamp> {
        let first = self.queue.front().filter(|job| job.failures == 0).map(|job| job.delivery.made_at());
        first.into_iter().chain(self.stored).min()
    }

    /// Until when it is remembered though it is idle, or looked at again; `None` where it may be forgotten.
    pub(super) fn remembered_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        let used = (!self.seat.is_negligible(now)).then(|| now.plus(Duration::from_millis(SPAN)));
        self.paced_until(now).into_iter().chain(self.backs_off(now)).chain(used).max()
    }

    /// Whether nothing is left to do.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.reserved == 0
            && self.in_flight() == 0
            && self.stored.is_none()
            && !self.claiming
            && !self.in_line_to_claim
            && !self.seat.is_in_line()
            && !self.starved
    }
}

fn nanos(at: Timestamp) -> i64 {
    at.millis().saturating_mul(NANOS_OF_MILLI)
}
