//! What IS-IS packets carry: a type, a length, a value, to the end of the packet.

use super::isis::Id;
use super::osi::{self, Nsap};
use super::registry::OUI_NAMES;
use super::{Buf, Ctx, Sink, Step, Stop, isis_reach, isis_topology, put};
use crate::text::{Bits, HexBytes, HexN, NamedHex, Names, Right, name_or};

const KINDS: Names = &[
    (1, "Area address(es)"),
    (2, "IS Reachability"),
    (3, "ES Neighbor(s)"),
    (4, "Partition DIS"),
    (5, "Prefix Neighbors"),
    (6, "IS Neighbor(s)"),
    (7, "Instance Identifier"),
    (8, "Padding"),
    (9, "LSP entries"),
    (10, "Authentication"),
    (12, "Checksum"),
    (13, "Purge Originator Identifier"),
    (14, "LSP Buffersize"),
    (22, "Extended IS Reachability"),
    (24, "IS Alias ID"),
    (42, "DECnet Phase IV"),
    (66, "Lucent Proprietary"),
    (128, "IPv4 Internal Reachability"),
    (129, "Protocols supported"),
    (130, "IPv4 External Reachability"),
    (131, "Inter-Domain Information Type"),
    (132, "IPv4 Interface address(es)"),
    (133, "IPv4 authentication (deprecated)"),
    (134, "Traffic Engineering Router ID"),
    (135, "Extended IPv4 Reachability"),
    (138, "Shared Risk Link Group"),
    (143, "Multi-Topology-Aware Port Capability"),
    (144, "Multi-Topology Capability"),
    (176, "Nortel Proprietary"),
    (177, "Nortel Proprietary"),
    (137, "Hostname"),
    (211, "Restart Signaling"),
    (222, "Multi Topology IS Reachability"),
    (229, "Multi Topology"),
    (232, "IPv6 Interface address(es)"),
    (235, "Multi-Topology IPv4 Reachability"),
    (236, "IPv6 reachability"),
    (237, "Multi-Topology IP6 Reachability"),
    (240, "Point-to-point Adjacency State"),
    (241, "Hello PDU Sequence Number"),
    (242, "IS-IS Router Capability"),
    (250, "Vendor Private"),
];
const VIRTUAL: Names = &[(0, "IsNotVirtual"), (1, "IsVirtual")];
const AUTHENTICATION: Names = &[
    (1, "simple text password"),
    (3, "Generic Crypto key-id"),
    (54, "HMAC-MD5 password"),
    (255, "Routing Domain private password"),
];
const ADJACENCY: Names = &[(0, "Up"), (1, "Initializing"), (2, "Down")];
const RESTART: Names = &[
    (1, "Restart Request"),
    (2, "Restart Acknowledgement"),
    (4, "Suppress adjacency advertisement"),
];
const DOMAINS: Names = &[(0, "Reserved"), (1, "Routing-Domain Specific"), (2, "AS Number Tag")];
/// Behind a line break, where the details of a value stand.
const IDENT: &str = "\n\t      ";

/// Prints the values of `packet`, which begin at `start`; `false` when its bytes should be shown.
pub fn print<S: Sink>(c: &mut Ctx<S>, packet: Buf<'_>, start: usize, len: usize) -> Step<bool> {
    let mut rest = packet.from(start);
    let mut at = start;
    while at < len {
        let kind = rest.u8_at(0);
        rest.need(2)?;
        if len - at < 2 {
            put!(c, " [remaining packet length ", len - at, " < 2]");
            c.invalid();
            return Ok(true);
        }
        let (kind, value_len) = (kind?, usize::from(rest.u8_at(1)?));
        rest = rest.from(2);
        at += 2;
        put!(c, "\n\t    ", name_or(KINDS, kind.into(), "unknown"), " TLV #", kind);
        put!(c, ", length: ", value_len);
        if value_len == 0 {
            continue;
        }
        if len - at < value_len {
            return Err(Stop::Truncated);
        }
        let value = rest.limit(value_len);
        if kind == 12 {
            checksum(c, packet, value, at, len)?;
        } else {
            one(c, kind, value)?;
        }
        if c.options.verbose > 1 {
            c.hex_print(IDENT, value, value_len);
        }
        rest.need(value_len)?;
        rest = rest.from(value_len);
        at += value_len;
        c.check_text()?;
    }
    Ok(true)
}

/// The sum of the whole packet (RFC 3358), which is 0 where a digest stands in its place.
fn checksum<S: Sink>(
    c: &mut Ctx<S>,
    packet: Buf<'_>,
    value: Buf<'_>,
    at: usize,
    len: usize,
) -> Step {
    if value.has(2) {
        let sum = value.be16_at(0)?;
        put!(c, IDENT, "checksum: 0x", HexN(sum, 4));
        osi::checksum(c, packet, sum, at, len);
    }
    Ok(())
}

fn one<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step {
    match kind {
        1 => areas(c, value),
        2 => neighbours(c, value),
        3 => end_systems(c, value),
        4 => ids(c, value, ""),
        5 => prefixes(c, value),
        6 => ids(c, value, "SNPA: "),
        7 => instance(c, value),
        8 => Ok(()),
        9 => link_states(c, value),
        10 => authentication(c, value),
        13 => originator(c, value),
        14 if value.has(2) => {
            put!(c, IDENT, "LSP Buffersize: ", value.be16_at(0)?);
            Ok(())
        }
        22 | 24 | 222 | 128 | 130 | 135 | 235 | 236 | 237 => isis_reach::print(c, kind, value),
        129 => {
            put!(c, IDENT, "NLPID(s): ");
            osi::protocol_list(c, value, value.len())
        }
        131 => domain(c, value),
        132 => addresses(c, value, "IPv4 interface address: "),
        134 if value.has(4) => {
            put!(c, IDENT, "Traffic Engineering Router ID: ");
            c.host4(value, 0)
        }
        137 => {
            put!(c, IDENT, "Hostname: ");
            c.visible_to_nul(value, value.len())
        }
        138 => risk_group(c, value),
        143 | 144 | 229 | 242 => isis_topology::print(c, kind, value),
        211 => restart(c, value),
        232 => {
            for at in (0..value.len() / 16).map(|n| n * 16) {
                put!(c, IDENT, "IPv6 interface address: ");
                c.host6(value, at)?;
            }
            Ok(())
        }
        240 => adjacency(c, value),
        241 if value.has(4) => {
            put!(c, IDENT, "Sequence number: ", value.be32_at(0)?);
            Ok(())
        }
        250 if value.has(3) => {
            let vendor = value.be24_at(0)?;
            put!(c, IDENT, "Vendor: ", name_or(OUI_NAMES, vendor, "Unknown"), " (", vendor, ")");
            if value.has(4) {
                c.hex_print("\n\t\t", value.from(3), value.len() - 3);
            }
            Ok(())
        }
        14 | 134 | 241 | 250 => Ok(()),
        _ => {
            if c.options.verbose <= 1 {
                c.hex_print("\n\t\t", value, value.len());
            }
            Ok(())
        }
    }
}

fn areas<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let mut rest = value;
    let mut area_len = usize::from(rest.u8()?);
    // An address that would take all that is left with its own length byte ends the list.
    let mut left = value.len();
    while left > 0 && area_len < left {
        let area = rest.take(area_len)?;
        put!(c, IDENT, "Area address (length: ", area_len, "): ", Nsap(area));
        left -= area_len + 1;
        if left == 0 {
            break;
        }
        area_len = usize::from(rest.u8()?);
        c.check_text()?;
    }
    Ok(())
}

fn ids<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, word: &str) -> Step {
    for at in (0..value.len() / 6).map(|n| n * 6) {
        put!(c, IDENT, word, Id(value.bytes_at(at, 6)?));
    }
    Ok(())
}

/// RFC 8202.
fn instance<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    if !value.has(4) {
        c.invalid();
        return Ok(());
    }
    let mut rest = value;
    put!(c, IDENT, "Instance ID: ", rest.be16()?, ", ITIDs(s): ");
    while rest.has(2) {
        put!(c, rest.be16()?);
        if rest.has(2) {
            c.put(", ");
        }
    }
    Ok(())
}

/// Four metrics of which the first is always there (ISO 10589 section 9.8).
fn metrics<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    for (at, name) in
        [", Default", "\n\t\t  Delay", "\n\t\t  Expense", "\n\t\t  Error"].into_iter().enumerate()
    {
        let metric = value.u8_at(at)?;
        if at == 0 || metric & 0x80 == 0 {
            let side = if metric & 0x40 != 0 { "External" } else { "Internal" };
            put!(c, name, " Metric: ", metric & 0x3f, ", ", side);
        }
    }
    Ok(())
}

fn neighbours<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    put!(c, IDENT, NamedHex(VIRTUAL, value.u8_at(0)?.into(), "bogus virtual flag 0x", 2, ""));
    let mut rest = value.from(1);
    while rest.has(11) {
        put!(c, IDENT, "IS Neighbor: ", Id(rest.bytes_at(4, 7)?));
        metrics(c, rest)?;
        rest = rest.from(11);
    }
    Ok(())
}

fn end_systems<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let mut rest = value;
    while rest.has(10) {
        put!(c, IDENT, "ES Neighbor: ", Id(rest.bytes_at(4, 6)?));
        metrics(c, rest)?;
        rest = rest.from(10);
    }
    Ok(())
}

fn prefixes<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    if !value.has(4) {
        return Ok(());
    }
    put!(c, IDENT, "Metric Block");
    metrics(c, value)?;
    let mut rest = value.from(4);
    while !rest.is_empty() {
        // In half bytes.
        let prefix_len = rest.u8()?;
        if prefix_len < 2 {
            put!(c, "\n\t\tAddress: prefix length ", prefix_len, " < 2");
            break;
        }
        let Ok(prefix) = rest.take(usize::from(prefix_len / 2)) else { break };
        put!(c, "\n\t\tAddress: ", Nsap(prefix), "/", u32::from(prefix_len) * 4);
    }
    Ok(())
}

fn link_states<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let mut rest = value;
    while rest.has(16) {
        put!(c, IDENT, "lsp-id: ", Id(rest.bytes_at(2, 8)?), ", seq: 0x");
        put!(c, HexN(rest.be32_at(10)?, 8), ", lifetime: ", Right(rest.be16_at(0)?, 5), "s");
        put!(c, ", chksum: 0x", HexN(rest.be16_at(14)?, 4));
        rest = rest.from(16);
    }
    Ok(())
}

fn authentication<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let kind = value.u8_at(0)?;
    let unknown = "unknown Authentication type 0x";
    put!(c, IDENT, NamedHex(AUTHENTICATION, kind.into(), unknown, 2, ""), ": ");
    let rest = value.from(1);
    match kind {
        1 => c.visible_to_nul(rest, rest.len())?,
        54 => {
            put!(c, HexBytes(rest.bytes()));
            if rest.len() != 16 {
                c.put(", (invalid subTLV) ");
            }
            c.put(" (unchecked)");
        }
        3 => {
            put!(c, rest.be16_at(0)?, ", password: ", HexBytes(rest.from(2).bytes()));
        }
        _ => c.hex_print("\n\t\t  ", rest, rest.len()),
    }
    Ok(())
}

fn originator<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    if value.has(7) {
        put!(c, IDENT, "Purge Originator System-ID: ", Id(value.bytes_at(1, 6)?));
    }
    if value.len() == 13 {
        put!(c, IDENT, "Received from System-ID: ", Id(value.bytes_at(7, 6)?));
    }
    Ok(())
}

fn domain<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let kind = value.u8_at(0)?;
    put!(c, IDENT, "Inter-Domain Information Type: ");
    put!(c, NamedHex(DOMAINS, kind.into(), "Unknown (0x", 2, ")"));
    if kind == 2 {
        put!(c, "AS Number: ", value.be16_at(1)?);
    } else {
        c.hex_print(IDENT, value.from(1), value.len() - 1);
    }
    Ok(())
}

fn addresses<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>, word: &str) -> Step {
    for at in (0..value.len() / 4).map(|n| n * 4) {
        put!(c, IDENT, word);
        c.host4(value, at)?;
    }
    Ok(())
}

fn risk_group<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    if !value.has(7) {
        return Ok(());
    }
    put!(c, IDENT, "IS Neighbor: ", Id(value.bytes_at(0, 7)?));
    if !value.has(8) {
        return Ok(());
    }
    let numbered = value.u8_at(7)? & 1 != 0;
    put!(c, ", Flags: [", if numbered { "numbered" } else { "unnumbered" }, "]");
    for (at, word) in [(8, "IPv4 interface address: "), (12, "IPv4 neighbor address: ")] {
        if !value.has(at + 4) {
            return Ok(());
        }
        put!(c, IDENT, word);
        c.host4(value, at)?;
    }
    let mut rest = value.from(16);
    while rest.has(4) {
        put!(c, IDENT, "Link-ID: 0x", HexN(rest.be32()?, 8));
    }
    Ok(())
}

fn restart<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    put!(c, IDENT, "Flags [", Bits(RESTART, value.u8_at(0)?.into(), ", ", "none"), "]");
    if value.has(3) {
        put!(c, ", Remaining holding time ", value.be16_at(1)?, "s");
    }
    if value.len() == 9 {
        put!(c, ", for ", Id(value.bytes_at(3, 6)?));
    }
    Ok(())
}

/// RFC 5303.
fn adjacency<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let state = value.u8_at(0)?;
    put!(c, IDENT, "Adjacency State: ", name_or(ADJACENCY, state.into(), "unknown"));
    put!(c, " (", state, ")");
    if value.len() - 1 > 4 {
        put!(c, IDENT, "Extended Local circuit-ID: 0x", HexN(value.be32_at(1)?, 8));
    }
    if value.has(11) {
        put!(c, IDENT, "Neighbor System-ID: ", Id(value.bytes_at(5, 6)?));
    }
    if value.has(15) {
        let circuit = HexN(value.be32_at(11)?, 8);
        put!(c, IDENT, "Neighbor Extended Local circuit-ID: 0x", circuit);
    }
    Ok(())
}
