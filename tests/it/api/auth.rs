//! Who may do what: keys, scopes, and keys that are bound to an organization.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::{ADMIN, Api, URL};

#[tokio::test]
async fn without_a_right_key_there_is_401() {
    let api = Api::start().await;
    let ask = || api.ask(Method::GET, "/v1/organizations").without_key();
    ask().send().await.problem(401, "unauthenticated");
    for value in ["Bearer", "Bearer ", "Basic YWRtaW46", "Bearer wrong", &format!("Bearer {ADMIN}x"), ADMIN] {
        let reply = ask().header("authorization", value).send().await;
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
        assert!(!reply.text.contains(ADMIN), "{reply:?}");
        reply.problem(401, "unauthenticated");
    }
    let long = "x".repeat(10_000);
    ask().header("authorization", &format!("Bearer {long}")).send().await.problem(401, "unauthenticated");
    ask().header("authorization", &format!("bearer  {ADMIN}")).send().await.ok();
    api.stop().await;
}

#[tokio::test]
async fn who_tries_keys_is_slowed_down_and_keeps_no_known_key_out() {
    let api = Api::start().await;
    let made = api.key(&["read"], json!({})).await;
    let from =
        async |address: &str, key: &str| api.ask(Method::GET, "/v1/organizations").key(key).from(address).send().await;
    let (bad, good) = ("2001:db8::1", "192.0.2.1");
    from(good, ADMIN).await.ok();
    for address in [bad, good] {
        for number in 0..20 {
            from(address, &format!("a-wrong-key-{number}")).await.problem(401, "unauthenticated");
        }
        let refused = from(address, "a-wrong-key").await;
        assert_eq!(refused.headers["retry-after"], "3");
        refused.problem(429, "too_many_wrong_keys");
        // One that Fanfare made, which nobody can guess, is looked at from everywhere.
        from(address, &made).await.ok();
        from(address, &format!("{made}x")).await.problem(429, "too_many_wrong_keys");
    }
    // The whole network is one caller; another one is not slowed down.
    from("2001:db8::ffff", "a-wrong-key").await.problem(429, "too_many_wrong_keys");
    from("2001:db8:0:1::1", "a-wrong-key").await.problem(401, "unauthenticated");
    // Where a key was right, others are looked at, too.
    from(good, ADMIN).await.ok();
    from(good, "a-wrong-key").await.problem(429, "too_many_wrong_keys");
    api.clock.advance(Duration::from_secs(3));
    from(bad, "a-wrong-key").await.problem(401, "unauthenticated");
    from(bad, "a-wrong-key").await.problem(429, "too_many_wrong_keys");
    api.stop().await;
}

#[tokio::test]
async fn a_thought_up_key_is_not_looked_at_after_too_many_wrong_ones() {
    let api = Api::start().await;
    let ask = |key: &str| api.ask(Method::GET, "/v1/organizations").key(key).from("192.0.2.1").send();
    for number in 0..20 {
        ask(&format!("a-wrong-key-{number}")).await.problem(401, "unauthenticated");
    }
    // Else the admin key could be guessed by trying faster than the answers say.
    ask(ADMIN).await.problem(429, "too_many_wrong_keys");
    api.clock.advance(Duration::from_secs(3));
    ask(ADMIN).await.ok();
    ask(ADMIN).await.ok();
    api.stop().await;
}

#[tokio::test]
async fn case_083_a_scope_that_is_too_small_changes_nothing() {
    let api = Api::start().await;
    api.organization("acme").await;
    let webhook = api.webhook("acme", json!({})).await["id"].as_str().unwrap().to_owned();
    let reader = api.key(&["read"], json!({})).await;
    let poster = api.key(&["events:write"], json!({})).await;
    let path = format!("/v1/organizations/acme/webhooks/{webhook}");
    let changes = [
        (Method::POST, "/v1/organizations".to_owned()),
        (Method::PUT, "/v1/organizations/other".to_owned()),
        (Method::PATCH, "/v1/organizations/acme".to_owned()),
        (Method::DELETE, "/v1/organizations/acme".to_owned()),
        (Method::POST, "/v1/event-types".to_owned()),
        (Method::POST, "/v1/organizations/acme/webhooks".to_owned()),
        (Method::PATCH, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/disable")),
        (Method::POST, format!("{path}/secret/rotate")),
        (Method::GET, format!("{path}/secret")),
        (Method::POST, "/v1/api-keys".to_owned()),
        (Method::GET, "/v1/api-keys".to_owned()),
        (Method::POST, "/v1/pauses".to_owned()),
        (Method::POST, "/v1/operator-webhooks".to_owned()),
    ];
    for (method, path) in changes {
        for key in [&reader, &poster] {
            let body = json!({"name": "a", "url": URL, "scopes": ["manage"]});
            api.ask(method.clone(), &path).key(key).json(&body).send().await.problem(403, "scope_too_small");
        }
    }
    for path in ["/v1/organizations", "/v1/organizations/acme", "/v1/event-types", "/v1/webhooks", &path] {
        api.ask(Method::GET, path).key(&reader).send().await.ok();
        api.ask(Method::GET, path).key(&poster).send().await.problem(403, "scope_too_small");
    }
    assert_eq!(api.get(&path).await.ok()["status"], "active");
    api.stop().await;
}

#[tokio::test]
async fn a_key_of_an_organization_acts_on_that_one_only() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.organization("other").await;
    let others = api.webhook("other", json!({})).await;
    let key = api.key(&["manage"], json!({"organization": "acme"})).await;
    let ask = |method, path: &str| api.ask(method, path).key(&key);
    let made = ask(Method::POST, "/v1/organizations/acme/webhooks").json(&json!({"url": URL})).send().await.created();
    assert_eq!(ask(Method::GET, "/v1/webhooks").send().await.ok()["data"].as_array().unwrap().len(), 1);
    ask(Method::GET, "/v1/webhooks?organization=other").send().await.problem(404, "not_found");
    ask(Method::GET, "/v1/organizations/other").send().await.problem(404, "not_found");
    ask(Method::DELETE, "/v1/organizations/other").send().await.problem(404, "not_found");
    let path = format!("/v1/organizations/acme/webhooks/{}", others["id"].as_str().unwrap());
    ask(Method::GET, &path).send().await.problem(404, "not_found");
    ask(Method::GET, "/v1/event-types").send().await.ok();
    let body = json!({"name": "a", "url": URL, "scopes": ["read"]});
    let whole = [
        (Method::GET, "/v1/organizations"),
        (Method::POST, "/v1/organizations"),
        (Method::PUT, "/v1/organizations/acme"),
        (Method::PATCH, "/v1/organizations/acme"),
        (Method::DELETE, "/v1/organizations/acme"),
        (Method::POST, "/v1/event-types"),
        (Method::GET, "/v1/api-keys"),
        (Method::POST, "/v1/api-keys"),
        (Method::GET, "/v1/pauses"),
        (Method::POST, "/v1/operator-webhooks"),
        (Method::GET, "/v1/operator-webhooks"),
    ];
    for (method, path) in whole {
        let ask = ask(method.clone(), path);
        let ask = if method == Method::PATCH { ask.json(&json!({"name": "a"})) } else { ask.json(&body) };
        ask.send().await.problem(403, "organization_key");
    }
    assert_eq!(api.get("/v1/organizations/acme").await.ok()["name"], "acme");
    ask(Method::DELETE, &format!("/v1/organizations/acme/webhooks/{}", made["id"].as_str().unwrap()))
        .send()
        .await
        .gone();
    api.stop().await;
}

#[tokio::test]
async fn a_key_of_a_user_acts_for_that_user() {
    let api = Api::start().await;
    api.organization("acme").await;
    let key = api.key(&["manage"], json!({"organization": "acme", "user": "u-1"})).await;
    let body = json!({"url": URL});
    let path = "/v1/organizations/acme/webhooks";
    let own = api.ask(Method::POST, path).key(&key).json(&body).send().await.created();
    assert_eq!(own["created_by"], "u-1");
    let ask = api.ask(Method::POST, path).key(&key).header("fanfare-user", "u-2").json(&body);
    ask.send().await.refuses(400, "invalid_parameter", "Fanfare-User");
    let named = api.ask(Method::POST, path).header("fanfare-user", "u-3").json(&body).send().await.created();
    assert_eq!(named["created_by"], "u-3");
    assert_eq!(api.post(path, body).await.created()["created_by"], json!(null));
    api.stop().await;
}
