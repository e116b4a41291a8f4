//! The operator's decision: what may be dialled though private, and the judgement of one address or name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use super::address;
use super::endpoint::{Endpoint, Host};
use super::ports;

/// All that a customer is told about an address that may not be dialled. It is the same text whatever the reason, so
/// that answers cannot be used to map the operator's network.
pub const BLOCKED: &str = "blocked: this address may not be called; use a public host name and a usual web port";

/// At most this many entries may stand in an allow list.
const MAX_ALLOW_ENTRIES: usize = 1_000;

/// Names that only mean something inside a network, with all that ends in them. `invalid` and `onion` are not among them: no
/// network has them, and the resolver says so without asking anyone.
const PRIVATE_SUFFIXES: &[&str] =
    &["localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa"];

/// An address, name or port that may not be dialled.
///
/// Displayed it is the uniform text for customers; [`Denied::detail`] is for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    detail: String,
    allow: Option<String>,
}

impl Denied {
    fn because(detail: impl Into<String>) -> Denied {
        Denied { detail: detail.into(), allow: None }
    }

    /// As [`Denied::because`], but the operator can allow it by this entry in the list.
    fn unless(allow: impl Into<String>, detail: impl Into<String>) -> Denied {
        Denied { detail: detail.into(), allow: Some(allow.into()) }
    }

    /// The entry of the operator's list that would allow it; `None` where nothing does.
    pub fn allow(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// The reason with the address that was judged: never shown to a customer.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BLOCKED)
    }
}

impl std::error::Error for Denied {}

/// What is wrong with an entry of the operator's allow list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    #[error(
        "\"{entry}\" in the list of allowed networks is {problem}; write a network such as 10.0.0.0/8, an address, or a host name such as localhost or *.svc.example.internal"
    )]
    Entry { entry: String, problem: &'static str },
    #[error("the list of allowed networks has more than {MAX_ALLOW_ENTRIES} entries")]
    TooMany,
}

/// Which addresses may be dialled: the public internet, and what the operator allows beside it.
///
/// Cloud metadata addresses and the ports of other services are refused even where a network is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    networks: Vec<IpNet>,
    names: Vec<String>,
    /// From `*.suffix`: names that end in `.suffix`.
    suffixes: Vec<String>,
    own_listeners: Vec<SocketAddr>,
}

impl EgressPolicy {
    /// The policy with the sockets that this server listens on: they are never dialled. A listener on the unspecified
    /// address counts as one on every address of the machine that the policy can know, the loopback addresses.
    pub fn with_own_listeners(mut self, listeners: impl IntoIterator<Item = SocketAddr>) -> EgressPolicy {
        self.own_listeners.extend(listeners);
        self
    }

    /// Whether one of this server's own sockets listens on the port.
    pub fn is_own_port(&self, port: u16) -> bool {
        self.own_listeners.iter().any(|listener| listener.port() == port)
    }

    /// Judges what a URL says by itself: its port, and its host as far as no lookup is needed.
    pub fn judge_endpoint(&self, endpoint: &Endpoint) -> Result<(), Denied> {
        match endpoint.host() {
            Host::Address(address) => self.judge_address(*address, endpoint.port()),
            Host::Name(name) => {
                judge_port(endpoint.port())?;
                self.judge_name(name)
            }
        }
    }

    /// Judges an address that stands in a URL, or that a name stands for which the operator did not allow.
    pub fn judge_address(&self, address: IpAddr, port: u16) -> Result<(), Denied> {
        self.judge(address, port, false)
    }

    /// Judges one of the addresses that a name was resolved to. Where one is denied, none may be dialled.
    pub fn judge_resolved(&self, name: &str, address: IpAddr, port: u16) -> Result<(), Denied> {
        self.judge(address, port, self.allows_name(name))
    }

    fn judge(&self, address: IpAddr, port: u16, allowed_by_name: bool) -> Result<(), Denied> {
        judge_port(port)?;
        if address::is_metadata(address) {
            return Err(Denied::because(format!("{address} is a cloud metadata address")));
        }
        if self.is_own_listener(address, port) {
            return Err(Denied::because(format!("{address}:{port} is this server's own listener")));
        }
        match address::reserved(address) {
            Some(purpose) if !allowed_by_name && !self.allows_address(address) => {
                Err(Denied::unless(address.to_string(), format!("{address} is not public ({purpose}) and not allowed")))
            }
            _ => Ok(()),
        }
    }

    fn judge_name(&self, name: &str) -> Result<(), Denied> {
        if !is_private_name(name) || self.allows_name(name) {
            return Ok(());
        }
        Err(Denied::unless(name, format!("{name} is a name of private networks and not allowed")))
    }

    fn allows_name(&self, name: &str) -> bool {
        let below = |suffix: &String| name.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.'));
        self.names.iter().any(|allowed| allowed == name) || self.suffixes.iter().any(below)
    }

    /// Whether an entry of the list allows an address that isn't public. An IPv6 address that stands for an IPv4 address needs
    /// an entry for that one too, or else `::/0` would open every private IPv4 network; naming the one address is enough.
    fn allows_address(&self, address: IpAddr) -> bool {
        let IpAddr::V6(v6) = address else { return self.covers(address) };
        if self.networks.contains(&address.into()) || address::nat64(v6).is_some_and(|v4| self.covers(v4.into())) {
            return true;
        }
        let allowed = |v4: Ipv4Addr| address::reserved(v4.into()).is_none() || self.covers(v4.into());
        self.covers(address) && address::reachable_v4(v6).all(allowed)
    }

    fn covers(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    fn is_own_listener(&self, address: IpAddr, port: u16) -> bool {
        let is_own = |address: IpAddr| {
            let local = address.is_loopback() || address.is_unspecified();
            self.own_listeners.iter().any(|own| own.port() == port && (local || own.ip().to_canonical() == address))
        };
        match address {
            IpAddr::V4(_) => is_own(address),
            IpAddr::V6(v6) => is_own(address) || address::reachable_v4(v6).any(|v4| is_own(v4.into())),
        }
    }
}

fn judge_port(port: u16) -> Result<(), Denied> {
    if ports::is_denied(port) {
        return Err(Denied::because(format!("port {port} belongs to another service than the web")));
    }
    Ok(())
}

/// Whether a canonical host name (lower case, no final dot) cannot be one of the public internet.
fn is_private_name(name: &str) -> bool {
    let ends_in = |suffix: &&str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || PRIVATE_SUFFIXES.iter().any(ends_in)
}

/// Reads the operator's list: networks, addresses and host names, with commas between. An empty text allows nothing.
impl FromStr for EgressPolicy {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<EgressPolicy, AllowError> {
        let mut policy = EgressPolicy::default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (index, entry) in entries.enumerate() {
            if index == MAX_ALLOW_ENTRIES {
                return Err(AllowError::TooMany);
            }
            policy.allow(entry)?;
        }
        Ok(policy)
    }
}

impl EgressPolicy {
    fn allow(&mut self, entry: &str) -> Result<(), AllowError> {
        let wrong = |problem| AllowError::Entry { entry: entry.to_owned(), problem };
        if let Ok(network) = entry.parse::<IpNet>() {
            if network.trunc() != network {
                return Err(wrong("an address with a prefix length, where bits beyond the prefix are set"));
            }
            self.networks.push(network);
        } else if let Ok(address) = entry.parse::<IpAddr>() {
            self.networks.push(address.into());
        } else if entry.contains('/') {
            return Err(wrong("not a network"));
        } else {
            let (wildcard, name) = match entry.strip_prefix("*.") {
                Some(rest) => (true, rest),
                None => (false, entry),
            };
            let name = canonical_name(name).ok_or_else(|| wrong("neither a network nor a host name"))?;
            if wildcard { self.suffixes.push(name) } else { self.names.push(name) }
        }
        Ok(())
    }
}

/// The form in which names are compared: as in an [`Endpoint`].
fn canonical_name(name: &str) -> Option<String> {
    if name.contains(['*', ':', '[', '%', '@']) {
        return None;
    }
    match url::Host::parse(name).ok()? {
        url::Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            (!name.is_empty() && !name.split('.').any(str::is_empty)).then(|| name.to_owned())
        }
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}
