//! The event catalogue.

use fanfare::config::Sources;
use serde_json::json;

use super::id;
use crate::api::Api;
use crate::api::sending::{Sink, local};

const PATH: &str = "/portal/catalogue";

#[tokio::test]
async fn events_are_described_by_kind_and_found() {
    let sources = Sources { profile: Some("one-click-contractor".to_owned()), ..Sources::default() };
    let api = Api::start_with(sources).await;
    api.organization("acme").await;
    api.post(
        "/v1/event-types",
        json!({"name": "own.event", "description": "Something <b>else</b>", "schema": {"type": "object"}}),
    )
    .await
    .created();
    let visit = api.visit("acme").await;
    let seen = visit.get(PATH).await.ok();
    assert_eq!(seen.texts("h2.kind"), ["Job", "Estimate", "Signed Document", "Signable Document", "Other"]);
    assert_eq!(seen.texts("details.type").len(), 11);
    assert!(seen.only("[id='type-own.event']").contains("Something <b>else</b>"));
    assert_eq!(visit.get(&format!("{PATH}?search=ESTIMATE")).await.ok().texts("h2.kind"), ["Estimate"]);
    let nothing = visit.get(&format!("{PATH}?search=zzz")).await.ok();
    assert_eq!(nothing.only(".empty h2"), "No event matches");
    api.stop().await;
}

#[tokio::test]
async fn where_webhooks_are_many_those_to_send_to_are_searched() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let visit = api.visit("acme").await;
    api.webhook("acme", json!({"name": "The oldest"})).await;
    let choices = "select[name=webhook] option";
    assert_eq!(visit.get(PATH).await.ok().count("input[name=webhook]"), 0, "one needs no search");
    for number in 0..200 {
        api.webhook("acme", json!({"name": format!("Newer {number}")})).await;
    }
    let seen = visit.get(PATH).await.ok();
    assert_eq!((seen.count(choices), seen.count("input[name=webhook]")), (200, 1));
    assert!(!seen.texts(choices).contains(&"The oldest".to_owned()));
    assert_eq!(visit.get(&format!("{PATH}?webhook=oldest")).await.ok().texts(choices), ["The oldest"]);
    let none = visit.get(&format!("{PATH}?webhook=nothing")).await.ok();
    assert!(none.text.contains("None of the webhooks that the search finds is on."), "{}", none.text);
    api.stop().await;
}

#[tokio::test]
async fn an_example_is_sent_to_a_webhook() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let visit = api.visit("acme").await;
    assert!(visit.get(PATH).await.ok().text.contains("Add a webhook that is on"));
    let webhook = id(&api.webhook("acme", json!({"name": "Orders", "url": sink.url})).await);
    api.webhook("acme", json!({"name": "Off", "enabled": false})).await;
    let seen = visit.get(PATH).await.ok();
    assert_eq!(seen.texts("select[name=webhook] option"), ["Orders"]);
    assert!(seen.only("details.type pre").contains("\"example of\": \"job.created\""));
    let fields = [("webhook", webhook.as_str()), ("event_type", "job.created")];
    let delivery = visit.post("/portal/catalogue/send", &fields).await.leads();
    assert_eq!(sink.next().await["data"], json!({"example of": "job.created"}));
    visit.get(&delivery).await.ok();
    api.stop().await;
}
