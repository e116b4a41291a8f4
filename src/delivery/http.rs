//! The HTTP client: sends a request to an endpoint and reports how it went.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_engine::egress::{Denied, EgressPolicy, Endpoint};
use fanfare_engine::spelling::Spelling;
use hyper::Method;
use hyper::header::HeaderMap;
use hyper::http::response::Parts;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{self, Http1, Opened};
use super::connector::{Connector, VET_TIMEOUT};
use super::dns::Resolver;
use super::exchange::{self, AnswerBody, Broken, Exchange, Resent, Rest};
use super::http2::{self, Http2, Stream};
use super::message::Message;
use super::pool::{Pool, Reused, Wish};
use super::proxy::Proxy;
use super::tail::{Answered, Carrier, Tail};
use super::tls::{self, TlsSetupError};

pub use super::pool::PoolLimits;

/// For how long a response's body is waited for after its head, before the outcome counts without the rest.
const BODY_PATIENCE: Duration = Duration::from_millis(100);
/// How often a request goes out again within one attempt where the receiver refuses it unprocessed.
const MAX_RESENDS: u32 = 3;

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
    /// Makes the same headers again, in case that the request goes out again: few do, and copies for all would cost much.
    pub headers_again: &'a (dyn Fn() -> HeaderMap + Sync),
    /// How their names are written over HTTP/1.1.
    pub spelling: &'a Spelling,
    pub body: Bytes,
    /// For lookup, TCP and TLS together; no longer than `timeout`.
    pub connect_timeout: Duration,
    /// For the whole exchange: connecting, sending, and the answer. While the receiver allows no stream for
    /// the request it doesn't run; that wait has the same limit.
    pub timeout: Duration,
    /// How many bytes of the answer's body are kept. When more come, reading stops and the connection is closed.
    pub capture_limit: usize,
    /// The receiver may get the request once only. It then goes over no connection that has been idle, and goes out again
    /// only where the receiver says that it has not processed it.
    pub at_most_once: bool,
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

    /// Sends a request as [`HttpClient::start`] does, and reads the body of the answer until the timeout.
    pub async fn send(&self, request: OutgoingRequest<'_>) -> Exchange {
        let started = Instant::now();
        let (mut exchange, tail) = self.start(request).await;
        if let Some(tail) = tail {
            let deadline = tail.deadline();
            let full = tail.read(deadline).await;
            exchange.body_incomplete = full.is_unfinished();
            if let Some(response) = &mut exchange.response {
                (response.truncated, response.body) = (full.is_truncated(), full.body);
            }
            exchange.duration = started.elapsed();
        }
        exchange
    }

    /// Sends a request. It goes out again, on another connection, where the receiver cannot have processed it: a kept
    /// connection turned out to be closed before a byte went out, or the receiver refused it. Where it may arrive twice, it
    /// also does so once if a kept connection ends before anything of the answer has come. Whatever else happens is the
    /// outcome, and the head of an answer decides it. Where its body isn't complete soon after, the rest is in the tail.
    // Not `async fn`: that keeps each argument twice, in memory that every request in flight holds.
    pub fn start<'a>(
        &'a self,
        request: OutgoingRequest<'a>,
    ) -> impl Future<Output = (Exchange, Option<Box<Tail>>)> + Send + 'a {
        let started = Instant::now();
        let mut call = Call {
            endpoint: request.endpoint,
            method: request.method.clone(),
            headers_again: request.headers_again,
            body: request.body.clone(),
            spelling: request.spelling,
            timeout: request.timeout,
            connect_timeout: request.connect_timeout,
            deadline: started + request.timeout,
            waited: Duration::ZERO,
            capture_limit: request.capture_limit,
            at_most_once: request.at_most_once,
        };
        let message = Message::new(request.method, request.headers, request.body);
        async move {
            let wish = if call.at_most_once { Wish::InUse } else { Wish::Any };
            let tried = match self.pool.take(call.endpoint.origin(), wish) {
                Some(Reused::Http1(connection)) => self.over_http1(connection, message, &call, Origin::Kept).await,
                Some(Reused::Http2(connection)) => {
                    Box::pin(self.over_http2(connection, message, &mut call, Origin::Kept)).await
                }
                None => Err(Box::new(Again { message: Some(message), resent: None, failure: None })),
            };
            // Boxed, since few requests need it and all would hold it.
            let mut answered = match tried {
                Ok(mut answered) => {
                    answered.exchange.reused_connection = true;
                    answered
                }
                Err(again) => Box::pin(self.over_new(*again, &mut call)).await,
            };
            answered.exchange.duration = started.elapsed().saturating_sub(call.waited);
            (answered.exchange, answered.tail)
        }
    }

    /// Sends a request over new connections until there is an outcome.
    async fn over_new(&self, mut again: Again, call: &mut Call<'_>) -> Answered {
        for _ in 0..=MAX_RESENDS {
            let resent = again.resent;
            let tried = match self.open(call).await {
                Ok(Opened::Http1(connection)) => {
                    let message = again.message.unwrap_or_else(|| call.message());
                    self.over_http1(connection, message, call, Origin::New).await
                }
                Ok(Opened::Http2(connection)) => {
                    let connection = Arc::new(connection);
                    self.pool.share(call.endpoint.origin(), &connection);
                    let message = again.message.unwrap_or_else(|| call.message());
                    self.over_http2(connection, message, call, Origin::New).await
                }
                Err(failed) => Ok(failed.into()),
            };
            again = match tried {
                Ok(mut answered) => {
                    answered.exchange.resent = resent;
                    return answered;
                }
                Err(next) => Again { resent: next.resent.or(resent), ..*next },
            };
        }
        let failed = again.failure.as_ref().map_or_else(|| Exchange::timed_out(call.timeout), Exchange::broken);
        Exchange { resent: again.resent, ..failed }.into()
    }

    async fn open(&self, call: &Call<'_>) -> Result<Opened, Exchange> {
        let deadline = (Instant::now() + call.connect_timeout).min(call.deadline);
        let wire = self.connector.connect(call.endpoint, deadline).await?;
        if call.at_most_once {
            connection::close_at_once(&wire);
        }
        connection::open(wire).await.map_err(|error| Exchange::broken(&error))
    }

    fn over_http1<'a>(
        &'a self,
        mut connection: Http1,
        message: Message,
        call: &'a Call<'a>,
        origin: Origin,
    ) -> impl Future<Output = Tried> + Send + 'a {
        let may_repeat = origin == Origin::Kept && !call.at_most_once;
        connection.traffic.begin(call.spelling);
        let sending = connection.sender.try_send_request(message.into_http1(call.endpoint));
        async move {
            let mut failed = match timeout_at(call.deadline, sending).await {
                Ok(Ok(response)) => {
                    connection.traffic.answered();
                    let (head, body) = response.into_parts();
                    let (exchange, rest) = call.receive(head, AnswerBody::Http1(body)).await;
                    // What may arrive once only uses no idle connection, and leaves none.
                    let carrier = Carrier::Http1 { connection, keep: !call.at_most_once };
                    return Ok(self.answered(exchange, rest, carrier, call));
                }
                Ok(Err(failed)) => failed,
                Err(_) => return Ok(Exchange::timed_out(call.timeout).into()),
            };
            let unsent = failed.take_message().filter(|_| origin == Origin::Kept);
            let failure = Broken::from(failed.into_error());
            match unsent {
                Some(unsent) => Err(Again::unsent(Some(Message::from_http1(unsent)), failure)),
                None if may_repeat && failure.is_closed_connection() && !connection.traffic.has_received() => {
                    Err(Again::resent(Resent::Closed, failure))
                }
                None => Ok(Exchange::broken(&failure).into()),
            }
        }
    }

    async fn over_http2(&self, connection: Arc<Http2>, message: Message, call: &mut Call<'_>, origin: Origin) -> Tried {
        let lost = match connection.begin(message, call.endpoint.absolute()) {
            Ok(stream) => match call.over_stream(stream).await {
                Ok((exchange, rest)) => {
                    let exchange = Exchange { streams_allowed: connection.announced_limit(), ..exchange };
                    return Ok(self.answered(exchange, rest, Carrier::Http2 { _connection: connection }, call));
                }
                Err(lost) => lost,
            },
            Err(error) if http2::is_connection_error(&error) => Lost::Unsent(error),
            Err(error) => Lost::Broken(error),
        };
        // The receiver is closing it, or it may be dead without saying so.
        self.pool.retire(call.endpoint.origin(), &connection);
        let may_repeat = origin == Origin::Kept && !call.at_most_once;
        match lost {
            Lost::TimedOut => Ok(Exchange::timed_out(call.timeout).into()),
            Lost::NotAllowed => Ok(Exchange::not_allowed(call.timeout).into()),
            Lost::Unsent(error) => Err(Again::unsent(None, error.into())),
            Lost::Broken(error) if http2::is_unprocessed(&error) => Err(Again::resent(Resent::Refused, error.into())),
            Lost::Broken(error) => {
                let failure = Broken::from(error);
                match may_repeat && failure.is_closed_connection() {
                    true => Err(Again::resent(Resent::Closed, failure)),
                    false => Ok(Exchange::broken(&failure).into()),
                }
            }
        }
    }

    /// What has come so far, with what is still to come; a connection that may take the next request is kept.
    fn answered(&self, exchange: Exchange, rest: Rest, carrier: Carrier, call: &Call<'_>) -> Answered {
        let origin = call.endpoint.origin();
        let tail = match rest {
            Rest::Reusable { offered } => {
                carrier.keep(&self.pool, origin, offered);
                None
            }
            Rest::Spent => None,
            Rest::Body(reading) => {
                Some(Box::new(Tail::new(*reading, carrier, self.pool.clone(), origin, call.deadline)))
            }
        };
        Answered { exchange, tail }
    }
}

/// What stays the same over the connections that one request tries.
struct Call<'a> {
    endpoint: &'a Endpoint,
    method: Method,
    headers_again: &'a (dyn Fn() -> HeaderMap + Sync),
    body: Bytes,
    spelling: &'a Spelling,
    timeout: Duration,
    connect_timeout: Duration,
    deadline: Instant,
    /// For how long the receiver has allowed no stream for it. The deadline is that much later.
    waited: Duration,
    capture_limit: usize,
    at_most_once: bool,
}

impl Call<'_> {
    /// The request once more.
    fn message(&self) -> Message {
        Message::new(self.method.clone(), (self.headers_again)(), self.body.clone())
    }

    fn receive(&self, head: Parts, body: AnswerBody) -> impl Future<Output = (Exchange, Rest)> + Send + use<> {
        let until = self.deadline.min(Instant::now() + BODY_PATIENCE);
        exchange::receive(head, body, until, self.capture_limit)
    }

    /// Waits until the receiver allows the stream, and for its answer.
    async fn over_stream(&mut self, mut stream: Stream) -> Result<(Exchange, Rest), Lost> {
        let queued = Instant::now();
        let allowed = timeout(self.timeout.saturating_sub(self.waited), stream.allowed()).await;
        let waited = queued.elapsed();
        self.waited += waited;
        self.deadline += waited;
        if allowed.is_err() {
            return Err(Lost::NotAllowed);
        }
        let response = timeout_at(self.deadline, stream.response()).await.map_err(|_| Lost::TimedOut)?;
        let (head, body) = response.map_err(Lost::Broken)?.into_parts();
        Ok(self.receive(head, AnswerBody::Http2(body)).await)
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    New,
    /// An earlier request opened it.
    Kept,
}

/// Why there is no answer over an HTTP/2 connection.
enum Lost {
    Unsent(h2::Error),
    /// The receiver allowed no stream.
    NotAllowed,
    TimedOut,
    Broken(h2::Error),
}

/// What came of a request over one connection: its outcome, or the request, to go out again.
type Tried = Result<Answered, Box<Again>>;

/// A request to go out again.
struct Again {
    /// `None` where it is to be made again.
    message: Option<Message>,
    /// `None` where nothing of it was sent.
    resent: Option<Resent>,
    /// How it failed, if anything was tried.
    failure: Option<Broken>,
}

impl Again {
    fn unsent(message: Option<Message>, failure: Broken) -> Box<Again> {
        Box::new(Again { message, resent: None, failure: Some(failure) })
    }

    fn resent(why: Resent, failure: Broken) -> Box<Again> {
        Box::new(Again { message: None, resent: Some(why), failure: Some(failure) })
    }
}
