//! The server name and protocols in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3,
//! RFC 7301), read before any key is chosen: for routing by name, and for display.
//!
//! ```text
//! record    type(1)=22 version(2) length(2) fragment
//! handshake type(1)=1 length(3)
//! hello     version(2) random(32) session(1+n) ciphers(2+n) compression(1+n) extensions(2+n)
//! ```
//! A hello may be spread over several records, and records over several reads.

use nom::bytes::complete::{tag, take};
use nom::combinator::rest;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u24};
use nom::{IResult, Parser};

/// A hello longer than this is refused: real ones stay under 2 KiB, post-quantum ones under 4.
pub const MAX_HELLO_BYTES: usize = 16 * 1024;

/// What a ClientHello says before the handshake goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The host of the server name extension, as sent; lower-cased by whoever compares it.
    pub server_name: Option<String>,
    /// The protocols of the ALPN extension, in the client's order.
    pub protocols: Vec<Vec<u8>>,
}

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// More bytes are needed.
    Partial,
    /// A whole ClientHello.
    Complete(ClientHello),
    /// Not a ClientHello.
    Foreign,
}

/// Looks at the first bytes of a connection.
pub fn parse(bytes: &[u8]) -> Hello {
    let mut fragments = Vec::new();
    let mut input = bytes;
    loop {
        match record(input) {
            Record::Partial if fragments.len() + input.len() > MAX_HELLO_BYTES => {
                return Hello::Foreign;
            }
            Record::Partial => return Hello::Partial,
            Record::Foreign => return Hello::Foreign,
            Record::Fragment(fragment, after) => {
                fragments.extend_from_slice(fragment);
                input = after;
            }
        }
        match handshake_length(&fragments) {
            Some(length) if length > MAX_HELLO_BYTES => return Hello::Foreign,
            Some(length) if fragments.len() >= length => {
                let body = fragments.get(4..length).unwrap_or_default();
                return hello(body).map_or(Hello::Foreign, |(_, hello)| Hello::Complete(hello));
            }
            Some(_) => {}
            None if fragments.first().is_some_and(|kind| *kind != 1) => return Hello::Foreign,
            None => {}
        }
    }
}

enum Record<'a> {
    Partial,
    Foreign,
    Fragment(&'a [u8], &'a [u8]),
}

fn record(input: &[u8]) -> Record<'_> {
    let magic: &[u8] = &[22, 3];
    if !input.iter().zip(magic).all(|(byte, expected)| byte == expected) {
        return Record::Foreign;
    }
    let [_, _, _, high, low, rest @ ..] = input else { return Record::Partial };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    match rest.split_at_checked(length) {
        _ if length == 0 || length > (1 << 14) => Record::Foreign,
        None => Record::Partial,
        Some((fragment, after)) => Record::Fragment(fragment, after),
    }
}

/// Header and body together, once the header is whole and says ClientHello.
fn handshake_length(fragments: &[u8]) -> Option<usize> {
    let header: IResult<&[u8], u32> = (tag(&[1u8][..]), be_u24).map(|(_, n)| n).parse(fragments);
    header.ok().map(|(_, length)| length as usize + 4)
}

fn hello(i: &[u8]) -> IResult<&[u8], ClientHello> {
    let (i, _) = (take(2usize), take(32usize)).parse(i)?;
    let (i, _) = (length_data(be_u8), length_data(be_u16), length_data(be_u8)).parse(i)?;
    let mut found = ClientHello::default();
    if i.is_empty() {
        return Ok((i, found)); // no extensions at all: RFC 5246 allows it
    }
    let (i, mut extensions) = length_data(be_u16).parse(i)?;
    while !extensions.is_empty() {
        let (after, (kind, body)) = (be_u16, length_data(be_u16)).parse(extensions)?;
        extensions = after;
        match kind {
            0 => found.server_name = server_name(body)?.1,
            16 => found.protocols = protocols(body)?.1,
            _ => {}
        }
    }
    Ok((i, found))
}

fn server_name(i: &[u8]) -> IResult<&[u8], Option<String>> {
    let (_, mut list) = length_data(be_u16).parse(i)?;
    while !list.is_empty() {
        let (after, (kind, name)) = (be_u8, length_data(be_u16)).parse(list)?;
        list = after;
        if kind == 0 {
            let printable = name.iter().all(|b| b.is_ascii_graphic());
            let name = std::str::from_utf8(name).ok().filter(|_| printable && name.len() <= 255);
            return Ok((list, name.map(str::to_owned)));
        }
    }
    Ok((list, None))
}

fn protocols(i: &[u8]) -> IResult<&[u8], Vec<Vec<u8>>> {
    let (_, mut list) = length_data(be_u16).parse(i)?;
    let mut found = Vec::new();
    while !list.is_empty() {
        let (after, name) = length_data(be_u8).parse(list)?;
        list = after;
        found.push(name.to_vec());
    }
    rest(list).map(|(left, _): (&[u8], &[u8])| (left, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minimal hello for `name` with ALPN h2 and http/1.1, as records of at most `record` bytes.
    pub(super) fn sample(name: &str, record: usize) -> Vec<u8> {
        let sized = |body: &[u8]| [&(body.len() as u16).to_be_bytes()[..], body].concat();
        let sni = [&[0u8][..], &sized(name.as_bytes())].concat();
        let sni = [&[0, 0][..], &sized(&sized(&sni))].concat();
        let alpn = [&[0, 16][..], &sized(&sized(b"\x02h2\x08http/1.1"))].concat();
        let extensions = sized(&[sni, alpn].concat());
        let hello =
            [&[3, 3][..], &[7; 32], &[0], &sized(&[0x13, 1]), &[1, 0], &extensions].concat();
        let length = (hello.len() as u32).to_be_bytes();
        let message = [&[1][..], &length[1..], &hello].concat();
        message.chunks(record).flat_map(|part| [&[22, 3, 1][..], &sized(part)].concat()).collect()
    }

    #[test]
    fn name_and_protocols_are_found_in_one_record_or_many() {
        for record in [1, 7, 40, 4000] {
            let Hello::Complete(hello) = parse(&sample("web.edge.test", record)) else {
                panic!("records of {record}")
            };
            assert_eq!(hello.server_name.as_deref(), Some("web.edge.test"));
            assert_eq!(hello.protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        }
    }

    #[test]
    fn every_prefix_asks_for_more() {
        let bytes = sample("a.test", 50);
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Hello::Partial, "cut at {cut}");
        }
    }

    #[test]
    fn anything_else_is_foreign() {
        assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Hello::Foreign);
        assert_eq!(parse(&[22, 3, 1, 0, 0]), Hello::Foreign);
        assert_eq!(parse(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Hello::Foreign);
    }

    #[test]
    fn mutations_never_panic() {
        let seed = sample("web.edge.test", 60);
        let mut state = 7u64;
        for round in 0..20_000usize {
            let mut bytes = seed.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] = (state >> 20) as u8;
            }
            bytes.truncate(bytes.len() - round % 40);
            let _ = parse(&bytes);
        }
    }
}
