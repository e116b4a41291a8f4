//! The scheduler alone, in time that the test sets.

mod at_most_once;
mod back_off;
mod fairness;
mod memory;
mod pace;

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::delivery::{Single, Trigger};
use crate::event::Event;
use crate::id::{DeliveryId, EventId, OrganizationId, ProjectId};
use crate::webhook::RateLimit;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn config(organization: i64, concurrency: u32) -> LaneConfig {
    LaneConfig { organization: OrganizationId(organization), concurrency, ..LaneConfig::UNKNOWN }
}

fn job(webhook: i64, delivery: i64) -> Job {
    let event = Event {
        id: EventId(delivery),
        project: ProjectId(1),
        organization: OrganizationId(1),
        kind: "t".into(),
        external_id: None,
        data: Bytes::from_static(b"{}"),
        entity: None,
        scope: Vec::new(),
        occurred_at: NOW,
        ordering_key: None,
        hops: 0,
    };
    Job {
        delivery: DeliveryId(delivery),
        webhook: WebhookId(webhook),
        claim: 1,
        event: Arc::new(event),
        attempts: 0,
        failures: 0,
        trigger: Trigger::Schedule,
        single: Single::No,
        may_have_been_sent: false,
        weight: 100,
    }
}

/// Admits and accepts a delivery; answers the deliveries that are to be sent.
fn offer(scheduler: &mut Scheduler, now: Timestamp, config: LaneConfig, job: Job) -> Option<Vec<i64>> {
    if !scheduler.admit(now, job.webhook, config, job.weight) {
        return None;
    }
    Some(sends(&step(scheduler, now, Input::Accepted(job))))
}

fn step(scheduler: &mut Scheduler, now: Timestamp, input: Input) -> Vec<Command> {
    let mut commands = Vec::new();
    scheduler.step(now, input, &mut commands);
    commands
}

fn sends(commands: &[Command]) -> Vec<i64> {
    commands.iter().filter_map(|c| if let Command::Send(job) = c { Some(job.delivery.0) } else { None }).collect()
}

fn sent(webhook: i64, trouble: bool) -> Input {
    Input::Sent { webhook: WebhookId(webhook), weight: 100, trouble }
}

fn recorded() -> Input {
    Input::Recorded { organization: OrganizationId(1), weight: 100 }
}

#[test]
fn a_webhook_sends_no_more_at_once_than_it_may() {
    let mut scheduler = Scheduler::new(Limits::default());
    for delivery in 0..5 {
        let sent = offer(&mut scheduler, NOW, config(1, 2), job(1, delivery)).unwrap();
        assert_eq!(sent.is_empty(), delivery >= 2);
    }
    assert_eq!(sends(&step(&mut scheduler, NOW, sent(1, false))), [2]);
    assert_eq!(scheduler.figures().in_flight, 2);
    assert_eq!(scheduler.figures().recording, 1);
}

#[test]
fn trouble_that_shows_late_slows_down_all_the_same() {
    let mut scheduler = Scheduler::new(Limits::default());
    for delivery in 0..6 {
        offer(&mut scheduler, NOW, config(1, 4), job(1, delivery)).unwrap();
    }
    step(&mut scheduler, NOW, Input::Trouble { webhook: WebhookId(1) });
    assert!(sends(&step(&mut scheduler, NOW, sent(1, false))).is_empty());
    assert_eq!(sends(&step(&mut scheduler, NOW, sent(1, false))), [4, 5]);
    assert_eq!(step(&mut scheduler, NOW, Input::Trouble { webhook: WebhookId(9) }).len(), 0);
}

#[test]
fn trouble_halves_and_success_restores_what_is_sent_at_once() {
    let mut scheduler = Scheduler::new(Limits::default());
    for delivery in 0..40 {
        offer(&mut scheduler, NOW, config(1, 4), job(1, delivery)).unwrap();
    }
    assert_eq!(scheduler.figures().in_flight, 4);
    for _ in 0..3 {
        step(&mut scheduler, NOW, sent(1, true));
        step(&mut scheduler, NOW, recorded());
    }
    assert_eq!(scheduler.figures().in_flight, 1);
    step(&mut scheduler, NOW, sent(1, false));
    step(&mut scheduler, NOW, sent(1, false));
    assert_eq!(scheduler.figures().in_flight, 3);
}

#[test]
fn lanes_take_turns() {
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let mut scheduler = Scheduler::new(limits);
    for delivery in 0..10 {
        offer(&mut scheduler, NOW, config(1, 8), job(1, delivery)).unwrap();
    }
    offer(&mut scheduler, NOW, config(2, 8), job(2, 100)).unwrap();
    let mut order = Vec::new();
    for webhook in [1, 1, 2] {
        step(&mut scheduler, NOW, sent(webhook, false));
        order.extend(sends(&step(&mut scheduler, NOW, recorded())));
    }
    assert!(order.contains(&100), "{order:?}");
}

#[test]
fn a_rate_limit_spaces_requests_evenly() {
    let mut scheduler = Scheduler::new(Limits::default());
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(4)), ..config(1, 8) };
    for delivery in 0..3 {
        offer(&mut scheduler, NOW, slow, job(1, delivery)).unwrap();
    }
    assert_eq!(scheduler.figures().in_flight, 1);
    let wake = scheduler.next_wakeup().unwrap();
    assert!(wake.since(NOW) >= Duration::from_millis(250) && wake.since(NOW) < Duration::from_millis(255));
    assert_eq!(sends(&step(&mut scheduler, wake, Input::Tick)), [1]);
}

#[test]
fn what_does_not_fit_goes_to_the_store_and_newer_queue_behind_it() {
    let mut scheduler = Scheduler::new(Limits { window_per_slot: 2, ..Limits::default() });
    let webhook = WebhookId(1);
    for delivery in 0..3 {
        offer(&mut scheduler, NOW, config(1, 1), job(1, delivery)).unwrap();
    }
    assert!(!scheduler.admit(NOW, webhook, config(1, 1), 100), "the window of two is full");
    let commands = step(&mut scheduler, NOW, Input::Stored { webhook, config: None, due: NOW });
    assert!(commands.is_empty(), "no room to claim into yet: {commands:?}");
    let commands = step(&mut scheduler, NOW, sent(1, false));
    assert!(matches!(commands[..], [Command::Send(_), Command::Claim { limit: 1, .. }]), "{commands:?}");
    assert_eq!(sends(&step(&mut scheduler, NOW, sent(1, false))), [2]);
    assert!(!scheduler.admit(NOW, webhook, config(1, 1), 100), "older ones wait in the store");
    let jobs = vec![job(1, 3)];
    step(&mut scheduler, NOW, Input::Claimed { webhook, config: config(1, 1), jobs, next_due: None });
    step(&mut scheduler, NOW, sent(1, false));
    assert!(scheduler.admit(NOW, webhook, config(1, 1), 100), "the store is empty again");
}

#[test]
fn a_later_retry_is_claimed_when_due_and_holds_nothing_up() {
    let mut scheduler = Scheduler::new(Limits::default());
    let webhook = WebhookId(1);
    let due = NOW.plus(Duration::from_secs(5));
    step(&mut scheduler, NOW, Input::Stored { webhook, config: Some(config(1, 1)), due });
    assert_eq!(scheduler.next_wakeup(), Some(due));
    assert!(scheduler.admit(NOW, webhook, config(1, 1), 100));
    step(&mut scheduler, NOW, Input::Refused { webhook, weight: 100 });
    let commands = step(&mut scheduler, due, Input::Tick);
    assert!(matches!(commands[..], [Command::Claim { .. }]), "{commands:?}");
}

#[test]
fn what_is_written_during_a_claim_is_not_forgotten() {
    let mut scheduler = Scheduler::new(Limits::default());
    let webhook = WebhookId(1);
    step(&mut scheduler, NOW, Input::Stored { webhook, config: Some(config(1, 1)), due: NOW });
    let later = NOW.plus(Duration::from_secs(9));
    step(&mut scheduler, NOW, Input::Stored { webhook, config: None, due: later });
    step(&mut scheduler, NOW, Input::Claimed { webhook, config: config(1, 1), jobs: vec![], next_due: None });
    let commands = step(&mut scheduler, later, Input::Tick);
    assert!(matches!(commands[..], [Command::Claim { .. }]), "{commands:?}");
}

#[test]
fn a_hold_gives_everything_back_and_its_end_claims_it() {
    let mut scheduler = Scheduler::new(Limits::default());
    let webhook = WebhookId(1);
    for delivery in 0..3 {
        offer(&mut scheduler, NOW, config(1, 1), job(1, delivery)).unwrap();
    }
    let held = LaneConfig { held: true, ..config(1, 1) };
    let commands = step(&mut scheduler, NOW, Input::Configured { webhook, config: held });
    assert!(matches!(&commands[..], [Command::Release { leases, .. }] if leases.len() == 2), "{commands:?}");
    assert!(!scheduler.admit(NOW, webhook, held, 100));
    assert!(step(&mut scheduler, NOW, Input::Stored { webhook, config: None, due: NOW }).is_empty());
    assert!(step(&mut scheduler, NOW, sent(1, false)).is_empty());
    let commands = step(&mut scheduler, NOW, Input::Configured { webhook, config: config(1, 1) });
    assert!(matches!(commands[..], [Command::Claim { .. }]), "{commands:?}");
}

#[test]
fn memory_is_bounded_and_starved_lanes_are_served_later() {
    let mut scheduler = Scheduler::new(Limits { bytes: 228, ..Limits::default() });
    offer(&mut scheduler, NOW, config(1, 8), job(1, 1)).unwrap();
    offer(&mut scheduler, NOW, config(1, 8), job(1, 2)).unwrap();
    assert!(offer(&mut scheduler, NOW, config(2, 8), job(2, 3)).is_none());
    let stored = Input::Stored { webhook: WebhookId(2), config: Some(config(1, 8)), due: NOW };
    assert!(step(&mut scheduler, NOW, stored).is_empty());
    assert!(step(&mut scheduler, NOW, sent(1, false)).is_empty());
    let commands = step(&mut scheduler, NOW, recorded());
    assert!(matches!(commands[..], [Command::Claim { webhook: WebhookId(2), .. }]), "{commands:?}");
}

#[test]
fn a_drain_gives_back_what_waits_and_ends_when_the_rest_is_recorded() {
    let mut scheduler = Scheduler::new(Limits::default());
    for delivery in 0..3 {
        offer(&mut scheduler, NOW, config(1, 1), job(1, delivery)).unwrap();
    }
    let commands = step(&mut scheduler, NOW, Input::Drain);
    assert!(matches!(&commands[..], [Command::Release { leases, .. }] if leases.len() == 2), "{commands:?}");
    assert!(!scheduler.is_drained());
    assert!(sends(&step(&mut scheduler, NOW, sent(1, false))).is_empty());
    assert!(!scheduler.is_drained());
    step(&mut scheduler, NOW, recorded());
    assert!(scheduler.is_drained());
    assert_eq!(scheduler.figures().bytes, 0);
}

#[test]
fn idle_lanes_are_forgotten() {
    let mut scheduler = Scheduler::new(Limits::default());
    offer(&mut scheduler, NOW, config(1, 1), job(1, 1)).unwrap();
    step(&mut scheduler, NOW, sent(1, false));
    assert_eq!(scheduler.figures().lanes, 0);
}

/// A webhook is known to the scheduler by id only, since something of it waits in the store.
fn with_something_stored(webhook: i64, due: Timestamp) -> Scheduler {
    let mut scheduler = Scheduler::new(Limits { in_flight: 3, window_per_slot: 4, ..Limits::default() });
    step(&mut scheduler, NOW, Input::Stored { webhook: WebhookId(webhook), config: None, due });
    scheduler
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

#[test]
fn what_was_unknown_of_a_webhook_becomes_known_before_it_is_sent_to() {
    let mut scheduler = with_something_stored(1, later(60));
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(1)), ..config(1, 8) };
    assert_eq!(offer(&mut scheduler, NOW, slow, job(1, 1)).unwrap(), [1]);
    assert!(offer(&mut scheduler, NOW, slow, job(1, 2)).unwrap().is_empty(), "its rate limit holds");
}

#[test]
fn slots_go_back_to_the_organization_that_they_were_taken_from() {
    let mut scheduler = with_something_stored(1, later(1));
    let webhook = WebhookId(1);
    for delivery in 0..3 {
        offer(&mut scheduler, NOW, config(1, 8), job(1, delivery)).unwrap();
    }
    // What waited was skipped meanwhile, since the webhook was switched off.
    step(&mut scheduler, later(1), Input::Tick);
    let skipped = Input::Claimed { webhook, config: LaneConfig::UNKNOWN, jobs: vec![], next_due: None };
    step(&mut scheduler, later(1), skipped);
    for _ in 0..3 {
        step(&mut scheduler, later(1), sent(1, false));
        step(&mut scheduler, later(1), recorded());
    }
    for delivery in 10..13 {
        assert_eq!(offer(&mut scheduler, later(1), config(1, 8), job(2, delivery)).unwrap(), [delivery]);
    }
}

#[test]
fn a_rate_limit_outlasts_an_idle_moment_and_is_forgotten_after_it() {
    let mut scheduler = Scheduler::new(Limits::default());
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(1)), ..config(1, 8) };
    offer(&mut scheduler, NOW, slow, job(1, 1)).unwrap();
    step(&mut scheduler, NOW, sent(1, false));
    assert!(offer(&mut scheduler, NOW, slow, job(1, 2)).unwrap().is_empty());
    assert_eq!(sends(&step(&mut scheduler, later(2), Input::Tick)), [2]);
    step(&mut scheduler, later(2), sent(1, false));
    step(&mut scheduler, later(4), Input::Tick);
    assert_eq!(scheduler.figures().lanes, 0);
}

#[test]
fn case_059_a_clock_that_is_set_back_stops_no_rate_limited_webhook() {
    let mut scheduler = Scheduler::new(Limits::default());
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(1)), ..config(1, 8) };
    let tomorrow = later(86_400);
    for delivery in 0..3 {
        offer(&mut scheduler, tomorrow, slow, job(1, delivery)).unwrap();
    }
    assert!(step(&mut scheduler, NOW, Input::Tick).is_empty());
    assert!(scheduler.next_wakeup().unwrap() < later(2), "{:?}", scheduler.next_wakeup());
    assert_eq!(sends(&step(&mut scheduler, later(2), Input::Tick)), [1]);
}

#[test]
fn case_059_a_clock_that_is_set_back_does_not_put_off_what_the_store_failed_to_give() {
    let webhook = WebhookId(1);
    let tomorrow = later(86_400);
    let mut scheduler = with_something_stored(1, NOW);
    step(&mut scheduler, tomorrow, Input::ClaimFailed { webhook });
    let commands = step(&mut scheduler, later(5), Input::Tick);
    assert!(matches!(commands[..], [Command::Claim { .. }]), "{commands:?}");
}

#[test]
fn room_that_was_kept_in_vain_is_used_for_what_waits_in_the_store() {
    let webhook = WebhookId(1);
    let mut scheduler = with_something_stored(1, later(1));
    for _ in 0..4 {
        assert!(scheduler.admit(NOW, webhook, config(1, 1), 100));
    }
    assert!(step(&mut scheduler, later(1), Input::Tick).is_empty(), "there is no room");
    for _ in 0..2 {
        step(&mut scheduler, later(1), Input::Refused { webhook, weight: 100 });
    }
    assert_eq!(scheduler.figures().lanes, 1);
    let asked = scheduler.lanes[&webhook].claiming;
    assert!(asked, "there is room");
}

#[test]
fn a_lane_that_cannot_use_its_slot_hands_it_on() {
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let mut scheduler = Scheduler::new(limits);
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(1)), ..config(1, 8) };
    assert_eq!(offer(&mut scheduler, NOW, slow, job(1, 1)).unwrap(), [1]);
    offer(&mut scheduler, NOW, config(1, 8), job(2, 2)).unwrap();
    offer(&mut scheduler, NOW, config(1, 8), job(3, 3)).unwrap();
    // The next in the queue for the slot is told, just then, that it may send only later.
    step(&mut scheduler, NOW, Input::Recall { webhook: WebhookId(2) });
    step(&mut scheduler, NOW, sent(1, false));
    let mut slots = sends(&step(&mut scheduler, NOW, recorded()));
    assert_eq!(slots, [3], "webhook 2 has nothing to send any more");

    let mut scheduler = Scheduler::new(limits);
    offer(&mut scheduler, NOW, slow, job(1, 1)).unwrap();
    offer(&mut scheduler, NOW, slow, job(1, 2)).unwrap();
    offer(&mut scheduler, NOW, config(1, 8), job(3, 3)).unwrap();
    step(&mut scheduler, NOW, sent(1, false));
    slots = sends(&step(&mut scheduler, NOW, recorded()));
    assert_eq!(slots, [3], "webhook 1 may not send yet");
}

#[test]
fn claims_leave_room_for_what_other_claims_bring() {
    let mut scheduler = Scheduler::new(Limits { bytes: 6_400, window_per_slot: 1, ..Limits::default() });
    let mut asked = 0;
    for webhook in 1..=200 {
        let stored = Input::Stored { webhook: WebhookId(webhook), config: Some(config(webhook, 2)), due: NOW };
        for command in step(&mut scheduler, NOW, stored) {
            let Command::Claim { max_bytes, .. } = command else { panic!("{command:?}") };
            asked += max_bytes;
        }
    }
    // Outside the reserve, each may bring as much; in it, each little.
    assert_eq!(asked, scheduler.figures().bytes);
    assert!((6_300..=6_400).contains(&asked), "{asked}");
    let webhook = WebhookId(1);
    let empty = Input::Claimed { webhook, config: config(1, 2), jobs: vec![], next_due: None };
    let commands = step(&mut scheduler, NOW, empty);
    assert!(matches!(commands[0], Command::Claim { .. }), "{commands:?}");
    assert!(scheduler.figures().bytes <= 6_400);
}

#[test]
fn a_claim_that_was_asked_before_a_hold_ended_does_not_bring_it_back() {
    let webhook = WebhookId(1);
    let mut scheduler = with_something_stored(1, NOW);
    step(&mut scheduler, NOW, Input::Configured { webhook, config: config(1, 1) });
    let held = LaneConfig { held: true, ..config(1, 1) };
    let commands =
        step(&mut scheduler, NOW, Input::Claimed { webhook, config: held, jobs: vec![], next_due: Some(NOW) });
    assert!(matches!(commands[..], [Command::Claim { .. }]), "{commands:?}");
}

#[test]
fn what_waits_for_a_webhook_that_was_paused_and_then_switched_off_is_dealt_with() {
    let webhook = WebhookId(1);
    let mut scheduler = Scheduler::new(Limits::default());
    let held = LaneConfig { held: true, ..config(1, 1) };
    step(&mut scheduler, NOW, Input::Stored { webhook, config: Some(held), due: NOW });
    let commands = step(&mut scheduler, NOW, Input::Configured { webhook, config: LaneConfig::UNKNOWN });
    assert!(matches!(commands[..], [Command::Claim { .. }]), "{commands:?}");
}

#[test]
fn a_drain_waits_for_what_is_on_its_way_into_memory() {
    let webhook = WebhookId(1);
    let mut scheduler = with_something_stored(1, NOW);
    assert!(scheduler.admit(NOW, WebhookId(2), config(1, 1), 100));
    step(&mut scheduler, NOW, Input::Drain);
    assert!(!scheduler.is_drained());
    let commands = step(&mut scheduler, NOW, Input::Accepted(job(2, 2)));
    assert!(matches!(commands[..], [Command::Release { .. }]), "{commands:?}");
    assert!(!scheduler.is_drained(), "a claim is under way");
    let jobs = vec![job(1, 1)];
    let commands = step(&mut scheduler, NOW, Input::Claimed { webhook, config: config(1, 1), jobs, next_due: None });
    assert!(matches!(commands[..], [Command::Release { .. }]), "{commands:?}");
    assert!(scheduler.is_drained());
    assert_eq!(scheduler.figures().bytes, 0);
}

#[test]
fn trouble_gives_back_what_no_longer_fits() {
    let mut scheduler = Scheduler::new(Limits { window_per_slot: 2, ..Limits::default() });
    for delivery in 0..8 {
        offer(&mut scheduler, NOW, config(1, 4), job(1, delivery)).unwrap();
    }
    assert_eq!((scheduler.figures().in_flight, scheduler.figures().queued), (4, 4));
    let commands = step(&mut scheduler, NOW, sent(1, true));
    assert!(!commands.iter().any(|command| matches!(command, Command::Release { .. })), "two at once hold four");
    let commands = step(&mut scheduler, NOW, sent(1, true));
    let released = commands.iter().find_map(|command| match command {
        Command::Release { leases, .. } => Some(leases.iter().map(|(delivery, _)| delivery.0).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(released, Some(vec![6, 7]), "the newest go back");
}

#[test]
fn who_asks_for_room_knows_that_a_hold_ended() {
    let mut scheduler = Scheduler::new(Limits::default());
    let held = LaneConfig { held: true, ..config(1, 1) };
    step(&mut scheduler, NOW, Input::Stored { webhook: WebhookId(1), config: Some(held), due: NOW });
    step(&mut scheduler, NOW, Input::Configured { webhook: WebhookId(1), config: held });
    assert!(!scheduler.admit(NOW, WebhookId(1), config(1, 1), 100), "older ones wait in the store");
    let stored = Input::Stored { webhook: WebhookId(1), config: None, due: NOW };
    let commands = step(&mut scheduler, NOW, stored);
    assert!(matches!(commands[..], [Command::Claim { .. }]), "{commands:?}");
}
