//! Contract: a clock that was set back.

use std::time::Duration;

use fanfare_engine::time::Timestamp;

use super::rig::{Rig, WEBHOOK};
use crate::backend::Backend;
use crate::queue::{Answer, Operation, PullDue, Pulled};

const HOUR: Duration = Duration::from_secs(3_600);

impl<B: Backend> Rig<B> {
    /// Has everything of the webhook pulled, in pieces. Returns when the first of each piece is due.
    async fn pull(&self, by: Duration, limit: u32) -> Vec<Option<Timestamp>> {
        let mut firsts = Vec::new();
        let mut after = None;
        loop {
            let wish = PullDue { webhook: WEBHOOK, by, after, limit };
            let Answer::Pulled(Pulled { last, first_due }) = self.apply(Operation::PullDue(wish)).await.unwrap() else {
                panic!("another answer")
            };
            firsts.push(first_due);
            match last {
                Some(_) => after = last,
                None => return firsts,
            }
        }
    }
}

pub(crate) async fn case_059_what_waits_follows_a_clock_that_was_set_back<B: Backend>(rig: &Rig<B>) {
    // The clock runs an hour fast while these are put off by 10, 20, … 50 s.
    rig.advance(3_600);
    let mut waiting = Vec::new();
    for n in 1..=5 {
        let lease = rig.leased().await;
        assert_eq!(rig.count(Operation::PutOff(lease, rig.in_seconds(10 * n))).await, 1);
        waiting.push(lease.delivery);
    }
    rig.advance(-3_600);
    let firsts = rig.pull(HOUR, 2).await;
    assert_eq!(firsts, [Some(rig.in_seconds(10)), Some(rig.in_seconds(30)), Some(rig.in_seconds(50))]);
    for (n, id) in (1..).zip(&waiting) {
        assert_eq!(rig.row(*id).await.next_attempt_at, Some(rig.in_seconds(10 * n)));
    }
    assert!(rig.claim(WEBHOOK).await.is_empty());
    rig.advance(10);
    rig.claim_only(waiting[0]).await;
}

pub(crate) async fn case_059_nothing_becomes_due_in_the_past<B: Backend>(rig: &Rig<B>) {
    let due_already = rig.waiting().await;
    let before = rig.row(due_already).await.next_attempt_at;
    let lease = rig.leased().await;
    rig.count(Operation::PutOff(lease, rig.in_seconds(60))).await;
    assert_eq!(rig.pull(HOUR, 10).await, [Some(rig.now())]);
    assert_eq!(rig.row(lease.delivery).await.next_attempt_at, Some(rig.now()));
    assert_eq!(rig.row(due_already).await.next_attempt_at, before);
    assert_eq!(rig.pull(HOUR, 10).await, [None], "what is due now stays as it is");
}

pub(crate) async fn case_059_what_waits_for_an_earlier_one_goes_on_waiting<B: Backend>(rig: &Rig<B>) {
    let first = rig.ordered("k").await;
    let second = rig.ordered("k").await;
    rig.count(Operation::PutOff(rig.claim_only(first).await.lease, rig.in_seconds(60))).await;
    assert_eq!(rig.pull(HOUR, 10).await, [Some(rig.now())]);
    assert_eq!(rig.claim_only(first).await.lease.delivery, first);
    assert_eq!(rig.row(second).await.next_attempt_at, None);
}
