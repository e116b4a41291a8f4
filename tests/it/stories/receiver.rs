//! A customer's receiver on a raw socket, with TLS or without: keeps every byte of each request, and answers as told.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Requests that are kept until the story looks at them; more than any story has.
const REQUESTS: usize = 1_000;
/// After this long, a request will not come any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// The headers that every request has, whatever its profile, but for the last, which a request without a body lacks.
const AUTOMATIC: [&str; 5] = ["host", "user-agent", "accept", "accept-encoding", "content-length"];

/// What a request gets.
#[derive(Clone, Debug)]
enum Answer {
    /// These bytes.
    Text(String),
    /// Nothing, on a connection that stays open.
    Silence,
    /// The end of the connection.
    HangUp,
}

/// See the module. Ends when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    requests: mpsc::Receiver<Request>,
    answer: Arc<Mutex<Answer>>,
    _accepting: JoinSet<()>,
}

impl Receiver {
    /// One that accepts everything; with an acceptor, over TLS alone.
    pub(crate) async fn start(tls: Option<TlsAcceptor>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (sender, requests) = mpsc::channel(REQUESTS);
        let answer = Arc::new(Mutex::new(status_line(200, &[], "")));
        let told = Arc::clone(&answer);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, told, tls) = (sender.clone(), Arc::clone(&told), tls.clone());
                serving.spawn(async move {
                    match tls {
                        None => serve(stream, sender, told).await,
                        Some(tls) => serve(tls.accept(stream).await.unwrap(), sender, told).await,
                    }
                });
            }
        });
        Receiver { address, scheme, requests, answer, _accepting: accepting }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.answer_with(status, &[], "");
    }

    /// Answers with this status, these headers and this body from now on.
    pub(crate) fn answer_with(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        *self.answer.lock() = status_line(status, headers, body);
    }

    /// Takes requests and says nothing from now on.
    pub(crate) fn stay_silent(&self) {
        *self.answer.lock() = Answer::Silence;
    }

    /// Takes requests and ends their connections from now on.
    pub(crate) fn hang_up(&self) {
        *self.answer.lock() = Answer::HangUp;
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Request {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.expect("no request came").unwrap()
    }

    /// Requests that came and were not looked at.
    pub(crate) fn rest(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

fn status_line(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    Answer::Text(format!("HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    requests: mpsc::Sender<Request>,
    answer: Arc<Mutex<Answer>>,
) {
    while let Some(request) = read(&mut stream).await {
        // What is told counts from the moment at which a request is whole.
        let answer = answer.lock().clone();
        requests.send(request).await.unwrap();
        match answer {
            Answer::Text(text) => {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Answer::Silence => std::future::pending().await,
            Answer::HangUp => return,
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).map(owned).collect();
    let mut request = Request { line, headers, body: String::new() };
    let length = request.values("content-length").first().map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Method, target and version.
    pub(crate) line: String,
    /// In their order, the names as they were sent.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        let named = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the one header of this name.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let values = self.values(name);
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        values[0]
    }

    /// The names of all headers but the automatic ones, in small letters.
    pub(crate) fn own_names(&self) -> BTreeSet<String> {
        self.own_headers().into_iter().map(|(name, _)| name.to_lowercase()).collect()
    }

    fn own_headers(&self) -> Vec<(String, String)> {
        let is_own = |header: &&(String, String)| !AUTOMATIC.contains(&header.0.to_lowercase().as_str());
        let mut own: Vec<_> = self.headers.iter().filter(is_own).cloned().collect();
        own.sort();
        own
    }

    /// The request is this one, written as the descriptions of systems write them: line, headers, an empty line, body. The
    /// line and the body are the same byte for byte, the headers but for their order; besides
    /// them there are only the automatic ones.
    #[track_caller]
    pub(crate) fn assert_is(&self, golden: &str) {
        let (head, body) = golden.split_once("\n\n").unwrap_or((golden, ""));
        let mut lines = head.lines();
        assert_eq!(self.line, lines.next().unwrap());
        assert_eq!(self.body, body);
        let mut headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).map(owned).collect();
        headers.sort();
        assert_eq!(self.own_headers(), headers);
        self.assert_automatic();
    }

    #[track_caller]
    fn assert_automatic(&self) {
        assert!(self.header("host").starts_with("127.0.0.1:"), "{self:?}");
        assert_eq!(self.header("user-agent"), "Fanfare");
        assert_eq!(self.header("accept"), "*/*");
        assert_eq!(self.header("accept-encoding"), "identity");
        let length = if self.line.starts_with("GET ") { vec![] } else { vec![self.body.len().to_string()] };
        assert_eq!(self.values("content-length"), length);
    }
}
