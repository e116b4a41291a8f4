//! `…/webhooks/{webhook}/secret` and `…/secret/rotate`.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::Api;

/// Secrets of the form that the standard profile takes.
const GIVEN: &str = "whsec_Z2l2ZW5naXZlbmdpdmVuZ2l2ZW5naXZlbmdpdmVu";

async fn webhook(api: &Api) -> (String, Value) {
    api.organization("acme").await;
    let made = api.webhook("acme", json!({})).await;
    (format!("/v1/organizations/acme/webhooks/{}/secret", made["id"].as_str().unwrap()), made["secret"].clone())
}

#[tokio::test]
async fn a_rotation_keeps_the_old_secret_for_the_overlap() {
    let api = Api::start().await;
    let (path, first) = webhook(&api).await;
    assert_eq!(api.get(&path).await.ok(), json!({"secret": first, "previous": []}));
    let rotated = api.ask(Method::POST, &format!("{path}/rotate")).send().await.ok();
    assert_ne!(rotated["secret"], first);
    assert_eq!(rotated["previous"], json!([{"secret": first, "expires_at": "2026-11-23T09:30:00.000Z"}]));
    let given = json!({"secret": GIVEN, "overlap_seconds": 60});
    let again = api.post(&format!("{path}/rotate"), given).await.ok();
    assert_eq!(again["secret"], GIVEN);
    let ends: Vec<&str> =
        again["previous"].as_array().unwrap().iter().map(|old| old["expires_at"].as_str().unwrap()).collect();
    assert_eq!(ends, ["2026-11-22T09:31:00.000Z"; 2]);
    api.clock.advance(Duration::from_secs(60));
    assert_eq!(api.get(&path).await.ok(), json!({"secret": GIVEN, "previous": []}));
    let now = api.post(&format!("{path}/rotate"), json!({"overlap_seconds": 0})).await.ok();
    assert_eq!(now["previous"], json!([]));
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_rotation_is_named() {
    let api = Api::start().await;
    let (path, first) = webhook(&api).await;
    let rotate = format!("{path}/rotate");
    api.post(&rotate, json!({"secret": "short"})).await.invalid("secret");
    api.post(&rotate, json!({"secret": first})).await.invalid("secret");
    api.post(&rotate, json!({"overlap_seconds": 2_592_001})).await.invalid("overlap_seconds");
    api.post(&rotate, json!({"overlap": 1})).await.invalid("overlap");
    assert_eq!(api.get(&path).await.ok()["secret"], first);
    for _ in 0..9 {
        api.post(&rotate, json!({})).await.ok();
    }
    api.post(&rotate, json!({})).await.invalid("secret");
    api.stop().await;
}

#[tokio::test]
async fn an_edit_replaces_the_secret_like_a_rotation() {
    let api = Api::start().await;
    let (path, first) = webhook(&api).await;
    let own = path.trim_end_matches("/secret");
    let edited = api.patch(own, json!({"secret": GIVEN})).await;
    assert!(!edited.text.contains("whsec_"), "{edited:?}");
    edited.ok();
    let secrets = api.get(&path).await.ok();
    assert_eq!((&secrets["secret"], &secrets["previous"][0]["secret"]), (&json!(GIVEN), &first));
    api.patch(own, json!({"secret": GIVEN, "name": "same secret"})).await.ok();
    assert_eq!(api.get(&path).await.ok(), secrets);
    api.patch(own, json!({"secret": null})).await.invalid("secret");
    api.stop().await;
}
