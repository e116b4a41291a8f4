//! The description of the API: that it is whole, and that the list of errors is.

use std::collections::BTreeSet;
use std::fs;

use axum::http::Method;
use fanfare::api::problem::{Code, table_of_codes};
use serde_json::{Value, json};

use super::Api;

/// The routes that are fixed, as other programs are written against them.
const FIXED: &str = "
    GET POST /v1/projects
    GET PATCH /v1/projects/{project}
    GET POST /v1/event-types
    GET PATCH DELETE /v1/event-types/{name}
    GET POST /v1/organizations
    GET PUT PATCH DELETE /v1/organizations/{org}
    GET /v1/organizations/{org}/users
    GET PUT DELETE /v1/organizations/{org}/users/{user}
    GET PUT DELETE /v1/organizations/{org}/entities/{type}/{id}
    GET POST /v1/organizations/{org}/webhooks
    GET PATCH DELETE /v1/organizations/{org}/webhooks/{webhook}
    POST /v1/organizations/{org}/webhooks/{webhook}/enable
    POST /v1/organizations/{org}/webhooks/{webhook}/disable
    POST /v1/organizations/{org}/webhooks/{webhook}/pause
    POST /v1/organizations/{org}/webhooks/{webhook}/resume
    GET /v1/organizations/{org}/webhooks/{webhook}/secret
    POST /v1/organizations/{org}/webhooks/{webhook}/secret/rotate
    POST /v1/organizations/{org}/webhooks/{webhook}/test
    POST /v1/organizations/{org}/webhooks/{webhook}/recover
    GET /v1/organizations/{org}/webhooks/{webhook}/stats
    POST GET /v1/organizations/{org}/events
    POST /v1/events/batch
    GET /v1/organizations/{org}/events/{event}
    GET /v1/organizations/{org}/events/{event}/explain
    GET /v1/organizations/{org}/deliveries
    GET /v1/organizations/{org}/deliveries/{delivery}
    GET /v1/organizations/{org}/deliveries/{delivery}/attempts
    POST /v1/organizations/{org}/deliveries/{delivery}/resend
    POST /v1/organizations/{org}/deliveries/{delivery}/cancel
    GET /v1/organizations/{org}/deliveries/stream
    GET /v1/webhooks
    GET /v1/deliveries
    POST /v1/deliveries/resend
    POST /v1/deliveries/cancel
    GET /v1/jobs/{job}
    POST /v1/jobs/{job}/cancel
    GET /v1/stats
    GET POST /v1/pauses
    DELETE /v1/pauses/{pause}
    GET POST /v1/api-keys
    DELETE /v1/api-keys/{key}
    POST /v1/organizations/{org}/portal-sessions
    GET POST /v1/operator-webhooks
    GET PATCH DELETE /v1/operator-webhooks/{webhook}
    GET /healthz
    GET /readyz
    GET /metrics
";

fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch"] {
            if item.get(method).is_some() {
                found.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn the_fixed_routes_are_described_and_there() {
    let api = Api::start().await;
    let document = api.get("/openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let described = operations(&document);
    for line in FIXED.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (methods, path) = line.rsplit_once(' ').unwrap();
        for method in methods.split(' ') {
            assert!(described.contains(&(method.to_owned(), path.to_owned())), "{method} {path} is not described");
        }
    }
    // Every route that is described is there: without a key it asks for one, whatever the ids.
    for (method, path) in described {
        if matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics") {
            continue;
        }
        let concrete = path.replace(['{', '}'], "");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let reply = api.ask(method.clone(), &concrete).without_key().send().await;
        assert_eq!(reply.status, 401, "{method} {path}: {reply:?}");
    }
    api.stop().await;
}

#[tokio::test]
async fn the_description_refers_to_nothing_that_it_lacks() {
    let api = Api::start().await;
    let document = api.get("/openapi.json").await.ok();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    let referred = text.split("#/components/schemas/").skip(1).map(|after| after.split('"').next().unwrap());
    for name in referred {
        assert!(schemas.contains_key(name), "there is no schema {name}");
    }
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][method.to_lowercase()];
        let words = operation["summary"].as_str().or(operation["description"].as_str()).unwrap_or_default();
        assert!(!words.is_empty(), "{method} {path} is not explained");
        assert!(operation["responses"]["default"].is_object(), "{method} {path} does not describe its problems");
        let named = path.matches('{').count();
        let parameters = operation["parameters"]
            .as_array()
            .map_or(0, |parameters| parameters.iter().filter(|parameter| parameter["in"] == "path").count());
        assert_eq!(parameters, named, "{method} {path} does not describe its path");
    }
    api.stop().await;
}

#[tokio::test]
async fn the_page_for_people_asks_nobody_else() {
    let api = Api::start().await;
    let page = api.ask(Method::GET, "/docs").without_key().send().await;
    assert_eq!(page.status, 200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    for absent in ["<script", "http://", "https://fonts", "style=\"", "src=\"http"] {
        assert!(!page.text.contains(absent), "the page has {absent}");
    }
    assert!(page.text.contains("/v1/organizations/{org}/webhooks"));
    for code in Code::ALL {
        assert!(page.text.contains(&format!("id=\"{}\"", code.name())), "the page lacks {}", code.name());
    }
    let style = api.ask(Method::GET, "/docs/style.css").without_key().send().await;
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
    api.stop().await;
}

#[test]
fn the_list_of_errors_is_whole() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md")).unwrap();
    let table = table_of_codes();
    assert!(text.contains(&table), "docs/errors.md must have this table:\n\n{table}");
    let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len(), "two codes have one name");
}

#[tokio::test]
async fn the_first_page_leads_on() {
    let api = Api::start().await;
    let links = api.ask(Method::GET, "/").send().await.ok();
    for path in ["docs", "openapi", "health"].map(|name| links[name].as_str().unwrap().to_owned()) {
        assert!(api.ask(Method::GET, &path).send().await.status.is_success(), "{path}");
    }
    let shown = api.ask(Method::GET, "/").header("accept", "text/html,application/xhtml+xml").send().await;
    assert_eq!((shown.status.as_u16(), shown.headers["location"].to_str().unwrap()), (303, "/console"));
    api.stop().await;
}

#[tokio::test]
async fn the_data_of_an_event_may_be_any_json() {
    let api = Api::start().await;
    let document = api.get("/openapi.json").await.ok();
    for (schema, member) in [("EventInput", "data"), ("EventBody", "data"), ("DeliveryBody", "payload")] {
        let described = &document["components"]["schemas"][schema]["properties"][member];
        assert!(described.is_object() && described.get("type").is_none(), "{schema}: {described}");
    }
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    for data in [json!(1), json!([{}]), json!("text"), json!(null), json!(false)] {
        let event = json!({"type": "job.created", "data": data});
        let id = api.post("/v1/organizations/acme/events", event).await.with(202)["id"].as_str().unwrap().to_owned();
        assert_eq!(api.get(&format!("/v1/organizations/acme/events/{id}")).await.ok()["data"], data);
    }
    api.stop().await;
}
