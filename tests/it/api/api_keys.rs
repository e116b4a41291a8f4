//! `/v1/api-keys`.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::Api;

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_deleted() {
    let api = Api::start().await;
    let made = api.post("/v1/api-keys", json!({"name": "ci", "scopes": ["read"]})).await.created();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("ffk_"), "{key}");
    let list = api.get("/v1/api-keys").await;
    assert!(!list.text.contains(key), "{list:?}");
    assert_eq!(list.ok()["data"][0]["id"], made["id"]);
    api.ask(Method::GET, "/v1/organizations").key(key).send().await.ok();
    api.delete(&format!("/v1/api-keys/{}", made["id"].as_str().unwrap())).await.gone();
    api.ask(Method::GET, "/v1/organizations").key(key).send().await.problem(401, "unauthenticated");
    api.delete(&format!("/v1/api-keys/{}", made["id"].as_str().unwrap())).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn case_082_an_expired_key_is_refused() {
    let api = Api::start().await;
    let key = api.key(&["read"], json!({"expires_at": "2026-11-22T09:31:00Z"})).await;
    api.ask(Method::GET, "/v1/organizations").key(&key).send().await.ok();
    api.clock.advance(Duration::from_secs(60));
    api.ask(Method::GET, "/v1/organizations").key(&key).send().await.problem(401, "unauthenticated");
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_named() {
    let api = Api::start().await;
    let cases = [
        (json!({"scopes": ["read"]}), "name"),
        (json!({"name": "a", "scopes": []}), "scopes"),
        (json!({"name": "a", "scopes": ["read", "write"]}), "scopes[1]"),
        (json!({"name": "a", "scopes": ["read"], "organization": "nobody"}), "organization"),
        (json!({"name": "a", "scopes": ["read"], "user": "u"}), "user"),
        (json!({"name": "a", "scopes": ["read"], "expires_at": "2026-11-22T09:30:00Z"}), "expires_at"),
        (json!({"name": "a", "scopes": ["read"], "expires_at": "tomorrow"}), "expires_at"),
    ];
    for (body, field) in cases {
        api.post("/v1/api-keys", body).await.invalid(field);
    }
    api.stop().await;
}

#[tokio::test]
async fn a_key_of_another_project_is_not_there() {
    let api = Api::start().await;
    api.post("/v1/projects", json!({"name": "other"})).await.created();
    let key = api.key(&["manage"], json!({"project": "other"})).await;
    let made = api.post("/v1/api-keys", json!({"name": "a", "scopes": ["read"]})).await.created();
    let path = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
    api.ask(Method::DELETE, &path).key(&key).send().await.problem(404, "not_found");
    let body = json!({"name": "a", "scopes": ["read"], "project": "default"});
    api.ask(Method::POST, "/v1/api-keys").key(&key).json(&body).send().await.problem(403, "admin_only");
    assert_eq!(api.get("/v1/api-keys?project=other").await.ok()["data"].as_array().unwrap().len(), 1);
    api.stop().await;
}
