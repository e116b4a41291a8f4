//! HTTP/2: several requests over one connection, and receivers that abuse it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fanfare::delivery::exchange::{Exchange, Resent};
use fanfare::delivery::http::{HttpClient, OutgoingRequest};
use fanfare_engine::attempt::Outcome;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::Authority;
use super::receiver::Receiver;
use super::setup::{BRIEF, NAME, Setup, answer, assert_error_says, assert_outcome, endpoint, post, request};

pub(super) const HTTP2: &[&str] = &["h2", "http/1.1"];

/// A receiver with which the client agrees on HTTP/2, and a client that trusts it.
async fn start<F, Served>(serve: F) -> (Receiver, HttpClient)
where
    F: Fn(TlsStream<TcpStream>) -> Served + Clone + Send + Sync + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    let authority = Authority::new("trusted");
    let acceptor = authority.acceptor(NAME, HTTP2, |_| {});
    let receiver = Receiver::start(move |visit| {
        let (acceptor, serve) = (acceptor.clone(), serve.clone());
        async move {
            if let Ok(stream) = acceptor.accept(visit.stream).await {
                serve(stream).await;
            }
        }
    })
    .await;
    (receiver, Setup { extra_roots: Some(authority.pem()), ..Setup::default() }.client())
}

/// Serves HTTP/2 as it should be.
async fn serve_well(stream: TlsStream<TcpStream>) {
    let echo = service_fn(|request: Request<Incoming>| async move {
        let head = format!("{} {} {:?} ", request.method(), request.uri(), request.headers().get("host"));
        let body = request.into_body().collect().await?.to_bytes();
        let answer = [head.as_bytes(), &body].concat();
        Ok::<_, hyper::Error>(Response::builder().status(202).body(Full::new(Bytes::from(answer))).unwrap())
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), echo).await;
}

fn url(receiver: &Receiver) -> String {
    format!("https://{NAME}:{}/hook?a=b", receiver.port())
}

#[tokio::test]
async fn requests_share_one_connection() {
    let (receiver, client) = start(serve_well).await;
    let first = post(&client, &url(&receiver)).await;
    assert_outcome(&first, Outcome::Success);
    let expected = format!("POST {} None {{\"n\":1}}", url(&receiver));
    assert_eq!(answer(&first), (202, expected.as_bytes()));
    let url = url(&receiver);
    for exchange in join_all((0..50).map(|_| post(&client, &url))).await {
        assert_outcome(&exchange, Outcome::Success);
        assert!(exchange.reused_connection);
    }
    assert_eq!(receiver.connections(), 1);
    assert_eq!(client.kept_connections(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_ends_its_stream_only() {
    let (receiver, client) = start(serve_well).await;
    let endpoint = endpoint(&url(&receiver));
    let long = OutgoingRequest { body: vec![b'x'; 100_000].into(), capture_limit: 1_000, ..request(&endpoint) };
    let exchange = client.send(long).await;
    assert_outcome(&exchange, Outcome::Success);
    assert_eq!(answer(&exchange).1.len(), 1_000);
    assert!(exchange.response.unwrap().truncated);
    assert!(post(&client, &url(&receiver)).await.reused_connection);
    assert_eq!(receiver.connections(), 1);
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Waits for the client's first HEADERS frame, having sent the settings given.
async fn greet(stream: &mut TlsStream<TcpStream>, settings: &[u8]) {
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    next_headers(stream).await;
}

/// Waits for the next HEADERS frame.
async fn next_headers(stream: &mut TlsStream<TcpStream>) {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == HEADERS {
            return;
        }
    }
}

/// What comes of a request when the receiver answers it with these bytes on each connection and says no more, and over how many
/// connections it went.
async fn answered_with(bytes: Vec<u8>) -> (Exchange, usize) {
    let (receiver, client) = start(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            greet(&mut stream, &[]).await;
            let _ = stream.write_all(&bytes).await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    })
    .await;
    let exchange = post(&client, &url(&receiver)).await;
    (exchange, receiver.connections())
}

/// GOAWAY: the last stream that may have been processed, and why.
fn go_away(last: u8, reason: u8) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0, 0, 0, last, 0, 0, 0, reason])
}

fn reset(reason: u8) -> Vec<u8> {
    frame(RST_STREAM, 0, 1, &[0, 0, 0, reason])
}

const NO_ERROR: u8 = 0;
const INTERNAL_ERROR: u8 = 2;
const REFUSED_STREAM: u8 = 7;
const ENHANCE_YOUR_CALM: u8 = 11;

#[tokio::test]
async fn case_043_a_receiver_that_always_refuses_fails_in_the_end() {
    for bytes in [go_away(0, NO_ERROR), go_away(0, ENHANCE_YOUR_CALM), reset(REFUSED_STREAM)] {
        let (exchange, connections) = answered_with(bytes).await;
        assert_outcome(&exchange, Outcome::Protocol);
        assert_error_says(&exchange, "refused the request each time without processing it");
        assert_eq!((connections, exchange.resent), (4, Some(Resent::Refused)));
    }
}

#[tokio::test]
async fn case_043_what_may_have_been_processed_is_not_sent_again() {
    let broken_off = [go_away(1, NO_ERROR), go_away(1, INTERNAL_ERROR), reset(INTERNAL_ERROR)];
    for (bytes, closes) in broken_off.into_iter().zip([true, true, false]) {
        let (receiver, client) = start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                greet(&mut stream, &[]).await;
                let _ = stream.write_all(&bytes).await;
                if !closes {
                    let mut rest = Vec::new();
                    let _ = stream.read_to_end(&mut rest).await;
                }
            }
        })
        .await;
        let exchange = post(&client, &url(&receiver)).await;
        assert_outcome(&exchange, if closes { Outcome::Reset } else { Outcome::Protocol });
        assert_eq!((receiver.connections(), exchange.resent), (1, None), "{exchange:?}");
    }
}

/// Answers the first request of all with these bytes, and serves well on every further connection.
async fn serve_first_otherwise(acceptor: TlsAcceptor, bytes: Vec<u8>) -> Receiver {
    Receiver::start(move |visit| {
        let (acceptor, bytes) = (acceptor.clone(), bytes.clone());
        async move {
            let number = visit.number;
            let Ok(mut stream) = acceptor.accept(visit.stream).await else { return };
            if number > 0 {
                return serve_well(stream).await;
            }
            greet(&mut stream, &[]).await;
            let _ = stream.write_all(&bytes).await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    })
    .await
}

/// Refuses the first request of all, and serves well from then on; its certificate is for 127.0.0.1.
pub(super) async fn refusing_at_first() -> (Receiver, Authority) {
    let authority = Authority::new("trusted");
    let receiver = serve_first_otherwise(authority.acceptor("127.0.0.1", HTTP2, |_| {}), go_away(0, NO_ERROR)).await;
    (receiver, authority)
}

#[tokio::test]
async fn a_refused_request_goes_out_again_on_a_new_connection() {
    for bytes in [go_away(0, NO_ERROR), reset(REFUSED_STREAM)] {
        let authority = Authority::new("trusted");
        let receiver = serve_first_otherwise(authority.acceptor(NAME, HTTP2, |_| {}), bytes).await;
        let client = Setup { extra_roots: Some(authority.pem()), ..Setup::default() }.client();
        let endpoint = endpoint(&url(&receiver));
        let exchange = client.send(OutgoingRequest { at_most_once: true, ..request(&endpoint) }).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(exchange.resent, Some(Resent::Refused));
        assert!(answer(&exchange).1.ends_with(b"{\"n\":1}"), "the body went out again: {exchange:?}");
        assert_eq!(receiver.connections(), 2);
        let next = post(&client, &url(&receiver)).await;
        assert!(next.reused_connection && next.resent.is_none());
        assert_eq!(receiver.connections(), 2, "the connection that refused is not used again");
    }
}

#[tokio::test]
async fn a_kept_connection_that_ends_before_the_answer_is_replaced_where_duplicates_do_no_harm() {
    for at_most_once in [false, true] {
        let served = Arc::new(AtomicUsize::new(0));
        let (receiver, client) = start(move |mut stream| {
            let served = served.clone();
            async move {
                if served.fetch_add(1, Ordering::SeqCst) > 0 {
                    return serve_well(stream).await;
                }
                greet(&mut stream, &[]).await;
                let _ = stream.write_all(&frame(HEADERS, 5, 1, &[0x88])).await;
                next_headers(&mut stream).await;
            }
        })
        .await;
        assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Success);
        let endpoint = endpoint(&url(&receiver));
        let exchange = client.send(OutgoingRequest { at_most_once, ..request(&endpoint) }).await;
        if at_most_once {
            assert_outcome(&exchange, Outcome::Reset);
            assert_eq!((receiver.connections(), exchange.resent), (1, None));
        } else {
            assert_outcome(&exchange, Outcome::Success);
            assert_eq!((receiver.connections(), exchange.resent), (2, Some(Resent::Closed)));
        }
    }
}

/// A receiver that allows one stream at once and answers each request when it may.
pub(super) struct Gated {
    pub(super) receiver: Receiver,
    /// A permit for each answer.
    pub(super) release: Arc<Semaphore>,
    /// Requests as they come.
    pub(super) starts: mpsc::Receiver<()>,
}

pub(super) async fn gated(acceptor: TlsAcceptor) -> Gated {
    let (started, starts) = mpsc::channel(8);
    let release = Arc::new(Semaphore::new(0));
    let gate = release.clone();
    let receiver = Receiver::start(move |visit| {
        let (acceptor, started, gate) = (acceptor.clone(), started.clone(), gate.clone());
        async move {
            let Ok(stream) = acceptor.accept(visit.stream).await else { return };
            let serve = service_fn(move |_: Request<Incoming>| {
                let (started, gate) = (started.clone(), gate.clone());
                async move {
                    let _ = started.send(()).await;
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::new())))
                }
            });
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.max_concurrent_streams(1).serve_connection(TokioIo::new(stream), serve).await;
        }
    })
    .await;
    Gated { receiver, release, starts }
}

#[tokio::test]
async fn no_request_waits_for_a_stream_that_the_receiver_does_not_allow() {
    let authority = Authority::new("trusted");
    let Gated { receiver, release, mut starts } = gated(authority.acceptor(NAME, HTTP2, |_| {})).await;
    let client = Setup { extra_roots: Some(authority.pem()), ..Setup::default() }.client();
    let url = url(&receiver);
    release.add_permits(1);
    let first = post(&client, &url).await;
    starts.recv().await.unwrap();
    assert_eq!(first.streams_allowed, Some(1), "who sends is told");
    let all_at_once = join_all((0..3).map(|_| post(&client, &url)));
    let release_once_all_are_there = async {
        for _ in 0..3 {
            starts.recv().await.unwrap();
        }
        release.add_permits(3);
    };
    let (exchanges, ()) = tokio::join!(all_at_once, release_once_all_are_there);
    exchanges.iter().for_each(|exchange| assert_outcome(exchange, Outcome::Success));
    assert_eq!(receiver.connections(), 3, "each has a connection, one of them the first");
}

#[tokio::test]
async fn case_043_frames_that_break_the_rules_fail() {
    let data_first = frame(DATA, 0, 1, b"hello");
    let oversized = vec![0xff, 0xff, 0xff, HEADERS, 4, 0, 0, 0, 1];
    let bad_compression = frame(HEADERS, 4, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    for bytes in [data_first, oversized, bad_compression] {
        let (exchange, connections) = answered_with(bytes).await;
        assert_outcome(&exchange, Outcome::Protocol);
        assert_eq!(connections, 1, "{exchange:?}");
    }
}

#[tokio::test]
async fn case_043_a_flood_of_continuation_frames_ends() {
    let (receiver, client) = start(|mut stream| async move {
        greet(&mut stream, &[]).await;
        let _ = stream.write_all(&frame(HEADERS, 0, 1, &[0x88])).await;
        // A literal header without indexing, one byte of name and one of value.
        let filler: Vec<u8> = [0, 1, b'x', 1, b'y'].repeat(3_000);
        while stream.write_all(&frame(CONTINUATION, 0, 1, &filler)).await.is_ok() {}
    })
    .await;
    assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Protocol);
}

#[tokio::test]
async fn case_043_a_flood_of_frames_ends() {
    const PING: u8 = 6;
    const ACKNOWLEDGED: u8 = 1;
    const PRIORITY: u8 = 2;
    for flood in
        [frame(PING, ACKNOWLEDGED, 0, &[0; 8]), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]), frame(HEADERS, 5, 1, &[0x88])]
    {
        let (ended, mut ends) = mpsc::channel(1);
        let (receiver, client) = start(move |mut stream| {
            let (ended, flood) = (ended.clone(), flood.clone());
            async move {
                greet(&mut stream, &[]).await;
                // A whole answer, and then more of what nobody asked for.
                let _ = stream.write_all(&frame(HEADERS, 5, 1, &[0x88])).await;
                while stream.write_all(&flood).await.is_ok() {}
                let _ = ended.send(()).await;
            }
        })
        .await;
        assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Success);
        ends.recv().await.unwrap();
        assert_eq!(receiver.connections(), 1);
    }
}

#[tokio::test]
async fn case_043_too_many_headers_fail() {
    // A literal header without indexing, one byte of name and one of value.
    let head = |count: usize| [vec![0x88], [0, 1, b'x', 1, b'y'].repeat(count)].concat();
    for (count, outcome) in [(256, Outcome::Success), (257, Outcome::Protocol)] {
        let (exchange, _) = answered_with(frame(HEADERS, 5, 1, &head(count))).await;
        assert_outcome(&exchange, outcome);
    }
}

#[tokio::test]
async fn case_043_a_window_that_never_opens_ends_at_the_deadline() {
    let (receiver, client) = start(|mut stream| async move {
        // SETTINGS_INITIAL_WINDOW_SIZE is 0.
        greet(&mut stream, &[0, 4, 0, 0, 0, 0]).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let endpoint = endpoint(&url(&receiver));
    // The first request may leave before the settings have come; the second may not.
    let exchange = client.send(OutgoingRequest { timeout: BRIEF, ..request(&endpoint) }).await;
    assert_outcome(&exchange, Outcome::Timeout);
    assert_eq!(client.kept_connections(), 0, "a connection over which nothing came is not used again");
}

#[tokio::test]
async fn case_043_a_connection_that_was_given_up_is_replaced() {
    let (receiver, client) = start(|mut stream| async move {
        greet(&mut stream, &[]).await;
        // :status 200 from the static table, with the stream's end; then no further streams are accepted.
        let _ = stream.write_all(&frame(HEADERS, 5, 1, &[0x88])).await;
        let _ = stream.write_all(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    for n in 1..=3 {
        let exchange = post(&client, &url(&receiver)).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(receiver.connections(), n);
    }
}
