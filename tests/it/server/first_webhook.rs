//! The first webhook: an event comes in, a signed request goes out, the log shows both sides as they were.

use std::collections::BTreeMap;

use serde_json::json;

use super::receiver::Reply;
use super::scene::{ORG, Scene};
use crate::receivers::RECEIVERS;

const PATH: &str = "/hook?source=fanfare";

#[tokio::test]
async fn an_event_arrives_signed_for_the_public_libraries() {
    let scene = Scene::start().await;
    let webhook = scene.webhook(PATH).await;
    scene.post(json!({"title": "Füße & Hände ✓"})).await;
    let requests = scene.receiver.received(1).await;
    requests[0].assert_signed(&webhook.secret);
    for receiver in RECEIVERS {
        let verified = receiver.verify(&requests[0].message(&webhook.secret));
        assert!(verified.is_ok(), "{receiver:?}: {verified:?}");
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn the_request_has_these_headers_and_no_others() {
    let scene = Scene::start().await;
    let custom = json!({"headers": {"X-Tenant": "42", "X-Greeting": "hello there"}});
    scene.webhook_with(PATH, custom).await;
    let event = scene.post(json!({"n": 1})).await;
    let request = scene.receiver.received(1).await.remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", PATH));
    let mut headers: BTreeMap<&str, &str> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers.len(), request.headers.len(), "one is repeated: {:?}", request.headers);
    let signature = headers.remove("webhook-signature").unwrap();
    assert!(signature.starts_with("v1,") && !signature.contains(' '), "{signature}");
    let timestamp: i64 = headers.remove("webhook-timestamp").unwrap().parse().unwrap();
    assert!(timestamp > 1_700_000_000, "{timestamp}");
    let length = request.body.len().to_string();
    let expected = BTreeMap::from([
        ("accept", "*/*"),
        ("accept-encoding", "identity"),
        ("content-length", length.as_str()),
        ("content-type", "application/json"),
        ("host", request.header("host")),
        ("user-agent", "Fanfare"),
        ("webhook-id", event.as_str()),
        ("x-greeting", "hello there"),
        ("x-tenant", "42"),
    ]);
    assert_eq!(headers, expected);
    assert_eq!(request.header("host"), scene.receiver.address().to_string());
    scene.server.stop().await;
}

#[tokio::test]
async fn the_log_shows_request_and_response_as_they_were() {
    let scene = Scene::start().await;
    scene.receiver.script(|_| Reply::Answer {
        status: 202,
        headers: vec![("x-receiver", "here".to_owned()), ("content-type", "text/plain".to_owned())],
        body: "taken, <b>thanks</b>",
    });
    scene.webhook_with(PATH, json!({"headers": {"X-Tenant": "42"}})).await;
    let event = scene.post(json!({"n": 1})).await;
    let delivery = scene.api.settled(ORG, &event, "delivered").await;
    assert_eq!((&delivery["attempts"], &delivery["response_code"]), (&json!(1), &json!(202)));
    let sent = scene.receiver.requests().remove(0);

    let attempts = scene.api.attempts(&delivery).await;
    assert_eq!(attempts.len(), 1);
    let attempt = &attempts[0];
    assert_eq!((&attempt["number"], &attempt["outcome"]), (&json!(1), &json!("success")));
    assert_eq!(attempt["trigger"], "schedule");
    let request = &attempt["request"];
    assert_eq!((&request["method"], &request["url"]), (&json!("POST"), &json!(scene.receiver.url(PATH))));
    assert_eq!(request["body"].as_str().unwrap().as_bytes(), &sent.body[..]);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "user-agent", "x-tenant"] {
        assert_eq!(request["headers"][name], sent.header(name), "{name} of {request}");
    }
    let response = &attempt["response"];
    assert_eq!((&response["status"], &response["body"]), (&json!(202), &json!("taken, <b>thanks</b>")));
    assert_eq!((&response["headers"]["x-receiver"], &response["truncated"]), (&json!("here"), &json!(false)));
    scene.server.stop().await;
}

#[tokio::test]
async fn credentials_arrive_and_are_masked_in_the_log() {
    let scene = Scene::start().await;
    let auth = json!({"auth": {"type": "bearer", "token": "the-receivers-own-token"}});
    scene.webhook_with("/bearer", auth).await;
    let event = scene.post(json!({})).await;
    let request = scene.receiver.received(1).await.remove(0);
    assert_eq!(request.header("authorization"), "Bearer the-receivers-own-token");
    let delivery = scene.api.settled(ORG, &event, "delivered").await;
    let attempts = scene.api.attempts(&delivery).await;
    assert_eq!(attempts[0]["request"]["headers"]["authorization"], "Bearer ****");
    scene.server.stop().await;
}
