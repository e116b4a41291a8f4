//! No spelling and no form of an address passes that must not be dialled, whatever it is.

use std::net::{Ipv4Addr, Ipv6Addr};

use fanfare_engine::egress::{EgressPolicy, parse_endpoint};
use proptest::prelude::*;

use super::{BOTH, EVERYTHING, WIDE_V6, endpoint, policy};

/// The ways in which an IPv4 address may be written in the host of a URL.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets().map(u32::from);
    let bits = address.to_bits();
    let wide: String = address.to_string().chars().map(|c| if c == '.' { '．' } else { wide_digit(c) }).collect();
    vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}."),
        format!("{a}.{b}.{}", c << 8 | d),
        format!("{a}.{}", bits & 0xff_ffff),
        format!("{bits}"),
        format!("{bits:#x}"),
        format!("{bits:#X}").replace("0X", "0X0"),
        format!("0{bits:o}"),
        format!("{a:#x}.{b:#o}.{c}.{d:#x}").replace("0o", "0"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("%3{}{}", &a.to_string()[..1], &address.to_string()[1..]),
        wide,
        format!("[::ffff:{address}]"),
        format!("[::{address}]"),
        format!("[::ffff:0:{address}]"),
        format!("[64:ff9b::{address}]"),
        format!("[2002:{:x}:{:x}::]", bits >> 16, bits & 0xffff),
        format!("[2600::5efe:{address}]"),
        format!("[64:ff9b:1::{address}]"),
        format!("[64:ff9b:1:{:x}:{:x}:{:x}::]", bits >> 16, bits >> 8 & 0xff, (bits & 0xff) << 8),
        format!("[64:ff9b:1:{a:x}:{b:x}:{c:02x}{d:02x}::]"),
        format!("[64:ff9b:1::{a:x}:{b:02x}{c:02x}:{d:02x}00:0]"),
        format!("[2001:0:{:x}:{:x}:0:0:f7f7:f7f7]", bits >> 16, bits & 0xffff),
        format!("[2001:0:808:808:0:0:{:x}:{:x}]", !bits >> 16, !bits & 0xffff),
    ]
}

fn wide_digit(digit: char) -> char {
    char::from_u32(digit as u32 - '0' as u32 + '０' as u32).unwrap()
}

fn denied_v4() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_flat_map(|bits| {
        let low = move |network: u32, length: u32| Ipv4Addr::from_bits(network | bits.unbounded_shr(length));
        prop::sample::select(vec![
            low(0x0000_0000, 8),
            low(0x0a00_0000, 8),
            low(0x6440_0000, 10),
            low(0x7f00_0000, 8),
            low(0xa9fe_0000, 16),
            low(0xac10_0000, 12),
            low(0xc0a8_0000, 16),
            low(0xc612_0000, 15),
            low(0xe000_0000, 3),
        ])
    })
}

proptest! {
    #[test]
    fn no_spelling_of_a_denied_address_passes(address in denied_v4()) {
        let policy = policy("");
        for host in spellings(address) {
            let url = format!("http://{host}/");
            if let Ok(endpoint) = parse_endpoint(&url, BOTH) {
                prop_assert!(policy.judge_endpoint(&endpoint).is_err(), "{}", url);
            } else {
                prop_assert!(false, "{} was not read", url);
            }
        }
    }

    #[test]
    fn no_form_of_a_denied_address_passes_where_all_of_ipv6_is_allowed(address in denied_v4()) {
        // No gateway forwards to 0.0.0.0/8, and the zeros of other forms read as it.
        prop_assume!(address.octets()[0] != 0);
        let policy = policy(WIDE_V6);
        for host in spellings(address) {
            let url = format!("http://{host}/");
            prop_assert!(policy.judge_endpoint(&endpoint(&url)).is_err(), "{}", url);
        }
    }

    #[test]
    fn what_is_allowed_opens_no_more_than_it_says(address in denied_v4(), other in denied_v4(), port in 80u16..90) {
        // Whatever is allowed, an address in no IPv4 entry of the list passes in no form.
        let allowed = policy(&format!("{WIDE_V6},{other}"));
        prop_assume!(address != other && address.octets()[0] != 0);
        for host in spellings(address) {
            let url = format!("http://{host}:{port}/");
            prop_assert!(allowed.judge_endpoint(&endpoint(&url)).is_err(), "{}", url);
        }
    }

    #[test]
    fn the_own_listener_is_reached_by_no_spelling(low in 0u32..0x0100_0000) {
        let policy = policy(EVERYTHING).with_own_listeners(["[::]:8686".parse().unwrap()]);
        for host in spellings(Ipv4Addr::from_bits(0x7f00_0000 | low)) {
            let url = format!("http://{host}:8686/");
            prop_assert!(policy.judge_endpoint(&endpoint(&url)).is_err(), "{}", url);
        }
    }

    #[test]
    fn metadata_passes_by_no_spelling_where_all_is_allowed(low in any::<u16>()) {
        let policy = policy(EVERYTHING);
        for host in spellings(Ipv4Addr::from_bits(0xa9fe_0000 | u32::from(low))) {
            let url = format!("http://{host}/");
            prop_assert!(policy.judge_endpoint(&endpoint(&url)).is_err(), "{}", url);
        }
    }

    #[test]
    fn ipv6_outside_global_unicast_is_denied(bits in any::<u128>()) {
        let address = Ipv6Addr::from_bits(bits);
        let [first, ..] = address.segments();
        let nat64 = bits >> 32 == 0x0064_ff9b_u128 << 64;
        prop_assume!(first & 0xe000 != 0x2000 && !nat64);
        prop_assert!(policy("").judge_address(address.into(), 443).is_err());
    }

    #[test]
    fn what_is_read_reads_the_same_again(text in "(?s)(https?://)?.{0,60}") {
        if let Ok(first) = parse_endpoint(&text, BOTH) {
            let second = endpoint(first.url());
            prop_assert_eq!(&first, &second);
            prop_assert!(!first.authority().contains('@'));
        }
    }

    #[test]
    fn allow_lists_never_panic(text in "(?s).{0,60}") {
        let _ = text.parse::<EgressPolicy>();
    }
}
