//! Contract: deliveries that share an ordering key go one after the other.

use fanfare_engine::delivery::{SkipReason, State};
use fanfare_engine::event::Event;
use fanfare_engine::id::DeliveryId;

use super::rig::{OTHER_WEBHOOK, RECORDED, Rig, UNBLOCKED, WEBHOOK};
use crate::backend::Backend;
use crate::queue::{Accepted, Lease, MAX_CLAIMS, Next, Operation};

async fn three<B: Backend>(rig: &Rig<B>) -> [DeliveryId; 3] {
    [rig.ordered("a").await, rig.ordered("a").await, rig.ordered("a").await]
}

/// Has the only due delivery sent; it must be this one.
async fn deliver<B: Backend>(rig: &Rig<B>, delivery: DeliveryId) -> crate::queue::Finished {
    let lease = rig.claim_only(delivery).await.lease;
    rig.finish(lease, 200, Next::Delivered).await
}

pub(crate) async fn one_after_the_other_in_order<B: Backend>(rig: &Rig<B>) {
    let event = Event { ordering_key: Some("a".to_owned()), ..rig.event("job.created") };
    let first = rig.acceptance(event.clone(), &[WEBHOOK], Some(rig.node));
    let lease = Lease { delivery: first.deliveries[0].id, node: rig.node, claim: 1 };
    assert_eq!(rig.accept(first).await, Accepted::New { held_back: Vec::new(), learnt: false });
    // Whoever wanted to keep the next ones in memory is told that they wait.
    let mut held = Vec::new();
    for _ in 0..2 {
        let event = Event { id: rig.event("").id, ..event.clone() };
        let next = rig.acceptance(event, &[WEBHOOK], Some(rig.node));
        let id = next.deliveries[0].id;
        assert_eq!(rig.accept(next).await, Accepted::New { held_back: vec![id], learnt: false });
        let row = rig.row(id).await;
        assert_eq!((row.state, row.next_attempt_at), (State::Pending, None));
        held.push(id);
    }
    let claimed = rig.claim_by(rig.node, WEBHOOK, 10).await;
    assert_eq!((claimed.deliveries.len(), claimed.next_due), (0, None));

    assert_eq!(rig.finish(lease, 200, Next::Delivered).await, UNBLOCKED);
    assert_eq!(rig.row(held[0]).await.next_attempt_at, Some(rig.now()));
    assert_eq!(deliver(rig, held[0]).await, UNBLOCKED);
    assert_eq!(deliver(rig, held[1]).await, RECORDED);
}

pub(crate) async fn keys_and_webhooks_do_not_hold_each_other_back<B: Backend>(rig: &Rig<B>) {
    for key in [Some("a"), Some("b"), None, None] {
        let event = Event { ordering_key: key.map(str::to_owned), ..rig.event("job.created") };
        rig.keep(event, &[WEBHOOK, OTHER_WEBHOOK]).await;
    }
    assert_eq!(rig.claim(WEBHOOK).await.len(), 4);
    assert_eq!(rig.claim(OTHER_WEBHOOK).await.len(), 4);
}

pub(crate) async fn a_retry_holds_the_others_back<B: Backend>(rig: &Rig<B>) {
    let [first, second, _] = three(rig).await;
    let lease = rig.claim_only(first).await.lease;
    assert_eq!(rig.finish(lease, 500, Next::RetryAt(rig.in_seconds(60))).await, RECORDED);
    assert!(rig.claim(WEBHOOK).await.is_empty());
    rig.advance(60);
    let lease = rig.claim_only(first).await.lease;
    assert_eq!(rig.finish(lease, 500, Next::Exhausted).await, UNBLOCKED);
    rig.claim_only(second).await;
}

pub(crate) async fn a_skipped_one_lets_the_next_go<B: Backend>(rig: &Rig<B>) {
    let [first, second, _] = three(rig).await;
    let lease = rig.claim_only(first).await.lease;
    let next = Next::Skipped(SkipReason::AccessRevoked);
    assert_eq!(rig.end(lease, None, next).await, UNBLOCKED);
    rig.claim_only(second).await;
}

pub(crate) async fn a_cancelled_one_lets_the_next_go<B: Backend>(rig: &Rig<B>) {
    let [first, second, third] = three(rig).await;
    // One in the middle frees nothing; the first frees the one after the gap.
    rig.released(Operation::Cancel { deliveries: vec![second] }).await;
    assert_eq!(rig.row(third).await.next_attempt_at, None);
    rig.released(Operation::Cancel { deliveries: vec![first] }).await;
    assert_eq!((rig.state(first).await, rig.state(second).await), (State::Cancelled, State::Cancelled));
    rig.claim_only(third).await;
}

pub(crate) async fn poison_lets_the_next_go<B: Backend>(rig: &Rig<B>) {
    let [first, second, _] = three(rig).await;
    for _ in 0..MAX_CLAIMS {
        let lease = rig.claim_only(first).await.lease;
        rig.count(Operation::Begin(lease)).await;
        rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
    }
    assert_eq!(rig.state(first).await, State::Skipped);
    rig.claim_only(second).await;
}

pub(crate) async fn skipping_in_pieces_holds_nothing_back_for_ever<B: Backend>(rig: &Rig<B>) {
    let [first, second, third] = three(rig).await;
    let skip = Operation::SkipWaiting { webhook: WEBHOOK, reason: SkipReason::WebhookDeactivated, limit: 1 };
    assert_eq!(rig.count(skip).await, 1);
    assert_eq!(rig.state(first).await, State::Skipped);
    // The webhook is active again before the rest was skipped.
    assert_eq!(deliver(rig, second).await, UNBLOCKED);
    assert_eq!(deliver(rig, third).await, RECORDED);
}

pub(crate) async fn what_is_given_back_stays_first<B: Backend>(rig: &Rig<B>) {
    let [first, second, _] = three(rig).await;
    let lease = rig.claim_only(first).await.lease;
    rig.count(Operation::Release(vec![lease])).await;
    assert_eq!(deliver(rig, first).await, UNBLOCKED);
    rig.claim_only(second).await;
}
