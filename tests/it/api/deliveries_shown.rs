//! Profiles that show only the newest deliveries of a webhook.

use fanfare::config::Sources;
use serde_json::{Value, json};

use super::Api;

const PROFILE: &str = r#"
name = "short-log"
[url]
schemes = ["https"]
[events]
all = true
[payload]
raw = true
[log]
deliveries_shown = 3
"#;

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_view_of_one_webhook_shows_its_newest_over_all_pages() {
    let profiles = tempfile::tempdir().unwrap();
    std::fs::write(profiles.path().join("short.toml"), PROFILE).unwrap();
    let api = Api::start_with(Sources {
        profiles_dir: Some(profiles.path().to_owned()),
        profile: Some("short-log".to_owned()),
        ..Sources::default()
    })
    .await;
    api.organization("acme").await;
    api.post("/v1/event-types", json!({"name": "job.created"})).await.created();
    let mut webhooks = Vec::new();
    for _ in 0..2 {
        let id = api.webhook("acme", json!({"name": "w", "events": "all"})).await["id"].as_str().unwrap().to_owned();
        // Nothing is sent.
        api.post(&format!("/v1/organizations/acme/webhooks/{id}/pause"), json!({})).await.ok();
        webhooks.push(id);
    }
    for n in 0..5 {
        api.post("/v1/organizations/acme/events", json!({"type": "job.created", "data": {"n": n}})).await;
    }
    let all = ids(&api.get("/v1/organizations/acme/deliveries").await.ok());
    assert_eq!(all.len(), 10, "only the view of one webhook ends early");
    for path in ["/v1/deliveries", "/v1/organizations/acme/deliveries"] {
        let first = api.get(&format!("{path}?webhook={}&limit=2", webhooks[0])).await.ok();
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = api.get(&format!("{path}?webhook={}&limit=2&cursor={cursor}", webhooks[0])).await.ok();
        assert_eq!((ids(&first).len(), ids(&rest).len()), (2, 1), "{path}");
        assert!(rest["next_cursor"].is_null(), "{path}");
        assert!(all[..2].contains(&ids(&first)[0]), "{path}: the newest first");
    }
    // The rest is kept.
    let oldest = all.last().unwrap();
    api.get(&format!("/v1/organizations/acme/deliveries/{oldest}")).await.ok();
    api.stop().await;
}
