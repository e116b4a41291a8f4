//! What kind of address an IP address is: the networks that are not the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that no webhook reaches, each with what it is for.
const RESERVED_V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "\"this network\""),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared by carriers"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "protocol assignments"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 31, 196, 0], 24, "AS112"),
    ([192, 52, 193, 0], 24, "multicast relays"),
    ([192, 88, 99, 0], 24, "6to4 relays"),
    ([192, 168, 0, 0], 16, "private"),
    ([192, 175, 48, 0], 24, "AS112"),
    ([198, 18, 0, 0], 15, "benchmarks"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// Networks inside 2000::/3, the only public part of IPv6, that no webhook reaches.
const RESERVED_V6: &[([u16; 3], u8, &str)] = &[
    ([0x2001, 0, 0], 32, "Teredo"),
    ([0x2001, 0, 0], 23, "protocol assignments"),
    ([0x2001, 0xdb8, 0], 32, "documentation"),
    ([0x2002, 0, 0], 16, "6to4"),
    ([0x2620, 0x4f, 0x8000], 48, "AS112"),
    ([0x3ffe, 0, 0], 16, "the former 6bone"),
    ([0x3fff, 0, 0], 20, "documentation"),
];

/// Addresses at which clouds tell a machine its credentials, beside 169.254.0.0/16. Some are otherwise public.
const METADATA_V4: &[Ipv4Addr] =
    &[Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// Why an address is not part of the public internet, for the operator; `None` where it is.
pub(super) fn reserved(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => match nat64(address) {
            Some(embedded) => reserved_v4(embedded),
            None => reserved_v6(address),
        },
    }
}

/// Whether a cloud's metadata service answers there, in whichever form the address is written. Such an address is
/// never dialled, whatever the operator allows.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_metadata_v4(address),
        IpAddr::V6(address) => {
            let native = matches!(
                address.segments(),
                // Amazon, Google, and the link-local form of OpenStack.
                [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] | [0xfe80, 0, 0, 0, _, _, 0xa9fe, 0xa9fe]
            );
            native || embedded_v4(address).any(is_metadata_v4)
        }
    }
}

/// The IPv4 address that a NAT64 gateway with the well-known prefix 64:ff9b::/96 would dial.
pub(super) fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(join(high, low))
}

fn is_metadata_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || METADATA_V4.contains(&address)
}

fn reserved_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let inside = |network: &[u8; 4], length: u8| {
        let network = u32::from_be_bytes(*network);
        (bits ^ network) >> (32 - u32::from(length)) == 0
    };
    RESERVED_V4.iter().find(|(network, length, _)| inside(network, *length)).map(|(_, _, purpose)| *purpose)
}

fn reserved_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(purpose) = outside_global_unicast(address) {
        return Some(purpose);
    }
    if is_isatap(address) {
        return Some("ISATAP");
    }
    let bits = address.to_bits();
    let inside = |network: &[u16; 3], length: u8| {
        let [a, b, c] = network.map(u128::from);
        let network = a << 112 | b << 96 | c << 80;
        (bits ^ network) >> (128 - u32::from(length)) == 0
    };
    RESERVED_V6.iter().find(|(network, length, _)| inside(network, *length)).map(|(_, _, purpose)| *purpose)
}

/// What an address outside 2000::/3 is for. Nothing there is reached over the public internet, named or not.
fn outside_global_unicast(address: Ipv6Addr) -> Option<&'static str> {
    let [first, ..] = address.segments();
    if first & 0xe000 == 0x2000 {
        return None;
    }
    let purpose = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        [0, 0, 0, 0, 0, 0xffff, ..] => "IPv4-mapped",
        [0, 0, 0, 0, 0xffff, 0, ..] => "IPv4-translated",
        [0, 0, 0, 0, 0, 0, ..] => "IPv4-compatible",
        [0x64, 0xff9b, 1, ..] => "local NAT64",
        [0xfc00..=0xfdff, ..] => "unique local",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xfec0..=0xfeff, ..] => "site-local",
        [0xff00..=0xffff, ..] => "multicast",
        _ => "reserved",
    };
    Some(purpose)
}

/// Returns the IPv4 addresses that a packet to `address` may end at, for judging them as well. It holds every reading that is
/// not in 0.0.0.0/8, which no gateway forwards to and which the zeros around an address in another place read as; where all
/// readings are in there, it holds them all.
pub(super) fn reachable_v4(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let forwarded = |address: &Ipv4Addr| address.octets()[0] != 0;
    let any_forwarded = embedded_v4(address).any(|embedded| forwarded(&embedded));
    embedded_v4(address).filter(move |embedded| !any_forwarded || forwarded(embedded))
}

/// Whether the interface identifier is one of ISATAP's, which tunnel to the IPv4 address in its last four bytes.
fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, ..])
}

/// Every IPv4 address that some transition technology would read in an IPv6 address.
fn embedded_v4(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let one = |high, low| [Some(join(high, low)), None, None, None];
    let read = match address.segments() {
        // Unspecified and loopback are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 4],
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => one(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => one(high, low),
        [0x64, 0xff9b, 1, ..] => local_nat64(address),
        [0x2002, high, low, ..] => one(high, low),
        // Teredo: the server, and the client with its bits inverted.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [Some(join(server_high, server_low)), Some(join(!high, !low)), None, None]
        }
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => one(high, low),
        _ => [None; 4],
    };
    read.into_iter().flatten()
}

/// Reads an address below the local NAT64 prefix by each length that a prefix in there can have, 48, 56, 64 and 96 bits
/// (RFC 6052, 2.2): the address stands behind the prefix and leaves out the ninth byte.
fn local_nat64(address: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let [.., b6, b7, _, b9, b10, b11, b12, b13, b14, b15] = address.octets();
    [[b6, b7, b9, b10], [b7, b9, b10, b11], [b9, b10, b11, b12], [b12, b13, b14, b15]].map(|octets| Some(octets.into()))
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
