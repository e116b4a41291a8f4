//! Deliveries found by a text.

use serde_json::{Value, json};

use super::Api;

fn kinds(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["event_type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn deliveries_are_found_by_ids_types_and_webhooks() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.organization("other").await;
    api.event_types(&["job.created", "order_100%.paid"]).await;
    for (org, name, events) in
        [("acme", "Ärzte", json!(["job.created"])), ("acme", "Shop", json!("all")), ("other", "Shop", json!("all"))]
    {
        let webhook =
            api.webhook(org, json!({"name": name, "events": events})).await["id"].as_str().unwrap().to_owned();
        // Nothing is sent.
        api.post(&format!("/v1/organizations/{org}/webhooks/{webhook}/pause"), json!({})).await.ok();
    }
    let post = async |org: &str, event: Value| {
        let reply = api.post(&format!("/v1/organizations/{org}/events"), event).await.with(202);
        reply["id"].as_str().unwrap().to_owned()
    };
    let created = post("acme", json!({"type": "job.created", "data": {}, "id": "host-7"})).await;
    post("acme", json!({"type": "order_100%.paid", "data": {}})).await;
    post("other", json!({"type": "job.created", "data": {}, "id": "host-7"})).await;
    let own = "/v1/organizations/acme/deliveries";
    let first = api.get(own).await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    for (search, found) in [
        (first.as_str(), vec!["order_100%.paid"]),
        (&created, vec!["job.created", "job.created"]),
        ("host-7", vec!["job.created", "job.created"]),
        ("JOB", vec!["job.created", "job.created"]),
        ("100%", vec!["order_100%.paid"]),
        ("j_b", vec![]),
        ("ärz", vec!["job.created"]),
        ("93.184.216.34", vec!["order_100%.paid", "job.created", "job.created"]),
        ("dlv_0000000000000", vec![]),
        ("evt_0000000000000", vec![]),
    ] {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.append_pair("search", search).finish();
        assert_eq!(kinds(&api.get(&format!("{own}?{query}")).await.ok()), found, "{search}");
    }
    assert_eq!(kinds(&api.get("/v1/deliveries?search=shop").await.ok()).len(), 3);
    assert!(
        kinds(&api.get("/v1/deliveries?search=host-7").await.ok()).is_empty(),
        "hosts' ids are an organization's own"
    );
    let narrowed = format!("{own}?search=host-7&event={first}");
    assert!(kinds(&api.get(&narrowed.replace(&first, "evt_0000000000000")).await.ok()).is_empty());
    // It goes on where it ended.
    let piece = api.get(&format!("{own}?search=job&limit=1")).await.ok();
    let rest =
        api.get(&format!("{own}?search=job&limit=1&cursor={}", piece["next_cursor"].as_str().unwrap())).await.ok();
    assert_ne!(piece["data"][0]["id"], rest["data"][0]["id"]);
    let long = "x".repeat(257);
    api.get(&format!("{own}?search={long}")).await.refuses(400, "invalid_parameter", "search");
    let preview = api.post("/v1/deliveries/resend", json!({"search": "shop", "preview": true})).await.ok();
    assert_eq!(preview["count"], 3, "{preview}");
    api.stop().await;
}
