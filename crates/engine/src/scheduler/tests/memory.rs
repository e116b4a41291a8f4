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

/// A request to a webhook of the first organization ends and its outcome is on disk; only then is its memory free.
fn end(scheduler: &mut Scheduler, webhook: i64, weight: usize) -> Vec<Command> {
    let before = scheduler.figures().bytes;
    let mut commands = step(scheduler, NOW, Input::Sent { webhook: WebhookId(webhook), weight, trouble: false });
    assert!(scheduler.figures().bytes >= before);
    commands.extend(step(scheduler, NOW, Input::Recorded { organization: OrganizationId(1), weight }));
    commands
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
        let claim =
            |command: &Command| if let Command::Claim { webhook, .. } = command { Some(webhook.0) } else { None };
        end(scheduler, 1, LEAST_SHARE).iter().find_map(claim)
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
    let commands = end(&mut scheduler, 1, LEAST_SHARE);
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
    let commands = end(&mut scheduler, 1, whole.weight);
    assert_eq!(commands.iter().filter(|command| matches!(command, Command::Claim { .. })).count(), 5, "{commands:?}");
}

/// Organizations that fill their shares with large deliveries for receivers that hang.
#[test]
fn however_many_fill_their_shares_some_is_left_for_those_that_use_little() {
    let bytes = 64 << 20;
    let mut scheduler = Scheduler::new(Limits { bytes, ..Limits::default() });
    let large = |webhook| Job { weight: 256 << 10, ..job(webhook, webhook) };
    for organization in 1..=50 {
        for webhook in 100 * organization..100 * organization + 20 {
            while offer(&mut scheduler, NOW, config(organization, 64), large(webhook)).is_some() {}
        }
    }
    assert!(scheduler.figures().bytes <= bytes - bytes / 8, "{}", scheduler.figures().bytes);
    for organization in 51..=80 {
        let small = Job { weight: 4 << 10, ..job(100 * organization, organization) };
        assert!(offer(&mut scheduler, NOW, config(organization, 8), small).is_some(), "{organization}");
    }
    // One of them has more than fits into what is left for it: the rest waits until it has less, not until the others have.
    let webhook = 100 * 51;
    while offer(&mut scheduler, NOW, config(51, 64), Job { weight: 4 << 10, ..job(webhook, 0) }).is_some() {}
    let stored = Input::Stored { webhook: WebhookId(webhook + 1), config: Some(config(51, 8)), due: NOW };
    assert!(step(&mut scheduler, NOW, stored).is_empty());
    step(&mut scheduler, NOW, Input::Sent { webhook: WebhookId(webhook), weight: 4 << 10, trouble: false });
    let recorded = Input::Recorded { organization: OrganizationId(51), weight: 4 << 10 };
    let commands = step(&mut scheduler, NOW, recorded);
    assert!(matches!(commands[..], [Command::Claim { .. }]), "{commands:?}");
}
