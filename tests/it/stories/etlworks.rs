//! Etlworks Integrator: JSON, form or GET, signed by HMAC-SHA1, for administrators, who view the last hundred events.

use axum::http::Method;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;

use super::receiver::Request;
use super::stage::{HOOKS, ORG, Stage};
use crate::api::Reply;

const REST: &str = "/rest/v1/webhooks";
const SECRET: &str = "ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0";
/// The id of the event in the golden request.
const GOLDEN_ID: &str = "7027e72b-9005-4fcc-8385-8da47249136a";
const GOLDEN: &str = r#"POST /h HTTP/1.1
Content-Type: application/json
X-Etl-Webhook-Event-Id: 7027e72b-9005-4fcc-8385-8da47249136a
X-Etl-Webhook-Event: Flow.Executed
X-Etl-Webhook-Id: 1
X-Etl-Webhook-Entity-Id: 11225
X-Etl-Webhook-Entity-URL: https://app.etlworks.com/rest/v1/flows/1?auditId=11225
X-Etl-Webhook-Signature: 269ec9d89809c0bfee29ee058e8d8dcf8f254029
Authorization: Basic YWRtaW46YWRtaW4=

{"eventId":"7027e72b-9005-4fcc-8385-8da47249136a","eventType":"Flow.Executed","webhookId":1,"entityId":11225,"entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}"#;
const GOLDEN_FORM: &str = "eventId=32f54fa6-41ae-432e-a720-4373bdf72e6d&eventType=Flow.Executed&webhookId=1&entityId=11157&timestamp=1588165500224";

async fn stage() -> Stage {
    Stage::start("etlworks").await
}

/// A signature as a receiver works it out: with other code than the sender's.
fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The golden request with another event id, and signed anew: the id is each delivery's own.
fn golden_with(id: &str) -> String {
    let golden = GOLDEN.replace(GOLDEN_ID, id);
    let body = golden.split_once("\n\n").unwrap().1.to_owned();
    golden.replace("269ec9d89809c0bfee29ee058e8d8dcf8f254029", &signature(&body))
}

/// A flow's event at the golden request's moment.
fn flow(kind: &str, id: &str) -> Value {
    let entity = json!({"type": "Flow", "id": id, "url": "https://app.etlworks.com/rest/v1/flows/1?auditId=11225",
        "data": {"id": 11225, "name": "Orders & more"}});
    json!({"type": kind, "data": {}, "entity": entity, "occurred_at": "2020-05-02T14:20:00.207Z"})
}

fn executed() -> Value {
    flow("Flow.Executed", "11225")
}

/// A key of the organization, and the requests that a script makes with it.
struct Script {
    key: String,
}

impl Script {
    async fn of(stage: &Stage, members: Value) -> Script {
        let mut bound = json!({"organization": ORG});
        bound.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        // Without a user it acts for the host itself.
        let scopes: &[&str] = if bound["user"].is_null() { &["manage", "host"] } else { &["manage"] };
        Script { key: stage.api.key(scopes, bound).await }
    }

    async fn send(&self, stage: &Stage, method: Method, path: &str, body: &Value) -> Reply {
        stage.api.ask(method, path).key(&self.key).json(body).send().await
    }

    async fn make(&self, stage: &Stage, settings: Value) -> Value {
        self.send(stage, Method::POST, REST, &stage.hook(settings)).await.ok()
    }
}

fn uuid_of(request: &Request) -> String {
    let id = request.header("x-etl-webhook-event-id").to_owned();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().hyphenated().to_string(), id);
    id
}

#[test]
fn the_examples_of_the_description_are_signed_so() {
    assert_eq!(signature(GOLDEN.split_once("\n\n").unwrap().1), "269ec9d89809c0bfee29ee058e8d8dcf8f254029");
    assert_eq!(signature(GOLDEN_FORM), "24ca8b6a5f65c599a69961a8afa4202f50e966bc");
}

#[tokio::test]
async fn the_golden_request_byte_for_byte() {
    for stage in [Stage::start("etlworks").await, Stage::start_secure("etlworks").await] {
        let mut stage = stage;
        let script = Script::of(&stage, json!({})).await;
        let made = script
            .make(
                &stage,
                json!({"name": "Flows", "events": ["Flow.Executed"], "secret": SECRET, "basicUser": "admin",
                "basicPass": "admin"}),
            )
            .await;
        assert_eq!((&made["id"], &made["enabled"], &made["method"]), (&json!(1), &json!(true), &json!("POST")));
        let event = stage.event(executed()).await;
        let request = stage.receiver.next().await;
        assert_eq!(request.body.len(), 204);
        let id = uuid_of(&request);
        request.assert_is(&golden_with(&id));
        // The id is the delivery's: the same when it is sent again, another one for another event.
        let sent = stage.delivery(&format!("event={event}"), "delivered", 1).await;
        stage.resend(&sent).await;
        stage.receiver.next().await.assert_is(&golden_with(&id));
        stage.event(executed()).await;
        assert_ne!(uuid_of(&stage.receiver.next().await), id);
        stage.end().await;
    }
}

#[tokio::test]
async fn the_form_with_and_without_the_entity() {
    let mut stage = stage().await;
    let form = json!({"contentType": "application/x-www-form-urlencoded", "secret": SECRET});
    Script::of(&stage, json!({})).await.make(&stage, form.clone()).await;
    let mut event = flow("Flow.Executed", "11157");
    event["occurred_at"] = "2020-04-29T13:05:00.224Z".into();
    stage.event(event.clone()).await;
    let request = stage.receiver.next().await;
    let body = GOLDEN_FORM.replace("32f54fa6-41ae-432e-a720-4373bdf72e6d", &uuid_of(&request));
    let head = |id: &str, body: &str| {
        format!(
            "POST /h HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nX-Etl-Webhook-Event-Id: {id}\nX-Etl-Webhook-Event: Flow.Executed\nX-Etl-Webhook-Id: 1\nX-Etl-Webhook-Entity-Id: 11157\nX-Etl-Webhook-Entity-URL: https://app.etlworks.com/rest/v1/flows/1?auditId=11225\nX-Etl-Webhook-Signature: {}\n\n{body}",
            signature(body)
        )
    };
    request.assert_is(&head(&uuid_of(&request), &body));

    let mut with_entity = stage.hook(form);
    with_entity["includeEntity"] = json!(true);
    Script::of(&stage, json!({})).await.send(&stage, Method::PUT, "/rest/v1/webhooks/1", &with_entity).await.ok();
    stage.event(event).await;
    let request = stage.receiver.next().await;
    let id = uuid_of(&request);
    let body = format!(
        "eventId={id}&eventType=Flow.Executed&webhookId=1&entityId=11157&entity=%7B%22id%22%3A11225%2C%22name%22%3A%22Orders+%26+more%22%7D&timestamp=1588165500224"
    );
    request.assert_is(&head(&id, &body));
    stage.end().await;
}

#[tokio::test]
async fn json_with_the_entity_and_get_with_headers_alone() {
    let mut stage = stage().await;
    let script = Script::of(&stage, json!({})).await;
    script.make(&stage, json!({"includeEntity": true, "events": ["Flow.Created"]})).await;
    let get = json!({"method": "GET", "secret": SECRET, "events": ["Flow.Executed"], "includeEntity": true,
        "basicUser": "admin", "basicPass": "admin", "headers": [{"key": "X-Team", "value": "data"}]});
    script.make(&stage, get).await;
    stage.event(flow("Flow.Created", "007")).await;
    let request = stage.receiver.next().await;
    let id = uuid_of(&request);
    // An id that is no integer in canonical decimal is a text.
    request.assert_is(&format!(
        "POST /h HTTP/1.1\nContent-Type: application/json\nX-Etl-Webhook-Event-Id: {id}\nX-Etl-Webhook-Event: Flow.Created\nX-Etl-Webhook-Id: 1\nX-Etl-Webhook-Entity-Id: 007\nX-Etl-Webhook-Entity-URL: https://app.etlworks.com/rest/v1/flows/1?auditId=11225\n\n{{\"eventId\":\"{id}\",\"eventType\":\"Flow.Created\",\"webhookId\":1,\"entityId\":\"007\",\"entity\":{{\"id\":11225,\"name\":\"Orders & more\"}},\"entityUrl\":\"https://app.etlworks.com/rest/v1/flows/1?auditId=11225\",\"timestamp\":1588429200207}}"
    ));

    let event = stage.event(executed()).await;
    let request = stage.receiver.next().await;
    let id = uuid_of(&request);
    request.assert_is(&format!(
        "GET /h HTTP/1.1\nX-Etl-Webhook-Event-Id: {id}\nX-Etl-Webhook-Event: Flow.Executed\nX-Etl-Webhook-Id: 2\nX-Etl-Webhook-Entity-Id: 11225\nX-Etl-Webhook-Entity-URL: https://app.etlworks.com/rest/v1/flows/1?auditId=11225\nAuthorization: Basic YWRtaW46YWRtaW4=\nX-Team: data"
    ));
    stage.delivery(&format!("event={event}"), "delivered", 1).await;
    stage.end().await;
}

#[tokio::test]
async fn all_events_or_some_and_further_ones_of_the_hosts() {
    let mut stage = stage().await;
    let script = Script::of(&stage, json!({})).await;
    stage.api.post("/v1/event-types", json!({"name": "Connection.Deleted"})).await.created();
    let all = script.make(&stage, json!({"events": []})).await;
    assert_eq!(all["events"], json!([]));
    script.make(&stage, json!({"events": ["Flow.Created", "Connection.Deleted"]})).await;
    for (kind, expected) in
        [("Flow.Created", vec!["1", "2"]), ("Flow.Executed", vec!["1"]), ("Connection.Deleted", vec!["1", "2"])]
    {
        assert_eq!(stage.post(flow(kind, "5")).await.1, expected.len() as u64, "{kind}");
        let mut got = Vec::new();
        for _ in &expected {
            let request = stage.receiver.next().await;
            assert_eq!(request.header("x-etl-webhook-event"), kind);
            got.push(request.header("x-etl-webhook-id").to_owned());
        }
        got.sort();
        assert_eq!(got, expected);
    }
    // Every message names its entity and where that is; an event that does not is refused.
    stage.refuse_event(json!({"type": "Flow.Created", "data": {}}), "entity").await;
    let without_url = json!({"type": "Flow.Created", "data": {}, "entity": {"type": "Flow", "id": "5"}});
    stage.refuse_event(without_url, "entity.url").await;
    stage.end().await;
}

#[tokio::test]
async fn every_setting_is_taken_and_everything_else_refused() {
    let mut stage = stage().await;
    let script = Script::of(&stage, json!({})).await;
    let headers: Vec<_> = (0..40).map(|n| json!({"key": format!("X-Own-{n}"), "value": format!("{n}")})).collect();
    script.make(&stage, json!({"name": "Many", "description": "forty headers", "headers": headers})).await;
    stage.event(executed()).await;
    let request = stage.receiver.next().await;
    for number in 0..40 {
        assert_eq!(request.header(&format!("x-own-{number}")), number.to_string());
    }
    for (settings, field) in [
        (json!({"url": "ftp://example.com"}), "url"),
        (json!({"events": ["Flow.Lost"]}), "events[0]"),
        (json!({"basicUser": "admin"}), "basicPass"),
        (json!({"headers": [{"key": "X-Etl-Webhook-Id", "value": "1"}]}), "headers.X-Etl-Webhook-Id"),
        (json!({"headers": [{"key": "Host", "value": "h"}]}), "headers.Host"),
        (json!({"headers": [{"key": "X-Big", "value": "x".repeat(5_000)}]}), "headers.X-Big"),
    ] {
        script.send(&stage, Method::POST, REST, &stage.hook(settings)).await.invalid(field);
    }
    for wrong in [json!({"method": "PUT"}), json!({"contentType": "text/xml"})] {
        let reply = script.send(&stage, Method::POST, REST, &stage.hook(wrong.clone())).await;
        assert!(reply.status.is_client_error(), "{wrong}: {reply:?}");
        let field = wrong.as_object().unwrap().keys().next().unwrap();
        assert_eq!(reply.body()["errors"][0]["field"], json!(field), "{reply:?}");
    }
    for (settings, field) in [
        (json!({"content_type": "application/cloudevents+json"}), "content_type"),
        (json!({"auth": {"type": "bearer", "token": "t"}}), "auth"),
        (json!({"filter": {"type": "Flow"}}), "filter"),
        (json!({"retry": {"delays_seconds": [1], "jitter": 0.0}}), "retry"),
        (json!({"timeout_seconds": 5}), "timeout_seconds"),
    ] {
        stage.refuse(&json!({}), settings, field).await;
    }
    // Switched off for a while, it gets nothing, and what happens then is not sent later.
    let mut off = stage.hook(json!({"enabled": false}));
    script.send(&stage, Method::PUT, "/rest/v1/webhooks/1", &off).await.ok();
    assert_eq!(stage.post(executed()).await.1, 0);
    off["enabled"] = json!(true);
    script.send(&stage, Method::PUT, "/rest/v1/webhooks/1", &off).await.ok();
    let event = stage.event(executed()).await;
    stage.receiver.next().await;
    stage.delivery(&format!("event={event}"), "delivered", 1).await;
    stage.end().await;
}

#[tokio::test]
async fn a_failed_request_is_not_retried() {
    let mut stage = stage().await;
    Script::of(&stage, json!({})).await.make(&stage, json!({})).await;
    for status in [500, 404, 410, 302] {
        stage.receiver.answer(status);
        let event = stage.event(executed()).await;
        let first = stage.receiver.next().await;
        stage.fail_by_schedule(&event, first, &[]).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn administrators_alone_see_and_manage() {
    let mut stage = stage().await;
    stage.user("admin", json!({"roles": ["Administrator"]})).await;
    stage.user("editor", json!({"roles": ["Editor"], "permissions": ["Administrator"], "grants": "all"})).await;
    let admin = Script::of(&stage, json!({"user": "admin"})).await;
    let editor = Script::of(&stage, json!({"user": "editor"})).await;
    let made = admin.make(&stage, json!({"name": "Mine"})).await;
    let one = format!("{REST}/{}", made["id"]);
    let ours = admin.send(&stage, Method::GET, HOOKS, &json!({})).await.ok()["data"][0].clone();
    assert_eq!((&ours["owner"], &ours["number"]), (&json!("admin"), &made["id"]));
    for (method, path, body) in [
        (Method::GET, REST, json!({})),
        (Method::GET, &one, json!({})),
        (Method::POST, REST, stage.hook(json!({}))),
        (Method::PUT, &one, stage.hook(json!({}))),
        (Method::DELETE, &one, json!({})),
        (Method::GET, HOOKS, json!({})),
        (Method::POST, HOOKS, stage.hook(json!({}))),
        (Method::GET, &format!("/v1/organizations/{ORG}/deliveries"), json!({})),
    ] {
        let refused = editor.send(&stage, method, path, &body).await.problem(403, "permission_denied");
        assert_eq!(refused["detail"], "the user editor needs the role Administrator", "{path}");
    }
    admin.send(&stage, Method::GET, REST, &json!({})).await.ok();
    admin.send(&stage, Method::PUT, &one, &stage.hook(json!({"name": "Still mine"}))).await.ok();
    // Who made it may leave; it goes on.
    stage.user("admin", json!({"roles": []})).await;
    admin.send(&stage, Method::GET, &one, &json!({})).await.problem(403, "permission_denied");
    let script = Script::of(&stage, json!({})).await;
    script.send(&stage, Method::GET, &one, &json!({})).await.ok();
    stage.event(executed()).await;
    stage.receiver.next().await;
    stage.end().await;
}

#[tokio::test]
async fn a_new_secret_signs_alone_and_at_once() {
    let mut stage = stage().await;
    let script = Script::of(&stage, json!({})).await;
    script.make(&stage, json!({"secret": "the first one"})).await;
    let hook = stage.api.get(HOOKS).await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    let one = format!("{HOOKS}/{hook}");
    for change in ["replaced", "edited", "rotated"] {
        match change {
            "replaced" => {
                let body = stage.hook(json!({"secret": SECRET}));
                script.send(&stage, Method::PUT, &format!("{REST}/1"), &body).await.ok()
            }
            "edited" => stage.api.patch(&one, json!({"secret": SECRET})).await.ok(),
            _ => stage.api.post(&format!("{one}/secret/rotate"), json!({"secret": SECRET})).await.ok(),
        };
        stage.event(executed()).await;
        let request = stage.receiver.next().await;
        assert_eq!(request.header("x-etl-webhook-signature"), signature(&request.body), "{change}");
        stage.api.patch(&one, json!({"secret": format!("before the next one, {change}")})).await.ok();
    }
    stage.end().await;
}

#[tokio::test]
async fn a_new_password_is_for_the_user_who_is_known() {
    let mut stage = stage().await;
    let script = Script::of(&stage, json!({})).await;
    let one = format!("{REST}/1");
    script.send(&stage, Method::POST, REST, &stage.hook(json!({"basicPass": "p"}))).await.invalid("basicUser");
    script.make(&stage, json!({"basicUser": "admin", "basicPass": "old"})).await;
    script.send(&stage, Method::PUT, &one, &stage.hook(json!({"basicPass": "admin"}))).await.ok();
    stage.event(executed()).await;
    assert_eq!(stage.receiver.next().await.header("authorization"), "Basic YWRtaW46YWRtaW4=");
    let blank = stage.hook(json!({"basicUser": "", "basicPass": "other"}));
    script.send(&stage, Method::PUT, &one, &blank).await.invalid("basicUser");
    script.send(&stage, Method::PUT, &one, &stage.hook(json!({"basicUser": null, "basicPass": null}))).await.ok();
    stage.event(executed()).await;
    assert_eq!(stage.receiver.next().await.header("authorization"), "Basic YWRtaW46YWRtaW4=", "null is absent");
    script.send(&stage, Method::PUT, &one, &stage.hook(json!({"basicUser": "", "basicPass": "****"}))).await.ok();
    stage.event(executed()).await;
    assert_eq!(stage.receiver.next().await.values("authorization"), [""; 0]);
    stage.end().await;
}

#[tokio::test]
async fn the_last_hundred_events_are_viewed_each_with_what_was_sent_and_came_back() {
    let mut stage = stage().await;
    let settings = json!({"secret": SECRET, "basicUser": "admin", "basicPass": "canary-password"});
    let hook = Script::of(&stage, json!({})).await.make(&stage, settings).await;
    assert_eq!(hook["id"], 1);
    let id = stage.api.get(HOOKS).await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    let mut events = Vec::new();
    for number in 0..103 {
        stage.receiver.answer_with(if number == 102 { 500 } else { 200 }, &[("X-Answer", "yes")], "what came back");
        events.push(stage.event(flow("Flow.Executed", &number.to_string())).await);
        let request = stage.receiver.next().await;
        assert_eq!(request.header("x-etl-webhook-entity-id"), number.to_string());
        // Each ends before the next begins, so that the answers are those of their own requests.
        stage
            .delivery(&format!("event={}", events[number]), if number == 102 { "exhausted" } else { "delivered" }, 1)
            .await;
    }
    let view = stage.deliveries(&format!("webhook={id}&limit=250")).await;
    let shown: Vec<_> = view.iter().map(|delivery| delivery["event_id"].as_str().unwrap()).collect();
    let newest: Vec<_> = events.iter().rev().take(100).collect();
    assert_eq!(shown, newest);
    // A view, and no limit on what is kept.
    assert_eq!(stage.deliveries("limit=250").await.len(), events.len());
    assert_eq!(stage.deliveries(&format!("event={}", events[0])).await.len(), 1);

    let attempt = stage.attempts(&view[0]).await[0].clone();
    let (request, response) = (&attempt["request"], &attempt["response"]);
    let body = request["body"].as_str().unwrap();
    assert_eq!(request["headers"]["x-etl-webhook-signature"], signature(body));
    assert_eq!((&request["method"], &request["url"]), (&json!("POST"), &json!(stage.receiver.url("/h"))));
    assert_eq!(request["headers"]["authorization"], "Basic ****");
    assert_eq!(request["headers"]["x-etl-webhook-entity-id"], "102");
    // What the connection adds was sent, too.
    assert_eq!(request["headers"]["host"], stage.receiver.url("").trim_start_matches("http://"));
    assert_eq!(request["headers"]["content-length"], body.len().to_string());
    assert_eq!(
        body,
        format!(
            r#"{{"eventId":"{}","eventType":"Flow.Executed","webhookId":1,"entityId":102,"entityUrl":"https://app.etlworks.com/rest/v1/flows/1?auditId=11225","timestamp":1588429200207}}"#,
            request["headers"]["x-etl-webhook-event-id"].as_str().unwrap()
        )
    );
    assert_eq!((&response["status"], &response["body"]), (&json!(500), &json!("what came back")));
    assert_eq!(response["headers"]["x-answer"], "yes");
    assert!(!attempt.to_string().contains("canary-password"), "{attempt}");
    stage.end().await;
}
