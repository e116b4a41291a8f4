//! Memory is shared: between webhooks, and between organizations however many webhooks they have.

use super::super::memory::LEAST_SHARE;
use super::*;

const BYTES: usize = 64 * LEAST_SHARE;

fn scheduler() -> Scheduler {
    // Few for each slot, so that several claims may be under way.
    Scheduler::new(Limits { bytes: BYTES, window_per_slot: 4, ..Limits::default() })
}

fn large(webhook: i64, delivery: i64) -> Job {
    Job { weight: LEAST_SHARE, ..job(webhook, delivery) }
}

/// Fills an organization's webhooks until nothing more of it fits; answers how many bytes that were.
fn fill(scheduler: &mut Scheduler, organization: i64, webhooks: std::ops::Range<i64>) -> usize {
    let mut bytes = 0;
    for webhook in webhooks {
        while offer(scheduler, NOW, config(organization, 8), large(webhook, webhook)).is_some() {
            bytes += LEAST_SHARE;
        }
    }
    bytes
}

#[test]
fn one_webhook_leaves_memory_for_others() {
    let mut scheduler = scheduler();
    assert_eq!(fill(&mut scheduler, 1, 1..2), BYTES / 8);
    assert!(offer(&mut scheduler, NOW, config(1, 8), large(2, 9)).is_some());
}

#[test]
fn one_organization_leaves_memory_for_others_however_many_webhooks_it_has() {
    let mut scheduler = scheduler();
    assert_eq!(fill(&mut scheduler, 1, 1..20), BYTES / 4);
    assert_eq!(fill(&mut scheduler, 2, 21..40), BYTES / 4);
}

#[test]
fn claims_count_for_their_organization_and_go_on_when_it_has_memory_again() {
    let mut scheduler = scheduler();
    fill(&mut scheduler, 1, 1..20);
    let mut waiting = Vec::new();
    for webhook in [31, 32] {
        let stored = Input::Stored { webhook: WebhookId(webhook), config: Some(config(1, 8)), due: NOW };
        waiting.extend(step(&mut scheduler, NOW, stored));
    }
    assert!(waiting.is_empty(), "{waiting:?}");
    let stored = Input::Stored { webhook: WebhookId(41), config: Some(config(2, 8)), due: NOW };
    assert!(matches!(step(&mut scheduler, NOW, stored)[..], [Command::Claim { .. }]), "others are not held up");

    let free = |scheduler: &mut Scheduler| {
        let over = Input::Sent { webhook: WebhookId(1), weight: LEAST_SHARE, trouble: false };
        let claim =
            |command: &Command| if let Command::Claim { webhook, .. } = command { Some(webhook.0) } else { None };
        step(scheduler, NOW, over).iter().find_map(claim)
    };
    assert_eq!(free(&mut scheduler), Some(31), "who waits for longest is first");
    assert_eq!(free(&mut scheduler), Some(32));
}

#[test]
fn one_that_no_longer_wants_its_memory_hands_it_on() {
    let mut scheduler = scheduler();
    fill(&mut scheduler, 1, 1..2);
    fill(&mut scheduler, 1, 2..3);
    for webhook in 31..34 {
        let stored = Input::Stored { webhook: WebhookId(webhook), config: Some(config(1, 8)), due: NOW };
        assert!(step(&mut scheduler, NOW, stored).is_empty());
    }
    for webhook in [31, 32] {
        let held = LaneConfig { held: true, ..config(1, 8) };
        step(&mut scheduler, NOW, Input::Configured { webhook: WebhookId(webhook), config: held });
    }
    let over = Input::Sent { webhook: WebhookId(1), weight: LEAST_SHARE, trouble: false };
    let commands = step(&mut scheduler, NOW, over);
    assert!(commands.iter().any(|command| matches!(command, Command::Claim { webhook: WebhookId(33), .. })));
}

#[test]
fn what_one_large_delivery_frees_is_for_several_that_wait() {
    let mut scheduler = scheduler();
    let whole = Job { weight: BYTES / 8, ..job(1, 1) };
    offer(&mut scheduler, NOW, config(1, 8), whole.clone()).unwrap();
    offer(&mut scheduler, NOW, config(1, 8), Job { webhook: WebhookId(2), ..whole.clone() }).unwrap();
    for webhook in 31..36 {
        let stored = Input::Stored { webhook: WebhookId(webhook), config: Some(config(1, 8)), due: NOW };
        assert!(step(&mut scheduler, NOW, stored).is_empty());
    }
    let over = Input::Sent { webhook: WebhookId(1), weight: whole.weight, trouble: false };
    let commands = step(&mut scheduler, NOW, over);
    assert_eq!(commands.iter().filter(|command| matches!(command, Command::Claim { .. })).count(), 5, "{commands:?}");
}
