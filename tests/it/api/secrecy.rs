//! Secrets stay where they belong: not in answers, not in errors, not in the database.

use std::fs;
use std::path::Path;

use axum::http::Method;
use fanfare::clock::SystemClock;
use fanfare::config::Sources;
use fanfare::server::Server;
use serde_json::json;
use std::sync::Arc;

use super::Api;

/// A secret of the form that the standard profile takes, easy to look for.
const SECRET: &str = "whsec_Q0FOQVJZY2FuYXJ5Q0FOQVJZY2FuYXJ5Q0FOQVJZ";
const PASSWORD: &str = "canary-password-7351";
const TOKEN: &str = "canary-token-8462";
const HEADER: &str = "canary-header-9573";

fn settings() -> serde_json::Value {
    json!({
        "secret": SECRET,
        "auth": {"type": "basic", "username": "u", "password": PASSWORD},
        "headers": {"X-Api-Key": HEADER, "X-Any": "seen"},
    })
}

fn assert_no_canary(what: &str, text: &[u8]) {
    for canary in [SECRET, PASSWORD, TOKEN, HEADER] {
        let found = text.windows(canary.len()).any(|window| window == canary.as_bytes());
        assert!(!found, "{what} holds {canary}");
    }
}

#[tokio::test]
async fn case_084_answers_hold_no_secret() {
    let api = Api::start().await;
    api.organization("acme").await;
    let mut body = settings();
    body["url"] = json!(super::URL);
    let path = "/v1/organizations/acme/webhooks";
    let made = api.post(path, body).await;
    assert_no_canary("the creation", made.text.as_bytes());
    let made = made.created();
    assert_eq!(made["auth"], json!({"type": "basic", "username": "u", "password": null}));
    assert_eq!(made["headers"], json!({"X-Api-Key": "****", "X-Any": "seen"}));
    assert_eq!(made["secret"], json!(null), "a given secret is not repeated");
    let own = format!("{path}/{}", made["id"].as_str().unwrap());
    for path in [own.as_str(), path, "/v1/webhooks"] {
        assert_no_canary(path, api.get(path).await.text.as_bytes());
    }
    let edited = api.patch(&own, json!({"auth": {"type": "bearer", "token": TOKEN}})).await;
    assert_no_canary("an edit", edited.text.as_bytes());
    assert_eq!(edited.ok()["auth"], json!({"type": "bearer", "token": null}));
    assert_eq!(api.get(&format!("{own}/secret")).await.ok()["secret"], SECRET);
    api.stop().await;
}

#[tokio::test]
async fn case_084_errors_hold_no_secret() {
    let api = Api::start().await;
    api.organization("acme").await;
    let path = "/v1/organizations/acme/webhooks";
    let cases = [
        json!({"url": super::URL, "secret": format!("{SECRET}{SECRET}{SECRET}{SECRET}")}),
        json!({"url": super::URL, "secret": {"value": SECRET}}),
        json!({"url": super::URL, "auth": TOKEN}),
        json!({"url": super::URL, "auth": {"type": TOKEN}}),
        json!({"url": super::URL, "auth": {"type": "bearer", "token": format!("{TOKEN}\n")}}),
        json!({"url": super::URL, "auth": {"type": "bearer", "token": [TOKEN]}}),
        json!({"url": super::URL, "headers": {"X-Api-Key": format!("{HEADER}\r\n")}}),
        json!({"url": super::URL, "headers": {"X-Api-Key": [HEADER]}}),
        json!({"url": super::URL, "headers": HEADER}),
        json!({"url": super::URL, "timeout_seconds": PASSWORD}),
        json!({"url": format!("https://u:{PASSWORD}@93.184.216.34/")}),
    ];
    for body in cases {
        let reply = api.post(path, body.clone()).await;
        assert_no_canary(&body.to_string().replace("canary", "…"), reply.text.as_bytes());
        reply.problem(422, "validation_failed");
    }
    let refused = api.ask(Method::GET, path).key(TOKEN).send().await;
    assert_no_canary("a wrong key's answer", refused.text.as_bytes());
    api.stop().await;
}

#[tokio::test]
async fn case_090_the_database_holds_no_plaintext_secret() {
    let api = Api::start().await;
    api.organization("acme").await;
    let made = api.webhook("acme", settings()).await;
    let path = format!("/v1/organizations/acme/webhooks/{}", made["id"].as_str().unwrap());
    api.patch(&path, json!({"auth": {"type": "bearer", "token": TOKEN}})).await.ok();
    let ask = api.ask(Method::POST, "/v1/organizations/acme/webhooks").header("idempotency-key", "k");
    let generated = ask.json(&json!({"url": super::URL})).send().await.created()["secret"].as_str().unwrap().to_owned();
    let rotate = api.ask(Method::POST, &format!("{path}/secret/rotate")).header("idempotency-key", "r");
    let rotated = rotate.json(&json!({})).send().await.ok()["secret"].as_str().unwrap().to_owned();
    let key = api.ask(Method::POST, "/v1/api-keys").header("idempotency-key", "a");
    let key = key.json(&json!({"name": "a", "scopes": ["read"]})).send().await.created();
    let key = key["key"].as_str().unwrap().to_owned();
    let directory = api.stop_and_keep().await;
    let mut seen = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let file = entry.unwrap().path();
        if !is_database(&file) {
            continue;
        }
        seen += 1;
        let bytes = fs::read(&file).unwrap();
        assert_no_canary(&file.display().to_string(), &bytes);
        for secret in [&generated, &rotated, &key] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret that was made", file.display());
        }
    }
    assert!(seen > 0, "no database file was looked at");
}

fn is_database(file: &Path) -> bool {
    file.file_name().unwrap().to_str().unwrap().starts_with("fanfare.db")
}

#[tokio::test]
async fn case_090_a_wrong_master_key_refuses_to_start() {
    let api = Api::start().await;
    let directory = api.stop_and_keep().await;
    let sources = |master_key: Option<String>| Sources {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(directory.path().to_owned()),
        master_key,
        ..Sources::default()
    };
    let Err(error) = Server::start(&sources(Some("ab".repeat(32))), Arc::new(SystemClock)).await else {
        panic!("it started");
    };
    let text = format!("{error:#}");
    assert!(text.contains("master key") && !text.contains("abab"), "{text}");
    let server = Server::start(&sources(None), Arc::new(SystemClock)).await.unwrap();
    assert!(server.stop().await);
}
