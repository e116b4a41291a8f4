//! The proxy that requests go out through, where the operator has one: a tunnel to an address that was judged before.
//!
//! The proxy is asked for the address and not for the name, so that what it connects to is what the guard has judged.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::{ServiceExt as _, service_fn};
use url::{Host, Url};

use super::connector::shortage;
use super::dns::{LookupError, Resolver};
use super::race;

/// The port of a proxy whose URL names none.
const DEFAULT_PORT: u16 = 3128;

/// See the module.
#[derive(Clone, Debug)]
pub struct Proxy {
    host: Host<String>,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Reads `http://host:port`, with a user name and password if the proxy wants them.
    ///
    /// # Errors
    /// What is wrong with it; for people.
    pub fn parse(text: &str) -> Result<Proxy, &'static str> {
        const FORM: &str = "must be a URL such as http://proxy.example.com:3128";
        let url = Url::parse(text).map_err(|_| FORM)?;
        let host = url.host().ok_or(FORM)?.to_owned();
        if url.scheme() != "http" || !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(FORM);
        }
        let authorization = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some(authorization(user, password.unwrap_or_default())?),
        };
        Ok(Proxy { host, port: url.port().unwrap_or(DEFAULT_PORT), authorization })
    }

    /// Opens a tunnel to `address` by the deadline. The proxy itself is the operator's, and is not judged.
    pub(super) async fn connect(
        &self,
        resolver: &dyn Resolver,
        address: SocketAddr,
        deadline: Instant,
    ) -> io::Result<TcpStream> {
        let proxies = self.addresses(resolver).await.map_err(|error| match error {
            LookupError::Shortage => Errno::MFILE.into(),
            error => failed(&error),
        })?;
        let port = self.port;
        let dial = service_fn(move |_: Uri| {
            let proxies = proxies.clone();
            async move {
                let connect = |proxy| TcpStream::connect(SocketAddr::new(proxy, port));
                race::first_connected(&proxies, deadline, connect).await.map(TokioIo::new)
            }
        });
        let mut tunnel = Tunnel::new(Uri::from_static("http://proxy"), dial);
        if let Some(authorization) = &self.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let target = format!("http://{address}").parse::<Uri>().map_err(|error| failed(&error))?;
        let tunnelled = tunnel.oneshot(target).await.map_err(|error| failed(&error))?;
        Ok(tunnelled.into_inner())
    }

    async fn addresses(&self, resolver: &dyn Resolver) -> Result<Vec<IpAddr>, LookupError> {
        match &self.host {
            Host::Domain(name) => resolver.lookup(name).await,
            Host::Ipv4(address) => Ok(vec![IpAddr::V4(*address)]),
            Host::Ipv6(address) => Ok(vec![IpAddr::V6(*address)]),
        }
    }
}

/// An error on the way through the proxy; one that is no fault of the proxy's or the receiver's stays what it is.
fn failed(error: &(dyn Error + 'static)) -> io::Error {
    match shortage(error) {
        Some(errno) => errno.into(),
        None => io::Error::other(format!("by the proxy: {error}")),
    }
}

fn authorization(user: &str, password: &str) -> Result<HeaderValue, &'static str> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    let text = format!("Basic {}", BASE64.encode(format!("{}:{}", decoded(user), decoded(password))));
    let mut value = HeaderValue::try_from(text).map_err(|_| "has a user name or password that cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use tower::Service as _;

    use super::*;

    #[tokio::test]
    async fn a_lack_of_descriptors_is_not_the_proxys_fault() {
        let dial = service_fn(async |_: Uri| Err::<TokioIo<TcpStream>, _>(io::Error::from(Errno::MFILE)));
        let mut tunnel = Tunnel::new(Uri::from_static("http://proxy"), dial);
        let error = tunnel.call(Uri::from_static("http://192.0.2.1:80")).await.unwrap_err();
        assert_eq!(Errno::from_io_error(&failed(&error)), Some(Errno::MFILE));
    }

    #[test]
    fn a_proxy_is_a_plain_url() {
        let proxy = Proxy::parse("http://us%65r:p%40ss@proxy.example.com").unwrap();
        assert_eq!((proxy.host.to_string().as_str(), proxy.port), ("proxy.example.com", DEFAULT_PORT));
        assert_eq!(proxy.authorization.unwrap(), format!("Basic {}", BASE64.encode("user:p@ss")));
        assert!(Proxy::parse("http://[::1]:8080/").unwrap().authorization.is_none());
        for bad in ["proxy:3128", "https://proxy", "http://", "http://proxy/path", "socks5://proxy"] {
            assert!(Proxy::parse(bad).is_err(), "{bad}");
        }
    }
}
