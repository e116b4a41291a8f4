//! How receivers are verified: by the trust roots, or as one of the certificates that the operator trusts for themselves.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::sessions::Sessions;

/// Verifies by the trust roots, except for certificates that the operator trusts for themselves: a self-signed certificate as
/// `openssl req -x509` makes it is marked as an authority's, and no root vouches for it as a server's. Its dates, purpose and
/// host name must hold all the same.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) roots: Arc<WebPkiServerVerifier>,
    /// In DER.
    pub(super) trusted: HashSet<Box<[u8]>>,
    pub(super) sessions: Arc<Sessions>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = if self.trusted.contains(&certificate[..]) {
            verify_trusted(certificate, name, now)?;
            ServerCertVerified::assertion()
        } else {
            self.roots.verify_server_cert(certificate, intermediates, name, ocsp_response, now)?
        };
        let chain_bytes = certificate.len() + intermediates.iter().map(|other| other.len()).sum::<usize>();
        self.sessions.note_verified(name, chain_bytes);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

/// Verifies everything but the issuer of a certificate that is trusted for itself.
fn verify_trusted(certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let malformed = || Error::from(CertificateError::BadEncoding);
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| malformed())?;
    let (from, until) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < from {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > until {
        return Err(CertificateError::Expired.into());
    }
    let purposes = parsed.extended_key_usage().map_err(|_| malformed())?;
    if purposes.is_some_and(|purposes| !purposes.value.server_auth && !purposes.value.any) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    match parsed.subject_alternative_name().map_err(|_| malformed())? {
        Some(_) => verify_server_name(&ParsedCertificate::try_from(certificate)?, name),
        None if is_common_name(&parsed, name) => Ok(()),
        None => Err(CertificateError::NotValidForName.into()),
    }
}

/// Whether a certificate without alternative names, such as `openssl req -x509 -subj /CN=HOST` makes, has the host as its only
/// common name (RFC 2818, 3.1). Wildcards don't count.
fn is_common_name(certificate: &X509Certificate<'_>, name: &ServerName<'_>) -> bool {
    let mut names = certificate.subject().iter_common_name();
    let (Some(only), None) = (names.next(), names.next()) else { return false };
    only.as_str().is_ok_and(|only| only.eq_ignore_ascii_case(&name.to_str()))
}
