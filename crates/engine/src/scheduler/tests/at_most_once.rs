//! Webhooks that want nothing twice: a lease means that the delivery is about to go out.

use super::*;

fn once(concurrency: u32) -> LaneConfig {
    LaneConfig { at_most_once: true, ..config(1, concurrency) }
}

fn stored(webhook: i64, config: LaneConfig) -> Input {
    Input::Stored { webhook: WebhookId(webhook), config: Some(config), due: NOW }
}

/// The answer to a claim: these deliveries, and more that are due or not.
fn claimed(webhook: i64, config: LaneConfig, deliveries: &[i64], more: bool) -> Input {
    let jobs = deliveries.iter().map(|delivery| job(webhook, *delivery)).collect();
    Input::Claimed { webhook: WebhookId(webhook), config, jobs, next_due: more.then_some(NOW) }
}

/// Of each claim: the webhook, how many, and whether there is a slot for each.
fn claims(commands: &[Command]) -> Vec<(i64, u32, bool)> {
    let claim = |command: &Command| match command {
        Command::Claim { webhook, limit, slots, .. } => Some((webhook.0, *limit, *slots)),
        _ => None,
    };
    commands.iter().filter_map(claim).collect()
}

#[test]
fn what_is_leased_is_sent_at_once() {
    let mut scheduler = Scheduler::new(Limits::default());
    let commands = step(&mut scheduler, NOW, stored(1, once(2)));
    assert_eq!(claims(&commands), [(1, 2, true)]);
    let commands = step(&mut scheduler, NOW, claimed(1, once(2), &[1, 2], true));
    assert_eq!((sends(&commands), claims(&commands)), (vec![1, 2], vec![]), "no more than may go out");
    assert_eq!(scheduler.figures().queued, 0);
    let commands = step(&mut scheduler, NOW, sent(1, false));
    assert_eq!(claims(&commands), [(1, 1, true)], "a slot is free again");
    let commands = step(&mut scheduler, NOW, claimed(1, once(2), &[], false));
    assert!(commands.is_empty(), "{commands:?}");
    step(&mut scheduler, NOW, sent(1, false));
    step(&mut scheduler, NOW, recorded());
    step(&mut scheduler, NOW, recorded());
    assert_eq!(scheduler.figures(), Figures::default());
}

#[test]
fn slots_are_gathered_for_a_claim_but_not_for_long() {
    let mut scheduler = Scheduler::new(Limits::default());
    let all: Vec<i64> = (1..=16).collect();
    assert_eq!(claims(&step(&mut scheduler, NOW, stored(1, once(16)))), [(1, 16, true)]);
    assert_eq!(sends(&step(&mut scheduler, NOW, claimed(1, once(16), &all, true))), all);
    for over in 1..=13 {
        assert!(step(&mut scheduler, NOW, sent(1, false)).is_empty(), "{over} of 16 are not yet enough");
    }
    assert_eq!(claims(&step(&mut scheduler, NOW, sent(1, false))), [(1, 14, true)]);
    assert_eq!(sends(&step(&mut scheduler, NOW, claimed(1, once(16), &all[..14], true))), all[..14]);
    // Where the rest of the requests take long, what is free is used soon.
    assert!(step(&mut scheduler, NOW, sent(1, false)).is_empty());
    let wakeup = scheduler.next_wakeup().unwrap();
    assert!(wakeup > NOW && wakeup <= NOW.plus(Duration::from_millis(2)), "{wakeup:?}");
    assert!(step(&mut scheduler, NOW, sent(1, false)).is_empty());
    assert_eq!(scheduler.next_wakeup(), Some(wakeup), "a further one does not put it off");
    assert_eq!(claims(&step(&mut scheduler, wakeup, Input::Tick)), [(1, 2, true)]);
}

#[test]
fn a_lane_that_gathered_in_vain_claims_with_the_next_slot() {
    let limits = Limits { in_flight: 4, ..Limits::default() };
    let mut scheduler = Scheduler::new(limits);
    assert_eq!(claims(&step(&mut scheduler, NOW, stored(1, once(16)))), [(1, 4, true)]);
    step(&mut scheduler, NOW, claimed(1, once(16), &[1, 2, 3, 4], true));
    step(&mut scheduler, NOW, sent(1, false));
    assert!(step(&mut scheduler, NOW, recorded()).is_empty(), "one of four is not yet enough");
    // While it gathers, another webhook takes what came back.
    assert_eq!(offer(&mut scheduler, NOW, config(1, 8), job(2, 11)).unwrap(), [11]);
    let later = NOW.plus(Duration::from_millis(2));
    assert!(step(&mut scheduler, later, Input::Tick).is_empty(), "there is no slot");
    step(&mut scheduler, later, sent(2, false));
    assert_eq!(claims(&step(&mut scheduler, later, recorded())), [(1, 1, true)]);
}

#[test]
fn a_new_one_that_finds_a_slot_is_sent_once_it_is_on_disk() {
    let mut scheduler = Scheduler::new(Limits::default());
    assert!(scheduler.admit(NOW, WebhookId(1), once(2), 100));
    assert!(scheduler.admit(NOW, WebhookId(1), once(2), 100));
    assert!(!scheduler.admit(NOW, WebhookId(1), once(2), 100), "both slots are taken");
    assert_eq!(scheduler.figures().in_flight, 2);
    assert_eq!(sends(&step(&mut scheduler, NOW, Input::Accepted(job(1, 1)))), [1]);
    assert_eq!(sends(&step(&mut scheduler, NOW, Input::Accepted(job(1, 2)))), [2]);
    assert!(step(&mut scheduler, NOW, stored(1, once(2))).is_empty(), "the third waits in the store");
    let commands = step(&mut scheduler, NOW, sent(1, false));
    assert_eq!(claims(&commands), [(1, 1, true)]);
    step(&mut scheduler, NOW, sent(1, false));
    assert!(!scheduler.admit(NOW, WebhookId(1), once(2), 100), "what waits goes first");
    let commands = step(&mut scheduler, NOW, claimed(1, once(2), &[3], false));
    assert_eq!(sends(&commands), [3]);
    assert!(scheduler.admit(NOW, WebhookId(1), once(2), 100), "nothing waits any more");
    step(&mut scheduler, NOW, Input::Refused { webhook: WebhookId(1), weight: 100 });
    step(&mut scheduler, NOW, sent(1, false));
    (0..3).for_each(|_| drop(step(&mut scheduler, NOW, recorded())));
    assert_eq!(scheduler.figures(), Figures::default());
}

#[test]
fn a_new_one_takes_no_slot_that_there_is_not_and_none_ahead_of_its_rate() {
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let mut scheduler = Scheduler::new(limits);
    assert!(scheduler.admit(NOW, WebhookId(1), once(8), 100));
    assert!(!scheduler.admit(NOW, WebhookId(2), once(8), 100), "there is no other slot");
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(1)), organization: OrganizationId(2), ..once(8) };
    assert!(!scheduler.admit(NOW, WebhookId(3), slow, 100));
    // A slot that was not needed goes to who waits for it.
    assert!(step(&mut scheduler, NOW, stored(2, once(8))).is_empty());
    let commands = step(&mut scheduler, NOW, Input::Refused { webhook: WebhookId(1), weight: 100 });
    assert_eq!(claims(&commands), [(2, 1, true)]);
}

#[test]
fn nothing_is_remembered_of_one_that_finds_no_slot() {
    let mut scheduler = Scheduler::new(Limits::default());
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(1)), ..once(8) };
    assert!(!scheduler.admit(NOW, WebhookId(1), slow, 100));
    assert_eq!(scheduler.figures(), Figures::default(), "where the store has it already nobody tells");
}

#[test]
fn a_slot_that_was_not_needed_serves_what_queues_by_now() {
    let mut scheduler = Scheduler::new(Limits::default());
    assert!(scheduler.admit(NOW, WebhookId(1), once(1), 100));
    step(&mut scheduler, NOW, Input::Configured { webhook: WebhookId(1), config: config(1, 1) });
    assert!(matches!(claims(&step(&mut scheduler, NOW, stored(1, config(1, 1))))[..], [(1, _, false)]));
    assert!(sends(&step(&mut scheduler, NOW, claimed(1, config(1, 1), &[2], false))).is_empty(), "its slot is taken");
    let refused = Input::Refused { webhook: WebhookId(1), weight: 100 };
    assert_eq!(sends(&step(&mut scheduler, NOW, refused)), [2]);
}

#[test]
fn a_slot_taken_for_a_new_one_is_given_back_where_it_may_not_be_sent_any_more() {
    for input in
        [Input::Configured { webhook: WebhookId(1), config: LaneConfig { held: true, ..once(2) } }, Input::Drain]
    {
        let mut scheduler = Scheduler::new(Limits::default());
        assert!(scheduler.admit(NOW, WebhookId(1), once(2), 100));
        step(&mut scheduler, NOW, input);
        let commands = step(&mut scheduler, NOW, Input::Accepted(job(1, 1)));
        assert!(matches!(&commands[..], [Command::Release { leases, .. }] if leases.len() == 1), "{commands:?}");
        assert_eq!((scheduler.figures().in_flight, scheduler.figures().bytes), (0, 0));
    }
}

#[test]
fn nothing_is_leased_while_there_is_no_slot() {
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let mut scheduler = Scheduler::new(limits);
    offer(&mut scheduler, NOW, config(2, 8), job(9, 9)).unwrap();
    assert!(step(&mut scheduler, NOW, stored(1, once(8))).is_empty(), "there is none at all");
    assert!(claims(&step(&mut scheduler, NOW, sent(9, false))).is_empty(), "its outcome is not recorded");
    assert_eq!(claims(&step(&mut scheduler, NOW, recorded())), [(1, 1, true)]);
    // What it does not use goes to the next.
    offer(&mut scheduler, NOW, config(2, 8), job(9, 10)).unwrap();
    assert_eq!(sends(&step(&mut scheduler, NOW, claimed(1, once(8), &[], false))), [10]);
}

#[test]
fn a_rate_limit_comes_before_the_lease() {
    let mut scheduler = Scheduler::new(Limits::default());
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(1)), ..once(8) };
    assert_eq!(claims(&step(&mut scheduler, NOW, stored(1, slow))), [(1, 1, true)]);
    let commands = step(&mut scheduler, NOW, claimed(1, slow, &[1], true));
    assert_eq!((sends(&commands), claims(&commands)), (vec![1], vec![]));
    assert!(step(&mut scheduler, NOW, sent(1, false)).is_empty());
    let wake = scheduler.next_wakeup().unwrap();
    assert!(wake.since(NOW) >= Duration::from_secs(1));
    assert_eq!(claims(&step(&mut scheduler, wake, Input::Tick)), [(1, 1, true)]);
}

#[test]
fn a_webhook_of_which_nothing_is_known_is_asked_about_first() {
    let mut scheduler = Scheduler::new(Limits::default());
    let unknown = Input::Stored { webhook: WebhookId(1), config: None, due: NOW };
    assert!(matches!(claims(&step(&mut scheduler, NOW, unknown))[..], [(1, _, false)]));
    let commands = step(&mut scheduler, NOW, claimed(1, once(2), &[], true));
    assert_eq!(claims(&commands), [(1, 2, true)]);
}

#[test]
fn what_waits_in_memory_goes_back_when_nothing_may_be_sent_twice_any_more() {
    let mut scheduler = Scheduler::new(Limits::default());
    for delivery in 0..3 {
        offer(&mut scheduler, NOW, config(1, 1), job(1, delivery)).unwrap();
    }
    assert!(scheduler.admit(NOW, WebhookId(1), config(1, 1), 100));
    let commands = step(&mut scheduler, NOW, Input::Configured { webhook: WebhookId(1), config: once(1) });
    assert!(matches!(&commands[..], [Command::Release { leases, .. }] if leases.len() == 2), "{commands:?}");
    let commands = step(&mut scheduler, NOW, Input::Accepted(job(1, 3)));
    assert!(matches!(&commands[..], [Command::Release { leases, .. }] if leases.len() == 1), "{commands:?}");
}

#[test]
fn a_hold_or_a_drain_gives_back_what_a_claim_brings_and_its_slots() {
    for input in
        [Input::Configured { webhook: WebhookId(1), config: LaneConfig { held: true, ..once(2) } }, Input::Drain]
    {
        let mut scheduler = Scheduler::new(Limits::default());
        step(&mut scheduler, NOW, stored(1, once(2)));
        step(&mut scheduler, NOW, input);
        let commands = step(&mut scheduler, NOW, claimed(1, once(2), &[1], false));
        assert!(matches!(&commands[..], [Command::Release { leases, .. }] if leases.len() == 1), "{commands:?}");
        assert_eq!((scheduler.figures().in_flight, scheduler.figures().bytes), (0, 0));
    }
}

#[test]
fn case_059_a_clock_that_is_set_back_forgets_none_that_waits_for_a_slot() {
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let mut scheduler = Scheduler::new(limits);
    offer(&mut scheduler, later(60), config(1, 8), job(9, 9)).unwrap();
    let due = Input::Stored { webhook: WebhookId(1), config: Some(once(8)), due: later(60) };
    assert!(step(&mut scheduler, later(60), due).is_empty(), "it waits for a slot");
    assert!(step(&mut scheduler, NOW, sent(9, false)).is_empty());
    assert!(step(&mut scheduler, NOW, recorded()).is_empty(), "it is not due any more");
    let wake = scheduler.next_wakeup().unwrap();
    assert_eq!(claims(&step(&mut scheduler, wake, Input::Tick)), [(1, 1, true)]);
}

#[test]
fn a_claim_that_fails_frees_its_slots_and_is_made_again_later() {
    let mut scheduler = Scheduler::new(Limits::default());
    step(&mut scheduler, NOW, stored(1, once(2)));
    assert!(step(&mut scheduler, NOW, Input::ClaimFailed { webhook: WebhookId(1) }).is_empty());
    assert_eq!(scheduler.figures().in_flight, 0);
    assert_eq!(claims(&step(&mut scheduler, later(2), Input::Tick)), [(1, 2, true)]);
}

#[test]
fn slots_taken_ahead_are_not_used_beyond_a_cap_that_was_lowered_meanwhile() {
    let mut scheduler = Scheduler::new(Limits::default());
    assert_eq!(claims(&step(&mut scheduler, NOW, stored(1, once(3)))), [(1, 3, true)]);
    step(&mut scheduler, NOW, Input::Configured { webhook: WebhookId(1), config: once(1) });
    let commands = step(&mut scheduler, NOW, claimed(1, once(3), &[1, 2, 3], false));
    assert_eq!(sends(&commands), [1], "the claim");
    assert!(matches!(&commands[0..2], [Command::Send(_), Command::Release { leases, .. }] if leases.len() == 2));
    assert_eq!(scheduler.figures().in_flight, 1);

    let mut scheduler = Scheduler::new(Limits::default());
    (0..3).for_each(|_| assert!(scheduler.admit(NOW, WebhookId(1), once(3), 100)));
    step(&mut scheduler, NOW, Input::Configured { webhook: WebhookId(1), config: once(1) });
    let sent: Vec<i64> =
        (1..=3).flat_map(|new| sends(&step(&mut scheduler, NOW, Input::Accepted(job(1, new))))).collect();
    assert_eq!(sent, [1], "new ones");
    assert_eq!((scheduler.figures().in_flight, scheduler.figures().bytes), (1, 100));
}

#[test]
fn slots_taken_ahead_are_not_used_beyond_a_rate_that_was_lowered_meanwhile() {
    let mut scheduler = Scheduler::new(Limits::default());
    assert_eq!(claims(&step(&mut scheduler, NOW, stored(1, once(3)))), [(1, 3, true)]);
    let slow = LaneConfig { rate: Some(RateLimit::PerSecond(1)), ..once(3) };
    step(&mut scheduler, NOW, Input::Configured { webhook: WebhookId(1), config: slow });
    assert_eq!(sends(&step(&mut scheduler, NOW, claimed(1, slow, &[1, 2, 3], false))), [1]);
}
