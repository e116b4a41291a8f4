//! `/v1/projects`.

use axum::http::Method;
use serde_json::json;

use super::{Api, START};

#[tokio::test]
async fn a_project_named_default_is_there_from_the_start() {
    let api = Api::start().await;
    let list = api.get("/v1/projects").await.ok();
    assert_eq!(list["data"][0]["name"], "default");
    assert_eq!(list["data"][0]["profile"], "standard");
    assert_eq!(list["next_cursor"], json!(null));
    let by_name = api.get("/v1/projects/default").await.ok();
    assert_eq!(by_name, api.get(&format!("/v1/projects/{}", by_name["id"].as_str().unwrap())).await.ok());
    api.stop().await;
}

#[tokio::test]
async fn projects_are_made_and_edited() {
    let api = Api::start().await;
    let made = api
        .post(
            "/v1/projects",
            json!({"name": "acme-production", "retention_days": 7, "theme": {"accent": "#0af"},
                   "frame_ancestors": ["https://app.example.com"], "allowed_profiles": ["standard"]}),
        )
        .await
        .created();
    assert_eq!((&made["retention_days"], &made["created_at"]), (&json!(7), &json!(START)));
    let path = "/v1/projects/acme-production";
    assert_eq!(api.get(path).await.ok(), made);
    let edited = api.patch(path, json!({"retention_days": null, "name": "acme"})).await.ok();
    assert_eq!((&edited["name"], &edited["retention_days"]), (&json!("acme"), &json!(null)));
    assert_eq!(edited["theme"], made["theme"]);
    api.get(path).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_project_is_named() {
    let api = Api::start().await;
    let cases = [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "prj_x"}), "name"),
        (json!({"name": "a", "profile": "none"}), "profile"),
        (json!({"name": "a", "allowed_profiles": ["standard", "none"]}), "allowed_profiles[1]"),
        (json!({"name": "a", "retention_days": 0}), "retention_days"),
        (json!({"name": "a", "retention_days": -1}), "retention_days"),
        (json!({"name": "a", "theme": {"accent": "red;} body {"}}), "theme.accent"),
        (json!({"name": "a", "theme": {"accent": "red"}}), "theme.accent"),
        (json!({"name": "a", "theme": {"logo": "http://cdn.example.com/a.png"}}), "theme.logo"),
        (json!({"name": "a", "theme": {"colour": "#0af"}}), "theme.colour"),
        (json!({"name": "a", "frame_ancestors": ["https://a.example;sandbox"]}), "frame_ancestors[0]"),
        (json!({"name": "a", "frame_ancestors": ["https://a.example/path"]}), "frame_ancestors[0]"),
        (json!({"name": "a", "colour": "red"}), "colour"),
    ];
    for (body, field) in cases {
        api.post("/v1/projects", body).await.invalid(field);
    }
    api.post("/v1/projects", json!({"name": "default"})).await.refuses(409, "taken", "name");
    api.patch("/v1/projects/nowhere", json!({})).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn other_keys_see_their_own_project_only_and_change_none() {
    let api = Api::start().await;
    api.post("/v1/projects", json!({"name": "other"})).await.created();
    let key = api.key(&["manage"], json!({"project": "other"})).await;
    let list = api.ask(Method::GET, "/v1/projects").key(&key).send().await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["name"], "other");
    api.ask(Method::GET, "/v1/projects/other").key(&key).send().await.ok();
    api.ask(Method::GET, "/v1/projects/default").key(&key).send().await.problem(404, "not_found");
    let body = json!({"name": "third"});
    api.ask(Method::POST, "/v1/projects").key(&key).json(&body).send().await.problem(403, "admin_only");
    api.ask(Method::PATCH, "/v1/projects/other").key(&key).json(&body).send().await.problem(403, "admin_only");
    api.stop().await;
}
