//! Requests as well-known senders make them, checked by those senders' own public libraries.

use serde_json::{Value, json};

use super::receiver::{Reply, Request};
use super::scene::{ORG, Scene, with};
use crate::receivers::Vendor;

/// What is sent in all of these tests.
fn data() -> Value {
    json!({"title": "Füße & Hände ✓"})
}

/// A receiver that agrees to everything that it is asked.
fn agreeable(request: &Request) -> Reply {
    if request.method == "OPTIONS" {
        let allowed = vec![("webhook-allowed-origin", "*".to_owned())];
        return Reply::Answer { status: 200, headers: allowed, body: "" };
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match body["challenge"].as_str() {
        Some(challenge) => Reply::Text(challenge.to_owned()),
        None => Reply::status(200),
    }
}

/// A scene whose webhooks have this profile, over http, which a receiver on this machine speaks.
async fn scene(profile: &str) -> Scene {
    let profiles = tempfile::tempdir().unwrap();
    let name = format!("profiles/{profile}.toml");
    let (_, text) = fanfare_engine::profile::Profiles::builtin().iter().find(|(file, _)| *file == name).unwrap();
    let text = text.replace("schemes = [\"https\"]", "schemes = [\"https\", \"http\"]");
    std::fs::write(profiles.path().join(format!("{profile}.toml")), text).unwrap();
    let directory = profiles.path().display().to_string();
    let scene =
        Scene::with(|launch| launch.set("FANFARE_PROFILE", profile).set("FANFARE_PROFILES_DIR", &directory)).await;
    scene.receiver.script(agreeable);
    scene
}

/// A webhook of the scene without what most profiles do not let it choose.
async fn plain_webhook(scene: &Scene, members: Value) -> String {
    let url = scene.receiver.url("/hook?source=fanfare");
    let made = scene.api.make_webhook(ORG, &with(json!({"name": "test", "url": url, "events": "all"}), members)).await;
    scene.api.get(&made.path("/secret")).await.expect(200)["secret"].as_str().unwrap_or_default().to_owned()
}

/// Posts an event and gives the request that it made.
async fn sent(scene: &Scene, kind: &str, members: Value) -> Request {
    if kind != super::scene::TYPE {
        scene.api.make_event_type(&json!({"name": kind})).await;
    }
    scene.api.post_event(ORG, &with(json!({"type": kind, "data": data()}), members)).await;
    let is_event = |request: &Request| {
        let text = String::from_utf8_lossy(&request.body);
        text.contains("title") && request.method == "POST"
    };
    let all = scene.receiver.received_when("the event", |requests| requests.iter().any(is_event)).await;
    all.into_iter().find(is_event).unwrap()
}

/// The library accepts the request, and refuses it with another body or another secret.
#[track_caller]
fn assert_verified(vendor: Vendor, scene: &Scene, request: &Request, secret: &str) {
    let url = scene.receiver.url(&request.path);
    let verified = vendor.verify(&request.message(secret), &url);
    assert!(verified.is_ok(), "{vendor:?}: {verified:?}: {request:?}");
    let mut other = request.message(secret);
    other.body.push(b' ');
    assert!(vendor.verify(&other, &url).is_err(), "{vendor:?} accepts another body");
    let other_secret = format!("{}{}", if secret.starts_with('0') { '1' } else { '0' }, &secret[1..]);
    let other = request.message(if secret.starts_with("whsec_") {
        "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    } else {
        &other_secret
    });
    assert!(vendor.verify(&other, &url).is_err(), "{vendor:?} accepts another secret");
}

#[tokio::test]
async fn svix() {
    let scene = scene("svix").await;
    let secret = plain_webhook(&scene, json!({})).await;
    let request = sent(&scene, "job.created", json!({})).await;
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), data());
    assert_verified(Vendor::Node("svix"), &scene, &request, &secret);
    scene.server.stop().await;
}

#[tokio::test]
async fn github_with_a_ping_at_creation() {
    let scene = scene("github").await;
    for (index, kind) in ["application/json", "application/x-www-form-urlencoded"].into_iter().enumerate() {
        let members = json!({"secret": "It's a Secret to Everybody", "content_type": kind, "name": kind});
        let secret = plain_webhook(&scene, members).await;
        let pings =
            |requests: &[Request]| requests.iter().filter(|request| request.header("x-github-event") == "ping").count();
        let all = scene.receiver.received_when("a ping", |requests| pings(requests) > index).await;
        for ping in all.iter().filter(|request| request.header("content-type") == kind) {
            assert_verified(Vendor::Node("github"), &scene, ping, &secret);
        }
    }
    sent(&scene, "issues", json!({})).await;
    let issues = |requests: &[Request]| -> Vec<Request> {
        requests.iter().filter(|request| request.header("x-github-event") == "issues").cloned().collect()
    };
    let all = scene.receiver.received_when("both forms", |requests| issues(requests).len() == 2).await;
    for request in issues(&all) {
        let hook = if request.header("content-type") == "application/json" { "1" } else { "2" };
        assert_eq!(request.header("x-github-hook-id"), hook);
        assert_verified(Vendor::Node("github"), &scene, &request, "It's a Secret to Everybody");
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn stripe() {
    let scene = scene("stripe").await;
    let secret = plain_webhook(&scene, json!({})).await;
    let request = sent(&scene, "charge.succeeded", json!({})).await;
    assert_verified(Vendor::Python("stripe"), &scene, &request, &secret);
    scene.server.stop().await;
}

#[tokio::test]
async fn shopify() {
    let scene = scene("shopify").await;
    let secret = plain_webhook(&scene, json!({})).await;
    let scope = json!([{"type": "shop", "id": "cool.myshopify.com"}]);
    let request = sent(&scene, "orders/create", json!({"scope": scope})).await;
    assert_verified(Vendor::Node("shopify"), &scene, &request, &secret);
    scene.server.stop().await;
}

#[tokio::test]
async fn slack_after_its_challenge() {
    let scene = scene("slack").await;
    let secret = plain_webhook(&scene, json!({})).await;
    let challenge = scene.receiver.requests().remove(0);
    assert!(String::from_utf8_lossy(&challenge.body).contains("\"type\":\"url_verification\""), "{challenge:?}");
    assert_verified(Vendor::Python("slack"), &scene, &challenge, &secret);
    let request = sent(&scene, "message", json!({})).await;
    assert_verified(Vendor::Python("slack"), &scene, &request, &secret);
    scene.server.stop().await;
}

#[tokio::test]
async fn cloud_events_in_both_modes() {
    for profile in ["cloudevents", "cloudevents-binary"] {
        let scene = scene(profile).await;
        plain_webhook(&scene, json!({})).await;
        let handshake = scene.receiver.requests().remove(0);
        let origin = handshake.header("webhook-request-origin").to_owned();
        assert_eq!((handshake.method.as_str(), handshake.header("webhook-request-rate")), ("OPTIONS", ""));
        let entity = json!({"type": "Flow", "id": "Euro € 😀"});
        let request = sent(&scene, "job.created", json!({"entity": entity})).await;
        assert_eq!(request.header("origin"), origin);
        let verified = Vendor::Python("cloudevents").verify(&request.message(""), "");
        assert!(verified.is_ok(), "{profile}: {verified:?}: {request:?}");
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn http_message_signatures() {
    let scene = scene("http-signatures").await;
    let secret = plain_webhook(&scene, json!({})).await;
    let request = sent(&scene, "job.created", json!({})).await;
    assert_verified(Vendor::Node("http-signatures"), &scene, &request, &secret);
    scene.server.stop().await;
}
