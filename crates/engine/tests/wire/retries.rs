//! What follows an attempt: the schedule, Retry-After, 410, and the standard profile's numbers.

use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::retry::{Ended, MAX_RETRY_AFTER, RetryPolicy, Verdict, next, parse_retry_after};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::RetryOverride;
use proptest::prelude::*;

use crate::builders::{profile, settings, standard};

const NOW: Timestamp = Timestamp(1_000_000);

fn policy() -> RetryPolicy {
    standard().retry_policy(&settings())
}

fn ended(outcome: Outcome, status: Option<u16>) -> Ended {
    Ended { outcome, status, retry_after: None }
}

fn wait(verdict: Verdict) -> u64 {
    let Verdict::RetryAt(at) = verdict else { panic!("{verdict:?}") };
    at.since(NOW).as_secs()
}

#[test]
fn the_standard_schedule() {
    let failure = ended(Outcome::Status, Some(500));
    let waits: Vec<u64> = (1..=9).map(|number| wait(next(&policy(), number, &failure, NOW, 0.0))).collect();
    assert_eq!(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
    assert_eq!(next(&policy(), 10, &failure, NOW, 0.0), Verdict::Exhausted);
    assert_eq!(wait(next(&policy(), 2, &failure, NOW, 1.0)), 330);
    let success = ended(Outcome::Success, Some(204));
    assert_eq!(next(&policy(), 10, &success, NOW, 0.0), Verdict::Delivered);
}

#[test]
fn case_032_only_2xx_is_success() {
    let accepted: Vec<u16> = (100..600).filter(|status| standard().accepts_status(*status)).collect();
    assert_eq!(accepted, (200..300).collect::<Vec<u16>>());
}

#[test]
fn case_033_410_as_the_profile_says() {
    let gone = ended(Outcome::Status, Some(410));
    assert_eq!(next(&policy(), 1, &gone, NOW, 0.0), Verdict::DisableWebhook);
    let patient = profile("[retry]\ndelays_seconds = [300, 600]").retry_policy(&settings());
    assert_eq!(wait(next(&patient, 1, &gone, NOW, 0.0)), 300);
}

#[test]
fn case_034_the_longer_of_schedule_and_retry_after() {
    for status in [429, 503] {
        for (asked, expected) in [(1, 5), (60, 60), (999_999, 86_400)] {
            let busy =
                Ended { outcome: Outcome::Status, status: Some(status), retry_after: Some(Duration::from_secs(asked)) };
            assert_eq!(wait(next(&policy(), 1, &busy, NOW, 0.0)), expected);
        }
    }
    let other = Ended { outcome: Outcome::Status, status: Some(500), retry_after: Some(Duration::from_secs(60)) };
    assert_eq!(wait(next(&policy(), 1, &other, NOW, 0.0)), 5);
}

#[test]
fn retry_after_is_ignored_where_the_profile_does_not_honour_it() {
    let plain = profile("[retry]\ndelays_seconds = [300]").retry_policy(&settings());
    let busy = Ended { outcome: Outcome::Status, status: Some(429), retry_after: Some(MAX_RETRY_AFTER) };
    assert_eq!(wait(next(&plain, 1, &busy, NOW, 0.0)), 300);
}

#[test]
fn an_unknown_outcome_is_sent_again_or_given_up() {
    let unknown = ended(Outcome::Unknown, None);
    assert_eq!(wait(next(&policy(), 1, &unknown, NOW, 0.0)), 5);
    let once = profile("[retry]\ndelays_seconds = [5]\nafter_unknown = \"stop\"").retry_policy(&settings());
    assert_eq!(next(&once, 1, &unknown, NOW, 0.0), Verdict::Exhausted);
}

#[test]
fn case_035_chance_and_jitter_that_are_no_numbers_are_ignored() {
    let failure = ended(Outcome::Connect, None);
    assert_eq!(wait(next(&policy(), 1, &failure, NOW, f64::NAN)), 5);
    let broken = RetryPolicy { jitter: f64::NAN, ..policy() };
    assert_eq!(wait(next(&broken, 1, &failure, NOW, 0.5)), 5);
}

#[test]
fn a_webhooks_own_schedule_counts_where_the_profile_allows_one() {
    let mut settings = settings();
    settings.retry = Some(RetryOverride { delays_seconds: vec![7], jitter: 0.5 });
    settings.timeout_seconds = Some(30);
    let failure = ended(Outcome::Timeout, None);
    let own = standard().retry_policy(&settings);
    assert_eq!(wait(next(&own, 1, &failure, NOW, 0.0)), 7);
    assert_eq!(next(&own, 2, &failure, NOW, 0.0), Verdict::Exhausted);
    assert_eq!(standard().exchange_timeout(&settings), Duration::from_secs(30));
    let strict = profile("[retry]\ndelays_seconds = [300]");
    assert_eq!(wait(next(&strict.retry_policy(&settings), 1, &failure, NOW, 0.0)), 300);
    assert_eq!(strict.exchange_timeout(&settings), Duration::from_secs(15));
}

proptest! {
    #[test]
    fn a_retry_is_never_early_and_never_later_than_jitter_or_receiver_say(
        delays in prop::collection::vec(1u64..604_800, 0..50),
        jitter in any::<f64>(),
        chance in any::<f64>(),
        number in any::<u32>(),
        status in prop::option::of(any::<u16>()),
        asked in prop::option::of(any::<u64>()),
        now in any::<i64>(),
    ) {
        let policy = RetryPolicy {
            delays: delays.iter().map(|delay| Duration::from_secs(*delay)).collect(),
            jitter,
            honour_retry_after: true,
            stop_after_unknown: false,
            disable_on_410: true,
        };
        let ended = Ended { outcome: Outcome::Status, status, retry_after: asked.map(Duration::from_secs) };
        match next(&policy, number, &ended, Timestamp(now), chance) {
            Verdict::RetryAt(at) => {
                let delay = policy.delays[number.saturating_sub(1) as usize];
                prop_assert!(at >= Timestamp(now).plus(delay));
                prop_assert!(at <= Timestamp(now).plus((delay * 2).max(MAX_RETRY_AFTER)));
            }
            Verdict::Exhausted => prop_assert!(number.saturating_sub(1) as usize >= delays.len()),
            verdict => prop_assert_eq!((verdict, status), (Verdict::DisableWebhook, Some(410))),
        }
    }

    #[test]
    fn more_chance_waits_no_less(delay in 1u64..604_800, jitter in 0.0..=1.0, low in 0.0..=1.0, more in 0.0..=1.0) {
        let policy = RetryPolicy { delays: vec![Duration::from_secs(delay)], jitter, ..policy() };
        let at = |chance: f64| wait(next(&policy, 1, &ended(Outcome::Reset, None), NOW, chance));
        prop_assert!(at(low) <= at(f64::min(low + more, 1.0)));
    }

    #[test]
    fn any_retry_after_is_bounded(value in any::<String>(), now in any::<i64>()) {
        if let Some(wait) = parse_retry_after(&value, Timestamp(now)) {
            prop_assert!(wait <= MAX_RETRY_AFTER);
        }
    }

    #[test]
    fn any_number_of_seconds_is_bounded(digits in "[0-9]{1,60}") {
        prop_assert!(parse_retry_after(&digits, NOW).unwrap() <= MAX_RETRY_AFTER);
    }
}
