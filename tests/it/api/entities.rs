//! `/v1/organizations/{org}/entities`.

use axum::http::Method;
use serde_json::json;

use super::{Api, START};

const PACKET: &str = "/v1/organizations/acme/entities/Packet/17%2Fa";

#[tokio::test]
async fn what_an_entity_belongs_to_is_told_and_forgotten() {
    let api = Api::start().await;
    for org in ["acme", "other"] {
        api.organization(org).await;
    }
    api.get(PACKET).await.problem(404, "not_found");
    let scope = json!([{"type": "Company", "id": "c"}, {"type": "Contract", "id": "d"}]);
    let told = api.put(PACKET, json!({"scope": scope})).await.ok();
    let expected = json!({"type": "Packet", "id": "17/a", "scope": scope, "told_by": "host", "updated_at": START});
    assert_eq!(told, expected);
    assert_eq!(api.get(PACKET).await.ok(), expected);
    assert_eq!(api.put(PACKET, json!({"scope": []})).await.ok()["scope"], json!([]));
    api.get("/v1/organizations/other/entities/Packet/17%2Fa").await.problem(404, "not_found");
    api.delete(PACKET).await.gone();
    api.delete(PACKET).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn a_scope_is_bounded_and_the_hosts() {
    let api = Api::start().await;
    api.organization("acme").await;
    let scope = |count: usize| (0..count).map(|n| json!({"type": "T", "id": n.to_string()})).collect::<Vec<_>>();
    api.put(PACKET, json!({"scope": scope(100)})).await.ok();
    api.put(PACKET, json!({"scope": scope(101)})).await.invalid("scope");
    api.put(PACKET, json!({"scope": [{"type": "T", "id": ""}]})).await.invalid("scope[0].id");
    api.put(PACKET, json!({})).await.invalid("scope");
    let long = format!("/v1/organizations/acme/entities/Packet/{}", "x".repeat(256));
    api.put(&long, json!({"scope": []})).await.invalid("entity.id");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let ask = api.ask(method, PACKET).header("fanfare-user", "anna").json(&json!({"scope": []}));
        ask.send().await.problem(403, "permission_denied");
    }
    assert_eq!(api.get(PACKET).await.ok()["scope"].as_array().unwrap().len(), 100);
    api.stop().await;
}

/// Only where a profile asks for access to entities is it noted what they belong to.
#[tokio::test]
async fn events_teach_where_it_matters() {
    let with_rules = super::permissions::start().await;
    let without = Api::start().await;
    without.organization("acme").await;
    let packet = "/v1/organizations/acme/entities/Packet/17";
    for (api, matters) in [(&with_rules, true), (&without, false)] {
        api.post("/v1/event-types", json!({"name": "packet.updated"})).await.created();
        let event = |company: &str| {
            json!({"type": "packet.updated", "data": {}, "entity": {"type": "Packet", "id": "17"},
                "scope": [{"type": "Company", "id": company}]})
        };
        api.post("/v1/organizations/acme/events", event("c")).await.with(202);
        if !matters {
            api.get(packet).await.problem(404, "not_found");
            continue;
        }
        let known = api.get(packet).await.ok();
        assert_eq!((&known["told_by"], &known["scope"][0]["id"]), (&json!("event"), &json!("c")));
        // What was said last holds, whoever said it.
        api.put(packet, json!({"scope": [{"type": "Company", "id": "d"}]})).await.ok();
        api.post("/v1/events/batch", json!({"events": [super::permissions::of("acme", event("e"))]})).await.with(202);
        let known = api.get(packet).await.ok();
        assert_eq!((&known["told_by"], &known["scope"][0]["id"]), (&json!("event"), &json!("e")));
    }
    with_rules.stop().await;
    without.stop().await;
}

/// A project that is given such a profile later learns from then on.
#[tokio::test]
async fn events_teach_once_the_project_allows_a_profile_that_asks() {
    let api = super::permissions::start_unused().await;
    api.post("/v1/event-types", json!({"name": "packet.updated"})).await.created();
    let packet = "/v1/organizations/acme/entities/Packet/17";
    let event = json!({"type": "packet.updated", "data": {}, "entity": {"type": "Packet", "id": "17"},
        "scope": [{"type": "Company", "id": "c"}]});
    api.post("/v1/organizations/acme/events", event.clone()).await.with(202);
    api.get(packet).await.problem(404, "not_found");
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["guarded"]})).await.ok();
    api.post("/v1/organizations/acme/events", event).await.with(202);
    api.get(packet).await.ok();
    api.stop().await;
}
