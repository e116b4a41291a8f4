//! The receiver's socket: accepts connections, reads bounded requests, hands each on, answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fanfare_engine::time::Timestamp;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::behaviour::{Behaviour, Reply};
use super::verify::{Keyring, Verdict};
use crate::clock::Clock;

/// The largest body that is taken, in bytes; a larger one is answered with 413.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// The most connections that are served at once; more wait in the socket's backlog.
pub const MAX_CONNECTIONS: usize = 512;
/// The most requests that wait for whoever reads them; beyond that, senders wait.
pub const MAX_UNREAD: usize = 256;
const MAX_HEADERS: usize = 128;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to leave the listener alone after it could not accept (no file handles left, as a rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One request as it came, with what the receiver makes of it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Counted from 1 since the receiver started.
    pub number: u64,
    /// When the body was complete.
    pub at: Timestamp,
    /// Who sent it.
    pub from: SocketAddr,
    /// The request's method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body, at most [`MAX_BODY`] bytes.
    pub body: Bytes,
    /// What the signature is worth.
    pub verdict: Verdict,
    /// How it is being answered.
    pub reply: Reply,
}

/// What a receiver needs to know.
pub struct Settings {
    /// The keys that signatures are checked with.
    pub keys: Keyring,
    /// How requests are answered.
    pub behaviour: Behaviour,
    /// What timestamps are judged by.
    pub clock: Arc<dyn Clock>,
}

struct Shared {
    settings: Settings,
    count: AtomicU64,
    sink: mpsc::Sender<Received>,
}

/// Serves `listener` until it is dropped (a select, an abort). Every request goes to `sink`, in the order of their
/// numbers on one connection; make it with [`MAX_UNREAD`] places. Ends when the other side of `sink` is gone.
pub async fn serve(listener: TcpListener, settings: Settings, sink: mpsc::Sender<Received>) {
    let shared = Arc::new(Shared { settings, count: AtomicU64::new(0), sink });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropping the set, when the caller drops this future, ends every connection.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, from) = tokio::select! {
            () = shared.sink.closed() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let shared = shared.clone();
        connections.spawn(async move {
            serve_connection(stream, from, shared).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, from, &shared));
    // A connection that ends badly is the sender's affair; what it managed to say was handed on.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    from: SocketAddr,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    let body = match collected {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {MAX_BODY} bytes\n")));
        }
        Ok(Err(_)) => return Ok(plain(StatusCode::BAD_REQUEST, "the body broke off\n".into())),
        Err(_) => return Ok(plain(StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n".into())),
    };
    let at = shared.settings.clock.now();
    let number = shared.count.fetch_add(1, Ordering::Relaxed) + 1;
    let reply = shared.settings.behaviour.reply(number);
    let verdict = shared.settings.keys.verify(&head.headers, &body, at.seconds());
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let received =
        Received { number, at, from, method: head.method, path, headers: head.headers, body, verdict, reply };
    // Nobody reads any more: the receiver is ending, and the sender may as well be answered.
    let _ = shared.sink.send(received).await;
    match reply {
        Reply::Stall => std::future::pending().await,
        Reply::Answer { status, delay } => {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            Ok(plain(status, String::new()))
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    if status == StatusCode::PAYLOAD_TOO_LARGE || status == StatusCode::REQUEST_TIMEOUT {
        // The rest of the body was not read: the connection cannot be used again.
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::num::NonZeroU64;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn noon() -> Timestamp {
        Timestamp(1_795_305_600_000)
    }

    struct Running {
        address: SocketAddr,
        requests: mpsc::Receiver<Received>,
        _task: JoinSet<()>,
    }

    async fn start(behaviour: Behaviour) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sink, requests) = mpsc::channel(MAX_UNREAD);
        let settings =
            Settings { keys: Keyring::parse(&[SECRET]).unwrap(), behaviour, clock: Arc::new(ManualClock::new(noon())) };
        let mut task = JoinSet::new();
        task.spawn(serve(listener, settings, sink));
        Running { address, requests, _task: task }
    }

    fn signed(body: &str) -> String {
        let signer = standardwebhooks::Webhook::new(SECRET).unwrap();
        let signature = signer.sign("msg_1", noon().seconds(), body.as_bytes()).unwrap();
        format!(
            "POST /hook?x=1 HTTP/1.1\r\nhost: a\r\nwebhook-id: msg_1\r\nwebhook-timestamp: {}\r\n\
             webhook-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
            noon().seconds(),
            body.len()
        )
    }

    async fn exchange(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the receiver hung up");
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn takes_verifies_and_answers_what_another_library_signed() {
        let behaviour = Behaviour { fail_every: NonZeroU64::new(2), ..Behaviour::default() };
        let mut running = start(behaviour).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();

        let answer = exchange(&mut stream, &signed("{\"a\":1}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let received = running.requests.recv().await.unwrap();
        assert_eq!(received.verdict, Verdict::Valid { version: "v1", key: 1 });
        assert_eq!((received.number, received.path.as_str()), (1, "/hook?x=1"));
        assert_eq!(&received.body[..], b"{\"a\":1}");

        let forged = signed("{\"a\":1}").replace("{\"a\":1}", "{\"a\":2}");
        let answer = exchange(&mut stream, &forged).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        let received = running.requests.recv().await.unwrap();
        assert!(matches!(received.verdict, Verdict::Invalid(_)), "{received:?}");
    }

    #[tokio::test]
    async fn a_stalled_receiver_hands_the_request_on_and_keeps_the_connection() {
        let mut running = start(Behaviour { stall: true, ..Behaviour::default() }).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(signed("{}").as_bytes()).await.unwrap();
        assert_eq!(running.requests.recv().await.unwrap().reply, Reply::Stall);
        let mut byte = [0];
        assert_eq!(stream.try_read(&mut byte).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn refuses_a_body_above_the_limit() {
        let running = start(Behaviour::default()).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", MAX_BODY + 1);
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = vec![b'x'; 64 * 1024];
        let mut left = MAX_BODY + 1;
        while left > 0 {
            let part = left.min(chunk.len());
            // The refusal may come, and the connection close, before the last byte is written.
            if stream.write_all(&chunk[..part]).await.is_err() {
                break;
            }
            left -= part;
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
}
