//! The label distribution protocol (RFC 5036).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::address::Ip4;
use crate::text::{HexN, Names, name_or};

const MESSAGES: Names = &[
    (0x0001, "Notification"),
    (0x0100, "Hello"),
    (0x0200, "Initialization"),
    (0x0201, "Keepalive"),
    (0x0300, "Address"),
    (0x0301, "Address Withdraw"),
    (0x0400, "Label Mapping"),
    (0x0401, "Label Request"),
    (0x0402, "Label Withdraw"),
    (0x0403, "Label Release"),
    (0x0404, "Label Abort Request"),
];
const VALUES: Names = &[
    (0x0100, "FEC"),
    (0x0101, "Address List"),
    (0x0103, "Hop Count"),
    (0x0104, "Path Vector"),
    (0x0200, "Generic Label"),
    (0x0201, "ATM Label"),
    (0x0202, "Frame-Relay Label"),
    (0x0300, "Status"),
    (0x0301, "Extended Status"),
    (0x0302, "Returned PDU"),
    (0x0303, "Returned Message"),
    (0x0400, "Common Hello Parameters"),
    (0x0401, "IPv4 Transport Address"),
    (0x0402, "Configuration Sequence Number"),
    (0x0403, "IPv6 Transport Address"),
    (0x0500, "Common Session Parameters"),
    (0x0501, "ATM Session Parameters"),
    (0x0502, "Frame-Relay Session Parameters"),
    (0x0503, "Fault-Tolerant Session Parameters"),
    (0x0600, "Label Request Message ID"),
    (0x0601, "MTU"),
];
const FORWARDED: Names =
    &[(1, "Wildcard"), (2, "Prefix"), (3, "Host address"), (0x80, "Martini VC")];

/// Prints messages until the datagram or segment ends.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ldp");
    let (mut rest, mut left) = (buf, len);
    while left > 10 + 8 {
        let taken = unit(c, rest)?;
        if taken == 0 || left < taken {
            break;
        }
        left -= taken;
        rest = rest.from(taken);
        c.check_text()?;
    }
    Ok(())
}

fn unit<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step<usize> {
    buf.need(10)?;
    let (version, len) = (buf.be16_at(0)?, usize::from(buf.be16_at(2)?));
    if len < 6 {
        put!(c, " [length ", len, " < 6]");
        return Ok(0);
    }
    let before = if c.verbose() { "\n\t" } else { "" };
    if version != 1 {
        put!(c, before, "LDP version ", version, " packet not supported");
        return Ok(0);
    }
    put!(c, before, "LDP, Label-Space-ID: ", Ip4(buf.array_at(4)?), ":", buf.be16_at(8)?);
    put!(c, ", pdu-length: ", len);
    if !c.verbose() {
        return Ok(0);
    }
    let (mut rest, mut left) = (buf.from(10), len - 6);
    while left > 0 {
        rest.need(8)?;
        let (kind, size) = (rest.be16_at(0)?, usize::from(rest.be16_at(2)?));
        let bare = kind & 0x7fff;
        put!(c, "\n\t  ", name_or(MESSAGES, bare.into(), "Unknown"), " Message (0x");
        put!(c, HexN(bare, 4), "), length: ", size, ", Message ID: 0x");
        put!(c, HexN(rest.be32_at(4)?, 8), ", Flags: [");
        put!(c, if kind & 0x8000 == 0 { "ignore" } else { "continue processing" }, " if unknown]");
        if size < 4 || size + 4 > left {
            return Ok(0);
        }
        rest.need(size + 4)?;
        let mut values = rest.from(8).limit(size - 4);
        if !matches!(bare, 1 | 0x0100 | 0x0200 | 0x0201 | 0x0300 | 0x0301 | 0x0400 | 0x0402) {
            if c.options.verbose <= 1 {
                c.hex_print("\n\t  ", values, values.len());
            }
        } else {
            while values.has(4) {
                if !value(c, &mut values)? {
                    break;
                }
            }
        }
        if c.options.verbose > 1 {
            c.hex_print("\n\t      ", rest.from(8), size - 4);
        }
        rest = rest.from(size + 4);
        left -= size + 4;
        c.check_text()?;
    }
    Ok(len + 4)
}

/// Whether another may follow.
fn value<S: Sink>(c: &mut Ctx<S>, rest: &mut Buf<'_>) -> Step<bool> {
    let (kind, len) = (rest.be16_at(0)?, usize::from(rest.be16_at(2)?));
    if !rest.has(len + 4) {
        c.put("\n\t\t TLV contents go past end of message");
        return Ok(false);
    }
    let bare = kind & 0x3fff;
    put!(c, "\n\t    ", name_or(VALUES, bare.into(), "Unknown"), " TLV (0x", HexN(bare, 4));
    put!(c, "), length: ", len, ", Flags: [");
    put!(c, if kind & 0x8000 == 0 { "ignore" } else { "continue processing" }, " and ");
    put!(c, if kind & 0x4000 == 0 { "don't" } else { "do" }, " forward if unknown]");
    let body = rest.from(4).limit(len);
    *rest = rest.from(4 + len);
    let least = match bare {
        0x0400..=0x0402 | 0x0601 | 0x0200 => 4,
        0x0403 => 16,
        0x0101 => 2,
        0x0100 => 1,
        0x0500 => 14,
        0x0300 => 8,
        0x0503 => 8,
        _ => 0,
    };
    if len < least && bare != 0x0601 {
        put!(c, " [tlv length ", len, " < ", least, "]");
        c.invalid();
        return Ok(true);
    }
    details(c, bare, body)?;
    Ok(true)
}

fn details<S: Sink>(c: &mut Ctx<S>, kind: u16, b: Buf<'_>) -> Step {
    match kind {
        0x0400 => {
            let flags = b.be16_at(2)?;
            put!(c, "\n\t      Hold Time: ", b.be16_at(0)?, "s, Flags: [");
            put!(c, if flags & 0x8000 == 0 { "Link" } else { "Targeted" }, " Hello");
            put!(c, if flags & 0x4000 == 0 { "" } else { ", Request for targeted Hellos" }, "]");
        }
        0x0401 => {
            c.put("\n\t      IPv4 Transport Address: ");
            c.host4(b, 0)?;
        }
        0x0403 => {
            c.put("\n\t      IPv6 Transport Address: ");
            c.host6(b, 0)?;
        }
        0x0402 => put!(c, "\n\t      Sequence Number: ", b.be32_at(0)?),
        0x0101 => addresses(c, b)?,
        0x0500 => {
            let flags = b.be16_at(4)?;
            put!(c, "\n\t      Version: ", b.be16_at(0)?, ", Keepalive: ", b.be16_at(2)?);
            let way = if flags & 0x8000 == 0 { "Unsolicited" } else { "On Demand" };
            put!(c, "s, Flags: [Downstream ", way, ", Loop Detection ");
            put!(c, if flags & 0x4000 == 0 { "Disabled" } else { "Enabled" }, "]");
            put!(c, "\n\t      Path Vector Limit ", b.u8_at(5)?);
            put!(c, ", Max-PDU length: ", b.be16_at(6)?, ", Receiver Label-Space-ID ");
            put!(c, Ip4(b.array_at(8)?), ":", b.be16_at(12)?);
        }
        0x0100 => class(c, b)?,
        0x0200 => put!(c, "\n\t      Label: ", b.be32_at(0)? & 0xf_ffff),
        0x0300 => {
            let status = b.be32_at(0)?;
            put!(c, "\n\t      Status: 0x", HexN(status & 0x3fff_ffff, 2), ", Flags: [");
            c.put(if status >> 31 == 0 { "Advisory Notification" } else { "Fatal error" });
            put!(c, " and ", if status & 0x4000_0000 == 0 { "don't" } else { "do" }, " forward");
            c.put("]");
            let cause = b.be32_at(4)?;
            if cause != 0 {
                put!(c, ", causing Message ID: 0x", HexN(cause, 8));
            }
        }
        0x0503 => {
            let flags = b.be16_at(0)?;
            put!(c, "\n\t      Flags: [", if flags & 0x8000 == 0 { "No " } else { "" });
            put!(c, "Reconnect, ", if flags & 8 == 0 { "Don't " } else { "" }, "Save, ");
            put!(c, if flags & 4 == 0 { "No " } else { "" }, "All-Label, ");
            put!(c, if flags & 2 == 0 { "Sequence Numbers" } else { "Sequence all" }, " Label, ");
            put!(c, if flags & 1 == 0 { "Don't " } else { "" }, "Learn Network]");
            let (reconnect, recovery) = (b.be32_at(0)? & 0xffff, b.be32_at(4)?);
            if reconnect != 0 {
                put!(c, ", Reconnect Timeout: ", reconnect, "ms");
            }
            if recovery != 0 {
                put!(c, ", Recovery Time: ", recovery, "ms");
            }
        }
        0x0601 if b.has(2) => put!(c, "\n\t      MTU: ", b.be16_at(0)?),
        _ if c.options.verbose <= 1 => c.hex_print("\n\t      ", b, b.len()),
        _ => {}
    }
    Ok(())
}

fn addresses<S: Sink>(c: &mut Ctx<S>, b: Buf<'_>) -> Step {
    c.put("\n\t      Address Family: ");
    let mut rest = b.from(2);
    match b.be16_at(0)? {
        1 => {
            c.put("IPv4, addresses");
            while rest.has(4) {
                c.put(" ");
                c.host4(rest, 0)?;
                rest = rest.from(4);
            }
        }
        2 => {
            c.put("IPv6, addresses");
            while rest.has(16) {
                c.put(" ");
                c.host6(rest, 0)?;
                rest = rest.from(16);
            }
        }
        family => put!(c, "Unknown (", family, "), addresses"),
    }
    Ok(())
}

/// What is forwarded alike.
fn class<S: Sink>(c: &mut Ctx<S>, b: Buf<'_>) -> Step {
    let kind = b.u8_at(0)?;
    put!(
        c,
        "\n\t      ",
        name_or(FORWARDED, kind.into(), "Unknown"),
        " FEC (0x",
        HexN(kind, 2),
        ")"
    );
    if kind != 2 {
        return Ok(());
    }
    let family = b.be16_at(1)?;
    if family != 1 {
        put!(c, ": Address family ", family, " prefix");
        return Ok(());
    }
    let bits = b.u8_at(3)?;
    if bits > 32 {
        c.put(": IPv4 prefix (invalid length)");
        return Ok(());
    }
    let mut prefix = [0u8; 4];
    let Ok(bytes) = b.bytes_at(4, usize::from(bits).div_ceil(8)) else {
        c.put(": IPv4 prefix (goes past end of TLV)");
        return Ok(());
    };
    prefix[..bytes.len()].copy_from_slice(bytes);
    put!(c, ": IPv4 prefix ", Ip4(prefix), "/", bits);
    Ok(())
}
