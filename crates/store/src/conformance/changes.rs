//! Contract: a change of the catalogue happens whole or not at all, and its report with it.

use super::rig::{ORGANIZATION, PROJECT, Rig, WEBHOOK};
use crate::arguments;
use crate::backend::Backend;
use crate::catalogue::meta;
use crate::error::{StoreError, StoreResult};
use crate::log;
use crate::query::{Change, Expect, Step};
use crate::queue::{Accept, Answer, Operation, Touches};

const TOUCHES: Touches = Touches { project: PROJECT, organization: Some(ORGANIZATION) };

/// Replaces a value that must be there.
fn replace(key: &str, value: u8) -> Step {
    Step {
        sql: "UPDATE meta SET value = ?1 WHERE key = ?2".into(),
        arguments: arguments![vec![value], key],
        expect: Expect::Some("value"),
        unique: "",
    }
}

async fn change<B: Backend>(rig: &Rig<B>, change: Change, report: Option<Accept>) -> StoreResult<i64> {
    match rig.apply(Operation::Change { change, touches: Some(TOUCHES), report }).await? {
        Answer::Changed { catalogue_version } => Ok(catalogue_version),
        other => panic!("a change was answered with {other:?}"),
    }
}

async fn value<B: Backend>(rig: &Rig<B>, key: &str) -> Option<Vec<u8>> {
    rig.read_one(meta::get(key)).await
}

pub(crate) async fn a_change_raises_the_version<B: Backend>(rig: &Rig<B>) {
    let first = change(rig, meta::insert("a", vec![1]), None).await.unwrap();
    let second = change(rig, meta::insert("b", vec![2]), None).await.unwrap();
    assert!(second > first);
    // What touches nobody's cache leaves it, and every claim tells it.
    assert_eq!(rig.change(meta::insert("c", vec![3])).await, Ok(second));
    assert_eq!(rig.claim_by(rig.node, WEBHOOK, 1).await.catalogue_version, second);
    assert_eq!(value(rig, "a").await, Some(vec![1]));
}

pub(crate) async fn a_taken_name_undoes_all<B: Backend>(rig: &Rig<B>) {
    let version = change(rig, meta::insert("a", vec![1]), None).await.unwrap();
    let steps = [meta::insert("b", vec![2]), meta::insert("a", vec![3])].into_iter().flat_map(|change| change.steps);
    let error = change(rig, Change { steps: steps.collect() }, None).await.unwrap_err();
    assert_eq!(error, StoreError::Taken("value"));
    assert_eq!((value(rig, "a").await, value(rig, "b").await), (Some(vec![1]), None));
    assert_eq!(rig.claim_by(rig.node, WEBHOOK, 1).await.catalogue_version, version);
}

pub(crate) async fn a_stale_step_undoes_all<B: Backend>(rig: &Rig<B>) {
    let error = change(rig, meta::insert("a", vec![1]).then(replace("gone", 2)), None).await.unwrap_err();
    assert_eq!(error, StoreError::Stale("value"));
    assert_eq!(value(rig, "a").await, None);
    change(rig, meta::insert("a", vec![1]).then(replace("a", 2)), None).await.unwrap();
    assert_eq!(value(rig, "a").await, Some(vec![2]));
}

pub(crate) async fn a_report_is_kept_with_the_change<B: Backend>(rig: &Rig<B>) {
    let report = rig.acceptance(rig.event("webhook.disabled"), &[WEBHOOK], None);
    let delivery = report.deliveries[0].id;
    change(rig, meta::insert("a", vec![1]), Some(report)).await.unwrap();
    rig.claim_only(delivery).await;
}

pub(crate) async fn a_failed_change_leaves_no_report<B: Backend>(rig: &Rig<B>) {
    let report = rig.acceptance(rig.event("webhook.disabled"), &[WEBHOOK], None);
    let (event, delivery) = (report.event.id, report.deliveries[0].id);
    change(rig, Change::one(replace("gone", 1)), Some(report)).await.unwrap_err();
    assert_eq!(rig.read_one(log::event(ORGANIZATION, event)).await, None);
    assert_eq!(rig.read_one(log::delivery(delivery)).await, None);
}

pub(crate) async fn changes_in_one_batch_see_each_other<B: Backend>(rig: &Rig<B>) {
    let one = |change| Operation::Change { change, touches: Some(TOUCHES), report: None };
    let operations = vec![
        one(meta::insert("a", vec![1])),
        one(Change::one(replace("a", 2))),
        one(meta::insert("a", vec![3])),
        one(Change::one(replace("b", 4))),
        one(Change::one(replace("a", 5))),
    ];
    let answers = rig.apply_all(operations).await;
    let version = |at: usize| match &answers[at] {
        Ok(Answer::Changed { catalogue_version }) => *catalogue_version,
        other => panic!("{other:?}"),
    };
    assert!(version(0) < version(1) && version(1) < version(4));
    assert_eq!(answers[2].as_ref().unwrap_err(), &StoreError::Taken("value"));
    assert_eq!(answers[3].as_ref().unwrap_err(), &StoreError::Stale("value"));
    assert_eq!(value(rig, "a").await, Some(vec![5]));
}

pub(crate) async fn a_heartbeat_needs_a_node<B: Backend>(rig: &Rig<B>) {
    assert_eq!(rig.count(Operation::Heartbeat { node: rig.node }).await, 1);
    assert_eq!(rig.count(Operation::Heartbeat { node: rig.stranger() }).await, 0);
}
