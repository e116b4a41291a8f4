//! TLS towards receivers: whom is trusted, and what went wrong in words.

mod sessions;
mod verifier;

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::client::{Resumption, VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use sessions::Sessions;
use verifier::Verifier;

/// The protocol names of HTTP/2 and HTTP/1.1, as TLS negotiates them.
pub(super) const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP11: &[u8] = b"http/1.1";

/// The file with further trust roots cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the file with further trust roots has no certificate in PEM form")]
    NoCertificate,
    #[error("certificate {number} in the file with further trust roots cannot be used: {reason}")]
    Certificate { number: usize, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Provider(#[from] rustls::Error),
    #[error("the trust roots cannot be used: {0}")]
    Roots(#[from] VerifierBuilderError),
}

/// Returns the configuration that verifies receivers by the public roots and by the certificates in `extra_roots` (PEM). Each of
/// those is trusted as a root and, if a receiver presents it as its own, for itself.
///
/// # Errors
/// Returns an error if one of the certificates can't be used.
pub fn client_config(extra_roots: Option<&[u8]>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    with_sessions(extra_roots, &Arc::default())
}

fn with_sessions(extra_roots: Option<&[u8]>, sessions: &Arc<Sessions>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let trusted = extra_roots.map(|pem| add_roots(&mut roots, pem)).transpose()?.unwrap_or_default();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let verifier = Verifier { roots, trusted, sessions: Arc::clone(sessions) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP11.to_vec()];
    config.resumption = Resumption::store(Arc::clone(sessions) as Arc<_>);
    Ok(Arc::new(config))
}

/// Adds the certificates in `pem` to the roots, and returns them in DER.
fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<HashSet<Box<[u8]>>, TlsSetupError> {
    let mut added = HashSet::new();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
        let wrong = |reason: String| TlsSetupError::Certificate { number, reason };
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        added.insert(Box::from(&certificate[..]));
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if added.is_empty() { Err(TlsSetupError::NoCertificate) } else { Ok(added) }
}

/// The TLS error that lies at the bottom of another, if one does.
pub(super) fn find_tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An I/O error's source skips the error that it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// What failed, for the person who can mend it: the owner of the receiver.
pub(super) fn describe(error: &rustls::Error) -> String {
    let text = match error {
        rustls::Error::InvalidCertificate(problem) => return describe_certificate(problem),
        rustls::Error::NoCertificatesPresented => "the receiver presented no certificate",
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the receiver does not speak TLS 1.2 or 1.3 with a cipher that is safe"
        }
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the receiver refused the handshake; it may only speak old TLS versions or ciphers"
        }
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => "the receiver does not know this host name",
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the receiver demands a client certificate"
        }
        rustls::Error::AlertReceived(alert) => return format!("the receiver ended TLS with the alert {alert:?}"),
        rustls::Error::InvalidMessage(_) => "the receiver did not answer with TLS; is its port one for https?",
        rustls::Error::NoApplicationProtocol => "the receiver speaks neither HTTP/1.1 nor HTTP/2",
        _ => "the receiver broke the rules of TLS",
    };
    text.to_owned()
}

fn describe_certificate(problem: &CertificateError) -> String {
    let text = match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the receiver's certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the receiver's certificate is not valid yet"
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "the receiver's certificate names no host as subjectAltName; create one that does"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the receiver's certificate is for another host name"
        }
        CertificateError::UnknownIssuer => {
            "the receiver's certificate is self-signed, its issuer is not trusted, or an intermediate is missing"
        }
        CertificateError::Revoked => "the receiver's certificate has been revoked",
        CertificateError::BadSignature => "the receiver's certificate has a wrong signature",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the receiver's certificate is not one for servers"
        }
        CertificateError::BadEncoding => "the receiver's certificate is malformed",
        CertificateError::Other(other) => describe_other(&other.to_string()),
        _ => "the receiver's certificate cannot be verified",
    };
    text.to_owned()
}

/// Describes what only webpki has a name for.
fn describe_other(problem: &str) -> &'static str {
    match problem {
        "CaUsedAsEndEntity" => {
            "the receiver's certificate is self-signed, or an authority's own, and is not trusted for itself; the operator can \
             add it to tls_ca_file"
        }
        "UnsupportedCertVersion" => "the receiver's certificate is not of X.509 version 3; create one that is",
        _ => "the receiver's certificate cannot be verified",
    }
}
