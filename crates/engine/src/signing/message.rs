//! HTTP message signatures (RFC 9421) and Content-Digest (RFC 9530): what of a request is covered, and the text signed.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, Method};
use sha2::{Digest, Sha256, Sha512};
use url::Url;

use super::Encoding;

/// The header that holds the digest of the body.
pub static CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The header that holds message signatures.
pub static SIGNATURE: HeaderName = HeaderName::from_static("signature");
/// The header that says what they cover.
pub static SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");

/// A part of a request that a signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// `@method`
    Method,
    /// `@target-uri`: the whole URL.
    TargetUri,
    /// `@authority`: the host, with its port where that is not the scheme's own.
    Authority,
    /// `@scheme`
    Scheme,
    /// `@path`
    Path,
    /// `@query`: with its question mark, which alone stands for none.
    Query,
    /// `content-length`, which the connection adds.
    ContentLength,
    /// A header, by its name.
    Header(HeaderName),
}

/// The derived components, by name.
const DERIVED: [(&str, Component); 7] = [
    ("@method", Component::Method),
    ("@target-uri", Component::TargetUri),
    ("@authority", Component::Authority),
    ("@scheme", Component::Scheme),
    ("@path", Component::Path),
    ("@query", Component::Query),
    ("content-length", Component::ContentLength),
];

impl Component {
    /// Reads a name such as `@method` or `content-type`. The error is for people.
    pub fn parse(name: &str) -> Result<Component, String> {
        if let Some((_, component)) = DERIVED.iter().find(|(known, _)| *known == name) {
            return Ok(component.clone());
        }
        let lower = name.to_ascii_lowercase();
        match HeaderName::from_bytes(lower.as_bytes()) {
            Ok(http::header::HOST) => Err("is \"host\", which HTTP/2 does not send; cover \"@authority\"".to_owned()),
            Ok(header) if !name.starts_with('@') => Ok(Component::Header(header)),
            _ => {
                let known: Vec<&str> = DERIVED.iter().map(|(known, _)| *known).collect();
                Err(format!("is {name:?}, but must be one of {} or the name of a header", known.join(", ")))
            }
        }
    }

    /// Its name as it is signed.
    pub fn name(&self) -> &str {
        match self {
            Component::Header(name) => name.as_str(),
            derived => DERIVED.iter().find(|(_, known)| known == derived).map_or("", |(name, _)| name),
        }
    }
}

/// What computes a digest of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    Sha256,
    Sha512,
}

impl DigestAlgorithm {
    /// Appends the member of Content-Digest for `body`, `sha-256=:…:`.
    pub fn append(self, body: &[u8], out: &mut String) {
        let (name, digest) = match self {
            DigestAlgorithm::Sha256 => ("sha-256", Sha256::digest(body).to_vec()),
            DigestAlgorithm::Sha512 => ("sha-512", Sha512::digest(body).to_vec()),
        };
        let _ = write!(out, "{name}=:");
        Encoding::Base64.append(&digest, out);
        out.push(':');
    }
}

/// A request about to be signed: complete but for its message signatures.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    pub method: &'a Method,
    pub url: &'a Url,
    pub headers: &'a HeaderMap,
    /// In bytes.
    pub body_length: usize,
}

impl Covered<'_> {
    /// The component's value; `None` where the request lacks it.
    fn value(&self, component: &Component) -> Option<Cow<'_, [u8]>> {
        let text = |text: String| Some(Cow::Owned(text.into_bytes()));
        match component {
            Component::Method => Some(Cow::Borrowed(self.method.as_str().as_bytes())),
            Component::TargetUri => Some(Cow::Borrowed(self.url.as_str().as_bytes())),
            Component::Scheme => Some(Cow::Borrowed(self.url.scheme().as_bytes())),
            Component::Path => Some(Cow::Borrowed(self.url.path().as_bytes())),
            Component::Query => text(format!("?{}", self.url.query().unwrap_or_default())),
            Component::Authority => {
                let host = self.url.host_str().unwrap_or_default();
                text(self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
            }
            // A GET has no body and no length.
            Component::ContentLength => (*self.method != Method::GET).then(|| text(self.body_length.to_string()))?,
            Component::Header(name) => {
                let values: Vec<&[u8]> =
                    self.headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
                (!values.is_empty()).then(|| Cow::Owned(values.join(&b", "[..])))
            }
        }
    }
}

/// What a signature says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters<'a> {
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// Seconds since the Unix epoch.
    pub expires: Option<i64>,
    /// ASCII.
    pub keyid: Option<&'a str>,
    /// ASCII.
    pub tag: Option<&'a str>,
}

/// What Signature-Input says of one signature, and the signature base: the bytes that are signed.
pub fn signature_base(request: &Covered, components: &[Component], parameters: &Parameters) -> (String, Vec<u8>) {
    let mut input = String::from("(");
    let mut base = Vec::with_capacity(512);
    for component in components {
        let Some(value) = request.value(component) else { continue };
        if input.len() > 1 {
            input.push(' ');
        }
        let _ = write!(input, "\"{}\"", component.name());
        base.extend_from_slice(format!("\"{}\": ", component.name()).as_bytes());
        base.extend_from_slice(&value);
        base.push(b'\n');
    }
    let _ = write!(input, ");created={}", parameters.created);
    if let Some(expires) = parameters.expires {
        let _ = write!(input, ";expires={expires}");
    }
    for (name, value) in [("keyid", parameters.keyid), ("tag", parameters.tag)] {
        if let Some(value) = value {
            let _ = write!(input, ";{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        }
    }
    base.extend_from_slice(b"\"@signature-params\": ");
    base.extend_from_slice(input.as_bytes());
    (input, base)
}

/// Whether `text` can name a signature in both headers.
pub fn is_label(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'*';
    let later = |byte: u8| first(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes().next().is_some_and(first) && text.bytes().all(later)
}

/// `label`, or where it is used already, the first of those that count on from it: `sig2` after `sig1`.
pub fn free_label(label: &str, used: &[String]) -> String {
    let stem = label.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut number: u64 = label[stem.len()..].parse().unwrap_or(1);
    let mut free = label.to_owned();
    while used.contains(&free) {
        number = number.saturating_add(1);
        free = format!("{stem}{number}");
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9530, sections B.1 and B.2's body as RFC 9421 uses it.
    #[test]
    fn rfc_9530_content_digest() {
        let digest = |algorithm: DigestAlgorithm| {
            let mut text = String::new();
            algorithm.append(b"{\"hello\": \"world\"}", &mut text);
            text
        };
        assert_eq!(digest(DigestAlgorithm::Sha256), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
        let sha512 = concat!(
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew",
            "==:"
        );
        assert_eq!(digest(DigestAlgorithm::Sha512), sha512);
    }

    #[test]
    fn the_base_has_every_component_as_the_rfc_writes_it() {
        let url = Url::parse("https://www.example.com:8443/path?param=value").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-empty", http::HeaderValue::from_static(""));
        let request = Covered { method: &Method::POST, url: &url, headers: &headers, body_length: 18 };
        let components = [
            "@method",
            "@target-uri",
            "@authority",
            "@scheme",
            "@path",
            "@query",
            "content-length",
            "x-empty",
            "x-absent",
        ]
        .map(|name| Component::parse(name).unwrap());
        let parameters = Parameters { created: 1, expires: Some(2), keyid: Some("a\"b"), tag: Some("t") };
        let (_, base) = signature_base(&request, &components, &parameters);
        let expected = r#""@method": POST
"@target-uri": https://www.example.com:8443/path?param=value
"@authority": www.example.com:8443
"@scheme": https
"@path": /path
"@query": ?param=value
"content-length": 18
"x-empty": 
"@signature-params": ("@method" "@target-uri" "@authority" "@scheme" "@path" "@query" "content-length" "x-empty");created=1;expires=2;keyid="a\"b";tag="t""#;
        assert_eq!(String::from_utf8(base).unwrap(), expected);
    }

    #[test]
    fn labels_count_on() {
        let used = ["sig1", "sig2", "x"].map(str::to_owned);
        assert_eq!(free_label("sig", &used), "sig");
        assert_eq!(free_label("sig1", &used), "sig3");
        assert_eq!(free_label("x", &used), "x2");
        assert!(is_label("sig-b26") && !is_label("1sig") && !is_label("") && !is_label("Sig"));
    }
}
