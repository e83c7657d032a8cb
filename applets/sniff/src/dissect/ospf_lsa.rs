//! Link state advertisements of OSPF version 2 (RFC 2328 annex A.4).

use super::{Buf, Ctx, Sink, Step, Stop, ospf_grace, ospf_traffic, put};
use crate::text::{Bits, HexN, Names, name_or};

/// Kinds of advertisements.
pub const KINDS: Names = &[
    (1, "Router"),
    (2, "Network"),
    (3, "Summary"),
    (4, "ASBR Summary"),
    (5, "External"),
    (6, "Multicast Group"),
    (7, "NSSA"),
    (9, "Link Local Opaque"),
    (10, "Area Local Opaque"),
    (11, "Domain Wide Opaque"),
];
const OPTIONS: Names = &[
    (0x01, "MultiTopology"),
    (0x02, "External"),
    (0x04, "Multicast"),
    (0x08, "NSSA"),
    (0x10, "LLS"),
    (0x20, "Demand Circuit"),
    (0x40, "Opaque"),
    (0x80, "Up/Down"),
];
const OPAQUE: Names =
    &[(1, "Traffic Engineering"), (3, "Graceful restart"), (4, "Router Information")];
const ROUTER: Names =
    &[(0x01, "ABR"), (0x02, "ASBR"), (0x04, "Virtual"), (0x08, "W2"), (0x10, "Nt")];
const TOPOLOGIES: Names = &[(0, "default"), (1, "multicast"), (2, "management")];
const CAPABILITIES: Names = &[
    (1, "Reserved"),
    (2, "Reserved"),
    (4, "Reserved"),
    (8, "Reserved"),
    (16, "graceful restart capable"),
    (32, "graceful restart helper"),
    (64, "Stub router support"),
    (128, "Traffic engineering"),
    (256, "p2p over LAN"),
    (512, "path computation server"),
];
const HEADER_LEN: usize = 20;

/// Options of packets and advertisements, behind a word that opens a bracket.
pub fn options<S: Sink>(c: &mut Ctx<S>, word: &str, options: u8) {
    put!(c, word, Bits(OPTIONS, options.into(), ", ", "none"), "]");
}

/// What an advertisement is of: an address, or an opaque type and number.
pub fn identity<S: Sink>(c: &mut Ctx<S>, kind: u32, buf: Buf<'_>, at: usize) -> Step {
    if matches!(kind, 9..=11) {
        let opaque = buf.u8_at(at)?;
        put!(c, ", Opaque-Type ", name_or(OPAQUE, opaque.into(), "unknown"), " LSA (", opaque);
        put!(c, "), Opaque-ID ", buf.be24_at(at + 1)?);
        return Ok(());
    }
    c.put(", LSA-ID: ");
    c.host4(buf, at)
}

/// Prints the header of an advertisement and returns the length of what follows it.
pub fn header<S: Sink>(c: &mut Ctx<S>, lsa: Buf<'_>) -> Step<usize> {
    let len = lsa.be16_at(18)?;
    let Some(inner) = usize::from(len).checked_sub(HEADER_LEN) else {
        put!(c, "\n\t    Bogus length ", len, " < header (20)");
        return Err(Stop::Truncated);
    };
    c.put("\n\t  Advertising Router ");
    c.host4(lsa, 8)?;
    put!(c, ", seq 0x", HexN(lsa.be32_at(12)?, 8), ", age ", lsa.be16_at(0)?, "s, length ");
    put!(c, inner);
    let kind = lsa.u8_at(3)?;
    put!(c, "\n\t    ", name_or(KINDS, kind.into(), "unknown"), " LSA (", kind, ")");
    identity(c, kind.into(), lsa, 4)?;
    options(c, "\n\t    Options: [", lsa.u8_at(2)?);
    Ok(inner)
}

/// Prints an advertisement; what lies behind it.
pub fn print<'a, S: Sink>(c: &mut Ctx<S>, lsa: Buf<'a>) -> Step<Buf<'a>> {
    let inner_len = header(c, lsa)?;
    let whole = lsa.from(HEADER_LEN);
    let body = whole.limit(inner_len);
    match lsa.u8_at(3)? {
        1 => router(c, body)?,
        2 => {
            body.need(4)?;
            c.put("\n\t    Mask ");
            c.host4(body, 0)?;
            c.put("\n\t    Connected Routers:");
            let mut rest = body.from(4);
            while !rest.is_empty() {
                rest.need(4)?;
                c.put("\n\t      ");
                c.host4(rest, 0)?;
                rest = rest.from(4);
            }
        }
        kind @ (3 | 4) => {
            body.need(4)?;
            if kind == 3 {
                c.put("\n\t    Mask ");
                c.host4(body, 0)?;
            }
            let mut rest = body.from(4);
            while !rest.is_empty() {
                let word = rest.be32()?;
                topology(c, "\n\t\t", (word >> 24) as u8);
                put!(c, " metric ", word & 0xff_ffff);
            }
        }
        5 | 7 => external(c, body)?,
        6 => {
            let mut rest = body;
            while !rest.is_empty() {
                rest.need(8)?;
                match rest.be32_at(0)? {
                    1 => c.put("\n\t    Router Router-ID "),
                    2 => c.put("\n\t    Network Designated Router "),
                    kind => {
                        put!(c, "\n\t    unknown VertexType (", kind, ")");
                        break;
                    }
                }
                c.host4(rest, 4)?;
                rest = rest.from(8);
            }
        }
        9..=11 => match lsa.u8_at(4)? {
            1 => ospf_traffic::print(c, body)?,
            3 => ospf_grace::print(c, body)?,
            4 => information(c, body)?,
            _ if c.options.verbose <= 1 => c.hex_print("\n\t    ", body, inner_len),
            _ => {}
        },
        _ => {}
    }
    if c.options.verbose > 1 {
        c.hex_print("\n\t    ", body, inner_len);
    }
    whole.need(inner_len)?;
    Ok(whole.from(inner_len))
}

fn topology<S: Sink>(c: &mut Ctx<S>, before: &str, number: u8) {
    put!(c, before, "topology ", name_or(TOPOLOGIES, number.into(), "Unknown"), " (", number, "),");
}

fn router<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let flags = Bits(ROUTER, body.u8_at(0)?.into(), ", ", "none");
    put!(c, "\n\t    Router LSA Options: [", flags, "]");
    let count = body.be16_at(2)?;
    let mut rest = body.from(4);
    for _ in 0..count {
        rest.need(12)?;
        let kind = rest.u8_at(8)?;
        let (word, second) = match kind {
            1 => ("\n\t      Neighbor Router-ID: ", ", Interface Address: "),
            2 => ("\n\t      Neighbor Network-ID: ", ", Interface Address: "),
            3 => ("\n\t      Stub Network: ", ", Mask: "),
            4 => ("\n\t      Virtual Link: Neighbor Router-ID: ", ", Interface Address: "),
            _ => {
                put!(c, "\n\t      Unknown Router Link Type (", kind, ")");
                return Ok(());
            }
        };
        c.put(word);
        c.host4(rest, 0)?;
        c.put(second);
        c.host4(rest, 4)?;
        let metrics = rest.u8_at(9)?;
        topology(c, "\n\t\t", 0);
        put!(c, " metric ", rest.be16_at(10)?);
        rest = rest.from(12);
        for _ in 0..metrics {
            rest.need(4)?;
            topology(c, "\n\t\t", rest.u8_at(0)?);
            put!(c, " metric ", rest.be16_at(2)?);
            rest = rest.from(4);
        }
        c.check_text()?;
    }
    Ok(())
}

fn external<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    body.need(4)?;
    c.put("\n\t    Mask ");
    c.host4(body, 0)?;
    let mut rest = body.from(4);
    while !rest.is_empty() {
        let word = rest.be32_at(0)?;
        topology(c, "\n\t\t", (word >> 24 & 0x7f) as u8);
        put!(c, " type ", if word & 0x8000_0000 != 0 { 2u8 } else { 1 }, ", metric");
        match word & 0xff_ffff {
            0xff_ffff => c.put(" infinite"),
            metric => put!(c, " ", metric),
        }
        if rest.be32_at(4)? != 0 {
            c.put(", forward ");
            c.host4(rest, 4)?;
        }
        if rest.be32_at(8)? != 0 {
            c.put(", tag ");
            c.host4(rest, 8)?;
        }
        rest = rest.from(12);
    }
    Ok(())
}

/// RFC 7770.
fn information<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let mut rest = body;
    while !rest.is_empty() {
        if !rest.has(4) {
            put!(c, "\n\t    Remaining LS length ", rest.len(), " < 4");
            return Ok(());
        }
        let (kind, len) = (rest.be16()?, usize::from(rest.be16()?));
        let name = if kind == 1 { "Router Capabilities" } else { "unknown" };
        put!(c, "\n\t    ", name, " TLV (", kind, "), length: ", len, ", value: ");
        let Ok(value) = rest.take(len) else {
            put!(c, "\n\t    Bogus length ", len, " > remaining LS length ", rest.len());
            return Ok(());
        };
        let value = Buf::new(value);
        match kind {
            1 if len != 4 => {
                put!(c, "\n\t    Bogus length ", len, " != 4");
                return Ok(());
            }
            1 => put!(c, "Capabilities: ", Bits(CAPABILITIES, value.be32_at(0)?, ", ", "Unknown")),
            _ if c.options.verbose <= 1 => c.hex_print("\n\t      ", value, len),
            _ => {}
        }
        rest = rest.from(len.wrapping_neg() & 3);
    }
    Ok(())
}
