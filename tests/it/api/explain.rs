//! `/v1/organizations/{org}/events/{event}/explain`: what became of an event, webhook by webhook.

use std::time::Duration;

use fanfare_engine::id::WebhookId;
use fanfare_store::catalogue::webhooks::{self, WebhookRow};
use serde_json::{Value, json};

use super::Api;
use super::sending::{Sink, local};

const EVENTS: &str = "/v1/organizations/acme/events";

async fn ready(sink: &Sink) -> (Api, String) {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let webhook = api.webhook("acme", json!({"url": sink.url})).await;
    let path = format!("/v1/organizations/acme/webhooks/{}", webhook["id"].as_str().unwrap());
    (api, path)
}

async fn post(api: &Api) -> String {
    let event = json!({"type": "job.created", "data": {}});
    api.post(EVENTS, event).await.with(202)["id"].as_str().unwrap().to_owned()
}

async fn explained(api: &Api, event: &str) -> Value {
    api.get(&format!("{EVENTS}/{event}/explain")).await.ok()["webhooks"][0].clone()
}

#[tokio::test]
async fn what_waits_for_the_end_of_a_pause_says_so() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    for (hold, words) in
        [(json!({"organization": "acme"}), "holds the organization"), (json!({"everything": true}), "everything")]
    {
        let pause = api.post("/v1/pauses", hold).await.created();
        let event = post(&api).await;
        let said = explained(&api, &event).await;
        assert_eq!((&said["matched"], &said["reason"]), (&json!(true), &json!("paused")), "{said}");
        assert_eq!(said["delivery_state"], "pending");
        assert!(said["detail"].as_str().unwrap().contains(words), "{said}");
        api.delete(&format!("/v1/pauses/{}", pause["id"].as_str().unwrap())).await.gone();
        sink.next().await;
    }
    api.post(&format!("{webhook}/pause"), json!({})).await.ok();
    let event = post(&api).await;
    let said = explained(&api, &event).await;
    assert_eq!(said["reason"], "paused", "{said}");
    assert!(said["detail"].as_str().unwrap().starts_with("Paused; what waits"), "{said}");
    api.post(&format!("{webhook}/resume"), json!({})).await.ok();
    sink.next().await;
    api.until_state("delivered", 3).await;
    let said = explained(&api, &event).await;
    assert_eq!((&said["reason"], &said["delivery_state"]), (&Value::Null, &json!("delivered")), "{said}");
    api.stop().await;
}

#[tokio::test]
async fn what_was_skipped_says_why_though_all_is_well_now() {
    let sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    api.post(&format!("{webhook}/pause"), json!({})).await.ok();
    let event = post(&api).await;
    api.post(&format!("{webhook}/disable"), json!({})).await.ok();
    api.until_state("skipped", 1).await;
    api.post(&format!("{webhook}/enable"), json!({})).await.ok();
    let said = explained(&api, &event).await;
    assert_eq!((&said["matched"], &said["reason"]), (&json!(true), &json!("webhook_deactivated")), "{said}");
    assert_eq!((&said["delivery_state"], &said["skipped_reason"]), (&json!("skipped"), &json!("webhook_deactivated")));
    assert!(said["detail"].as_str().unwrap().contains("switched off when its turn came; resend it"), "{said}");
    api.stop().await;
}

#[tokio::test]
async fn what_was_delivered_stays_so_however_the_webhook_is_now() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    api.event_types(&["job.other"]).await;
    let event = post(&api).await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    let delivered = async |reason: Value| {
        let said = explained(&api, &event).await;
        assert_eq!((&said["matched"], &said["delivery_state"]), (&json!(true), &json!("delivered")), "{said}");
        assert_eq!(said["reason"], reason, "{said}");
        said
    };
    api.post(&format!("{webhook}/disable"), json!({})).await.ok();
    delivered(Value::Null).await;
    api.patch(&webhook, json!({"enabled": true, "events": ["job.other"]})).await.ok();
    delivered(Value::Null).await;
    // One that is new since, and one that wants other events, got nothing.
    api.pass(Duration::from_secs(1));
    api.webhook("acme", json!({"name": "Later"})).await;
    let later = explained(&api, &event).await;
    assert_eq!((&later["matched"], &later["reason"]), (&json!(false), &json!("created_later")), "{later}");
    api.delete(&webhook).await.gone();
    let all = api.get(&format!("{EVENTS}/{event}/explain")).await.ok()["webhooks"].clone();
    let gone = &all[1];
    assert_eq!((&gone["matched"], &gone["reason"]), (&json!(true), &json!("webhook_deleted")), "{all}");
    assert_eq!(
        (&gone["delivery_state"], &webhook.ends_with(gone["webhook_id"].as_str().unwrap())),
        (&json!("delivered"), &true)
    );
    api.stop().await;
}

#[tokio::test]
async fn a_test_is_the_tested_webhooks_alone() {
    let mut sink = Sink::start().await;
    let (api, tested) = ready(&sink).await;
    api.webhook("acme", json!({"name": "Other"})).await;
    let delivery = api.post(&format!("{tested}/test"), json!({"event_type": "job.created"})).await.accepted();
    sink.next().await;
    let path = format!("/v1/organizations/acme/deliveries/{}", delivery["delivery_id"].as_str().unwrap());
    let event = api.get(&path).await.ok()["event_id"].as_str().unwrap().to_owned();
    let said = api.get(&format!("{EVENTS}/{event}/explain")).await.ok()["webhooks"].clone();
    assert_eq!((&said[0]["matched"], &said[0]["reason"]), (&json!(false), &json!("test")), "{said}");
    assert_eq!((&said[1]["matched"], &said[1]["reason"]), (&json!(true), &Value::Null), "{said}");
    api.stop().await;
}

#[tokio::test]
async fn events_wait_for_a_webhook_whose_credentials_cannot_be_read() {
    let mut sink = Sink::start().await;
    let (api, damaged) = ready(&sink).await;
    api.webhook("acme", json!({"url": sink.url, "name": "Good"})).await;
    let id = WebhookId::parse(damaged.rsplit('/').next().unwrap()).unwrap();
    let webhook = api.app().compiled().webhook(id).await.unwrap().unwrap().webhook.clone();
    let row = api.app().store.read_one(webhooks::by_id(webhook.organization, id)).await.unwrap().unwrap();
    let row = WebhookRow { sealed: vec![1], ..row };
    api.app().store.change(webhooks::update(&row), None).await.unwrap();
    api.app().observer.webhook_changed(webhook.organization, id);

    let posted = api.post(EVENTS, json!({"type": "job.created", "data": {}})).await.accepted();
    assert_eq!(posted["deliveries"], 2, "none is lost: {posted}");
    sink.next().await;
    api.until_state("delivered", 1).await;
    let said =
        api.get(&format!("{EVENTS}/{}/explain", posted["id"].as_str().unwrap())).await.ok()["webhooks"][1].clone();
    assert_eq!((&said["reason"], &said["delivery_state"]), (&json!("unsendable"), &json!("pending")), "{said}");
    assert!(said["detail"].as_str().unwrap().contains("cannot be read"), "{said}");
    // It can be found and deleted, and keeps nobody from the others.
    let shown = api.get(&damaged).await.ok();
    assert!(shown["status_reason"].as_str().unwrap().contains("can't be decrypted"), "{shown}");
    let refused = api.patch(&damaged, json!({"name": "Other"})).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    let list = api.get("/v1/organizations/acme/webhooks").await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "{list}");
    api.delete(&damaged).await.gone();
    api.stop().await;
}
