//! OSPF for IPv4, version 2 (RFC 2328) with opaque advertisements (RFC 5250).

use super::{Buf, Ctx, Sink, Step, Stop, ospf_lsa, put};
use crate::text::{Bits, HexN, Names, name_of, name_or};

const KINDS: Names = &[
    (0, "UMD"),
    (1, "Hello"),
    (2, "Database Description"),
    (3, "LS-Request"),
    (4, "LS-Update"),
    (5, "LS-Ack"),
];
const AUTHENTICATION: Names = &[(0, "none"), (1, "simple"), (2, "MD5")];
const DESCRIPTION_FLAGS: Names = &[(4, "Init"), (2, "More"), (1, "Master"), (8, "OOBResync")];
const LLS: Names = &[(1, "Extended Options"), (2, "MD5 Authentication")];
const LLS_OPTIONS: Names = &[(1, "LSDB resync"), (2, "Restart")];
const HEADER_LEN: usize = 24;
const DIGEST: u16 = 2;
/// The option that says that a block of link-local signalling follows (RFC 5613).
const SIGNALLED: u8 = 0x10;

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ospf2");
    let kind = buf.u8_at(1)?;
    let version = buf.u8_at(0)?;
    if version == 3 {
        return super::ospf6::print(c, buf, len);
    }
    let Some(name) = name_of(KINDS, kind.into()) else {
        put!(c, "OSPFv", version, ", unknown LS-type ", kind, ", length ", len);
        return Ok(());
    };
    put!(c, "OSPFv", version, ", ", name, ", length ", len);
    if !c.verbose() {
        return Ok(());
    }
    let stated = usize::from(buf.be16_at(2)?);
    if len != stated {
        put!(c, " [len ", stated, "]");
    }
    // A digest or a block of signalling may follow what the length covers.
    let covered = if len > stated { stated } else { len };
    buf.need(8)?;
    c.put("\n\tRouter-ID ");
    c.host4(buf, 4)?;
    if buf.be32_at(8)? == 0 {
        c.put(", Backbone Area");
    } else {
        c.put(", Area ");
        c.host4(buf, 8)?;
    }
    let authentication = buf.be16_at(14)?;
    buf.need(HEADER_LEN)?;
    put!(c, ", Authentication Type: ", name_or(AUTHENTICATION, authentication.into(), "unknown"));
    put!(c, " (", authentication, ")");
    match authentication {
        0 => {}
        1 => {
            c.put("\n\tSimple text password: ");
            c.visible_to_nul(buf.from(16), 8)?;
        }
        DIGEST => {
            put!(c, "\n\tKey-ID: ", buf.u8_at(18)?, ", Auth-Length: ", buf.u8_at(19)?);
            put!(c, ", Crypto Sequence Number: 0x", HexN(buf.be32_at(20)?, 8));
        }
        _ => return Ok(()),
    }
    if version != 2 {
        put!(c, " ospf [version ", version, "]");
        return Ok(());
    }
    let body = buf.from(HEADER_LEN).limit(covered.saturating_sub(HEADER_LEN));
    packet(c, kind, body)?;
    let options = match kind {
        1 => body.u8_at(6)?,
        2 => body.u8_at(2)?,
        _ => 0,
    };
    if options & SIGNALLED != 0 && len > stated {
        signalling(c, buf.from(stated), authentication)?;
    }
    Ok(())
}

fn packet<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    match kind {
        1 => hello(c, body),
        2 => {
            ospf_lsa::options(c, "\n\tOptions [", body.u8_at(2)?);
            let flags = Bits(DESCRIPTION_FLAGS, body.u8_at(3)?.into(), ", ", "none");
            put!(c, ", DD Flags [", flags, "], MTU: ", body.be16_at(0)?, ", Sequence: 0x");
            put!(c, HexN(body.be32_at(4)?, 8));
            headers(c, body.from(8))
        }
        3 => {
            let mut rest = body;
            while !rest.is_empty() {
                rest.need(12)?;
                c.put("\n\t  Advertising Router: ");
                c.host4(rest, 8)?;
                let kind = rest.be32_at(0)?;
                put!(c, ", ", name_or(ospf_lsa::KINDS, kind, "unknown"), " LSA (", kind, ")");
                ospf_lsa::identity(c, kind, rest, 4)?;
                rest = rest.from(12);
            }
            Ok(())
        }
        4 => {
            let count = body.be32_at(0)?;
            put!(c, ", ", count, if count > 1 { " LSAs" } else { " LSA" });
            let mut rest = body.from(4);
            for number in 1..=count {
                put!(c, "\n\t  LSA #", number);
                rest = ospf_lsa::print(c, rest)?;
                c.check_text()?;
            }
            Ok(())
        }
        5 => headers(c, body),
        _ => Ok(()),
    }
}

fn headers<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let mut rest = body;
    while !rest.is_empty() {
        ospf_lsa::header(c, rest)?;
        rest = rest.from(20);
        c.check_text()?;
    }
    Ok(())
}

fn hello<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    ospf_lsa::options(c, "\n\tOptions [", body.u8_at(6)?);
    put!(c, "\n\t  Hello Timer ", body.be16_at(4)?, "s, Dead Timer ", body.be32_at(8)?);
    c.put("s, Mask ");
    c.host4(body, 0)?;
    put!(c, ", Priority ", body.u8_at(7)?);
    if body.be32_at(12)? != 0 {
        c.put("\n\t  Designated Router ");
        c.host4(body, 12)?;
    }
    if body.be32_at(16)? != 0 {
        c.put(", Backup Designated Router ");
        c.host4(body, 16)?;
    }
    let mut rest = body.from(20);
    if !rest.is_empty() {
        c.put("\n\t  Neighbor List:");
    }
    while !rest.is_empty() {
        rest.need(4)?;
        c.put("\n\t    ");
        c.host4(rest, 0)?;
        rest = rest.from(4);
    }
    Ok(())
}

fn signalling<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, authentication: u16) -> Step {
    // The digest stands before the block.
    let block = if authentication == DIGEST { buf.from(16) } else { buf };
    put!(c, "\n\t  LLS: checksum: 0x", HexN(block.be16_at(0)?, 4));
    let words = usize::from(block.be16_at(2)?);
    put!(c, ", length: ", words);
    let mut rest = block.from(4);
    let mut left = (words * 4).saturating_sub(4);
    while left > 0 {
        if left < 4 {
            return Err(Stop::Truncated);
        }
        let (kind, len) = (rest.be16_at(0)?, usize::from(rest.be16_at(2)?));
        put!(c, "\n\t    ", name_or(LLS, kind.into(), "unknown TLV"), " (", kind, ")");
        put!(c, ", length: ", len);
        let value = rest.from(4);
        match kind {
            1 if len == 4 => {
                let options = value.be32_at(0)?;
                put!(c, "\n\t      Options: 0x", HexN(options, 8), " [");
                put!(c, Bits(LLS_OPTIONS, options, ", ", "?"), "]");
            }
            1 => put!(c, " [bogus length ", len, " != 4]"),
            2 if len >= 4 => put!(c, "\n\t      Sequence number: 0x", HexN(value.be32_at(0)?, 8)),
            2 => put!(c, " [bogus length ", len, " < 4]"),
            _ => {}
        }
        let used = 4 + len.next_multiple_of(4);
        rest = rest.from(used);
        left = left.saturating_sub(used);
    }
    Ok(())
}
