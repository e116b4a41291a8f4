//! The HTTP client: sends a request to an endpoint and reports how it went.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_engine::egress::{Denied, EgressPolicy, Endpoint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Version};
use tokio::time::{Instant, timeout_at};

use super::connection::{self, Body, Http1, Http2, Opened, Sent};
use super::connector::{Connector, VET_TIMEOUT};
use super::dns::Resolver;
use super::exchange::{self, Afterwards, Exchange};
use super::pool::{Pool, Reused};
use super::proxy::Proxy;
use super::tls::{self, TlsSetupError};

pub use super::pool::PoolLimits;

/// What a client is made of.
pub struct ClientConfig {
    pub egress: EgressPolicy,
    pub resolver: Arc<dyn Resolver>,
    /// Trust roots beside the public ones, as PEM.
    pub extra_roots: Option<Vec<u8>>,
    /// What requests go out through; straight to the receivers where there is none.
    pub proxy: Option<Proxy>,
    pub pool: PoolLimits,
}

/// A request to send.
pub struct OutgoingRequest<'a> {
    pub endpoint: &'a Endpoint,
    pub method: Method,
    /// All headers but Host and Content-Length; Accept and Accept-Encoding are added where they are missing.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// For lookup, TCP and TLS together; no longer than `timeout`.
    pub connect_timeout: Duration,
    /// For the whole exchange: connecting, sending, and the answer with its body.
    pub timeout: Duration,
    /// How many bytes of the answer's body are kept. When more come, reading stops and the connection is closed.
    pub capture_limit: usize,
}

/// Sends requests, and keeps connections for the next ones. Redirects are not followed, cookies not kept, bodies not
/// decoded, and the environment's proxy variables not read.
pub struct HttpClient {
    connector: Connector,
    pool: Arc<Pool>,
}

impl HttpClient {
    /// Fails where the extra trust roots cannot be used. Its requests must be sent within a tokio runtime.
    pub fn new(config: ClientConfig) -> Result<HttpClient, TlsSetupError> {
        let tls = tls::client_config(config.extra_roots.as_deref())?;
        Ok(HttpClient {
            connector: Connector::new(config.egress, config.resolver, tls, config.proxy),
            pool: Pool::new(config.pool),
        })
    }

    /// Judges an endpoint for which a webhook is being saved, with a lookup of its name.
    pub async fn vet(&self, endpoint: &Endpoint) -> Result<(), Denied> {
        self.connector.vet(endpoint, Instant::now() + VET_TIMEOUT).await
    }

    /// How many connections are kept for further requests.
    pub fn kept_connections(&self) -> usize {
        self.pool.len()
    }

    /// Sends a request once. A kept connection that turns out to be closed before a byte went out is replaced by a
    /// fresh one; whatever else happens is the outcome.
    // Not `async fn`: that keeps each argument twice, in memory that every request in flight holds.
    pub fn send<'a>(&'a self, request: OutgoingRequest<'a>) -> impl Future<Output = Exchange> + Send + 'a {
        let started = Instant::now();
        let call = Call {
            endpoint: request.endpoint,
            timeout: request.timeout,
            connect_deadline: started + request.connect_timeout.min(request.timeout),
            deadline: started + request.timeout,
            capture_limit: request.capture_limit,
        };
        let message = compose(request.method, request.headers, request.body);
        async move {
            let tried = match self.pool.take(call.endpoint.origin()) {
                Some(Reused::Http1(connection)) => self.over_http1(connection, message, &call).await.over_kept(),
                Some(Reused::Http2(connection)) => {
                    Box::pin(self.over_http2(connection, message, &call)).await.over_kept()
                }
                None => Err(Box::new(message)),
            };
            // Boxed, since few requests need it and all would hold it.
            let mut exchange = match tried {
                Ok(exchange) => exchange,
                Err(unsent) => Box::pin(self.over_fresh(*unsent, &call)).await,
            };
            exchange.duration = started.elapsed();
            exchange
        }
    }

    async fn over_fresh(&self, message: Request<Body>, call: &Call<'_>) -> Exchange {
        let answer = match self.open(call.endpoint, call.connect_deadline).await {
            Ok(Opened::Http1(connection)) => self.over_http1(connection, message, call).await,
            Ok(Opened::Http2(connection)) => {
                let connection = Arc::new(connection);
                self.pool.share(call.endpoint.origin(), &connection);
                self.over_http2(connection, message, call).await
            }
            Err(failed) => return failed,
        };
        match answer {
            Answer::Ended(exchange) => exchange,
            Answer::NotSent(_, error) => Exchange::broken(&error),
        }
    }

    async fn open(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Opened, Exchange> {
        let wire = self.connector.connect(endpoint, deadline).await?;
        connection::open(wire).await.map_err(|error| Exchange::broken(&error))
    }

    fn over_http1<'a>(
        &'a self,
        mut connection: Http1,
        mut message: Request<Body>,
        call: &'a Call<'a>,
    ) -> impl Future<Output = Answer> + Send + 'a {
        *message.version_mut() = Version::HTTP_11;
        *message.uri_mut() = call.endpoint.target().clone();
        message.headers_mut().insert(HOST, call.endpoint.host_header().clone());
        let sending = connection.sender.try_send_request(message);
        async move {
            let sent = timeout_at(call.deadline, sending).await;
            let (answer, afterwards) = call.finish(sent.ok()).await;
            if afterwards == Afterwards::Reusable {
                self.pool.keep(call.endpoint.origin(), connection);
            }
            answer
        }
    }

    async fn over_http2(&self, connection: Arc<Http2>, mut message: Request<Body>, call: &Call<'_>) -> Answer {
        *message.version_mut() = Version::HTTP_2;
        *message.uri_mut() = call.endpoint.absolute().clone();
        message.headers_mut().remove(HOST);
        let mut sender = connection.sender.clone();
        let sent = timeout_at(call.deadline, sender.try_send_request(message)).await;
        // A connection over which nothing came may be dead without saying so.
        let doubtful = !matches!(sent, Ok(Ok(_)));
        let (answer, _) = call.finish(sent.ok()).await;
        if doubtful {
            self.pool.retire(call.endpoint.origin(), &connection);
        }
        answer
    }
}

/// What stays the same over the connections that one request tries.
struct Call<'a> {
    endpoint: &'a Endpoint,
    timeout: Duration,
    connect_deadline: Instant,
    deadline: Instant,
    capture_limit: usize,
}

enum Answer {
    Ended(Exchange),
    /// The connection was closed before the request was begun; here it is again.
    NotSent(Box<Request<Body>>, hyper::Error),
}

impl Answer {
    /// What came of a request over a kept connection, or the request, for a fresh one.
    fn over_kept(self) -> Result<Exchange, Box<Request<Body>>> {
        match self {
            Answer::Ended(exchange) => Ok(Exchange { reused_connection: true, ..exchange }),
            Answer::NotSent(unsent, _) => Err(unsent),
        }
    }
}

impl Call<'_> {
    /// Reads the answer; `sent` is `None` where its head did not come in time.
    fn finish(&self, sent: Option<Sent>) -> impl Future<Output = (Answer, Afterwards)> + Send {
        let head = self.head(sent);
        let (deadline, limit) = (self.deadline, self.capture_limit);
        async move {
            match head {
                Ok(response) => {
                    let (exchange, afterwards) = exchange::receive(response, deadline, limit).await;
                    (Answer::Ended(exchange), afterwards)
                }
                Err(answer) => (*answer, Afterwards::Spent),
            }
        }
    }

    /// The head of the answer, or what came instead of it.
    fn head(&self, sent: Option<Sent>) -> Result<Response<Incoming>, Box<Answer>> {
        match sent {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut failed)) => Err(Box::new(match failed.take_message() {
                Some(message) => Answer::NotSent(Box::new(message), failed.into_error()),
                None => Answer::Ended(Exchange::broken(failed.error())),
            })),
            None => Err(Box::new(Answer::Ended(Exchange::timed_out(self.timeout)))),
        }
    }
}

/// The request but for what depends on the connection.
fn compose(method: Method, mut headers: HeaderMap, body: Bytes) -> Request<Body> {
    if !headers.contains_key(ACCEPT) {
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    }
    if !headers.contains_key(ACCEPT_ENCODING) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    // An empty body's length is left out otherwise, and some receivers then wait for one.
    if body.is_empty() && method != Method::GET {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    request
}
