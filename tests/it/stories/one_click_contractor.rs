//! One Click Contractor: https only, off until switched on, tried again after five and ten minutes, everything in the log.

use axum::http::Method;
use serde_json::{Value, json};

use super::stage::{HOOKS, ORG, Stage};

const KINDS: [(&str, &[&str]); 4] = [
    (
        "Job",
        &[
            "job.created",
            "job.updated",
            "job.assigned",
            "job.image_created",
            "job.document_created",
            "job.status_changed",
        ],
    ),
    ("Estimate", &["estimate.created", "estimate.updated"]),
    ("Signed Document", &["signed_document.signed"]),
    ("Signable Document", &["signable_document.signed"]),
];

async fn stage() -> Stage {
    Stage::start_secure("one-click-contractor").await
}

fn names() -> Vec<&'static str> {
    KINDS.iter().flat_map(|(_, names)| names.iter().copied()).collect()
}

fn path(hook: &Value, below: &str) -> String {
    format!("{HOOKS}/{}{below}", hook["id"].as_str().unwrap())
}

/// A webhook that was switched on, and whose test was sent.
async fn switched_on(stage: &mut Stage, settings: Value) -> Value {
    let made = stage.subscribe(settings).await;
    stage.api.post(&path(&made, "/enable"), json!({})).await.ok();
    stage.receiver.next().await;
    stage.delivery(&format!("webhook={}", made["id"].as_str().unwrap()), "delivered", 1).await;
    made
}

fn job(data: Value) -> Value {
    json!({"type": "job.created", "data": data})
}

/// What is sent for an event, without credentials.
fn golden(event: &str, kind: &str, data: &Value) -> String {
    let body = format!(r#"{{"id":"{event}","event":"{kind}","data":{data}}}"#);
    format!("POST /h HTTP/1.1\nContent-Type: application/json\n\n{body}")
}

#[tokio::test]
async fn events_are_organized_by_kind_and_each_is_sent() {
    let mut stage = stage().await;
    let listed = stage.api.get("/v1/event-types").await.ok();
    for (kind, names) in KINDS {
        let of_kind = listed["data"].as_array().unwrap().iter().filter(|known| known["kind"] == kind);
        let mut found: Vec<_> = of_kind.map(|known| known["name"].as_str().unwrap()).collect();
        found.sort_unstable();
        let mut names = names.to_vec();
        names.sort_unstable();
        assert_eq!(found, names, "{kind}");
    }
    assert_eq!(listed["data"].as_array().unwrap().len(), names().len());
    switched_on(&mut stage, json!({"name": "Jobs", "events": names()})).await;
    for kind in names() {
        let data = json!({"jobId": 4711, "of": kind, "total": "12400.00", "nothing": null});
        let event = stage.event(json!({"type": kind, "data": data})).await;
        stage.receiver.next().await.assert_is(&golden(&event, kind, &data));
        stage.delivery(&format!("event={event}"), "delivered", 1).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn the_url_is_https_and_the_authentication_none_or_basic() {
    let mut stage = stage().await;
    let http = stage.receiver.url("/h").replace("https://", "http://");
    let refused = stage.api.post(HOOKS, json!({"name": "CRM", "url": http, "events": ["job.created"]})).await;
    refused.invalid_because("url", "must start with https://");
    for (settings, field) in [
        (json!({"url": "http://93.184.216.34/h"}), "url"),
        (json!({"auth": {"type": "bearer", "token": "t"}}), "auth"),
        (json!({"events": ["job.deleted"]}), "events[0]"),
        (json!({"events": []}), "events"),
        (json!({"name": ""}), "name"),
        (json!({"name": " "}), "name"),
        (json!({"method": "GET"}), "method"),
        (json!({"content_type": "application/x-www-form-urlencoded"}), "content_type"),
        (json!({"include_entity": true}), "include_entity"),
        (json!({"filter": {"type": "Job"}}), "filter"),
        (json!({"headers": {"X-Any": "1"}}), "headers"),
        (json!({"secret": "s"}), "secret"),
        (json!({"retry": {"delays_seconds": [1], "jitter": 0.0}}), "retry"),
        (json!({"timeout_seconds": 5}), "timeout_seconds"),
    ] {
        stage.refuse(&json!({"name": "CRM", "events": ["job.created"]}), settings, field).await;
    }
    stage.make(json!({"name": "CRM"})).await.invalid_because("events", "at least one");
    stage.make(json!({"events": ["job.created"]})).await.invalid_because("name", "is required");
    stage.subscribe(json!({"name": "All", "events": "all"})).await;
    // The receiver's certificate is of an authority that the server was told to trust; so it is reached.
    let auth = json!({"type": "basic", "username": "occ", "password": "pass word"});
    let made = switched_on(&mut stage, json!({"name": "CRM", "events": ["job.created"], "auth": auth})).await;
    assert_eq!((&made["name"], &made["auth"]["username"]), (&json!("CRM"), &json!("occ")));
    let event = stage.event(job(json!({"jobId": 1}))).await;
    let with_auth = golden(&event, "job.created", &json!({"jobId": 1}))
        .replace("\n\n", "\nAuthorization: Basic b2NjOnBhc3Mgd29yZA==\n\n");
    stage.receiver.next().await.assert_is(&with_auth);
    stage.api.patch(&path(&made, ""), json!({"url": http})).await.invalid("url");
    stage.api.patch(&path(&made, ""), json!({"auth": null})).await.ok();
    let event = stage.event(job(json!({"jobId": 2}))).await;
    stage.receiver.next().await.assert_is(&golden(&event, "job.created", &json!({"jobId": 2})));
    stage.end().await;
}

#[tokio::test]
async fn a_new_webhook_is_off_and_each_switch_to_on_sends_a_logged_test_at_once() {
    let mut stage = stage().await;
    let made = stage.subscribe(json!({"name": "CRM", "events": ["job.created"]})).await;
    assert_eq!((&made["status"], &made["enabled"]), (&json!("deactivated"), &json!(false)));
    assert_eq!(stage.post(job(json!({}))).await.1, 0);
    assert_eq!(stage.deliveries("").await, [] as [Value; 0]);
    let of_hook = format!("webhook={}&limit=1", made["id"].as_str().unwrap());
    let mut expected = 0;
    for _ in 0..2 {
        for on in [Method::POST, Method::PATCH] {
            match on {
                Method::POST => stage.api.post(&path(&made, "/enable"), json!({})).await.ok(),
                _ => stage.api.patch(&path(&made, ""), json!({"enabled": true})).await.ok(),
            };
            let request = stage.receiver.next().await;
            expected += 1;
            let delivery = stage.delivery(&of_hook, "delivered", 1).await;
            let event = delivery["event_id"].as_str().unwrap();
            request.assert_is(&golden(event, "webhook.test", &json!({})));
            assert_eq!(delivery["event_type"], "webhook.test");
            assert_eq!(stage.attempts(&delivery).await[0]["trigger"], "test");
            assert_eq!(stage.deliveries("").await.len(), expected);
            // On already: nothing is switched, and nothing sent.
            stage.api.post(&path(&made, "/enable"), json!({})).await.ok();
            stage.api.patch(&path(&made, ""), json!({"enabled": true, "name": on.as_str()})).await.ok();
            // Held and let go is not off and on.
            stage.api.post(&path(&made, "/pause"), json!({})).await.ok();
            stage.api.post(&path(&made, "/resume"), json!({})).await.ok();
            stage.api.post(&path(&made, "/disable"), json!({})).await.ok();
            assert_eq!(stage.post(job(json!({}))).await.1, 0);
            assert_eq!(stage.deliveries("").await.len(), expected);
        }
    }
    // One that is to be on from the start is switched on as well.
    let eager = stage.subscribe(json!({"name": "CRM", "events": ["job.created"], "enabled": true})).await;
    assert!(stage.receiver.next().await.body.contains(r#""event":"webhook.test","data":{}"#));
    stage.delivery(&format!("webhook={}", eager["id"].as_str().unwrap()), "delivered", 1).await;
    stage.end().await;
}

#[tokio::test]
async fn a_test_that_fails_is_tried_again_like_any_other() {
    let mut stage = stage().await;
    let made = stage.subscribe(json!({"name": "CRM", "events": ["job.created"]})).await;
    stage.receiver.answer(500);
    stage.api.post(&path(&made, "/enable"), json!({})).await.ok();
    let first = stage.receiver.next().await;
    let query = format!("webhook={}", made["id"].as_str().unwrap());
    let failed = stage.delivery(&query, "pending", 1).await;
    assert_eq!((&failed["event_type"], &failed["response_code"]), (&json!("webhook.test"), &json!(500)));
    let event = failed["event_id"].as_str().unwrap().to_owned();
    let requests = stage.fail_by_schedule(&event, first, &[300, 600]).await;
    assert_eq!(requests.len(), 3, "three failures are the end");
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    let last = stage.delivery(&query, "exhausted", 3).await;
    let attempts = stage.attempts(&last).await;
    let triggers: Vec<_> = attempts.iter().map(|attempt| attempt["trigger"].as_str().unwrap()).collect();
    assert_eq!(triggers, ["test", "schedule", "schedule"]);
    assert_eq!(stage.api.get(&path(&made, "")).await.ok()["status"], "active");
    // A test that is asked for is sent once.
    let asked = stage.api.post(&path(&made, "/test"), json!({})).await.accepted();
    stage.receiver.next().await;
    let query = format!("state=exhausted&webhook={}&limit=1", made["id"].as_str().unwrap());
    let single = stage.delivery(&query, "exhausted", 1).await;
    assert_eq!(single["id"], asked["delivery_id"]);
    stage.end().await;
}

#[tokio::test]
async fn a_failure_is_tried_again_in_five_minutes_and_then_in_ten() {
    let mut stage = stage().await;
    switched_on(&mut stage, json!({"name": "CRM", "events": ["job.created"]})).await;
    for status in [500, 404, 410, 303] {
        stage.receiver.answer(status);
        let event = stage.event(job(json!({"jobId": status}))).await;
        let first = stage.receiver.next().await;
        let requests = stage.fail_by_schedule(&event, first, &[300, 600]).await;
        assert_eq!(requests.len(), 3, "three failures are the end");
        assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    }
    for success in [200, 201, 204, 299] {
        stage.receiver.answer(500);
        let event = stage.event(job(json!({"jobId": success}))).await;
        let first = stage.receiver.next().await;
        let query = format!("event={event}");
        stage.delivery(&query, "pending", 1).await;
        stage.receiver.answer(success);
        stage.api.pass(std::time::Duration::from_secs(300));
        assert_eq!(stage.receiver.next().await, first);
        let done = stage.delivery(&query, "delivered", 2).await;
        assert_eq!(done["response_code"], success);
        stage.stay_quiet(&query, &done).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn the_id_is_the_events_and_the_same_for_all_webhooks() {
    let mut stage = stage().await;
    for _ in 0..2 {
        switched_on(&mut stage, json!({"name": "CRM", "events": ["job.created"]})).await;
    }
    let (event, deliveries) = stage.post(job(json!({"jobId": 1}))).await;
    assert_eq!(deliveries, 2);
    for _ in 0..2 {
        stage.receiver.next().await.assert_is(&golden(&event, "job.created", &json!({"jobId": 1})));
    }
    stage.end().await;
}

#[tokio::test]
async fn only_who_has_the_permission_sees_and_changes_webhooks() {
    let mut stage = stage().await;
    stage.user("owner", json!({"permissions": ["Org.webhooks"]})).await;
    stage.user("admin", json!({"roles": ["ORG_ADMIN"]})).await;
    stage.user("roofer", json!({"roles": ["ROOFER"], "permissions": ["Org.jobs"]})).await;
    for user in ["owner", "admin"] {
        let settings = stage.hook(json!({"name": user, "events": ["job.created"]}));
        let made = stage.by(user, Method::POST, HOOKS, settings.clone()).await.created();
        let hook = path(&made, "");
        stage.by(user, Method::GET, HOOKS, json!({})).await.ok();
        stage.by(user, Method::PATCH, &hook, json!({"name": "Mine"})).await.ok();
        stage.by(user, Method::POST, &path(&made, "/enable"), json!({})).await.ok();
        stage.receiver.next().await;
        let of_hook = format!("webhook={}", made["id"].as_str().unwrap());
        let test = stage.delivery(&of_hook, "delivered", 1).await;
        let log = format!("/v1/organizations/{ORG}/deliveries/{}/attempts", test["id"].as_str().unwrap());
        stage.by(user, Method::GET, &log, json!({})).await.ok();
        for other in ["roofer", "stranger"] {
            for (method, path, body) in [
                (Method::GET, HOOKS, json!({})),
                (Method::POST, HOOKS, settings.clone()),
                (Method::GET, &hook, json!({})),
                (Method::PATCH, &hook, json!({"name": "Not mine"})),
                (Method::DELETE, &hook, json!({})),
                (Method::POST, &path(&made, "/enable"), json!({})),
                (Method::POST, &path(&made, "/disable"), json!({})),
                (Method::GET, &log, json!({})),
            ] {
                let refused = stage.by(other, method, path, body).await.problem(403, "permission_denied");
                let lacks = format!("the user {other} needs the role ORG_ADMIN or the permission Org.webhooks");
                assert_eq!(refused["detail"], lacks);
            }
        }
        // Rights are asked for where webhooks are managed; what was set up goes on without them.
        stage.user(user, json!({})).await;
        let event = stage.event(job(json!({}))).await;
        stage.receiver.next().await;
        stage.delivery(&format!("event={event}"), "delivered", 1).await;
        stage.by(user, Method::DELETE, &hook, json!({})).await.problem(403, "permission_denied");
        stage.api.delete(&hook).await.gone();
    }
    stage.end().await;
}

#[tokio::test]
async fn the_log_has_every_delivery_with_its_attempts_and_what_came_back() {
    let mut stage = stage().await;
    let made = switched_on(&mut stage, json!({"name": "CRM", "events": ["job.created"]})).await;
    stage.receiver.answer_with(500, &[("X-Reason", "tired"), ("content-type", "text/plain")], "not now");
    let data = json!({"jobId": 4711, "name": "Roof, 12 Elm Street"});
    let event = stage.event(job(data.clone())).await;
    let sent = stage.receiver.next().await;
    let query = format!("event={event}");
    let created_at = stage.now().to_string();
    stage.delivery(&query, "pending", 1).await;
    stage.receiver.answer_with(202, &[("X-Reason", "rested")], "thanks");
    stage.api.pass(std::time::Duration::from_secs(300));
    stage.receiver.next().await;
    let done = stage.delivery(&query, "delivered", 2).await;

    // The listing: ID, date and time created, event, the URL called, the latest status.
    let listed = stage.deliveries(&format!("webhook={}", made["id"].as_str().unwrap())).await;
    assert_eq!(listed.len(), 2, "the test, too, is in it");
    assert_eq!(listed[0], done);
    assert!(done["id"].as_str().unwrap().starts_with("dlv_"));
    assert_eq!((&done["created_at"], &done["event_type"]), (&json!(created_at), &json!("job.created")));
    assert_eq!((&done["url"], &done["response_code"]), (&json!(stage.receiver.url("/h")), &json!(202)));

    // The detail: the payload, and each attempt with its code, headers and body.
    let detail = format!("/v1/organizations/{ORG}/deliveries/{}", done["id"].as_str().unwrap());
    assert_eq!(stage.api.get(&detail).await.ok()["payload"], data);
    let attempts = stage.attempts(&done).await;
    let moments = [created_at, stage.now().to_string()];
    let answers = [(500, "tired", "not now"), (202, "rested", "thanks")];
    for (number, ((status, reason, body), at)) in answers.into_iter().zip(moments).enumerate() {
        let attempt = &attempts[number];
        assert_eq!((&attempt["number"], &attempt["at"]), (&json!(number + 1), &json!(at)));
        let response = &attempt["response"];
        assert_eq!((&response["status"], &response["body"]), (&json!(status), &json!(body)));
        assert_eq!(response["headers"]["x-reason"], reason);
        assert_eq!(attempt["request"]["body"], sent.body);
        assert_eq!(attempt["request"]["method"], "POST");
    }
    assert_eq!(attempts.len(), 2);
    stage.end().await;
}
