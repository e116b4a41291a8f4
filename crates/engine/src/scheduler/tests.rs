//! The scheduler alone, in time that the test sets.

use bytes::Bytes;

use super::*;
use crate::id::{EventId, ProjectId};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn config(organization: i64, concurrency: u32) -> LaneConfig {
    LaneConfig { organization: OrganizationId(organization), concurrency, per_second: None, held: false }
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
fn trouble_halves_and_success_restores_what_is_sent_at_once() {
    let mut scheduler = Scheduler::new(Limits::default());
    for delivery in 0..40 {
        offer(&mut scheduler, NOW, config(1, 4), job(1, delivery)).unwrap();
    }
    assert_eq!(scheduler.figures().in_flight, 4);
    for _ in 0..3 {
        step(&mut scheduler, NOW, sent(1, true));
        step(&mut scheduler, NOW, Input::Recorded);
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
        order.extend(sends(&step(&mut scheduler, NOW, Input::Recorded)));
    }
    assert!(order.contains(&100), "{order:?}");
}

#[test]
fn an_organization_uses_only_its_share() {
    let limits = Limits { in_flight: 10, in_flight_per_organization: 2, ..Limits::default() };
    let mut scheduler = Scheduler::new(limits);
    for webhook in 1..=5 {
        offer(&mut scheduler, NOW, config(1, 8), job(webhook, webhook)).unwrap();
    }
    assert_eq!(scheduler.figures().in_flight, 2);
    assert_eq!(offer(&mut scheduler, NOW, config(2, 8), job(9, 9)).unwrap(), [9]);
    assert_eq!(sends(&step(&mut scheduler, NOW, sent(1, false))), [3]);
}

#[test]
fn a_rate_limit_spaces_requests_evenly() {
    let mut scheduler = Scheduler::new(Limits::default());
    let slow = LaneConfig { per_second: Some(4), ..config(1, 8) };
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
    assert_eq!(sends(&step(&mut scheduler, NOW, sent(1, false))), [1]);
    let commands = step(&mut scheduler, NOW, sent(1, false));
    assert!(matches!(commands[..], [Command::Claim { limit: 1, .. }, Command::Send(_)]), "{commands:?}");
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
    let mut scheduler = Scheduler::new(Limits { bytes: 200, ..Limits::default() });
    offer(&mut scheduler, NOW, config(1, 8), job(1, 1)).unwrap();
    offer(&mut scheduler, NOW, config(1, 8), job(1, 2)).unwrap();
    assert!(offer(&mut scheduler, NOW, config(2, 8), job(2, 3)).is_none());
    let stored = Input::Stored { webhook: WebhookId(2), config: Some(config(2, 8)), due: NOW };
    assert!(step(&mut scheduler, NOW, stored).is_empty());
    let commands = step(&mut scheduler, NOW, sent(1, false));
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
    step(&mut scheduler, NOW, Input::Recorded);
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
