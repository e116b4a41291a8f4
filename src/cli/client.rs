//! The command line's HTTP client: one request on a connection of its own, over http or https, all of it bounded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::delivery::tls;

/// How long one request may take, from looking up the host to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes: a page of 250 events of the largest size that is usual.
const MAX_ANSWER: usize = 64 << 20;

/// A request to the API, below the server's URL.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Bytes>,
}

impl Request {
    /// A request for the path made of these segments, each of which may hold any characters.
    pub fn new(method: Method, path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Request { method, path, query: Vec::new(), body: None }
    }

    pub fn get(path: &[&str]) -> Self {
        Request::new(Method::GET, path)
    }

    pub fn post(path: &[&str]) -> Self {
        Request::new(Method::POST, path)
    }

    pub fn put(path: &[&str]) -> Self {
        Request::new(Method::PUT, path)
    }

    pub fn patch(path: &[&str]) -> Self {
        Request::new(Method::PATCH, path)
    }

    pub fn delete(path: &[&str]) -> Self {
        Request::new(Method::DELETE, path)
    }

    /// With this query parameter, if there is a value.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// With this JSON as its body.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(mut self, body: &impl Serialize) -> anyhow::Result<Self> {
        self.body = Some(serde_json::to_vec(body)?.into());
        Ok(self)
    }
}

/// Why a call brought no answer that is a success.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server did not answer.
    #[error(transparent)]
    Unreachable(#[from] anyhow::Error),
    /// The server refused.
    #[error("{}", in_words(*.status, .body))]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// The answer as it came; a problem document, where the server is Fanfare's.
        body: Bytes,
    },
}

impl CallError {
    /// Whether the server answered with this code of a problem.
    pub fn has_code(&self, code: &str) -> bool {
        let CallError::Refused { body, .. } = self else { return false };
        serde_json::from_slice::<Value>(body).is_ok_and(|problem| problem["code"] == code)
    }
}

/// A refusal for people: what was wrong, and with which field.
fn in_words(status: StatusCode, body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(title) = problem["title"].as_str() else {
        return format!("the server answered {status}, and not as Fanfare does; is --url right?");
    };
    let code = problem["code"].as_str().unwrap_or("no code");
    let mut text = format!("{title} ({} {code})", status.as_u16());
    // What its field says is for customers; the rest is for who runs the server.
    let fields = problem["errors"].as_array().filter(|fields| !fields.is_empty() && code != "address_denied");
    match fields {
        Some(fields) => {
            for field in fields {
                let part = |name: &str| field[name].as_str().unwrap_or_default();
                text.push_str(&format!("\n  {}: {}", part("field"), part("message")));
            }
        }
        None => text.push_str(&format!("\n  {}", problem["detail"].as_str().unwrap_or("no reason given"))),
    }
    if status == StatusCode::UNAUTHORIZED {
        text.push_str(
            "\n  Give a key by --key or FANFARE_KEY; the admin key is in the file admin-key of the data directory.",
        );
    }
    text
}

/// A server's API, with the key to it.
#[derive(Clone)]
pub struct Client {
    url: Url,
    key: String,
    tls: Arc<ClientConfig>,
}

impl Client {
    /// The API of the server at `url`. `ca_file` holds further trust roots as PEM.
    ///
    /// # Errors
    /// A URL that is not `http://…` or `https://…`, a key that no header can hold, a file that cannot be used.
    pub fn new(url: &str, key: &str, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let parsed =
            Url::parse(url).with_context(|| format!("--url {url:?} is no URL such as http://127.0.0.1:8686"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            bail!("--url {url:?} must start with http:// or https://");
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("the key has characters that no key has; copy it again");
        }
        let roots = ca_file.map(|file| std::fs::read(file).with_context(|| format!("cannot read {}", file.display())));
        let mut tls = ClientConfig::clone(&*tls::client_config(roots.transpose()?.as_deref())?);
        tls.alpn_protocols.clear();
        Ok(Client { url: parsed, key: key.to_owned(), tls: Arc::new(tls) })
    }

    /// Sends a request and gives the body of the answer; empty where there is none.
    ///
    /// # Errors
    /// The server cannot be reached, does not answer in time, or refuses.
    pub async fn call(&self, request: Request) -> Result<Bytes, CallError> {
        let unreachable = || format!("cannot reach the server at {} (is it running? --url says where)", self.url);
        let (status, body) = match tokio::time::timeout(TIMEOUT, self.exchange(request)).await {
            Ok(answer) => answer.with_context(unreachable)?,
            Err(_) => {
                let late = anyhow::anyhow!("no answer within {} s", TIMEOUT.as_secs()).context(unreachable());
                return Err(CallError::Unreachable(late));
            }
        };
        if status.is_success() { Ok(body) } else { Err(CallError::Refused { status, body }) }
    }

    /// Like [`Client::call`], and reads the answer as JSON.
    ///
    /// # Errors
    /// As there, or the answer is not JSON.
    pub async fn json(&self, request: Request) -> Result<Value, CallError> {
        let body = self.call(request).await?;
        let value = serde_json::from_slice(&body).context("the answer is not JSON; is --url right?")?;
        Ok(value)
    }

    async fn exchange(&self, request: Request) -> anyhow::Result<(StatusCode, Bytes)> {
        let url = self.url_of(&request);
        let host = url.host().context("the URL names no host")?;
        let port = url.port_or_known_default().context("the URL names no port")?;
        let stream = match host {
            Host::Domain(name) => TcpStream::connect((name, port)).await?,
            Host::Ipv4(address) => TcpStream::connect((address, port)).await?,
            Host::Ipv6(address) => TcpStream::connect((address, port)).await?,
        };
        // A request is small and must not wait for more.
        let _ = stream.set_nodelay(true);
        let request = self.compose(&url, request)?;
        if url.scheme() == "http" {
            return exchange_on(stream, request).await;
        }
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(ServerName::try_from(name)?, stream).await?;
        exchange_on(stream, request).await
    }

    fn url_of(&self, request: &Request) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&request.path);
        }
        url.set_query(None);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    fn compose(&self, url: &Url, request: Request) -> anyhow::Result<http::Request<Full<Bytes>>> {
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let mut composed = http::Request::builder()
            .method(request.method)
            .uri(target)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, concat!("fanfare/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        if request.body.is_some() {
            composed = composed.header(header::CONTENT_TYPE, "application/json");
        }
        Ok(composed.body(Full::new(request.body.unwrap_or_default()))?)
    }
}

async fn exchange_on(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Full<Bytes>>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow::anyhow!(error))?;
        anyhow::Ok((head.status, body.to_bytes()))
    };
    tokio::pin!(answer, connection);
    // The connection does the work; the answer may be complete only after it has ended.
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn client(url: &str) -> anyhow::Result<Client> {
        Client::new(url, "key", None)
    }

    #[test]
    fn ids_of_any_kind_stay_one_segment() {
        let client = client("https://example.com/fanfare/").unwrap();
        let request = Request::get(&["v1", "organizations", "a/b ?#é"]).query("limit", Some(3)).query("x", None::<u8>);
        let url = client.url_of(&request);
        assert_eq!(url.as_str(), "https://example.com/fanfare/v1/organizations/a%2Fb%20%3F%23%C3%A9?limit=3");
        let composed = client.compose(&url, request).unwrap();
        assert_eq!(composed.uri(), "/fanfare/v1/organizations/a%2Fb%20%3F%23%C3%A9?limit=3");
        assert_eq!(composed.headers()["host"], "example.com");
    }

    #[test]
    fn refuses_what_is_no_server() {
        for url in ["localhost:8686", "ftp://a", ""] {
            let error = client(url).err().unwrap().to_string();
            assert!(error.starts_with("--url"), "{error}");
        }
        assert!(Client::new("http://a", "two\nlines", None).is_err());
    }

    #[test]
    fn a_problem_names_its_fields() {
        let problem = json!({"title": "Some fields are not valid", "code": "validation_failed", "detail": "url is bad",
            "errors": [{"field": "url", "message": "is bad"}, {"field": "name", "message": "is long"}]});
        let error = CallError::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, body: problem.to_string().into() };
        assert!(error.has_code("validation_failed") && !error.has_code("taken"));
        assert_eq!(
            error.to_string(),
            "Some fields are not valid (422 validation_failed)\n  url: is bad\n  name: is long"
        );
        let problem = json!({"title": "The address may not be called", "code": "address_denied", "detail": "url blocked. May be allowed.",
            "errors": [{"field": "url", "message": "blocked"}]});
        let error = CallError::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, body: problem.to_string().into() };
        assert_eq!(
            error.to_string(),
            "The address may not be called (422 address_denied)\n  url blocked. May be allowed."
        );
        let error = CallError::Refused { status: StatusCode::BAD_GATEWAY, body: Bytes::from_static(b"<html>") };
        assert!(error.to_string().contains("502 Bad Gateway, and not as Fanfare does"), "{error}");
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_said_once() {
        // Bound and not listening: nobody else gets the port meanwhile.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = client(&format!("http://{}", socket.local_addr().unwrap())).unwrap();
        let error = anyhow::Error::from(client.call(Request::get(&["v1"])).await.unwrap_err());
        assert_eq!(format!("{error:#}").matches("cannot reach the server").count(), 1, "{error:#}");
        assert!(format!("{error:#}").contains("refused"), "{error:#}");
    }
}
