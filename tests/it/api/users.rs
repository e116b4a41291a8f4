//! `/v1/organizations/{org}/users`.

use axum::http::Method;
use fanfare::config::Sources;
use serde_json::{Value, json};

use super::{Api, START};

const USERS: &str = "/v1/organizations/acme/users";

#[tokio::test]
async fn a_user_is_made_replaced_and_forgotten() {
    let api = Api::start().await;
    api.organization("acme").await;
    let path = format!("{USERS}/anna%20b%C3%A9");
    let told = json!({
        "name": "Anna", "roles": ["ProcessBuilder"], "permissions": ["Org.webhooks"],
        "grants": [{"type": "Packet", "id": "2"}, {"type": "Company", "id": "1"}, {"type": "Packet", "id": "2"}],
    });
    let made = api.put(&path, told.clone()).await.created();
    let expected = json!({
        "id": "anna bé", "name": "Anna", "roles": ["ProcessBuilder"], "permissions": ["Org.webhooks"],
        "grants": [{"type": "Company", "id": "1"}, {"type": "Packet", "id": "2"}],
        "created_at": START, "updated_at": START,
    });
    assert_eq!(made, expected);
    assert_eq!(api.get(&path).await.ok(), expected);

    // What is left out is taken away; the same again changes nothing.
    api.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(api.put(&path, told).await.ok(), expected);
    let replaced = api.put(&path, json!({"grants": "all"})).await.ok();
    let later = "2026-11-22T09:31:00.000Z";
    assert_eq!(
        replaced,
        json!({"id": "anna bé", "name": null, "roles": [], "permissions": [], "grants": "all",
            "created_at": START, "updated_at": later})
    );
    api.delete(&path).await.gone();
    api.get(&path).await.problem(404, "not_found");
    api.delete(&path).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn users_are_listed_page_by_page_and_belong_to_one_organization() {
    let api = Api::start().await;
    for org in ["acme", "other"] {
        api.organization(org).await;
    }
    for user in ["a", "b", "c"] {
        api.put(&format!("{USERS}/{user}"), json!({})).await.created();
    }
    let ids = |page: &Value| {
        page["data"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = api.get(&format!("{USERS}?limit=2")).await.ok();
    assert_eq!(ids(&first), ["c", "b"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = api.get(&format!("{USERS}?limit=2&cursor={cursor}")).await.ok();
    assert_eq!((ids(&second), &second["next_cursor"]), (vec!["a".to_owned()], &json!(null)));
    assert_eq!(ids(&api.get("/v1/organizations/other/users").await.ok()), Vec::<String>::new());
    api.get("/v1/organizations/other/users/a").await.problem(404, "not_found");

    api.delete("/v1/organizations/acme").await.gone();
    api.organization("acme").await;
    assert_eq!(ids(&api.get(USERS).await.ok()), Vec::<String>::new());
    api.stop().await;
}

#[tokio::test]
async fn what_is_told_of_a_user_is_bounded() {
    let api = Api::start().await;
    api.organization("acme").await;
    let path = format!("{USERS}/anna");
    let many = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
    let grants = |count: usize| (0..count).map(|n| json!({"type": "T", "id": n.to_string()})).collect::<Vec<_>>();
    api.put(&path, json!({"roles": many(100), "permissions": many(100), "grants": grants(1_000)})).await.created();
    api.put(&path, json!({"roles": many(101)})).await.invalid("roles");
    api.put(&path, json!({"permissions": many(101)})).await.invalid("permissions");
    api.put(&path, json!({"grants": grants(1_001)})).await.invalid("grants");
    api.put(&path, json!({"roles": ["a", ""]})).await.invalid("roles[1]");
    api.put(&path, json!({"permissions": ["x".repeat(256)]})).await.invalid("permissions[0]");
    api.put(&path, json!({"grants": [{"type": "", "id": "1"}]})).await.invalid("grants.type");
    api.put(&path, json!({"grants": "none"})).await.invalid("grants");
    api.put(&path, json!({"name": "a\nb"})).await.invalid("name");
    api.put(&path, json!({"role": []})).await.invalid("role");
    api.put(&format!("{USERS}/{}", "x".repeat(256)), json!({})).await.invalid("user");
    assert_eq!(api.get(&path).await.ok()["roles"].as_array().unwrap().len(), 100);
    api.stop().await;

    let api = Api::start_with(Sources { max_grants_per_user: Some(1_100), ..Sources::default() }).await;
    api.organization("acme").await;
    api.put(&path, json!({"grants": grants(1_100)})).await.created();
    api.put(&path, json!({"grants": grants(1_101)})).await.invalid_because("grants", "max_grants_per_user");
    api.stop().await;
}

#[tokio::test]
async fn users_are_told_by_the_host_alone() {
    let api = Api::start().await;
    api.organization("acme").await;
    let path = format!("{USERS}/anna");
    api.put(&path, json!({})).await.created();
    let key = api.key(&["manage"], json!({"organization": "acme", "user": "anna"})).await;
    for (method, path) in [(Method::GET, USERS), (Method::GET, &path), (Method::PUT, &path), (Method::DELETE, &path)] {
        let body = json!({"grants": "all"});
        api.ask(method.clone(), path)
            .header("fanfare-user", "anna")
            .json(&body)
            .send()
            .await
            .problem(403, "permission_denied");
        api.ask(method, path).key(&key).json(&body).send().await.problem(403, "permission_denied");
    }
    let reader = api.key(&["read"], json!({})).await;
    api.ask(Method::PUT, &path).key(&reader).json(&json!({})).send().await.problem(403, "scope_too_small");
    assert_eq!(api.get(&path).await.ok()["grants"], json!([]));
    api.stop().await;
}
