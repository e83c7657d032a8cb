//! Frames as bytes.

use std::net::{IpAddr, SocketAddr};

use nom::bytes::complete::take;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};

/// Bytes of a frame header.
pub const HEADER_BYTES: usize = 8;
/// The largest DATA payload: one TLS record.
pub const MAX_DATA_BYTES: usize = 16 * 1024;
/// The largest payload of any frame.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// The sender's direction ends behind this frame (OPEN, DATA).
pub const FIN: u8 = 1;
/// The answer to a PING.
pub const ACK: u8 = 1;
/// Whoever does not know the kind may skip the frame.
pub const SKIP: u8 = 8;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Bytes of a stream.
    Data = 0,
    /// A new stream.
    Open = 1,
    /// More room to send.
    Credit = 2,
    /// The stream is broken off.
    Reset = 3,
    /// Is the peer alive, and how far away?
    Ping = 4,
    /// No new streams.
    GoAway = 5,
    /// First frame of the agent.
    Hello = 6,
    /// The edge takes the agent.
    Welcome = 7,
    /// The edge does not take the agent.
    Reject = 8,
    /// JSON on stream 0.
    Control = 9,
}

impl Kind {
    fn of(number: u8) -> Option<Kind> {
        use Kind::*;
        [Data, Open, Credit, Reset, Ping, GoAway, Hello, Welcome, Reject, Control]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `None`: unknown, to be skipped.
    pub kind: Option<Kind>,
    /// FIN, ACK, SKIP.
    pub flags: u8,
    /// Bytes of payload.
    pub length: usize,
    /// The stream, 0 for the lane itself.
    pub stream: u32,
}

/// Bytes that are no frame: the lane is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Reads a header; `None` when bytes are missing.
///
/// # Errors
/// An unknown kind that may not be skipped, or a length beyond the limits.
pub fn header(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some([first, a, b, c, s @ ..]) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let (number, flags) = (first >> 4, first & 0xf);
    let kind = Kind::of(number);
    if kind.is_none() && flags & SKIP == 0 {
        return Err(Malformed("a frame of an unknown kind"));
    }
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    let limit = if kind == Some(Kind::Data) { MAX_DATA_BYTES } else { MAX_PAYLOAD_BYTES };
    if length > limit {
        return Err(Malformed("a frame that is too long"));
    }
    Ok(Some(Header { kind, flags, length, stream: u32::from_be_bytes(*s) }))
}

/// Writes a header.
pub fn write_header(out: &mut Vec<u8>, kind: Kind, flags: u8, length: usize, stream: u32) {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    out.extend_from_slice(&[(kind as u8) << 4 | flags, a, b, c]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Writes a frame whose payload is one number.
pub fn write_number(out: &mut Vec<u8>, kind: Kind, stream: u32, number: u32) {
    write_header(out, kind, 0, 4, stream);
    out.extend_from_slice(&number.to_be_bytes());
}

/// Reads the payload of [`write_number`].
pub fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// What a new stream is: which tunnel it belongs to, and who the visitor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHead {
    /// The tunnel, by the number the agent gave it.
    pub tunnel: u32,
    /// The visitor's address.
    pub client: SocketAddr,
    /// Host or server name that the visitor asked for; may be empty.
    pub host: String,
}

impl OpenHead {
    /// Writes the head with its length in front.
    pub fn write(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.tunnel.to_be_bytes());
        match self.client.ip() {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
        out.extend_from_slice(&self.client.port().to_be_bytes());
        let host = &self.host.as_bytes()[..self.host.len().min(255)];
        out.push(host.len() as u8);
        out.extend_from_slice(host);
        let length = ((out.len() - at - 2) as u16).to_be_bytes();
        out[at..at + 2].copy_from_slice(&length);
    }

    /// Reads a head; what follows it is the first data. Bytes at the end of the head that this
    /// version does not know are skipped.
    pub fn parse(payload: &[u8]) -> Option<(OpenHead, usize)> {
        let (rest, head) = open_head(payload).ok()?;
        Some((head, payload.len() - rest.len()))
    }
}

fn open_head(i: &[u8]) -> IResult<&[u8], OpenHead> {
    let (rest, head) = length_data(be_u16).parse(i)?;
    let (head, (tunnel, family)) = (be_u32, be_u8).parse(head)?;
    let (head, ip) = match family {
        4 => take(4usize)
            .map(|b: &[u8]| <[u8; 4]>::try_from(b).ok().map(IpAddr::from))
            .parse(head)?,
        _ => take(16usize)
            .map(|b: &[u8]| <[u8; 16]>::try_from(b).ok().map(IpAddr::from))
            .parse(head)?,
    };
    let (_, (port, host)) = (be_u16, length_data(be_u8)).parse(head)?;
    let ip = ip.unwrap_or(IpAddr::from([0u8; 4]));
    let host = String::from_utf8_lossy(host).into_owned();
    Ok((rest, OpenHead { tunnel, client: SocketAddr::new(ip, port), host }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_back_and_short_ones_ask_for_more() {
        let mut out = Vec::new();
        write_header(&mut out, Kind::Data, FIN, 16_384, 0x0102_0304);
        let expected =
            Header { kind: Some(Kind::Data), flags: FIN, length: 16_384, stream: 0x0102_0304 };
        assert_eq!(header(&out), Ok(Some(expected)));
        for cut in 0..8 {
            assert_eq!(header(&out[..cut]), Ok(None));
        }
    }

    #[test]
    fn unknown_kinds_need_the_skip_flag() {
        assert!(header(&[0xf0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(
            header(&[0xf8, 0, 0, 0, 0, 0, 0, 0]).is_ok_and(|h| h.is_some_and(|h| h.kind.is_none()))
        );
        assert!(header(&[0x00, 1, 0, 0, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn open_heads_read_back_with_the_data_behind_them() {
        for client in ["1.2.3.4:5", "[2001:db8::7]:65535"] {
            let head = OpenHead {
                tunnel: 7,
                client: client.parse().expect("an address"),
                host: "web.edge.test".to_owned(),
            };
            let mut out = Vec::new();
            head.write(&mut out);
            let len = out.len();
            out.extend_from_slice(b"data");
            assert_eq!(OpenHead::parse(&out), Some((head, len)));
            for cut in 0..len {
                assert_eq!(OpenHead::parse(&out[..cut]), None);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut state = 3u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bytes = state.to_be_bytes().repeat(5);
            bytes.truncate((state >> 20) as usize % 40);
            let _ = header(&bytes);
            let _ = OpenHead::parse(&bytes);
        }
    }
}
