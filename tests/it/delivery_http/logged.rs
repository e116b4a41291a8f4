//! What the server's log says of what receivers do to requests, answers and connections.

use std::time::Duration;

use fanfare::config::Sources;
use serde_json::{Value, json};

use super::certificates::Authority;
use super::http2::{self, Gated, HTTP2};
use super::receiver::{OK, Receiver};
use crate::api::Api;
use crate::api::sending::{local, until};

/// Posts an event; its delivery, once it is final, with its attempts.
async fn delivered(api: &Api) -> (Value, Vec<Value>) {
    let event = api.event("acme", "push").await;
    let path = format!("/v1/deliveries?event={event}");
    let delivery = until("the delivery ends", async || {
        let delivery = api.get(&path).await.ok()["data"][0].clone();
        delivery["completed_at"].is_string().then_some(delivery)
    })
    .await;
    let attempts = attempts_of(api, &delivery).await;
    (delivery, attempts)
}

async fn attempts_of(api: &Api, delivery: &Value) -> Vec<Value> {
    let path = format!("/v1/organizations/acme/deliveries/{}/attempts", delivery["id"].as_str().unwrap());
    api.get(&path).await.ok()["data"].as_array().unwrap().clone()
}

async fn set_up(api: &Api, url: &str) {
    api.organization("acme").await;
    api.event_types(&["push"]).await;
    api.webhook("acme", json!({"url": url})).await;
}

#[tokio::test]
async fn a_swallowed_request_is_one_attempt_with_a_note() {
    let (sender, mut received) = tokio::sync::mpsc::channel(4);
    let receiver = Receiver::start(move |mut visit| {
        let sender = sender.clone();
        async move {
            while let Some(request) = visit.read_request().await {
                sender.send(request).await.unwrap();
                visit.write(OK.as_bytes()).await;
                if visit.number == 0 {
                    sender.send(visit.read_request().await.unwrap()).await.unwrap();
                    return;
                }
            }
        }
    })
    .await;
    let api = Api::start_with(local()).await;
    set_up(&api, &receiver.url()).await;
    let (first, attempts) = delivered(&api).await;
    assert_eq!((&first["state"], first["attempts"].as_u64()), (&json!("delivered"), Some(1)));
    assert_eq!(attempts[0].get("note"), None);
    let (second, attempts) = delivered(&api).await;
    assert_eq!((&second["state"], second["attempts"].as_u64()), (&json!("delivered"), Some(1)));
    let note = attempts[0]["note"].as_str().unwrap();
    assert!(note.starts_with("Sent again on a new connection: the receiver closed the first one"), "{note}");
    assert_eq!((receiver.connections(), receiver.requests()), (2, 3));
    received.recv().await.unwrap();
    let (swallowed, resent) = (received.recv().await.unwrap(), received.recv().await.unwrap());
    assert!(swallowed.contains("\r\nwebhook-signature: v1,"), "{swallowed}");
    assert_eq!(swallowed, resent, "it is the same request, signed alike");
    api.stop().await;
}

async fn trusting(authority: &Authority, profile: &str) -> Api {
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("authority.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    let sources = Sources { profile: Some(profile.to_owned()), tls_ca_file: Some(roots), ..local() };
    Api::start_in(directory, sources).await
}

#[tokio::test]
async fn a_webhook_sends_no_more_at_once_than_its_receiver_allows() {
    let authority = Authority::new("trusted");
    let Gated { receiver, release, mut starts } = http2::gated(authority.acceptor("127.0.0.1", HTTP2, |_| {})).await;
    let api = trusting(&authority, "standard").await;
    set_up(&api, &format!("https://127.0.0.1:{}/hook", receiver.port())).await;
    release.add_permits(1);
    delivered(&api).await;
    starts.recv().await.unwrap();
    for _ in 0..3 {
        api.event("acme", "push").await;
    }
    starts.recv().await.unwrap();
    release.add_permits(3);
    api.until_state("delivered", 4).await;
    assert_eq!(receiver.connections(), 1, "one after the other");
    api.stop().await;
}

#[tokio::test]
async fn a_refused_request_is_one_attempt_with_a_note_where_nothing_is_retried() {
    let (receiver, authority) = http2::refusing_at_first().await;
    let api = trusting(&authority, "github").await;
    set_up(&api, &format!("https://127.0.0.1:{}/hook", receiver.port())).await;
    // The profile sends an event of its own when a webhook is created.
    let ping = api.until_state("delivered", 1).await.remove(0);
    let attempts = attempts_of(&api, &ping).await;
    assert_eq!((ping["attempts"].as_u64(), &attempts[0]["outcome"]), (Some(1), &json!("success")));
    let note = attempts[0]["note"].as_str().unwrap();
    assert!(note.ends_with("refused the request without processing it"), "{note}");
    assert_eq!(receiver.connections(), 2);
    api.stop().await;
}

/// Longer than an attempt takes that doesn't wait for its timeout, and less than the timeout.
const NO_TIMEOUT_MS: u64 = 5_000;

#[tokio::test]
async fn a_body_that_never_ends_does_not_hold_up_the_outcome() {
    for (status, state) in [(200, "delivered"), (500, "exhausted")] {
        let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 9\r\n\r\nwait");
        let receiver = Receiver::answering(answer).await;
        // A profile that makes one attempt.
        let api = Api::start_with(Sources { profile: Some("github".to_owned()), ..local() }).await;
        set_up(&api, &receiver.url()).await;
        let (delivery, attempts) = delivered(&api).await;
        assert_eq!((&delivery["state"], delivery["attempts"].as_u64()), (&json!(state), Some(1)));
        let response = &attempts[0]["response"];
        assert_eq!((&response["body"], &response["truncated"]), (&json!("wait"), &json!(true)));
        assert!(attempts[0]["duration_ms"].as_u64().unwrap() < NO_TIMEOUT_MS, "{attempts:?}");
        api.stop().await;
    }
}

#[tokio::test]
async fn the_log_has_the_rest_of_a_failure_s_body() {
    let receiver = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        visit.write(b"HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nwait").await;
        let mut ticks = tokio::time::interval(Duration::from_millis(150));
        ticks.tick().await;
        ticks.tick().await;
        visit.write(b" here").await;
        visit.hold().await;
    })
    .await;
    let api = Api::start_with(Sources { profile: Some("github".to_owned()), ..local() }).await;
    set_up(&api, &receiver.url()).await;
    let (_, attempts) = delivered(&api).await;
    let response = &attempts[0]["response"];
    assert_eq!((&response["body"], &response["truncated"]), (&json!("wait here"), &json!(false)));
    api.stop().await;
}

#[tokio::test]
async fn a_setting_says_how_many_connections_are_kept() {
    let api = Api::start_with(Sources { kept_connections: Some(1), ..local() }).await;
    api.organization("acme").await;
    api.event_types(&["push"]).await;
    let receivers = [Receiver::answering_all(OK).await, Receiver::answering_all(OK).await];
    for receiver in &receivers {
        api.webhook("acme", json!({"url": receiver.url()})).await;
    }
    api.event("acme", "push").await;
    api.until_state("delivered", 2).await;
    assert_eq!(api.app().dispatcher.tools.http.kept_connections(), 1);
    api.stop().await;
}
