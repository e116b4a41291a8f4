//! From an endpoint to a connection, past the guard: name, addresses, judgement, TCP, TLS.
//!
//! Nothing else in the program dials on a customer's behalf. Literals and names take the same way, the address that
//! was judged is the one that is dialled, be it through the operator's proxy, and proxy settings of the environment
//! other than Fanfare's own are never read.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::egress::{Denied, EgressPolicy, Endpoint, Host, Scheme};
use rustix::io::Errno;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dns::{LookupError, Resolver};
use super::proxy::Proxy;
use super::{race, tls};

/// Of a name's addresses, at most so many are tried; all are judged.
const MAX_TRIED_ADDRESSES: usize = 8;

/// A connection that no HTTP has gone over.
pub enum Wire {
    Plain(TcpStream),
    /// `http2` says what both sides agreed to speak.
    Secure {
        stream: Box<TlsStream<TcpStream>>,
        http2: bool,
    },
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectFailure {
    pub outcome: Outcome,
    /// For the customer.
    pub message: String,
    /// For the operator's log only: may name addresses.
    pub detail: Option<String>,
    /// This server had no file descriptor or memory for it: nothing was tried, and the receiver is not to blame.
    pub is_ours: bool,
}

impl ConnectFailure {
    fn new(outcome: Outcome, message: String) -> ConnectFailure {
        ConnectFailure { outcome, message, detail: None, is_ours: false }
    }
}

impl From<Denied> for ConnectFailure {
    fn from(denied: Denied) -> ConnectFailure {
        ConnectFailure {
            outcome: Outcome::Blocked,
            message: denied.to_string(),
            detail: Some(denied.detail().to_owned()),
            is_ours: false,
        }
    }
}

/// Makes connections.
pub struct Connector {
    policy: EgressPolicy,
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
    proxy: Option<Proxy>,
}

impl Connector {
    pub fn new(
        policy: EgressPolicy,
        resolver: Arc<dyn Resolver>,
        tls: Arc<rustls::ClientConfig>,
        proxy: Option<Proxy>,
    ) -> Connector {
        Connector { policy, resolver, tls: TlsConnector::from(tls), proxy }
    }

    /// Connects to the endpoint, with lookup and TLS handshake, by the deadline.
    pub async fn connect(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Wire, ConnectFailure> {
        let addresses = self.judged_addresses(endpoint, deadline).await?;
        let stream = self.dial(endpoint, &addresses, deadline).await?;
        match endpoint.scheme() {
            Scheme::Http => Ok(Wire::Plain(stream)),
            Scheme::Https => self.secure(endpoint, stream, deadline).await,
        }
    }

    /// Judges an endpoint as far as is possible without calling it: what a webhook's URL must pass when it is saved.
    /// A name that cannot be looked up by now passes, since it may be made later; it is judged again at every connect.
    pub async fn vet(&self, endpoint: &Endpoint, deadline: Instant) -> Result<(), Denied> {
        self.policy.judge_endpoint(endpoint)?;
        let Host::Name(name) = endpoint.host() else { return Ok(()) };
        match timeout_at(deadline, self.resolver.lookup(name)).await {
            Ok(Ok(addresses)) => self.judge_all(name, &addresses, endpoint.port()),
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// The addresses that may be dialled for the endpoint. One denied address denies them all: the next lookup might
    /// answer with it alone.
    async fn judged_addresses(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Vec<IpAddr>, ConnectFailure> {
        self.policy.judge_endpoint(endpoint)?;
        let name = match endpoint.host() {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        let looked_up = timeout_at(deadline, self.resolver.lookup(name)).await;
        let addresses = match looked_up.unwrap_or(Err(LookupError::TimedOut)) {
            Ok(addresses) if addresses.is_empty() => Err(LookupError::NotFound),
            other => other,
        };
        let addresses = addresses.map_err(|error| ConnectFailure {
            is_ours: error == LookupError::Shortage,
            ..ConnectFailure::new(Outcome::Dns, format!("Could not find {name}: {error}"))
        })?;
        self.judge_all(name, &addresses, endpoint.port())?;
        Ok(addresses)
    }

    fn judge_all(&self, name: &str, addresses: &[IpAddr], port: u16) -> Result<(), Denied> {
        addresses.iter().try_for_each(|address| self.policy.judge_resolved(name, *address, port))
    }

    /// Tries the judged addresses, each a little after the one before it, until one takes the connection.
    async fn dial(
        &self,
        endpoint: &Endpoint,
        addresses: &[IpAddr],
        deadline: Instant,
    ) -> Result<TcpStream, ConnectFailure> {
        let tried = &addresses[..addresses.len().min(MAX_TRIED_ADDRESSES)];
        let dial = |address| {
            let target = SocketAddr::new(address, endpoint.port());
            async move { self.dial_one(target, deadline).await.map(|stream| (stream, target)) }
        };
        match race::first_connected(tried, deadline, dial).await {
            Ok((stream, target)) => self.check_dialled(stream, target),
            Err(error) => Err(connect_failure(endpoint, &error)),
        }
    }

    async fn dial_one(&self, address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
        match &self.proxy {
            None => TcpStream::connect(address).await,
            Some(proxy) => proxy.connect(&*self.resolver, address, deadline).await,
        }
    }

    /// A connection from an address to itself, on the port of an own listener, is one to this server, by whatever
    /// address of the machine: the policy cannot know them all. Through a proxy the other end is the proxy's, which may be on
    /// this machine; there `target` is compared with the one address of the machine that the connection shows.
    fn check_dialled(&self, stream: TcpStream, target: SocketAddr) -> Result<TcpStream, ConnectFailure> {
        if self.policy.is_own_port(target.port())
            && let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr())
            && local.ip().to_canonical() == self.proxy.as_ref().map_or(peer, |_| target).ip().to_canonical()
        {
            return Err(ConnectFailure {
                outcome: Outcome::Blocked,
                message: fanfare_engine::egress::BLOCKED.to_owned(),
                detail: Some(format!("{target} is this server's own listener")),
                is_ours: false,
            });
        }
        // Without it the second half of a request may wait for the acknowledgement of the first. A socket that has
        // just been closed refuses the option, and says so at the first write too.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// The TLS handshake, with the name that the URL has.
    async fn secure(&self, endpoint: &Endpoint, stream: TcpStream, deadline: Instant) -> Result<Wire, ConnectFailure> {
        let failure = |reason: &str| {
            ConnectFailure::new(Outcome::Tls, format!("No secure connection with {}: {reason}", endpoint.authority()))
        };
        let name = match endpoint.host() {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| failure("its name cannot be verified by a certificate"))?,
        };
        match timeout_at(deadline, self.tls.connect(name, stream)).await {
            Ok(Ok(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(tls::ALPN_HTTP2);
                Ok(Wire::Secure { stream: Box::new(stream), http2 })
            }
            Ok(Err(error)) => Err(match tls::find_tls_error(&error) {
                Some(error) => failure(&tls::describe(error)),
                None => failure("the receiver closed the connection during the TLS handshake"),
            }),
            Err(_) => Err(failure("the TLS handshake took too long")),
        }
    }
}

fn connect_failure(endpoint: &Endpoint, error: &io::Error) -> ConnectFailure {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "no answer in time",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "the network or host cannot be reached",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "the connection was reset",
        _ => "no connection could be made",
    };
    let message = format!("Could not connect to {}: {reason}", endpoint.authority());
    let is_ours = shortage(error).is_some();
    ConnectFailure { outcome: Outcome::Connect, message, detail: Some(error.to_string()), is_ours }
}

/// Which lack of this machine an error comes from, if it does.
pub(super) fn shortage(error: &(dyn Error + 'static)) -> Option<Errno> {
    const SHORTAGES: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let mut numbers = causes.filter_map(|cause| Errno::from_io_error(cause.downcast_ref::<io::Error>()?));
    numbers.find(|number| SHORTAGES.contains(number))
}

/// How long a name may be looked up when a webhook is saved.
pub const VET_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use fanfare_engine::egress::parse_endpoint;

    use super::*;

    #[test]
    fn a_lack_of_descriptors_is_not_the_receivers_fault() {
        let endpoint = parse_endpoint("http://example.com/", &[Scheme::Http]).unwrap();
        for (error, is_ours) in [
            (io::Error::from(Errno::MFILE), true),
            (io::Error::from(Errno::NFILE), true),
            (io::Error::from(Errno::CONNREFUSED), false),
            (io::ErrorKind::TimedOut.into(), false),
        ] {
            assert_eq!(connect_failure(&endpoint, &error).is_ours, is_ours, "{error}");
        }
    }
}
