//! Certificates made for a test, and a TLS acceptor that presents them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// An authority that a client can be made to trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// What a client needs to trust it.
    pub(crate) fn pem(&self) -> String {
        self.pem.clone()
    }

    /// A certificate for the name, and its key, as PEM.
    pub(super) fn certificate(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A server with a certificate for the name, changed as the test wishes.
    pub(crate) fn acceptor(
        &self,
        name: &str,
        alpn: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(certificate.der().clone(), &key, alpn)
    }
}

/// A server with a certificate that nobody but itself has signed.
pub(super) fn self_signed_acceptor(name: &str) -> TlsAcceptor {
    self_signed(&[name], |_| {}).0
}

/// As [`self_signed_acceptor`], for names and changed as the test wishes, with the certificate as PEM.
pub(super) fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (TlsAcceptor, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (acceptor(certificate.der().clone(), &key, &["http/1.1"]), certificate.pem())
}

/// A server with the certificate that `openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj /CN=receiver.test` made, and
/// that certificate as PEM.
pub(super) fn openssl_acceptor() -> (TlsAcceptor, &'static str) {
    let pem = include_str!("fixtures/self-signed.pem");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("fixtures/self-signed.key")).unwrap();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    (acceptor_with(certificate, key, &["http/1.1"]), pem)
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair, alpn: &[&str]) -> TlsAcceptor {
    acceptor_with(certificate, PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())), alpn)
}

fn acceptor_with(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>, alpn: &[&str]) -> TlsAcceptor {
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.ticketer = Ticketer::new().unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
