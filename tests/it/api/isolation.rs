//! What is another tenant's looks like what is not there, on every route that names something.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Api, START, URL};

/// The actions on a webhook, and the bodies that they take.
fn webhook_routes() -> Vec<(Method, &'static str, Value)> {
    vec![
        (Method::GET, "", Value::Null),
        (Method::PATCH, "", json!({"name": "taken over"})),
        (Method::POST, "/enable", Value::Null),
        (Method::POST, "/disable", Value::Null),
        (Method::POST, "/pause", Value::Null),
        (Method::POST, "/resume", Value::Null),
        (Method::GET, "/secret", Value::Null),
        (Method::POST, "/secret/rotate", json!({})),
        (Method::POST, "/test", json!({})),
        (Method::POST, "/recover", json!({"since": START})),
        (Method::GET, "/stats", Value::Null),
        (Method::DELETE, "", Value::Null),
    ]
}

#[tokio::test]
async fn case_080_another_tenants_webhook_is_not_there() {
    let api = Api::start().await;
    for name in ["acme", "other"] {
        api.organization(name).await;
    }
    let theirs = api.webhook("other", json!({"name": "theirs"})).await;
    let theirs = theirs["id"].as_str().unwrap();
    let key = api.key(&["manage"], json!({"organization": "acme"})).await;
    for (method, action, body) in webhook_routes() {
        let ask = async |id: &str| {
            let path = format!("/v1/organizations/acme/webhooks/{id}{action}");
            let reply = api.ask(method.clone(), &path).key(&key).json(&body).send().await;
            (reply.status.as_u16(), reply.text)
        };
        let (status, text) = ask(theirs).await;
        assert_eq!(status, 404, "{method} {action} {text}");
        assert_eq!((status, text.clone()), ask("whk_0000000000000").await);
        assert_eq!((status, text), ask("nonsense").await);
    }
    let kept = api.get(&format!("/v1/organizations/other/webhooks/{theirs}")).await.ok();
    assert_eq!((&kept["name"], &kept["status"]), (&json!("theirs"), &json!("active")));
    api.stop().await;
}

#[tokio::test]
async fn case_080_another_tenants_organization_is_not_there() {
    let api = Api::start().await;
    api.organization("acme").await;
    let other = api.organization("other").await;
    let webhook = api.webhook("other", json!({})).await["id"].as_str().unwrap().to_owned();
    api.post("/v1/projects", json!({"name": "elsewhere"})).await.created();
    let bound = api.key(&["manage"], json!({"organization": "acme"})).await;
    let elsewhere = api.key(&["manage"], json!({"project": "elsewhere"})).await;
    let mut routes = vec![
        (Method::GET, String::new(), Value::Null),
        (Method::PATCH, String::new(), json!({"name": "a"})),
        (Method::DELETE, String::new(), Value::Null),
        (Method::GET, "/webhooks".to_owned(), Value::Null),
        (Method::POST, "/webhooks".to_owned(), json!({"url": URL})),
    ];
    let on_webhook = webhook_routes();
    routes.extend(
        on_webhook.into_iter().map(|(method, action, body)| (method, format!("/webhooks/{webhook}{action}"), body)),
    );
    for key in [&bound, &elsewhere] {
        for (method, below, body) in &routes {
            let mut texts = Vec::new();
            for org in ["other", other["id"].as_str().unwrap(), "nobody", "org_0000000000000"] {
                let path = format!("/v1/organizations/{org}{below}");
                let reply = api.ask(method.clone(), &path).key(key).json(body).send().await;
                assert_eq!(reply.status, 404, "{method} {path} {reply:?}");
                texts.push(reply.text);
            }
            assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        }
    }
    api.get(&format!("/v1/organizations/other/webhooks/{webhook}")).await.ok();
    api.stop().await;
}

#[tokio::test]
async fn case_080_another_projects_things_are_not_there() {
    let api = Api::start().await;
    api.post("/v1/projects", json!({"name": "elsewhere"})).await.created();
    let key = api.key(&["manage"], json!({"project": "elsewhere"})).await;
    api.post("/v1/event-types", json!({"name": "job.created"})).await.created();
    let pause = api.post("/v1/pauses", json!({"everything": true})).await.created();
    let operators = api.post("/v1/operator-webhooks", json!({"url": URL})).await.created();
    let (pause, operators) = (pause["id"].as_str().unwrap(), operators["id"].as_str().unwrap());
    let routes = [
        (Method::GET, "/v1/event-types/job.created".to_owned()),
        (Method::DELETE, "/v1/event-types/job.created".to_owned()),
        (Method::DELETE, format!("/v1/pauses/{pause}")),
        (Method::GET, format!("/v1/operator-webhooks/{operators}")),
        (Method::GET, format!("/v1/operator-webhooks/{operators}/secret")),
        (Method::DELETE, format!("/v1/operator-webhooks/{operators}")),
    ];
    for (method, path) in routes {
        api.ask(method, &path).key(&key).send().await.problem(404, "not_found");
    }
    for path in ["/v1/event-types", "/v1/pauses", "/v1/operator-webhooks", "/v1/webhooks", "/v1/organizations"] {
        assert_eq!(api.ask(Method::GET, path).key(&key).send().await.ok()["data"], json!([]), "{path}");
    }
    api.stop().await;
}
