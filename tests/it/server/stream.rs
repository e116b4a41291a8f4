//! The live stream: what happens is told as it happens, to whom it belongs, until the server stops.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::client::Api;
use super::patience::within;
use super::receiver::Reply;
use super::scene::{ORG, Scene, event};

/// A stream that is being read.
pub(super) struct Stream {
    body: Incoming,
    text: String,
    _driver: JoinSet<()>,
}

impl Stream {
    pub(super) async fn open(api: &Api, query: &str) -> Stream {
        let stream = TcpStream::connect(api.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async {
            // Its end is seen in the body.
            let _ = connection.await;
        });
        let request = hyper::Request::get(format!("/v1/organizations/{ORG}/deliveries/stream{query}"))
            .header("host", api.address.to_string())
            .header("authorization", format!("Bearer {}", api.key()))
            .body(Empty::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { body: response.into_body(), text: String::new(), _driver: driver }
    }

    /// The next update; `None` at an orderly end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        within("an update or the stream's end", async {
            loop {
                if let Some((update, rest)) = self.text.split_once("\n\n") {
                    let update = update.to_owned();
                    self.text = rest.to_owned();
                    let line = |name: &str| update.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                    let Some(kind) = line("event:") else { continue };
                    assert_eq!(kind, "delivery", "{update}");
                    return Some(serde_json::from_str(line("data:").unwrap()).unwrap());
                }
                let frame = self.body.frame().await?.unwrap();
                self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
            }
        })
        .await
    }
}

#[tokio::test]
async fn each_attempt_is_told_in_order() {
    let scene = Scene::start().await;
    scene.receiver.script(|request| Reply::status(if request.number == 1 { 500 } else { 200 }));
    let webhook = scene.webhook("/hook").await;
    let mut stream = Stream::open(&scene.api, "").await;
    let event = scene.post(json!({"n": 1})).await;
    let first = stream.next().await.unwrap();
    assert_eq!((&first["event_id"], &first["webhook_id"]), (&json!(event), &json!(webhook.id)));
    assert_eq!((&first["state"], &first["attempts"]), (&json!("pending"), &json!(1)));
    assert_eq!((&first["outcome"], &first["response_code"]), (&json!("status"), &json!(500)));
    assert!(first["next_attempt_at"].is_string(), "{first}");
    let second = stream.next().await.unwrap();
    assert_eq!((&second["state"], &second["attempts"]), (&json!("delivered"), &json!(2)));
    assert_eq!(second["id"], first["id"]);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_081_a_stream_tells_nothing_of_other_organizations() {
    let scene = Scene::start().await;
    scene.webhook("/hook").await;
    scene.api.make_organization("other").await;
    let url = scene.receiver.url("/other");
    let other = scene.api.make_webhook("other", &super::scene::webhook(&url)).await;
    let reader = scene.api.make_key(&json!({"name": "r", "scopes": ["read"], "organization": "other"})).await;
    reader.get(&format!("/v1/organizations/{ORG}/deliveries/stream")).await.expect_problem(404, "not_found");

    let mut stream = Stream::open(&scene.api, "").await;
    let theirs = scene.api.post_event("other", &event(json!({"n": 1}))).await;
    scene.api.settled("other", &theirs, "delivered").await;
    let ours = scene.post(json!({"n": 2})).await;
    assert_eq!(stream.next().await.unwrap()["event_id"], ours, "theirs came first and is not told");

    // Narrowed to a webhook, that of another one tells nothing either.
    let mut narrowed = Stream::open(&scene.api, &format!("?webhook={}", other.id)).await;
    let last = scene.post(json!({"n": 3})).await;
    scene.api.settled(ORG, &last, "delivered").await;
    scene.server.signal("TERM");
    assert_eq!(narrowed.next().await, None);
    scene.server.ended().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let scene = Scene::start().await;
    scene.webhook("/hook").await;
    let made = scene.api.post("/v1/api-keys", &json!({"name": "r", "scopes": ["read"]})).await.expect(201);
    let key = scene.api.with_key(made["key"].as_str().unwrap());
    let mut stream = Stream::open(&key, "").await;
    let event = scene.post(json!({"n": 1})).await;
    assert_eq!(stream.next().await.unwrap()["event_id"], event);
    scene.api.delete(&format!("/v1/api-keys/{}", made["id"].as_str().unwrap())).await.expect(204);
    // An answer is good for a moment; from then on nothing is told any more.
    within("the stream's end", async {
        loop {
            scene.post(json!({"n": 2})).await;
            if stream.next().await.is_none() {
                break;
            }
        }
    })
    .await;
    scene.server.stop().await;
}

#[tokio::test]
async fn case_068_streams_end_when_the_server_stops() {
    let scene = Scene::start().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(Stream::open(&scene.api, "").await);
    }
    scene.server.signal("TERM");
    for stream in &mut streams {
        assert_eq!(stream.next().await, None);
    }
    let log = scene.server.ended().await;
    assert!(log.contains("nothing is under way"), "{log}");
}
