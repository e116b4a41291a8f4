//! What receivers answer costs the log no more than it may.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use fanfare::config::Sources;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Api;
use super::sending::local;

/// A receiver that answers with so many bytes of headers and of body.
async fn receiver(head: usize, body: usize) -> (String, JoinSet<()>) {
    let answer = async move || {
        let headers = (0..head / 1_000).map(|number| (format!("x-{number}"), "h".repeat(1_000)));
        let headers: HeaderMap = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        (headers, "b".repeat(body))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    let routes = Router::new().route("/", post(answer));
    server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (url, server)
}

/// The responses in the log of so many deliveries, one after the other.
async fn responses(api: &Api, url: &str, count: usize) -> Vec<Value> {
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"url": url})).await;
    let mut responses = Vec::new();
    for number in 1..=count {
        api.event("acme", "job.created").await;
        let delivery = api.until_state("delivered", number).await[0]["id"].as_str().unwrap().to_owned();
        let attempts = api.get(&format!("/v1/organizations/acme/deliveries/{delivery}/attempts")).await.ok();
        responses.push(attempts["data"][0]["response"].clone());
    }
    responses
}

fn lengths(response: &Value) -> (usize, usize) {
    let head: usize =
        response["headers"].as_object().unwrap().values().map(|value| value.as_str().unwrap().len()).sum();
    (head, response["body"].as_str().unwrap().len())
}

#[tokio::test]
async fn a_large_head_is_logged_in_part() {
    let (url, _server) = receiver(50_000, 10).await;
    let api = Api::start_with(local()).await;
    let logged = responses(&api, &url, 1).await.remove(0);
    let (head, body) = lengths(&logged);
    assert!((15_000..=16 * 1024).contains(&head), "{head}");
    assert_eq!((body, &logged["truncated"], &logged["status"]), (10, &json!(true), &json!(200)));
    api.stop().await;
}

#[tokio::test]
async fn a_day_that_is_used_up_leaves_successes_without_bodies() {
    let (url, _server) = receiver(0, 60_000).await;
    let api = Api::start_with(Sources { log_mib_per_day: Some(1), ..local() }).await;
    let logged = responses(&api, &url, 20).await;
    let bodies: Vec<usize> = logged.iter().map(|response| lengths(response).1).collect();
    let whole = bodies.iter().take_while(|length| **length == 60_000).count();
    assert_eq!(whole, 17, "{bodies:?}");
    assert_eq!(bodies[whole..], [0; 3]);
    let cut: Vec<_> = logged.iter().filter(|response| response["truncated"] == true).map(lengths).collect();
    assert_eq!(cut.len(), 3);
    let metrics = api.get("/metrics").await.text;
    assert!(metrics.contains("fanfare_responses_shortened_total 3\n"), "{metrics}");
    api.stop().await;
}
