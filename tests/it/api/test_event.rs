//! `/v1/organizations/{org}/webhooks/{webhook}/test`.

use std::time::Duration;

use fanfare::config::Sources;
use serde_json::{Value, json};

use super::Api;
use super::sending::{Sink, local};

const HALF_A_DAY: Duration = Duration::from_secs(12 * 3_600);

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

/// Who asked for it looks at it; the operator is not told, and it does not count against the receiver.
#[tokio::test]
async fn a_test_that_fails_alarms_nobody() {
    let (mut sink, mut operator) = (Sink::start().await, Sink::start().await);
    sink.answer(500);
    let (api, webhook) = ready(&sink).await;
    let told = json!({"name": "operator", "url": operator.url, "events": "all"});
    api.post("/v1/operator-webhooks", told).await.created();
    api.patch(&webhook, json!({"retry": {"delays_seconds": []}})).await.ok();
    api.post(&format!("{webhook}/test"), json!({})).await.with(202);
    sink.next().await;
    let test = api.until_state("exhausted", 1).await[0]["id"].as_str().unwrap().to_owned();
    api.post(&format!("/v1/organizations/acme/deliveries/{test}/resend"), json!({})).await.with(202);
    sink.next().await;
    assert_eq!(api.get(&format!("{webhook}/stats")).await.ok()["failing_since"], Value::Null);
    let event = json!({"type": "job.created", "data": {}});
    let event = api.post("/v1/organizations/acme/events", event).await.with(202)["id"].clone();
    sink.next().await;
    let first = operator.next().await;
    assert_eq!((&first["type"], &first["data"]["event_id"]), (&json!("delivery.exhausted"), &event));

    // Nor does it switch off what has failed for long, as a real event does.
    for exhausted in 3..12 {
        api.pass(HALF_A_DAY);
        api.event("acme", "job.created").await;
        sink.next().await;
        api.until_state("exhausted", exhausted).await;
    }
    api.pass(HALF_A_DAY);
    api.post(&format!("{webhook}/test"), json!({})).await.with(202);
    sink.next().await;
    api.until_state("exhausted", 12).await;
    assert_eq!(api.get(&webhook).await.ok()["status"], "active");
    api.event("acme", "job.created").await;
    sink.next().await;
    api.until_state("exhausted", 13).await;
    assert_eq!(api.get(&webhook).await.ok()["status"], "auto_disabled");
    api.stop().await;
}

#[tokio::test]
async fn a_test_that_is_answered_with_gone_switches_nothing_off() {
    let mut sink = Sink::start().await;
    sink.answer(410);
    let (api, webhook) = ready(&sink).await;
    api.post(&format!("{webhook}/test"), json!({})).await.with(202);
    sink.next().await;
    api.until_state("exhausted", 1).await;
    assert_eq!(api.get(&webhook).await.ok()["status"], "active");
    api.event("acme", "job.created").await;
    sink.next().await;
    api.until_state("exhausted", 2).await;
    assert_eq!(api.get(&webhook).await.ok()["status"], "auto_disabled");
    api.stop().await;
}

#[tokio::test]
async fn days_of_silence_between_failures_switch_nothing_off() {
    let mut sink = Sink::start().await;
    sink.answer(500);
    let (api, webhook) = ready(&sink).await;
    api.patch(&webhook, json!({"retry": {"delays_seconds": []}})).await.ok();
    for exhausted in 1..=6 {
        api.event("acme", "job.created").await;
        sink.next().await;
        api.until_state("exhausted", exhausted).await;
        if exhausted == 5 {
            api.pass(6 * 2 * HALF_A_DAY);
        }
    }
    assert_eq!(api.get(&webhook).await.ok()["status"], "active");
    // What failed at the old address does not count against the new one.
    assert!(api.get(&format!("{webhook}/stats")).await.ok()["failing_since"].is_string());
    api.patch(&webhook, json!({"url": format!("{}new", sink.url)})).await.ok();
    assert_eq!(api.get(&format!("{webhook}/stats")).await.ok()["failing_since"], Value::Null);
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
    assert!(api.deliveries("since=2000-01-01T00:00:00Z").await.is_empty());
    api.stop().await;
}

/// It is kept in the commit that switches the webhook on, so that it is there when that is answered.
#[tokio::test]
async fn the_test_of_a_webhook_that_is_switched_on_is_kept_with_that() {
    let mut sink = Sink::start().await;
    let profiles = tempfile::tempdir().unwrap();
    let knobs = "name = \"own\"\n[activation]\nenabled = false\ntest_on = \"switch-on\"\n";
    std::fs::write(profiles.path().join("own.toml"), knobs).unwrap();
    let (profile, profiles_dir) = (Some("own".to_owned()), Some(profiles.path().to_owned()));
    let api = Api::start_with(Sources { profile, profiles_dir, ..local() }).await;
    api.organization("acme").await;
    let pause = api.post("/v1/pauses", json!({"everything": true})).await.created();
    let webhook = api.webhook("acme", json!({"url": sink.url})).await;
    assert_eq!(api.deliveries("since=2000-01-01T00:00:00Z").await, [Value::Null; 0]);
    let enable = format!("/v1/organizations/acme/webhooks/{}/enable", webhook["id"].as_str().unwrap());
    api.post(&enable, json!({})).await.ok();
    let kept = api.deliveries("since=2000-01-01T00:00:00Z").await;
    assert_eq!((kept.len(), &kept[0]["state"]), (1, &json!("pending")), "{kept:?}");
    api.delete(&format!("/v1/pauses/{}", pause["id"].as_str().unwrap())).await.gone();
    sink.next().await;
    assert_eq!(api.until_state("delivered", 1).await[0]["attempts"], 1);
    api.stop().await;
}
