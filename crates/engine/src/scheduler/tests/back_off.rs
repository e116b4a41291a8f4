//! A receiver that asks for no requests for a while is left alone, and then gets what waited in its order.

use super::*;

const WEBHOOK: WebhookId = WebhookId(1);

fn back_off(until: Timestamp) -> Input {
    Input::BackOff { webhook: WEBHOOK, until }
}

/// One that has three under way and three in memory.
fn busy() -> Scheduler {
    let mut scheduler = Scheduler::new(Limits::default());
    for delivery in 1..=6 {
        offer(&mut scheduler, NOW, config(1, 3), job(1, delivery)).unwrap();
    }
    scheduler
}

fn released(commands: &[Command]) -> Vec<i64> {
    let leases =
        commands.iter().filter_map(|c| if let Command::Release { leases, .. } = c { Some(leases) } else { None });
    leases.flatten().map(|(delivery, _)| delivery.0).collect()
}

#[test]
fn nothing_is_sent_before_the_moment_and_then_one_at_a_time_at_first() {
    let mut scheduler = busy();
    assert_eq!(released(&step(&mut scheduler, NOW, back_off(later(60)))), [4, 5, 6]);
    assert!(step(&mut scheduler, NOW, sent(1, true)).is_empty());
    step(&mut scheduler, NOW, Input::Stored { webhook: WEBHOOK, config: None, due: NOW });
    // What was under way is over, well or not.
    assert!(step(&mut scheduler, later(1), sent(1, false)).is_empty());
    assert!(step(&mut scheduler, later(1), sent(1, false)).is_empty());
    assert!(!scheduler.admit(later(2), WEBHOOK, config(1, 3), 100), "a new one waits behind them in the store");
    assert_eq!(scheduler.backs_off_until(later(2), WEBHOOK), Some(later(60)));
    assert!(step(&mut scheduler, later(59), Input::Tick).is_empty());
    assert_eq!(scheduler.next_wakeup(), Some(later(60)));
    assert!(matches!(step(&mut scheduler, later(60), Input::Tick)[..], [Command::Claim { .. }]));
    assert_eq!(scheduler.backs_off_until(later(60), WEBHOOK), None);
    let jobs = vec![job(1, 4), job(1, 5), job(1, 6)];
    let claimed = Input::Claimed { webhook: WEBHOOK, config: config(1, 3), jobs, next_due: None };
    assert_eq!(sends(&step(&mut scheduler, later(60), claimed)), [4]);
    assert_eq!(sends(&step(&mut scheduler, later(60), sent(1, false))), [5, 6]);
}

#[test]
fn the_later_of_two_moments_holds_and_an_hour_is_the_longest() {
    let mut scheduler = busy();
    step(&mut scheduler, NOW, back_off(later(60)));
    step(&mut scheduler, NOW, back_off(later(5)));
    assert_eq!(scheduler.backs_off_until(NOW, WEBHOOK), Some(later(60)));
    step(&mut scheduler, NOW, back_off(later(86_400)));
    assert_eq!(scheduler.backs_off_until(NOW, WEBHOOK), Some(NOW.plus(MAX_BACK_OFF)));
}

#[test]
fn an_edit_ends_it_and_other_news_of_the_webhook_do_not() {
    let mut scheduler = busy();
    step(&mut scheduler, NOW, back_off(later(60)));
    step(&mut scheduler, NOW, Input::Configured { webhook: WEBHOOK, config: config(1, 2) });
    assert_eq!(scheduler.backs_off_until(NOW, WEBHOOK), Some(later(60)));
    step(&mut scheduler, NOW, Input::Edited { webhook: WEBHOOK });
    assert_eq!(scheduler.backs_off_until(NOW, WEBHOOK), None);
}

#[test]
fn what_a_claim_brings_meanwhile_goes_back() {
    for at_most_once in [false, true] {
        let mut scheduler = Scheduler::new(Limits::default());
        let config = LaneConfig { at_most_once, ..config(1, 3) };
        step(&mut scheduler, NOW, Input::Stored { webhook: WEBHOOK, config: Some(config), due: NOW });
        step(&mut scheduler, NOW, back_off(later(60)));
        let jobs = vec![job(1, 1), job(1, 2)];
        let commands = step(&mut scheduler, NOW, Input::Claimed { webhook: WEBHOOK, config, jobs, next_due: None });
        assert_eq!((sends(&commands), released(&commands)), (vec![], vec![1, 2]), "{at_most_once}");
        assert_eq!((scheduler.figures().in_flight, scheduler.figures().bytes), (0, 0));
    }
}

#[test]
fn it_is_remembered_though_nothing_waits() {
    let mut scheduler = Scheduler::new(Limits::default());
    offer(&mut scheduler, NOW, config(1, 3), job(1, 1)).unwrap();
    step(&mut scheduler, NOW, back_off(later(60)));
    step(&mut scheduler, NOW, sent(1, true));
    step(&mut scheduler, NOW, recorded());
    assert!(!scheduler.admit(later(30), WEBHOOK, config(1, 3), 100));
    step(&mut scheduler, later(60), Input::Tick);
    assert_eq!(scheduler.figures(), Figures::default(), "and forgotten after it");
}

#[test]
fn case_059_a_back_off_follows_a_clock_that_is_set_back() {
    let mut scheduler = Scheduler::new(Limits::default());
    step(&mut scheduler, NOW, Input::Stored { webhook: WEBHOOK, config: Some(config(1, 3)), due: later(1) });
    let tomorrow = later(86_400);
    step(&mut scheduler, tomorrow, back_off(tomorrow.plus(Duration::from_secs(60))));
    step(&mut scheduler, NOW, Input::Stored { webhook: WEBHOOK, config: None, due: NOW });
    assert_eq!(scheduler.next_wakeup(), Some(later(60)));
    let commands = step(&mut scheduler, later(60), Input::Tick);
    assert!(matches!(commands[..], [Command::Claim { webhook: WEBHOOK, .. }]), "{commands:?}");
}

#[test]
fn a_rate_below_one_a_second_is_kept() {
    let mut scheduler = Scheduler::new(Limits::default());
    let slow = LaneConfig { rate: Some(RateLimit::PerMinute(4)), ..config(1, 8) };
    assert_eq!(offer(&mut scheduler, NOW, slow, job(1, 1)).unwrap(), [1]);
    assert!(offer(&mut scheduler, NOW, slow, job(1, 2)).unwrap().is_empty());
    assert!(step(&mut scheduler, later(14), Input::Tick).is_empty());
    assert_eq!(scheduler.next_wakeup(), Some(later(15)));
    assert_eq!(sends(&step(&mut scheduler, later(15), Input::Tick)), [2]);
}
