//! TLS: what is trusted, and what is said where it fails.

use fanfare::delivery::http::{ClientConfig, HttpClient, OutgoingRequest, PoolLimits};
use fanfare::delivery::tls::client_config;
use fanfare_engine::attempt::Outcome;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::HandshakeKind;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, openssl_acceptor, self_signed, self_signed_acceptor};
use super::receiver::{OK, Receiver, Visit, answer_all};
use super::setup::{Answer, BRIEF, NAME, Setup, answer, assert_error_says, assert_outcome, endpoint, post, request};

const HTTP11: &[&str] = &["http/1.1"];

pub(super) async fn tls_receiver(acceptor: TlsAcceptor) -> Receiver {
    Receiver::start(move |visit| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(visit.stream).await {
                answer_all(stream, OK).await;
            }
        }
    })
    .await
}

fn trusting(authority: &Authority) -> HttpClient {
    Setup { extra_roots: Some(authority.pem()), ..Setup::default() }.client()
}

fn url(receiver: &Receiver) -> String {
    format!("https://{NAME}:{}/hook", receiver.port())
}

#[tokio::test]
async fn a_trusted_receiver_is_sent_to_and_its_connection_kept() {
    let authority = Authority::new("trusted");
    let receiver = tls_receiver(authority.acceptor(NAME, HTTP11, |_| {})).await;
    let client = trusting(&authority);
    for n in 0..3 {
        let exchange = post(&client, &url(&receiver)).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(answer(&exchange), (200, &b"ok"[..]));
        assert_eq!(exchange.reused_connection, n > 0);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_certificate_may_be_for_an_address() {
    let authority = Authority::new("trusted");
    let receiver = tls_receiver(authority.acceptor("127.0.0.1", HTTP11, |_| {})).await;
    let url = format!("https://127.0.0.1:{}/", receiver.port());
    assert_outcome(&post(&trusting(&authority), &url).await, Outcome::Success);
}

#[tokio::test]
async fn case_044_certificates_that_are_refused() {
    let authority = Authority::new("trusted");
    let expired = authority.acceptor(NAME, HTTP11, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let early = authority.acceptor(NAME, HTTP11, |params| params.not_before = date_time_ymd(2999, 1, 1));
    let other = authority.acceptor("other.test", HTTP11, |_| {});
    let unknown = Authority::new("unknown").acceptor(NAME, HTTP11, |_| {});
    for (acceptor, text) in [
        (expired, "has expired"),
        (early, "is not valid yet"),
        (other, "is for another host name"),
        (unknown, "its issuer is not trusted"),
        (self_signed_acceptor(NAME), "self-signed"),
    ] {
        let receiver = tls_receiver(acceptor).await;
        let exchange = post(&trusting(&authority), &url(&receiver)).await;
        assert_outcome(&exchange, Outcome::Tls);
        assert_error_says(&exchange, text);
        assert_eq!(exchange.response, None);
    }
}

/// As `openssl req -x509` does it: an authority's own certificate, for a common name.
fn like_openssl(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, NAME);
}

#[tokio::test]
async fn a_self_signed_certificate_in_the_file_is_trusted_for_itself() {
    let (openssl, openssl_pem) = openssl_acceptor();
    let (named, named_pem) = self_signed(&[NAME], like_openssl);
    let (common, common_pem) = self_signed(&[], like_openssl);
    let (plain, plain_pem) = self_signed(&[NAME], |_| {});
    for (acceptor, pem) in [(openssl, openssl_pem), (named, &*named_pem), (common, &*common_pem), (plain, &*plain_pem)]
    {
        let receiver = tls_receiver(acceptor).await;
        let unlisted = post(&Setup::default().client(), &url(&receiver)).await;
        assert_outcome(&unlisted, Outcome::Tls);
        assert_error_says(&unlisted, "self-signed");
        let client = Setup { extra_roots: Some(pem.to_owned()), ..Setup::default() }.client();
        assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Success);
    }
}

#[tokio::test]
async fn a_self_signed_certificate_in_the_file_must_hold_otherwise() {
    let expired = |params: &mut CertificateParams| {
        like_openssl(params);
        params.not_after = date_time_ymd(2020, 1, 1);
    };
    let early = |params: &mut CertificateParams| {
        like_openssl(params);
        params.not_before = date_time_ymd(2999, 1, 1);
    };
    let client_only = |params: &mut CertificateParams| {
        like_openssl(params);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let wildcard = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "*.test");
    for ((acceptor, pem), text) in [
        (self_signed(&[NAME], expired), "has expired"),
        (self_signed(&[], expired), "has expired"),
        (self_signed(&[NAME], early), "is not valid yet"),
        (self_signed(&[NAME], client_only), "is not one for servers"),
        (self_signed(&["other.test"], like_openssl), "is for another host name"),
        (self_signed(&[], wildcard), "is for another host name"),
    ] {
        let receiver = tls_receiver(acceptor).await;
        let client = Setup { extra_roots: Some(pem), ..Setup::default() }.client();
        let exchange = post(&client, &url(&receiver)).await;
        assert_outcome(&exchange, Outcome::Tls);
        assert_error_says(&exchange, text);
    }
    let (_, listed) = self_signed(&[NAME], like_openssl);
    let (other, _) = self_signed(&[NAME], like_openssl);
    let client = Setup { extra_roots: Some(listed), ..Setup::default() }.client();
    let exchange = post(&client, &url(&tls_receiver(other).await)).await;
    assert_error_says(&exchange, "self-signed");
}

#[tokio::test]
async fn names_with_an_underscore_are_verified_like_others() {
    const HOST: &str = "my_receiver.test";
    let authority = Authority::new("trusted");
    let receiver = tls_receiver(authority.acceptor(HOST, HTTP11, |_| {})).await;
    let setup = Setup { extra_roots: Some(authority.pem()), ..Setup::default() };
    setup.resolver.set(HOST, Answer::Addresses(vec![receiver.address().ip()]));
    let client = setup.client();
    assert_outcome(&post(&client, &format!("https://{HOST}:{}/", receiver.port())).await, Outcome::Success);
    assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Tls);
}

/// More receivers in turn than a store of sessions remembers that counts them wrong.
#[tokio::test]
async fn sessions_of_many_receivers_are_resumed() {
    const RECEIVERS: usize = 520;
    let authority = Authority::new("trusted");
    let acceptor = authority.acceptor("*.receiver.test", HTTP11, |_| {});
    let (told, mut resumed) = tokio::sync::mpsc::channel(2 * RECEIVERS);
    let receiver = Receiver::start(move |visit| {
        let (acceptor, told) = (acceptor.clone(), told.clone());
        async move {
            // Or each answer would wait for the acknowledgement of the tickets.
            visit.stream.set_nodelay(true).unwrap();
            let stream = acceptor.accept(visit.stream).await.unwrap();
            told.send(stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)).await.unwrap();
            answer_all(stream, OK).await;
        }
    })
    .await;
    let pool = PoolLimits { per_origin: 0, ..PoolLimits::default() };
    let setup = Setup { extra_roots: Some(authority.pem()), pool, ..Setup::default() };
    let hosts: Vec<String> = (0..RECEIVERS).map(|number| format!("r{number}.receiver.test")).collect();
    for host in &hosts {
        setup.resolver.set(host, Answer::Addresses(vec![receiver.address().ip()]));
    }
    let client = setup.client();
    for round in 0..2 {
        for host in &hosts {
            assert_outcome(&post(&client, &format!("https://{host}:{}/", receiver.port())).await, Outcome::Success);
            assert_eq!(resumed.recv().await, Some(round > 0), "{host}");
        }
    }
}

#[tokio::test]
async fn case_044_tls_1_0_and_what_is_no_tls() {
    let alert: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];
    let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    for (bytes, text) in [
        (alert, "does not speak TLS 1.2 or 1.3"),
        (&hello, "does not speak TLS 1.2 or 1.3"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "did not answer with TLS"),
        (b"", "closed the connection during the TLS handshake"),
    ] {
        let bytes = bytes.to_vec();
        let receiver = Receiver::start(move |mut visit| {
            let bytes = bytes.clone();
            async move {
                let mut header = [0; 5];
                visit.stream.read_exact(&mut header).await.unwrap();
                let mut rest = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
                visit.stream.read_exact(&mut rest).await.unwrap();
                visit.write(&bytes).await;
            }
        })
        .await;
        let exchange = post(&Setup::default().client(), &url(&receiver)).await;
        assert_outcome(&exchange, Outcome::Tls);
        assert_error_says(&exchange, text);
    }
}

#[tokio::test]
async fn case_045_a_handshake_that_stalls_ends_with_the_connect_budget() {
    let receiver = Receiver::start(Visit::hold).await;
    let endpoint = endpoint(&url(&receiver));
    let exchange =
        Setup::default().client().send(OutgoingRequest { connect_timeout: BRIEF, ..request(&endpoint) }).await;
    assert_outcome(&exchange, Outcome::Tls);
    assert_error_says(&exchange, "the TLS handshake took too long");
}

#[tokio::test]
async fn extra_roots_that_cannot_be_used_are_said_at_the_start() {
    for (pem, text) in [
        ("no certificate here", "no certificate in PEM form"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1"),
    ] {
        assert!(client_config(Some(pem.as_bytes())).unwrap_err().to_string().contains(text));
        let setup = Setup::default();
        let config = ClientConfig {
            egress: setup.allow.parse().unwrap(),
            resolver: setup.resolver,
            extra_roots: Some(pem.into()),
            proxy: None,
            pool: setup.pool,
        };
        assert!(HttpClient::new(config).is_err());
    }
}
