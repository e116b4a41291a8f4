//! What receivers do to the body of an answer.

use std::time::Duration;

use fanfare::delivery::http::OutgoingRequest;
use fanfare_engine::attempt::Outcome;
use tokio::sync::watch;
use tokio::time::Instant;

use super::receiver::{OK, Receiver};
use super::setup::{
    BRIEF, CAPTURE_LIMIT, PATIENT, answer, assert_outcome, client, endpoint, post, post_briefly, request,
};

#[tokio::test]
async fn case_024_a_dripping_body_after_a_2xx() {
    let receiver = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        visit.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nfirst").await;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1_000 {
            ticks.tick().await;
            visit.write(b".").await;
        }
    })
    .await;
    let client = client();
    let exchange = post_briefly(&client, &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Success);
    assert!(exchange.body_incomplete);
    assert!(exchange.response.as_ref().unwrap().truncated);
    assert!(answer(&exchange).1.starts_with(b"first."));
    assert_eq!(client.kept_connections(), 0);
}

#[tokio::test]
async fn case_024_a_dripping_body_after_a_failure() {
    let receiver = Receiver::answering("HTTP/1.1 503 No\r\ncontent-length: 9\r\n\r\nwait").await;
    let exchange = post_briefly(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Status);
    assert_eq!(answer(&exchange), (503, &b"wait"[..]));
    assert!(exchange.body_incomplete);
}

#[tokio::test]
async fn case_024_a_body_that_comes_late_is_in_the_tail() {
    let (release, released) = watch::channel(false);
    let receiver = Receiver::start(move |mut visit| {
        let mut released = released.clone();
        async move {
            while visit.read_request().await.is_some() {
                visit.write(b"HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nwait").await;
                released.wait_for(|released| *released).await.unwrap();
                visit.write(b" here").await;
            }
        }
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&receiver.url()));
    let (exchange, tail) = client.start(request(&endpoint)).await;
    assert_outcome(&exchange, Outcome::Status);
    assert_eq!(answer(&exchange), (500, &b"wait"[..]));
    assert!(exchange.body_incomplete && exchange.response.as_ref().unwrap().truncated);
    assert_eq!(client.kept_connections(), 0);
    release.send_replace(true);
    let full = tail.unwrap().read(Instant::now() + PATIENT).await;
    assert_eq!(&full.body[..], b"wait here");
    assert!(!full.is_truncated() && !full.is_unfinished());
    assert_eq!(client.kept_connections(), 1);
    let (exchange, tail) = client.start(request(&endpoint)).await;
    assert!(tail.is_none() && exchange.reused_connection);
    assert_eq!(answer(&exchange), (500, &b"wait here"[..]));
}

#[tokio::test]
async fn case_024_the_tail_of_a_body_that_never_ends_ends_in_time() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nwait").await;
    let (client, endpoint) = (client(), endpoint(&receiver.url()));
    let (exchange, tail) = client.start(request(&endpoint)).await;
    assert_outcome(&exchange, Outcome::Success);
    let full = tail.unwrap().read(Instant::now() + BRIEF).await;
    assert_eq!(&full.body[..], b"wait");
    assert!(full.is_truncated() && full.is_unfinished());
    assert_eq!(client.kept_connections(), 0);
}

#[tokio::test]
async fn case_025_infinite_body() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"] {
        let receiver = Receiver::start(move |mut visit| async move {
            visit.read_request().await;
            visit.write(head.as_bytes()).await;
            visit.write_endlessly(format!("400\r\n{}\r\n", "a".repeat(1024)).as_bytes()).await;
        })
        .await;
        let client = client();
        let exchange = post(&client, &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(answer(&exchange).1.len(), CAPTURE_LIMIT);
        assert!(exchange.response.as_ref().unwrap().truncated && !exchange.body_incomplete);
        assert_eq!(client.kept_connections(), 0);
    }
}

#[tokio::test]
async fn case_025_a_body_of_exactly_the_limit_is_whole() {
    let body = "x".repeat(1_000);
    for (limit, kept) in [(1_000, 1), (999, 0), (0, 0)] {
        let receiver =
            Receiver::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        let endpoint = endpoint(&receiver.url());
        let client = client();
        let exchange = client.send(OutgoingRequest { capture_limit: limit, ..request(&endpoint) }).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(answer(&exchange).1.len(), limit);
        assert_eq!(exchange.response.as_ref().unwrap().truncated, limit < 1_000);
        assert_eq!(client.kept_connections(), kept);
    }
}

#[tokio::test]
async fn case_031_a_204_with_a_body() {
    let receiver = Receiver::start(|mut visit| async move {
        while visit.read_request().await.is_some() {
            visit.write(b"HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nbody").await;
        }
    })
    .await;
    let client = client();
    for _ in 0..3 {
        let exchange = post(&client, &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(answer(&exchange), (204, &b""[..]));
    }
    assert_eq!(receiver.connections(), 3, "the connection is not used again");
}

#[tokio::test]
async fn case_037_length_and_encoding_at_once() {
    let receiver = Receiver::answering_all(
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    )
    .await;
    let client = client();
    for expected in 1..=2 {
        let exchange = post(&client, &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(answer(&exchange).1, b"ok");
        assert_eq!(receiver.connections(), expected, "the connection is not used again");
    }
}

#[tokio::test]
async fn case_037_a_body_shorter_than_its_length() {
    let receiver = Receiver::answering_and_closing("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").await;
    let exchange = post(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Success);
    assert!(exchange.body_incomplete);
    assert_eq!(answer(&exchange).1, b"short");
}

#[tokio::test]
async fn case_038_extra_bytes_do_not_reach_the_next_delivery() {
    let receiver = Receiver::start(|mut visit| async move {
        let answers =
            [format!("{OK}HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nforged!"), "HTTP/1.1 500 No\r\n\r\n".into()];
        let bytes = answers[visit.number.min(1)].clone();
        while visit.read_request().await.is_some() {
            visit.write(bytes.as_bytes()).await;
            if visit.number > 0 {
                return;
            }
        }
    })
    .await;
    let client = client();
    let first = post(&client, &receiver.url()).await;
    assert_eq!(answer(&first), (200, &b"ok"[..]));
    let second = post(&client, &receiver.url()).await;
    assert_outcome(&second, Outcome::Status);
    assert_eq!(answer(&second).0, 500);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn case_040_reset_in_the_body_after_a_2xx() {
    for (head, body) in [
        ("content-length: 100\r\n\r\npart", &b"part"[..]),
        ("transfer-encoding: chunked\r\n\r\n4\r\npart\r\n", &b"part"[..]),
        ("transfer-encoding: chunked\r\n\r\n4\r\npart\r\nzzz\r\n", &b"part"[..]),
    ] {
        let receiver = Receiver::answering_and_closing(format!("HTTP/1.1 200 OK\r\n{head}")).await;
        let client = client();
        let exchange = post(&client, &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Success);
        assert!(exchange.body_incomplete);
        assert_eq!(answer(&exchange), (200, body));
        assert_eq!(client.kept_connections(), 0);
    }
}

#[tokio::test]
async fn case_050_a_body_that_is_not_utf8_is_kept_as_it_came() {
    let bytes = b"HTTP/1.1 200 OK\r\nx: \xff\xfe\r\ncontent-length: 4\r\n\r\n\xff\x00\x80\xc3";
    let receiver = Receiver::answering(bytes).await;
    let exchange = post(&client(), &receiver.url()).await;
    assert_outcome(&exchange, Outcome::Success);
    assert_eq!(answer(&exchange).1, b"\xff\x00\x80\xc3");
    assert_eq!(exchange.response.unwrap().headers.iter().next().unwrap().1, b"\xff\xfe");
}
