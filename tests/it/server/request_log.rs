//! What the log says of requests that were refused or failed.

use serde_json::json;

use super::process::Home;
use super::scene::Scene;

#[tokio::test]
async fn each_refused_request_is_in_the_log_once_under_its_id() {
    let scene = Scene::start().await;
    let canary = "canary-3141";
    let nobody = scene.api.with_key(canary);
    let refused = [
        (nobody.get("/v1/organizations").await, "unauthenticated", "/v1/organizations"),
        (scene.api.get("/v1/nothing").await, "unknown_route", ""),
        (scene.api.get(&format!("/v1/organizations/{canary}")).await, "not_found", "/v1/organizations/{org}"),
        (
            scene.api.post("/v1/organizations", &json!({ canary: canary })).await,
            "validation_failed",
            "/v1/organizations",
        ),
        (scene.api.send("PUT", "/v1/stats", &[], "").await.unwrap(), "method_not_allowed", ""),
        (scene.api.get("/console/nothing").await, "404", ""),
    ];
    for (answer, code, route) in &refused {
        let id = answer.headers["x-request-id"].to_str().unwrap();
        let line = scene.server.says(id).await;
        assert!(line.contains("a request was refused") && line.contains(code), "{line}");
        assert!(line.contains("caller=127.0.0.1") && line.contains("method="), "{line}");
        assert!(route.is_empty() || line.contains(&format!("route=\"{route}\"")), "{line}");
    }
    let fine = scene.api.get("/v1/organizations").await;
    let log = scene.server.stop().await;
    for (answer, ..) in &refused {
        assert_eq!(log.matches(answer.headers["x-request-id"].to_str().unwrap()).count(), 1, "{log}");
    }
    assert!(!log.contains(fine.headers["x-request-id"].to_str().unwrap()));
    assert!(!log.contains(canary), "{log}");
}

#[tokio::test]
async fn a_request_that_is_no_http_for_the_routes_is_in_it_too() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let home = Home::new();
    let server = home.launch().start().await;
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    super::patience::within("the refusal", stream.read_to_string(&mut answer)).await.unwrap();
    let id = answer.split("x-request-id: ").nth(1).unwrap().lines().next().unwrap();
    assert!(server.says(id).await.contains("a request was refused"));
    server.stop().await;
}
