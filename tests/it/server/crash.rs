//! A server that is killed: nothing that was acknowledged is lost, and what may have been sent is told.

use std::collections::BTreeMap;

use serde_json::json;

use super::client::Api;
use super::ledger::{check_log, ids_by_host_id, receipts};
use super::load::{Load, Posted, post_of};
use super::patience::until;
use super::process::{Home, Running};
use super::receiver::{Receiver, Reply};
use super::scene::{ORG, Scene};

/// In each round the server is killed once so many requests of that round have come.
const KILL_AFTER: [usize; 4] = [1, 37, 180, 64];
/// Every so many requests, one is left without an answer until the kill.
const HELD_OUT_OF: usize = 6;
/// Requests that a webhook gets at once.
const CONCURRENCY: usize = 8;

/// Posts again what each host posted last: with or without an answer, it is taken once.
async fn post_again(scene: &Scene, posted: &[Posted], events: &mut BTreeMap<String, String>) {
    let mut unanswered = 0;
    for post in posted.iter().filter(|post| post.event.is_none()).chain(posted.last()) {
        let first = scene.api.post_event(ORG, &post_of(&post.id)).await;
        let second = scene.api.post_event(ORG, &post_of(&post.id)).await;
        assert_eq!(first, second, "{post:?}");
        if let Some(event) = &post.event {
            assert_eq!(*event, first, "{post:?}");
        }
        unanswered += usize::from(post.event.is_none());
        events.insert(post.id.clone(), first);
    }
    assert!(unanswered > 0, "no host was interrupted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_055_case_056_kills_under_load_lose_nothing() {
    let mut scene = Scene::start().await;
    for path in ["/one", "/two"] {
        scene.webhook(path).await;
    }
    let mut events = BTreeMap::new();
    for (round, kill_after) in KILL_AFTER.into_iter().enumerate() {
        let before = scene.receiver.requests().len();
        scene.receiver.hold_again();
        scene.receiver.script(|request| match request.number % HELD_OUT_OF {
            0 => Reply::Hold,
            _ => Reply::status(200),
        });
        let load = Load::start(&scene.api, round);
        scene.receiver.received(before + kill_after).await;
        scene.server.kill().await;
        let posted = load.ended().await;
        scene.receiver.release();
        let acknowledged = posted.iter().filter_map(|post| Some((post.id.clone(), post.event.clone()?)));
        events.extend(acknowledged);

        scene.server = scene.home.launch().start().await;
        scene.api = scene.server.api();
        post_again(&scene, &posted, &mut events).await;
    }
    scene.api.idle().await;

    let requests = scene.receiver.requests();
    let receipts = receipts(&requests);
    for (host_id, event) in &events {
        for path in ["/one", "/two"] {
            assert!(
                receipts.contains_key(&(path.to_owned(), event.clone())),
                "{host_id} ({event}) never came to {path}"
            );
        }
    }
    for (host_id, ids) in ids_by_host_id(&requests) {
        assert_eq!(ids.len(), 1, "{host_id} came as {ids:?}");
    }
    let account = check_log(&scene.api, &receipts, &scene.receiver.url("")).await;
    assert_eq!(account.deliveries, 2 * events.len(), "each host retried what it had no answer for");
    assert!(account.repeated > 0, "what was held at a kill came again: {account:?}");
    scene.server.stop().await;
}

#[tokio::test]
async fn case_055_an_attempt_that_a_kill_cut_off_is_shown_as_unknown_and_made_again() {
    let mut scene = Scene::start().await;
    scene.receiver.script(|_| Reply::Hold);
    let webhook = scene.webhook("/hook").await;
    let event = scene.post(json!({"n": 1})).await;
    scene.receiver.received(1).await;
    scene.server.kill().await;
    scene.receiver.always(200);
    scene.server = scene.home.launch().start().await;
    scene.api = scene.server.api();
    let delivery = scene.api.settled(ORG, &event, "delivered").await;
    let requests = scene.receiver.requests();
    assert_eq!(requests.iter().map(super::receiver::Request::id).collect::<Vec<_>>(), [&event, &event]);
    requests[1].assert_signed(&webhook.secret);
    let attempts = scene.api.attempts(&delivery).await;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["unknown", "success"]);
    assert!(attempts[0]["error"].as_str().unwrap().contains("may have been sent"), "{}", attempts[0]);
    scene.server.stop().await;
}

/// A profile that sends at most once.
const AT_MOST_ONCE: &str = r#"
name = "at-most-once"
[url]
schemes = ["http"]
[events]
all = true
[payload]
raw = true
[[headers]]
name = "webhook-id"
value = "{message.id}"
[ids]
message = "event"
[retry]
delays_seconds = [1]
after_unknown = "stop"
"#;

/// A server with that profile.
pub(super) struct Once {
    pub(super) home: Home,
    pub(super) receiver: Receiver,
}

impl Once {
    pub(super) async fn new() -> Self {
        let home = Home::new();
        let profiles = home.path().join("profiles");
        std::fs::create_dir(&profiles).unwrap();
        std::fs::write(profiles.join("once.toml"), AT_MOST_ONCE).unwrap();
        Once { home, receiver: Receiver::start().await }
    }

    pub(super) async fn start(&self) -> Running {
        let profiles = self.home.path().join("profiles").display().to_string();
        let launch = self.home.launch().set("FANFARE_PROFILES_DIR", &profiles);
        let launch = launch.set("FANFARE_WEBHOOK_CONCURRENCY", &CONCURRENCY.to_string());
        launch.set("FANFARE_PROFILE", "at-most-once").start().await
    }

    /// Makes the organization and its webhook.
    pub(super) async fn set_up(&self, api: &Api) {
        api.make_event_type(&json!({"name": "job.created"})).await;
        api.make_organization(ORG).await;
        api.make_webhook(ORG, &json!({"name": "once", "url": self.receiver.url("/hook"), "events": "all"})).await;
    }
}

#[tokio::test]
async fn case_055_a_profile_that_sends_at_most_once_does_not_send_again() {
    let once = Once::new().await;
    let receiver = &once.receiver;
    let server = once.start().await;
    let api = server.api();
    let operator = json!({"name": "operator", "url": receiver.url("/operator"), "events": "all"});
    api.post("/v1/operator-webhooks", &operator).await.expect(201);
    once.set_up(&api).await;
    receiver.script(|_| Reply::Hold);
    let event = api.post_event(ORG, &super::scene::event(json!({"n": 1}))).await;
    receiver.received(1).await;
    server.kill().await;
    receiver.always(200);

    let server = once.start().await;
    let api = server.api();
    let delivery = api.settled(ORG, &event, "exhausted").await;
    let attempts = api.attempts(&delivery).await;
    assert_eq!(attempts.iter().map(|attempt| &attempt["outcome"]).collect::<Vec<_>>(), ["unknown"]);
    receiver.received_at("/operator", 1).await;
    assert_eq!(receiver.requests_to("/hook").len(), 1);

    // A person may still decide to send it.
    let path = format!("/v1/organizations/{ORG}/deliveries/{}/resend", delivery["id"].as_str().unwrap());
    api.post(&path, &json!({})).await.expect(202);
    receiver.received_at("/hook", 2).await;
    until("the resend is logged", async || {
        let delivery = api.delivery_of(ORG, &event).await;
        (delivery["state"] == "delivered").then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn case_055_at_most_once_gives_up_only_what_went_out() {
    let once = Once::new().await;
    let server = once.start().await;
    let api = server.api();
    once.set_up(&api).await;
    once.receiver.script(|_| Reply::Hold);
    let mut events = Vec::new();
    for n in 0..60 {
        events.push(api.post_event(ORG, &super::scene::event(json!({"n": n}))).await);
    }
    once.receiver.received(CONCURRENCY).await;
    server.kill().await;
    let sent: Vec<String> = once.receiver.requests().iter().map(|request| request.id().to_owned()).collect();
    assert_eq!(sent.len(), CONCURRENCY, "the rest waits");
    once.receiver.always(200);
    once.receiver.release();

    let server = once.start().await;
    let api = server.api();
    for event in &events {
        let state = if sent.contains(event) { "exhausted" } else { "delivered" };
        api.settled(ORG, event, state).await;
    }
    assert_eq!(once.receiver.requests().len(), events.len(), "each went out once");
    server.stop().await;
}
