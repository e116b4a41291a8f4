//! The right to a webhook is asked about again at each message: what is taken away stops what is on its way.

use std::fs;

use serde_json::{Value, json};

use super::client::Webhook;
use super::patience::within;
use super::receiver::Reply;
use super::scene::{ORG, Scene, TYPE, event, webhook, with};
use super::stream::Stream;

const GUARDED: &str = r#"
name = "guarded"
[payload]
raw = true
[retry]
own = true
[permissions]
see = { roles = ["Builder", "Viewer"] }
manage = { roles = ["Builder"] }
entity_access = true
recheck = true
"#;

/// A server whose profile asks again.
async fn start() -> (Scene, tempfile::TempDir) {
    let profiles = tempfile::tempdir().unwrap();
    fs::write(profiles.path().join("guarded.toml"), GUARDED).unwrap();
    let directory = profiles.path().to_str().unwrap().to_owned();
    let settings = |launch: super::process::Launch| {
        launch.set("FANFARE_PROFILES_DIR", &directory).set("FANFARE_PROFILE", "guarded")
    };
    (Scene::with(settings).await, profiles)
}

async fn put(scene: &Scene, below: &str, body: &Value) {
    let path = format!("/v1/organizations/{ORG}/{below}");
    let answer = scene.api.send("PUT", &path, &[], body.to_string()).await.unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

/// Anna may manage webhooks, and has access to a company.
async fn tell_of_anna(scene: &Scene) {
    put(scene, "users/anna", &json!({"roles": ["Builder"], "grants": [{"type": "Company", "id": "c"}]})).await;
}

async fn by_anna(scene: &Scene, members: Value) -> Webhook {
    let body = with(webhook(&scene.receiver.url("/hook")), members);
    let path = format!("/v1/organizations/{ORG}/webhooks");
    let made = scene.api.send("POST", &path, &[("fanfare-user", "anna")], body.to_string()).await.unwrap().expect(201);
    assert_eq!(made["owner"], "anna");
    Webhook { org: ORG.to_owned(), id: made["id"].as_str().unwrap().to_owned(), secret: String::new() }
}

fn about_packet(company: &str) -> Value {
    let about = json!({"entity": {"type": "Packet", "id": "17"}, "scope": [{"type": "Company", "id": company}]});
    with(event(json!({})), about)
}

async fn skipped(scene: &Scene, event: &str) -> Value {
    let delivery = scene.api.settled(ORG, event, "skipped").await;
    assert_eq!(delivery["skipped_reason"], "access_revoked", "{delivery}");
    delivery
}

#[tokio::test]
async fn what_comes_after_the_revocation_is_skipped_and_explained() {
    let (scene, _profiles) = start().await;
    tell_of_anna(&scene).await;
    by_anna(&scene, json!({"retry": {"delays_seconds": [1, 1, 1], "jitter": 0.0}})).await;
    scene.receiver.script(|_| Reply::Hold);
    let event = scene.post(json!({"n": 1})).await;
    scene.receiver.received(1).await;
    // While the first attempt is on its way.
    put(&scene, "users/anna", &json!({"roles": []})).await;
    scene.receiver.script(|_| Reply::status(500));
    let second = scene.post(json!({"n": 2})).await;
    skipped(&scene, &second).await;
    scene.receiver.release();
    scene.api.idle().await;
    assert_eq!(scene.receiver.requests().len(), 1);
    let explained = format!("/v1/organizations/{ORG}/events/{second}/explain");
    let explained = scene.api.get(&explained).await.expect(200)["webhooks"][0].clone();
    assert_eq!((&explained["matched"], &explained["reason"]), (&json!(true), &json!("access_revoked")));
    assert_eq!(explained["detail"], "its owner anna needs the role Builder");
    scene.api.settled(ORG, &event, "delivered").await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_retry_is_judged_as_a_first_attempt_is() {
    let (scene, _profiles) = start().await;
    tell_of_anna(&scene).await;
    by_anna(&scene, json!({"retry": {"delays_seconds": [2, 2, 2], "jitter": 0.0}})).await;
    scene.receiver.script(|_| Reply::status(500));
    let event = scene.post(json!({})).await;
    scene.receiver.received(1).await;
    put(&scene, "users/anna", &json!({"roles": ["Other"]})).await;
    let made = scene.receiver.requests().len();
    let delivery = skipped(&scene, &event).await;
    let attempts = scene.api.attempts(&delivery).await;
    assert_eq!(attempts.len(), scene.receiver.requests().len());
    assert_eq!(made, attempts.len(), "an attempt was made after the revocation was answered");
    assert_eq!(attempts[0]["response"]["status"], 500);

    // With the right back, what was skipped can be sent.
    tell_of_anna(&scene).await;
    scene.receiver.script(|_| Reply::status(200));
    let resend = format!("/v1/organizations/{ORG}/deliveries/{}/resend", delivery["id"].as_str().unwrap());
    scene.api.post(&resend, &json!({})).await.expect(202);
    scene.api.settled(ORG, &event, "delivered").await;
    scene.server.stop().await;
}

#[tokio::test]
async fn the_webhooks_of_a_deleted_user_stop_unless_handed_over() {
    let (scene, _profiles) = start().await;
    tell_of_anna(&scene).await;
    put(&scene, "users/ben", &json!({"roles": ["Builder"]})).await;
    let kept = by_anna(&scene, json!({})).await;
    let lost = by_anna(&scene, json!({"url": scene.receiver.url("/lost")})).await;
    scene.api.patch(&kept.path(""), &json!({"owner": "ben"})).await.expect(200);
    scene.api.delete(&format!("/v1/organizations/{ORG}/users/anna")).await.expect(204);
    let event = scene.post(json!({})).await;
    scene.receiver.received(1).await;
    scene.api.idle().await;
    assert_eq!((scene.receiver.requests_to("/hook").len(), scene.receiver.requests_to("/lost").len()), (1, 0));
    let path = format!("/v1/organizations/{ORG}/deliveries?event={event}&webhook={}", lost.id);
    let delivery = scene.api.get(&path).await.expect(200)["data"][0].clone();
    assert_eq!((&delivery["state"], &delivery["skipped_reason"]), (&json!("skipped"), &json!("access_revoked")));

    // Handed over now, it goes on.
    scene.api.patch(&lost.path(""), &json!({"owner": "ben"})).await.expect(200);
    scene.post(json!({})).await;
    scene.receiver.received(3).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_grant_covers_what_events_say_is_below_it() {
    let (scene, _profiles) = start().await;
    tell_of_anna(&scene).await;
    // The first event teaches that the packet is the company's; then Anna may name it.
    scene.api.post_event(ORG, &about_packet("c")).await;
    by_anna(&scene, json!({"events": [TYPE], "filter": {"type": "Packet", "id": "17"}})).await;
    let delivered = scene.api.post_event(ORG, &about_packet("c")).await;
    scene.api.settled(ORG, &delivered, "delivered").await;
    // The event that takes the packet to another company is not sent already.
    let moved = scene.api.post_event(ORG, &about_packet("d")).await;
    skipped(&scene, &moved).await;
    let back = scene.api.post_event(ORG, &about_packet("c")).await;
    scene.api.settled(ORG, &back, "delivered").await;
    // So with what the host says.
    put(&scene, "entities/Packet/17", &json!({"scope": []})).await;
    let silent = with(about_packet("c"), json!({"scope": []}));
    let told = scene.api.post_event(ORG, &silent).await;
    skipped(&scene, &told).await;
    assert_eq!(scene.receiver.requests().len(), 2);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_right_to_see_it() {
    let (scene, _profiles) = start().await;
    put(&scene, "users/vera", &json!({"roles": ["Viewer"]})).await;
    tell_of_anna(&scene).await;
    scene.webhook_with("/hook", json!({"owner": "anna"})).await;
    let key = scene.api.make_key(&json!({"name": "k", "scopes": ["read"], "organization": ORG, "user": "vera"})).await;
    let mut stream = Stream::open(&key, "").await;
    let event = scene.post(json!({"n": 1})).await;
    assert_eq!(stream.next().await.unwrap()["event_id"], json!(event));
    scene.api.delete(&format!("/v1/organizations/{ORG}/users/vera")).await.expect(204);
    // What was found out of the right is good for a moment.
    scene.post(json!({"n": 2})).await;
    within("the stream's end", async {
        while stream.next().await.is_some() {
            scene.post(json!({"n": 3})).await;
        }
    })
    .await;
    scene.server.stop().await;
}
