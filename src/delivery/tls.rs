//! TLS towards receivers: whom is trusted, and what went wrong in words.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

/// The protocol names of HTTP/2 and HTTP/1.1, as TLS negotiates them.
pub(super) const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP11: &[u8] = b"http/1.1";

/// For how many receivers a session is remembered, so that the next handshake is cheaper.
const REMEMBERED_SESSIONS: usize = 4_096;

/// The file with further trust roots cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the file with further trust roots has no certificate in PEM form")]
    NoCertificate,
    #[error("certificate {number} in the file with further trust roots cannot be used: {reason}")]
    Certificate { number: usize, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Provider(#[from] rustls::Error),
}

/// How receivers are verified: by the public roots, and by those in `extra_roots` (PEM).
pub fn client_config(extra_roots: Option<&[u8]>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(pem) = extra_roots {
        add_roots(&mut roots, pem)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP11.to_vec()];
    config.resumption = Resumption::in_memory_sessions(REMEMBERED_SESSIONS);
    Ok(Arc::new(config))
}

fn add_roots(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsSetupError> {
    let mut number = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        number += 1;
        let wrong = |reason: String| TlsSetupError::Certificate { number, reason };
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if number == 0 { Err(TlsSetupError::NoCertificate) } else { Ok(()) }
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
        CertificateError::Other(_) => "the receiver's certificate is self-signed or malformed",
        _ => "the receiver's certificate cannot be verified",
    };
    text.to_owned()
}
