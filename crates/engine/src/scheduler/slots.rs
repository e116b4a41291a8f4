//! Who may start a request now: how many are under way, over all, for each organization and for each webhook, and who is next.
//!
//! # The policy
//! What is scarce is slot-time, since a request that hangs holds its slot thousands of times longer than one that is
//! answered. A slot in use cannot be taken back, so the policy decides before it is given: the more you hold, the more slots
//! must be free for you to get another. An organization with `h` requests under way starts one for a webhook that has `w`
//! only while
//!
//! ```text
//! free slots > reserve + h / 8 + (h + w) / 8
//! ```
//!
//! The reserve is an eighth of all slots. The second term divides what is left between organizations, the third divides
//! what an organization has between its webhooks. Among those that fit, the one that holds fewest is next. Where many want
//! more than there is, all of them get the same number of slots (max-min fairness); one alone may use most of what is free.
//! An organization whose requests end in trouble counts for up to four times what it holds.
//!
//! The reserve is for the *light*: those that used less than an eighth of an equal share over the last seconds, so all of
//! them together fit into it. A light organization needs an eighth of reserve and second term for each request that it has
//! under way, and a light webhook likewise of the third, up to all of it: one that holds nothing needs a single free slot.
//! Nobody knows at first whether a new one hangs, but it takes at most eight slots out of the reserve before it is known, so
//! that with 4,096 slots fifty such leave half of the reserve.
//!
//! # Bounds
//! How many slots must be free for an organization depends only on what it holds itself. All that wait are in one ordered
//! set, and either the first fits or none does: O(log n) for each request, however many wait. An organization is forgotten
//! once it has used next to nothing for a while.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use foldhash::HashMap;

use super::usage::{SPAN, Usage};
use crate::id::{OrganizationId, WebhookId};
use crate::time::Timestamp;

/// The part of all slots that is kept for the light, and the part of an equal share that these use at most; a divisor.
const RESERVE: usize = 8;
/// For each so many requests under way, one more slot must be free.
const HELD: usize = 8;
/// With so many requests under way, the light need as many free slots as the others; with fewer, in proportion less.
const LIGHT: usize = 8;
/// An organization whose every request ends in trouble counts for so many times what it holds.
const TROUBLE: usize = 4;
/// The measure of trouble where every request ends in it.
const ALL_TROUBLE: usize = 1 << 16;
/// The part of the measure that each request replaces, as a divisor.
const TROUBLE_MEMORY: usize = 16;
/// After so long, use is forgotten.
const FADED: Duration = Duration::from_millis(2 * SPAN);

/// See the module.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    in_flight: usize,
    unrecorded: usize,
    organizations: HashMap<OrganizationId, Share>,
    /// Organizations of which a webhook waits for its turn.
    line: BTreeSet<(Place, OrganizationId)>,
    /// Organizations that have requests under way or stand in line.
    active: usize,
    /// Organizations that are idle and not yet forgotten, and when to look at them again.
    fading: VecDeque<(Timestamp, OrganizationId)>,
    /// Turns given out, to serve equals in the order in which they came.
    turns: u64,
}

/// Where an organization stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// How many slots must be free.
    needs: usize,
    /// What it counts for.
    counts: usize,
    turn: u64,
}

/// What an organization uses.
#[derive(Debug)]
struct Share {
    usage: Usage,
    /// How many of its last requests ended in trouble, of [`ALL_TROUBLE`].
    trouble: usize,
    /// Its webhooks that have requests under way or stand in line.
    webhooks: usize,
    line: BTreeSet<(SeatPlace, WebhookId)>,
    place: Option<Place>,
    is_active: bool,
    is_fading: bool,
}

/// Where a webhook stands in the line of its organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SeatPlace {
    is_heavy: bool,
    in_flight: usize,
    turn: u64,
}

/// What a webhook uses, and where it stands in line.
#[derive(Debug)]
pub(super) struct Seat {
    webhook: WebhookId,
    usage: Usage,
    place: Option<SeatPlace>,
    is_active: bool,
}

impl Seat {
    pub(super) fn new(now: Timestamp, webhook: WebhookId) -> Self {
        Seat { webhook, usage: Usage::new(now), place: None, is_active: false }
    }

    /// Requests under way, and slots that were taken ahead.
    pub(super) fn in_flight(&self) -> usize {
        self.usage.in_flight()
    }

    pub(super) fn is_in_line(&self) -> bool {
        self.place.is_some()
    }

    /// About how long its requests take, in milliseconds; at least.
    pub(super) fn takes(&mut self, now: Timestamp) -> u64 {
        self.usage.takes(now)
    }

    /// Whether it used so little lately that it may be forgotten.
    pub(super) fn is_negligible(&mut self, now: Timestamp) -> bool {
        self.usage.is_negligible(now)
    }
}

impl Share {
    fn new(now: Timestamp) -> Self {
        Share {
            usage: Usage::new(now),
            trouble: 0,
            webhooks: 0,
            line: BTreeSet::new(),
            place: None,
            is_active: false,
            is_fading: false,
        }
    }

    /// What it holds, more where its requests end in trouble.
    fn counts(&self) -> usize {
        let weight = ALL_TROUBLE + (TROUBLE - 1) * self.trouble;
        self.usage.in_flight().saturating_mul(weight) / ALL_TROUBLE
    }

    fn note_trouble(&mut self, trouble: bool) {
        self.trouble -= self.trouble / TROUBLE_MEMORY;
        self.trouble += if trouble { ALL_TROUBLE / TROUBLE_MEMORY } else { 0 };
    }

    /// How many more slots must be free for a webhook than for the organization.
    fn needs(&self, is_heavy: bool, in_flight: usize) -> usize {
        let needs = (self.usage.in_flight() + in_flight) / HELD;
        if is_heavy { needs } else { light_part(needs, in_flight) }
    }

    /// The webhook whose turn it is, and how many more slots must be free for it than for the organization.
    fn next(&self) -> Option<(usize, (SeatPlace, WebhookId))> {
        let heavy = (SeatPlace { is_heavy: true, in_flight: 0, turn: 0 }, WebhookId(i64::MIN));
        let firsts = [self.line.range(..heavy).next(), self.line.range(heavy..).next()];
        let needs = |&first: &(SeatPlace, WebhookId)| (self.needs(first.0.is_heavy, first.0.in_flight), first);
        firsts.into_iter().flatten().map(needs).min()
    }
}

impl Slots {
    pub(super) fn new(limit: usize) -> Self {
        Slots {
            limit,
            in_flight: 0,
            unrecorded: 0,
            organizations: HashMap::default(),
            line: BTreeSet::new(),
            active: 0,
            fading: VecDeque::new(),
            turns: 0,
        }
    }

    /// Puts a webhook in line, or where it belongs there by now.
    pub(super) fn wait(&mut self, now: Timestamp, organization: OrganizationId, seat: &mut Seat) {
        let is_heavy = self.is_heavy(now, organization, seat);
        let turn = seat.place.map_or_else(|| self.take_turn(), |place| place.turn);
        let place = SeatPlace { is_heavy, in_flight: seat.in_flight(), turn };
        let share = self.organizations.entry(organization).or_insert_with(|| Share::new(now));
        if let Some(before) = seat.place.replace(place) {
            share.line.remove(&(before, seat.webhook));
        }
        share.line.insert((place, seat.webhook));
        self.settle(now, organization, seat);
    }

    /// Whether no webhook stands in line.
    pub(super) fn nobody_waits(&self) -> bool {
        self.line.is_empty()
    }

    /// The webhook whose turn it is, if there is a slot for it. It stays in line until [`Slots::leave`].
    pub(super) fn next(&mut self, now: Timestamp) -> Option<WebhookId> {
        loop {
            let (place, organization) = self.line.first().copied().filter(|(place, _)| place.needs <= self.free())?;
            // What was light when it came may not be any more.
            if self.put_in_place(now, organization).is_some_and(|fresh| fresh.needs <= place.needs) {
                let (_, (_, webhook)) = self.organizations.get(&organization)?.next()?;
                return Some(webhook);
            }
        }
    }

    /// Takes a webhook out of line: it had its turn.
    pub(super) fn leave(&mut self, now: Timestamp, organization: OrganizationId, seat: &mut Seat) {
        let turn = self.take_turn();
        let Some(share) = self.organizations.get_mut(&organization) else { return };
        if let Some(place) = seat.place.take() {
            share.line.remove(&(place, seat.webhook));
        }
        if let Some(place) = &mut share.place {
            self.line.remove(&(*place, organization));
            place.turn = turn;
            self.line.insert((*place, organization));
        }
        self.settle(now, organization, seat);
    }

    /// Takes a slot if there is one for this webhook.
    pub(super) fn try_take(&mut self, now: Timestamp, organization: OrganizationId, seat: &mut Seat) -> bool {
        let is_heavy = self.is_heavy(now, organization, seat);
        let free = self.free();
        let (limit, active) = (self.limit, self.active);
        let share = self.organizations.entry(organization).or_insert_with(|| Share::new(now));
        let needs = needs(share, now, limit, active) + share.needs(is_heavy, seat.in_flight());
        let fits = needs <= free;
        if fits {
            share.usage.take(now);
            seat.usage.take(now);
            self.in_flight += 1;
        }
        self.move_up(now, organization, seat);
        fits
    }

    /// A slot was taken and no request was made.
    pub(super) fn give_back_unused(&mut self, now: Timestamp, organization: OrganizationId, seat: &mut Seat) {
        self.give_back(now, organization, seat, None);
        self.recorded();
    }

    /// A request is over and its outcome not yet on disk. `trouble`: the receiver showed that it cannot keep up, or that it
    /// can.
    pub(super) fn give_back(
        &mut self,
        now: Timestamp,
        organization: OrganizationId,
        seat: &mut Seat,
        trouble: Option<bool>,
    ) {
        self.in_flight -= 1;
        self.unrecorded += 1;
        seat.usage.give_back(now);
        if let Some(share) = self.organizations.get_mut(&organization) {
            share.usage.give_back(now);
            if let Some(trouble) = trouble {
                share.note_trouble(trouble);
            }
        }
        self.move_up(now, organization, seat);
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

    /// Organizations that are remembered.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.organizations.len()
    }

    /// Forgets organizations that have used nothing for a while.
    pub(super) fn forget_faded(&mut self, now: Timestamp) {
        // Never further ahead, unless the clock was set back.
        let is_due = |at: Timestamp| at <= now || at.since(now) > FADED;
        while let Some((_, organization)) = self.fading.pop_front_if(|(at, _)| is_due(*at)) {
            if let Some(share) = self.organizations.get_mut(&organization) {
                share.is_fading = false;
                self.fade_if_idle(now, organization);
            }
        }
    }

    /// Returns the number of free slots, the reserve included. A slot whose outcome is not recorded counts as taken, so that a
    /// store that cannot keep up slows down sending.
    fn free(&self) -> usize {
        self.limit.saturating_sub(self.in_flight + self.unrecorded)
    }

    fn take_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// Whether a webhook used more than an eighth of an equal share of what its organization has, or would have among equals.
    fn is_heavy(&mut self, now: Timestamp, organization: OrganizationId, seat: &mut Seat) -> bool {
        let Some(share) = self.organizations.get(&organization) else { return false };
        let slots = share.usage.in_flight().max(self.limit / self.active.max(1));
        !is_light(&mut seat.usage, now, slots, share.webhooks)
    }

    /// Puts a webhook that waits where it belongs after it took a slot or gave one back.
    fn move_up(&mut self, now: Timestamp, organization: OrganizationId, seat: &mut Seat) {
        if seat.is_in_line() {
            self.wait(now, organization, seat);
        } else {
            self.settle(now, organization, seat);
        }
    }

    /// Takes note of what changed for an organization and one of its webhooks.
    fn settle(&mut self, now: Timestamp, organization: OrganizationId, seat: &mut Seat) {
        let Some(share) = self.organizations.get_mut(&organization) else { return };
        change(&mut seat.is_active, seat.place.is_some() || seat.usage.in_flight() > 0, &mut share.webhooks);
        let is_active = share.usage.in_flight() > 0 || !share.line.is_empty();
        change(&mut share.is_active, is_active, &mut self.active);
        self.put_in_place(now, organization);
        self.fade_if_idle(now, organization);
    }

    /// Puts an organization where it belongs in line, if it waits, and answers where.
    fn put_in_place(&mut self, now: Timestamp, organization: OrganizationId) -> Option<Place> {
        let (limit, active) = (self.limit, self.active);
        let share = self.organizations.get_mut(&organization)?;
        let turn = share.place.map(|place| place.turn);
        let fresh = share.next().map(|(more, _)| (needs(share, now, limit, active) + more, share.counts()));
        let turn = turn.unwrap_or_else(|| {
            self.turns += 1;
            self.turns
        });
        let fresh = fresh.map(|(needs, counts)| Place { needs, counts, turn });
        if share.place != fresh {
            if let Some(before) = std::mem::replace(&mut share.place, fresh) {
                self.line.remove(&(before, organization));
            }
            self.line.extend(fresh.map(|place| (place, organization)));
        }
        fresh
    }

    /// Forgets an organization that is idle, now or once its use has faded.
    fn fade_if_idle(&mut self, now: Timestamp, organization: OrganizationId) {
        let Some(share) = self.organizations.get_mut(&organization).filter(|share| !share.is_active) else { return };
        if share.is_fading {
            return;
        }
        if share.usage.is_negligible(now) {
            self.organizations.remove(&organization);
        } else {
            share.is_fading = true;
            self.fading.push_back((now.plus(FADED), organization));
        }
    }
}

/// How many slots must be free for an organization to start a request.
fn needs(share: &mut Share, now: Timestamp, limit: usize, active: usize) -> usize {
    let needs = limit / RESERVE + share.counts() / HELD;
    let light = light_part(needs, share.usage.in_flight());
    1 + if light < needs && is_light(&mut share.usage, now, limit, active) { light } else { needs }
}

/// How many of the slots that others need to be free the light need, with so many requests under way.
fn light_part(needs: usize, in_flight: usize) -> usize {
    needs * in_flight.min(LIGHT) / LIGHT
}

/// Whether less was used than a part of an equal share of these slots.
fn is_light(usage: &mut Usage, now: Timestamp, slots: usize, sharers: usize) -> bool {
    usage.used(now) * (RESERVE * sharers) as u64 <= slots as u64 * SPAN
}

/// Sets whether something is the case, and counts of how many it is.
fn change(was: &mut bool, is: bool, count: &mut usize) {
    match (std::mem::replace(was, is), is) {
        (false, true) => *count += 1,
        (true, false) => *count -= 1,
        _ => {}
    }
}
