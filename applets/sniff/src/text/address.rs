//! Addresses as text: IPv4, IPv6 in the form of RFC 5952, link-layer addresses.

use super::{Put, hex_pair};

/// An IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ip4(pub [u8; 4]);

/// An IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ip6(pub [u8; 16]);

/// Bytes in two digits each with colons between.
#[derive(Clone, Copy, Debug)]
pub struct Mac<'a>(pub &'a [u8]);

/// An address of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// IPv4.
    V4(Ip4),
    /// IPv6.
    V6(Ip6),
}

const fn decimals() -> [[u8; 4]; 256] {
    let mut table = [[0; 4]; 256];
    let mut n = 0;
    while n < 256 {
        let digits = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        // The fourth byte is the length.
        table[n] = if n >= 100 {
            [digits[0], digits[1], digits[2], 3]
        } else if n >= 10 {
            [digits[1], digits[2], 0, 2]
        } else {
            [digits[2], 0, 0, 1]
        };
        n += 1;
    }
    table
}

static DECIMALS: [[u8; 4]; 256] = decimals();

impl Put for Ip4 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        // The longest address has 15 bytes; one append costs less than seven.
        let mut text = [0u8; 16];
        let mut at = 0;
        for (place, octet) in self.0.into_iter().enumerate() {
            if place > 0 {
                text[at & 15] = b'.';
                at += 1;
            }
            let digits = DECIMALS[usize::from(octet)];
            for digit in &digits[..3] {
                text[at & 15] = *digit;
                at += 1;
            }
            at -= 3 - usize::from(digits[3]);
        }
        out.extend_from_slice(&text[..at & 15]);
    }
}

impl Put for Ip6 {
    fn put(&self, out: &mut Vec<u8>) {
        let groups: [u16; 8] =
            std::array::from_fn(|i| u16::from_be_bytes([self.0[2 * i], self.0[2 * i + 1]]));
        let (start, len) = longest_zeros(&groups);
        // Mapped and compatible addresses end in IPv4 form, as inet_ntop writes them.
        let embedded = start == 0 && (len == 6 || len == 5 && groups[5] == 0xffff)
            || start == 0 && len == 7 && groups[7] != 1;
        let mut at = 0;
        while at < 8 {
            if len >= 2 && at == start {
                out.extend_from_slice(b"::");
                at += len;
                continue;
            }
            if embedded && at == 6 {
                break;
            }
            if at > 0 && !(len >= 2 && at == start + len) {
                out.push(b':');
            }
            super::hex(out, u64::from(groups[at]), 1);
            at += 1;
        }
        if embedded && len != 7 {
            if out.last() != Some(&b':') {
                out.push(b':');
            }
            Ip4([self.0[12], self.0[13], self.0[14], self.0[15]]).put(out);
        }
    }
}

/// Start and length of the longest run of zero groups, the first of equals.
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let mut best = (8, 0);
    let mut run = (0, 0);
    for (at, group) in groups.iter().enumerate() {
        if *group == 0 {
            if run.1 == 0 {
                run.0 = at;
            }
            run.1 += 1;
            if run.1 > best.1 {
                best = run;
            }
        } else {
            run.1 = 0;
        }
    }
    if best.1 < 2 { (8, 0) } else { best }
}

impl Put for Address {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Address::V4(address) => address.put(out),
            Address::V6(address) => address.put(out),
        }
    }
}

impl Put for Mac<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        for (at, byte) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(b':');
            }
            out.extend_from_slice(&hex_pair(*byte));
        }
    }
}

impl From<std::net::IpAddr> for Address {
    fn from(address: std::net::IpAddr) -> Address {
        match address {
            std::net::IpAddr::V4(address) => Address::V4(Ip4(address.octets())),
            std::net::IpAddr::V6(address) => Address::V6(Ip6(address.octets())),
        }
    }
}

impl Address {
    /// How the first `bits` bits compare with those of `other`; of one family only.
    pub fn prefix_order(self, other: Address, bits: u32) -> Option<std::cmp::Ordering> {
        let (left, right, width) = match (self, other) {
            (Address::V4(left), Address::V4(right)) => {
                (u32::from_be_bytes(left.0).into(), u32::from_be_bytes(right.0).into(), 32)
            }
            (Address::V6(left), Address::V6(right)) => {
                (u128::from_be_bytes(left.0), u128::from_be_bytes(right.0), 128u32)
            }
            _ => return None,
        };
        let shift = width.saturating_sub(bits);
        let cut = |value: u128| value.checked_shr(shift).unwrap_or(0);
        Some(cut(left).cmp(&cut(right)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn text(value: impl Put) -> String {
        let mut out = Vec::new();
        value.put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn addresses_agree_with_the_standard_library() {
        let mut seed = 1u64;
        for _ in 0..20_000 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let v4 = (seed >> 32) as u32;
            assert_eq!(text(Ip4(v4.to_be_bytes())), Ipv4Addr::from(v4).to_string());
            let mut v6 = [0u8; 16];
            for (at, byte) in v6.iter_mut().enumerate() {
                if seed >> (at + 8) & 1 == 1 {
                    *byte = (seed >> at) as u8;
                }
            }
            // The library writes only mapped addresses with dots.
            if v6[..10] != [0; 10] {
                assert_eq!(text(Ip6(v6)), Ipv6Addr::from(v6).to_string());
            }
        }
    }

    #[test]
    fn the_special_forms_are_those_of_inet_ntop() {
        for (address, expected) in [
            ("::", "::"),
            ("::1", "::1"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("1::", "1::"),
            ("1:0:0:2::3", "1:0:0:2::3"),
            ("64:ff9b::1", "64:ff9b::1"),
            ("1:2:3:4:5:6:0:8", "1:2:3:4:5:6:0:8"),
        ] {
            let address: Ipv6Addr = address.parse().unwrap();
            assert_eq!(text(Ip6(address.octets())), expected);
        }
        assert_eq!(text(Mac(&[0, 0x1b, 0xff])), "00:1b:ff");
    }
}
