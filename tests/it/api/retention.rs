//! What is too old or too much is removed, and never what is still to be sent.

use std::sync::Arc;
use std::time::Duration;

use fanfare::maintenance::{Pruner, Retention};
use serde_json::json;

use super::Api;
use super::sending::{Sink, local};

const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Retention = Retention { default: Duration::from_secs(30 * 86_400), deliveries_per_webhook: None };

async fn ready(sink: &Sink) -> Api {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"url": sink.url, "retry": {"delays_seconds": [604_800]}})).await;
    api
}

async fn prune_now(api: &Api, retention: Retention) {
    Pruner::new(Arc::clone(&api.server.app.dispatcher), retention).round().await.unwrap();
}

#[tokio::test]
async fn what_is_older_than_the_retention_is_removed() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    let old = api.event("acme", "job.created").await;
    api.until_state("delivered", 1).await;
    api.clock.advance(29 * DAY);
    api.event("acme", "job.created").await;
    api.until_state("delivered", 2).await;
    prune_now(&api, MONTH).await;
    assert_eq!(api.deliveries("").await.len(), 2, "nothing is old enough yet");
    api.clock.advance(2 * DAY);
    prune_now(&api, MONTH).await;
    assert_eq!(api.deliveries("").await.len(), 1);
    api.get(&format!("/v1/organizations/acme/events/{old}")).await.with(404);
    api.stop().await;
}

#[tokio::test]
async fn case_076_what_is_still_to_be_sent_is_kept_however_old() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    sink.answer(500);
    api.event("acme", "job.created").await;
    api.until_state("pending", 1).await;
    // The second attempt is due after a week; nothing wakes the dispatcher, whose clock stands still.
    api.clock.advance(Duration::from_secs(6 * 86_400));
    let week = Retention { default: DAY, deliveries_per_webhook: Some(1) };
    prune_now(&api, week).await;
    assert_eq!(api.deliveries("").await.len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn each_webhook_keeps_only_its_newest_deliveries() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    for _ in 0..5 {
        api.event("acme", "job.created").await;
    }
    let newest: Vec<_> = api.until_state("delivered", 5).await[..2].to_vec();
    prune_now(&api, Retention { deliveries_per_webhook: Some(2), ..MONTH }).await;
    assert_eq!(api.deliveries("").await, newest);
    assert_eq!(events(&api).await.len(), 2, "what nobody has a delivery of goes, too");
    api.stop().await;
}

#[tokio::test]
async fn of_events_that_no_webhook_wants_the_newest_are_kept() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    api.event_types(&["job.deleted"]).await;
    let wanted = api.event("acme", "job.created").await;
    api.until_state("delivered", 1).await;
    let webhook =
        api.get("/v1/organizations/acme/webhooks").await.with(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let url = format!("/v1/organizations/acme/webhooks/{webhook}");
    api.patch(&url, json!({"events": ["job.created"]})).await.with(200);
    let mut made = vec![wanted];
    for _ in 0..6 {
        made.push(api.event("acme", "job.deleted").await);
    }
    prune_now(&api, Retention { deliveries_per_webhook: Some(2), ..MONTH }).await;
    assert_eq!(events(&api).await, [&made[6], &made[5], &made[0]].map(String::as_str), "one is still shown in the log");
    api.stop().await;
}

#[tokio::test]
async fn what_could_not_go_yet_is_found_later() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    let mut pruner = Pruner::new(Arc::clone(&api.server.app.dispatcher), Retention { default: DAY, ..MONTH });
    sink.answer(500);
    api.event("acme", "job.created").await;
    let [delivery] = &api.until_state("pending", 1).await[..] else { panic!("one delivery") };
    api.clock.advance(2 * DAY);
    pruner.round().await.unwrap();
    assert_eq!(events(&api).await.len(), 1);
    let url = format!("/v1/organizations/acme/deliveries/{}/cancel", delivery["id"].as_str().unwrap());
    api.post(&url, json!({})).await.with(200);
    for _ in 0..60 {
        pruner.round().await.unwrap();
    }
    assert_eq!(events(&api).await.len(), 0);
    api.stop().await;
}

/// The ids of the organization's events, newest first.
async fn events(api: &Api) -> Vec<String> {
    let page = api.get("/v1/organizations/acme/events?limit=250").await.with(200);
    page["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}
