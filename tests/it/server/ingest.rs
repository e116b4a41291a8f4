//! Events that come in: repeated, odd, many at once, and somebody else's.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::Answer;
use super::scene::{ORG, Scene, TYPE, event, with};

const EVENTS: &str = "/v1/organizations/acme/events";
/// Requests at once.
const CROWD: usize = 50;

/// Posts the same from many connections at once; answers what they were answered.
async fn crowd(scene: &Scene, headers: &'static [(&str, &str)], body: &Value) -> Vec<Answer> {
    let mut posts = JoinSet::new();
    for _ in 0..CROWD {
        let (api, body) = (scene.api.clone(), body.to_string());
        posts.spawn(async move { api.send("POST", EVENTS, headers, body).await.unwrap() });
    }
    posts.join_all().await
}

async fn assert_taken_once(scene: &Scene, answers: &[Answer]) {
    let first = answers[0].expect(202);
    assert_eq!(first["deliveries"], 1);
    for answer in answers {
        assert_eq!(answer.expect(202), first);
    }
    scene.api.idle().await;
    assert_eq!(scene.api.whole_list(EVENTS).await.len(), 1);
    assert_eq!(scene.receiver.requests().len(), 1);
}

#[tokio::test]
async fn case_052_one_event_comes_of_an_idempotency_key_that_came_fifty_times_at_once() {
    let scene = Scene::start().await;
    scene.webhook("/hook").await;
    let answers = crowd(&scene, &[("idempotency-key", "k-1")], &event(json!({"n": 1}))).await;
    assert_taken_once(&scene, &answers).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn case_052_one_event_comes_of_an_event_id_that_came_fifty_times_at_once() {
    let scene = Scene::start().await;
    scene.webhook("/hook").await;
    let body = with(event(json!({"n": 1})), json!({"id": "order-1"}));
    let answers = crowd(&scene, &[], &body).await;
    assert_taken_once(&scene, &answers).await;
    let found = scene.api.get(&format!("{EVENTS}/order-1")).await.expect(200);
    assert_eq!((&found["id"], &found["external_id"]), (&answers[0].json()["id"], &json!("order-1")));
    scene.server.stop().await;
}

#[tokio::test]
async fn case_053_the_same_key_or_id_with_other_content_is_refused() {
    let scene = Scene::start().await;
    let key = [("idempotency-key", "k-1")];
    let post = async |headers: &[(&str, &str)], body: Value| {
        scene.api.send("POST", EVENTS, headers, body.to_string()).await.unwrap()
    };
    post(&key, event(json!(1))).await.expect(202);
    post(&key, event(json!(2))).await.expect_problem(422, "idempotency_key_reused");
    let named = |data: Value| with(event(data), json!({"id": "order-1"}));
    let first = post(&[], named(json!(1))).await.expect(202);
    let refused = post(&[], named(json!(2))).await;
    let problem = refused.expect_problem(409, "event_id_reused");
    assert!(problem["detail"].as_str().unwrap().contains(first["id"].as_str().unwrap()), "{problem}");
    scene.server.stop().await;
}

#[tokio::test]
async fn case_054_keys_and_ids_of_another_organization_are_its_own() {
    let scene = Scene::start().await;
    scene.api.make_organization("other").await;
    let body = with(event(json!(1)), json!({"id": "order-1"})).to_string();
    let key = [("idempotency-key", "k-1")];
    let mut events = Vec::new();
    for org in [ORG, "other"] {
        let path = format!("/v1/organizations/{org}/events");
        let answer = scene.api.send("POST", &path, &key, body.clone()).await.unwrap().expect(202);
        events.push(answer["id"].as_str().unwrap().to_owned());
    }
    assert_ne!(events[0], events[1]);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_051_odd_json_goes_through_byte_for_byte() {
    let scene = Scene::start().await;
    let webhook = scene.webhook("/hook").await;
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let oddities = [
        r#"{"a":1,"a":2,"":null}"#,
        r"1e400",
        r"-0.000000000000000000000000000000000000001E-999",
        r"123456789012345678901234567890.123456789012345678901234567890",
        r#"{"text":"\u0000\ud83d\ude00 \/ é \u00e9","b" :  [ 1 ,2 ]}"#,
        r#""\ud800""#,
        "{\n\t\"spaced\"\r\n:\ttrue }",
        r#"{"</script>":"<!--","__proto__":{"x":1}}"#,
        "null",
        deep.as_str(),
    ];
    for (number, data) in oddities.into_iter().enumerate() {
        let body = format!(r#"{{ "type" : "{TYPE}","data":{data}}}"#);
        let answer = scene.api.send("POST", EVENTS, &[], body).await.unwrap().expect(202);
        let id = answer["id"].as_str().unwrap();
        let request = scene.receiver.received(number + 1).await.pop().unwrap();
        let sent = String::from_utf8(request.body.to_vec()).unwrap();
        assert!(sent.ends_with(&format!(r#""data":{data}}}"#)), "{sent}");
        request.assert_signed(&webhook.secret);
        let delivery = scene.api.settled(ORG, id, "delivered").await;
        let attempts = scene.api.attempts(&delivery).await;
        assert_eq!(attempts[0]["request"]["body"], sent);
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_event_is_named() {
    let scene = Scene::start().await;
    let schema = json!({"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}});
    scene.api.make_event_type(&json!({"name": "job.checked", "schema": schema})).await;
    let post = async |body: Value| scene.api.post(EVENTS, &body).await;
    let refused = post(json!({"type": "job.checked", "data": {"title": 7}})).await;
    refused.expect_problem(422, "validation_failed");
    assert_eq!(refused.refused_field(), "data/title");
    let refused = post(json!({"type": "job.checked", "data": {}})).await;
    assert!(refused.expect_problem(422, "validation_failed")["detail"].as_str().unwrap().contains("title"));
    post(json!({"type": "job.checked", "data": {"title": "x"}})).await.expect(202);

    let refused = post(json!({"type": "no.such", "data": {}})).await;
    refused.expect_problem(422, "validation_failed");
    assert_eq!(refused.refused_field(), "type");
    for bad in ["job\ncreated", "jöb", ""] {
        let refused = post(json!({"type": bad, "data": {}})).await;
        refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.refused_field(), "type");
    }
    let refused = post(json!({"type": TYPE})).await;
    assert_eq!((refused.status, refused.refused_field().as_str()), (422, "data"));
    let refused = post(json!({"type": TYPE, "data": {}, "payload": {}})).await;
    assert_eq!((refused.status, refused.refused_field().as_str()), (422, "payload"));
    let text = [("content-type", "text/plain")];
    let refused = scene.api.send("POST", EVENTS, &text, event(json!(1)).to_string()).await.unwrap();
    refused.expect_problem(415, "unsupported_media_type");
    let refused = scene.api.send("POST", EVENTS, &[], "{\"type\":").await.unwrap();
    refused.expect_problem(400, "invalid_json");
    assert!(scene.api.whole_list(EVENTS).await.len() == 1, "only what was taken is there");
    scene.server.stop().await;
}

#[tokio::test]
async fn case_080_an_organization_of_others_looks_like_none() {
    let scene = Scene::start().await;
    scene.api.make_organization("other").await;
    let scopes = json!(["manage", "read", "events:write"]);
    let bound = scene.api.make_key(&json!({"name": "k", "scopes": scopes, "organization": "other"})).await;
    bound.post("/v1/organizations/other/events", &event(json!(1))).await.expect(202);
    for below in ["events", "deliveries", "deliveries/stream", "webhooks"] {
        let theirs = bound.get(&format!("/v1/organizations/{ORG}/{below}")).await;
        let nobodys = bound.get(&format!("/v1/organizations/nobody/{below}")).await;
        theirs.expect_problem(404, "not_found");
        assert_eq!(theirs.body, nobodys.body, "{below}");
    }
    let theirs = bound.post(EVENTS, &event(json!(1))).await;
    let nobodys = bound.post("/v1/organizations/nobody/events", &event(json!(1))).await;
    theirs.expect_problem(404, "not_found");
    assert_eq!(theirs.body, nobodys.body);
    let by_admin = scene.api.post("/v1/organizations/nobody/events", &event(json!(1))).await;
    assert_eq!(by_admin.body, nobodys.body);
    scene.server.stop().await;
}
