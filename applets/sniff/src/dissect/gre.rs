//! GRE (RFC 2784, RFC 2890).

use super::ether::{self, Link};
use super::registry::ETHERTYPE_NAMES;
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, HexN, Named, NamedHex, Names};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGEMENT: u16 = 0x0080;
const BRIDGED: u16 = 0x6558;

const FLAGS: Names = &[
    (0x8000, "checksum present"),
    (0x4000, "routing present"),
    (0x2000, "key present"),
    (0x1000, "sequence# present"),
    (0x0800, "source routing present"),
    (0x0080, "ack present"),
];

/// Prints a packet of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("gre");
    let flags = buf.be16_at(0)?;
    let version = flags & 7;
    put!(c, "GREv", Named(&[], version.into(), "", ""));
    match version {
        0 => version0(c, buf, len, flags),
        1 => version1(c, buf, len, flags),
        _ => {
            c.put(" ERROR: unknown-version");
            Ok(())
        }
    }
}

fn version0<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, flags: u16) -> Step {
    if c.verbose() {
        put!(c, ", Flags [", Bits(FLAGS, flags.into(), ", ", "none"), "]");
    }
    let kind = buf.be16_at(2)?;
    let mut at = 4;
    if flags & (CHECKSUM | ROUTING) != 0 {
        if c.verbose() {
            put!(c, ", sum 0x", HexN(buf.be16_at(at)?, 4));
        }
        put!(c, ", off 0x", crate::text::Hex(buf.be16_at(at + 2)?));
        at += 4;
    }
    if flags & KEY != 0 {
        put!(c, ", key=0x", crate::text::Hex(buf.be32_at(at)?));
        at += 4;
    }
    if flags & SEQUENCE != 0 {
        put!(c, ", seq ", buf.be32_at(at)?);
        at += 4;
    }
    if flags & ROUTING != 0 {
        at = routes(c, buf, len, at)?;
    }
    payload(c, buf, len, kind, at)
}

/// The route that the source chose, an address a hop, until an empty entry; where it ends.
fn routes<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, start: usize) -> Step<usize> {
    let mut at = start;
    while at + 4 <= len {
        let (family, offset) = (buf.be16_at(at)?, usize::from(buf.u8_at(at + 2)?));
        let size = usize::from(buf.u8_at(at + 3)?);
        at += 4;
        if size == 0 {
            break;
        }
        put!(c, ", (rtaf=0x", crate::text::Hex(family));
        if family == 0x0800 {
            if offset % 4 != 0 || size % 4 != 0 || offset > size {
                put!(c, " badoffset=", offset, " badlength=", size);
            } else {
                for hop in (0..size).step_by(4) {
                    c.put(if hop == offset { " *" } else { " " });
                    c.host4(buf, at + hop)?;
                }
            }
        }
        c.put(")");
        at += size;
        c.check_text()?;
    }
    Ok(at)
}

/// PPTP's form (RFC 2637).
fn version1<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, flags: u16) -> Step {
    if c.verbose() {
        put!(c, ", Flags [", Bits(FLAGS, flags.into(), ", ", "none"), "]");
    }
    let kind = buf.be16_at(2)?;
    let mut at = 4;
    if flags & KEY != 0 {
        put!(c, ", call ", buf.be16_at(at + 2)?);
        at += 4;
    }
    if flags & SEQUENCE != 0 {
        put!(c, ", seq ", buf.be32_at(at)?);
        at += 4;
    }
    if flags & ACKNOWLEDGEMENT != 0 {
        put!(c, ", ack ", buf.be32_at(at)?);
        at += 4;
    }
    if flags & SEQUENCE == 0 {
        put!(c, ", no-payload, length ", len);
        return Ok(());
    }
    payload(c, buf, len, kind, at)
}

fn payload<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, kind: u16, at: usize) -> Step {
    if c.options.link_header {
        put!(c, ", proto ", NamedHex(ETHERTYPE_NAMES, kind.into(), "unknown (0x", 4, ")"));
        put!(c, " (0x", HexN(kind, 4), ")");
    }
    put!(c, ", length ", len);
    c.put(if c.verbose() { "\n\t" } else { ": " });
    let (inner, left) = (buf.from(at), len.saturating_sub(at));
    match kind {
        0x00fe => c.nested(|c| super::osi::print(c, inner, left)),
        BRIDGED => c.nested(|c| ether::print(c, inner, left).map(drop)),
        _ if ether::by_ethertype(c, kind, inner, left, Link::NONE)? => Ok(()),
        _ => {
            put!(c, "gre-proto-0x", HexN(kind, 4));
            Ok(())
        }
    }
}
