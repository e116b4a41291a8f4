//! Which connections are made at all.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fanfare::delivery::dns::LookupError;
use fanfare::delivery::http::{OutgoingRequest, PoolLimits};
use fanfare_engine::attempt::Outcome;
use fanfare_engine::egress::BLOCKED;

use super::receiver::{OK, Receiver};
use super::setup::{
    Answer, BRIEF, NAME, Setup, Table, assert_error_says, assert_outcome, client, endpoint, post, request,
};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

fn url(receiver: &Receiver) -> String {
    format!("http://{NAME}:{}/", receiver.port())
}

fn closed(resolver: &Arc<Table>) -> Setup {
    Setup { allow: "", resolver: resolver.clone(), ..Setup::default() }
}

#[tokio::test]
async fn case_001_literals_and_names_take_the_same_guard() {
    let receiver = Receiver::answering(OK).await;
    let resolver = Arc::new(Table::default());
    resolver.set(NAME, Answer::Addresses(vec![LOCAL]));
    let client = closed(&resolver).client();
    for url in [receiver.url(), url(&receiver), format!("http://localhost:{}/", receiver.port())] {
        let exchange = post(&client, &url).await;
        assert_outcome(&exchange, Outcome::Blocked);
        assert_eq!(exchange.error.as_deref(), Some(BLOCKED));
        assert!(exchange.detail.is_some());
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn case_009_one_private_address_among_public_ones_denies_all() {
    let receiver = Receiver::answering(OK).await;
    let resolver = Arc::new(Table::default());
    let client = closed(&resolver).client();
    for addresses in [vec![PUBLIC, LOCAL], vec![LOCAL, PUBLIC], vec![PUBLIC, "::1".parse().unwrap()]] {
        resolver.set(NAME, Answer::Addresses(addresses));
        assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Blocked);
        assert!(client.vet(&endpoint(&url(&receiver))).await.is_err());
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn case_010_rebinding_between_save_and_send() {
    let receiver = Receiver::answering(OK).await;
    let resolver = Arc::new(Table::default());
    let client = closed(&resolver).client();
    resolver.set(NAME, Answer::Addresses(vec![PUBLIC]));
    client.vet(&endpoint(&url(&receiver))).await.unwrap();
    resolver.set(NAME, Answer::Addresses(vec![LOCAL]));
    assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Blocked);
    assert_eq!(resolver.lookups(), 2, "one lookup for each connect: what was judged is dialled");
}

#[tokio::test]
async fn case_011_an_old_connection_is_vetted_again() {
    let receiver = Receiver::answering_all(OK).await;
    let resolver = Arc::new(Table::default());
    resolver.set(NAME, Answer::Addresses(vec![LOCAL]));
    let never = PoolLimits { max_age: std::time::Duration::ZERO, ..PoolLimits::default() };
    let client = Setup { resolver: resolver.clone(), pool: never, ..Setup::default() }.client();
    assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Success);
    resolver.set(NAME, Answer::Addresses(vec![Ipv4Addr::new(10, 0, 0, 1).into()]));
    assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Blocked);
}

#[tokio::test]
async fn case_016_the_own_listener() {
    let receiver = Receiver::answering(OK).await;
    let client = Setup { own_listeners: vec![receiver.address()], ..Setup::default() }.client();
    for url in [receiver.url(), url(&receiver)] {
        assert_outcome(&post(&client, &url).await, Outcome::Blocked);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn case_016_the_own_listener_by_an_address_that_the_policy_does_not_know() {
    let receiver = Receiver::answering(OK).await;
    let elsewhere = format!("10.9.8.7:{}", receiver.port()).parse().unwrap();
    let client = Setup { own_listeners: vec![elsewhere], ..Setup::default() }.client();
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Blocked);
    assert_eq!(receiver.requests(), 0);
}

#[tokio::test]
async fn case_018_names_are_complete() {
    let resolver = Arc::new(Table::default());
    let client = closed(&resolver).client();
    for host in ["localhost.", "intranet", "db.internal", "printer.local"] {
        assert_outcome(&post(&client, &format!("http://{host}/")).await, Outcome::Blocked);
    }
    assert_eq!(resolver.lookups(), 0, "private names are not even looked up");
}

#[tokio::test]
async fn a_name_that_no_network_has_is_not_found_rather_than_blocked() {
    let resolver = Arc::new(Table::default());
    let exchange = post(&closed(&resolver).client(), "http://receiver.invalid/").await;
    assert_outcome(&exchange, Outcome::Dns);
    assert_error_says(&exchange, "Could not find receiver.invalid: no such host name");
}

#[tokio::test]
async fn a_host_with_a_final_dot_shares_name_and_connection_with_the_one_without() {
    let receiver = Receiver::answering_all(OK).await;
    let client = client();
    for (host, reused) in [(format!("{NAME}."), false), (NAME.to_owned(), true)] {
        let exchange = post(&client, &format!("http://{host}:{}/", receiver.port())).await;
        assert_outcome(&exchange, Outcome::Success);
        assert_eq!(exchange.reused_connection, reused);
    }
}

#[tokio::test]
async fn mapped_forms_of_a_private_address_pass_by_no_network_of_ipv6() {
    let receiver = Receiver::answering(OK).await;
    let resolver = Arc::new(Table::default());
    let client = Setup { allow: "::/0,64:ff9b::/96", resolver: resolver.clone(), ..Setup::default() }.client();
    for address in ["::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "::127.0.0.1"] {
        resolver.set(NAME, Answer::Addresses(vec![address.parse().unwrap()]));
        for url in [url(&receiver), format!("http://[{address}]:{}/", receiver.port())] {
            assert_outcome(&post(&client, &url).await, Outcome::Blocked);
        }
    }
    assert_eq!(receiver.connections(), 0);
}

/// The variables are those of a process, so another test runs in a process that has them.
#[tokio::test]
async fn case_019_proxy_variables_are_ignored() {
    let proxy = Receiver::answering(OK).await;
    let url = format!("http://{}", proxy.address());
    let output = tokio::task::spawn_blocking(move || {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        process.args(["--exact", "delivery_http::head::a_request_goes_out_as_given_and_its_answer_comes_back"]);
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            process.env(name, &url);
        }
        process.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap()
    })
    .await
    .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("1 passed"), "{report}");
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn case_020_names_that_do_not_resolve() {
    let resolver = Arc::new(Table::default());
    let client = closed(&resolver).client();
    for (answer, text) in [
        (Answer::Fails(LookupError::NotFound), "no such host name"),
        (Answer::Fails(LookupError::Failed), "could not be looked up"),
        (Answer::Addresses(Vec::new()), "no such host name"),
        (Answer::Hangs, "took too long"),
    ] {
        resolver.set(NAME, answer);
        let endpoint = endpoint(&format!("https://{NAME}/"));
        let exchange = client.send(OutgoingRequest { connect_timeout: BRIEF, ..request(&endpoint) }).await;
        assert_outcome(&exchange, Outcome::Dns);
        assert_error_says(&exchange, &format!("Could not find {NAME}"));
        assert_error_says(&exchange, text);
    }
    resolver.set(NAME, Answer::Fails(LookupError::NotFound));
    client.vet(&endpoint(&format!("https://{NAME}/"))).await.expect("a name may be made later");
}

#[tokio::test]
async fn case_021_everything_blocked_reads_the_same() {
    let resolver = Arc::new(Table::default());
    resolver.set(NAME, Answer::Addresses(vec![LOCAL]));
    let client = closed(&resolver).client();
    for url in [
        "http://127.0.0.1/",
        "http://10.0.0.1:81/",
        "https://169.254.169.254/",
        "http://8.8.8.8:22/",
        "http://receiver.test/",
        "http://db/",
    ] {
        let exchange = post(&client, url).await;
        assert_eq!(exchange.error.as_deref(), Some(BLOCKED), "{url}");
        assert!(exchange.response.is_none());
    }
}

#[tokio::test]
async fn a_refused_connection_is_said_without_addresses() {
    let receiver = Receiver::answering(OK).await;
    let url = url(&receiver);
    // Freed with the receiver, the port refuses.
    let port = receiver.port();
    drop(receiver);
    tokio::task::yield_now().await;
    let exchange = post(&client(), &url).await;
    assert_outcome(&exchange, Outcome::Connect);
    assert_error_says(&exchange, &format!("Could not connect to {NAME}:{port}: connection refused"));
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_fails() {
    let receiver = Receiver::answering(OK).await;
    let resolver = Arc::new(Table::default());
    // Nothing listens on the second loopback address at this port.
    resolver.set(NAME, Answer::Addresses(vec![Ipv4Addr::new(127, 0, 0, 2).into(), LOCAL]));
    let client = Setup { resolver, ..Setup::default() }.client();
    assert_outcome(&post(&client, &url(&receiver)).await, Outcome::Success);
}
