//! What receivers do while the request is still on its way.

use bytes::Bytes;
use fanfare::delivery::http::OutgoingRequest;
use fanfare_engine::attempt::Outcome;
use hyper::Method;
use tokio::io::AsyncReadExt;

use super::receiver::{Receiver, Visit};
use super::setup::{BRIEF, answer, assert_outcome, client, endpoint, request};

/// More than the sockets' buffers take.
const LARGE: usize = 32 * 1024 * 1024;

#[tokio::test]
async fn case_041_a_status_before_the_upload_ends_is_honoured() {
    for reset in [false, true] {
        let receiver = Receiver::start(move |mut visit| async move {
            let mut some = vec![0; 4096];
            visit.stream.read_exact(&mut some).await.unwrap();
            visit.write(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig").await;
            // With bytes unread the system resets the connection.
            if !reset {
                visit.hold().await;
            }
        })
        .await;
        let endpoint = endpoint(&receiver.url());
        let client = client();
        let exchange =
            client.send(OutgoingRequest { body: Bytes::from(vec![b'x'; LARGE]), ..request(&endpoint) }).await;
        assert_outcome(&exchange, Outcome::Status);
        assert_eq!(answer(&exchange).0, 413, "reset: {reset}");
        assert_eq!(client.kept_connections(), 0);
    }
}

#[tokio::test]
async fn an_upload_that_nobody_reads_ends_at_the_deadline() {
    let receiver = Receiver::start(Visit::hold).await;
    let endpoint = endpoint(&receiver.url());
    let body = Bytes::from(vec![b'x'; LARGE]);
    let exchange = client().send(OutgoingRequest { body, timeout: BRIEF, ..request(&endpoint) }).await;
    assert_outcome(&exchange, Outcome::Timeout);
}

#[tokio::test]
async fn empty_bodies_have_their_length_said_but_for_get() {
    for (method, said) in [(Method::POST, true), (Method::GET, false)] {
        let (sender, received) = tokio::sync::oneshot::channel();
        let sender = std::sync::Arc::new(parking_lot::Mutex::new(Some(sender)));
        let receiver = Receiver::start(move |mut visit| {
            let sender = sender.clone();
            async move {
                let request = visit.read_request().await.unwrap();
                let _ = sender.lock().take().unwrap().send(request);
                visit.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        })
        .await;
        let endpoint = endpoint(&receiver.url());
        let exchange = client().send(OutgoingRequest { body: Bytes::new(), method, ..request(&endpoint) }).await;
        assert_outcome(&exchange, Outcome::Success);
        let head = received.await.unwrap();
        assert_eq!(head.contains("Content-Length: 0\r\n"), said, "{head}");
        assert!(!head.to_lowercase().contains("transfer-encoding"));
    }
}
