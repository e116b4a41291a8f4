//! `/v1/organizations`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::SCAN;
use fanfare_store::catalogue::organizations::{self, Organization};
use fanfare_store::query::Change;
use serde_json::{Value, json};

use super::Api;

#[tokio::test]
async fn organizations_are_known_by_both_ids() {
    let api = Api::start().await;
    let body = json!({"name": "Acme", "external_id": "a/1 ü", "metadata": {"plan": "gold"}});
    let made = api.post("/v1/organizations", body).await.created();
    let by_id = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
    assert_eq!(api.get(&by_id).await.ok(), made);
    assert_eq!(api.get("/v1/organizations/a%2F1%20%C3%BC").await.ok(), made);
    let edited = api.patch(&by_id, json!({"external_id": null})).await.ok();
    assert_eq!((&edited["external_id"], &edited["metadata"]), (&Value::Null, &json!({"plan": "gold"})));
    api.get("/v1/organizations/a%2F1%20%C3%BC").await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn put_makes_or_edits_by_the_external_id() {
    let api = Api::start().await;
    let path = "/v1/organizations/acme";
    let made = api.put(path, json!({"name": "Acme"})).await.created();
    assert_eq!(made["external_id"], "acme");
    let edited = api.put(path, json!({"name": "Acme Ltd", "external_id": "acme"})).await.ok();
    assert_eq!((&edited["id"], &edited["name"]), (&made["id"], &json!("Acme Ltd")));
    api.put(path, json!({"name": "Acme", "external_id": "other"})).await.invalid("external_id");
    let own = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
    assert_eq!(api.put(&own, json!({"name": "By id"})).await.ok()["external_id"], "acme");
    api.put("/v1/organizations/org_0000000000000", json!({"name": "None"})).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn what_a_put_does_not_change_stays_as_it_is() {
    let api = Api::start().await;
    let path = "/v1/organizations/acme";
    let body = json!({"name": "Acme", "metadata": {"plan": "gold"}});
    let made = api.put(path, body.clone()).await.created();
    api.pass(Duration::from_secs(60));
    assert_eq!(api.put(path, body).await.ok(), made, "nothing is written");
    let edited = api.patch(path, json!({"name": "Acme Ltd"})).await.ok();
    assert_ne!(edited["updated_at"], made["updated_at"]);
    api.stop().await;
}

#[tokio::test]
async fn organizations_are_found_by_a_part_of_their_name() {
    let api = Api::start().await;
    let made = api.put("/v1/organizations/kunde-1", json!({"name": "Ärzte GmbH"})).await.created();
    let found = async |query: &str| api.get(&format!("/v1/organizations?{query}")).await.ok();
    for search in ["%C3%84rzte", "%C3%A4RZTE%20g", "KUNDE-"] {
        assert_eq!(found(&format!("search={search}")).await["data"], json!([made]), "{search}");
    }
    // A search that passes over many goes on from where it stopped.
    let other = || Organization {
        id: api.app().ids.next(),
        project: api.app().default_project,
        name: "x".to_owned(),
        external_id: None,
        metadata: BTreeMap::new(),
        version: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    let steps = (0..SCAN).flat_map(|_| organizations::insert(&other()).steps).collect();
    api.app().store.change(Change { steps }, None).await.unwrap();
    let first = found("search=kunde").await;
    assert_eq!(first["data"], json!([]));
    let next = found(&format!("search=kunde&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&next["data"], &next["next_cursor"]), (&json!([made]), &Value::Null));
    api.stop().await;
}

#[tokio::test]
async fn many_puts_at_once_make_one_organization() {
    let api = Api::start().await;
    let ask = || api.put("/v1/organizations/acme", json!({"name": "Acme"}));
    let replies = futures_util::future::join_all((0..50).map(|_| ask())).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 1);
    assert!(replies.iter().all(|reply| reply.status.is_success()));
    assert_eq!(api.get("/v1/organizations").await.ok()["data"].as_array().unwrap().len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_organization_is_named() {
    let api = Api::start().await;
    api.organization("acme").await;
    let cases = [
        (json!({}), "name"),
        (json!({"name": "  "}), "name"),
        (json!({"name": "a", "external_id": "org_1"}), "external_id"),
        (json!({"name": "a", "external_id": ""}), "external_id"),
        (json!({"name": "a", "external_id": "x".repeat(256)}), "external_id"),
        (json!({"name": "a", "metadata": {"k": 1}}), "metadata.k"),
        (json!({"name": "a", "metadata": {"k": "x".repeat(513)}}), "metadata"),
    ];
    for (body, field) in cases {
        api.post("/v1/organizations", body).await.invalid(field);
    }
    api.post("/v1/organizations", json!({"name": "a", "external_id": "acme"})).await.refuses(
        409,
        "taken",
        "external_id",
    );
    api.stop().await;
}

#[tokio::test]
async fn an_organization_goes_with_its_webhooks_keys_and_pauses() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.webhook("acme", json!({})).await;
    let key = api.key(&["manage"], json!({"organization": "acme"})).await;
    api.post("/v1/pauses", json!({"organization": "acme"})).await.created();
    api.ask(Method::GET, "/v1/organizations/acme").key(&key).send().await.ok();
    api.delete("/v1/organizations/acme").await.gone();
    api.get("/v1/organizations/acme").await.problem(404, "not_found");
    api.delete("/v1/organizations/acme").await.problem(404, "not_found");
    api.ask(Method::GET, "/v1/organizations/acme").key(&key).send().await.problem(401, "unauthenticated");
    assert_eq!(api.get("/v1/webhooks").await.ok()["data"], json!([]));
    assert_eq!(api.get("/v1/pauses").await.ok()["data"], json!([]));
    api.stop().await;
}

#[tokio::test]
async fn the_operators_own_organization_is_never_shown() {
    let api = Api::start().await;
    api.post("/v1/operator-webhooks", json!({"url": super::URL})).await.created();
    assert_eq!(api.get("/v1/organizations").await.ok()["data"], json!([]));
    assert_eq!(api.get("/v1/webhooks").await.ok()["data"], json!([]));
    // It was made right after the project, by the same node, so its id is the next one.
    let project = api.get("/v1/projects/default").await.ok()["id"].as_str().unwrap().replace("prj_", "");
    let (head, last) = project.split_at(project.len() - 1);
    let next = "123456789abcdefghjkmnpqrstvwxyz".chars().nth("0123456789abcdefghjkmnpqrstvwxyz".find(last).unwrap());
    let path = format!("/v1/organizations/org_{head}{}", next.unwrap());
    api.get(&path).await.problem(404, "not_found");
    api.delete(&path).await.problem(404, "not_found");
    api.get(&format!("{path}/webhooks")).await.problem(404, "not_found");
    api.stop().await;
}
