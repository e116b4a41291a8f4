//! Slots are shared by slot-time: receivers that hold their requests for long leave room for the others, and use what is free.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SLOTS: usize = 1_024;
/// How long a slow receiver takes, in seconds.
const SLOW: u64 = 5;

/// A scheduler, and what is under way of each webhook. The organization is in the webhook's number: 3007 is the seventh of 3.
struct Fleet {
    scheduler: Scheduler,
    under_way: BTreeMap<i64, usize>,
    posted: i64,
    sent: usize,
}

impl Fleet {
    fn new(in_flight: usize) -> Self {
        let scheduler = Scheduler::new(Limits { in_flight, bytes: 1 << 30, ..Limits::default() });
        Fleet { scheduler, under_way: BTreeMap::new(), posted: 0, sent: 0 }
    }

    fn tell(&mut self, now: Timestamp, input: Input) -> usize {
        let commands = step(&mut self.scheduler, now, input);
        for command in &commands {
            let Command::Send(job) = command else { continue };
            *self.under_way.entry(job.webhook.0).or_default() += 1;
            self.sent += 1;
        }
        commands.len()
    }

    /// Asks for room for one for a webhook.
    fn admit(&mut self, now: Timestamp, webhook: i64) -> bool {
        self.scheduler.admit(now, WebhookId(webhook), config(webhook / 1_000, 16), 100)
    }

    /// Posts one for a webhook; answers whether it is sent at once.
    fn post(&mut self, now: Timestamp, webhook: i64) -> bool {
        assert!(self.admit(now, webhook));
        self.accepted(now, webhook)
    }

    fn accepted(&mut self, now: Timestamp, webhook: i64) -> bool {
        self.posted += 1;
        let before = self.under_way.get(&webhook).copied();
        self.tell(now, Input::Accepted(job(webhook, self.posted)));
        self.under_way.get(&webhook).copied() != before
    }

    fn post_many(&mut self, now: Timestamp, organizations: std::ops::RangeInclusive<i64>, webhooks: i64, each: usize) {
        for _ in 0..each {
            for organization in organizations.clone() {
                (0..webhooks).for_each(|webhook| _ = self.post(now, organization * 1_000 + webhook));
            }
        }
    }

    fn end(&mut self, now: Timestamp, webhook: i64, trouble: bool) {
        *self.under_way.get_mut(&webhook).unwrap() -= 1;
        self.tell(now, sent(webhook, trouble));
        self.tell(now, recorded());
    }

    /// Everything that is under way ends, one after the other.
    fn end_all(&mut self, now: Timestamp, trouble: impl Fn(i64) -> bool) {
        for (webhook, count) in self.under_way.clone() {
            (0..count).for_each(|_| self.end(now, webhook, trouble(webhook)));
        }
    }

    fn held(&self, organization: i64) -> usize {
        self.under_way.range(organization * 1_000..(organization + 1) * 1_000).map(|(_, held)| held).sum()
    }
}

#[test]
fn many_that_are_slow_get_equal_shares_leave_the_reserve_and_use_the_rest() {
    let mut fleet = Fleet::new(SLOTS);
    fleet.post_many(NOW, 1..=20, 8, 40);
    for round in 1..=4 {
        fleet.end_all(later(SLOW * round), |_| false);
        assert!(fleet.post(later(SLOW * round), 90_000 + round as i64), "one that holds nothing waits, round {round}");
    }
    let held: Vec<usize> = (1..=20).map(|organization| fleet.held(organization)).collect();
    let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
    assert!(most - least <= 2, "{held:?}");
    let in_flight = fleet.scheduler.figures().in_flight;
    assert!((SLOTS * 3 / 4..=SLOTS - SLOTS / 8).contains(&in_flight), "{in_flight}");
}

#[test]
fn one_alone_uses_most_of_what_is_free() {
    let mut fleet = Fleet::new(SLOTS);
    fleet.post_many(NOW, 1..=1, 100, 40);
    for round in 1..=4 {
        fleet.end_all(later(SLOW * round), |_| false);
    }
    let in_flight = fleet.scheduler.figures().in_flight;
    assert!((SLOTS * 2 / 3..=SLOTS - SLOTS / 8).contains(&in_flight), "{in_flight}");
}

#[test]
fn slow_webhooks_of_an_organization_leave_room_for_its_quick_ones() {
    let mut fleet = Fleet::new(SLOTS);
    fleet.post_many(NOW, 1..=1, 90, 60);
    for round in 1..=4 {
        fleet.end_all(later(SLOW * round), |_| false);
    }
    let now = later(SLOW * 4 + 1);
    for quick in 90..100 {
        assert!(fleet.post(now, 1_000 + quick), "{quick}");
        fleet.end(now.plus(Duration::from_millis(5)), 1_000 + quick, false);
    }
    let held: Vec<usize> = fleet.under_way.range(1_000..1_090).map(|(_, held)| *held).collect();
    let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
    assert!(most - least <= 1, "{held:?}");
}

#[test]
fn slow_webhooks_leave_memory_for_the_quick_ones_of_their_organization() {
    let mut fleet = Fleet::new(SLOTS);
    // A quarter of it is for one organization: a thousand deliveries.
    fleet.scheduler = Scheduler::new(Limits { in_flight: SLOTS, bytes: 400_000, ..Limits::default() });
    fleet.post_many(NOW, 1..=1, 20, 16);
    let now = later(4);
    for webhook in (1_000..1_020).cycle().take(20 * 60) {
        if fleet.admit(now, webhook) {
            fleet.accepted(now, webhook);
        }
    }
    assert!(fleet.scheduler.figures().bytes > 50_000, "they use what is there");
    for _ in 0..100 {
        assert!(fleet.admit(now, 1_020));
        fleet.accepted(now, 1_020);
    }
}

#[test]
fn fifty_that_begin_to_hang_at_once_leave_slots_for_others() {
    let mut fleet = Fleet::new(4_096);
    for organization in 1..=50 {
        fleet.post_many(NOW, organization..=organization, 8, 16);
        assert!(fleet.post(NOW, 90_000 + organization), "after {organization}");
        fleet.end(NOW, 90_000 + organization, false);
    }
}

#[test]
fn an_organization_in_trouble_gets_less() {
    let mut fleet = Fleet::new(SLOTS);
    fleet.post_many(NOW, 1..=2, 400, 6);
    for round in 1..=3 {
        fleet.end_all(later(round), |webhook| webhook < 2_000);
    }
    let (troubled, healthy) = (fleet.held(1), fleet.held(2));
    assert!(troubled * 2 < healthy && troubled > 0, "{troubled} and {healthy}");
}

#[test]
fn one_that_used_much_lately_does_not_use_the_reserve() {
    let mut fleet = Fleet::new(64);
    fleet.post_many(NOW, 1..=4, 8, 8);
    fleet.end_all(later(20), |_| false);
    // What is free now is in the reserve: 1 has used a quarter of all slots, and waits; 9 has used nothing.
    let webhooks: Vec<i64> = fleet.under_way.range(1_000..2_000).map(|(webhook, _)| *webhook).collect();
    for webhook in webhooks {
        while fleet.under_way[&webhook] > 0 {
            let sent = fleet.sent;
            fleet.end(later(21), webhook, false);
            assert!(fleet.sent <= sent + 1);
        }
    }
    assert!(fleet.scheduler.figures().in_flight <= 64 - 64 / 8);
    assert!(fleet.post(later(21), 9_000));
}

#[derive(Clone, Debug)]
enum Act {
    Post(i64, i64),
    End(usize, bool),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1i64..5, 0i64..3).prop_map(|(organization, webhook)| Act::Post(organization, webhook)),
        (any::<usize>(), any::<bool>()).prop_map(|(which, trouble)| Act::End(which, trouble)),
        (0u64..4_000).prop_map(Act::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bounds_hold_everything_is_sent_and_nothing_is_remembered(
        slots in 1usize..40,
        acts in prop::collection::vec(act(), 1..300),
    ) {
        let (mut fleet, mut now) = (Fleet::new(slots), NOW);
        for act in acts {
            match act {
                Act::Post(organization, webhook) => _ = fleet.post(now, organization * 1_000 + webhook),
                Act::Pass(millis) => now = now.plus(Duration::from_millis(millis)),
                Act::End(which, trouble) => {
                    let busy: Vec<i64> = fleet.under_way.iter().filter(|(_, held)| **held > 0).map(|(w, _)| *w).collect();
                    if !busy.is_empty() {
                        fleet.end(now, busy[which % busy.len()], trouble);
                    }
                }
            }
            let figures = fleet.scheduler.figures();
            prop_assert!(figures.in_flight <= slots);
            prop_assert!(figures.queued == 0 || figures.in_flight > 0, "it stands still: {figures:?}");
        }
        while fleet.scheduler.figures().in_flight > 0 {
            fleet.end_all(now, |_| false);
        }
        prop_assert_eq!(fleet.sent as i64, fleet.posted);
        for _ in 0..4 {
            now = now.plus(Duration::from_secs(21));
            fleet.tell(now, Input::Tick);
        }
        prop_assert_eq!(fleet.scheduler.figures(), Figures::default());
        prop_assert_eq!(fleet.scheduler.slots.known(), 0);
    }
}
