//! What one client costs the others: connections without requests, and schemas that ask for too much.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::patience::within;
use super::scene::{ORG, Scene, TYPE};

async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    within("the end of a response", stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn read_until(stream: &mut TcpStream, end: &str) {
    let (mut text, mut piece) = (String::new(), [0; 1_024]);
    while !text.contains(end) {
        let length = within("a response", stream.read(&mut piece)).await.unwrap();
        assert!(length > 0, "{text}");
        text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
}

#[tokio::test]
async fn idle_strangers_keep_nobody_from_the_api_or_from_deliveries() {
    const DESCRIPTORS: u64 = 256;
    let scene = Scene::with(|launch| launch.limit_descriptors(DESCRIPTORS)).await;
    scene.webhook("/hook").await;
    let mut strangers = Vec::new();
    for _ in 0..DESCRIPTORS {
        strangers.push(TcpStream::connect(scene.api.address).await.unwrap());
    }
    for number in 0..20 {
        let event = scene.post(json!({"n": number})).await;
        let delivery = scene.api.settled(ORG, &event, "delivered").await;
        assert_eq!(delivery["attempts"], 1, "{delivery}");
    }
    // The first to come were closed to make room for who asked.
    let first = strangers.remove(0);
    assert_eq!(rest(first).await, "");
    scene.server.stop().await;
}

#[tokio::test]
async fn strangers_that_send_slowly_keep_nobody_from_the_api() {
    const DESCRIPTORS: u64 = 256;
    let scene = Scene::with(|launch| launch.limit_descriptors(DESCRIPTORS)).await;
    // A key or cookie of any kind makes nobody known.
    let mut strangers = Vec::new();
    for _ in 0..DESCRIPTORS {
        let mut stranger = TcpStream::connect(scene.api.address).await.unwrap();
        let head = "POST /console/sign-in HTTP/1.1\r\nHost: localhost\r\nCookie: a=b\r\nAuthorization: Bearer c\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n";
        stranger.write_all(head.as_bytes()).await.unwrap();
        // Each is waited for by the server: the first to come were closed to make room for it.
        let mut told = [0; 25];
        within("the word to go on", stranger.read_exact(&mut told)).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        strangers.push(stranger);
    }
    assert_eq!(rest(strangers.remove(0)).await, "");
    drop(strangers);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_lack_of_descriptors_is_not_an_attempt() {
    let scene = Scene::start().await;
    scene.webhook("/hook").await;
    let mut client = TcpStream::connect(scene.api.address).await.unwrap();
    // Served once, it has a descriptor of its own.
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    read_until(&mut client, "ok").await;
    scene.server.stop_descriptors();
    let body = json!({"type": TYPE, "id": "the-event", "data": {}}).to_string();
    let head = format!(
        "POST /v1/organizations/{ORG}/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        scene.api.key(),
        body.len()
    );
    client.write_all((head + &body).as_bytes()).await.unwrap();
    read_until(&mut client, "\"deliveries\":1").await;
    scene.server.says("the server lacks file descriptors").await;
    scene.server.allow_descriptors();
    let delivery = scene.api.settled(ORG, "the-event", "delivered").await;
    assert_eq!(delivery["attempts"], 1, "{delivery}");
    scene.server.stop().await;
}

/// A schema by which the check of nested data takes twice as long for each level.
fn doubling(levels: usize) -> Value {
    let level = |n: usize| {
        let next = json!({"$ref": format!("#/$defs/d{n}")});
        json!({"oneOf": [{"properties": {"a": next, "b": true}}, {"properties": {"a": next, "c": true}}]})
    };
    let mut definitions: serde_json::Map<String, Value> =
        (0..levels).map(|n| (format!("d{n}"), level(n + 1))).collect();
    definitions.insert(format!("d{levels}"), json!({"patternProperties": patterns()}));
    json!({"$defs": definitions, "$ref": "#/$defs/d0"})
}

fn patterns() -> Value {
    (0..100).map(|n| (format!("^p{n}$"), json!({"type": "string"}))).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn a_schema_does_not_stop_the_server() {
    let scene = Scene::start().await;
    // What applies to one value more often than may be is refused when it is saved.
    let one = scene.api.post("/v1/event-types", &json!({"name": "too.much", "schema": doubling_at_once()})).await;
    assert_eq!(one.refused_field(), "schema");

    // What only the data make too much is given up.
    scene.api.make_event_type(&json!({"name": "slow.check", "schema": doubling(30)})).await;
    let members: serde_json::Map<String, Value> = (0..10_000).map(|n| (format!("name{n}"), json!(n))).collect();
    let data = (0..30).fold(Value::from(members), |data, _| json!({"a": data}));
    let body = json!({"type": "slow.check", "data": data}).to_string();
    let path = format!("/v1/organizations/{ORG}/events");
    let slow = scene.api.send("POST", &path, &[], body);
    let quick = scene.api.get("/healthz");
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(quick.status, 200);
    let slow = slow.unwrap();
    slow.expect_problem(422, "validation_failed");
    assert_eq!(slow.refused_field(), "data");
    scene.api.post_event(ORG, &json!({"type": TYPE, "data": {}})).await;
    scene.server.stop().await;
}

/// 24 levels of two references each, all for the same value.
fn doubling_at_once() -> Value {
    let level = |n: usize| {
        let next = json!({"$ref": format!("#/$defs/d{n}")});
        json!({"anyOf": [next, next]})
    };
    let mut definitions: serde_json::Map<String, Value> = (0..24).map(|n| (format!("d{n}"), level(n + 1))).collect();
    definitions.insert("d24".to_owned(), json!({"type": "integer"}));
    json!({"$defs": definitions, "$ref": "#/$defs/d0"})
}
