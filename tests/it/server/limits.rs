//! What is too large or too much is refused at once, by a limit that has a name.

use serde_json::{Value, json};

use super::scene::{ORG, Scene, TYPE, event, with};

const EVENTS: &str = "/v1/organizations/acme/events";
const BATCH: &str = "/v1/events/batch";
/// The largest data of one event.
const MAX_DATA: usize = 256 * 1024;
/// The most events of one batch.
const MAX_BATCH: usize = 1_000;

/// A JSON text that is so many bytes long.
fn text_of(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}

#[tokio::test]
async fn the_data_of_an_event_may_have_256_kib_and_not_a_byte_more() {
    let scene = Scene::start().await;
    scene.webhook("/hook").await;
    let body = |bytes: usize| format!(r#"{{"type":"{TYPE}","data":{}}}"#, text_of(bytes));
    scene.api.send("POST", EVENTS, &[], body(MAX_DATA)).await.unwrap().expect(202);
    let refused = scene.api.send("POST", EVENTS, &[], body(MAX_DATA + 1)).await.unwrap();
    let problem = refused.expect_problem(413, "body_too_large");
    assert!(problem["detail"].as_str().unwrap().contains("262144"), "{problem}");
    let request = scene.receiver.received(1).await.remove(0);
    assert!(request.body.ends_with(format!("{}}}", text_of(MAX_DATA)).as_bytes()));
    scene.server.stop().await;
}

#[tokio::test]
async fn case_091_a_body_of_10_mb_is_refused_at_once() {
    let scene = Scene::start().await;
    for path in [EVENTS, "/v1/event-types", "/v1/organizations"] {
        let body = format!(r#"{{"type":"{TYPE}","data":{}}}"#, text_of(10_000_000));
        let refused = scene.api.send("POST", path, &[], body).await;
        refused.unwrap_or_else(|broken| panic!("{path}: {broken:?}")).expect_problem(413, "body_too_large");
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn case_091_a_body_of_unknown_length_is_refused_once_it_is_too_long() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let scene = Scene::start().await;
    let mut stream = tokio::net::TcpStream::connect(scene.api.address).await.unwrap();
    let head = format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        scene.api.key()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let answer = super::patience::within("a refusal while the body goes on", async {
        let mut answer = [0; 12];
        let (mut reading, mut writing) = stream.split();
        let read = reading.read_exact(&mut answer);
        let write = async {
            // Until the server takes no more of it.
            while writing.write_all(chunk.as_bytes()).await.is_ok() {}
            std::future::pending::<()>().await;
        };
        tokio::select! { read = read => { read.unwrap(); } () = write => {} }
        answer
    })
    .await;
    assert_eq!(&answer, b"HTTP/1.1 413");
    scene.server.stop().await;
}

#[tokio::test]
async fn a_batch_takes_a_thousand_and_a_bad_one_harms_no_other() {
    let scene = Scene::start().await;
    scene.api.make_organization("other").await;
    let url = scene.receiver.url("/other");
    scene.api.make_webhook("other", &super::scene::webhook(&url)).await;
    let of = |org: &str, n: usize| with(event(json!({"n": n})), json!({"organization": org}));
    let mut events: Vec<Value> = (0..MAX_BATCH).map(|n| of(if n == 7 { "other" } else { ORG }, n)).collect();
    events[3] = with(of(ORG, 3), json!({"type": "no.such"}));
    events[4] = json!("not an event");
    events[5] = event(json!({"n": 5}));
    events[6] = of("nobody", 6);
    let answer = scene.api.post(BATCH, &json!({"events": events})).await.expect(202);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), MAX_BATCH);
    for (n, result) in results.iter().enumerate() {
        match n {
            3 => assert_eq!(result["error"]["errors"][0]["field"], "type", "{result}"),
            4 => assert_eq!(result["error"]["code"], "validation_failed", "{result}"),
            5 => assert_eq!(result["error"]["errors"][0]["field"], "organization", "{result}"),
            6 => assert_eq!(result["error"]["code"], "not_found", "{result}"),
            7 => assert_eq!(result["deliveries"], 1, "{result}"),
            _ => assert!(result["id"].as_str().unwrap().starts_with("evt_"), "{result}"),
        }
    }
    scene.receiver.received(1).await;
    assert_eq!(scene.api.whole_list(EVENTS).await.len(), MAX_BATCH - 5);

    let events: Vec<Value> = (0..=MAX_BATCH).map(|n| of(ORG, n)).collect();
    let refused = scene.api.post(BATCH, &json!({"events": events})).await;
    refused.expect_problem(422, "validation_failed");
    assert_eq!(refused.refused_field(), "events");
    assert_eq!(scene.api.whole_list(EVENTS).await.len(), MAX_BATCH - 5, "nothing of it was taken");
    scene.server.stop().await;
}
