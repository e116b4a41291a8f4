//! A webhook's URL, checked and taken apart once, so that sending needs no parsing.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderValue, Uri, uri::PathAndQuery};
use url::{ParseError, Position, Url};

/// At most this many bytes may a URL have.
pub const MAX_URL_BYTES: usize = 2_048;

/// At most this many bytes may a host name have, and each part of it.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Who is called: a name still to be looked up, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// In lower case and punycode, without a final dot.
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(address) => address.fmt(f),
        }
    }
}

/// Where requests go. It has been read from a URL in canonical form; whether it may be dialled is
/// [`EgressPolicy`](super::EgressPolicy)'s to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    host: Host,
    port: u16,
    url: Url,
    target: Uri,
    absolute: Uri,
    host_header: HeaderValue,
}

impl Endpoint {
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The whole URL in canonical form.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Scheme, host and port: the same for all endpoints that can share a connection.
    pub fn origin(&self) -> &str {
        &self.url[..Position::BeforePath]
    }

    /// The host, and the port where it is not the scheme's own.
    pub fn authority(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// Path and query, as the first line of an HTTP/1.1 request has them.
    pub fn target(&self) -> &Uri {
        &self.target
    }

    /// The URL as HTTP/2 takes it apart.
    pub fn absolute(&self) -> &Uri {
        &self.absolute
    }

    /// The value of the Host header.
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url())
    }
}

/// What is wrong with a webhook's URL, in words for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("is empty; write a whole URL such as https://example.com/webhooks")]
    Empty,
    #[error("is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    #[error("has a {0} in it; remove it or write it percent-encoded")]
    Character(&'static str),
    #[error("is not a whole URL; write one such as https://example.com/webhooks")]
    NotAbsolute,
    #[error("has the scheme \"{found}\"; use {allowed}")]
    Scheme { found: String, allowed: String },
    #[error("has a user name or password in it; set the webhook's authentication instead")]
    UserInfo,
    #[error("has a fragment (from # on), which is never sent; remove it")]
    Fragment,
    #[error("has a zone id in its host, which only means something on one machine")]
    ZoneId,
    #[error("has a host that is not valid: {0}")]
    Host(&'static str),
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    #[error("cannot be used as a URL")]
    Invalid,
}

/// Reads a webhook's URL.
///
/// Refuses what different programs read differently (backslashes, control characters, user information) before the
/// parser can mend it, and gives every spelling of a host its one canonical form.
pub fn parse_endpoint(text: &str, allowed: &[Scheme]) -> Result<Endpoint, EndpointError> {
    check_characters(text)?;
    check_authority(text, allowed)?;
    let url = parse_url(text).map_err(parse_problem)?;
    let scheme = allowed_scheme(url.scheme(), allowed)?;
    let host = read_host(&url)?;
    let port = url.port().unwrap_or(scheme.default_port());
    if port == 0 {
        return Err(EndpointError::Port);
    }
    assemble(scheme, host, port, url).ok_or(EndpointError::Invalid)
}

fn check_characters(text: &str) -> Result<(), EndpointError> {
    if text.is_empty() {
        return Err(EndpointError::Empty);
    }
    if text.len() > MAX_URL_BYTES {
        return Err(EndpointError::TooLong);
    }
    let refused = |character: char| match character {
        '\\' => Some("backslash"),
        '\t' | '\r' | '\n' => Some("tab or line break"),
        ' ' => Some("space"),
        '\0' => Some("NUL character"),
        other if other.is_control() => Some("control character"),
        other if other.is_whitespace() => Some("space"),
        _ => None,
    };
    match text.chars().find_map(refused) {
        Some(what) => Err(EndpointError::Character(what)),
        None => Ok(()),
    }
}

/// Checks the text between `://` and the path as it was written.
fn check_authority(text: &str, allowed: &[Scheme]) -> Result<(), EndpointError> {
    let (scheme, rest) = text.split_once(':').ok_or(EndpointError::NotAbsolute)?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let Some(rest) = rest.strip_prefix("//") else {
        // `example.com:8080/x` has no scheme, whatever a parser says.
        return Err(EndpointError::NotAbsolute);
    };
    if !is_scheme {
        return Err(EndpointError::NotAbsolute);
    }
    allowed_scheme(&scheme.to_ascii_lowercase(), allowed)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    if authority.is_empty() {
        return Err(EndpointError::NotAbsolute);
    }
    if authority.contains('@') {
        return Err(EndpointError::UserInfo);
    }
    if authority.starts_with('[') && authority.contains('%') {
        return Err(EndpointError::ZoneId);
    }
    if rest[end..].contains('#') {
        return Err(EndpointError::Fragment);
    }
    Ok(())
}

fn allowed_scheme(found: &str, allowed: &[Scheme]) -> Result<Scheme, EndpointError> {
    allowed.iter().copied().find(|scheme| scheme.as_str() == found).ok_or_else(|| EndpointError::Scheme {
        found: found.to_owned(),
        allowed: allowed.iter().map(|scheme| scheme.as_str()).collect::<Vec<_>>().join(" or "),
    })
}

fn parse_problem(error: ParseError) -> EndpointError {
    match error {
        ParseError::InvalidPort => EndpointError::Port,
        ParseError::InvalidIpv4Address => EndpointError::Host("it looks like an IPv4 address but is none"),
        ParseError::InvalidIpv6Address => EndpointError::Host("it looks like an IPv6 address but is none"),
        ParseError::InvalidDomainCharacter => EndpointError::Host("it has a character that no host name has"),
        ParseError::EmptyHost => EndpointError::Host("it is empty"),
        ParseError::IdnaError => EndpointError::Host("it is not an internationalised host name"),
        _ => EndpointError::Invalid,
    }
}

/// Parses a URL into the one canonical form that is signed, sent, logged and compared: as [`Url::parse`] does, and without the
/// final dot of a host name, which most servers and certificates don't expect.
///
/// # Errors
/// Returns an error if `text` isn't an absolute URL.
pub fn parse_url(text: &str) -> Result<Url, ParseError> {
    let mut url = Url::parse(text)?;
    let without_dot = match url.host() {
        Some(url::Host::Domain(name)) => name.strip_suffix('.').filter(|rest| !rest.is_empty()).map(str::to_owned),
        _ => None,
    };
    if let Some(name) = without_dot {
        url.set_host(Some(&name))?;
    }
    Ok(url)
}

/// Returns the host of a URL in canonical form.
fn read_host(url: &Url) -> Result<Host, EndpointError> {
    let name = match url.host().ok_or(EndpointError::Host("it is empty"))? {
        url::Host::Ipv4(address) => return Ok(Host::Address(address.into())),
        url::Host::Ipv6(address) => return Ok(Host::Address(address.into())),
        url::Host::Domain(name) => name,
    };
    if name.len() > MAX_NAME_BYTES {
        return Err(EndpointError::Host("it is longer than 253 bytes"));
    }
    if name.split('.').any(|label| label.is_empty() || label.len() > MAX_LABEL_BYTES) {
        return Err(EndpointError::Host("a part between dots is empty or longer than 63 bytes"));
    }
    Ok(Host::Name(name.to_owned()))
}

fn assemble(scheme: Scheme, host: Host, port: u16, url: Url) -> Option<Endpoint> {
    let target = PathAndQuery::try_from(&url[Position::BeforePath..Position::AfterQuery]).ok()?;
    let absolute = Uri::try_from(url.as_str()).ok()?;
    let host_header = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).ok()?;
    Some(Endpoint { scheme, host, port, target: Uri::from(target), absolute, host_header, url })
}
