//! `/v1/organizations/{org}/webhooks/{webhook}/test`.

use serde_json::{Value, json};

use super::Api;
use super::sending::{Sink, local};

async fn ready(sink: &Sink) -> (Api, String) {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let webhook = api.webhook("acme", json!({"url": sink.url})).await;
    let path = format!("/v1/organizations/acme/webhooks/{}", webhook["id"].as_str().unwrap());
    (api, path)
}

#[tokio::test]
async fn a_test_is_sent_and_logged() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    let made = api.post(&format!("{webhook}/test"), json!({"event_type": "job.created"})).await.with(202);
    let body = sink.next().await;
    assert_eq!(body["data"], json!({"example of": "job.created"}), "{body}");
    let delivered = api.until_state("delivered", 1).await;
    assert_eq!((&delivered[0]["id"], &delivered[0]["event_type"]), (&made["delivery_id"], &json!("job.created")));
    let path = format!("/v1/organizations/acme/deliveries/{}/attempts", made["delivery_id"].as_str().unwrap());
    assert_eq!(api.get(&path).await.ok()["data"][0]["trigger"], "test");
    api.stop().await;
}

#[tokio::test]
async fn without_a_type_it_is_the_profiles_own_test() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    api.post(&format!("{webhook}/test"), Value::Null).await.invalid("body");
    api.post(&format!("{webhook}/test"), json!({})).await.with(202);
    assert_eq!(sink.next().await["data"], json!({}));
    let delivered = api.until_state("delivered", 1).await;
    assert_eq!(delivered[0]["event_type"], "webhook.test");
    api.stop().await;
}

#[tokio::test]
async fn a_test_that_fails_is_not_tried_again() {
    let mut sink = Sink::start().await;
    sink.answer(500);
    let (api, webhook) = ready(&sink).await;
    api.post(&format!("{webhook}/test"), json!({})).await.with(202);
    sink.next().await;
    assert_eq!(api.until_state("exhausted", 1).await[0]["attempts"], 1);
    api.stop().await;
}

#[tokio::test]
async fn what_cannot_be_tested_is_refused() {
    let sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    let test = format!("{webhook}/test");
    api.post(&test, json!({"event_type": "nothing.known"})).await.invalid("event_type");
    api.post(&test, json!({"kind": "job.created"})).await.invalid("kind");
    api.post(&format!("{webhook}/disable"), json!({})).await.ok();
    let problem = api.post(&test, json!({})).await.problem(409, "invalid_state");
    assert!(problem["detail"].as_str().unwrap().contains("deactivated"), "{problem}");
    assert!(api.deliveries("").await.is_empty());
    api.stop().await;
}
