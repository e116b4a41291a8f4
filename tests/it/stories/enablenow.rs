//! EnableNow: the event's name and its data, sent once and never again.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{ORG, Stage};
use crate::server::process::Home;

/// Each event with the members of its data.
const EVENTS: [(&str, &[&str]); 4] = [
    ("categorizationjob.completed", &["userId", "consentId", "jobId"]),
    ("transactions.fetched", &["userId", "externalUserId", "consentId", "addedTransactionsCount"]),
    ("consent.accounts.updated", &["userId", "externalUserId", "consentId"]),
    ("consent.status.updated", &["userId", "externalUserId", "consentId", "status"]),
];
/// A secret of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn data(kind: &str) -> Value {
    let members = EVENTS.iter().find(|(name, _)| *name == kind).unwrap().1;
    let member = |name: &&str| match *name {
        "addedTransactionsCount" => json!(42),
        "userId" => Value::Null,
        other => json!(format!("the {other}")),
    };
    members.iter().map(|name| ((*name).to_owned(), member(name))).collect::<serde_json::Map<_, _>>().into()
}

fn fetched() -> Value {
    json!({"type": "transactions.fetched", "data": data("transactions.fetched")})
}

#[tokio::test]
async fn every_event_is_sent_as_its_name_and_its_data() {
    for stage in [Stage::start("enablenow").await, Stage::start_secure("enablenow").await] {
        let mut stage = stage;
        let listed = stage.api.get("/v1/event-types").await.ok();
        for (kind, _) in EVENTS {
            assert!(listed["data"].as_array().unwrap().iter().any(|known| known["name"] == kind), "{kind}");
        }
        let made = stage.subscribe(json!({"events": EVENTS.map(|(kind, _)| kind)})).await;
        assert_eq!((&made["status"], made.get("secret")), (&json!("active"), None));
        for (kind, _) in EVENTS {
            let data = data(kind);
            let event = stage.event(json!({"type": kind, "data": data})).await;
            let golden =
                format!("POST /h HTTP/1.1\nContent-Type: application/json\n\n{{\"event\":\"{kind}\",\"data\":{data}}}");
            stage.receiver.next().await.assert_is(&golden);
            stage.delivery(&format!("event={event}"), "delivered", 1).await;
        }
        stage.end().await;
    }
}

#[tokio::test]
async fn an_event_without_what_its_data_need_is_refused() {
    let stage = Stage::start("enablenow").await;
    for (kind, members) in EVENTS {
        for member in members {
            let mut data = data(kind);
            data.as_object_mut().unwrap().remove(*member);
            stage.refuse_event(json!({"type": kind, "data": data}), "data").await;
        }
    }
    stage.refuse_event(json!({"type": "transactions.lost", "data": {}}), "type").await;
    stage.end().await;
}

#[tokio::test]
async fn an_endpoint_has_a_url_and_events_and_nothing_else() {
    let mut stage = Stage::start("enablenow").await;
    for url in ["http://93.184.216.34/h", "https://93.184.216.34/h"] {
        stage.subscribe(json!({"url": url, "events": ["consent.status.updated"]})).await;
    }
    stage.subscribe(json!({"events": ["transactions.fetched", "consent.status.updated"]})).await;
    for (settings, field) in [
        (json!({"events": ["transactions.lost"]}), "events[0]"),
        (json!({"events": []}), "events"),
        (json!({"filter": {"type": "Consent"}}), "filter"),
        (json!({"url": "ftp://example.com/h"}), "url"),
        (json!({"method": "GET"}), "method"),
        (json!({"content_type": "application/x-www-form-urlencoded"}), "content_type"),
        (json!({"include_entity": true}), "include_entity"),
        (json!({"headers": {"X-Any": "1"}}), "headers"),
        (json!({"auth": {"type": "basic", "username": "u", "password": "p"}}), "auth"),
        (json!({"auth": {"type": "bearer", "token": "t"}}), "auth"),
        (json!({"retry": {"delays_seconds": [1], "jitter": 0.0}}), "retry"),
        (json!({"timeout_seconds": 5}), "timeout_seconds"),
        (json!({"secret": "too short"}), "secret"),
    ] {
        stage.refuse(&json!({"events": ["transactions.fetched"]}), settings, field).await;
    }
    // What it is subscribed to comes, and what it is not does not.
    let kind = "consent.accounts.updated";
    assert_eq!(stage.post(json!({"type": kind, "data": data(kind)})).await.1, 0);
    stage.event(fetched()).await;
    stage.receiver.next().await;
    stage.end().await;
}

#[tokio::test]
async fn a_receiver_that_wants_proof_can_have_it() {
    let mut stage = Stage::start("enablenow").await;
    stage.subscribe(json!({"events": ["transactions.fetched"], "secret": SECRET})).await;
    let event = stage.event(fetched()).await;
    let request = stage.receiver.next().await;
    let (id, at) = (request.header("webhook-id"), stage.now().seconds());
    assert_eq!((id, request.header("webhook-timestamp")), (event.as_str(), at.to_string().as_str()));
    let signature = standardwebhooks::Webhook::new(SECRET).unwrap().sign(id, at, request.body.as_bytes()).unwrap();
    assert_eq!(request.header("webhook-signature"), signature);
    let names = ["content-type", "webhook-id", "webhook-signature", "webhook-timestamp"];
    assert_eq!(request.own_names(), names.map(str::to_owned).into());
    stage.end().await;
}

#[tokio::test]
async fn whatever_goes_wrong_there_is_one_attempt_and_a_person_may_send_again() {
    let mut stage = Stage::start("enablenow").await;
    stage.subscribe(json!({"events": "all"})).await;
    for (case, outcome) in [("500", "status"), ("404", "status"), ("301", "status"), ("hang up", "reset")] {
        match case.parse() {
            Ok(status) => stage.receiver.answer_with(status, &[("Retry-After", "1")], "no"),
            Err(_) => stage.receiver.hang_up(),
        }
        let event = stage.event(fetched()).await;
        let first = stage.receiver.next().await;
        let query = format!("event={event}");
        let failed = stage.delivery(&query, "exhausted", 1).await;
        assert_eq!(stage.attempts(&failed).await[0]["outcome"], outcome, "{case}");
        stage.stay_quiet(&query, &failed).await;

        stage.receiver.answer(200);
        stage.resend(&failed).await;
        assert_eq!(stage.receiver.next().await, first);
        let sent = stage.delivery(&query, "delivered", 2).await;
        let attempts = stage.attempts(&sent).await;
        assert_eq!((&attempts[1]["number"], &attempts[1]["trigger"]), (&json!(2), &json!("manual")));
    }
    stage.end().await;
}

#[tokio::test]
async fn a_receiver_that_takes_longer_than_fifteen_seconds_is_not_asked_again() {
    let mut stage = Stage::start("enablenow").await;
    stage.subscribe(json!({"events": "all"})).await;
    stage.receiver.stay_silent();
    let event = stage.event(fetched()).await;
    stage.receiver.next().await;
    let query = format!("event={event}");
    pass_while_waiting(Duration::from_secs(14)).await;
    stage.delivery(&query, "delivering", 0).await;
    pass_while_waiting(Duration::from_secs(1)).await;
    let failed = stage.delivery(&query, "exhausted", 1).await;
    let attempt = stage.attempts(&failed).await[0].clone();
    assert_eq!((&attempt["outcome"], attempt.get("response")), (&json!("timeout"), None));
    assert!(attempt["duration_ms"].as_u64().unwrap() >= 15_000, "{attempt}");
    stage.stay_quiet(&query, &failed).await;
    stage.end().await;
}

/// Lets the time pass by which timeouts are measured.
async fn pass_while_waiting(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn nothing_is_sent_again_after_a_kill_that_hides_whether_it_went_out() {
    let home = Home::new();
    let launch = || home.launch().set("FANFARE_PROFILE", "enablenow");
    let server = launch().start().await;
    let api = server.api();
    api.make_organization(ORG).await;
    let mut receiver = super::receiver::Receiver::start(None).await;
    api.make_webhook(ORG, &json!({"url": receiver.url("/h"), "events": "all"})).await;
    receiver.stay_silent();
    let event = api.post_event(ORG, &fetched()).await;
    let first = receiver.next().await;
    server.kill().await;
    receiver.answer(200);

    let server = launch().start().await;
    let api = server.api();
    let delivery = api.settled(ORG, &event, "exhausted").await;
    let attempts = api.attempts(&delivery).await;
    assert_eq!(attempts.iter().map(|attempt| &attempt["outcome"]).collect::<Vec<_>>(), ["unknown"]);
    assert!(attempts[0]["error"].as_str().unwrap().contains("may have been sent"), "{}", attempts[0]);
    // A later event goes out; by then the earlier one would have.
    let later = api.post_event(ORG, &fetched()).await;
    receiver.next().await;
    api.settled(ORG, &later, "delivered").await;
    api.idle().await;
    assert_eq!(receiver.rest(), []);

    let path = format!("/v1/organizations/{ORG}/deliveries/{}/resend", delivery["id"].as_str().unwrap());
    api.post(&path, &json!({})).await.expect(202);
    assert_eq!(receiver.next().await.body, first.body);
    api.settled(ORG, &event, "delivered").await;
    server.stop().await;
    assert_eq!(receiver.rest(), []);
}
