//! Receivers that fail: attempts are numbered, dated, signed anew, and end as the schedule says.

use serde_json::json;

use super::patience::until;
use super::receiver::Reply;
use super::scene::{ORG, Scene, with};

#[tokio::test]
async fn a_receiver_that_was_away_gets_everything_when_it_returns() {
    let mut scene = Scene::start().await;
    let webhook = scene.webhook("/hook").await;
    scene.receiver.leave().await;
    let event = scene.post(json!({"n": 1})).await;
    until("the first attempt has failed", async || {
        let delivery = scene.api.delivery_of(ORG, &event).await;
        (delivery["attempts"] == 1).then_some(())
    })
    .await;
    scene.receiver.return_again();
    let delivery = scene.api.settled(ORG, &event, "delivered").await;
    let attempts = scene.api.attempts(&delivery).await;
    assert_eq!(attempts[0]["outcome"], "connect", "{}", attempts[0]);
    assert!(attempts[0].get("response").is_none(), "{}", attempts[0]);
    assert_eq!(attempts.last().unwrap()["outcome"], "success");
    let requests = scene.receiver.requests();
    assert_eq!(requests.len(), 1);
    requests[0].assert_signed(&webhook.secret);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_032_failures_are_numbered_and_each_attempt_is_signed_anew() {
    let scene = Scene::start().await;
    scene.receiver.script(|request| Reply::status(if request.number <= 2 { 500 } else { 200 }));
    let webhook = scene.webhook("/hook").await;
    let event = scene.post(json!({"n": 1})).await;
    let delivery = scene.api.settled(ORG, &event, "delivered").await;
    let requests = scene.receiver.requests();
    assert_eq!(requests.len(), 3);
    let mut signed = Vec::new();
    for request in &requests {
        request.assert_signed(&webhook.secret);
        assert_eq!((request.id(), &request.body), (event.as_str(), &requests[0].body));
        signed.push((request.header("webhook-timestamp"), request.header("webhook-signature")));
    }
    // A second lies between two attempts, so that each has a timestamp of its own, and so a signature.
    assert!(signed.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1), "{signed:?}");
    let attempts = scene.api.attempts(&delivery).await;
    let log: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt["number"].as_u64().unwrap(), attempt["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(log, [(1, "status"), (2, "status"), (3, "success")]);
    assert_eq!(attempts[0]["error"], "The receiver answered 500 Internal Server Error");
    scene.server.stop().await;
}

#[tokio::test]
async fn case_033_gone_switches_the_webhook_off_and_the_operator_is_told() {
    let scene = Scene::start().await;
    let operator = json!({"name": "operator", "url": scene.receiver.url("/operator"), "events": "all"});
    scene.api.post("/v1/operator-webhooks", &operator).await.expect(201);
    scene.receiver.script(|request| Reply::status(if request.path == "/operator" { 200 } else { 410 }));
    let webhook = scene.webhook("/hook").await;
    let event = scene.post(json!({"n": 1})).await;

    let told = scene.receiver.received_at("/operator", 2).await;
    let mut told: Vec<serde_json::Value> =
        told.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
    told.sort_by_key(|body| body["type"].to_string());
    assert_eq!((&told[0]["type"], &told[1]["type"]), (&json!("delivery.exhausted"), &json!("webhook.auto_disabled")));
    assert_eq!(told[0]["data"]["response_code"], 410);
    assert_eq!(told[1]["data"]["webhook_id"], webhook.id);

    let seen = scene.api.webhook(&webhook).await;
    assert_eq!((&seen["status"], &seen["enabled"]), (&json!("auto_disabled"), &json!(false)), "{seen}");
    assert!(seen["status_reason"].as_str().unwrap().contains("410"), "{seen}");
    scene.api.settled(ORG, &event, "exhausted").await;
    let later = scene.api.post(&format!("/v1/organizations/{ORG}/events"), &super::scene::event(json!(2))).await;
    assert_eq!(later.expect(202)["deliveries"], 0);
    assert_eq!(scene.receiver.requests_to("/hook").len(), 1);
    scene.server.stop().await;
}

#[tokio::test]
async fn what_used_up_its_schedule_is_exhausted_and_the_operator_is_told() {
    let scene = Scene::start().await;
    let operator =
        json!({"name": "operator", "url": scene.receiver.url("/operator"), "events": ["delivery.exhausted"]});
    let made = scene.api.post("/v1/operator-webhooks", &operator).await.expect(201);
    scene.receiver.script(|request| Reply::status(if request.path == "/operator" { 200 } else { 503 }));
    scene.webhook_with("/hook", json!({"retry": {"delays_seconds": [1], "jitter": 0.0}})).await;
    let event = scene.post(json!({"n": 1})).await;
    let told = scene.receiver.received_at("/operator", 1).await.remove(0);
    told.assert_signed(made["secret"].as_str().unwrap());
    let body: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!((&body["data"]["event_id"], &body["data"]["attempts"]), (&json!(event), &json!(2)), "{body}");
    let delivery = scene.api.settled(ORG, &event, "exhausted").await;
    assert_eq!((&delivery["attempts"], &delivery["next_attempt_at"]), (&json!(2), &json!(null)), "{delivery}");
    scene.server.stop().await;
}

#[tokio::test]
async fn case_034_retry_after_puts_the_next_attempt_off() {
    let scene = Scene::start().await;
    scene.receiver.script(|request| Reply::Answer {
        status: if request.path == "/seconds" { 429 } else { 503 },
        headers: vec![(
            "retry-after",
            if request.path == "/seconds" { "3600".to_owned() } else { "Fri, 31 Dec 2100 23:59:59 GMT".to_owned() },
        )],
        body: "",
    });
    for (path, hours) in [("/seconds", 1), ("/date", 24)] {
        let webhook = scene.webhook(path).await;
        let event = scene.post(json!({"n": 1})).await;
        let delivery = until("the first attempt has failed", async || {
            let delivery = scene.api.delivery_of(ORG, &event).await;
            (delivery["attempts"] == 1).then_some(delivery)
        })
        .await;
        let time = |text: &serde_json::Value| {
            text.as_str().unwrap().parse::<fanfare_engine::time::Timestamp>().unwrap().seconds()
        };
        let attempts = scene.api.attempts(&delivery).await;
        let waits = time(&delivery["next_attempt_at"]) - time(&attempts[0]["at"]);
        assert!((hours * 3_600..hours * 3_600 + 60).contains(&waits), "{path}: {waits} s");
        scene.api.delete(&webhook.path("")).await.expect(204);
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn a_resend_is_one_more_attempt_of_the_same_message() {
    let scene = Scene::start().await;
    scene.webhook("/hook").await;
    let event = scene.post(json!({"n": 1})).await;
    let delivery = scene.api.settled(ORG, &event, "delivered").await;
    let path = format!("/v1/organizations/{ORG}/deliveries/{}", delivery["id"].as_str().unwrap());
    scene.api.post(&format!("{path}/resend"), &json!({})).await.expect(202);
    let requests = scene.receiver.received(2).await;
    assert_eq!(requests[0].id(), requests[1].id());
    let delivery = until("the second attempt is logged", async || {
        let delivery = scene.api.get(&path).await.expect(200);
        (delivery["attempts"] == 2).then_some(delivery)
    })
    .await;
    assert_eq!(delivery["state"], "delivered");
    let attempts = scene.api.attempts(&delivery).await;
    assert_eq!((&attempts[1]["number"], &attempts[1]["trigger"]), (&json!(2), &json!("manual")));
    scene.server.stop().await;
}

#[tokio::test]
async fn what_is_cancelled_is_not_tried_again() {
    let mut scene = Scene::start().await;
    scene.receiver.leave().await;
    let long = json!({"retry": {"delays_seconds": [3600], "jitter": 0.0}});
    scene.webhook_with("/hook", with(json!({}), long)).await;
    let event = scene.post(json!({"n": 1})).await;
    let delivery = until("the first attempt has failed", async || {
        let delivery = scene.api.delivery_of(ORG, &event).await;
        (delivery["attempts"] == 1 && delivery["state"] == "pending").then_some(delivery)
    })
    .await;
    let path = format!("/v1/organizations/{ORG}/deliveries/{}/cancel", delivery["id"].as_str().unwrap());
    assert_eq!(scene.api.post(&path, &json!({})).await.expect(200)["state"], "cancelled");
    scene.api.post(&path, &json!({})).await.expect_problem(409, "invalid_state");
    scene.api.idle().await;
    scene.server.stop().await;
}
