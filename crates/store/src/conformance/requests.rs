//! Contract: what people ask for. Send again, send a test, cancel, skip what waits, deliver late.

use fanfare_engine::delivery::{Single, SkipReason, State, Trigger};
use fanfare_engine::id::{DeliveryId, EventId};

use super::rig::{OTHER_WEBHOOK, RECORDED, Rig, WEBHOOK};
use crate::backend::Backend;
use crate::error::StoreError;
use crate::log::DeliveryFilter;
use crate::queue::{Accept, Deliver, MAX_CLAIMS, NewDelivery, Next, Operation, Resend};

fn resend(delivery: DeliveryId) -> Operation {
    Operation::Resend(Resend { deliveries: vec![delivery] })
}

pub(crate) async fn a_waiting_one_is_sent_early<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    rig.finish(lease, 500, Next::RetryAt(rig.in_seconds(600))).await;
    assert_eq!(rig.released(resend(lease.delivery)).await, [(WEBHOOK, 1)]);
    let claimed = rig.claim_only(lease.delivery).await;
    // It goes on with its schedule afterwards.
    assert_eq!((claimed.trigger, claimed.single), (Trigger::Manual, Single::No));
    assert_eq!((claimed.attempts, claimed.failures), (1, 1));
    rig.finish(claimed.lease, 500, Next::RetryAt(rig.now())).await;
    assert_eq!(rig.claim_only(lease.delivery).await.trigger, Trigger::Schedule);
}

pub(crate) async fn one_that_is_being_sent_is_left_alone<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    assert_eq!(rig.released(resend(lease.delivery)).await, []);
    assert_eq!(rig.released(resend(DeliveryId(1))).await, [], "nor is one that is not there");
    assert_eq!(rig.finish(lease, 200, Next::Delivered).await, RECORDED);
    assert!(rig.claim(WEBHOOK).await.is_empty());
}

pub(crate) async fn an_exhausted_one_gets_a_single_attempt<B: Backend>(rig: &Rig<B>) {
    for next in [Next::Exhausted, Next::Skipped(SkipReason::AccessRevoked)] {
        let id = rig.ended(500, next).await;
        assert_eq!(rig.released(resend(id)).await, [(WEBHOOK, 1)]);
        let row = rig.row(id).await;
        assert_eq!((row.state, row.next_attempt_at), (State::Pending, Some(rig.now())));
        assert_eq!((row.completed_at, row.skipped_reason), (None, None));
        let claimed = rig.claim_only(id).await;
        assert_eq!((claimed.single, claimed.trigger), (Single::Attempt, Trigger::Manual));
        rig.finish(claimed.lease, 200, Next::Delivered).await;
        let row = rig.row(id).await;
        assert_eq!((row.state, row.attempts, row.completed_at), (State::Delivered, 2, Some(rig.now())));
    }
}

pub(crate) async fn case_078_a_delivered_one_stays_delivered<B: Backend>(rig: &Rig<B>) {
    let id = rig.ended(200, Next::Delivered).await;
    // Pressed twice before the first is sent: one attempt.
    rig.released(resend(id)).await;
    rig.released(resend(id)).await;
    assert_eq!(rig.state(id).await, State::Delivered, "also while it waits");
    let claimed = rig.claim_only(id).await;
    assert_eq!((claimed.single, claimed.trigger), (Single::StaysDelivered, Trigger::Manual));
    assert_eq!(rig.state(id).await, State::Delivered, "also while it is sent");
    let shown = rig.found(&DeliveryFilter { state: Some(State::Delivered), ..Default::default() }).await;
    assert_eq!(shown, [id]);
    for state in [State::Pending, State::Delivering] {
        assert_eq!(rig.found(&DeliveryFilter { state: Some(state), ..Default::default() }).await, []);
    }
    rig.finish(claimed.lease, 500, Next::Delivered).await;
    let row = rig.row(id).await;
    assert_eq!((row.state, row.attempts), (State::Delivered, 2));
    assert_eq!(rig.attempts(id).await.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
    assert!(rig.claim(WEBHOOK).await.is_empty());
}

pub(crate) async fn a_delivered_one_stays_delivered_whatever_ends_its_repetition<B: Backend>(rig: &Rig<B>) {
    let id = rig.ended(200, Next::Delivered).await;
    let completed_at = rig.row(id).await.completed_at;
    let skip = SkipReason::WebhookDeactivated;
    rig.advance(1);

    rig.released(resend(id)).await;
    rig.released(Operation::Cancel { deliveries: vec![id] }).await;
    assert_eq!(rig.state(id).await, State::Delivered, "cancelled");

    rig.released(resend(id)).await;
    rig.count(Operation::SkipWaiting { webhook: WEBHOOK, reason: skip, limit: 10 }).await;
    assert_eq!(rig.state(id).await, State::Delivered, "skipped while it waited");

    rig.released(resend(id)).await;
    let lease = rig.claim_only(id).await.lease;
    rig.end(lease, None, Next::Skipped(skip)).await;
    assert_eq!(rig.state(id).await, State::Delivered, "skipped when it was to be sent");

    rig.released(resend(id)).await;
    let lease = rig.claim_only(id).await.lease;
    rig.finish(lease, 500, Next::Exhausted).await;
    assert_eq!(rig.state(id).await, State::Delivered, "failed");

    rig.released(resend(id)).await;
    for _ in 0..MAX_CLAIMS {
        let lease = rig.claim_only(id).await.lease;
        rig.count(Operation::Begin(lease)).await;
        rig.released(Operation::Rescue { node: rig.node, limit: 10 }).await;
    }
    let row = rig.row(id).await;
    assert_eq!((row.state, row.skipped_reason, row.completed_at), (State::Delivered, None, completed_at), "poison");
    assert!(rig.claim(WEBHOOK).await.is_empty());
}

pub(crate) async fn a_test_gets_a_single_attempt<B: Backend>(rig: &Rig<B>) {
    let accept = rig.acceptance(rig.event("webhook.test"), &[WEBHOOK], None);
    let delivery = NewDelivery { trigger: Trigger::Test, ..accept.deliveries[0] };
    rig.accept(Accept { deliveries: vec![delivery], ..accept }).await;
    let claimed = rig.claim_only(delivery.id).await;
    assert_eq!((claimed.single, claimed.trigger), (Single::Attempt, Trigger::Test));
}

pub(crate) async fn what_waits_can_be_cancelled<B: Backend>(rig: &Rig<B>) {
    let (waiting, sending) = (rig.waiting().await, rig.leased().await);
    let delivered = rig.ended(200, Next::Delivered).await;
    rig.advance(1);
    let all = vec![waiting, sending.delivery, delivered, DeliveryId(1)];
    assert_eq!(rig.released(Operation::Cancel { deliveries: all }).await, [(WEBHOOK, 1)]);
    let row = rig.row(waiting).await;
    assert_eq!((row.state, row.completed_at, row.next_attempt_at), (State::Cancelled, Some(rig.now()), None));
    assert_eq!(rig.state(sending.delivery).await, State::Delivering);
    assert_eq!(rig.state(delivered).await, State::Delivered);
    assert!(rig.claim(WEBHOOK).await.is_empty());
}

pub(crate) async fn waiting_ones_are_skipped_in_pieces<B: Backend>(rig: &Rig<B>) {
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(rig.waiting().await);
    }
    let sending = rig.leased().await;
    let other = rig.keep(rig.event("job.created"), &[OTHER_WEBHOOK]).await[0];
    let reason = SkipReason::WebhookDeleted;
    for expected in [2, 2, 1, 0] {
        assert_eq!(rig.count(Operation::SkipWaiting { webhook: WEBHOOK, reason, limit: 2 }).await, expected);
    }
    for id in waiting {
        let row = rig.row(id).await;
        assert_eq!((row.state, row.skipped_reason), (State::Skipped, Some(SkipReason::WebhookDeleted)));
        assert_eq!((row.completed_at, row.next_attempt_at), (Some(rig.now()), None));
    }
    assert_eq!(rig.state(sending.delivery).await, State::Delivering);
    assert_eq!(rig.state(other).await, State::Pending);
}

pub(crate) async fn case_079_an_event_is_delivered_late_once<B: Backend>(rig: &Rig<B>) {
    let event = rig.event("job.created");
    let id = event.id;
    let first = rig.keep(event, &[WEBHOOK]).await[0];
    rig.waiting().await;
    let late = |webhook| {
        let delivery = DeliveryId(rig.id());
        (delivery, Operation::Deliver(Deliver { event: id, webhook, id: delivery, trigger: Trigger::Manual }))
    };
    let (delivery, operation) = late(OTHER_WEBHOOK);
    assert_eq!(rig.released(operation).await, [(OTHER_WEBHOOK, 1)]);
    // A job that starts again half-way repeats nothing, neither what it made nor what was there from the start.
    assert_eq!(rig.released(late(OTHER_WEBHOOK).1).await, []);
    assert_eq!(rig.released(late(WEBHOOK).1).await, []);
    let claimed = rig.claim(OTHER_WEBHOOK).await;
    assert_eq!((claimed.len(), claimed[0].lease.delivery, claimed[0].event.id), (1, delivery, id));
    assert_eq!((claimed[0].trigger, claimed[0].single), (Trigger::Manual, Single::No));
    let of_event = DeliveryFilter { event: Some(id), ..Default::default() };
    assert_eq!(rig.found(&of_event).await, [delivery, first]);
    rig.finish(claimed[0].lease, 200, Next::Delivered).await;
    assert_eq!(rig.state(delivery).await, State::Delivered);
}

pub(crate) async fn an_event_that_is_gone_is_not_delivered<B: Backend>(rig: &Rig<B>) {
    let (event, id) = (EventId(rig.id()), DeliveryId(rig.id()));
    let wish = Deliver { event, webhook: WEBHOOK, id, trigger: Trigger::Manual };
    let error = rig.apply(Operation::Deliver(wish)).await.unwrap_err();
    assert_eq!(error, StoreError::Stale("event"));
}
