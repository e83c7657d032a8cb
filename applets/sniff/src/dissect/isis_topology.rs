//! Topologies and capabilities in IS-IS: RFC 5120, shortest path bridging (RFC 6329), router
//! capabilities (RFC 7981, RFC 8667).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, Hex, HexN, Names, name_or};

const TOPOLOGIES: Names = &[
    (0, "IPv4 unicast"),
    (1, "In-Band Management"),
    (2, "IPv6 unicast"),
    (3, "Multicast"),
    (4095, "Development, Experimental or Proprietary"),
];
const TOPOLOGY_FLAGS: Names = &[(0x4000, "ATT bit set"), (0x8000, "Overload bit set")];
const PORT: Names = &[(4, "SPB MCID"), (5, "SPB Digest"), (6, "SPB BVID")];
const BRIDGE: Names = &[(1, "SPB Instance"), (3, "SPBM Service Identifier and Unicast Address")];
const ROUTER_FLAGS: Names = &[(0x01, "S bit"), (0x02, "D bit")];
const ROUTER: Names = &[(2, "SR-Capabilities")];
const SEGMENT_FLAGS: Names = &[(0x80, "ipv4"), (0x40, "ipv6")];

/// Prints one of the values that hang on topologies.
pub fn print<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    match kind {
        143 => {
            let head = value.be16_at(0)?;
            put!(c, "\n\t       RES: ", head >> 12, ", MTID(s): ", head & 0xfff);
            inner(c, value.from(2), "\n\t       ", PORT, port)
        }
        144 => {
            let head = value.be16_at(0)?;
            put!(c, "\n\t      O: ", head >> 15, ", RES: ", head >> 12 & 7);
            put!(c, ", MTID(s): ", head & 0xfff);
            inner(c, value.from(2), "\n\t      ", BRIDGE, bridge)
        }
        242 => {
            if !value.has(5) {
                return Ok(());
            }
            c.put("\n\t      Router-ID ");
            c.host4(value, 0)?;
            put!(c, ", Flags [", Bits(ROUTER_FLAGS, value.u8_at(4)?.into(), ", ", "none"), "]");
            inner(c, value.from(5), "\n\t\t", ROUTER, router)
        }
        _ => {
            let mut rest = value;
            while rest.has(2) {
                topology(c, rest)?;
                rest = rest.from(2);
            }
            Ok(())
        }
    }
}

/// A topology and its flags.
pub fn topology<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let word = u32::from(value.be16_at(0)?);
    let name = name_or(TOPOLOGIES, word & 0xfff, "Reserved for IETF Consensus");
    put!(c, "\n\t      ", name, " Topology (0x", HexN(word & 0xfff, 3), "), Flags: [");
    put!(c, Bits(TOPOLOGY_FLAGS, word & 0xf000, ", ", "none"), "]");
    Ok(())
}

/// Values inside a value, each by its own function.
fn inner<S: Sink>(
    c: &mut Ctx<S>,
    value: Buf<'_>,
    ident: &str,
    names: Names,
    each: fn(&mut Ctx<S>, u8, Buf<'_>) -> Step,
) -> Step {
    let mut rest = value;
    while rest.has(2) {
        let (kind, len) = (rest.u8()?, usize::from(rest.u8()?));
        put!(c, ident, name_or(names, kind.into(), "unknown"), " subTLV #", kind);
        put!(c, ", length: ", len);
        let Ok(body) = rest.take(len) else {
            c.put(" (> containing TLV length)");
            return Ok(());
        };
        each(c, kind, Buf::new(body))?;
        c.check_text()?;
    }
    Ok(())
}

fn too_short<S: Sink>(c: &mut Ctx<S>, least: usize) -> Step {
    put!(c, " (< ", least, ")");
    c.invalid();
    Ok(())
}

fn port<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    match kind {
        4 if !body.has(102) => too_short(c, 102)?,
        4 => {
            c.put("\n\t         MCID: ");
            configuration(c, body)?;
            c.put("\n\t         AUX-MCID: ");
            configuration(c, body.from(51))?;
        }
        5 if !body.has(33) => too_short(c, 33)?,
        5 => {
            let head = body.u8_at(0)?;
            put!(c, "\n\t        RES: ", head >> 5, " V: ", head >> 4 & 1, " A: ", head >> 2 & 3);
            put!(c, " D: ", head & 3, "\n\t         Digest: ");
            for word in 0..8usize {
                put!(c, HexN(body.be32_at(1 + word * 4)?, 8), " ");
                if word == 3 {
                    c.put("\n\t                 ");
                }
            }
        }
        6 => {
            let mut rest = body;
            while rest.has(6) {
                put!(c, "\n\t           ECT: ", HexN(rest.be32()?, 8));
                let tag = rest.be16()?;
                put!(c, " BVID: ", tag >> 4, ", U:", tag >> 3 & 1, " M:", tag >> 2 & 1, " ");
            }
        }
        _ => {}
    }
    Ok(())
}

/// An MST configuration: format, name, revision, digest (IEEE 802.1Q section 13.8).
fn configuration<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    put!(c, "ID: ", body.u8_at(0)?, ", Name: ");
    c.visible_to_nul(body.from(1), 32)?;
    put!(c, "\n\t              Lvl: ", body.be16_at(33)?, ", Digest: ");
    for byte in body.bytes_at(35, 16)? {
        put!(c, HexN(*byte, 2), " ");
    }
    Ok(())
}

fn bridge<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    match kind {
        1 if !body.has(19) => too_short(c, 19),
        1 => instance(c, body),
        3 if !body.has(8) => too_short(c, 8),
        3 => {
            put!(c, "\n\t        BMAC: ", HexN(body.be32_at(0)?, 8), HexN(body.be16_at(4)?, 4));
            let tag = body.be16_at(6)?;
            put!(c, ", RES: ", tag >> 12, ", VID: ", tag & 0xfff);
            let mut rest = body.from(8);
            while rest.has(4) {
                let word = rest.be32()?;
                put!(c, "\n\t        T: ", word >> 31, ", R: ", word >> 30 & 1);
                put!(c, ", RES: ", word >> 24 & 0x3f, ", ISID: ", word & 0xff_ffff);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn instance<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    put!(c, "\n\t        CIST Root-ID: ", HexN(body.be32_at(0)?, 8), " ");
    put!(c, HexN(body.be32_at(4)?, 8), ", Path Cost: ", HexN(body.be32_at(8)?, 8));
    put!(c, ", Prio: ", body.be16_at(12)?);
    let head = body.be16_at(14)?;
    put!(c, "\n\t        RES: ", head >> 5, ", V: ", head >> 4 & 1);
    let trees = body.u8_at(18)?;
    put!(c, ", SPSource-ID: ", body.be32_at(14)? & 0xf_ffff, ", No of Trees: ", Hex(trees));
    let mut rest = body.from(19);
    for _ in 0..trees {
        if !rest.has(8) {
            return too_short(c, 8);
        }
        let flags = rest.u8()?;
        put!(c, "\n\t         U:", flags >> 7, ", M:", flags >> 6 & 1, ", A:", flags >> 5 & 1);
        put!(c, ", RES:", flags & 0x1f, ", ECT: ", HexN(rest.be32()?, 8));
        let tags = rest.be24_at(0)?;
        put!(c, ", BVID: ", tags >> 12, ", SPVID: ", tags & 0xfff);
        rest = rest.from(3);
    }
    Ok(())
}

fn router<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    if kind == 2 && body.has(9) {
        put!(c, ", Flags [", Bits(SEGMENT_FLAGS, body.u8_at(0)?.into(), ", ", "None"), "]");
        put!(c, ", Range ", body.be24_at(1)?);
        // The first label of the block is a value inside, of three or four bytes.
        match (body.u8_at(4)?, body.u8_at(5)?) {
            (1, 3) => put!(c, ", SID value ", body.be24_at(6)?),
            (1, 4) => put!(c, ", SID value ", body.be32_at(6)?),
            _ => {}
        }
        return Ok(());
    }
    c.hex_print("\n\t\t", body, body.len());
    Ok(())
}
