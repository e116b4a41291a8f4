//! A client for a test, and a resolver that answers as the test says.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use fanfare::delivery::dns::{Lookup, LookupError, Resolver};
use fanfare::delivery::exchange::Exchange;
use fanfare::delivery::http::{ClientConfig, HttpClient, OutgoingRequest, PoolLimits};
use fanfare::delivery::proxy::Proxy;
use fanfare_engine::attempt::Outcome;
use fanfare_engine::egress::{Endpoint, Scheme, parse_endpoint};
use fanfare_engine::spelling::Spelling;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use parking_lot::Mutex;

/// Far longer than any exchange takes that is not meant to time out.
pub(super) const PATIENT: Duration = Duration::from_secs(20);
/// Short enough for a test to wait for.
pub(super) const BRIEF: Duration = Duration::from_millis(250);
pub(super) const CAPTURE_LIMIT: usize = 64 * 1024;
/// The name that the receivers' certificates are for.
pub(super) const NAME: &str = "receiver.test";

/// What a name resolves to.
#[derive(Clone)]
pub(super) enum Answer {
    Addresses(Vec<IpAddr>),
    Fails(LookupError),
    Hangs,
}

/// Answers from a table that the test can change.
#[derive(Default)]
pub(super) struct Table {
    answers: Mutex<HashMap<String, Answer>>,
    lookups: AtomicUsize,
}

impl Table {
    pub(super) fn set(&self, name: &str, answer: Answer) {
        self.answers.lock().insert(name.to_owned(), answer);
    }

    pub(super) fn lookups(&self) -> usize {
        self.lookups.load(Ordering::SeqCst)
    }
}

impl Resolver for Table {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.lock().get(name).cloned();
        Box::pin(async move {
            match answer.unwrap_or(Answer::Fails(LookupError::NotFound)) {
                Answer::Addresses(addresses) => Ok(addresses),
                Answer::Fails(error) => Err(error),
                Answer::Hangs => std::future::pending().await,
            }
        })
    }
}

pub(super) struct Setup {
    pub(super) allow: &'static str,
    pub(super) own_listeners: Vec<SocketAddr>,
    pub(super) extra_roots: Option<String>,
    pub(super) proxy: Option<Proxy>,
    pub(super) pool: PoolLimits,
    pub(super) resolver: Arc<Table>,
}

impl Default for Setup {
    fn default() -> Setup {
        let resolver = Arc::new(Table::default());
        resolver.set(NAME, Answer::Addresses(vec![Ipv4Addr::LOCALHOST.into()]));
        Setup {
            allow: "127.0.0.0/8,::1",
            own_listeners: Vec::new(),
            extra_roots: None,
            proxy: None,
            pool: PoolLimits::default(),
            resolver,
        }
    }
}

impl Setup {
    pub(super) fn client(self) -> HttpClient {
        HttpClient::new(ClientConfig {
            egress: self
                .allow
                .parse::<fanfare_engine::egress::EgressPolicy>()
                .unwrap()
                .with_own_listeners(self.own_listeners),
            resolver: self.resolver,
            extra_roots: self.extra_roots.map(String::into_bytes),
            proxy: self.proxy,
            pool: self.pool,
        })
        .unwrap()
    }
}

pub(super) fn client() -> HttpClient {
    Setup::default().client()
}

pub(super) fn endpoint(url: &str) -> Endpoint {
    parse_endpoint(url, &[Scheme::Http, Scheme::Https]).unwrap()
}

static USUAL: LazyLock<Spelling> = LazyLock::new(Spelling::default);

/// A request as a delivery would have it, with all the time in the world.
pub(super) fn request(endpoint: &Endpoint) -> OutgoingRequest<'_> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    OutgoingRequest {
        endpoint,
        method: Method::POST,
        headers,
        spelling: &USUAL,
        body: Bytes::from_static(b"{\"n\":1}"),
        connect_timeout: PATIENT,
        timeout: PATIENT,
        capture_limit: CAPTURE_LIMIT,
        headers_again: &HeaderMap::new,
        at_most_once: false,
    }
}

pub(super) async fn post(client: &HttpClient, url: &str) -> Exchange {
    client.send(request(&endpoint(url))).await
}

/// Sends with a whole-exchange timeout that is meant to end.
pub(super) async fn post_briefly(client: &HttpClient, url: &str) -> Exchange {
    let exchange = client.send(OutgoingRequest { timeout: BRIEF, ..request(&endpoint(url)) }).await;
    assert!(exchange.duration < PATIENT / 2, "{exchange:?}");
    exchange
}

#[track_caller]
pub(super) fn assert_outcome(exchange: &Exchange, outcome: Outcome) {
    assert_eq!(exchange.outcome, outcome, "{exchange:?}");
    assert_eq!(exchange.error.is_none(), outcome == Outcome::Success, "{exchange:?}");
}

#[track_caller]
pub(super) fn assert_error_says(exchange: &Exchange, part: &str) {
    let error = exchange.error.as_deref().unwrap_or_default();
    assert!(error.contains(part), "{part:?} is not in {error:?}");
    assert!(!error.contains("127.0.0.1:") || part.contains("127.0.0.1"), "an address in {error:?}");
}

/// The answer's status and body, which must be there.
#[track_caller]
pub(super) fn answer(exchange: &Exchange) -> (u16, &[u8]) {
    let response = exchange.response.as_ref().unwrap_or_else(|| panic!("no response: {exchange:?}"));
    (response.status, &response.body)
}
