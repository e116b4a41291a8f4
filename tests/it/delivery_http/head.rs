//! What receivers do to the head of an answer.

use std::time::Duration;

use fanfare::delivery::http::OutgoingRequest;
use fanfare_engine::attempt::Outcome;
use fanfare_engine::spelling::Spelling;
use hyper::header::HeaderValue;

use super::receiver::{OK, Receiver};
use super::setup::{answer, assert_error_says, assert_outcome, client, endpoint, post, post_briefly, request};

#[tokio::test]
async fn a_request_goes_out_as_given_and_its_answer_comes_back() {
    let (sender, received) = tokio::sync::oneshot::channel();
    let sender = std::sync::Arc::new(parking_lot::Mutex::new(Some(sender)));
    let receiver = Receiver::start(move |mut visit| {
        let sender = sender.clone();
        async move {
            let request = visit.read_request().await.unwrap();
            let _ = sender.lock().take().unwrap().send(request);
            visit.write(b"HTTP/1.1 201 Created\r\nX-Any: v\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 4\r\n\r\nyes!").await;
            visit.hold().await;
        }
    })
    .await;
    let exchange = post(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Success);
    assert_eq!(answer(&exchange), (201, &b"yes!"[..]));
    let response = exchange.response.unwrap();
    assert!(!response.truncated && !exchange.body_incomplete);
    let headers: Vec<_> = response.headers.iter().collect();
    let expected: [(&str, &[u8]); 4] =
        [("x-any", b"v"), ("set-cookie", b"a"), ("set-cookie", b"b"), ("content-length", b"4")];
    assert_eq!(headers, expected.map(|(name, value)| (name.into(), value)));

    let request = received.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /hook?a=b HTTP/1.1");
    lines.sort_unstable();
    let host = format!("Host: {}", receiver.address());
    let expected =
        ["Accept-Encoding: identity", "Accept: */*", "Content-Length: 7", "Content-Type: application/json", &host];
    assert_eq!(lines, expected);
    assert_eq!(body, "{\"n\":1}");
}

#[tokio::test]
async fn names_go_out_as_they_are_written() {
    let (sender, mut received) = tokio::sync::mpsc::channel(2);
    let receiver = Receiver::start(move |mut visit| {
        let sender = sender.clone();
        async move {
            while let Some(request) = visit.read_request().await {
                let _ = sender.send(request).await;
                visit.write(OK.as_bytes()).await;
            }
        }
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&receiver.url()));
    for (spelling, line) in [
        (Spelling::of(["x-ENTITY-url"]), "\r\nx-ENTITY-url: X-Entity-Url\r\n"),
        (Spelling::default(), "\r\nX-Entity-Url: X-Entity-Url\r\n"),
    ] {
        let mut request = OutgoingRequest { spelling: &spelling, ..request(&endpoint) };
        request.headers.insert("x-entity-url", HeaderValue::from_static("X-Entity-Url"));
        assert_outcome(&client.send(request).await, Outcome::Success);
        let head = received.recv().await.unwrap();
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(receiver.connections(), 1, "each request of a connection has its own");
}

#[tokio::test]
async fn case_023_slowloris_headers() {
    let receiver = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        visit.write(b"HTTP/1.1 200 OK\r\nx: ").await;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1_000 {
            ticks.tick().await;
            visit.write(b"a").await;
        }
    })
    .await;
    let exchange = post_briefly(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Timeout);
    assert_error_says(&exchange, "did not answer within 0.25 s");
    assert_eq!(exchange.response, None);
}

#[tokio::test]
async fn case_026_identity_is_requested_and_nothing_is_decoded() {
    let receiver =
        Receiver::answering("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x08bo").await;
    let exchange = post(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Success);
    assert_eq!(answer(&exchange).1, b"\x1f\x08bo");
}

#[tokio::test]
async fn case_027_ten_thousand_headers() {
    let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
    (0..10_000).for_each(|n| head.push_str(&format!("x-{n}: y\r\n")));
    let receiver = Receiver::answering(head + "\r\n").await;
    assert_outcome(&post(&client(), &receiver.url()).await, Outcome::Protocol);
}

#[tokio::test]
async fn case_027_many_headers_pass_and_one_more_does_not() {
    for (count, outcome) in [(255, Outcome::Success), (256, Outcome::Protocol)] {
        let mut head = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_owned();
        (0..count).for_each(|n| head.push_str(&format!("x-{n}: y\r\n")));
        let receiver = Receiver::answering(head + "\r\n").await;
        assert_outcome(&post(&client(), &receiver.url()).await, outcome);
    }
}

#[tokio::test]
async fn case_027_a_large_head_passes() {
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(255 * 1024));
    let receiver = Receiver::answering(head).await;
    assert_outcome(&post(&client(), &receiver.url()).await, Outcome::Success);
}

#[tokio::test]
async fn case_027_a_head_of_one_megabyte() {
    let receiver = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        visit.write(b"HTTP/1.1 200 OK\r\nx: ").await;
        visit.write_endlessly(&[b'a'; 16 * 1024]).await;
    })
    .await;
    let exchange = post(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Protocol);
    assert_error_says(&exchange, "head is too large");
}

#[tokio::test]
async fn case_028_a_flood_of_103_ends_at_once() {
    let receiver = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        visit.write_endlessly(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await;
    })
    .await;
    let exchange = post(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Protocol);
    assert_error_says(&exchange, "more than 16 interim responses");
}

#[tokio::test]
async fn case_029_a_stray_100_is_ignored() {
    let receiver = Receiver::answering(format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n{OK}")).await;
    let exchange = post(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Success);
    assert_eq!(answer(&exchange), (200, &b"ok"[..]));
}

#[tokio::test]
async fn case_030_an_upgrade_fails() {
    let receiver =
        Receiver::answering("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
            .await;
    let client = client();
    let exchange = post(&client, &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Status);
    assert_error_says(&exchange, "101 Switching Protocols");
    assert_eq!(client.kept_connections(), 0);
}

#[tokio::test]
async fn case_032_statuses_that_are_no_success() {
    for (status, text) in [
        ("400 Bad Request", "The receiver answered 400 Bad Request"),
        ("404 Nothing here", "The receiver answered 404 Not Found"),
        ("410 Gone", "The receiver answered 410 Gone"),
        ("500 Oh", "The receiver answered 500 Internal Server Error"),
        ("599 Odd", "The receiver answered 599"),
        ("999 Odd", "The receiver answered 999"),
    ] {
        let receiver = Receiver::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 3\r\n\r\nno!")).await;
        let exchange = post(&client(), &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Status);
        assert_eq!(exchange.error.as_deref(), Some(text));
        assert_eq!(answer(&exchange).1, b"no!");
    }
}

#[tokio::test]
async fn case_034_and_035_retry_after_is_handed_on_as_it_was() {
    for value in ["120", "Wed, 21 Oct 2026 07:28:00 GMT", "-5", "NaN", "1e99"] {
        let head = format!("HTTP/1.1 429 Too Many Requests\r\nRetry-After: {value}\r\ncontent-length: 0\r\n\r\n");
        let receiver = Receiver::answering(head).await;
        let exchange = post(&client(), &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Status);
        assert_eq!(exchange.retry_after.as_deref(), Some(value));
    }
}

#[tokio::test]
async fn case_036_answers_that_are_not_http() {
    for bytes in [
        "hello, this is HTTP/0.9\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/3.7 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "\x16\x03\x01\x02\x00",
    ] {
        let receiver = Receiver::answering_and_closing(bytes).await;
        let exchange = post(&client(), &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Protocol);
        assert_error_says(&exchange, "is not HTTP that can be read");
    }
}

#[tokio::test]
async fn case_037_lengths_that_contradict_each_other_fail() {
    for length in
        ["content-length: 2\r\ncontent-length: 3", "content-length: -1", "content-length: 99999999999999999999"]
    {
        let receiver = Receiver::answering(format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\nok")).await;
        assert_outcome(&post(&client(), &receiver.url()).await, Outcome::Protocol);
    }
}

#[tokio::test]
async fn case_039_closed_or_reset_before_the_answer() {
    let closing = Receiver::answering_and_closing("").await;
    let cut_short = Receiver::answering_and_closing("HTTP/1.1 200 OK\r\ncontent-le").await;
    let resetting = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        visit.reset();
    })
    .await;
    for receiver in [closing, cut_short, resetting] {
        let exchange = post(&client(), &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Reset);
        assert_error_says(&exchange, "closed the connection before it had answered");
        assert_eq!(receiver.connections(), 1, "a failed attempt is not repeated");
    }
}

#[tokio::test]
async fn case_013_a_redirect_is_a_failure() {
    let target = Receiver::answering(OK).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let head = format!("HTTP/1.1 {status}\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url());
        let receiver = Receiver::answering(head).await;
        let exchange = post(&client(), &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Status);
        assert_error_says(&exchange, "redirects are not followed");
    }
    for status in ["300 Multiple Choices", "304 Not Modified"] {
        let receiver = Receiver::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        let exchange = post(&client(), &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Status);
        assert_eq!(exchange.error, Some(format!("The receiver answered {status}")));
    }
    assert_eq!(target.connections(), 0);
}
