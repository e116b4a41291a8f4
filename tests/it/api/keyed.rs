//! Every POST under an `Idempotency-Key`: done once, also where the response was lost.

use std::collections::BTreeSet;

use axum::http::Method;
use fanfare_store::query::Change;
use fanfare_store::queue::{IdempotencyKey, Once, Operation};
use serde_json::{Value, json};

use super::sending::{Sink, local};
use super::{Api, Reply, START};

const WEBHOOKS: &str = "/v1/organizations/acme/webhooks";

async fn post(api: &Api, path: &str, key: &str, body: &Value) -> Reply {
    api.ask(Method::POST, path).header("idempotency-key", key).json(body).send().await
}

/// What the requests of these tests are about.
struct Scene {
    api: Api,
    sink: Sink,
    webhook: String,
    /// A delivery that waits, of a webhook that is paused.
    waiting: String,
}

impl Scene {
    async fn start() -> Scene {
        let mut sink = Sink::start().await;
        let api = Api::start_with(local()).await;
        api.organization("acme").await;
        api.event_types(&["job.created"]).await;
        let webhook = api.webhook("acme", json!({"url": sink.url})).await["id"].as_str().unwrap().to_owned();
        api.event("acme", "job.created").await;
        sink.next().await;
        api.until_state("delivered", 1).await;
        api.post(&format!("{WEBHOOKS}/{webhook}/pause"), json!({})).await.ok();
        api.event("acme", "job.created").await;
        let waiting = api.until_state("pending", 1).await[0]["id"].as_str().unwrap().to_owned();
        Scene { api, sink, webhook, waiting }
    }

    /// Every POST of the description, its path as it is sent, and its body.
    async fn posts(&self) -> Vec<(&'static str, String, Value)> {
        let webhook = |rest: &str| format!("{WEBHOOKS}/{}/{rest}", self.webhook);
        let own = self.api.post("/v1/operator-webhooks", json!({"url": super::URL})).await.created();
        let own = |rest: &str| format!("/v1/operator-webhooks/{}/{rest}", own["id"].as_str().unwrap());
        let delivery = |rest: &str| format!("/v1/organizations/acme/deliveries/{}/{rest}", self.waiting);
        let (nothing, event) = (json!({}), json!({"type": "job.created", "data": 1, "organization": "acme"}));
        let a_hook = json!({"url": super::URL});
        let recovery = json!({"since": START});
        vec![
            ("/v1/projects", "/v1/projects".to_owned(), json!({"name": "another"})),
            ("/v1/event-types", "/v1/event-types".to_owned(), json!({"name": "invoice.paid"})),
            ("/v1/organizations", "/v1/organizations".to_owned(), json!({"name": "Another"})),
            ("/v1/clock/confirm", "/v1/clock/confirm".to_owned(), nothing.clone()),
            ("/v1/organizations/{org}/webhooks", WEBHOOKS.to_owned(), a_hook.clone()),
            ("/v1/organizations/{org}/webhooks/{webhook}/secret/rotate", webhook("secret/rotate"), nothing.clone()),
            ("/v1/organizations/{org}/deliveries/{delivery}/resend", delivery("resend"), nothing.clone()),
            ("/v1/organizations/{org}/deliveries/{delivery}/cancel", delivery("cancel"), nothing.clone()),
            ("/v1/organizations/{org}/webhooks/{webhook}/disable", webhook("disable"), nothing.clone()),
            ("/v1/organizations/{org}/webhooks/{webhook}/enable", webhook("enable"), nothing.clone()),
            ("/v1/organizations/{org}/webhooks/{webhook}/pause", webhook("pause"), nothing.clone()),
            ("/v1/organizations/{org}/webhooks/{webhook}/resume", webhook("resume"), nothing.clone()),
            ("/v1/organizations/{org}/webhooks/{webhook}/test", webhook("test"), nothing.clone()),
            ("/v1/organizations/{org}/webhooks/{webhook}/recover", webhook("recover"), recovery),
            (
                "/v1/organizations/{org}/portal-sessions",
                "/v1/organizations/acme/portal-sessions".to_owned(),
                nothing.clone(),
            ),
            ("/v1/operator-webhooks", "/v1/operator-webhooks".to_owned(), a_hook),
            ("/v1/operator-webhooks/{webhook}/disable", own("disable"), nothing.clone()),
            ("/v1/operator-webhooks/{webhook}/enable", own("enable"), nothing.clone()),
            ("/v1/operator-webhooks/{webhook}/pause", own("pause"), nothing.clone()),
            ("/v1/operator-webhooks/{webhook}/resume", own("resume"), nothing.clone()),
            ("/v1/operator-webhooks/{webhook}/secret/rotate", own("secret/rotate"), nothing.clone()),
            ("/v1/api-keys", "/v1/api-keys".to_owned(), json!({"name": "k", "scopes": ["read"]})),
            ("/v1/pauses", "/v1/pauses".to_owned(), json!({"host": "example.com"})),
            ("/v1/deliveries/resend", "/v1/deliveries/resend".to_owned(), json!({"all": true})),
            ("/v1/deliveries/cancel", "/v1/deliveries/cancel".to_owned(), json!({"all": true})),
            ("/v1/organizations/{org}/events", "/v1/organizations/acme/events".to_owned(), event.clone()),
            ("/v1/events/batch", "/v1/events/batch".to_owned(), json!({"events": [event]})),
        ]
    }
}

#[tokio::test]
async fn every_post_honours_its_key() {
    let scene = Scene::start().await;
    let api = &scene.api;
    let posts = scene.posts().await;
    for (_, path, body) in &posts {
        let first = post(api, path, "k", body).await;
        assert!(first.status.is_success(), "{path}: {first:?}");
        let again = post(api, path, "k", body).await;
        assert_eq!(again.status, first.status, "{path}");
        match path.ends_with("/batch") {
            true => assert_eq!(again.text, first.text),
            false => assert_eq!(again.headers["idempotency-replayed"], "true", "{path}"),
        }
        let mut other = body.clone();
        match path.rsplit('/').next() {
            Some("events") => other["data"] = json!(2),
            Some("batch") => other["events"] = json!([]),
            _ => other["other"] = json!(1),
        }
        post(api, path, "k", &other).await.problem(422, "idempotency_key_reused");
    }
    let own = |path: &&String| path.starts_with("/v1/");
    let description = api.get("/openapi.json").await.ok();
    let paths = description["paths"].as_object().unwrap();
    let described = paths.iter().filter(|(_, item)| item["post"].is_object()).map(|(path, _)| path).filter(own);
    let tested: BTreeSet<&str> = posts.iter().map(|(route, ..)| *route).chain(["/v1/jobs/{job}/cancel"]).collect();
    assert_eq!(described.map(String::as_str).collect::<BTreeSet<_>>(), tested);
    scene.api.stop().await;
}

#[tokio::test]
async fn a_delivery_is_sent_again_once_for_each_key() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"url": sink.url})).await;
    api.event("acme", "job.created").await;
    sink.next().await;
    let id = api.until_state("delivered", 1).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organizations/acme/deliveries/{id}/resend");
    let attempts = async |count: u64| {
        let shown = format!("/v1/organizations/acme/deliveries/{id}");
        super::sending::until("attempts are logged", async || {
            (api.get(&shown).await.ok()["attempts"] == count).then_some(())
        })
        .await;
    };
    for (count, key) in [(2, "a"), (3, "b")] {
        post(&api, &path, key, &json!({})).await.accepted();
        attempts(count).await;
        for _ in 0..2 {
            post(&api, &path, key, &json!({})).await.accepted();
        }
    }
    // Had a repetition been sent, it would have come before this one.
    api.webhook("acme", json!({"url": sink.url, "name": "second"})).await;
    post(&api, &path, "c", &json!({})).await.accepted();
    attempts(4).await;
    assert_eq!(sink.rest().len(), 3);
    api.stop().await;
}

#[tokio::test]
async fn what_was_done_is_answered_though_the_answer_was_lost() {
    let scene = Scene::start().await;
    let api = &scene.api;
    let project = api.get("/v1/projects").await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    let webhook = |rest: &str| format!("{WEBHOOKS}/{}{rest}", scene.webhook);
    let made = |path: &str, body: Value| {
        let path = path.to_owned();
        async move { (api.post(&path, body.clone()).await, path, body) }
    };
    let key = json!({"name": "k", "scopes": ["read"]});
    let cases = [
        made("/v1/organizations", json!({"name": "Another"})).await,
        made("/v1/projects", json!({"name": "another"})).await,
        made("/v1/event-types", json!({"name": "a/b?c"})).await,
        made(WEBHOOKS, json!({"url": super::URL})).await,
        made(&webhook("/pause"), json!({})).await,
        made(&webhook("/secret/rotate"), json!({})).await,
        made("/v1/pauses", json!({"host": "example.com"})).await,
        made("/v1/api-keys", key).await,
        made("/v1/deliveries/resend", json!({"all": true})).await,
    ];
    for (number, (first, path, body)) in cases.into_iter().enumerate() {
        let mut expected = first.body();
        for secret in ["secret", "previous", "further", "key"] {
            expected.as_object_mut().unwrap().shift_remove(secret);
        }
        // As if the server had died after the commit.
        let id = expected["id"].as_str().or(expected["job_id"].as_str()).unwrap_or_default();
        let made = if path == "/v1/event-types" { "a/b?c" } else { id };
        let text = body.to_string();
        let lost = IdempotencyKey {
            scope: format!("POST {project} admin \"\" {path}"),
            key: format!("lost-{number}"),
            fingerprint: blake3::hash(text.as_bytes()).as_bytes()[..16].try_into().unwrap(),
        };
        let operation = Operation::Change { change: Change::default(), touches: None, report: None };
        let once = Once { key: lost.clone(), made: made.to_owned(), operation };
        api.app().store.apply(Operation::Once(Box::new(once))).await.unwrap();

        let again = post(api, &path, &lost.key, &body).await;
        assert_eq!((again.status, again.body()), (first.status, expected), "{path}");
        assert_eq!(again.headers["idempotency-replayed"], "true");
    }
    scene.api.stop().await;
    drop(scene.sink);
}
