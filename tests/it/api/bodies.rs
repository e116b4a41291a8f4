//! Bodies and requests that no route can take, and bodies that never arrive.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::Method;
use fanfare::background::MAX_AT_ONCE;
use futures_util::{FutureExt as _, stream};
use serde_json::{Value, json};

use super::Api;

const PATH: &str = "/v1/organizations";

#[tokio::test]
async fn what_is_no_json_is_400_with_its_place() {
    let api = Api::start().await;
    let post = |text: &str| {
        api.ask(Method::POST, PATH).header("content-type", "application/json").body(text.to_owned()).send()
    };
    let body = post("{\"name\":\n \"a\",}").await.problem(400, "invalid_json");
    assert!(body["detail"].as_str().unwrap().contains("line 2, column 6"), "{body}");
    for text in ["", "name=a", "{\"name\":\"a\"}}", "{\"name\":NaN}", "{\"name\":\"a"] {
        post(text).await.problem(400, "invalid_json");
    }
    post("[]").await.problem(422, "validation_failed");
    post(r#"["a", null, null]"#).await.problem(422, "validation_failed");
    post("null").await.problem(422, "validation_failed");
    api.stop().await;
}

#[tokio::test]
async fn unknown_members_and_wrong_types_are_422_with_their_path() {
    let api = Api::start().await;
    api.post(PATH, json!({"name": "a", "nome": "b"})).await.invalid("nome");
    api.post(PATH, json!({"name": 1})).await.invalid("name");
    api.post(PATH, json!({"name": "a", "metadata": []})).await.invalid("metadata");
    api.organization("acme").await;
    let path = "/v1/organizations/acme/webhooks";
    let cases = [
        (json!({"retry": {"delays_seconds": [1, "x"]}}), "retry.delays_seconds[1]"),
        (json!({"rate_limit": {"per_second": 1, "per_hour": 1}}), "rate_limit.per_hour"),
        (json!({"events": 7}), "events"),
        (json!({"events": "some"}), "events"),
        (json!({"method": "PUT"}), "method"),
        (json!({"filter": {"kind": "Job"}}), "filter.kind"),
        (json!({"auth": {"type": "digest"}}), "auth.type"),
        (json!({"auth": {"type": "basic", "username": "u"}}), "auth.password"),
        (json!({"headers": {"X-Any": 1}}), "headers.X-Any"),
        (json!({"timeout_seconds": 1.5}), "timeout_seconds"),
        (json!({"status": "active"}), "status"),
    ];
    for (mut body, field) in cases {
        body["url"] = json!(super::URL);
        api.post(path, body).await.invalid(field);
    }
    api.stop().await;
}

#[tokio::test]
async fn case_091_what_is_too_much_is_refused() {
    let api = Api::start().await;
    let large = json!({"name": "x".repeat(10 << 20)}).to_string();
    let ask = || api.ask(Method::POST, PATH).header("content-type", "application/json");
    ask().body(large.clone()).send().await.problem(413, "body_too_large");
    // The same, not declaring its length.
    let pieces = stream::iter(
        large.into_bytes().chunks(65_536).map(<[u8]>::to_vec).map(Ok::<_, std::io::Error>).collect::<Vec<_>>(),
    );
    ask().body(Body::from_stream(pieces)).send().await.problem(413, "body_too_large");
    let declared = ask().header("content-length", "99999999999").body("{}").send().await;
    declared.problem(413, "body_too_large");
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = ask().body(deep).send().await;
    assert!(deep.status == 400 || deep.status == 422, "{deep:?}");
    let schema = format!(r#"{{"name":"a","schema":{}1{}}}"#, r#"{"not":"#.repeat(50_000), "}".repeat(50_000));
    api.ask(Method::POST, "/v1/event-types")
        .header("content-type", "application/json")
        .body(schema)
        .send()
        .await
        .problem(400, "invalid_json");
    api.stop().await;
}

#[tokio::test]
async fn data_may_be_nested_so_deeply() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.post("/v1/event-types", json!({"name": "plain"})).await.created();
    api.post("/v1/event-types", json!({"name": "checked", "schema": {"type": ["array", "object"]}})).await.created();
    let events = "/v1/organizations/acme/events";
    let post = async |kind: &str, depth: usize, around: &str| {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"type":"{kind}",{}}}"#, around.replace('?', &deep));
        api.ask(Method::POST, events).header("content-type", "application/json").body(body).send().await
    };
    for kind in ["plain", "checked"] {
        let id = post(kind, 100, r#""data":?"#).await.accepted()["id"].as_str().unwrap().to_owned();
        api.get(&format!("{events}/{id}")).await.ok();
        for depth in [101, 100_000] {
            post(kind, depth, r#""data":?"#).await.invalid_because("data", "at most 100 levels deep");
        }
        let entity = r#""data":[],"entity":{"type":"job","id":"1","data":?}"#;
        post(kind, 101, entity).await.invalid("entity.data");
    }
    api.stop().await;
}

#[tokio::test]
async fn times_have_offsets_and_years_that_there_are() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.post("/v1/event-types", json!({"name": "plain"})).await.created();
    let events = "/v1/organizations/acme/events";
    let post = async |at: &str| api.post(events, json!({"type": "plain", "data": 1, "occurred_at": at})).await;
    for wrong in ["2026-11-22T09:30:00+25:00", "2026-11-22T09:30:00+24:00", "10000-01-01T00:00:00Z"] {
        post(wrong).await.invalid("occurred_at");
    }
    let id = post("9999-12-31T23:59:59Z").await.accepted()["id"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&format!("{events}/{id}")).await.ok()["occurred_at"], "9999-12-31T23:59:59.000Z");
    api.stop().await;
}

#[tokio::test]
async fn bodies_that_never_arrive_hold_up_nobody() {
    let api = Api::start().await;
    let acme = api.organization("acme").await;
    let reader = api.key(&["read"], json!({"organization": acme["id"]})).await;
    // The key is remembered, so that the requests below get as far as their bodies at once.
    api.ask(Method::GET, "/v1/organizations/acme/webhooks").key(&reader).send().await.ok();
    let hook = "/v1/organizations/acme/webhooks";
    let requests = [(Method::POST, hook, "k"), (Method::POST, hook, ""), (Method::DELETE, hook, "")];
    for (method, path, key) in requests {
        let slow = || {
            let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
            let ask = api.ask(method.clone(), path).key(&reader).header("content-type", "application/json");
            let ask = if key.is_empty() { ask } else { ask.header("idempotency-key", key) };
            Box::pin(ask.body(never).send())
        };
        let mut under_way: Vec<_> = (0..=MAX_AT_ONCE).map(|_| slow()).collect();
        under_way.iter_mut().for_each(|request| drop(request.now_or_never()));
        api.webhook("acme", json!({})).await;
    }
    api.stop().await;
}

#[tokio::test]
async fn a_body_must_be_declared_as_json() {
    let api = Api::start().await;
    let body = json!({"name": "a"}).to_string();
    let ask = || api.ask(Method::POST, PATH).body(body.clone());
    ask().send().await.problem(415, "unsupported_media_type");
    ask().header("content-type", "text/plain").send().await.problem(415, "unsupported_media_type");
    ask()
        .header("content-type", "application/x-www-form-urlencoded")
        .send()
        .await
        .problem(415, "unsupported_media_type");
    let json = || ask().header("content-type", "Application/JSON; charset=utf-8");
    json().header("content-encoding", "gzip").send().await.problem(415, "unsupported_media_type");
    json().header("content-encoding", "identity").send().await.created();
    api.stop().await;
}

#[tokio::test]
async fn unknown_routes_methods_and_parameters_are_problems() {
    let api = Api::start().await;
    api.get("/v1/nowhere").await.problem(404, "unknown_route");
    api.get("/v1/organizations/acme/nothing").await.problem(404, "unknown_route");
    let reply = api.put("/v1/organizations", json!({})).await;
    assert_eq!(reply.headers["allow"], "GET,HEAD,POST");
    reply.problem(405, "method_not_allowed");
    api.get("/v1/organizations?sort=name").await.refuses(400, "invalid_parameter", "sort");
    api.get("/v1/organizations?limit=many").await.refuses(400, "invalid_parameter", "limit");
    api.get("/v1/organizations/%ff").await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn answers_carry_the_requests_name() {
    let api = Api::start().await;
    let named = api.ask(Method::GET, PATH).header("x-request-id", "from-the-host.1").send().await;
    assert_eq!(named.headers["x-request-id"], "from-the-host.1");
    for odd in ["", "two words", "<script>", &"x".repeat(65)] {
        let reply = api.ask(Method::GET, PATH).header("x-request-id", odd).send().await;
        assert!(reply.headers["x-request-id"].to_str().unwrap().starts_with("req_"));
    }
    assert_ne!(api.get(PATH).await.headers["x-request-id"], api.get(PATH).await.headers["x-request-id"]);
    api.stop().await;
}

#[tokio::test]
async fn all_wrong_members_of_a_body_are_named_at_once() {
    let api = Api::start().await;
    api.organization("acme").await;
    let fields = |problem: Value| -> Vec<String> {
        let errors = problem["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    };
    let webhook = json!({"url": 7, "enabled": "yes", "event": ["a"], "retry": {"delay_seconds": []}});
    let refused = api.post("/v1/organizations/acme/webhooks", webhook).await.problem(422, "validation_failed");
    let mut named = fields(refused);
    named.sort();
    assert_eq!(named, ["enabled", "event", "retry.delay_seconds", "url"]);
    let event = json!({"type": 1, "data": {}, "entty": {}, "occurred_at": "yesterday"});
    let refused = api.post("/v1/organizations/acme/events", event).await.problem(422, "validation_failed");
    assert!(refused["detail"].as_str().unwrap().contains("occurred_at must be an RFC 3339 time"), "{refused}");
    let mut named = fields(refused);
    named.sort();
    assert_eq!(named, ["entty", "occurred_at", "type"]);
    api.stop().await;
}
