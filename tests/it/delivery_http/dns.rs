//! The resolver against a name server of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fanfare::delivery::dns::{DnsResolver, LookupError, Resolver};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::proto::rr::Name;
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
/// How many names are looked up at once.
const LOOKUPS: usize = 8;

/// Answers `public.test`, `mixed.test` and others, fails for `broken.test`, is silent about the IPv6 addresses of `half.test`, and
/// knows nothing else.
struct NameServer {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    /// Told of each question that gets no answer.
    silent: mpsc::Receiver<()>,
    _serving: JoinSet<()>,
}

impl NameServer {
    async fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let (unanswered, silent) = mpsc::channel(16);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let (name, question_end) = read_name(&query[..length]);
                let is_a = query[question_end + 1] == 1;
                noted.lock().push(name.clone());
                if name == "half.test" && !is_a {
                    let _ = unanswered.try_send(());
                    continue;
                }
                let reply = reply(&query[..question_end + 4], &name, is_a);
                let _ = socket.send_to(&reply, from).await;
            }
        });
        NameServer { port, asked, silent, _serving: serving }
    }

    /// A resolver that asks it; the system's configuration has search domains.
    fn resolver(&self) -> DnsResolver {
        let mut connection = ConnectionConfig::udp();
        connection.port = self.port;
        let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
        let domain = Name::from_ascii("corp.test.").unwrap();
        let search = vec![Name::from_ascii("search.test.").unwrap()];
        DnsResolver::from_config(ResolverConfig::from_parts(Some(domain), search, vec![server]), LOOKUPS).unwrap()
    }
}

/// The name in a query's question, and where it ends.
fn read_name(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

fn reply(query: &[u8], name: &str, is_a: bool) -> Vec<u8> {
    let many: Vec<[u8; 4]> = (0..60).map(|last| [93, 184, 216, last]).collect();
    let addresses: &[[u8; 4]] = match name {
        "many.test" if is_a => &many,
        "half.test" if is_a => &[[93, 184, 216, 34]],
        "public.test" | "my_host.test" | "_a.b_.test" | "a-.-b.test" if is_a => &[[93, 184, 216, 34]],
        "mixed.test" if is_a => &[[93, 184, 216, 34], [10, 0, 0, 1]],
        _ => &[],
    };
    let code = match name {
        "many.test" | "half.test" => 0,
        "public.test" | "mixed.test" | "my_host.test" | "_a.b_.test" | "a-.-b.test" => 0,
        "broken.test" => SERVFAIL,
        _ => NXDOMAIN,
    };
    let mut bytes = query.to_vec();
    bytes[2] = 0x81;
    bytes[3] = 0x80 | code;
    bytes[4..12].copy_from_slice(&[0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
    for address in addresses {
        // The name by reference, type A, class IN, a minute, four bytes.
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend(address);
    }
    bytes
}

#[tokio::test]
async fn all_addresses_of_a_name_are_given() {
    let server = NameServer::start().await;
    let mut addresses = server.resolver().lookup("mixed.test").await.unwrap();
    addresses.sort();
    let expected = [[10, 0, 0, 1], [93, 184, 216, 34]].map(|octets| IpAddr::V4(octets.into()));
    assert_eq!(addresses, expected);
}

#[tokio::test]
async fn names_are_looked_up_as_they_are_written() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    for name in ["my_host.test", "_a.b_.test", "a-.-b.test", "public.test."] {
        let found = resolver.lookup(name).await;
        assert_eq!(found, Ok(vec![IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34))]), "{name}");
    }
    assert_eq!(resolver.lookup(&"a".repeat(64)).await, Err(LookupError::NotFound));
}

#[tokio::test]
async fn names_that_no_network_has_are_not_asked_for() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    for name in ["receiver.invalid", "receiver.onion"] {
        assert_eq!(resolver.lookup(name).await, Err(LookupError::NotFound), "{name}");
    }
    assert_eq!(*server.asked.lock(), Vec::<String>::new());
}

#[tokio::test]
async fn addresses_of_one_family_are_used_where_the_other_is_not_answered() {
    let mut server = NameServer::start().await;
    let resolver = server.resolver();
    let lookup = resolver.lookup("half.test");
    let asked_twice = async {
        server.silent.recv().await;
        server.silent.recv().await;
    };
    tokio::select! {
        biased;
        found = lookup => assert_eq!(found, Ok(vec![IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34))])),
        () = asked_twice => panic!("the lookup waits until the silent question is asked again"),
    }
}

#[tokio::test]
async fn so_many_addresses_are_used_and_an_answer_is_asked_for_once() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    let lookups = (0..20).map(|_| resolver.lookup("many.test"));
    for found in futures_util::future::join_all(lookups).await {
        assert_eq!(found.unwrap().len(), 16);
    }
    assert_eq!(resolver.lookup("many.test").await.unwrap().len(), 16);
    assert_eq!(server.asked.lock().len(), 2, "once for each family");
}

#[tokio::test]
async fn case_018_no_search_domain_is_appended() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    for name in ["absent", "absent.test", "public.test"] {
        let _ = resolver.lookup(name).await;
    }
    let mut asked = server.asked.lock().clone();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["absent", "absent.test", "public.test"]);
}

#[tokio::test]
async fn case_020_failures_say_nothing_of_the_name_server() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    assert_eq!(resolver.lookup("absent.test").await, Err(LookupError::NotFound));
    assert_eq!(resolver.lookup("broken.test").await, Err(LookupError::Failed));
    for error in [LookupError::NotFound, LookupError::Failed, LookupError::TimedOut] {
        let text = error.to_string();
        assert!(!text.contains("127.0.0.1") && !text.contains("SERVFAIL") && !text.contains("NXDOMAIN"), "{text}");
    }
}
