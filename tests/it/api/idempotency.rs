//! POSTs that are repeated under the same `Idempotency-Key`.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use fanfare::background::Owner;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Api, Reply};

async fn post(api: &Api, key: &str, body: &Value) -> Reply {
    api.ask(Method::POST, "/v1/organizations").header("idempotency-key", key).json(body).send().await
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_alike() {
    let api = Api::start().await;
    let body = json!({"name": "Acme"});
    let first = post(&api, "k-1", &body).await;
    let again = post(&api, "k-1", &body).await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.headers["content-type"], "application/json");
    assert_ne!(post(&api, "k-2", &body).await.created()["id"], again.created()["id"]);
    assert_eq!(api.get("/v1/organizations").await.ok()["data"].as_array().unwrap().len(), 2);
    api.stop().await;
}

#[tokio::test]
async fn case_053_a_key_for_another_body_is_refused() {
    let api = Api::start().await;
    post(&api, "k", &json!({"name": "Acme"})).await.created();
    post(&api, "k", &json!({"name": "Other"})).await.refuses(422, "idempotency_key_reused", "Idempotency-Key");
    api.stop().await;
}

#[tokio::test]
async fn case_052_fifty_at_once_make_one() {
    let api = Api::start().await;
    let body = json!({"name": "Acme"});
    let replies = futures_util::future::join_all((0..50).map(|_| post(&api, "k", &body))).await;
    let made: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 201).collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|reply| reply.text == made[0].text));
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        assert_eq!(reply.body()["code"], "idempotency_in_progress", "{reply:?}");
        assert!(reply.headers.contains_key("retry-after"));
    }
    assert_eq!(api.get("/v1/organizations").await.ok()["data"].as_array().unwrap().len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn a_request_with_a_key_takes_one_place_among_the_changes() {
    let api = Api::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let waits = || {
        let gate = Arc::clone(&gate);
        async move { drop(gate.acquire().await.map(SemaphorePermit::forget)) }
    };
    let mut others = Vec::new();
    while let Some(other) = api.app().background.start(Owner::Operator, waits()) {
        others.push(other);
    }
    let body = json!({"name": "Acme"});
    post(&api, "k", &body).await.problem(503, "unavailable");
    gate.add_permits(1);
    futures_util::future::select_all(&mut others).await.0.unwrap();
    post(&api, "k", &body).await.created();
    gate.add_permits(others.len());
    api.stop().await;
}

#[tokio::test]
async fn case_054_keys_are_each_principals_and_routes_own_and_end_after_a_day() {
    let api = Api::start().await;
    let body = json!({"name": "Acme"});
    let first = post(&api, "k", &body).await.created();
    let other = api.key(&["manage"], json!({})).await;
    let ask = api.ask(Method::POST, "/v1/organizations").key(&other).header("idempotency-key", "k").json(&body);
    assert_ne!(ask.send().await.created()["id"], first["id"]);
    let elsewhere = api.ask(Method::POST, "/v1/event-types").header("idempotency-key", "k");
    elsewhere.json(&json!({"name": "acme"})).send().await.created();
    api.clock.advance(Duration::from_secs(24 * 3_600 - 1));
    assert_eq!(post(&api, "k", &body).await.created()["id"], first["id"]);
    api.clock.advance(Duration::from_secs(2));
    assert_ne!(post(&api, "k", &body).await.created()["id"], first["id"]);
    api.stop().await;
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let api = Api::start().await;
    post(&api, "k", &json!({"name": ""})).await.invalid("name");
    post(&api, "k", &json!({"name": "Acme"})).await.created();
    api.stop().await;
}

#[tokio::test]
async fn a_key_without_the_right_to_do_it_gets_no_answer_of_anothers() {
    let api = Api::start().await;
    let body = json!({"name": "Acme"});
    post(&api, "k", &body).await.created();
    let ask = || api.ask(Method::POST, "/v1/organizations").header("idempotency-key", "k").json(&body);
    let reader = api.key(&["read"], json!({})).await;
    ask().key(&reader).send().await.problem(403, "scope_too_small");
    ask().key("wrong").send().await.problem(401, "unauthenticated");
    api.stop().await;
}

#[tokio::test]
async fn an_answer_with_a_secret_is_repeated_without_it() {
    let api = Api::start().await;
    api.organization("acme").await;
    let ask = || {
        let ask = api.ask(Method::POST, "/v1/organizations/acme/webhooks").header("idempotency-key", "k");
        ask.json(&json!({"url": super::URL})).send()
    };
    let first = ask().await.created();
    let again = ask().await;
    assert!(!again.text.contains("whsec_"), "{again:?}");
    let mut without = first.clone();
    assert!(without.as_object_mut().unwrap().remove("secret").unwrap().is_string());
    assert_eq!(again.created(), without);
    api.stop().await;
}

#[tokio::test]
async fn keys_that_cannot_be_are_refused() {
    let api = Api::start().await;
    for key in ["", " ", &"x".repeat(256)] {
        post(&api, key, &json!({"name": "a"})).await.refuses(400, "invalid_parameter", "Idempotency-Key");
    }
    api.stop().await;
}

#[tokio::test]
async fn an_event_that_is_repeated_under_its_key_is_marked_so() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.post("/v1/event-types", json!({"name": "invoice.paid"})).await.created();
    let body = json!({"type": "invoice.paid", "data": {"id": 1}});
    let post =
        || api.ask(Method::POST, "/v1/organizations/acme/events").header("idempotency-key", "k").json(&body).send();
    let (first, again) = (post().await, post().await);
    assert_eq!((first.status.as_u16(), &first.text), (202, &again.text));
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    api.stop().await;
}
