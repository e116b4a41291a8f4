//! What profiles decide beside the wire: sending by hand, event names, imported logins, what the log is called.

use std::fs;

use fanfare::config::Sources;
use serde_json::{Value, json};

use super::sending::{Sink, local};
use super::{Api, URL};

const HOOKS: &str = "/v1/organizations/acme/webhooks";
const DELIVERIES: &str = "/v1/organizations/acme/deliveries";

/// A server whose default profile has these lines.
async fn start(profile: &str) -> Api {
    let directory = tempfile::tempdir().unwrap();
    let profiles = directory.path().join("profiles");
    fs::create_dir(&profiles).unwrap();
    fs::write(profiles.join("own.toml"), format!("name = \"own\"\n{profile}\n")).unwrap();
    let sources = Sources { profiles_dir: Some(profiles), profile: Some("own".to_owned()), ..local() };
    let api = Api::start_in(directory, sources).await;
    api.organization("acme").await;
    api
}

#[tokio::test]
async fn a_profile_forbids_sending_by_hand() {
    let mut sink = Sink::start().await;
    let api = start("[retry]\nby_hand = false").await;
    api.event_types(&["job.created"]).await;
    sink.answer(500);
    let hook = api.webhook("acme", json!({"url": sink.url})).await["id"].as_str().unwrap().to_owned();
    api.post("/v1/organizations/acme/events", json!({"type": "job.created", "data": {}})).await.accepted();
    sink.next().await;
    api.until_state("exhausted", 1).await;
    sink.answer(200);
    let delivery = api.get(DELIVERIES).await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    for (path, body) in [
        (format!("{DELIVERIES}/{delivery}/resend"), json!({})),
        (format!("{HOOKS}/{hook}/recover"), json!({"since": super::START})),
        (format!("{HOOKS}/{hook}/recover"), json!({"since": super::START, "preview": true})),
        ("/v1/deliveries/resend".to_owned(), json!({"webhook": hook})),
    ] {
        let refused = api.post(&path, body).await.problem(409, "invalid_state");
        assert!(refused["detail"].as_str().unwrap().contains("forbids sending a delivery again"), "{path}: {refused}");
    }
    // Of all, those of other profiles are sent again.
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["standard"]})).await.ok();
    sink.answer(500);
    let retry = json!({"delays_seconds": [], "jitter": 0.0});
    api.webhook("acme", json!({"url": sink.url, "profile": "standard", "retry": retry})).await;
    api.post("/v1/organizations/acme/events", json!({"type": "job.created", "data": {}})).await.accepted();
    sink.next().await;
    sink.next().await;
    api.until_state("exhausted", 3).await;
    sink.answer(200);
    api.post("/v1/deliveries/resend", json!({"all": true})).await.accepted();
    sink.next().await;
    api.until_state("delivered", 1).await;
    let left = api.get(&format!("{DELIVERIES}?state=exhausted")).await.ok();
    assert_eq!(left["data"].as_array().unwrap().len(), 2, "{left}");
    // A test is no delivery that is sent again.
    api.post(&format!("{HOOKS}/{hook}/test"), json!({"event_type": "job.created"})).await.accepted();
    sink.next().await;
    api.stop().await;
}

#[tokio::test]
async fn a_profile_takes_event_names_that_the_catalogue_lacks() {
    let mut sink = Sink::start().await;
    let api = start("[events]\nopen = true").await;
    api.webhook("acme", json!({"url": sink.url, "events": ["Schedule.Created"]})).await;
    api.post(HOOKS, json!({"url": URL, "events": ["no name"]})).await.invalid("events");
    let event = |kind: &str| json!({"type": kind, "data": {"n": 1}});
    let posted = api.post("/v1/organizations/acme/events", event("Schedule.Created")).await.accepted();
    assert_eq!(posted["deliveries"], 1);
    assert_eq!(sink.next().await, json!({"n": 1}));
    api.post("/v1/organizations/acme/events", event("no name")).await.invalid("type");
    api.until_state("delivered", 1).await;
    api.stop().await;

    let api = Api::start().await;
    api.organization("acme").await;
    api.post(HOOKS, json!({"url": URL, "events": ["Schedule.Created"]})).await.invalid("events[0]");
    api.post("/v1/organizations/acme/events", event("Schedule.Created")).await.invalid("type");
    api.stop().await;
}

#[tokio::test]
async fn an_imported_url_with_a_login_becomes_basic_authentication() {
    let api = Api::start().await;
    api.organization("acme").await;
    let url = "https://hook:s%40cret@93.184.216.34/hook?a=b@c";
    let made = api.webhook("acme", json!({"url": url, "number": 7})).await;
    assert_eq!(made["url"], "https://93.184.216.34/hook?a=b@c");
    assert_eq!(made["auth"], json!({"type": "basic", "username": "hook", "password": null}));
    // A URL that a person types has none.
    api.post(HOOKS, json!({"url": url})).await.invalid("url");
    // Nor where the webhook says how it logs in, or its profile does not.
    let auth = json!({"type": "bearer", "token": "t"});
    api.post(HOOKS, json!({"url": url, "number": 8, "auth": auth})).await.invalid("url");
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["enablenow"]})).await.ok();
    api.post(HOOKS, json!({"url": url, "number": 8, "profile": "enablenow"})).await.invalid("url");
    api.stop().await;
}

#[tokio::test]
async fn webhooks_that_must_have_names_and_events_have_them() {
    let api = start("name_required = true\n[events]\nrequired = true").await;
    api.event_types(&["job.created"]).await;
    let create = async |members: Value| {
        let mut body = json!({"url": URL});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        api.post(HOOKS, body).await
    };
    create(json!({"events": "all"})).await.invalid("name");
    create(json!({"name": "x"})).await.invalid_because("events", "at least one");
    create(json!({"name": "x", "events": []})).await.invalid("events");
    let made = create(json!({"name": "x", "events": "all"})).await.created();
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    api.patch(&path, json!({"name": ""})).await.invalid("name");
    api.stop().await;
}
