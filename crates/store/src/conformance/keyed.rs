//! Contract: operations under an idempotency key are carried out once, and take the key in the same commit.

use fanfare_engine::id::DeliveryId;
use fanfare_engine::time::Timestamp;

use super::rig::{Rig, WEBHOOK, key};
use crate::backend::Backend;
use crate::catalogue::idempotency::{self, Kept, Outcome};
use crate::catalogue::meta;
use crate::error::{StoreError, StoreResult};
use crate::queue::{Answer, IDEMPOTENCY_LIFETIME, Next, Once, Operation, Resend};

const TAKEN: StoreError = StoreError::Taken("idempotency key");

async fn once<B: Backend>(rig: &Rig<B>, fingerprint: u8, operation: Operation) -> StoreResult<Answer> {
    let made = "made_1".to_owned();
    rig.apply(Operation::Once(Box::new(Once { key: key("POST", "k", fingerprint), made, operation }))).await
}

/// Something that can be done once only.
fn note(name: &'static str) -> Operation {
    Operation::Change { change: meta::insert(name, Vec::new()), touches: None, report: None }
}

async fn kept<B: Backend>(rig: &Rig<B>) -> Option<Kept> {
    rig.read_one(idempotency::get(&key("POST", "k", 0), Timestamp(0))).await
}

pub(crate) async fn a_change_takes_its_key_with_it<B: Backend>(rig: &Rig<B>) {
    once(rig, 1, note("one")).await.unwrap();
    let done = Outcome::Done { made: "made_1".to_owned() };
    assert_eq!(kept(rig).await, Some(Kept { fingerprint: [1; 16], outcome: done }));
    assert_eq!(once(rig, 1, note("two")).await.unwrap_err(), TAKEN);
    assert!(rig.read_one(meta::get("two")).await.is_none());

    let answer = idempotency::answer(&key("POST", "k", 1), 201, b"{}".to_vec(), rig.now());
    rig.change(answer).await.unwrap();
    assert_eq!(kept(rig).await.unwrap().outcome, Outcome::Answered(201, b"{}".to_vec()));
    assert_eq!(once(rig, 1, note("two")).await.unwrap_err(), TAKEN);
}

pub(crate) async fn what_is_refused_leaves_its_key_free<B: Backend>(rig: &Rig<B>) {
    rig.apply(note("one")).await.unwrap();
    assert!(matches!(once(rig, 1, note("one")).await, Err(StoreError::Taken(what)) if what != "idempotency key"));
    assert_eq!(kept(rig).await, None);
    once(rig, 2, note("two")).await.unwrap();
}

pub(crate) async fn what_finds_nothing_to_do_leaves_its_key_free<B: Backend>(rig: &Rig<B>) {
    let resend = |delivery| Operation::Resend(Resend { deliveries: vec![delivery] });
    once(rig, 1, resend(DeliveryId(1))).await.unwrap();
    assert_eq!(kept(rig).await, None);
    let delivery = rig.ended(500, Next::Exhausted).await;
    assert!(matches!(once(rig, 1, resend(delivery)).await, Ok(Answer::Released(due)) if due == [(WEBHOOK, 1)]));
    assert_eq!(once(rig, 1, resend(delivery)).await.unwrap_err(), TAKEN);
}

pub(crate) async fn a_key_ends_and_can_be_used_again<B: Backend>(rig: &Rig<B>) {
    once(rig, 1, note("one")).await.unwrap();
    rig.advance(i64::try_from(IDEMPOTENCY_LIFETIME.as_secs()).unwrap());
    assert_eq!(once(rig, 2, note("two")).await.unwrap_err(), TAKEN);
    rig.advance(1);
    once(rig, 2, note("two")).await.unwrap();
    assert_eq!(kept(rig).await.unwrap().fingerprint, [2; 16]);
}
