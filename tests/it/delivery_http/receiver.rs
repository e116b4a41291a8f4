//! A receiver on a raw socket that does what a test makes it do.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

pub(super) struct Receiver {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

impl Receiver {
    /// Runs `serve` for each connection; it ends with the receiver.
    pub(super) async fn start<F, Served>(serve: F) -> Receiver
    where
        F: Fn(Visit) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(AtomicUsize::new(0));
        let (opened, counted) = (connections.clone(), requests.clone());
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = opened.fetch_add(1, Ordering::SeqCst);
                serving.spawn(serve(Visit { stream, number, requests: counted.clone() }));
            }
        });
        Receiver { address, connections, requests, _accepting: accepting }
    }

    /// Answers the first request of each connection with these bytes, and then holds the connection open.
    pub(super) async fn answering(bytes: impl Into<Vec<u8>>) -> Receiver {
        let bytes: Vec<u8> = bytes.into();
        Receiver::start(move |mut visit| {
            let bytes = bytes.clone();
            async move {
                visit.read_request().await;
                visit.write(&bytes).await;
                visit.hold().await;
            }
        })
        .await
    }

    /// Answers the first request of each connection with these bytes, and then closes it.
    pub(super) async fn answering_and_closing(bytes: impl Into<Vec<u8>>) -> Receiver {
        let bytes: Vec<u8> = bytes.into();
        Receiver::start(move |mut visit| {
            let bytes = bytes.clone();
            async move {
                visit.read_request().await;
                visit.write(&bytes).await;
            }
        })
        .await
    }

    /// Answers every request with these bytes.
    pub(super) async fn answering_all(bytes: &'static str) -> Receiver {
        Receiver::start(move |mut visit| async move {
            while visit.read_request().await.is_some() {
                visit.write(bytes.as_bytes()).await;
            }
        })
        .await
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests were read.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// One connection to a receiver.
pub(super) struct Visit {
    pub(super) stream: TcpStream,
    /// From 0.
    pub(super) number: usize,
    requests: Arc<AtomicUsize>,
}

impl Visit {
    /// One request, whole; `None` where the connection ended.
    pub(super) async fn read_request(&mut self) -> Option<String> {
        let request = read_request(&mut self.stream).await;
        if request.is_some() {
            self.requests.fetch_add(1, Ordering::SeqCst);
        }
        request
    }

    /// Writes what the other side still takes.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Writes the same again and again until the other side is gone.
    pub(super) async fn write_endlessly(&mut self, bytes: &[u8]) {
        while self.stream.write_all(bytes).await.is_ok() {}
    }

    /// Ends the connection with a reset instead of an orderly close.
    pub(super) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Keeps the connection open until the receiver ends, saying nothing.
    pub(super) async fn hold(self) {
        std::future::pending::<()>().await;
    }
}

/// Reads a request's head and as much body as its Content-Length says.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        bytes.extend_from_slice(&byte);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

/// Answers every request on a stream, TLS or not.
pub(super) async fn answer_all(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    while read_request(&mut stream).await.is_some() {
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
