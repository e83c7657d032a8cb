//! Reachability in IS-IS: neighbours and prefixes with their attributes (RFC 5305, 5307, 5308, 5120,
//! 8667).

use super::isis::Id;
use super::traffic::{self, Mbps};
use super::{Buf, Ctx, Sink, Step, isis_topology, put};
use crate::text::address::{Ip4, Ip6};
use crate::text::{Bits, HexN, Names, Right, name_or};

const NEIGHBOUR: Names = &[
    (3, "Administrative groups"),
    (4, "Link Local/Remote Identifier"),
    (5, "Link Remote Identifier"),
    (6, "IPv4 interface address"),
    (8, "IPv4 neighbor address"),
    (9, "Maximum link bandwidth"),
    (10, "Reservable link bandwidth"),
    (11, "Unreserved bandwidth"),
    (18, "Traffic Engineering Metric"),
    (19, "Link Attribute"),
    (20, "Link Protection Type"),
    (21, "Interface Switching Capability"),
    (12, "Bandwidth Constraints (old)"),
    (22, "Bandwidth Constraints"),
    (31, "Adjacency Segment Identifier"),
    (32, "LAN Adjacency Segment Identifier"),
    (29, "SPB Metric"),
    (250, "Reserved for cisco specific extensions"),
    (251, "Reserved for cisco specific extensions"),
    (252, "Reserved for cisco specific extensions"),
    (253, "Reserved for cisco specific extensions"),
    (254, "Reserved for cisco specific extensions"),
    (255, "Reserved for future expansion"),
];
const LINK_ATTRIBUTES: Names = &[
    (1, "Local Protection Available"),
    (2, "Link excluded from local protection path"),
    (4, "Local maintenance required"),
];
const PREFIX: Names = &[
    (1, "32-Bit Administrative tag"),
    (2, "64-Bit Administrative tag"),
    (3, "Prefix SID"),
    (117, "Management Prefix Color"),
];
const PREFIX_SID: Names = &[
    (0x80, "Readvertisement"),
    (0x40, "Node"),
    (0x20, "no-PHP"),
    (0x10, "Explicit NULL"),
    (0x08, "Value"),
    (0x04, "Local"),
];
const ALGORITHMS: Names = &[(0, "SPF"), (1, "strict-SPF")];
const ADJACENCY_SID: Names = &[
    (0x80, "Address family IPv6"),
    (0x40, "Backup"),
    (0x20, "Value"),
    (0x10, "Local significance"),
    (0x08, "Set of adjacencies"),
    (0x04, "Persistent"),
];
const IDENT: &str = "\n\t      ";
const SUB_IDENT: &str = "\n\t        ";

/// Prints one of the kinds of reachability.
pub fn print<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    let value = match kind {
        222 | 235 | 237 => {
            isis_topology::topology(c, value)?;
            value.from(2)
        }
        _ => value,
    };
    match kind {
        22 => neighbours(c, value, 11, true),
        222 => neighbours(c, value, 13, true),
        24 => neighbours(c, value, 8, false),
        128 | 130 => old_prefixes(c, value),
        135 | 235 => prefixes(c, value, false),
        _ => prefixes(c, value, true),
    }
}

/// An entry needs `least` bytes to be worth a try; an alias has no metric.
fn neighbours<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, least: usize, metric: bool) -> Step {
    let mut rest = value;
    while rest.has(least) {
        put!(c, IDENT, "IS Neighbor: ", Id(rest.take(7)?));
        if metric {
            put!(c, ", Metric: ", rest.be24_at(0)?);
            rest = rest.from(3);
        }
        let attributes_len = usize::from(rest.u8()?);
        put!(c, ", ", if attributes_len == 0 { "no " } else { "" }, "sub-TLVs present");
        if attributes_len > 0 {
            put!(c, " (", attributes_len, ")");
            rest = attributes(c, rest, attributes_len)?;
        }
        c.check_text()?;
    }
    Ok(())
}

/// The attributes of a neighbour; what lies behind them.
fn attributes<'a, S: Sink>(c: &mut Ctx<S>, rest: Buf<'a>, len: usize) -> Step<Buf<'a>> {
    let (mut rest, mut left) = (rest, len);
    while left > 0 {
        if !rest.has(2) {
            put!(c, SUB_IDENT, "Remaining data in TLV shorter than a subTLV header");
            return Ok(rest.from(rest.len()));
        }
        if left < 2 {
            put!(c, SUB_IDENT, "Remaining data in subTLVs shorter than a subTLV header");
            return Ok(rest.from(left));
        }
        let (kind, value_len) = (rest.u8()?, usize::from(rest.u8()?));
        left -= 2;
        put!(c, SUB_IDENT, name_or(NEIGHBOUR, kind.into(), "unknown"), " subTLV #", kind);
        put!(c, ", length: ", value_len);
        if left < value_len {
            c.put(" (remaining data in subTLVs shorter than the current subTLV)");
            return Ok(rest.from(left));
        }
        if rest.len() < value_len {
            c.put(" (> remaining tlv length)");
            return Ok(rest.from(rest.len()));
        }
        attribute(c, kind, Buf::new(rest.take(value_len)?))?;
        left -= value_len;
        c.check_text()?;
    }
    Ok(rest)
}

fn attribute<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    match kind {
        3..=5 if value.has(4) => {
            put!(c, ", 0x", HexN(value.be32_at(0)?, 8));
            if value.len() == 8 {
                put!(c, ", 0x", HexN(value.be32_at(4)?, 8));
            }
        }
        6 | 8 if value.has(4) => {
            c.put(", ");
            c.host4(value, 0)?;
        }
        9 | 10 if value.has(4) => put!(c, ", ", Mbps(value.be32_at(0)?)),
        11 if value.has(32) => {
            for class in 0..8usize {
                let rate = Mbps(value.be32_at(class * 4)?);
                put!(c, SUB_IDENT, "  TE-Class ", class, ": ", rate);
            }
        }
        12 | 22 if value.has(1) => traffic::constraints(c, value, SUB_IDENT)?,
        18 if value.has(3) => put!(c, ", ", value.be24_at(0)?),
        19 if value.len() == 2 => {
            let attributes = value.be16_at(0)?;
            put!(c, ", [ ", Bits(LINK_ATTRIBUTES, attributes.into(), ", ", "Unknown"));
            put!(c, " ] (0x", HexN(attributes, 4), ")");
        }
        20 if value.has(2) => {
            let protection = Bits(traffic::PROTECTION, value.u8_at(0)?.into(), ", ", "none");
            put!(c, ", ", protection, ", Priority ", value.u8_at(1)?);
        }
        21 if value.has(36) => traffic::switching(c, value, SUB_IDENT)?,
        29 if value.has(6) => {
            put!(c, ", LM: ", value.be24_at(0)?, ", P: ", value.u8_at(3)?);
            put!(c, ", P-ID: ", value.be16_at(4)?);
        }
        31 | 32 if value.has(if kind == 31 { 5 } else { 11 }) => segment(c, kind, value)?,
        3..=6 | 8..=12 | 18..=22 | 29 | 31 | 32 => {}
        _ => c.hex_print("\n\t\t    ", value, value.len()),
    }
    Ok(())
}

/// A label or index for an adjacency (RFC 8667 section 2.2).
fn segment<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    let flags = value.u8_at(0)?;
    put!(c, SUB_IDENT, "  Flags: [", Bits(ADJACENCY_SID, flags.into(), ", ", "none"), "]");
    put!(c, SUB_IDENT, "  Weight: ", value.u8_at(1)?);
    let mut rest = value.from(2);
    if kind == 32 {
        put!(c, SUB_IDENT, "  Neighbor System-ID: ", Id(rest.take(6)?));
    }
    if rest.len() == 3 {
        put!(c, SUB_IDENT, "  Label: ", rest.be24_at(0)?);
    } else if rest.has(4) {
        put!(c, SUB_IDENT, "  SID: ", rest.be32_at(0)?);
    }
    Ok(())
}

/// With a mask and four metrics (RFC 1195).
fn old_prefixes<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let mut rest = value;
    while !rest.is_empty() {
        if !rest.has(12) {
            put!(c, "short IPv4 Reachability (", rest.len(), " vs 12)");
            return Ok(());
        }
        let mask = rest.be32_at(8)?;
        let prefix = Ip4(rest.array_at(4)?);
        if mask.leading_ones() + mask.trailing_zeros() >= 32 {
            put!(c, IDENT, "IPv4 prefix: ", Right(prefix, 15), "/", mask.leading_ones());
        } else {
            put!(c, IDENT, "IPv4 prefix: ", prefix, " mask ", Ip4(mask.to_be_bytes()));
        }
        let metric = rest.u8_at(0)?;
        let side = |metric: u8| if metric & 0x40 != 0 { "External" } else { "Internal" };
        let way = if metric & 0x80 != 0 { "down" } else { "up" };
        put!(c, ", Distribution: ", way, ", Metric: ", metric & 0x3f, ", ", side(metric));
        for (at, name) in [(1, "Delay"), (2, "Expense"), (3, "Error")] {
            let metric = rest.u8_at(at)?;
            if metric & 0x80 == 0 {
                put!(c, IDENT, "  ", name, " Metric: ", metric & 0x3f, ", ", side(metric));
            }
        }
        rest = rest.from(12);
        c.check_text()?;
    }
    Ok(())
}

/// With a length and attributes (RFC 5305, RFC 5308).
fn prefixes<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, v6: bool) -> Step {
    let mut rest = value;
    while !rest.is_empty() {
        let metric = rest.be32()?;
        let status = rest.u8()?;
        let bits = if v6 { rest.u8()? } else { status & 0x3f };
        let most = if v6 { 128 } else { 32 };
        if bits > most {
            let word = if v6 { "IPv6" } else { "IPv4" };
            put!(c, IDENT, word, " prefix: bad bit length ", bits);
            return Ok(());
        }
        let mut address = [0; 16];
        let prefix = rest.take(usize::from(bits).div_ceil(8))?;
        for (slot, byte) in address.iter_mut().zip(prefix) {
            *slot = *byte;
        }
        if v6 {
            put!(c, IDENT, "IPv6 prefix: ", Ip6(address), "/", bits);
        } else {
            let [a, b, d, e, ..] = address;
            put!(c, IDENT, "IPv4 prefix: ", Right(Ip4([a, b, d, e]), 15), "/", bits);
        }
        let way = if status & 0x80 != 0 { "down" } else { "up" };
        put!(c, ", Distribution: ", way, ", Metric: ", metric);
        if v6 {
            c.put(if status & 0x40 != 0 { ", External" } else { ", Internal" });
        }
        let has_attributes = status & if v6 { 0x20 } else { 0x40 } != 0;
        if has_attributes {
            let len = usize::from(rest.u8()?);
            put!(c, ", sub-TLVs present (", len, ")");
            let mut attributes = Buf::new(rest.take(len)?);
            while !attributes.is_empty() {
                let (kind, value_len) = (attributes.u8()?, usize::from(attributes.u8()?));
                put!(c, SUB_IDENT, name_or(PREFIX, kind.into(), "unknown"), " subTLV #", kind);
                put!(c, ", length: ", value_len);
                prefix_attribute(c, kind, Buf::new(attributes.take(value_len)?))?;
            }
        }
        c.check_text()?;
    }
    Ok(())
}

fn prefix_attribute<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    let mut rest = value;
    match kind {
        1 | 117 => {
            while rest.has(4) {
                let tag = rest.be32()?;
                put!(c, ", 0x", HexN(tag, 8), " (=", tag, ")");
            }
        }
        2 => {
            while rest.has(8) {
                put!(c, ", 0x", HexN(rest.be64()?, 16));
            }
        }
        3 if value.has(5) => {
            let (flags, algorithm) = (value.u8_at(0)?, value.u8_at(1)?);
            put!(c, ", Flags [", Bits(PREFIX_SID, flags.into(), ", ", "None"), "], Algo ");
            put!(c, name_or(ALGORITHMS, algorithm.into(), "Unknown"), " (", algorithm, ")");
            // A label where it is a value of local meaning, else an index into a block.
            if flags & 0x0c != 0 {
                put!(c, ", label ", value.be24_at(2)?);
            } else {
                put!(c, ", index ", value.be32_at(2)?);
            }
        }
        _ => c.hex_print("\n\t\t    ", value, value.len()),
    }
    Ok(())
}
