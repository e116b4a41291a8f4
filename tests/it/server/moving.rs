//! A webhook that moves here from another system: its number, UUID and secrets, with the old and the new signature at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::scene::{ORG, Scene, with};

/// As docs/moving-in.md shows it.
const PROFILE: &str = include_str!("../../../docs/moving-in.md");
const OLD: &str = "the old system's secret";
const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The documentation's own profile, which therefore works as it stands there.
fn profile() -> &'static str {
    let start = PROFILE.find("```toml\n").expect("the page shows a profile") + "```toml\n".len();
    &PROFILE[start..start + PROFILE[start..].find("```").unwrap()]
}

fn old_signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(OLD.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn receivers_that_know_the_old_secret_and_those_that_know_the_new_one_both_agree() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("moving.toml"), profile()).unwrap();
    let folder = directory.path().display().to_string();
    let scene = Scene::with(|launch| launch.set("FANFARE_PROFILES_DIR", &folder)).await;
    let projects = scene.api.get("/v1/projects").await.expect(200);
    let project = format!("/v1/projects/{}", projects["data"][0]["id"].as_str().unwrap());
    scene.api.patch(&project, &json!({"allowed_profiles": ["moving"]})).await.expect(200);
    let secrets = json!([{"value": NEW}, {"value": OLD, "header": "X-Old-Signature"}]);
    let uuid = "a3bc0b28-8023-4ac2-a0c4-2144e8a2d659";
    let members = json!({"url": scene.receiver.url("/hook"), "profile": "moving", "number": 4711, "uuid": uuid});
    let webhook = scene.api.make_webhook(ORG, &with(members, json!({"secrets": secrets}))).await;
    let made = scene.api.webhook(&webhook).await;
    assert_eq!((&made["number"], &made["uuid"]), (&json!(4711), &json!(uuid)));

    scene.post(json!({"n": 1})).await;
    let request = scene.receiver.received(1).await.remove(0);
    assert_eq!(request.header("x-old-signature"), old_signature(&request.body));
    request.assert_signed(NEW);
    assert!(!request.header("webhook-signature").contains(' '), "{request:?}");

    let shown = scene.api.get(&webhook.path("/secret")).await.expect(200);
    let further = json!([{"secret": OLD, "header": "x-old-signature"}]);
    assert_eq!(shown, json!({"secret": NEW, "previous": [], "further": further}));

    // A rotation leaves the other header's secret alone.
    let rotated = scene.api.post(&webhook.path("/secret/rotate"), &json!({})).await.expect(200);
    assert_eq!((&rotated["further"], &rotated["previous"][0]["secret"]), (&further, &json!(NEW)));
    scene.post(json!({"n": 2})).await;
    let request = scene.receiver.received(2).await.remove(1);
    assert_eq!(request.header("x-old-signature"), old_signature(&request.body));
    request.assert_signed(NEW);
    request.assert_signed(rotated["secret"].as_str().unwrap());
    let other = json!({"header": "X-Old-Signature", "secret": "another", "overlap_seconds": 0});
    let rotated = scene.api.post(&webhook.path("/secret/rotate"), &other).await.expect(200);
    assert_eq!(rotated["further"], json!([{"secret": "another", "header": "x-old-signature"}]));

    // When all receivers have moved, the old header goes, and its secret with it.
    scene.api.patch(&webhook.path(""), &json!({"profile": "standard"})).await.expect(200);
    let left = scene.api.get(&webhook.path("/secret")).await.expect(200);
    assert_eq!((&left["secret"], &left["further"]), (&rotated["secret"], &json!(null)));
    scene.post(json!({"n": 3})).await;
    let request = scene.receiver.received(3).await.remove(2);
    assert_eq!(request.header("x-old-signature"), "");
    request.assert_signed(rotated["secret"].as_str().unwrap());
    scene.server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_secrets_of_an_import_is_named() {
    let scene = Scene::start().await;
    let hooks = format!("/v1/organizations/{ORG}/webhooks");
    let other = format!("whsec_{}", STANDARD.encode([7; 24]));
    let end = "2030-01-01T00:00:00Z";
    let refused = [
        (json!([]), "secrets"),
        (json!([{"value": NEW, "expires_at": end}]), "secrets"),
        (json!([{"value": NEW}, {"value": other}]), "secrets[1]"),
        (json!([{"value": NEW}, {"value": other, "header": "X-Other"}]), "secrets[1]"),
        (json!([{"value": NEW}, {"value": "short", "header": "webhook-signature"}]), "secrets[1]"),
    ];
    for (secrets, field) in refused {
        let answer = scene.api.post(&hooks, &json!({"url": scene.receiver.url("/"), "secrets": secrets})).await;
        assert_eq!(answer.expect_problem(422, "validation_failed")["errors"][0]["field"], field, "{secrets}");
        assert!(!answer.text().contains(NEW), "{}", answer.text());
    }
    let fine = json!([{"value": NEW}, {"value": other, "expires_at": end}]);
    scene.api.post(&hooks, &json!({"url": scene.receiver.url("/"), "secrets": fine})).await.expect(201);
    scene.server.stop().await;
}
