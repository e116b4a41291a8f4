//! Query parameters that a route does not take.

use axum::http::Method;
use serde_json::json;

use super::Api;

/// The path with something in each of its variable parts.
fn filled(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn no_route_passes_over_a_parameter_that_it_does_not_take() {
    let api = Api::start().await;
    let description = serde_json::to_value(fanfare::api::description()).unwrap();
    let mut asked = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/") {
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
                continue;
            }
            let reply = api.ask(method.clone(), &format!("{}?no+such=1", filled(path))).json(&json!({})).send().await;
            assert_eq!(reply.status, 400, "{method} {path}: {reply:?}");
            reply.refuses(400, "invalid_parameter", "no such");
            asked += 1;
        }
    }
    assert!(asked > 50, "only {asked} routes were asked");
    api.stop().await;
}

#[tokio::test]
async fn a_query_that_was_meant_to_hold_back_does() {
    let api = Api::start().await;
    api.organization("acme").await;
    let preview = api.post("/v1/deliveries/resend?preview=true", json!({"organization": "acme"})).await;
    let words = preview.problem(400, "invalid_parameter")["detail"].as_str().unwrap().to_owned();
    assert_eq!(words, "preview is not known here; this route takes no query parameters");
    api.delete("/v1/organizations/acme?project=other").await.refuses(400, "invalid_parameter", "project");
    api.get("/v1/organizations/acme").await.ok();
    let list = api.get("/v1/organizations?limit=1&cursors=x").await.problem(400, "invalid_parameter");
    assert!(list["detail"].as_str().unwrap().contains("this route takes search, limit, cursor"), "{list}");
    // Probes may say what they like, and an empty query says nothing.
    assert_eq!(api.get("/healthz?from=probe").await.status, 200);
    api.get("/v1/organizations/acme?").await.ok();
    api.stop().await;
}
