//! Intermediate systems (ISO 10589, RFC 1195): the headers of the nine kinds of packets. What they
//! carry is in [`isis_tlv`](super::isis_tlv).

use super::{Buf, Ctx, Sink, Step, isis_tlv, osi, put};
use crate::text::{HexN, Named, NamedHex, Names, Put, Right, hex_pair};

const KINDS: Names = &[
    (15, "L1 Lan IIH"),
    (16, "L2 Lan IIH"),
    (17, "p2p IIH"),
    (18, "L1 LSP"),
    (20, "L2 LSP"),
    (24, "L1 CSNP"),
    (25, "L2 CSNP"),
    (26, "L1 PSNP"),
    (27, "L2 PSNP"),
];
const CIRCUITS: Names = &[(1, "Level 1 only"), (2, "Level 2 only"), (3, "Level 1, Level 2")];
const LEVELS: Names =
    &[(0, "Unused 0x0 (invalid)"), (1, "L1 IS"), (2, "Unused 0x2 (invalid)"), (3, "L2 IS")];
const COMMON_LEN: usize = 8;

/// Identifiers of systems (6 bytes), nodes (7) and link state packets (8).
#[derive(Clone, Copy, Debug)]
pub struct Id<'a>(pub &'a [u8]);

impl Put for Id<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        for (at, byte) in self.0.iter().take(8).enumerate() {
            match at {
                2 | 4 | 6 => out.push(b'.'),
                7 => out.push(b'-'),
                _ => {}
            }
            out.extend_from_slice(&hex_pair(*byte));
        }
        // The point stands behind the fourth byte also where nothing follows.
        if matches!(self.0.len(), 2 | 4) {
            out.push(b'.');
        }
    }
}

/// Prints a packet; `false` when its bytes should be shown.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step<bool> {
    c.layer("isis");
    let kind = buf.u8_at(4);
    buf.need(COMMON_LEN)?;
    let kind = kind? & 0x1f;
    if len < COMMON_LEN {
        put!(c, " [packet length ", len, " < 8]");
        c.invalid();
        return Ok(true);
    }
    if !c.options.link_header {
        c.put("IS-IS");
    }
    let (fixed_len, version) = (usize::from(buf.u8_at(1)?), buf.u8_at(2)?);
    let (id_len, packet_version, areas) = (buf.u8_at(3)?, buf.u8_at(5)?, buf.u8_at(7)?);
    if version != 1 {
        put!(c, "version ", version, " packet not supported");
        return Ok(false);
    }
    if !matches!(id_len, 0 | 6) {
        put!(c, "system ID length of ", id_len, " is not supported");
        return Ok(false);
    }
    if packet_version != 1 {
        put!(c, "version ", packet_version, " packet not supported");
        return Ok(false);
    }
    if len < fixed_len {
        put!(c, "fixed header length ", fixed_len, " > packet length ", len);
        return Ok(false);
    }
    if fixed_len < COMMON_LEN {
        put!(c, "fixed header length ", fixed_len, " < minimum header size 8");
        return Ok(false);
    }
    if areas == 255 {
        c.put("bad packet -- 255 areas");
        return Ok(false);
    }
    let comma = if c.options.link_header { "" } else { ", " };
    if c.verbose() {
        put!(c, comma, "length ", len, "\n\t", Named(KINDS, kind.into(), "unknown, type ", ""));
        put!(c, ", hlen: ", fixed_len, ", v: ", version, ", pdu-v: ", packet_version);
        put!(c, ", sys-id-len: 6 (", id_len, "), max-area: ", if areas == 0 { 3 } else { areas });
        put!(c, " (", areas, ")");
        if c.options.verbose > 1 {
            c.hex_print("\n\t", buf, COMMON_LEN);
        }
    } else {
        put!(c, comma, Named(KINDS, kind.into(), "unknown PDU-Type ", ""));
    }
    by_kind(c, kind, buf, len, fixed_len)
}

fn by_kind<S: Sink>(
    c: &mut Ctx<S>,
    kind: u8,
    buf: Buf<'_>,
    len: usize,
    fixed_len: usize,
) -> Step<bool> {
    let header_len = match kind {
        15 | 16 => 19,
        17 => 12,
        18 | 20 => 19,
        24 | 25 => 25,
        26 | 27 => 9,
        _ if c.verbose() => {
            c.hex_print("\n\t  ", buf.from(COMMON_LEN), len);
            return Ok(false);
        }
        _ => {
            put!(c, ", length ", len);
            return Ok(true);
        }
    };
    let whole_len = COMMON_LEN + header_len;
    if fixed_len != whole_len {
        let start = if matches!(kind, 26 | 27) { "- bogus" } else { ", bogus" };
        put!(c, start, " fixed header length ", fixed_len, " should be ", whole_len);
        return Ok(false);
    }
    let header = buf.from(COMMON_LEN);
    header.need(header_len)?;
    if len < whole_len {
        put!(c, " [packet length ", len, " < ", whole_len, "]");
        c.invalid();
        return Ok(true);
    }
    if !c.verbose() {
        brief(c, kind, header)?;
        put!(c, ", length ", len);
        return Ok(true);
    }
    let stated_at = match kind {
        15..=17 => 9,
        _ => 0,
    };
    let stated = usize::from(header.be16_at(stated_at)?);
    let len = len.min(stated);
    full(c, kind, header, stated, len)?;
    if c.options.verbose > 1 {
        c.hex_print("\n\t  ", header, header_len);
    }
    if len < whole_len {
        put!(c, " [packet length ", len, " < ", whole_len, "]");
        c.invalid();
        return Ok(true);
    }
    isis_tlv::print(c, buf, whole_len, len)
}

/// The one line without `-v`.
fn brief<S: Sink>(c: &mut Ctx<S>, kind: u8, header: Buf<'_>) -> Step {
    match kind {
        15 | 16 => {
            put!(c, ", src-id ", Id(header.bytes_at(1, 6)?), ", lan-id ");
            put!(c, Id(header.bytes_at(12, 7)?), ", prio ", header.u8_at(11)?);
        }
        17 => put!(c, ", src-id ", Id(header.bytes_at(1, 6)?)),
        18 | 20 => {
            put!(c, ", lsp-id ", Id(header.bytes_at(4, 8)?), ", seq 0x");
            put!(c, HexN(header.be32_at(12)?, 8), ", lifetime ", Right(header.be16_at(2)?, 5), "s");
        }
        _ => put!(c, ", src-id ", Id(header.bytes_at(2, 7)?)),
    }
    Ok(())
}

fn full<S: Sink>(c: &mut Ctx<S>, kind: u8, header: Buf<'_>, stated: usize, len: usize) -> Step {
    match kind {
        15..=17 => {
            let circuit =
                NamedHex(CIRCUITS, header.u8_at(0)?.into(), "unknown circuit type 0x", 2, "");
            put!(c, "\n\t  source-id: ", Id(header.bytes_at(1, 6)?));
            put!(c, if kind == 17 { ", " } else { ",  " }, "holding time: ", header.be16_at(7)?);
            put!(c, "s, Flags: [", circuit, "]\n\t  ");
            if kind == 17 {
                put!(c, "circuit-id: 0x", HexN(header.u8_at(11)?, 2));
            } else {
                put!(c, "lan-id:    ", Id(header.bytes_at(12, 7)?), ", Priority: ");
                put!(c, header.u8_at(11)? & 0x7f);
            }
            put!(c, ", PDU length: ", stated);
        }
        18 | 20 => link_state(c, header, stated, len)?,
        24 | 25 => {
            put!(c, "\n\t  source-id:    ", Id(header.bytes_at(2, 7)?), ", PDU length: ", stated);
            put!(c, "\n\t  start lsp-id: ", Id(header.bytes_at(9, 8)?));
            put!(c, "\n\t  end lsp-id:   ", Id(header.bytes_at(17, 8)?));
        }
        _ => {
            put!(c, "\n\t  source-id:    ", Id(header.bytes_at(2, 7)?), ", PDU length: ", stated);
        }
    }
    Ok(())
}

fn link_state<S: Sink>(c: &mut Ctx<S>, header: Buf<'_>, stated: usize, len: usize) -> Step {
    let sum = header.be16_at(16)?;
    put!(
        c,
        "\n\t  lsp-id: ",
        Id(header.bytes_at(4, 8)?),
        ", seq: 0x",
        HexN(header.be32_at(12)?, 8)
    );
    put!(c, ", lifetime: ", Right(header.be16_at(2)?, 5), "s\n\t  chksum: 0x", HexN(sum, 4));
    // From the identifier on: the lifetime changes on the way.
    match len.checked_sub(12) {
        Some(covered) => osi::checksum(c, header.from(4), sum, 12, covered),
        None => c.put(" (unverified)"),
    }
    let block = header.u8_at(18)?;
    put!(c, ", PDU length: ", stated, ", Flags: [ ");
    let mut flag = |mask: u8, name: &str| {
        if block & mask != 0 {
            c.put(name);
        }
    };
    flag(0x04, "Overload bit set, ");
    flag(0x08, "default ");
    flag(0x10, "delay ");
    flag(0x20, "expense ");
    flag(0x40, "error ");
    if block & 0x78 != 0 {
        c.put("ATT bit set, ");
    }
    if block & 0x80 != 0 {
        c.put("P bit set, ");
    }
    put!(c, NamedHex(LEVELS, (block & 3).into(), "Unknown(0x", 1, ")"), " ]");
    Ok(())
}
