//! Requests that go out through the operator's proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fanfare::delivery::proxy::Proxy;
use fanfare_engine::attempt::Outcome;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::receiver::{OK, Receiver};
use super::setup::{Answer, NAME, Setup, answer, assert_error_says, assert_outcome, post};

/// A proxy that does as it is asked, or refuses.
struct Forward {
    proxy: Proxy,
    /// The heads of the requests that it got.
    heads: mpsc::Receiver<Vec<String>>,
    _accepting: JoinSet<()>,
}

impl Forward {
    async fn start(refusal: Option<&'static str>) -> Forward {
        Forward::start_at(None, refusal).await
    }

    /// One whose tunnels all lead to `goal`, where there is one.
    async fn start_at(goal: Option<SocketAddr>, refusal: Option<&'static str>) -> Forward {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, heads) = mpsc::channel(16);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tunnels.spawn(serve(stream, told.clone(), goal, refusal));
            }
        });
        let proxy = Proxy::parse(&format!("http://user:pass@127.0.0.1:{port}")).unwrap();
        Forward { proxy, heads, _accepting: accepting }
    }
}

async fn serve(
    stream: TcpStream,
    told: mpsc::Sender<Vec<String>>,
    goal: Option<SocketAddr>,
    refusal: Option<&'static str>,
) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let target = goal.map_or_else(|| head[0].split(' ').nth(1).unwrap().to_owned(), |goal| goal.to_string());
    told.send(head).await.unwrap();
    if let Some(refusal) = refusal {
        return stream.write_all(refusal.as_bytes()).await.unwrap();
    }
    let mut onward = TcpStream::connect(target).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut onward).await;
}

#[tokio::test]
async fn requests_go_through_a_tunnel_to_the_judged_address() {
    let receiver = Receiver::answering_all(OK).await;
    let Forward { proxy, mut heads, _accepting } = Forward::start(None).await;
    let client = Setup { proxy: Some(proxy), ..Setup::default() }.client();
    for _ in 0..2 {
        let exchange = post(&client, &format!("http://{NAME}:{}/h", receiver.port())).await;
        assert_eq!(answer(&exchange), (200, &b"ok"[..]));
    }
    let head = heads.recv().await.unwrap();
    assert_eq!(head[0], format!("CONNECT 127.0.0.1:{} HTTP/1.1", receiver.port()));
    assert!(head.contains(&"Proxy-Authorization: Basic dXNlcjpwYXNz".to_owned()), "{head:?}");
    assert!(heads.try_recv().is_err(), "the second request needs no tunnel of its own");
}

#[tokio::test]
async fn the_guard_stands_before_the_proxy() {
    let Forward { proxy, mut heads, _accepting } = Forward::start(None).await;
    let setup = Setup { proxy: Some(proxy), allow: "", ..Setup::default() };
    setup.resolver.set(NAME, Answer::Addresses(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
    assert_outcome(&post(&setup.client(), &format!("http://{NAME}/")).await, Outcome::Blocked);
    assert!(heads.try_recv().is_err());
}

#[tokio::test]
async fn a_proxy_on_this_machine_is_not_taken_for_the_own_listener() {
    let receiver = Receiver::answering_all(OK).await;
    let Forward { proxy, heads: _heads, _accepting } = Forward::start_at(Some(receiver.address()), None).await;
    let own = SocketAddr::new(Ipv4Addr::new(10, 9, 8, 7).into(), receiver.port());
    let setup = Setup { proxy: Some(proxy), own_listeners: vec![own], ..Setup::default() };
    setup.resolver.set(NAME, Answer::Addresses(vec![IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34))]));
    let client = setup.client();
    assert_outcome(&post(&client, &format!("http://{NAME}:{}/", receiver.port())).await, Outcome::Success);
    // The own listener is blocked through it all the same.
    assert_outcome(&post(&client, &receiver.url()).await, Outcome::Blocked);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_failure_to_connect() {
    let Forward { proxy, heads: _heads, _accepting } = Forward::start(Some("HTTP/1.1 502 Bad Gateway\r\n\r\n")).await;
    let client = Setup { proxy: Some(proxy), ..Setup::default() }.client();
    let exchange = post(&client, "http://receiver.test/").await;
    assert_outcome(&exchange, Outcome::Connect);
    assert_error_says(&exchange, "no connection could be made");
}
