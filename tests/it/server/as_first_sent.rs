//! Retries of a profile that sends them as the first attempt was.

use fanfare_engine::time::Timestamp;
use serde_json::json;

use super::client::Api;
use super::patience::until;
use super::process::Home;
use super::receiver::{Receiver, Reply};
use super::scene::{ORG, TYPE, event};

/// Retries a second apart, in one of two content types.
const PROFILE: &str = r#"
name = "as-first-sent"
[url]
schemes = ["http"]
[events]
all = true
[content_type]
allowed = ["application/json", "application/x-www-form-urlencoded"]
[payload]
fields = [{ name = "title", text = "to {webhook.url}" }, { name = "data", from = "event.data" }]
[[headers]]
name = "webhook-id"
value = "{message.id}"
[[headers]]
name = "x-time"
value = "{time.millis}"
[[signatures]]
header = "x-signature"
algorithm = "hmac-sha256"
input = "{time.millis}.{body}"
[secret]
rule = "given"
[retry]
delays_seconds = [1, 1, 1, 1, 1, 1, 1, 1]
sends = "as-first-sent"
"#;

#[tokio::test]
async fn a_retry_is_the_first_request_signed_anew_whatever_was_edited_meanwhile() {
    let home = Home::new();
    let profiles = home.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join("first.toml"), PROFILE).unwrap();
    let launch = home.launch().set("FANFARE_PROFILES_DIR", &profiles.display().to_string());
    let server = launch.set("FANFARE_PROFILE", "as-first-sent").start().await;
    let api = server.api();
    api.make_event_type(&json!({"name": TYPE})).await;
    api.make_organization(ORG).await;
    let receiver = Receiver::start().await;
    let new = json!({"name": "w", "url": receiver.url("/first"), "events": "all", "secret": "old secret"});
    let webhook = api.make_webhook(ORG, &new).await;
    receiver.always(500);
    let id = api.post_event(ORG, &event(json!({"n": 1}))).await;
    receiver.received_at("/first", 1).await;

    let path = format!("/v1/organizations/{ORG}/webhooks/{}", webhook.id);
    let edited = json!({"url": receiver.url("/second"), "content_type": "application/x-www-form-urlencoded"});
    api.patch(&path, &edited).await.expect(200);
    let before = receiver.requests().len();
    receiver.script(move |request| Reply::status(if request.number <= before + 1 { 500 } else { 200 }));
    let delivery = api.settled(ORG, &id, "delivered").await;
    resend(&api, &delivery["id"]).await;
    let requests = receiver.received(before + 3).await;
    assert!(requests.iter().all(|request| request.path == "/first"), "what was edited does not matter");
    let first = &requests[0];
    for again in &requests[1..] {
        assert_eq!((&again.body, again.id()), (&first.body, first.id()));
        assert_eq!(again.header("content-type"), "application/json");
        assert_ne!(again.header("x-time"), first.header("x-time"));
        assert_ne!(again.header("x-signature"), first.header("x-signature"));
    }
    until("the resend is logged", async || {
        let attempts = api.attempts(&delivery).await;
        (attempts.len() == requests.len()).then_some(())
    })
    .await;
    for attempt in api.attempts(&delivery).await {
        assert_eq!(attempt["request"]["url"], receiver.url("/first"), "{attempt}");
        assert_eq!(attempt["request"]["body"].as_str().unwrap().as_bytes(), &first.body[..], "{attempt}");
    }

    // A new event is sent as the webhook is now.
    let next = api.post_event(ORG, &event(json!({"n": 2}))).await;
    let second = receiver.received_at("/second", 1).await.into_iter().find(|request| request.path == "/second");
    let second = second.unwrap();
    assert_eq!((second.id(), second.header("content-type")), (next.as_str(), "application/x-www-form-urlencoded"));
    server.stop().await;
}

#[tokio::test]
async fn what_the_old_address_answers_says_nothing_about_the_new_one() {
    let home = Home::new();
    let profiles = home.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join("first.toml"), format!("{PROFILE}[auto_disable]\non_410 = true\n")).unwrap();
    let launch = home.launch().set("FANFARE_PROFILES_DIR", &profiles.display().to_string());
    let server = launch.set("FANFARE_PROFILE", "as-first-sent").start().await;
    let api = server.api();
    api.make_event_type(&json!({"name": TYPE})).await;
    api.make_organization(ORG).await;
    let receiver = Receiver::start().await;
    let new = json!({"name": "w", "url": receiver.url("/old"), "events": "all", "secret": "a secret"});
    let webhook = api.make_webhook(ORG, &new).await;
    receiver.script(|request| match request.path.as_str() {
        "/old" if request.number == 1 => Reply::status(500),
        "/old" => Reply::status(410),
        _ => Reply::status(200),
    });
    let id = api.post_event(ORG, &event(json!({"n": 1}))).await;
    receiver.received_at("/old", 1).await;
    let path = format!("/v1/organizations/{ORG}/webhooks/{}", webhook.id);
    api.patch(&path, &json!({"url": receiver.url("/new")})).await.expect(200);
    let delivery = api.settled(ORG, &id, "exhausted").await;
    assert_eq!(delivery["response_code"], 410);
    assert_eq!(api.webhook(&webhook).await["status"], "active");
    let next = api.post_event(ORG, &event(json!({"n": 2}))).await;
    api.settled(ORG, &next, "delivered").await;
    server.stop().await;
}

#[tokio::test]
async fn a_retry_waits_while_the_host_of_the_first_request_is_held() {
    let home = Home::new();
    let profiles = home.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    let patient = PROFILE.replace("[1, 1, 1, 1, 1, 1, 1, 1]", "[3600]");
    std::fs::write(profiles.join("first.toml"), patient).unwrap();
    let launch = home.launch().set("FANFARE_PROFILES_DIR", &profiles.display().to_string());
    let server = launch.set("FANFARE_PROFILE", "as-first-sent").start().await;
    let api = server.api();
    api.make_event_type(&json!({"name": TYPE})).await;
    api.make_organization(ORG).await;
    let receiver = Receiver::start().await;
    let webhook = api.make_webhook(ORG, &json!({"name": "w", "url": receiver.url("/first"), "events": "all"})).await;
    receiver.script(|request| Reply::status(if request.number <= 1 { 500 } else { 200 }));
    let id = api.post_event(ORG, &event(json!({"n": 1}))).await;
    until("the first attempt is logged", async || (api.delivery_of(ORG, &id).await["attempts"] == 1).then_some(()))
        .await;

    let path = format!("/v1/organizations/{ORG}/webhooks/{}", webhook.id);
    let elsewhere = receiver.url("/second").replace("127.0.0.1", "127.0.0.2");
    api.patch(&path, &json!({"url": elsewhere})).await.expect(200);
    let pause = api.post("/v1/pauses", &json!({"host": "127.0.0.1"})).await.expect(201);
    let held_at = moment(&pause["created_at"]);
    resend(&api, &api.delivery_of(ORG, &id).await["id"]).await;
    until("the retry is put off", async || {
        let delivery = api.delivery_of(ORG, &id).await;
        let due = moment(&delivery["next_attempt_at"]).since(held_at);
        (5..1_000).contains(&due.as_secs()).then_some(())
    })
    .await;
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(api.delivery_of(ORG, &id).await["attempts"], 1);

    api.delete(&format!("/v1/pauses/{}", pause["id"].as_str().unwrap())).await.expect(204);
    let requests = receiver.received(2).await;
    assert_eq!(requests[1].path, "/first");
    api.settled(ORG, &id, "delivered").await;
    server.stop().await;
}

fn moment(text: &serde_json::Value) -> Timestamp {
    serde_json::from_value(text.clone()).unwrap()
}

async fn resend(api: &Api, delivery: &serde_json::Value) {
    let path = format!("/v1/organizations/{ORG}/deliveries/{}/resend", delivery.as_str().unwrap());
    api.post(&path, &json!({})).await.expect(202);
}
