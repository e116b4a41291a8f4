//! `/v1/organizations/{org}/webhooks`: making, editing and removing them. `webhook_urls` and `webhook_secrets` have the rest.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Api, START, URL};

const PATH: &str = "/v1/organizations/acme/webhooks";

fn path_of(webhook: &Value) -> String {
    format!("{PATH}/{}", webhook["id"].as_str().unwrap())
}

async fn with_acme() -> Api {
    let api = Api::start().await;
    api.organization("acme").await;
    api
}

#[tokio::test]
async fn a_new_webhook_has_its_profiles_defaults() {
    let api = with_acme().await;
    let made = api.post(PATH, json!({"url": URL})).await.created();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let expected = json!({
        "number": 1, "name": "", "url": URL, "events": "all", "enabled": true, "status": "active", "status_reason": null,
        "method": "POST", "content_type": "application/json", "include_entity": false, "filter": null, "auth": null,
        "headers": {}, "profile": "standard", "retry": null, "timeout_seconds": null, "rate_limit": null, "metadata": {},
        "created_at": START, "updated_at": START, "created_by": null, "owner": null,
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }
    let mut without = made.clone();
    without.as_object_mut().unwrap().remove("secret");
    assert_eq!(api.get(&path_of(&made)).await.ok(), without);
    api.stop().await;
}

#[tokio::test]
async fn every_setting_is_kept_and_edited_alone() {
    let api = with_acme().await;
    api.post("/v1/event-types", json!({"name": "job.created"})).await.created();
    let settings = json!({
        "name": "Jobs", "events": ["job.created"], "filter": {"type": "Job", "id": "7"}, "headers": {"X-B": "2", "X-A": "1"},
        "retry": {"delays_seconds": [5, 60], "jitter": 0.5}, "timeout_seconds": 7, "rate_limit": {"per_second": 3},
        "metadata": {"k": "v"}, "enabled": false,
    });
    let made = api.webhook("acme", settings.clone()).await;
    for (member, value) in settings.as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }
    assert_eq!((&made["status"], &made["status_reason"]), (&json!("deactivated"), &json!("Not switched on yet.")));
    let path = path_of(&made);
    let edited = api.patch(&path, json!({"name": "All jobs"})).await.ok();
    for (member, value) in settings.as_object().unwrap().iter().filter(|(member, _)| *member != "name") {
        assert_eq!(&edited[member], value, "{member}");
    }
    let nulls = json!({"filter": null, "retry": null, "timeout_seconds": null, "rate_limit": null, "events": "all"});
    let cleared = api.patch(&path, nulls.clone()).await.ok();
    for (member, value) in nulls.as_object().unwrap() {
        assert_eq!(&cleared[member], value, "{member}");
    }
    assert_eq!(cleared["name"], "All jobs");
    let headers: Vec<&String> = cleared["headers"].as_object().unwrap().keys().collect();
    assert_eq!(headers, ["X-B", "X-A"], "headers keep their order");
    api.delete(&path).await.gone();
    api.get(&path).await.problem(404, "not_found");
    api.delete(&path).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn numbers_go_up_and_are_not_given_again() {
    let api = with_acme().await;
    let (one, two) = (api.webhook("acme", json!({})).await, api.webhook("acme", json!({})).await);
    assert_eq!((&one["number"], &two["number"]), (&json!(1), &json!(2)));
    api.delete(&path_of(&two)).await.gone();
    assert_eq!(api.webhook("acme", json!({})).await["number"], 3);
    api.organization("other").await;
    assert_eq!(api.webhook("other", json!({})).await["number"], 1);
    api.stop().await;
}

#[tokio::test]
async fn many_made_at_once_have_numbers_of_their_own() {
    let api = with_acme().await;
    let made = futures_util::future::join_all((0..30).map(|_| api.webhook("acme", json!({})))).await;
    let mut numbers: Vec<i64> = made.iter().map(|webhook| webhook["number"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    api.stop().await;
}

#[tokio::test]
async fn an_import_keeps_number_uuid_and_secrets() {
    let api = with_acme().await;
    let (old, new) = ("whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk", "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3");
    let uuid = "7d9f5e0a-6f0e-4d0a-9a8e-0123456789ab";
    let end = "2026-11-23T00:00:00.000Z";
    let body = json!({"number": 41, "uuid": uuid, "secrets": [{"value": new}, {"value": old, "expires_at": end}]});
    let made = api.webhook("acme", body).await;
    assert_eq!((&made["number"], &made["uuid"], &made["secret"]), (&json!(41), &json!(uuid), &json!(null)));
    let secrets = api.get(&format!("{}/secret", path_of(&made))).await.ok();
    assert_eq!(secrets, json!({"secret": new, "previous": [{"secret": old, "expires_at": end}]}));
    assert_eq!(api.webhook("acme", json!({})).await["number"], 42);
    assert_eq!(api.webhook("acme", json!({"number": 7})).await["number"], 7);
    assert_eq!(api.webhook("acme", json!({})).await["number"], 43);
    let taken = |body: Value| api.post(PATH, body);
    taken(json!({"url": URL, "number": 41})).await.refuses(409, "taken", "number");
    taken(json!({"url": URL, "uuid": uuid})).await.refuses(409, "taken", "uuid");
    taken(json!({"url": URL, "number": 0})).await.invalid("number");
    taken(json!({"url": URL, "uuid": "7"})).await.invalid("uuid");
    taken(json!({"url": URL, "secrets": []})).await.invalid("secrets");
    taken(json!({"url": URL, "secrets": [{"value": old, "expires_at": end}]})).await.invalid("secrets");
    taken(json!({"url": URL, "secrets": [{"value": new}, {"value": old}]})).await.invalid("secrets[1]");
    api.stop().await;
}

#[tokio::test]
async fn only_the_admin_key_imports() {
    let api = with_acme().await;
    let key = api.key(&["manage"], json!({})).await;
    for (field, value) in [
        ("number", json!(5)),
        ("uuid", json!("7d9f5e0a-6f0e-4d0a-9a8e-0123456789ab")),
        ("secrets", json!([{"value": "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"}])),
    ] {
        let mut body = json!({"url": URL});
        body[field] = value.clone();
        api.ask(Method::POST, PATH).key(&key).json(&body).send().await.invalid(field);
    }
    let made = api.webhook("acme", json!({})).await;
    api.patch(&path_of(&made), json!({"number": 5})).await.invalid("number");
    api.stop().await;
}

#[tokio::test]
async fn what_the_profile_does_not_allow_is_named() {
    let api = with_acme().await;
    let cases = [
        (json!({}), "url"),
        (json!({"url": URL, "name": "x".repeat(201)}), "name"),
        (json!({"url": URL, "method": "GET"}), "method"),
        (json!({"url": URL, "content_type": "application/x-www-form-urlencoded"}), "content_type"),
        (json!({"url": URL, "include_entity": true}), "include_entity"),
        (json!({"url": URL, "events": []}), "events"),
        (json!({"url": URL, "events": ["job.created"]}), "events[0]"),
        (json!({"url": URL, "filter": {"type": ""}}), "filter"),
        (json!({"url": URL, "timeout_seconds": 61}), "timeout_seconds"),
        (json!({"url": URL, "rate_limit": {"per_second": 0}}), "rate_limit.per_second"),
        (json!({"url": URL, "rate_limit": {"per_minute": 0}}), "rate_limit.per_minute"),
        (json!({"url": URL, "rate_limit": {"per_second": 1, "per_minute": 1}}), "rate_limit"),
        (json!({"url": URL, "rate_limit": {}}), "rate_limit"),
        (json!({"url": URL, "retry": {"delays_seconds": [0]}}), "retry.delays_seconds[0]"),
        (json!({"url": URL, "retry": {"delays_seconds": [1], "jitter": 2}}), "retry.jitter"),
        (json!({"url": URL, "secret": "short"}), "secret"),
        (json!({"url": URL, "profile": "other"}), "profile"),
        (json!({"url": URL, "metadata": {"": "v"}}), "metadata"),
    ];
    for (body, field) in cases {
        api.post(PATH, body).await.invalid(field);
    }
    assert_eq!(api.get(PATH).await.ok()["data"], json!([]));
    let all = api.post(PATH, json!({"url": "ftp://x", "name": "a\nb", "timeout_seconds": 0})).await;
    let fields: Vec<Value> = all.problem(422, "validation_failed")["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].clone())
        .collect();
    assert_eq!(fields, ["name", "url", "timeout_seconds"], "all that is wrong is told at once");
    api.stop().await;
}

#[tokio::test]
async fn event_types_that_were_removed_may_stay_in_a_webhook() {
    let api = with_acme().await;
    for name in ["a", "b"] {
        api.post("/v1/event-types", json!({"name": name})).await.created();
    }
    let made = api.webhook("acme", json!({"events": ["a", "b", "a"]})).await;
    assert_eq!(made["events"], json!(["a", "b"]));
    api.delete("/v1/event-types/a").await.gone();
    let path = path_of(&made);
    api.patch(&path, json!({"name": "still"})).await.ok();
    api.patch(&path, json!({"events": ["a"]})).await.ok();
    api.patch(&path, json!({"events": ["b"]})).await.ok();
    api.patch(&path, json!({"events": ["a"]})).await.invalid("events[0]");
    api.stop().await;
}

#[tokio::test]
async fn cases_046_to_048_custom_headers() {
    let api = with_acme().await;
    let refused = async |name: &str, value: &str| {
        let body = json!({"url": URL, "headers": {name: value}});
        let reply = api.post(PATH, body).await.problem(422, "validation_failed");
        let field = reply["errors"][0]["field"].as_str().unwrap().to_owned();
        assert!(field.starts_with("headers"), "{reply}");
    };
    for value in ["a\rb", "a\nb", "a\0b"] {
        refused("X-Any", value).await;
    }
    for name in [
        "Host",
        "content-length",
        "TE",
        "Connection",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "proxy-x",
        "webhook-id",
        "Webhook-Signature",
        "Transfer-Encoding",
        "a b",
        "",
        "größe",
    ] {
        refused(name, "v").await;
    }
    refused("X-Any", &"x".repeat(4_097)).await;
    let many: serde_json::Map<String, Value> =
        (0..5).map(|number| (format!("X-{number}"), json!("x".repeat(4_000)))).collect();
    api.post(PATH, json!({"url": URL, "headers": many})).await.invalid("headers");
    api.webhook("acme", json!({"headers": {"X-Any": "x".repeat(4_096)}})).await;
    let body = json!({"url": URL, "headers": {"Authorization": "Bearer x"}, "auth": {"type": "bearer", "token": "t"}});
    api.post(PATH, body).await.invalid("headers.Authorization");
    api.stop().await;
}

#[tokio::test]
async fn many_edits_at_once_are_all_kept() {
    let api = with_acme().await;
    let made = api.webhook("acme", json!({})).await;
    let path = path_of(&made);
    let edits = [
        json!({"name": "n"}),
        json!({"timeout_seconds": 9}),
        json!({"rate_limit": {"per_second": 4}}),
        json!({"metadata": {"k": "v"}}),
    ];
    let replies = futures_util::future::join_all(edits.iter().map(|edit| api.patch(&path, edit.clone()))).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    let after = api.get(&path).await.ok();
    for edit in edits {
        for (member, value) in edit.as_object().unwrap() {
            assert_eq!(&after[member], value, "{member}");
        }
    }
    api.stop().await;
}

#[tokio::test]
async fn webhooks_are_switched() {
    let api = with_acme().await;
    let path = path_of(&api.webhook("acme", json!({})).await);
    let turn = async |action: &str| api.post(&format!("{path}/{action}"), Value::Null).await;
    let paused = turn("pause").await.ok();
    assert_eq!(
        (&paused["status"], &paused["enabled"], &paused["status_reason"]),
        (&json!("paused"), &json!(true), &json!("Paused."))
    );
    assert_eq!(turn("pause").await.ok(), paused);
    assert_eq!(turn("resume").await.ok()["status"], "active");
    assert_eq!(turn("resume").await.ok()["status"], "active");
    let off = turn("disable").await.ok();
    assert_eq!((&off["status"], &off["enabled"]), (&json!("deactivated"), &json!(false)));
    turn("pause").await.problem(409, "invalid_state");
    turn("resume").await.problem(409, "invalid_state");
    let on = turn("enable").await.ok();
    assert_eq!((&on["status"], &on["status_reason"]), (&json!("active"), &json!(null)));
    assert_eq!(api.patch(&path, json!({"enabled": false})).await.ok()["status"], "deactivated");
    assert_eq!(api.patch(&path, json!({"enabled": true})).await.ok()["status"], "active");
    turn("pause").await.ok();
    assert_eq!(api.patch(&path, json!({"enabled": true})).await.ok()["status"], "paused");
    api.stop().await;
}
