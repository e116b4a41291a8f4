//! Contract: what a node held that is no more.

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{Single, SkipReason, State, Trigger};
use fanfare_engine::time::Timestamp;

use super::rig::{ORGANIZATION, OTHER_WEBHOOK, PROJECT, Rig, WEBHOOK};
use crate::backend::Backend;
use crate::queue::{Accept, MAX_CLAIMS, NewDelivery, Next, Operation, Resend};
use crate::stats::{self, Span, Subject};

pub(crate) async fn case_055_what_a_dead_node_held_is_sent_again<B: Backend>(rig: &Rig<B>) {
    let held = rig.keep_leased(rig.event("job.created"), &[WEBHOOK, OTHER_WEBHOOK]).await;
    let waiting = rig.waiting().await;
    let theirs = rig.claim_by(rig.stranger(), WEBHOOK, 1).await.deliveries[0].lease;
    assert_eq!(theirs.delivery, waiting);
    rig.advance(5);

    let mut freed = rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
    freed.sort();
    assert_eq!(freed, [(WEBHOOK, 1), (OTHER_WEBHOOK, 1)]);
    assert_eq!(rig.state(waiting).await, State::Delivering, "a living node keeps its own");
    for lease in &held {
        let row = rig.row(lease.delivery).await;
        assert_eq!((row.state, row.next_attempt_at, row.attempts), (State::Pending, Some(rig.now()), 1));
        let attempts = rig.attempts(lease.delivery).await;
        assert_eq!(attempts.len(), 1);
        assert_eq!((attempts[0].number, attempts[0].outcome, attempts[0].at), (1, Outcome::Unknown, rig.now()));
        assert!(attempts[0].error.as_ref().unwrap().contains("may have been sent"));
        assert_eq!((&attempts[0].request, &attempts[0].response), (&None, &None));
    }
    let claimed = rig.claim_only(held[0].delivery).await;
    assert!(claimed.may_have_been_sent);
    // Nothing is known to have failed, so the schedule has not moved.
    assert_eq!((claimed.attempts, claimed.failures), (1, 0));
    rig.finish(claimed.lease, 200, Next::Delivered).await;
    rig.released(Operation::Resend(Resend { deliveries: vec![held[0].delivery] })).await;
    let asked_for = rig.claim_only(held[0].delivery).await;
    assert!(!asked_for.may_have_been_sent, "it is wanted once more, whatever was before");
    rig.count(Operation::Release(vec![asked_for.lease])).await;
    assert!(!rig.claim_only(held[0].delivery).await.may_have_been_sent, "it was given back unsent");
    let outcomes: Vec<_> =
        rig.attempts(held[0].delivery).await.iter().map(|attempt| (attempt.number, attempt.outcome)).collect();
    assert_eq!(outcomes, [(1, Outcome::Unknown), (2, Outcome::Success)]);
}

pub(crate) async fn rescue_goes_in_pieces<B: Backend>(rig: &Rig<B>) {
    for _ in 0..5 {
        rig.leased().await;
    }
    for expected in [2, 2, 1] {
        assert_eq!(rig.released(Operation::Rescue { node: rig.node, limit: 2 }).await, [(WEBHOOK, expected)]);
    }
    assert_eq!(rig.released(Operation::Rescue { node: rig.node, limit: 2 }).await, []);
    assert_eq!(rig.claim_by(rig.stranger(), WEBHOOK, 10).await.deliveries.len(), 5);
    // Its row is gone with its last lease.
    assert_eq!(rig.count(Operation::Heartbeat { node: rig.node }).await, 0);
}

pub(crate) async fn case_073_poison_is_set_aside<B: Backend>(rig: &Rig<B>) {
    let id = rig.waiting().await;
    for claim in 1..=MAX_CLAIMS {
        // What was claimed and given back unsent is no sign of poison.
        let unsent = rig.claim_only(id).await.lease;
        rig.count(Operation::Release(vec![unsent])).await;
        let lease = rig.claim_only(id).await.lease;
        assert_eq!(rig.count(Operation::Begin(lease)).await, 1);
        assert_eq!(rig.state(id).await, State::Delivering);
        rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
        let expected = if claim < MAX_CLAIMS { State::Pending } else { State::Skipped };
        assert_eq!(rig.state(id).await, expected, "after {claim} claims");
    }
    let row = rig.row(id).await;
    assert_eq!((row.skipped_reason, row.completed_at), (Some(SkipReason::Poison), Some(rig.now())));
    let attempts = rig.attempts(id).await;
    assert_eq!(attempts.len(), MAX_CLAIMS as usize);
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Unknown));
    assert!(rig.claim(WEBHOOK).await.is_empty());
}

pub(crate) async fn case_073_what_only_waited_in_memory_is_no_poison<B: Backend>(rig: &Rig<B>) {
    let id = rig.waiting().await;
    for _ in 0..MAX_CLAIMS + 2 {
        rig.claim_only(id).await;
        assert_eq!(rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await, [(WEBHOOK, 1)]);
    }
    assert_eq!(rig.state(id).await, State::Pending);
    assert_eq!(rig.attempts(id).await.len(), 1, "only the first lease may have been a request");
    let claimed = rig.claim_only(id).await;
    assert!(claimed.may_have_been_sent);
    rig.count(Operation::Release(vec![claimed.lease])).await;
    let claimed = rig.claim_only(id).await;
    assert!(claimed.may_have_been_sent, "giving it back does not undo what may have been");
    let stale = crate::queue::Lease { claim: claimed.lease.claim - 1, ..claimed.lease };
    assert_eq!(rig.count(Operation::Begin(stale)).await, 0, "whoever lost the lease begins nothing");
}

pub(crate) async fn a_delivered_one_stays_delivered_while_its_repetition_begins<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    rig.finish(lease, 200, Next::Delivered).await;
    rig.released(Operation::Resend(Resend { deliveries: vec![lease.delivery] })).await;
    rig.claim_only(lease.delivery).await;
    rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
    let again = rig.claim_only(lease.delivery).await.lease;
    rig.count(Operation::Begin(again)).await;
    assert_eq!(rig.state(lease.delivery).await, State::Delivered);
    rig.finish(again, 500, Next::Delivered).await;
    assert_eq!(rig.state(lease.delivery).await, State::Delivered);
}

pub(crate) async fn an_outcome_forgives_earlier_claims<B: Backend>(rig: &Rig<B>) {
    let id = rig.waiting().await;
    for _ in 0..2 {
        for _ in 1..MAX_CLAIMS {
            let lease = rig.claim_only(id).await.lease;
            rig.count(Operation::Begin(lease)).await;
            rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
        }
        let lease = rig.claim_only(id).await.lease;
        rig.finish(lease, 500, Next::RetryAt(rig.now())).await;
    }
    assert_eq!(rig.state(id).await, State::Pending);
}

pub(crate) async fn a_rescued_single_attempt_stays_single<B: Backend>(rig: &Rig<B>) {
    let accept = rig.acceptance(rig.event("webhook.test"), &[WEBHOOK], Some(rig.node));
    let delivery = NewDelivery { trigger: Trigger::Test, ..accept.deliveries[0] };
    rig.accept(Accept { deliveries: vec![delivery], ..accept }).await;
    rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
    assert_eq!(rig.attempts(delivery.id).await[0].trigger, Trigger::Test);
    let claimed = rig.claim_only(delivery.id).await;
    assert_eq!((claimed.single, claimed.trigger), (Single::Attempt, Trigger::Test));
}

pub(crate) async fn what_may_have_been_sent_is_counted<B: Backend>(rig: &Rig<B>) {
    rig.leased().await;
    rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
    for subject in [Subject::Project(PROJECT), Subject::Organization(ORGANIZATION), Subject::Webhook(WEBHOOK)] {
        let series = rig.read(stats::series(subject, Span::Hour, Timestamp(0))).await;
        let [(_, figures)] = series[..] else { panic!("{series:?}") };
        assert_eq!((figures.failed_other, figures.attempts()), (1, 1), "{subject:?}");
    }
    let last = rig.read_one(stats::last_attempt(WEBHOOK)).await.unwrap();
    assert_eq!((last.outcome, last.response_code), (Outcome::Unknown, None));
}
