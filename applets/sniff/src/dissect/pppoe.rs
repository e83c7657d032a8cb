//! PPP over Ethernet (RFC 2516), and of PPP what it carries: IP and the code of control packets.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, Stop, ppp, put};
use crate::text::{Hex, NamedHex, Names, Visible};

const HEADER_LEN: usize = 6;
const SESSION: u8 = 0;
const CODES: Names =
    &[(9, "PADI"), (7, "PADO"), (0x19, "PADR"), (0x65, "PADS"), (0xa7, "PADT"), (0, "")];
const TAGS: Names = &[
    (0, "EOL"),
    (0x101, "Service-Name"),
    (0x102, "AC-Name"),
    (0x103, "Host-Uniq"),
    (0x104, "AC-Cookie"),
    (0x105, "Vendor-Specific"),
    (0x110, "Relay-Session-ID"),
    (0x120, "PPP-Max-Payload"),
    (0x201, "Service-Name-Error"),
    (0x202, "AC-System-Error"),
    (0x203, "Generic-Error"),
];
/// A value is text when more of its first bytes are printable than not.
const SAMPLE: usize = 80;
/// A value that is not text shows this many bytes.
const SHOWN: usize = 20;

/// Prints a frame of discovery or of a session.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("pppoe");
    if len < HEADER_LEN {
        return Err(Stop::Truncated);
    }
    c.put("PPPoE ");
    buf.need(HEADER_LEN)?;
    let version = buf.u8_at(0)?;
    let code = buf.u8_at(1)?;
    let session = buf.be16_at(2)?;
    let inner_len = usize::from(buf.be16_at(4)?);
    if version >> 4 != 1 {
        put!(c, " [ver ", version >> 4, "]");
    }
    if version & 15 != 1 {
        put!(c, " [type ", version & 15, "]");
    }
    put!(c, NamedHex(CODES, u32::from(code), "PAD-", 1, ""));
    if session != 0 {
        put!(c, " [ses 0x", Hex(session), "]");
    }
    let inner = buf.from(HEADER_LEN).limit(inner_len);
    if code == SESSION {
        c.put(" ");
        return c.nested(|c| ppp::print(c, inner, inner_len));
    }
    tags(c, inner, inner_len)
}

/// As a link type.
pub fn link<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    print(c, buf, len)
}

fn tags<S: Sink>(c: &mut Ctx<S>, mut buf: Buf<'_>, mut left: usize) -> Step {
    while left > 0 {
        let kind = buf.be16_at(0)?;
        let len = usize::from(buf.be16_at(2)?);
        if kind == 0 {
            break;
        }
        buf = buf.from(4);
        put!(c, " [", NamedHex(TAGS, u32::from(kind), "TAG-0x", 1, ""));
        if len > 0 {
            let value = buf.bytes_at(0, len)?;
            let sample = buf.limit(SAMPLE.min(len)).bytes();
            let printable = sample.iter().filter(|byte| (b' '..0x7f).contains(*byte)).count();
            if printable > sample.len() - printable {
                put!(c, " \"", Visible(value), "\"");
            } else {
                c.put(" 0x");
                for &byte in value.iter().take(SHOWN) {
                    put!(c, UpperHex(byte));
                }
                if len > SHOWN {
                    c.put("...");
                }
            }
        }
        c.put("]");
        buf = buf.from(len);
        left = left.saturating_sub(4 + len);
    }
    Ok(())
}

/// Two upper-case digits.
struct UpperHex(u8);

impl crate::text::Put for UpperHex {
    fn put(&self, out: &mut Vec<u8>) {
        for digit in [self.0 >> 4, self.0 & 15] {
            out.push(if digit < 10 { b'0' + digit } else { b'A' + digit - 10 });
        }
    }
}
