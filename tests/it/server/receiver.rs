//! A customer's receiver: records what comes, answers as the test's script says, goes away and comes back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::patience::within;
use crate::receivers::Message;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// From 1, over all paths.
    pub(super) number: usize,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The message's id, the same on every attempt.
    pub(super) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The request as a verifying library takes it.
    pub(super) fn message(&self, secret: &str) -> Message {
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Message { secret: secret.to_owned(), headers: headers.collect(), body: self.body.to_vec() }
    }

    /// Checks the signature by the public library.
    #[track_caller]
    pub(super) fn assert_signed(&self, secret: &str) {
        let verified = standardwebhooks::Webhook::new(secret).unwrap().verify(&self.body, &self.headers);
        assert!(verified.is_ok(), "{verified:?}: {self:?}");
    }
}

/// What a request gets.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: &'static str,
    },
    /// 200 with this body.
    Text(String),
    /// Nothing until [`Receiver::release`], and then 200.
    Hold,
    /// 200 at once, with a body that begins and never ends.
    Endless,
}

/// What is sent of a response.
type Body = Either<Full<Bytes>, BoxBody<Bytes, Infallible>>;

impl Reply {
    pub(super) fn status(status: u16) -> Reply {
        Reply::Answer { status, headers: Vec::new(), body: "" }
    }
}

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

/// See the module. Ends when dropped.
pub(super) struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinSet<()>,
    /// Keeps the port, so that it is nobody else's while the receiver is away.
    away: Option<TcpSocket>,
}

struct Shared {
    script: Mutex<Script>,
    received: Mutex<Vec<Request>>,
    count: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

impl Receiver {
    /// One that answers 200 to everything.
    pub(super) async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(|_| Reply::status(200))),
            received: Mutex::default(),
            count: watch::Sender::new(0),
            released: watch::Sender::new(false),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Receiver { shared, address, accepting, away: None }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What requests get from now on.
    pub(super) fn script(&self, script: impl FnMut(&Request) -> Reply + Send + 'static) {
        *self.shared.script.lock() = Box::new(script);
    }

    /// Every request gets this status from now on.
    pub(super) fn always(&self, status: u16) {
        self.script(move |_| Reply::status(status));
    }

    /// Answers what is held, and holds nothing until [`Receiver::hold_again`].
    pub(super) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Requests may be held again.
    pub(super) fn hold_again(&self) {
        self.shared.released.send_replace(false);
    }

    /// Connections are refused from now on, and those that stand are ended.
    pub(super) async fn leave(&mut self) {
        self.accepting.shutdown().await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.away = Some(socket);
    }

    /// Connections are accepted again, at the same port.
    pub(super) fn return_again(&mut self) {
        let listener = self.away.take().unwrap().listen(1_024).unwrap();
        self.accepting.spawn(accept(listener, Arc::clone(&self.shared)));
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.received.lock().clone()
    }

    pub(super) fn requests_to(&self, path: &str) -> Vec<Request> {
        self.shared.received.lock().iter().filter(|request| request.path == path).cloned().collect()
    }

    /// Waits until so many requests have come, to whatever path; answers all.
    pub(super) async fn received(&self, count: usize) -> Vec<Request> {
        self.received_when(&format!("{count} requests"), |requests| requests.len() >= count).await
    }

    /// Waits until so many requests have come to `path`; answers those.
    pub(super) async fn received_at(&self, path: &str, count: usize) -> Vec<Request> {
        let enough = |requests: &[Request]| requests.iter().filter(|request| request.path == path).count() >= count;
        self.received_when(&format!("{count} requests to {path}"), enough).await;
        self.requests_to(path)
    }

    pub(super) async fn received_when(&self, what: &str, enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let mut count = self.shared.count.subscribe();
        within(what, count.wait_for(|_| enough(&self.shared.received.lock()))).await.unwrap();
        self.requests()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set ends every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let service = service_fn(|request| answer(request, &shared));
    // A connection that breaks is the sender's affair: the test may just have killed it.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: hyper::Request<Incoming>, shared: &Shared) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let request = {
        let mut received = shared.received.lock();
        let request = Request {
            number: received.len() + 1,
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: head.headers,
            body,
        };
        received.push(request.clone());
        request
    };
    // Not under the lock: whoever waits looks at the requests while it looks at the count.
    shared.count.send_modify(|count| *count += 1);
    let reply = (shared.script.lock())(&request);
    Ok(give(reply, shared).await.unwrap_or_else(|never| match never {}))
}

async fn give(reply: Reply, shared: &Shared) -> Result<Response<Body>, Infallible> {
    match reply {
        Reply::Answer { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Either::Left(Full::new(Bytes::from_static(body.as_bytes())))).unwrap())
        }
        Reply::Text(body) => Ok(Response::new(Either::Left(Full::new(Bytes::from(body))))),
        Reply::Hold => {
            shared.released.subscribe().wait_for(|released| *released).await.unwrap();
            Ok(Response::new(Either::Left(Full::new(Bytes::new()))))
        }
        Reply::Endless => {
            let first = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"ok")))]);
            let body = StreamBody::new(first.chain(futures_util::stream::pending()));
            Ok(Response::new(Either::Right(BodyExt::boxed(body))))
        }
    }
}
