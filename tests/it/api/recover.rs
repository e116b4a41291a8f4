//! `/v1/organizations/{org}/webhooks/{webhook}/recover`.

use std::time::Duration;

use serde_json::{Value, json};

use super::sending::{Sink, local};
use super::{Api, START};

/// A server with an organization, and a webhook of it that wants some types and tries once.
async fn ready(sink: &Sink) -> (Api, String) {
    let api = Api::start_with(local()).await;
    api.event_types(&["wanted", "unwanted"]).await;
    api.organization("acme").await;
    let settings = json!({"url": sink.url, "events": ["wanted"], "retry": {"delays_seconds": []}});
    let webhook = api.webhook("acme", settings).await;
    let path = format!("/v1/organizations/acme/webhooks/{}", webhook["id"].as_str().unwrap());
    (api, path)
}

#[tokio::test]
async fn what_failed_and_what_was_never_sent_is_sent() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    let good = api.event("acme", "wanted").await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    sink.answer(500);
    let failed = api.event("acme", "wanted").await;
    sink.next().await;
    api.until_state("exhausted", 1).await;
    api.post(&format!("{webhook}/test"), json!({"event_type": "wanted"})).await.with(202);
    sink.next().await;
    api.until_state("exhausted", 2).await;
    sink.answer(200);
    api.post(&format!("{webhook}/disable"), json!({})).await.ok();
    let missed = api.event("acme", "wanted").await;
    api.event("acme", "unwanted").await;
    let recover = format!("{webhook}/recover");
    api.post(&recover, json!({"since": START})).await.problem(409, "invalid_state");
    api.post(&format!("{webhook}/enable"), json!({})).await.ok();

    let counted = api.post(&recover, json!({"since": START, "preview": true})).await.ok();
    assert_eq!(counted, json!({"count": 2, "more": false}));
    let made = api.post(&recover, json!({"since": START})).await.with(202);
    let job = api.ended(&made).await;
    assert_eq!((&job["kind"], &job["state"], &job["done"]), (&json!("recover"), &json!("completed"), &json!(2)));
    let delivered = api.until_state("delivered", 3).await;
    let of = |event: &str| delivered.iter().find(|found| found["event_id"] == event).unwrap()["attempts"].clone();
    assert_eq!((of(&good), of(&failed), of(&missed)), (json!(1), json!(2), json!(1)));
    assert_eq!(sink.rest().len(), 2);

    // There is nothing left to recover.
    let made = api.post(&recover, json!({"since": START})).await.with(202);
    assert_eq!(api.ended(&made).await["done"], 0);
    assert!(sink.rest().is_empty());
    api.stop().await;
}

#[tokio::test]
async fn a_recovered_event_follows_the_schedule() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.event_types(&["a"]).await;
    api.organization("acme").await;
    api.event("acme", "a").await;
    let webhook = api.webhook("acme", json!({"url": sink.url, "retry": {"delays_seconds": [60]}})).await;
    sink.answer(500);
    let path = format!("/v1/organizations/acme/webhooks/{}/recover", webhook["id"].as_str().unwrap());
    let made = api.post(&path, json!({"since": START})).await.with(202);
    assert_eq!(api.ended(&made).await["done"], 1);
    sink.next().await;
    let waiting = api.until_state("pending", 1).await;
    assert_eq!((&waiting[0]["attempts"], waiting[0]["next_attempt_at"].is_string()), (&json!(1), true));
    api.stop().await;
}

#[tokio::test]
async fn times_and_states_narrow_it() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    sink.answer(500);
    api.event("acme", "wanted").await;
    sink.next().await;
    api.until_state("exhausted", 1).await;
    api.clock.advance(Duration::from_secs(10));
    sink.answer(200);
    api.event("acme", "wanted").await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    let count = async |body: Value| {
        let mut body = body;
        body["preview"] = json!(true);
        api.post(&format!("{webhook}/recover"), body).await.ok()["count"].as_u64().unwrap()
    };
    let between = "2026-11-22T09:30:05Z";
    assert_eq!(count(json!({"since": START})).await, 1);
    assert_eq!(count(json!({"since": between})).await, 0);
    assert_eq!(count(json!({"since": between, "states": ["delivered"]})).await, 1);
    assert_eq!(count(json!({"since": START, "until": between, "states": ["delivered"]})).await, 0);
    assert_eq!(count(json!({"since": START, "states": ["delivered", "exhausted"]})).await, 2);
    assert_eq!(count(json!({"since": START, "states": []})).await, 0);
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    let cases = [
        (json!({}), "since"),
        (json!({"since": "yesterday"}), "since"),
        (json!({"since": START, "until": START}), "until"),
        (json!({"since": START, "states": ["exhausted", "pending"]}), "states[1]"),
        (json!({"since": START, "from": START}), "from"),
    ];
    for (body, field) in cases {
        api.post(&format!("{webhook}/recover"), body).await.invalid(field);
    }
    api.stop().await;
}

#[tokio::test]
async fn many_events_are_recovered_in_pieces() {
    const COUNT: usize = 450;
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    api.post(&format!("{webhook}/disable"), json!({})).await.ok();
    let event = |number: usize| json!({"organization": "acme", "type": "wanted", "data": {"number": number}});
    let events: Vec<Value> = (0..COUNT).map(event).collect();
    api.post("/v1/events/batch", json!({"events": events})).await.with(202);
    api.post(&format!("{webhook}/enable"), json!({})).await.ok();
    let made = api.post(&format!("{webhook}/recover"), json!({"since": START})).await.with(202);
    let job = api.ended(&made).await;
    assert_eq!((&job["done"], &job["total"]), (&json!(COUNT), &json!(COUNT)), "{job}");
    let mut numbers = Vec::new();
    for _ in 0..COUNT {
        numbers.push(sink.next().await["data"]["number"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..COUNT as u64));
    assert!(sink.rest().is_empty());
    api.stop().await;
}
