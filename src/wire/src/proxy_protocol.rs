//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): who is really connected.
//!
//! Version 1 is a line of text of at most 107 bytes, version 2 a binary header:
//! ```text
//! signature(12) version+command(1) family+protocol(1) length(2) addresses TLVs
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nom::bytes::complete::take;
use nom::number::complete::{be_u16, be_u32, be_u128};
use nom::{IResult, Parser};

/// The first bytes of version 2.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest version 1 line, with its end.
pub const MAX_V1_BYTES: usize = 107;
/// Addresses and TLVs of version 2 that are accepted.
pub const MAX_V2_BYTES: usize = 4096;

/// The two ends of the connection that the sender proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// The address it connected to.
    pub destination: SocketAddr,
}

/// What stands at the start of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// More bytes are needed.
    Partial,
    /// A header of `len` bytes. No ends: a health check of the proxy itself, or an unknown family.
    Complete {
        /// Its length; the connection's own bytes start behind it.
        len: usize,
        /// The ends, if told.
        ends: Option<Ends>,
    },
    /// Not a PROXY header: the connection is to be closed.
    Foreign,
}

/// Looks at the first bytes of a connection.
pub fn parse(bytes: &[u8]) -> Header {
    if starts(bytes, &SIGNATURE) {
        return version2(bytes);
    }
    if starts(bytes, b"PROXY ") {
        return version1(bytes);
    }
    Header::Foreign
}

/// Whether one of the two is a prefix of the other.
fn starts(bytes: &[u8], magic: &[u8]) -> bool {
    bytes.iter().zip(magic).all(|(byte, expected)| byte == expected)
}

fn version1(bytes: &[u8]) -> Header {
    let line = bytes.get(..bytes.len().min(MAX_V1_BYTES)).unwrap_or_default();
    let Some(end) = memchr::memchr(b'\n', line) else {
        return if bytes.len() >= MAX_V1_BYTES { Header::Foreign } else { Header::Partial };
    };
    let text = line.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let Some(text) = text.and_then(|line| std::str::from_utf8(line).ok()) else {
        return Header::Foreign;
    };
    let len = end + 1;
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Header::Complete { len, ends: None },
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            match (end_of(family, source, from), end_of(family, destination, to)) {
                (Some(source), Some(destination)) => {
                    Header::Complete { len, ends: Some(Ends { source, destination }) }
                }
                _ => Header::Foreign,
            }
        }
        _ => Header::Foreign,
    }
}

fn end_of(family: &str, address: &str, port: &str) -> Option<SocketAddr> {
    let address: IpAddr = address.parse().ok()?;
    let canonical = port == "0" || (!port.starts_with('0') && !port.starts_with('+'));
    let port: u16 = port.parse().ok().filter(|_| canonical)?;
    (address.is_ipv4() == (family == "TCP4")).then_some(SocketAddr::new(address, port))
}

fn version2(bytes: &[u8]) -> Header {
    let Some(([version_command, family, high, low], after)) =
        bytes.get(12..).and_then(|rest| rest.split_first_chunk::<4>())
    else {
        let bad = bytes.get(12).is_some_and(|byte| !matches!(byte, 0x20 | 0x21));
        return if bad { Header::Foreign } else { Header::Partial };
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if !matches!(version_command, 0x20 | 0x21) || length > MAX_V2_BYTES {
        return Header::Foreign;
    }
    let Some(body) = after.get(..length) else { return Header::Partial };
    let len = 16 + length;
    if *version_command == 0x20 {
        return Header::Complete { len, ends: None }; // LOCAL
    }
    let ends = match family >> 4 {
        1 => ends4(body).map(|(tlvs, ends)| (tlvs, Some(ends))),
        2 => ends6(body).map(|(tlvs, ends)| (tlvs, Some(ends))),
        _ => return Header::Complete { len, ends: None },
    };
    match ends {
        Ok((tlvs, ends)) if tlvs_are_whole(tlvs) => Header::Complete { len, ends },
        _ => Header::Foreign,
    }
}

fn ends4(i: &[u8]) -> IResult<&[u8], Ends> {
    (be_u32, be_u32, be_u16, be_u16)
        .map(|(source, destination, from, to)| Ends {
            source: SocketAddr::new(Ipv4Addr::from_bits(source).into(), from),
            destination: SocketAddr::new(Ipv4Addr::from_bits(destination).into(), to),
        })
        .parse(i)
}

fn ends6(i: &[u8]) -> IResult<&[u8], Ends> {
    (be_u128, be_u128, be_u16, be_u16)
        .map(|(source, destination, from, to)| Ends {
            source: SocketAddr::new(Ipv6Addr::from_bits(source).into(), from),
            destination: SocketAddr::new(Ipv6Addr::from_bits(destination).into(), to),
        })
        .parse(i)
}

fn tlvs_are_whole(mut tlvs: &[u8]) -> bool {
    while !tlvs.is_empty() {
        let one: IResult<&[u8], (&[u8], u16)> = (take(1usize), be_u16).parse(tlvs);
        let Ok((after, (_, length))) = one else { return false };
        let Some(next) = after.get(usize::from(length)..) else { return false };
        tlvs = next;
    }
    true
}

/// Writes a version 1 line.
pub fn write_v1(out: &mut Vec<u8>, ends: Ends) {
    let (source, destination) = same_family(ends);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let line = format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    );
    out.extend_from_slice(line.as_bytes());
}

/// Writes a version 2 header.
pub fn write_v2(out: &mut Vec<u8>, ends: Ends) {
    let (source, destination) = same_family(ends);
    out.extend_from_slice(&SIGNATURE);
    let (family, length): (u8, u16) = if source.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
    out.extend_from_slice(&[0x21, family]);
    out.extend_from_slice(&length.to_be_bytes());
    for end in [source, destination] {
        match end.ip() {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

/// Both ends must be of one family: IPv4 is mapped where the other is IPv6.
fn same_family(ends: Ends) -> (SocketAddr, SocketAddr) {
    let mapped = |end: SocketAddr| match end.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), end.port()),
        IpAddr::V6(_) => end,
    };
    if ends.source.is_ipv4() == ends.destination.is_ipv4() {
        (ends.source, ends.destination)
    } else {
        (mapped(ends.source), mapped(ends.destination))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(source: &str, destination: &str) -> Ends {
        Ends {
            source: source.parse().expect("an address"),
            destination: destination.parse().expect("an address"),
        }
    }

    #[test]
    fn both_versions_read_back_and_every_prefix_asks_for_more() {
        for ends in [ends("192.0.2.1:5", "192.0.2.9:443"), ends("[2001:db8::1]:5", "[::1]:443")] {
            for write in [write_v1, write_v2] {
                let mut bytes = Vec::new();
                write(&mut bytes, ends);
                let len = bytes.len();
                for cut in 0..len {
                    assert_eq!(parse(&bytes[..cut]), Header::Partial, "cut at {cut}");
                }
                bytes.extend_from_slice(b"GET /");
                assert_eq!(parse(&bytes), Header::Complete { len, ends: Some(ends) });
            }
        }
    }

    #[test]
    fn local_unknown_and_tlvs_are_understood() {
        let local = [&SIGNATURE[..], &[0x20, 0, 0, 3, 4, 0, 0]].concat();
        assert_eq!(parse(&local), Header::Complete { len: 19, ends: None });
        assert_eq!(parse(b"PROXY UNKNOWN x y\r\n"), Header::Complete { len: 19, ends: None });
        let tlv =
            [&SIGNATURE[..], &[0x21, 0x11, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2, 4, 0, 1, 9]]
                .concat();
        let expected = ends("1.2.3.4:1", "5.6.7.8:2");
        assert_eq!(parse(&tlv), Header::Complete { len: 32, ends: Some(expected) });
    }

    #[test]
    fn garbage_is_foreign() {
        let cut_tlv =
            [&SIGNATURE[..], &[0x21, 0x11, 0, 14, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2, 4, 0]]
                .concat();
        assert_eq!(parse(&cut_tlv), Header::Foreign);
        let bad_version = [&SIGNATURE[..], &[0x11]].concat();
        assert_eq!(parse(&bad_version), Header::Foreign);
        for line in [
            "GET / HTTP/1.1\r\n",
            "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY \n",
        ] {
            assert_eq!(parse(line.as_bytes()), Header::Foreign, "{line:?}");
        }
        assert_eq!(parse(&[b"PROXY ".to_vec(), vec![b'x'; 120]].concat()), Header::Foreign);
    }

    #[test]
    fn mutations_never_panic() {
        let mut seed = Vec::new();
        write_v2(&mut seed, ends("1.2.3.4:1", "5.6.7.8:2"));
        let mut state = 11u64;
        for _ in 0..20_000 {
            let mut bytes = seed.clone();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = (state >> 20) as u8;
            bytes.truncate(1 + (state >> 40) as usize % bytes.len());
            let _ = parse(&bytes);
        }
    }
}
