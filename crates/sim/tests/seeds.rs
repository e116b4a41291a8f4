//! Fixed seeds: every invariant holds, every mistake made on purpose is noticed, neighbours are left in peace.

use fanfare_sim::{Beside, Plan, Report, Sabotage, run};

/// Short runs, and long ones.
const SHORT: u64 = 200;
const LONG: u64 = 6;
/// A mistake is noticed within so many seeds.
const NOTICED_WITHIN: u64 = 40;

#[track_caller]
fn holds(seeds: impl Iterator<Item = u64>, plan: &Plan) -> Report {
    let mut sum = Report::default();
    for seed in seeds {
        match run(seed, plan) {
            Ok(report) => sum.add(&report),
            Err(violation) => panic!("{violation}"),
        }
    }
    sum
}

#[test]
fn every_invariant_holds_in_short_runs() {
    let sum = holds(0..SHORT, &Plan::short());
    // What did not happen was not tested.
    assert!(sum.crashes > 100 && sum.unknown > 100 && sum.fenced > 50, "{sum:?}");
    assert!(sum.delivered > 1_000 && sum.exhausted > 100 && sum.skipped > 100 && sum.cancelled > 10, "{sum:?}");
}

#[test]
fn every_invariant_holds_in_long_runs() {
    holds(0..LONG, &Plan::long());
}

#[test]
fn the_same_seed_gives_the_same_run_line_by_line() {
    for seed in [3, 17] {
        let (one, other) = (run(seed, &Plan::short()).unwrap(), run(seed, &Plan::short()).unwrap());
        assert_eq!(one, other);
    }
    assert_ne!(run(3, &Plan::short()).unwrap().digest, run(17, &Plan::short()).unwrap().digest);
}

#[test]
fn every_mistake_is_noticed() {
    for sabotage in Sabotage::ALL {
        let plan = Plan { sabotage: Some(sabotage), ..Plan::short() };
        let noticed = (0..NOTICED_WITHIN).find_map(|seed| run(seed, &plan).err());
        let violation = noticed.unwrap_or_else(|| panic!("no seed notices {sabotage:?}"));
        assert_eq!(violation.rule, expected(sabotage, violation.rule), "{sabotage:?}: {violation}");
    }
}

/// The invariant that a mistake breaks; several may be the first to notice some.
fn expected(sabotage: Sabotage, found: &'static str) -> &'static str {
    let rules: &[&'static str] = match sabotage {
        Sabotage::ForgetStored | Sabotage::SkipRescue => &["everything accepted ends"],
        Sabotage::AnswerBeforeCommit => &["nothing accepted is lost"],
        Sabotage::IgnoreFence => &["stale leases are fenced"],
        Sabotage::SendBeforeDue => &["nothing before it is due"],
        Sabotage::IgnoreConcurrency => &["a webhook's concurrency holds"],
        Sabotage::IgnoreRate => &["a rate limit holds"],
        Sabotage::IgnoreRetryAfter => &["a receiver that asks to wait is left alone"],
        Sabotage::ForgetRelease | Sabotage::LoseOutcomes => {
            &["a drain gives everything back", "nothing is forgotten in memory", "everything accepted ends"]
        }
        Sabotage::SendToDeactivated => &["nothing to a webhook that is off"],
        Sabotage::IgnoreOrder => &["only the leased is sent", "no duplicates"],
        Sabotage::MixUpEvents => &["attempts carry their event"],
        Sabotage::LeaseEarly => &["what is sent at most once is not leased to wait"],
        Sabotage::BeginUnnoted => &["what was taken back is sent with a note"],
        Sabotage::SendTwice => &["nothing twice to who wants it at most once"],
    };
    if rules.contains(&found) { found } else { rules[0] }
}

/// The deliveries of quiet webhooks take no more than one and a half times as long as with nobody beside them. Answers the
/// share of all slots that were in use.
#[track_caller]
fn are_left_in_peace(beside: Beside) -> f64 {
    let mut in_use = 0.0;
    for seed in 0..2 {
        let calm = holds(seed..=seed, &Plan::neighbours(Beside::Nobody)).neighbours_p99_ms;
        let plan = Plan::neighbours(beside);
        let disturbed = holds(seed..=seed, &plan);
        let slots = plan.limits.map_or(1, |limits| limits.in_flight);
        in_use = disturbed.busy_ms as f64 / f64::from(plan.seconds * 1_000) / slots as f64;
        let p99 = disturbed.neighbours_p99_ms;
        println!("{beside:?}: p99 of {calm} ms became {p99} ms, {in_use:.2} in use");
        assert!(2 * p99 < 3 * calm, "{beside:?}: p99 of {calm} ms became {p99} ms, {in_use:.2} in use");
    }
    in_use
}

#[test]
fn case_070_a_flood_and_hanging_receivers_leave_others_in_peace() {
    are_left_in_peace(Beside::FloodAndHanging);
}

#[test]
fn case_070_fifty_organizations_that_hang_leave_others_in_peace_and_use_what_is_free() {
    let in_use = are_left_in_peace(Beside::ManyHanging);
    assert!(in_use > 0.6, "{in_use:.2}");
}

#[test]
fn case_070_slow_webhooks_leave_the_quick_ones_of_their_organization_in_peace_and_use_what_is_free() {
    for beside in [Beside::SlowWebhooks, Beside::SlowWebhooksLittleMemory] {
        let in_use = are_left_in_peace(beside);
        assert!(in_use > 0.6, "{beside:?}: {in_use:.2}");
    }
}

#[test]
fn case_069_a_backlog_that_is_due_at_once_does_not_hold_up_what_comes_in() {
    for seed in 0..2 {
        let calm = holds(seed..=seed, &Plan::catch_up(false)).acks_p99_ms;
        let disturbed = holds(seed..=seed, &Plan::catch_up(true));
        assert!(disturbed.delivered > 4_000, "{disturbed:?}");
        let p99 = disturbed.acks_p99_ms;
        println!("acknowledged within {calm} ms, and {p99} ms while others catch up");
        assert!(p99 < 2 * calm, "p99 of {calm} ms became {p99} ms");
    }
}
