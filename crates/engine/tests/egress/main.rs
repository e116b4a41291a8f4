//! What may be dialled: the cases of attack by address and URL, and no spelling around them.

#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

mod spellings;

use std::net::{IpAddr, Ipv4Addr};

use fanfare_engine::egress::{
    BLOCKED, Denied, EgressPolicy, Endpoint, EndpointError, Host, MAX_URL_BYTES, Scheme, parse_endpoint, parse_url,
};

const BOTH: &[Scheme] = &[Scheme::Http, Scheme::Https];
const EVERYTHING: &str = "0.0.0.0/0,::/0,localhost,*.internal,*.local";

fn policy(allow: &str) -> EgressPolicy {
    allow.parse().unwrap()
}

fn endpoint(url: &str) -> Endpoint {
    parse_endpoint(url, BOTH).unwrap_or_else(|error| panic!("{url:?} {error}"))
}

/// What saving a webhook with this URL comes to.
fn save(policy: &EgressPolicy, url: &str) -> Result<(), Denied> {
    policy.judge_endpoint(&endpoint(url))
}

#[track_caller]
fn assert_denied(policy: &EgressPolicy, addresses: &[&str]) {
    for text in addresses {
        let address: IpAddr = text.parse().unwrap();
        let denied = policy.judge_address(address, 443).expect_err(text);
        assert!(denied.detail().contains(&address.to_string()), "{}", denied.detail());
        let url = match address {
            IpAddr::V4(_) => format!("http://{text}/"),
            IpAddr::V6(_) => format!("https://[{text}]/"),
        };
        assert!(save(policy, &url).is_err(), "{url}");
    }
}

#[track_caller]
fn assert_unreadable(url: &str, expected: &EndpointError) {
    assert_eq!(parse_endpoint(url, BOTH).as_ref(), Err(expected), "{url:?}");
}

#[test]
fn public_addresses_pass() {
    let policy = policy("");
    for url in [
        "https://example.com/hook?a=b",
        "http://8.8.8.8/",
        "http://1.1.1.1:8080/",
        "https://[2606:4700:4700::1111]/",
        "http://172.32.0.1/",
        "http://100.128.0.1/",
        "http://11.0.0.0/",
        "http://198.20.0.1/",
        "http://192.0.1.1/",
    ] {
        save(&policy, url).unwrap_or_else(|denied| panic!("{url}: {}", denied.detail()));
    }
}

#[test]
fn case_001_private_ipv4() {
    let addresses = [
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
    ];
    assert_denied(&policy(""), &addresses);
    for text in addresses {
        policy("0.0.0.0/0").judge_address(text.parse().unwrap(), 443).unwrap();
    }
}

#[test]
fn case_002_cloud_metadata_even_where_all_is_allowed() {
    let addresses = [
        "169.254.169.254",
        "169.254.0.1",
        "169.254.170.2",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fe80::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "::ffff:0:169.254.169.254",
        "2002:a9fe:a9fe::",
        "2600::5efe:a9fe:a9fe",
        "2600::200:5efe:a9fe:a9fe",
        "2001:0:a9fe:a9fe::1",
        "2001:0:808:808:0:0:5601:5601",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::",
    ];
    for allow in ["", EVERYTHING, "169.254.169.254,169.254.0.0/16,fd00:ec2::254/128"] {
        assert_denied(&policy(allow), &addresses);
    }
    let named = policy("metadata.google.internal");
    save(&named, "http://metadata.google.internal/").unwrap();
    assert!(named.judge_resolved("metadata.google.internal", "169.254.169.254".parse().unwrap(), 80).is_err());
}

#[test]
fn case_003_multicast_reserved_and_documentation_ipv4() {
    let addresses = [
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "198.18.0.1",
        "198.19.255.255",
        "192.88.99.1",
        "192.0.0.8",
    ];
    assert_denied(&policy(""), &addresses);
}

#[test]
fn case_004_private_and_reserved_ipv6() {
    let addresses = [
        "::",
        "::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "3fff::1",
        "3ffe::1",
        "100::1",
        "5f00::1",
        "4000::1",
        "2001:10::1",
        "2001:20::1",
    ];
    assert_denied(&policy(""), &addresses);
}

#[test]
fn case_005_ipv4_in_ipv6() {
    let addresses = [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:127.0.0.1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "2600::5efe:7f00:1",
        "2600::200:5efe:10.0.0.1",
    ];
    assert_denied(&policy(""), &addresses);
    assert_denied(&policy("127.0.0.0/8,10.0.0.0/8"), &addresses);
}

#[test]
fn case_006_translated_and_tunnelled_ipv4() {
    let closed = policy("");
    assert_denied(&closed, &["64:ff9b::7f00:1", "64:ff9b::10.1.2.3", "64:ff9b::192.168.1.1"]);
    closed.judge_address("64:ff9b::8.8.8.8".parse().unwrap(), 443).unwrap();
    policy("10.0.0.0/8").judge_address("64:ff9b::10.1.2.3".parse().unwrap(), 443).unwrap();
    assert_denied(&closed, &["64:ff9b:1::8.8.8.8", "2002:808:808::1", "2001:0:808:808::1", "64:ff9b:0:1::8.8.8.8"]);
}

/// Networks of IPv6 that an operator may allow, each of which holds every form of every IPv4 address in it.
const WIDE_V6: &str = "::/0,::/96,::ffff:0:0/96,::ffff:0:0:0/96,64:ff9b::/96,64:ff9b:1::/48,2002::/16,2001::/32";

#[test]
fn a_network_of_ipv6_does_not_allow_the_private_ipv4_addresses_in_it() {
    let wide = policy(WIDE_V6);
    let private = [
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::10.0.0.1",
        "64:ff9b:1:a00:0:100::",
        "64:ff9b:1:a:0:1::",
        "64:ff9b:1::a:0:100:0",
        "2002:a00:1::1",
        "2001:0:808:808:0:0:f5ff:fffe",
        "2001:0:a00:1:0:0:f7f7:f7f7",
        "fd00::5efe:10.0.0.1",
        "::ffff:0.0.0.0",
        "::ffff:127.0.0.1",
        "::0.0.0.2",
    ];
    assert_denied(&wide, &private);
    assert_denied(&wide, &["64:ff9b:1:a00:0:1ff:ffff:ffff", "64:ff9b:1:a00:0:108:808:808"]);
    let with_v4 = policy(&format!("{WIDE_V6},10.0.0.0/8,127.0.0.0/8,0.0.0.0/8"));
    for text in private {
        with_v4.judge_address(text.parse().unwrap(), 443).unwrap_or_else(|denied| panic!("{}", denied.detail()));
        let named = policy(text);
        named.judge_address(text.parse().unwrap(), 443).unwrap_or_else(|denied| panic!("{}", denied.detail()));
    }
    let public =
        ["::ffff:8.8.8.8", "64:ff9b:1::8.8.8.8", "64:ff9b:1:808:8:800::", "2002:808:808::1", "::1", "::", "fd00::1"];
    for text in public {
        wide.judge_address(text.parse().unwrap(), 443).unwrap_or_else(|denied| panic!("{}", denied.detail()));
    }
}

#[test]
fn case_007_odd_spellings_of_ipv4() {
    for host in [
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0x7f000001",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0x0",
        "2130706433.",
        "127.0.1",
        "%31%32%37.0.0.1",
        "0X7F.0X1",
        "3232235777",
        "127.0.0.0x",
    ] {
        let url = format!("http://{host}/");
        assert!(matches!(endpoint(&url).host(), Host::Address(IpAddr::V4(_))), "{url}");
        assert!(save(&policy(""), &url).is_err(), "{url}");
    }
    for host in ["256.1.1.1", "1.2.3.4.5", "0x100000000", "09.1.1.1"] {
        assert!(matches!(parse_endpoint(&format!("http://{host}/"), BOTH), Err(EndpointError::Host(_))), "{host}");
    }
}

#[test]
fn case_008_full_width_digits_and_dots() {
    for host in ["１２７．０．０．１", "127。0。0。1", "①②⑦.0.0.1", "ｌｏｃａｌｈｏｓｔ", "[::１]", "𝟏𝟐𝟕.𝟎.𝟎.𝟏"]
    {
        let url = format!("http://{host}/");
        match parse_endpoint(&url, BOTH) {
            Ok(endpoint) => assert!(policy("").judge_endpoint(&endpoint).is_err(), "{url}"),
            Err(error) => assert_eq!(host, "[::１]", "{error}"),
        }
    }
    assert_eq!(*endpoint("http://１２７．０．０．１/").host(), Host::Address(Ipv4Addr::LOCALHOST.into()));
}

#[test]
fn case_009_and_012_each_resolved_address_is_judged() {
    let closed = policy("");
    closed.judge_resolved("example.com", "93.184.216.34".parse().unwrap(), 443).unwrap();
    for address in ["10.0.0.1", "::1", "127.0.0.1", "::ffff:10.0.0.1"] {
        assert!(closed.judge_resolved("example.com", address.parse().unwrap(), 443).is_err());
    }
    let named = policy("receiver.corp");
    named.judge_resolved("receiver.corp", "10.0.0.1".parse().unwrap(), 443).unwrap();
    assert!(named.judge_resolved("other.corp", "10.0.0.1".parse().unwrap(), 443).is_err());
    assert!(named.judge_address("10.0.0.1".parse().unwrap(), 443).is_err());
}

#[test]
fn case_014_user_information() {
    for url in [
        "http://a@127.0.0.1#@x",
        "http://user:password@example.com/",
        "http://@example.com/",
        "http://:@example.com/",
        "https://example.com@127.0.0.1/",
        "http://a%40b@example.com/",
    ] {
        assert_unreadable(url, &EndpointError::UserInfo);
    }
    assert_eq!(endpoint("https://example.com/@me?to=a@b").target(), "/@me?to=a@b");
}

#[test]
fn case_015_characters_that_parsers_mend() {
    for url in ["http:\\\\127.0.0.1/", "http://example.com\\@127.0.0.1/", "https://example.com/a\\b"] {
        assert_unreadable(url, &EndpointError::Character("backslash"));
    }
    for url in ["http://127.0\t.0.1/", "ht\ntp://example.com/", "http://exa\rmple.com/", "http://example.com/\n"] {
        assert_unreadable(url, &EndpointError::Character("tab or line break"));
    }
    assert_unreadable("http://example.com\0/", &EndpointError::Character("NUL character"));
    assert_unreadable("http://example.com/\u{7f}", &EndpointError::Character("control character"));
    assert_unreadable(" http://example.com/", &EndpointError::Character("space"));
    assert_unreadable("http://example.com/\u{a0}", &EndpointError::Character("space"));
    assert_unreadable("http://[fe80::1%25eth0]/", &EndpointError::ZoneId);
    assert_unreadable("http://[fe80::1%eth0]/", &EndpointError::ZoneId);
    for host in ["a%00b", "a%5cb", "a%2fb", "a%40b", "a<b", "a|b", "a^b", "exa／mple.com", "a＠b.com"] {
        assert!(parse_endpoint(&format!("http://{host}/"), BOTH).is_err(), "{host}");
    }
}

#[test]
fn case_016_ports_of_other_services_and_the_own_listener() {
    for allow in ["", EVERYTHING] {
        for port in [22, 25, 53, 3306, 5432, 6379, 11211, 27017] {
            assert!(save(&policy(allow), &format!("http://example.com:{port}/")).is_err(), "{port}");
            assert!(policy(allow).judge_address("8.8.8.8".parse().unwrap(), port).is_err(), "{port}");
        }
    }
    assert_unreadable("http://example.com:0/", &EndpointError::Port);
    assert_unreadable("http://example.com:65536/", &EndpointError::Port);
    assert_unreadable("http://example.com:8x/", &EndpointError::Port);

    let own = policy("127.0.0.0/8,10.0.0.0/8,::1,localhost").with_own_listeners(["0.0.0.0:8686".parse().unwrap()]);
    assert_denied_port(&own, "127.0.0.1", 8686);
    assert_denied_port(&own, "127.9.9.9", 8686);
    assert_denied_port(&own, "::1", 8686);
    let open = policy(EVERYTHING).with_own_listeners(["0.0.0.0:8686".parse().unwrap()]);
    for address in ["::ffff:127.0.0.1", "::ffff:0.0.0.0", "::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::127.0.0.1"] {
        assert_denied_port(&open, address, 8686);
    }
    assert!(own.judge_resolved("localhost", "127.0.0.1".parse().unwrap(), 8686).is_err());
    own.judge_address("127.0.0.1".parse().unwrap(), 8687).unwrap();
    own.judge_address("10.0.0.1".parse().unwrap(), 8686).unwrap();
    assert!(own.is_own_port(8686) && !own.is_own_port(8687));
    let bound = policy("10.0.0.0/8").with_own_listeners(["10.0.0.1:8686".parse().unwrap()]);
    assert_denied_port(&bound, "10.0.0.1", 8686);
}

#[track_caller]
fn assert_denied_port(policy: &EgressPolicy, address: &str, port: u16) {
    let denied = policy.judge_address(address.parse().unwrap(), port).expect_err(address);
    assert!(denied.detail().contains("own listener"), "{}", denied.detail());
}

#[test]
fn case_017_schemes() {
    for (url, scheme) in [
        ("file:///etc/passwd", "file"),
        ("gopher://example.com/", "gopher"),
        ("ws://example.com/", "ws"),
        ("javascript://example.com/%0aalert(1)", "javascript"),
        ("FTP://example.com/", "ftp"),
    ] {
        let error = EndpointError::Scheme { found: scheme.to_owned(), allowed: "http or https".to_owned() };
        assert_unreadable(url, &error);
    }
    let error = parse_endpoint("http://example.com/", &[Scheme::Https]).unwrap_err();
    assert_eq!(error.to_string(), "has the scheme \"http\"; use https");
    for url in [
        "http:example.com",
        "http:/example.com",
        "http:///example.com",
        "//example.com/",
        "example.com/hook",
        "example.com:8080/hook",
        "http://",
        "http://?a",
        "https",
    ] {
        assert_unreadable(url, &EndpointError::NotAbsolute);
    }
}

#[test]
fn case_018_names_of_private_networks() {
    for host in [
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
        "intranet",
        "db",
        "metadata.google.internal",
        "x.internal",
        "printer.local",
        "printer.local.",
        "router.lan",
        "nas.home.arpa",
        "build.corp",
        "x.localdomain",
    ] {
        assert!(save(&policy("127.0.0.0/8"), &format!("http://{host}/")).is_err(), "{host}");
    }
    let named = policy("localhost, db ,*.svc.cluster.local");
    for host in ["localhost", "localhost.", "LocalHost", "db", "a.svc.cluster.local", "a.b.svc.cluster.local"] {
        save(&named, &format!("http://{host}/")).unwrap_or_else(|_| panic!("{host}"));
    }
    for host in ["svc.cluster.local", "asvc.cluster.local", "dba", "x.localhost"] {
        assert!(save(&named, &format!("http://{host}/")).is_err(), "{host}");
    }
    for host in ["internal.example.com", "local.example", "mylocal.com", "notinternal.io", "a.invalid", "a.onion"] {
        save(&policy(""), &format!("http://{host}/")).unwrap_or_else(|_| panic!("{host}"));
    }
}

#[test]
fn case_021_one_text_for_everything_that_is_blocked() {
    for url in ["http://127.0.0.1/", "http://10.1.2.3:81/", "http://db/", "http://[fd00:ec2::254]/", "http://a.com:22/"]
    {
        assert_eq!(save(&policy(""), url).unwrap_err().to_string(), BLOCKED);
    }
}

#[test]
fn an_endpoint_is_taken_apart_once() {
    let endpoint = endpoint("HTTPS://Bücher.Example.:443/a/../b%20c?x=y&z");
    assert_eq!(endpoint.url(), "https://xn--bcher-kva.example/b%20c?x=y&z");
    assert_eq!(endpoint.scheme(), Scheme::Https);
    assert_eq!(*endpoint.host(), Host::Name("xn--bcher-kva.example".to_owned()));
    assert_eq!(endpoint.port(), 443);
    assert_eq!(endpoint.origin(), "https://xn--bcher-kva.example");
    assert_eq!(endpoint.host_header(), "xn--bcher-kva.example");
    assert_eq!(endpoint.target(), "/b%20c?x=y&z");
    assert_eq!(endpoint.absolute(), "https://xn--bcher-kva.example/b%20c?x=y&z");
}

#[test]
fn a_host_with_a_final_dot_is_the_host_without_it() {
    for (with, without) in [
        ("https://example.com./h?a=b", "https://example.com/h?a=b"),
        ("http://EXAMPLE.com.:8080/", "http://example.com:8080/"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
    ] {
        assert_eq!(endpoint(with), endpoint(without));
        assert_eq!(parse_url(with), parse_url(without));
        assert_eq!(endpoint(with).url(), parse_url(with).unwrap().as_str());
    }
}

#[test]
fn names_are_taken_as_they_are_written() {
    for host in ["my_host.example.com", "_a.example.com", "a_.example.com", "a--b.example.com", "a-.example.com"] {
        assert_eq!(*endpoint(&format!("https://{host}/")).host(), Host::Name(host.to_owned()));
    }
}

#[test]
fn ports_and_literals_stand_in_the_host_header() {
    let endpoint = endpoint("http://[2606:4700::1]:8080?x");
    assert_eq!(endpoint.host_header(), "[2606:4700::1]:8080");
    assert_eq!(endpoint.target(), "/?x");
    assert_eq!(endpoint.origin(), "http://[2606:4700::1]:8080");
}

#[test]
fn long_urls_and_names_are_refused() {
    let base = "https://example.com/";
    let longest = format!("{base}{}", "a".repeat(MAX_URL_BYTES - base.len()));
    assert_eq!(endpoint(&longest).url().len(), MAX_URL_BYTES);
    assert_unreadable(&format!("{longest}a"), &EndpointError::TooLong);
    assert_unreadable("", &EndpointError::Empty);
    assert_unreadable("https://example.com/#top", &EndpointError::Fragment);
    for host in [format!("{}.com", "a".repeat(64)), vec!["a"; 130].join("."), "a..com".to_owned(), "a.com..".to_owned()]
    {
        assert!(matches!(parse_endpoint(&format!("http://{host}/"), BOTH), Err(EndpointError::Host(_))), "{host}");
    }
}

#[test]
fn the_allow_list_says_what_is_wrong_with_it() {
    for (text, part) in [
        ("10.0.0.1/8", "bits beyond the prefix"),
        ("10.0.0.0/33", "not a network"),
        ("exa mple", "neither a network nor a host name"),
        ("http://localhost", "not a network"),
        ("a.*.com", "neither a network nor a host name"),
        ("10.0.0.0/8,[::1]", "neither a network nor a host name"),
    ] {
        let error = text.parse::<EgressPolicy>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert_eq!(policy(" , "), policy(""));
    assert!(vec!["localhost"; 1_001].join(",").parse::<EgressPolicy>().is_err());
}
