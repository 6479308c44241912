//! Which addresses are of the public internet. An upstream whose configuration says `deny_private` is reached at no other,
//! whatever its name resolves to. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is of this machine, of a private network, of a cloud's metadata service, or of nobody.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

/// Source: the IANA IPv4 Special-Purpose Address Registry. 168.63.129.16 is a public address by that, and in Azure the
/// platform's own, which knows what it gave to a machine.
fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    ) || address.octets() == [168, 63, 129, 16]
}

/// Source: the IANA IPv6 Special-Purpose Address Registry. Addresses that hold an IPv4 one are what that one is.
fn is_private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Only 2000::/3 is in use on the internet; Teredo, documentation and the like are not.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => true,
        [first, ..] => !(0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_and_private_addresses() {
        let check = |addresses: &[&str], expected: bool| {
            for address in addresses {
                assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
            }
        };
        check(
            &["1.1.1.1", "8.8.8.8", "100.63.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1", "223.255.255.1"],
            false,
        );
        check(
            &["2606:4700:4700::1111", "2001:4860:4860::8888", "64:ff9b::808:808", "2002:808:808::1"],
            false,
        );
        check(
            &[
                "0.0.0.0",
                "10.1.2.3",
                "100.64.0.1",
                "127.0.0.1",
                "127.8.8.8",
                "169.254.169.254",
                "168.63.129.16",
                "172.16.0.1",
                "192.168.1.1",
            ],
            true,
        );
        check(
            &["192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "203.0.113.9"],
            true,
        );
        check(
            &[
                "::",
                "::1",
                "fe80::1",
                "fec0::1",
                "fc00::1",
                "fd00:ec2::254",
                "ff02::1",
                "2001:db8::1",
                "100::1",
            ],
            true,
        );
        check(
            &[
                "::ffff:127.0.0.1",
                "::ffff:169.254.169.254",
                "64:ff9b::a9fe:a9fe",
                "2002:7f00:1::",
                "::7f00:1",
            ],
            true,
        );
    }
}
