//! Who sends a request to the server, as far as its address tells, and which proxies are believed about it.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// How many networks of proxies may be named.
const MAX_NETWORKS: usize = 100;
/// How many addresses that proxies named are looked through, from the nearest one on.
const MAX_HOPS: usize = 32;

/// The sender of a request: an IPv4 address, or the /64 network of an IPv6 address, of which one host can use every address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(IpAddr);

impl Caller {
    /// Returns the caller at an address.
    pub fn at(address: IpAddr) -> Caller {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Caller(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            v4 @ IpAddr::V4(_) => Caller(v4),
        }
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

/// The networks of proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// What is wrong with a list of proxies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxiesError {
    #[error("{0:?} is no network; write one such as 10.0.0.0/8, or an address")]
    Network(String),
    #[error("it has more than {MAX_NETWORKS} networks")]
    TooMany,
}

/// Reads networks and addresses with commas between. An empty text trusts nobody.
impl FromStr for TrustedProxies {
    type Err = ProxiesError;

    fn from_str(text: &str) -> Result<Self, ProxiesError> {
        let entries: Vec<&str> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
        if entries.len() > MAX_NETWORKS {
            return Err(ProxiesError::TooMany);
        }
        let network = |entry: &str| {
            let found = entry.parse::<IpNet>().ok().or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from));
            found.ok_or_else(|| ProxiesError::Network(entry.to_owned()))
        };
        entries.into_iter().map(network).collect::<Result<_, _>>().map(TrustedProxies)
    }
}

impl TrustedProxies {
    /// Whether requests from this address come through a proxy that is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns who sent a request that came from `peer` with these values of `X-Forwarded-For`, in their order. Each proxy adds
    /// the address that it got the request from, so the first one from the right that is no trusted proxy is the caller; what
    /// stands before it may be made up.
    pub fn caller<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a str>) -> Caller {
        let mut nearest = peer;
        for named in forwarded.rev().flat_map(|value| value.rsplit(',')).take(MAX_HOPS) {
            let Some(address) = self.trusts(nearest).then(|| address(named)).flatten() else { break };
            nearest = address;
        }
        Caller::at(nearest)
    }
}

/// An address as proxies write it: some add the port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn caller(trusted: &str, peer: &str, forwarded: &[&str]) -> Caller {
        trusted.parse::<TrustedProxies>().unwrap().caller(ip(peer), forwarded.iter().copied())
    }

    #[test]
    fn an_ipv6_network_is_one_caller() {
        assert_eq!(Caller::at(ip("2001:db8::1")), Caller::at(ip("2001:db8::ffff:1")));
        assert_ne!(Caller::at(ip("2001:db8::1")), Caller::at(ip("2001:db8:0:1::1")));
        assert_eq!(Caller::at(ip("::ffff:192.0.2.1")), Caller::at(ip("192.0.2.1")));
        assert_ne!(Caller::at(ip("192.0.2.1")), Caller::at(ip("192.0.2.2")));
        assert_eq!(Caller::at(ip("2001:db8::7")).to_string(), "2001:db8::/64");
    }

    #[test]
    fn case_092_only_trusted_proxies_are_believed() {
        let at = |text| Caller::at(ip(text));
        assert_eq!(caller("", "10.0.0.1", &["192.0.2.1"]), at("10.0.0.1"));
        assert_eq!(caller("10.0.0.0/8", "10.0.0.1", &["192.0.2.1"]), at("192.0.2.1"));
        assert_eq!(caller("10.0.0.0/8", "203.0.113.5", &["192.0.2.1"]), at("203.0.113.5"));
        // The client wrote the first one itself.
        assert_eq!(caller("10.0.0.0/8", "10.0.0.1", &["192.0.2.9, 192.0.2.1", " 10.0.0.2:4000"]), at("192.0.2.1"));
        assert_eq!(caller("::1", "::1", &["[2001:db8::1]:80"]), at("2001:db8::"));
        assert_eq!(caller("10.0.0.1", "10.0.0.1", &["unknown"]), at("10.0.0.1"));
        assert_eq!(caller("10.0.0.1", "::ffff:10.0.0.1", &[]), at("10.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["proxy.example.com", "10.0.0.0/33", "10.0.0.1,x"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
        assert_eq!(vec!["10.0.0.1"; 101].join(",").parse::<TrustedProxies>(), Err(ProxiesError::TooMany));
    }

    proptest! {
        #[test]
        fn what_a_client_writes_changes_nothing(made_up in "[ -~]{0,60}", peer in any::<[u8; 4]>()) {
            let trusted: TrustedProxies = "10.0.0.0/8".parse().unwrap();
            let forwarded = format!("{made_up},192.0.2.7");
            prop_assert_eq!(trusted.caller(ip("10.0.0.1"), [forwarded.as_str()].into_iter()), Caller::at(ip("192.0.2.7")));
            let peer = IpAddr::from(peer);
            if !trusted.trusts(peer) {
                prop_assert_eq!(trusted.caller(peer, [made_up.as_str()].into_iter()), Caller::at(peer));
            }
        }
    }
}
