//! TLS: what is trusted, and what is said where it fails.

use fanfare::delivery::http::{ClientConfig, HttpClient, OutgoingRequest};
use fanfare::delivery::tls::client_config;
use fanfare_engine::attempt::Outcome;
use rcgen::date_time_ymd;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, self_signed_acceptor};
use super::receiver::{OK, Receiver, Visit, answer_all};
use super::setup::{BRIEF, NAME, Setup, answer, assert_error_says, assert_outcome, endpoint, post, request};

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
