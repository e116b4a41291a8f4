//! Which connections are used again.

use std::time::Duration;

use fanfare::delivery::http::PoolLimits;
use fanfare_engine::attempt::Outcome;
use futures_util::future::join_all;

use super::receiver::{OK, Receiver};
use super::setup::{Setup, answer, assert_outcome, client, post};

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let receiver = Receiver::answering_all(OK).await;
    let client = client();
    for n in 0..20 {
        let exchange = post(&client, &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(exchange.reused_connection, n > 0);
    }
    assert_eq!((receiver.connections(), receiver.requests()), (1, 20));
    assert_eq!(client.kept_connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_have_a_connection_each_and_leave_as_many_as_are_allowed() {
    let receiver = Receiver::answering_all(OK).await;
    let pool = PoolLimits { per_origin: 3, ..PoolLimits::default() };
    let client = Setup { pool, ..Setup::default() }.client();
    let url = receiver.url();
    for _ in 0..20 {
        for exchange in join_all((0..10).map(|_| post(&client, &url))).await {
            assert_outcome(&exchange, Outcome::Success);
        }
        assert!(client.kept_connections() <= 3);
    }
    assert_eq!(receiver.requests(), 200);
}

#[tokio::test]
async fn the_total_is_bounded_and_the_newest_is_kept() {
    let pool = PoolLimits { total: 2, ..PoolLimits::default() };
    let client = Setup { pool, ..Setup::default() }.client();
    let mut receivers = Vec::new();
    for _ in 0..5 {
        let receiver = Receiver::answering_all(OK).await;
        assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
        assert!(post(&client, &receiver.url()).await.reused_connection);
        receivers.push(receiver);
    }
    assert_eq!(client.kept_connections(), 2);
}

#[tokio::test]
async fn case_042_a_kept_connection_found_closed_costs_nothing() {
    let receiver = Receiver::answering_and_closing(OK).await;
    let client = client();
    for n in 1..=20 {
        let exchange = post(&client, &receiver.url()).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(answer(&exchange), (200, &b"ok"[..]));
        assert_eq!(receiver.connections(), n);
    }
}

#[tokio::test]
async fn case_042_a_connection_closed_after_the_request_went_out_is_a_failed_attempt() {
    let receiver = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        visit.write(OK.as_bytes()).await;
        visit.read_request().await;
    })
    .await;
    let client = client();
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
    let second = post(&client, &receiver.url()).await;
    assert_outcome(&second, Outcome::Reset);
    assert!(second.reused_connection);
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2), "it is not sent twice");
}

#[tokio::test]
async fn connection_close_is_honoured() {
    let receiver = Receiver::answering_all("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    let client = client();
    for n in 1..=3 {
        assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
        assert_eq!(receiver.connections(), n);
    }
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let (sender, mut closed) = tokio::sync::mpsc::channel(1);
    let receiver = Receiver::start(move |mut visit| {
        let sender = sender.clone();
        async move {
            visit.read_request().await;
            visit.write(OK.as_bytes()).await;
            assert_eq!(visit.read_request().await, None);
            let _ = sender.send(()).await;
        }
    })
    .await;
    let pool = PoolLimits { idle_timeout: Duration::from_millis(20), ..PoolLimits::default() };
    let client = Setup { pool, ..Setup::default() }.client();
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
    closed.recv().await.unwrap();
    assert_eq!(client.kept_connections(), 0);
    // And once more: sweeping starts again.
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
    closed.recv().await.unwrap();
}
