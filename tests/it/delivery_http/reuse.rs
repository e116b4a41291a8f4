//! Which connections are used again.

use std::time::Duration;

use fanfare::delivery::exchange::Resent;
use fanfare::delivery::http::{OutgoingRequest, PoolLimits};
use fanfare_engine::attempt::Outcome;
use futures_util::future::join_all;

use super::receiver::{OK, Receiver, Visit};
use super::setup::{Setup, answer, assert_outcome, client, endpoint, post, request};

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
async fn the_least_recently_used_connection_makes_room() {
    let pool = PoolLimits { total: 3, ..PoolLimits::default() };
    let client = Setup { pool, ..Setup::default() }.client();
    let mut receivers = Vec::new();
    for _ in 0..4 {
        let receiver = Receiver::answering_all(OK).await;
        assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
        receivers.push(receiver);
        // The first one stays in use, so that others make room.
        assert_outcome(&post(&client, &receivers[0].url()).await, Outcome::Success);
    }
    assert_eq!(client.kept_connections(), 3);
    for (n, reused) in [(0, true), (3, true), (2, true), (1, false)] {
        assert_eq!(post(&client, &receivers[n].url()).await.reused_connection, reused, "{n}");
    }
    assert_eq!(client.kept_connections(), 3);
}

#[tokio::test]
async fn a_connection_beyond_those_of_its_receiver_makes_nobody_else_go() {
    let pool = PoolLimits { total: 2, per_origin: 1, ..PoolLimits::default() };
    let client = Setup { pool, ..Setup::default() }.client();
    let (one, other) = (Receiver::answering_all(OK).await, Receiver::answering_all(OK).await);
    assert_outcome(&post(&client, &one.url()).await, Outcome::Success);
    let url = other.url();
    // The pool is full now. The second of these two connections has no place, and takes that of the first receiver no less.
    for exchange in join_all((0..2).map(|_| post(&client, &url))).await {
        assert_outcome(&exchange, Outcome::Success);
    }
    assert_eq!((other.connections(), client.kept_connections()), (2, 2));
    assert!(post(&client, &one.url()).await.reused_connection);
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

/// Answers the first request of each connection, reads the next one, and closes as `end` says.
async fn closing_on_the_second(end: fn(Visit)) -> Receiver {
    Receiver::start(move |mut visit| async move {
        visit.read_request().await;
        visit.write(OK.as_bytes()).await;
        visit.read_request().await;
        end(visit);
    })
    .await
}

#[tokio::test]
async fn case_042_a_request_that_a_closing_connection_swallowed_goes_out_once_more() {
    for end in [drop, Visit::reset] {
        let receiver = closing_on_the_second(end).await;
        let client = client();
        let first = post(&client, &receiver.url()).await;
        assert_outcome(&first, Outcome::Success);
        assert_eq!(first.resent, None);
        let second = post(&client, &receiver.url()).await;
        assert_outcome(&second, Outcome::Success);
        assert_eq!((second.resent, second.reused_connection), (Some(Resent::Closed), false));
        assert_eq!((receiver.connections(), receiver.requests()), (2, 3));
    }
}

#[tokio::test]
async fn case_042_it_goes_out_once_more_and_not_twice() {
    let receiver = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        if visit.number == 0 {
            visit.write(OK.as_bytes()).await;
            visit.read_request().await;
        }
    })
    .await;
    let client = client();
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
    let second = post(&client, &receiver.url()).await;
    assert_outcome(&second, Outcome::Reset);
    assert_eq!((second.resent, receiver.requests()), (Some(Resent::Closed), 3));
}

#[tokio::test]
async fn case_042_what_was_answered_in_part_is_not_sent_again() {
    let receiver = Receiver::start(|mut visit| async move {
        visit.read_request().await;
        visit.write(OK.as_bytes()).await;
        visit.read_request().await;
        visit.write(b"HTTP/1.1 2").await;
    })
    .await;
    let client = client();
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
    let second = post(&client, &receiver.url()).await;
    assert_outcome(&second, Outcome::Reset);
    assert!(second.reused_connection && second.resent.is_none());
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

#[tokio::test]
async fn case_042_what_may_arrive_once_only_uses_no_idle_connection() {
    let receiver = Receiver::answering_all(OK).await;
    let (client, endpoint) = (client(), endpoint(&receiver.url()));
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
    for n in 2..=3 {
        let exchange = client.send(OutgoingRequest { at_most_once: true, ..request(&endpoint) }).await;
        assert_outcome(&exchange, Outcome::Success);
        assert!(!exchange.reused_connection);
        assert_eq!(receiver.connections(), n);
    }
    assert_eq!(client.kept_connections(), 1, "and leaves none");
}

/// How many connections two requests take, the second so long after the first.
async fn connections_with_a_pause(answer: &'static str, pause: Duration) -> usize {
    let receiver = Receiver::answering_all(answer).await;
    let client = client();
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
    tokio::time::pause();
    tokio::time::advance(pause).await;
    tokio::time::resume();
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Success);
    receiver.connections()
}

#[tokio::test]
async fn a_connection_is_given_up_before_the_receiver_closes_it() {
    const SHORT: &str = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=3, max=9\r\ncontent-length: 0\r\n\r\n";
    const TINY: &str = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\ncontent-length: 0\r\n\r\n";
    const LONG: &str = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\ncontent-length: 0\r\n\r\n";
    const NONE: &str = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\ncontent-length: 0\r\n\r\n";
    const LAST: &str = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=0\r\ncontent-length: 0\r\n\r\n";
    for (answer, millis, connections) in [
        (OK, 3_000, 1),
        (OK, 4_100, 2),
        (SHORT, 1_000, 1),
        (SHORT, 2_100, 2),
        (TINY, 0, 1),
        (TINY, 600, 2),
        (LONG, 3_000, 1),
        (LONG, 4_100, 2),
        (NONE, 0, 2),
        (LAST, 0, 2),
    ] {
        let counted = connections_with_a_pause(answer, Duration::from_millis(millis)).await;
        assert_eq!(counted, connections, "{millis} ms after {answer}");
    }
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
