//! What will happen to the world from outside: posts, edits, wishes, faults, each at a drawn moment.

use bytes::Bytes;
use fanfare_engine::id::OrganizationId;

use super::customers::{Edit, EditKind};
use super::intake::Post;
use super::{Happening, World};
use crate::catalogue::{FLOODING, MANY_HANGING, RETURNING, STEADY};
use crate::chance::Chance;
use crate::plan::{Cast, Plan};

/// Events that a flooding organization posts for each event of another.
const FLOOD: u32 = 20;
/// Events that each of many organizations posts whose receivers hang; all of them in the first part of the run, so that they
/// keep the slots busy until its end.
const HANGING_EVENTS: u32 = 8;
const HANGING_POSTS_FOR: i64 = 10_000;
/// Deliveries that wait for each webhook that returns after it was paused, and when it does; for how long it is measured what
/// others notice of it.
const WAITING_EVENTS: u32 = 300;
pub(super) const RETURNS_AT: i64 = 15_000;
pub(super) const CATCHES_UP_FOR: i64 = 5_000;
/// How often it is looked whether anything waits for too long, in milliseconds.
const INSPECTED_EVERY: i64 = 10 * 60_000;
/// How long after the faults' end it is looked.
const INSPECTED_FOR: i64 = 6 * 3_600_000;

impl World {
    pub(super) fn write_script(&mut self, plan: &Plan, mut chance: Chance) {
        let span = i64::from(plan.seconds) * 1_000;
        self.timeline.put(0, Happening::Start);
        match plan.cast {
            Cast::Mixed => self.write_posts(plan, span, &mut chance),
            Cast::Neighbours(_) => self.write_neighbours(plan, span, &mut chance),
            Cast::CatchUp { .. } => self.write_catch_up(plan, span, &mut chance),
        }
        let moments =
            |count: u32, chance: &mut Chance| -> Vec<i64> { (0..count).map(|_| chance.between(1, span)).collect() };
        for at in moments(plan.crashes, &mut chance) {
            self.timeline.put(at, Happening::Crash);
        }
        for at in moments(plan.restarts, &mut chance) {
            self.timeline.put(at, Happening::Drain);
        }
        for at in moments(plan.clock_steps, &mut chance) {
            let furthest = chance.pick(&[2_000, 60_000, 3_600_000, 86_400_000]);
            self.timeline.put(at, Happening::ClockStep(chance.between(-furthest, furthest)));
        }
        for at in moments(plan.outages, &mut chance) {
            self.timeline.put(at, Happening::Outage(true));
            self.timeline.put(at + chance.between(50, 5_000), Happening::Outage(false));
        }
        for at in moments(plan.edits, &mut chance) {
            let edit = self.draw_edit(&mut chance);
            self.write_edit(at, edit, &mut chance);
        }
        for at in moments(plan.wishes, &mut chance) {
            self.timeline.put(at, Happening::Wish { cancel: chance.percent(30) });
        }
        self.timeline.put(span, Happening::Quiet);
        for at in 1..=(span + INSPECTED_FOR) / INSPECTED_EVERY {
            self.timeline.put(at * INSPECTED_EVERY, Happening::Inspect);
        }
    }

    fn write_posts(&mut self, plan: &Plan, span: i64, chance: &mut Chance) {
        let mut at = 0;
        for number in 0..plan.events {
            // Half of the events come in bursts, at the same moment as the one before.
            if chance.percent(50) {
                at = chance.between(1, span);
            }
            let organization = chance.pick(&self.catalogue.organizations);
            let size = chance.pick(&[2, 20, 200, 2_000]);
            let post = Post {
                organization,
                kind: chance.index(4) as u32,
                external_id: chance.percent(60).then(|| format!("ext-{number}")),
                idempotency: chance.percent(30).then(|| format!("key-{number}")),
                ordering_key: chance.percent(25).then(|| format!("order-{}", chance.index(2))),
                data: data(number, size),
                posted: None,
                answered: None,
            };
            let repeats = chance.percent(20) && (post.external_id.is_some() || post.idempotency.is_some());
            self.posts.push(post);
            self.timeline.put(at, Happening::Post(number as usize));
            if repeats {
                self.timeline.put(at + chance.between(0, 2_000), Happening::Post(number as usize));
            }
        }
    }

    fn write_neighbours(&mut self, plan: &Plan, span: i64, chance: &mut Chance) {
        for organization in self.catalogue.organizations.clone() {
            let (count, until) = match organization {
                FLOODING => (plan.events * FLOOD, span),
                other if MANY_HANGING.contains(&other.0) => (HANGING_EVENTS, HANGING_POSTS_FOR),
                _ => (plan.events, span),
            };
            for _ in 0..count {
                self.write_plain_post(organization, chance.between(1, until));
            }
        }
    }

    fn write_catch_up(&mut self, plan: &Plan, span: i64, chance: &mut Chance) {
        for organization in self.catalogue.organizations.clone() {
            let (count, until) =
                if organization == STEADY { (plan.events, span) } else { (WAITING_EVENTS, RETURNS_AT / 2) };
            for _ in 0..count {
                self.write_plain_post(organization, chance.between(1, until));
            }
            for webhook in self.catalogue.of(organization).into_iter().filter(|_| RETURNING.contains(&organization.0)) {
                let edit = Edit { webhook, kind: EditKind::Enable };
                self.timeline.put(RETURNS_AT, Happening::Edit(edit));
            }
        }
    }

    fn write_plain_post(&mut self, organization: OrganizationId, at: i64) {
        let number = self.posts.len();
        self.posts.push(Post {
            organization,
            kind: 0,
            external_id: None,
            idempotency: None,
            ordering_key: None,
            data: data(number as u32, 200),
            posted: None,
            answered: None,
        });
        self.timeline.put(at, Happening::Post(number));
    }

    fn draw_edit(&self, chance: &mut Chance) -> Edit {
        let webhook = chance.pick(&self.catalogue.ids());
        let kind = match chance.index(10) {
            0..=2 => EditKind::Pause,
            3 | 4 => EditKind::Deactivate,
            5 => EditKind::Delete,
            6 | 7 => EditKind::Concurrency(chance.pick(&[1, 2, 4, 8])),
            _ => EditKind::Hold,
        };
        Edit { webhook, kind }
    }

    /// Puts an edit into the script and, for most, another one that undoes it.
    fn write_edit(&mut self, at: i64, edit: Edit, chance: &mut Chance) {
        let undone = match edit.kind {
            // A pause may be followed by a webhook being switched off, without its having been resumed.
            EditKind::Pause => Some(chance.pick(&[EditKind::Enable, EditKind::Deactivate])),
            EditKind::Deactivate => Some(EditKind::Enable),
            EditKind::Hold => Some(EditKind::LetGo),
            _ => None,
        };
        if let Some(kind) = undone.filter(|_| chance.percent(80)) {
            self.timeline.put(at + chance.pick(&[1, 10, 100, 5_000]), Happening::Edit(Edit { kind, ..edit }));
        }
        self.timeline.put(at, Happening::Edit(edit));
    }
}

fn data(number: u32, size: usize) -> Bytes {
    Bytes::from(format!("{{\"n\":{number},\"x\":\"{}\"}}", "x".repeat(size)))
}
