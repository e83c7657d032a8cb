//! The routing information protocol, versions 1 and 2 (RFC 1058, RFC 2453, RFC 4822).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::address::Ip4;
use crate::text::{HexN, Left, Named, Names, Right, Visible, name_of};

const COMMANDS: Names = &[
    (1, "Request"),
    (2, "Response"),
    (3, "Trace on"),
    (4, "Trace off"),
    (5, "Poll"),
    (6, "Poll Entry"),
];
const FAMILIES: Names = &[
    (2, "IPv4"),
    (6, "NS"),
    (7, "ISO"),
    (16, "Appletalk"),
    (23, "IPX"),
    (24, "IPv6"),
    (28, "IPv6"),
    (30, "IPv6"),
];
const ROUTE_LEN: usize = 20;
const AUTHENTICATION: u16 = 0xffff;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("rip");
    let left = buf.len().min(len);
    if left < 4 {
        c.truncated();
        return Ok(());
    }
    let (command, version) = (buf.u8_at(0)?, buf.u8_at(1)?);
    put!(c, if c.verbose() { "\n\tRIPv" } else { "RIPv" }, version);
    if version == 0 {
        c.hex_print("\n\t", buf, len);
        return Ok(());
    }
    put!(c, ", ", Named(COMMANDS, command.into(), "unknown command (", ")"), ", length: ", len);
    if !c.verbose() {
        return Ok(());
    }
    match (command, version) {
        (1 | 2, 1 | 2) => {
            put!(c, ", routes: ", len / ROUTE_LEN, if version == 2 { " or less" } else { "" });
            routes(c, buf.from(4), left - 4, version)?;
        }
        (1 | 2, _) => c.put(", unknown version"),
        (4..=6, _) => {}
        _ if c.options.verbose == 1 => c.hex_print("\n\t", buf, len),
        _ => {}
    }
    if c.options.verbose > 1 {
        c.hex_print("\n\t", buf, len);
    }
    Ok(())
}

fn routes<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, version: u8) -> Step {
    let (mut buf, mut left) = (buf, len);
    while left > 0 {
        let used = if version == 1 { entry_1(c, buf, left)? } else { entry_2(c, buf, left)? };
        let Some(used) = used else {
            c.truncated();
            return Ok(());
        };
        if left < used {
            put!(c, " [remaining entries length ", left, " < ", used, "]");
            c.invalid();
            return Ok(());
        }
        buf = buf.from(used);
        left -= used;
        c.check_text()?;
    }
    Ok(())
}

/// An entry of version 1: how long it was; `None` when it is cut.
fn entry_1<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, left: usize) -> Step<Option<usize>> {
    if left < ROUTE_LEN || !buf.has(ROUTE_LEN) {
        return Ok(None);
    }
    let family = buf.be16_at(0)?;
    if !matches!(family, 0 | 2) {
        put!(c, "\n\t AFI ", Named(FAMILIES, family.into(), "Unknown (", ")"), ", ");
        c.hex_print("\n\t  ", buf.from(4), ROUTE_LEN - 4);
        return Ok(Some(ROUTE_LEN));
    }
    if buf.be16_at(2)? != 0 || buf.be64_at(8)? != 0 {
        c.hex_print("\n\t  ", buf, ROUTE_LEN);
        return Ok(Some(ROUTE_LEN));
    }
    c.put(if family == 0 { "\n\t  AFI 0, " } else { "\n\t  " });
    c.host4(buf, 4)?;
    put!(c, ", metric: ", buf.be32_at(16)?);
    Ok(Some(ROUTE_LEN))
}

fn entry_2<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, left: usize) -> Step<Option<usize>> {
    if left < 4 || !buf.has(4) {
        return Ok(None);
    }
    let family = buf.be16_at(0)?;
    if family == AUTHENTICATION {
        return authentication(c, buf.limit(left));
    }
    if !matches!(family, 0 | 2) {
        put!(c, "\n\t  AFI ", Named(FAMILIES, family.into(), "Unknown (", ")"));
        c.hex_print("\n\t  ", buf.from(4), ROUTE_LEN - 4);
        return Ok(Some(ROUTE_LEN));
    }
    if left < ROUTE_LEN || !buf.has(ROUTE_LEN) {
        return Ok(None);
    }
    c.put("\n\t  AFI ");
    match name_of(FAMILIES, family.into()) {
        Some(name) => c.put(name),
        None => c.put(family),
    }
    let network = Ip4(buf.array_at(4)?);
    let mask = buf.be32_at(8)?;
    // A mask with holes has no length.
    let prefix = if mask.leading_ones() + mask.trailing_zeros() >= 32 {
        mask.leading_ones() as i32
    } else {
        -1
    };
    put!(c, ", ", Right(network, 15), "/", Left(prefix, 2), ", tag 0x", HexN(buf.be16_at(2)?, 4));
    put!(c, ", metric: ", buf.be32_at(16)?, ", next-hop: ");
    if buf.be32_at(12)? == 0 {
        c.put("self");
    } else {
        c.host4(buf, 12)?;
    }
    Ok(Some(ROUTE_LEN))
}

fn authentication<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step<Option<usize>> {
    let kind = buf.be16_at(2)?;
    let body = buf.from(4);
    match kind {
        2 => {
            c.put("\n\t  Simple Text Authentication data: ");
            let text = body.bytes().get(..16).unwrap_or(body.bytes());
            match memchr::memchr(0, text) {
                Some(end) => c.put(Visible(text.get(..end).unwrap_or_default())),
                None => c.put(Visible(text)),
            }
            Ok(if body.has(16) || text.contains(&0) { Some(ROUTE_LEN) } else { None })
        }
        3 => {
            if !body.has(16) {
                return Ok(None);
            }
            put!(c, "\n\t  Auth header: Packet Len ", body.be16_at(0)?, ", Key-ID ");
            put!(c, body.u8_at(2)?, ", Auth Data Len ", body.u8_at(3)?, ", SeqNo ");
            put!(c, body.be32_at(4)?, ", MBZ ", body.be32_at(8)?, ", MBZ ", body.be32_at(12)?);
            Ok(Some(ROUTE_LEN))
        }
        1 => {
            c.put("\n\t  Auth trailer:");
            c.hex_print("\n\t  ", body, body.len());
            Ok(Some(buf.len()))
        }
        _ => {
            put!(c, "\n\t  Unknown (", kind, ") Authentication data:");
            c.hex_print("\n\t  ", body, body.len());
            Ok(Some(buf.len()))
        }
    }
}
