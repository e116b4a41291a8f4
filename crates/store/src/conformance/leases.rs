//! Contract: who may send a delivery, and until when.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::delivery::{Single, State, Trigger};
use fanfare_engine::event::{Entity, EntityRef, Event};

use super::rig::{OTHER_WEBHOOK, RECORDED, Rig, WEBHOOK};
use crate::backend::Backend;
use crate::queue::{Accept, Claim, Finished, Lease, NewDelivery, Next, Operation};

fn ids(claimed: &crate::queue::Claimed) -> Vec<fanfare_engine::id::DeliveryId> {
    claimed.deliveries.iter().map(|delivery| delivery.lease.delivery).collect()
}

pub(crate) async fn a_new_delivery_may_be_leased_already<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    assert_eq!(rig.state(lease.delivery).await, State::Delivering);
    let claimed = rig.claim_by(rig.node, WEBHOOK, 10).await;
    assert!(claimed.deliveries.is_empty());
    assert_eq!(claimed.next_due, None);
    assert_eq!(rig.finish(lease, 200, Next::Delivered).await, RECORDED);
    assert_eq!(rig.state(lease.delivery).await, State::Delivered);
}

pub(crate) async fn a_retry_is_due_when_it_is_due<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    let due = rig.in_seconds(60);
    assert_eq!(rig.finish(lease, 500, Next::RetryAt(due)).await, RECORDED);
    let row = rig.row(lease.delivery).await;
    assert_eq!((row.state, row.next_attempt_at, row.attempts), (State::Pending, Some(due), 1));

    rig.advance(59);
    let early = rig.claim_by(rig.node, WEBHOOK, 10).await;
    assert_eq!((early.deliveries.len(), early.next_due), (0, Some(due)));
    rig.advance(1);
    let claimed = rig.claim_only(lease.delivery).await;
    assert_eq!((claimed.attempts, claimed.failures, claimed.trigger), (1, 1, Trigger::Schedule));
    assert_eq!(claimed.single, Single::No);
}

pub(crate) async fn the_earliest_due_comes_first<B: Backend>(rig: &Rig<B>) {
    let mut expected = Vec::new();
    for seconds in [30, 10, 20, 10] {
        let lease = rig.leased().await;
        rig.finish(lease, 500, Next::RetryAt(rig.in_seconds(seconds))).await;
        expected.push((seconds, lease.delivery));
    }
    // Those due at the same moment come in the order of their acceptance.
    expected.sort();
    rig.advance(60);
    let claimed = rig.claim_by(rig.node, WEBHOOK, 10).await;
    assert_eq!(ids(&claimed), expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

pub(crate) async fn a_claim_takes_no_more_than_was_asked<B: Backend>(rig: &Rig<B>) {
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(rig.waiting().await);
    }
    rig.keep(rig.event("job.created"), &[OTHER_WEBHOOK]).await;
    let first = rig.claim_by(rig.node, WEBHOOK, 2).await;
    assert_eq!((ids(&first), first.next_due), (waiting[..2].to_vec(), Some(rig.now())));
    let rest = rig.claim_by(rig.node, WEBHOOK, 10).await;
    assert_eq!((ids(&rest), rest.next_due), (waiting[2..].to_vec(), None));
}

pub(crate) async fn a_claim_is_bounded_by_bytes<B: Backend>(rig: &Rig<B>) {
    for _ in 0..4 {
        let event = Event { data: Bytes::from(vec![b'1'; 4_000]), ..rig.event("job.created") };
        rig.keep(event, &[WEBHOOK]).await;
    }
    let wish = Claim { webhook: WEBHOOK, node: rig.node, limit: 10, max_bytes: 5_000 };
    let claimed = rig.claim_with(wish).await;
    assert_eq!((claimed.deliveries.len(), claimed.next_due), (2, Some(rig.now())));
    // However small the room, a single one gets through.
    assert_eq!(rig.claim_with(Claim { max_bytes: 1, ..wish }).await.deliveries.len(), 1);
}

pub(crate) async fn a_claimed_event_is_whole<B: Backend>(rig: &Rig<B>) {
    let entity = |kind: &str| EntityRef { kind: kind.to_owned(), id: "ü \"17\"".to_owned() };
    let event = Event {
        external_id: Some("host-1".to_owned()),
        data: Bytes::from_static(b" {\"a\" : 1e400, \"a\":\"\\u0000\"} "),
        entity: Some(Entity {
            kind: "Job".to_owned(),
            id: "j-1".to_owned(),
            url: Some("https://host.example/j-1".to_owned()),
            data: Some(Bytes::from_static(b"{ }")),
        }),
        scope: vec![entity("Company"), entity("Group")],
        occurred_at: fanfare_engine::time::Timestamp(-5),
        ordering_key: Some("j-1".to_owned()),
        ..rig.event("job.created")
    };
    rig.keep(event.clone(), &[WEBHOOK]).await;
    assert_eq!(rig.claim(WEBHOOK).await[0].event, Arc::new(event));

    let bare = rig.event("job.closed");
    rig.keep(bare.clone(), &[WEBHOOK]).await;
    assert_eq!(rig.claim(WEBHOOK).await[0].event, Arc::new(bare));
}

pub(crate) async fn case_058_nothing_is_leased_twice<B: Backend>(rig: &Rig<B>) {
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(rig.waiting().await);
    }
    let wish = |number| {
        let node = if number % 2 == 0 { rig.node } else { rig.stranger() };
        Operation::Claim(Claim { webhook: WEBHOOK, node, limit: 5, max_bytes: usize::MAX })
    };
    let mut leased = Vec::new();
    for answer in rig.apply_all((0..20).map(wish).collect()).await {
        let crate::queue::Answer::Claimed(claimed) = answer.unwrap() else { panic!("no claim") };
        leased.extend(ids(&claimed));
    }
    leased.sort();
    assert_eq!(leased, waiting);
}

pub(crate) async fn case_057_an_old_lease_is_fenced<B: Backend>(rig: &Rig<B>) {
    let stale = rig.leased().await;
    rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
    assert_eq!(rig.finish(stale, 200, Next::Delivered).await, Finished::Fenced);

    let held = rig.claim_by(rig.stranger(), WEBHOOK, 1).await.deliveries[0].lease;
    assert_eq!(rig.finish(stale, 200, Next::Delivered).await, Finished::Fenced);
    let row = rig.row(stale.delivery).await;
    assert_eq!((row.state, row.attempts), (State::Delivering, 1), "nothing but the lost attempt");
    assert_eq!(rig.finish(held, 204, Next::Delivered).await, RECORDED);
    // Nor is an outcome recorded twice.
    assert_eq!(rig.finish(held, 204, Next::Delivered).await, Finished::Fenced);
    assert_eq!(rig.attempts(stale.delivery).await.len(), 2);
}

pub(crate) async fn a_lease_of_the_same_node_is_fenced_too<B: Backend>(rig: &Rig<B>) {
    let old = rig.leased().await;
    rig.finish(old, 500, Next::RetryAt(rig.now())).await;
    let new = rig.claim_only(old.delivery).await.lease;
    assert_eq!(rig.finish(old, 200, Next::Delivered).await, Finished::Fenced);
    assert_eq!(rig.state(old.delivery).await, State::Delivering);
    assert_eq!(rig.finish(new, 200, Next::Delivered).await, RECORDED);
}

pub(crate) async fn another_nodes_lease_is_fenced<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    let theirs = Lease { node: rig.stranger(), ..lease };
    assert_eq!(rig.finish(theirs, 200, Next::Delivered).await, Finished::Fenced);
    assert_eq!(rig.count(Operation::Release(vec![theirs])).await, 0);
    assert_eq!(rig.state(lease.delivery).await, State::Delivering);
    assert!(rig.attempts(lease.delivery).await.is_empty());
}

pub(crate) async fn what_is_given_back_waits_again<B: Backend>(rig: &Rig<B>) {
    let event = rig.event("job.created");
    let mut accept = rig.acceptance(event, &[WEBHOOK], Some(rig.node));
    // Taken into memory before it is due: it is due at once when it is given back.
    accept.deliveries = vec![NewDelivery { due: rig.in_seconds(60), ..accept.deliveries[0] }];
    let lease = Lease { delivery: accept.deliveries[0].id, node: rig.node, claim: 1 };
    rig.accept(Accept { ..accept }).await;
    assert_eq!(rig.count(Operation::Release(vec![lease])).await, 1);
    let row = rig.row(lease.delivery).await;
    assert_eq!((row.state, row.attempts, row.next_attempt_at), (State::Pending, 0, Some(rig.now())));
    assert!(rig.attempts(lease.delivery).await.is_empty());
    rig.claim_only(lease.delivery).await;
}

pub(crate) async fn a_lease_given_back_is_void<B: Backend>(rig: &Rig<B>) {
    let old = rig.leased().await;
    rig.count(Operation::Release(vec![old])).await;
    assert_eq!(rig.count(Operation::Release(vec![old])).await, 0);
    rig.claim_only(old.delivery).await;
    assert_eq!(rig.count(Operation::Release(vec![old])).await, 0, "it was given back before");
    assert_eq!(rig.finish(old, 200, Next::Delivered).await, Finished::Fenced);
    assert_eq!(rig.state(old.delivery).await, State::Delivering);
}

pub(crate) async fn what_is_put_off_waits_until_then<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    let until = rig.in_seconds(60);
    assert_eq!(rig.count(Operation::PutOff(lease, until)).await, 1);
    assert_eq!(rig.count(Operation::PutOff(lease, until)).await, 0, "it was given back before");
    let row = rig.row(lease.delivery).await;
    assert_eq!((row.state, row.attempts, row.next_attempt_at), (State::Pending, 0, Some(until)));
    rig.advance(59);
    let early = rig.claim_by(rig.node, WEBHOOK, 10).await;
    assert_eq!((early.deliveries.len(), early.next_due), (0, Some(until)));
    rig.advance(1);
    rig.claim_only(lease.delivery).await;
    assert_eq!(rig.finish(lease, 200, Next::Delivered).await, Finished::Fenced);
}
