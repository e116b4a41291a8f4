//! `/v1/organizations/{org}/events/{event}/explain`: what became of an event, webhook by webhook.

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
