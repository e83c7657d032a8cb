//! The border gateway protocol: attributes of paths.

use super::{Buf, Ctx, Sink, Step, Stop, lldp, put};
use crate::text::address::{Address, Ip4, Ip6};
use crate::text::{Bits, Fixed3, Hex, HexN, Names, Put, name_or};

/// Names of subsequent address families.
pub const SUBSEQUENT: Names = &[
    (1, "Unicast"),
    (2, "Multicast"),
    (3, "Unicast+Multicast"),
    (4, "labeled Unicast"),
    (64, "Tunnel"),
    (65, "VPLS"),
    (66, "MDT"),
    (128, "labeled VPN Unicast"),
    (129, "labeled VPN Multicast"),
    (130, "labeled VPN Unicast+Multicast"),
    (132, "Route Target Routing Information"),
];
const ATTRIBUTES: Names = &[
    (1, "Origin"),
    (2, "AS Path"),
    (3, "Next Hop"),
    (4, "Multi Exit Discriminator"),
    (5, "Local Preference"),
    (6, "Atomic Aggregate"),
    (7, "Aggregator"),
    (8, "Community"),
    (9, "Originator ID"),
    (10, "Cluster List"),
    (11, "DPA"),
    (12, "Advertisers"),
    (13, "RCID_PATH / CLUSTER_ID"),
    (14, "Multi-Protocol Reach NLRI"),
    (15, "Multi-Protocol Unreach NLRI"),
    (16, "Extended Community"),
    (22, "PMSI Tunnel"),
    (23, "Tunnel Encapsulation"),
    (24, "Traffic Engineering"),
    (26, "Accumulated IGP Metric"),
    (32, "Large Community"),
    (128, "Attribute Set"),
];
const ORIGINS: Names = &[(0, "IGP"), (1, "EGP"), (2, "Incomplete")];
const EXTENDED: Names = &[
    (0x0002, "target"),
    (0x0003, "origin"),
    (0x0005, "ospf-domain"),
    (0x0008, "ospf-domain"),
    (0x0102, "target"),
    (0x0103, "origin"),
    (0x0107, "ospf-router-id"),
    (0x0202, "target"),
    (0x0203, "origin"),
    (0x0306, "ospf-route-type"),
    (0x4004, "link-BW"),
    (0x8001, "vpn-origin"),
    (0x800a, "layer2-info"),
];
const EXTENDED_FLAGS: Names = &[(0x8000, "vendor-specific"), (0x4000, "non-transitive")];

/// A prefix: its address and how many of its bits count.
#[derive(Clone, Copy, Debug)]
pub struct Prefix(Address, u8);

impl Put for Prefix {
    fn put(&self, out: &mut Vec<u8>) {
        (self.0, "/", self.1).put(out);
    }
}

/// Reads a prefix of an address of `size` bytes and its length on the wire; none where it says it
/// has more bits than that.
pub fn prefix(buf: Buf<'_>, size: usize) -> Step<Option<(Prefix, usize)>> {
    bits(buf.from(1), buf.u8_at(0)?, size).map(|found| found.map(|(prefix, len)| (prefix, len + 1)))
}

fn bits(buf: Buf<'_>, bits: u8, size: usize) -> Step<Option<(Prefix, usize)>> {
    if usize::from(bits) > size * 8 {
        return Ok(None);
    }
    let len = usize::from(bits).div_ceil(8);
    let mut address = [0u8; 16];
    address[..len].copy_from_slice(buf.bytes_at(0, len)?);
    if len > 0 && !bits.is_multiple_of(8) {
        address[len - 1] &= 0xff << (8 - bits % 8);
    }
    let address = match size {
        4 => Address::V4(Ip4([address[0], address[1], address[2], address[3]])),
        _ => Address::V6(Ip6(address)),
    };
    Ok(Some((Prefix(address, bits), len)))
}

/// Prints `len` bytes of attributes.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, indent: &'static str) -> Step {
    let (mut rest, mut left) = (buf, len);
    while left > 0 {
        let (flags, kind) = (rest.u8_at(0)?, rest.u8_at(1)?);
        let (size, head) = match flags & 0x10 {
            0 => (usize::from(rest.u8_at(2)?), 3),
            _ => (usize::from(rest.be16_at(2)?), 4),
        };
        put!(c, indent, name_or(ATTRIBUTES, kind.into(), "Unknown Attribute"), " (", kind);
        put!(c, "), length: ", size);
        if flags != 0 {
            c.put(", Flags [");
            for (mask, letter) in [(0x80, "O"), (0x40, "T"), (0x20, "P"), (0x10, "E")] {
                c.put(if flags & mask == 0 { "" } else { letter });
            }
            if flags & 15 != 0 {
                put!(c, "+", Hex(flags & 15));
            }
            c.put("]: ");
        }
        if left < head + size {
            return Err(Stop::Truncated);
        }
        let body = Buf::new(rest.bytes_at(head, size)?);
        attribute(c, kind, body)?;
        if c.options.verbose > 1 && size > 0 {
            c.hex_print("\n\t    ", body, size);
        }
        rest = rest.from(head + size);
        left -= head + size;
        c.check_text()?;
    }
    Ok(())
}

fn attribute<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    let len = body.len();
    let wanted = match kind {
        1 => 1,
        3..=5 | 9 => 4,
        6 => 0,
        _ => len,
    };
    if len != wanted {
        c.put("invalid len");
        return Ok(());
    }
    match kind {
        1 => put!(c, name_or(ORIGINS, body.u8_at(0)?.into(), "Unknown Origin Typecode")),
        2 | 17 => path(c, kind, body)?,
        3 | 9 => put!(c, Ip4(body.array_at(0)?)),
        4 | 5 => put!(c, body.be32_at(0)?),
        6 => {}
        7 if len == 6 => {
            put!(c, " AS #", body.be16_at(0)?, ", origin ", Ip4(body.array_at(2)?));
        }
        7 if len == 8 => {
            put!(c, " AS #", body.be32_at(0)?, ", origin ", Ip4(body.array_at(4)?));
        }
        8 => communities(c, body)?,
        10 => {
            let mut rest = body;
            while rest.has(4) {
                put!(c, Ip4(rest.array_at(0)?), if rest.has(5) { ", " } else { "" });
                rest = rest.from(4);
            }
        }
        14 => reachable(c, body)?,
        15 => unreachable(c, body)?,
        16 => extended(c, body)?,
        128 => {
            put!(c, "\n\t    Origin AS: ", body.be32_at(0)?);
            c.nested(|c| print(c, body.from(4), len - 4, "\n\t      "))?;
        }
        _ => {
            put!(c, "\n\t    no Attribute ", kind, " decoder");
            if c.options.verbose <= 1 {
                c.hex_print("\n\t    ", body, len);
            }
        }
    }
    Ok(())
}

/// Autonomous systems have two bytes, or four where segments of two do not fill the attribute.
fn path<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    if body.is_empty() {
        c.put("empty");
        return Ok(());
    }
    let fits = |size: usize| {
        let mut rest = body;
        while !rest.is_empty() {
            let (Ok(1..=4), Ok(count @ 1..)) = (rest.u8_at(0), rest.u8_at(1)) else { return false };
            let len = 2 + usize::from(count) * size;
            if !rest.has(len) {
                return false;
            }
            rest = rest.from(len);
        }
        true
    };
    let size = if kind == 17 || !fits(2) { 4 } else { 2 };
    let mut rest = body;
    while !rest.is_empty() {
        let (kind, count) = (rest.u8()?, rest.u8()?);
        let marks = match kind {
            1 => ("{", "}"),
            2 => ("", ""),
            3 => ("(", ")"),
            4 => ("({", "})"),
            _ => ("?", "?"),
        };
        c.put(marks.0);
        for _ in 0..count {
            let system = if size == 2 { u32::from(rest.be16()?) } else { rest.be32()? };
            put!(c, system, " ");
        }
        c.put(marks.1);
        c.check_text()?;
    }
    Ok(())
}

fn communities<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    if !body.len().is_multiple_of(4) {
        c.put("invalid len");
        return Ok(());
    }
    let mut rest = body;
    while !rest.is_empty() {
        match rest.be32()? {
            0 => c.put("gshut"),
            0xffff_ff01 => c.put(" NO_EXPORT"),
            0xffff_ff02 => c.put(" NO_ADVERTISE"),
            0xffff_ff03 => c.put(" NO_EXPORT_SUBCONFED"),
            community => put!(c, community >> 16, ":", community & 0xffff),
        }
        if !rest.is_empty() {
            c.put(", ");
        }
    }
    Ok(())
}

fn extended<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    if !body.len().is_multiple_of(8) {
        c.put("invalid len");
        return Ok(());
    }
    let mut rest = body;
    while rest.has(8) {
        let kind = rest.be16_at(0)?;
        let name = name_or(EXTENDED, kind.into(), "unknown extd community typecode");
        put!(c, "\n\t    ", name, " (0x", HexN(kind, 4), "), Flags [");
        put!(c, Bits(EXTENDED_FLAGS, kind.into(), ", ", "none"), "]");
        match kind {
            0x0002 | 0x0003 | 0x0005 => {
                put!(c, ": ", rest.be16_at(2)?, ":", rest.be32_at(4)?);
                put!(c, " (= ", Ip4(rest.array_at(4)?), ")");
            }
            0x0102 | 0x0103 => put!(c, ": ", Ip4(rest.array_at(2)?), ":", rest.be16_at(6)?),
            0x0202 | 0x0203 => put!(c, ": ", rest.be32_at(2)?, ":", rest.be16_at(6)?),
            0x0107 | 0x0008 => put!(c, ": ", Ip4(rest.array_at(2)?)),
            0x4004 => {
                let rate = f64::from(f32::from_bits(rest.be32_at(4)?)) * 8.0 / 1_000_000.0;
                put!(c, ": bandwidth: ", Fixed3(rate), " Mbps");
            }
            _ => {
                put!(c, ": ");
                c.hex_print("\n\t      ", rest.from(2), 6);
            }
        }
        rest = rest.from(8);
    }
    Ok(())
}

/// What a family's addresses are like: their size, whether a route distinguisher is in front, and
/// labels.
fn shape(family: u16, subsequent: u8) -> Option<(usize, bool, bool)> {
    let size = match family {
        1 => 4,
        2 => 16,
        _ => return None,
    };
    match subsequent {
        1..=3 => Some((size, false, false)),
        4 => Some((size, false, true)),
        128..=130 => Some((size, true, true)),
        _ => None,
    }
}

fn family<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step<Option<(usize, bool, bool)>> {
    let (family, subsequent) = (body.be16_at(0)?, body.u8_at(2)?);
    put!(c, "\n\t    AFI: ", name_or(lldp::FAMILIES, family.into(), "Unknown AFI"), " (", family);
    put!(c, "), ", if subsequent > 128 { "vendor specific " } else { "" }, "SAFI: ");
    put!(c, name_or(SUBSEQUENT, subsequent.into(), "Unknown"), " (", subsequent, ")");
    let shape = shape(family, subsequent);
    if shape.is_none() {
        put!(c, "\n\t    no AFI ", family, " / SAFI ", subsequent, " decoder");
        if c.options.verbose <= 1 {
            c.hex_print("\n\t    ", body, body.len());
        }
    }
    Ok(shape)
}

fn reachable<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let Some(shape) = family(c, body)? else { return Ok(()) };
    let (size, distinguished, _) = shape;
    let hop_len = usize::from(body.u8_at(3)?);
    let mut hops = Buf::new(body.bytes_at(4, hop_len)?);
    if hop_len > 0 {
        c.put("\n\t    nexthop: ");
        let mut before = "";
        while !hops.is_empty() {
            c.put(before);
            before = ", ";
            if distinguished {
                c.put("RD: ");
                distinguisher(c, hops)?;
                c.put(", ");
                hops = hops.from(8);
            }
            match size {
                4 => c.host4(hops, 0)?,
                _ => c.host6(hops, 0)?,
            }
            hops = hops.from(size);
        }
    }
    put!(c, ", nh-length: ", hop_len);
    let points = body.u8_at(4 + hop_len)?;
    if points != 0 {
        put!(c, "\n\t    ", points, " SNPA");
        return Ok(());
    }
    c.put(", no SNPA");
    routes(c, body.from(5 + hop_len), shape)
}

fn unreachable<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let Some(shape) = family(c, body)? else { return Ok(()) };
    if body.len() == 3 {
        c.put("\n\t      End-of-Rib Marker (empty NLRI)");
    }
    routes(c, body.from(3), shape)
}

fn routes<S: Sink>(c: &mut Ctx<S>, mut rest: Buf<'_>, shape: (usize, bool, bool)) -> Step {
    let (size, distinguished, labelled) = shape;
    while !rest.is_empty() {
        let mut left = rest.u8()?;
        let mut labels: ([u32; 8], usize) = ([0; 8], 0);
        let mut bottom = false;
        while labelled && !bottom && labels.1 < 8 {
            let label = rest.be24_at(0)?;
            let Some(bits) = left.checked_sub(24) else {
                c.put("\n\t    (illegal prefix length)");
                return Ok(());
            };
            left = bits;
            labels.0[labels.1] = label >> 4;
            labels.1 += 1;
            rest = rest.from(3);
            // Withdrawn labels have no bottom.
            bottom = label & 1 == 1 || label == 0x80_0000 || label == 0;
        }
        let apart = rest;
        if distinguished {
            let Some(bits) = left.checked_sub(64) else {
                c.put("\n\t    (illegal prefix length)");
                return Ok(());
            };
            left = bits;
            rest.need(8)?;
            rest = rest.from(8);
        }
        let Some((prefix, len)) = bits(rest, left, size)? else {
            c.put("\n\t    (illegal prefix length)");
            return Ok(());
        };
        c.put("\n\t      ");
        if distinguished {
            c.put("RD: ");
            distinguisher(c, apart)?;
            c.put(", ");
        }
        c.put(prefix);
        if labelled {
            c.put(", label:");
            for (index, label) in labels.0.iter().take(labels.1).enumerate() {
                put!(c, if index > 0 { " " } else { "" }, *label);
            }
            c.put(if bottom { " (bottom)" } else { " (BOGUS: Bottom of Stack NOT set!)" });
        }
        rest = rest.from(len);
        c.check_text()?;
    }
    Ok(())
}

fn distinguisher<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    match buf.be16_at(0)? {
        0 => {
            put!(c, buf.be16_at(2)?, ":", buf.be32_at(4)?);
            put!(c, " (= ", Ip4(buf.array_at(4)?), ")");
        }
        1 => put!(c, Ip4(buf.array_at(2)?), ":", buf.be16_at(6)?),
        2 => put!(c, buf.be32_at(2)?, ":", buf.be16_at(6)?),
        _ => c.put("unknown RD format"),
    }
    Ok(())
}
