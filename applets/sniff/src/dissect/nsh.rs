//! The network service header (RFC 8300).

use super::{Buf, Ctx, Sink, Step, Stop, ether, ip, ip6, put};
use crate::text::{Bits, DecN, Hex, HexN, NamedHex, Names};

const FLAGS: Names = &[(1, "U"), (2, "O")];
const METADATA: Names = &[(0, "reserved"), (1, "1"), (2, "2"), (15, "experimental")];
const NEXT: Names = &[
    (1, "IPv4"),
    (2, "IPv6"),
    (3, "Ethernet"),
    (4, "NSH"),
    (5, "MPLS"),
    (0xfe, "Experiment 1"),
    (0xff, "Experiment 2"),
];

/// Prints a header and what it carries.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("nsh");
    if len < 8 {
        put!(c, " (packet length ", len, " < 8)");
        return Err(Stop::Invalid);
    }
    let base = buf.be32_at(0)?;
    let words = base >> 16 & 0x3f;
    let (metadata, next) = (base >> 8 & 15, base & 0xff);
    c.put("NSH, ");
    if c.options.verbose > 1 {
        put!(c, "ver ", base >> 30, ", ");
    }
    if base >> 30 != 0 {
        return Ok(());
    }
    put!(c, "flags [", Bits(FLAGS, base >> 28 & 3, "", "none"), "], ");
    if c.options.verbose > 2 {
        put!(c, "TTL ", base >> 22 & 0x3f, ", length ", words, ", ");
        put!(c, "md type ", NamedHex(METADATA, metadata, "unknown (0x", 2, ")"), ", ");
    }
    if c.options.verbose > 1 {
        put!(c, "next-protocol ", NamedHex(NEXT, next, "unknown (0x", 2, ")"), ", ");
    }
    let header_len = words as usize * 4;
    if len < header_len {
        put!(c, " (too many headers for packet length ", len, ")");
        return Err(Stop::Invalid);
    }
    put!(c, "service-path-id 0x", HexN(buf.be24_at(4)?, 6), ", ");
    put!(c, "service-index 0x", Hex(buf.u8_at(7)?));
    if words < 2 {
        c.put(" (less than two headers)");
        return Err(Stop::Invalid);
    }
    let context = Buf::new(buf.bytes_at(8, header_len - 8)?);
    if c.options.verbose > 2 {
        match metadata {
            1 => fixed(c, context)?,
            2 => variable(c, context)?,
            _ => {}
        }
    }
    c.put(if c.verbose() { "\n    " } else { ": " });
    let (inner, left) = (buf.from(header_len), len - header_len);
    c.nested(|c| match next {
        1 => ip::print(c, inner, left),
        2 => ip6::print(c, inner, left),
        3 => ether::print(c, inner, left).map(drop),
        _ => {
            c.put("ERROR: unknown-next-protocol");
            Ok(())
        }
    })
}

/// Type 1: four words.
fn fixed<S: Sink>(c: &mut Ctx<S>, context: Buf<'_>) -> Step {
    if context.len() != 16 {
        c.put(" (length for the MD type)");
        return Err(Stop::Invalid);
    }
    for word in 0..4usize {
        put!(c, "\n        Context[", DecN(word as u32, 2), "]: 0x");
        put!(c, HexN(context.be32_at(word * 4)?, 8));
    }
    Ok(())
}

/// Type 2: class, type, length, value, padded to words.
fn variable<S: Sink>(c: &mut Ctx<S>, context: Buf<'_>) -> Step {
    let mut context = context;
    while !context.is_empty() {
        let (class, kind, value_len) = (context.be16()?, context.u8()?, context.u8()? & 0x7f);
        put!(c, "\n        TLV Class ", class, ", Type ", kind, ", Len ", value_len);
        let padded = usize::from(value_len).next_multiple_of(4);
        if padded > context.len() {
            c.put(" (length too big)");
            return Err(Stop::Invalid);
        }
        if value_len > 0 {
            c.put("\n            Value: ");
            let value = context.take(padded)?;
            let mut separator = "0x";
            for byte in value.iter().take(value_len.into()) {
                put!(c, separator, HexN(*byte, 2));
                separator = ":";
            }
        }
        c.check_text()?;
    }
    Ok(())
}
