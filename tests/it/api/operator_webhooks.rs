//! `/v1/operator-webhooks`.

use fanfare::config::Sources;
use serde_json::json;

use super::{Api, URL};

const PATH: &str = "/v1/operator-webhooks";

#[tokio::test]
async fn the_operators_webhooks_choose_from_operational_events() {
    let api = Api::start().await;
    api.post("/v1/event-types", json!({"name": "job.created"})).await.created();
    let made = api.post(PATH, json!({"url": URL, "events": ["webhook.auto_disabled"]})).await.created();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(made["organization_id"], json!(null));
    api.post(PATH, json!({"url": URL, "events": ["delivery.exhausted", "job.created"]})).await.invalid("events[1]");
    api.organization("acme").await;
    let body = json!({"url": URL, "events": ["webhook.auto_disabled"]});
    api.post("/v1/organizations/acme/webhooks", body).await.invalid("events[0]");
    api.stop().await;
}

#[tokio::test]
async fn the_operators_webhooks_have_a_profile_that_fits_them() {
    let api = Api::start_with(Sources { profile: Some("enate".to_owned()), ..Sources::default() }).await;
    let made = api.post(PATH, json!({"url": URL, "events": ["webhook.auto_disabled", "delivery.exhausted"]})).await;
    assert_eq!(made.created()["profile"], "standard");
    let other = api.post(PATH, json!({"url": URL, "profile": "enablenow"})).await.created();
    assert_eq!(other["profile"], "enablenow");
    api.post(PATH, json!({"url": URL, "profile": "nothing"})).await.invalid_because("profile", "one of cloudevents, ");
    api.organization("acme").await;
    let theirs = json!({"url": URL, "profile": "standard"});
    api.post("/v1/organizations/acme/webhooks", theirs).await.invalid_because("profile", "must be one of enate");
    api.stop().await;
}

#[tokio::test]
async fn the_operators_webhooks_are_managed_like_others() {
    let api = Api::start().await;
    let made = api.post(PATH, json!({"url": URL})).await.created();
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(api.patch(&path, json!({"name": "Ours"})).await.ok()["name"], "Ours");
    for (action, status) in
        [("disable", "deactivated"), ("enable", "active"), ("pause", "paused"), ("resume", "active")]
    {
        assert_eq!(api.post(&format!("{path}/{action}"), json!({})).await.ok()["status"], status);
    }
    assert_eq!(api.get(&format!("{path}/secret")).await.ok()["secret"], made["secret"]);
    let rotated = api.post(&format!("{path}/secret/rotate"), json!({})).await.ok();
    assert_eq!(rotated["previous"][0]["secret"], made["secret"]);
    assert_eq!(api.get(PATH).await.ok()["data"].as_array().unwrap().len(), 1);
    api.delete(&path).await.gone();
    api.get(&path).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn a_customers_webhook_is_not_among_them() {
    let api = Api::start().await;
    api.organization("acme").await;
    let webhook = api.webhook("acme", json!({})).await;
    let path = format!("{PATH}/{}", webhook["id"].as_str().unwrap());
    api.get(&path).await.problem(404, "not_found");
    api.delete(&path).await.problem(404, "not_found");
    api.stop().await;
}
