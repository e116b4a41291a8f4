//! A webhook whose receiver forwards its requests to this server's own API.

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::process::Home;
use super::scene::ORG;

/// Sends what the API takes as an event.
const PROFILE: &str = "\
name = \"relay\"
auth = [\"bearer\"]
[payload]
fields = [{ name = \"type\", from = \"event.type\" }, { name = \"data\", from = \"event.data\" }]
";

/// A proxy that hands on every byte.
async fn proxy(to: std::net::SocketAddr) -> (std::net::SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut proxy = JoinSet::new();
    proxy.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                // Either side may end first.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (address, proxy)
}

#[tokio::test]
async fn case_077_a_loop_ends_after_three_rounds() {
    let home = Home::new();
    let profiles = home.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join("relay.toml"), PROFILE).unwrap();
    let launch = home.launch().set("FANFARE_PROFILES_DIR", profiles.to_str().unwrap()).set("FANFARE_PROFILE", "relay");
    let server = launch.start().await;
    let api = server.api();
    api.make_organization(ORG).await;
    api.make_event_type(&json!({"name": "job.created"})).await;
    let (address, _proxy) = proxy(server.address()).await;
    let webhook = json!({
        "url": format!("http://{address}/v1/organizations/{ORG}/events"),
        "events": ["job.created"],
        "auth": {"type": "bearer", "token": api.key()},
    });
    api.make_webhook(ORG, &webhook).await;

    let mut event = api.post_event(ORG, &json!({"type": "job.created", "data": {"n": 1}})).await;
    for round in 0..4 {
        let state = if round < 3 { "delivered" } else { "exhausted" };
        let delivery = api.settled(ORG, &event, state).await;
        let attempt = api.attempts(&delivery).await.remove(0);
        // What the profile says is all that a receiver gets of an event that did not come back.
        let hops = &attempt["request"]["headers"]["fanfare-hops"];
        let expected = if round == 0 { Value::Null } else { json!((round + 1).to_string()) };
        assert_eq!(*hops, expected, "{attempt}");
        let answer: Value = serde_json::from_str(attempt["response"]["body"].as_str().unwrap()).unwrap();
        if round < 3 {
            answer["id"].as_str().unwrap().clone_into(&mut event);
        } else {
            assert_eq!((&attempt["response"]["status"], &answer["code"]), (&json!(422), &json!("loop_detected")));
        }
    }
    let listed = api.whole_list(&format!("/v1/organizations/{ORG}/events")).await;
    assert_eq!(listed.len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn case_077_what_waits_in_the_store_keeps_its_rounds() {
    let scene = super::scene::Scene::start().await;
    let webhook = scene.webhook("/hook").await;
    scene.api.post(&webhook.path("/pause"), &json!({})).await.expect(200);
    let path = format!("/v1/organizations/{ORG}/events");
    let body = super::scene::event(json!({"n": 1})).to_string();
    scene.api.send("POST", &path, &[("fanfare-hops", "2")], body.clone()).await.unwrap().expect(202);
    let refused = scene.api.send("POST", "/v1/events/batch", &[("fanfare-hops", "4")], body).await.unwrap();
    refused.expect_problem(422, "loop_detected");
    // Another process knows only what is on disk.
    let super::scene::Scene { home, server, receiver, .. } = scene;
    server.stop().await;
    let server = home.launch().start().await;
    server.api().post(&webhook.path("/resume"), &json!({})).await.expect(200);
    let request = receiver.received(1).await.remove(0);
    assert_eq!(request.headers["fanfare-hops"], "3");
    server.stop().await;
}

#[tokio::test]
async fn case_077_no_webhook_sets_the_header_itself() {
    let scene = super::scene::Scene::start().await;
    let mut webhook = super::scene::webhook(&scene.receiver.url("/hook"));
    webhook["headers"] = json!({"Fanfare-Hops": "0"});
    let refused = scene.api.post(&format!("/v1/organizations/{ORG}/webhooks"), &webhook).await;
    assert_eq!(refused.refused_field(), "headers.Fanfare-Hops");
    scene.server.stop().await;
}
