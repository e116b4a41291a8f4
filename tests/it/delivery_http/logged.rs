//! What the server's log says of deliveries that went out again within one attempt.

use fanfare::config::Sources;
use serde_json::{Value, json};

use super::http2;
use super::receiver::{OK, Receiver};
use crate::api::Api;
use crate::api::sending::{local, until};

/// Posts an event; its delivery, once it is final, with its attempts.
async fn delivered(api: &Api) -> (Value, Vec<Value>) {
    let event = api.event("acme", "push").await;
    let path = format!("/v1/deliveries?event={event}");
    let delivery = until("the delivery ends", async || {
        let delivery = api.get(&path).await.ok()["data"][0].clone();
        delivery["completed_at"].is_string().then_some(delivery)
    })
    .await;
    let path = format!("/v1/organizations/acme/deliveries/{}/attempts", delivery["id"].as_str().unwrap());
    let attempts = api.get(&path).await.ok()["data"].as_array().unwrap().clone();
    (delivery, attempts)
}

async fn set_up(api: &Api, url: &str) {
    api.organization("acme").await;
    api.event_types(&["push"]).await;
    api.webhook("acme", json!({"url": url})).await;
}

#[tokio::test]
async fn a_swallowed_request_is_one_attempt_with_a_note() {
    let receiver = Receiver::start(|mut visit| async move {
        while visit.read_request().await.is_some() {
            visit.write(OK.as_bytes()).await;
            if visit.number == 0 {
                visit.read_request().await;
                return;
            }
        }
    })
    .await;
    let api = Api::start_with(local()).await;
    set_up(&api, &receiver.url()).await;
    let (first, attempts) = delivered(&api).await;
    assert_eq!((&first["state"], first["attempts"].as_u64()), (&json!("delivered"), Some(1)));
    assert_eq!(attempts[0].get("note"), None);
    let (second, attempts) = delivered(&api).await;
    assert_eq!((&second["state"], second["attempts"].as_u64()), (&json!("delivered"), Some(1)));
    let note = attempts[0]["note"].as_str().unwrap();
    assert!(note.starts_with("Sent again on a new connection: the receiver closed the first one"), "{note}");
    assert_eq!((receiver.connections(), receiver.requests()), (2, 3));
    api.stop().await;
}

#[tokio::test]
async fn a_refused_request_is_one_attempt_with_a_note_where_nothing_is_retried() {
    let (receiver, authority) = http2::refusing_at_first().await;
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("authority.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    let sources = Sources { profile: Some("github".to_owned()), tls_ca_file: Some(roots), ..local() };
    let api = Api::start_in(directory, sources).await;
    set_up(&api, &format!("https://127.0.0.1:{}/hook", receiver.port())).await;
    let (delivery, attempts) = delivered(&api).await;
    assert_eq!((&delivery["state"], delivery["attempts"].as_u64()), (&json!("delivered"), Some(1)));
    assert_eq!(attempts[0]["outcome"], "success");
    let note = attempts[0]["note"].as_str().unwrap();
    assert!(note.ends_with("refused the request without processing it"), "{note}");
    assert_eq!(receiver.connections(), 2);
    api.stop().await;
}
