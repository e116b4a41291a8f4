//! The event catalogue.

use fanfare::config::Sources;
use serde_json::json;

use super::id;
use crate::api::Api;
use crate::api::sending::{Sink, local};

const PATH: &str = "/portal/catalogue";
const TYPE: &str = "/portal/catalogue/type?name=job.created";

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
async fn what_an_event_type_sends_is_on_its_own_page() {
    let api = Api::start().await;
    api.organization("acme").await;
    let (name, example) = ("own/event?a&b", json!({"canary": "example"}));
    let body = json!({"name": name, "description": "It <b>happened</b>", "example": example,
        "schema": {"type": "object", "title": "canary"}});
    api.post("/v1/event-types", body).await.created();
    let visit = api.visit("acme").await;
    let list = visit.get(PATH).await.ok();
    assert!(!list.text.contains("canary"), "the list has none of what may be long: {}", list.text);
    let href = list.attribute(".type-body a", "href").unwrap();
    assert_eq!(list.attribute(".type-body", "hx-get").unwrap(), href, "scripts ask for the same");
    let seen = visit.get(&href).await.ok();
    assert_eq!((seen.only("h1").as_str(), seen.only(".lead").as_str()), (name, "It <b>happened</b>"));
    assert_eq!(seen.texts(".type-body > pre"), ["{ \"canary\": \"example\" }"]);
    assert!(seen.only(".type-body details pre").contains("\"title\": \"canary\""));
    assert!(seen.attribute("[data-copy]", "data-copy").unwrap().contains("\n  \"canary\""));
    visit.get(&format!("{PATH}/type?name=other")).await.with(404);
    api.stop().await;
}

#[tokio::test]
async fn more_types_than_a_page_has_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = directory.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    let types: String = (0..501).map(|number| format!("[[event_types]]\nname = \"type.{number:03}\"\n")).collect();
    std::fs::write(profiles.join("many.toml"), format!("name = \"many\"\n{types}")).unwrap();
    let sources = Sources { profiles_dir: Some(profiles), profile: Some("many".to_owned()), ..Sources::default() };
    let api = Api::start_in(directory, sources).await;
    api.organization("acme").await;
    let visit = api.visit("acme").await;
    let all = visit.get(PATH).await.ok();
    assert_eq!((all.count("details.type"), all.only(".list > .muted").starts_with("There are more")), (500, true));
    let found = visit.get(&format!("{PATH}?search=type.500")).await.ok();
    assert_eq!((found.count("details.type"), found.count(".list > .muted")), (1, 0));
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
    assert_eq!(visit.get(TYPE).await.ok().count("input[name=webhook]"), 0, "one needs no search");
    for number in 0..200 {
        api.webhook("acme", json!({"name": format!("Off {number}"), "enabled": false})).await;
    }
    let seen = visit.get(TYPE).await.ok();
    assert_eq!(seen.texts(choices), ["The oldest"], "those that are off stand in nobody's way");
    assert_eq!(seen.count("input[name=webhook]"), 0);
    for number in 0..200 {
        api.webhook("acme", json!({"name": format!("Newer {number}")})).await;
    }
    let seen = visit.get(TYPE).await.ok();
    assert_eq!((seen.count(choices), seen.count("input[name=webhook]")), (200, 1));
    assert!(!seen.texts(choices).contains(&"The oldest".to_owned()));
    assert!(seen.text.contains("There may be more webhooks than these."), "{}", seen.text);
    assert_eq!(visit.get(&format!("{TYPE}&webhook=oldest")).await.ok().texts(choices), ["The oldest"]);
    let none = visit.get(&format!("{TYPE}&webhook=nothing")).await.ok();
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
    assert!(visit.get(TYPE).await.ok().text.contains("Add a webhook that is on"));
    let webhook = id(&api.webhook("acme", json!({"name": "Orders", "url": sink.url})).await);
    api.webhook("acme", json!({"name": "Off", "enabled": false})).await;
    let seen = visit.get(TYPE).await.ok();
    assert_eq!(seen.texts("select[name=webhook] option"), ["Orders"]);
    assert!(seen.only(".type-body pre").contains("\"example of\": \"job.created\""));
    let fields = [("webhook", webhook.as_str()), ("event_type", "job.created")];
    let delivery = visit.post("/portal/catalogue/send", &fields).await.leads();
    assert_eq!(sink.next().await["data"], json!({"example of": "job.created"}));
    visit.get(&delivery).await.ok();
    api.stop().await;
}
