//! Requests whose heads or bodies are odd, byte by byte on a connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::patience::within;
use super::scene::Scene;

const PATH: &str = "/v1/organizations";

/// What the server answers to these bytes until it closes the connection.
async fn answer(scene: &Scene, request: &str) -> String {
    let mut stream = TcpStream::connect(scene.api.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within("an answer and the end", stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_head_that_proxies_understand_differently_is_refused() {
    let scene = Scene::start().await;
    let key = scene.api.key();
    let body = "transfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    for (headers, field) in [
        ("host: a\r\nhost: b\r\n", "Host"),
        ("", "Host"),
        ("host: a@b\r\n", "Host"),
        ("host: a\r\ntransfer-encoding: identity\r\n", "Transfer-Encoding"),
    ] {
        let said =
            answer(&scene, &format!("POST {PATH} HTTP/1.1\r\nauthorization: Bearer {key}\r\n{headers}{body}")).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{headers:?}: {said}");
        assert!(said.contains("invalid_parameter") && said.contains(&format!("\"field\":\"{field}\"")), "{said}");
        assert!(said.contains("connection: close") && said.contains("x-request-id: "), "{said}");
    }
    let listed = format!("POST {PATH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n");
    let said = answer(&scene, &format!("{listed}transfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    // The same with what is right comes to the route.
    let said = answer(&scene, &format!("{listed}connection: close\r\n{body}")).await;
    assert!(said.contains("invalid_json") || said.contains("unsupported_media_type"), "{said}");
    scene.server.stop().await;
}

#[tokio::test]
async fn who_sends_too_much_in_pieces_reads_why_it_was_refused() {
    let scene = Scene::start().await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        scene.api.key()
    );
    let piece = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
    let mut stream = TcpStream::connect(scene.api.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // A mebibyte and one more byte: the server answers while the client rests.
    stream.write_all(piece.as_bytes()).await.unwrap();
    stream.write_all(b"1\r\nx\r\n").await.unwrap();
    let mut answer = Vec::new();
    within("the refusal", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    // One that reads only when all is sent gets that far.
    for _ in 0..8 {
        within("the rest being taken", stream.write_all(piece.as_bytes())).await.unwrap();
    }
    scene.server.stop().await;
}
