//! Holds: nothing is sent while one stands, nothing is lost, and its end sends what waited.

use serde_json::{Value, json};

use super::scene::{ORG, Scene};

/// Events of one hold: more than one, so that an order shows.
const HELD: usize = 5;

/// Posts events while sending is held and shows that they wait; a marker at a path that is not held comes through.
async fn post_held(scene: &Scene) -> Vec<String> {
    let mut events = Vec::new();
    for n in 0..HELD {
        events.push(scene.post(json!({"n": n})).await);
    }
    for event in &events {
        let delivery = scene.api.delivery_of(ORG, event).await;
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("pending"), &json!(0)), "{delivery}");
    }
    events
}

/// What waited comes, each once.
async fn all_come(scene: &Scene, events: &[String]) {
    scene.receiver.received(events.len()).await;
    scene.api.idle().await;
    let mut came: Vec<String> = scene.receiver.requests().iter().map(|request| request.id().to_owned()).collect();
    came.sort();
    assert_eq!(came, events);
}

#[tokio::test]
async fn a_paused_webhook_keeps_its_events_until_it_goes_on() {
    let scene = Scene::start().await;
    let webhook = scene.webhook("/hook").await;
    scene.api.post(&webhook.path("/pause"), &json!({})).await.expect(200);
    let events = post_held(&scene).await;
    assert_eq!(scene.api.webhook(&webhook).await["status"], "paused");
    assert!(scene.receiver.requests().is_empty());
    scene.api.post(&webhook.path("/resume"), &json!({})).await.expect(200);
    all_come(&scene, &events).await;
    scene.server.stop().await;
}

async fn held_by(hold: impl FnOnce(&Scene) -> Value) {
    let mut scene = Scene::start().await;
    scene.webhook("/hook").await;
    let pause = scene.api.post("/v1/pauses", &hold(&scene)).await.expect(201);
    let mut events = post_held(&scene).await;
    assert!(scene.receiver.requests().is_empty());

    // A restart keeps the hold and what it holds.
    let log = scene.server.stop().await;
    assert!(log.contains("nothing is under way"), "{log}");
    scene.server = scene.home.launch().start().await;
    scene.api = scene.server.api();
    events.extend(post_held(&scene).await);
    assert!(scene.receiver.requests().is_empty());

    let path = format!("/v1/pauses/{}", pause["id"].as_str().unwrap());
    scene.api.delete(&path).await.expect(204);
    all_come(&scene, &events).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_held_organization_waits() {
    held_by(|_| json!({"organization": ORG})).await;
}

#[tokio::test]
async fn a_held_host_waits() {
    held_by(|_| json!({"host": "127.0.0.1"})).await;
}

#[tokio::test]
async fn everything_waits() {
    held_by(|_| json!({"everything": true})).await;
}

#[tokio::test]
async fn a_hold_of_one_organization_is_none_of_anothers() {
    let scene = Scene::start().await;
    scene.webhook("/hook").await;
    scene.api.make_organization("other").await;
    let url = scene.receiver.url("/other");
    scene.api.make_webhook("other", &super::scene::webhook(&url)).await;
    scene.api.post("/v1/pauses", &json!({"organization": ORG})).await.expect(201);
    let held = scene.post(json!({"n": 1})).await;
    let free = scene.api.post_event("other", &super::scene::event(json!({"n": 2}))).await;
    scene.api.settled("other", &free, "delivered").await;
    assert!(scene.receiver.requests_to("/hook").is_empty());
    assert_eq!(scene.api.delivery_of(ORG, &held).await["state"], "pending");
    scene.server.stop().await;
}
