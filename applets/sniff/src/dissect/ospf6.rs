//! OSPF for IPv6, version 3 (RFC 5340) with its authentication trailer (RFC 7166).

use super::{Buf, Ctx, Sink, Step, Stop, ospf_grace, ospf_traffic, put};
use crate::text::address::Ip6;
use crate::text::{Bits, HexN, NamedHex, Names, name_of, name_or};

const KINDS: Names = &[
    (1, "Hello"),
    (2, "Database Description"),
    (3, "LS-Request"),
    (4, "LS-Update"),
    (5, "LS-Ack"),
];
const OPTIONS: Names = &[
    (0x0001, "V6"),
    (0x0002, "External"),
    (0x0004, "Deprecated"),
    (0x0008, "NSSA"),
    (0x0010, "Router"),
    (0x0020, "Demand Circuit"),
    (0x0100, "AFs Support"),
    (0x0200, "LLS"),
    (0x0400, "Authentication Trailer"),
];
const ROUTER_FLAGS: Names = &[
    (0x01, "ABR"),
    (0x02, "External"),
    (0x04, "Virtual-Link Endpoint"),
    (0x08, "Deprecated"),
    (0x10, "NSSA Translator"),
];
const EXTERNAL_FLAGS: Names =
    &[(0x0400_0000, "External Type 2"), (0x0200_0000, "Forwarding"), (0x0100_0000, "Tag")];
const ADVERTISEMENTS: Names = &[
    (1, "Router"),
    (2, "Network"),
    (3, "Inter-Area Prefix"),
    (4, "Inter-Area Router"),
    (5, "External"),
    (6, "Deprecated"),
    (7, "NSSA"),
    (8, "Link"),
    (9, "Intra-Area Prefix"),
    (10, "Intra-Area TE"),
    (11, "Grace"),
    (12, "Router Information"),
    (13, "Inter-AS-TE"),
    (14, "Layer 1 VPN"),
];
const SCOPES: Names = &[(0x0000, "Link Local"), (0x2000, "Area Local"), (0x4000, "Domain Wide")];
const DESCRIPTION_FLAGS: Names =
    &[(0x04, "Init"), (0x02, "More"), (0x01, "Master"), (0x08, "IPv6 MTU")];
const PREFIX_OPTIONS: Names = &[
    (0x01, "No Unicast"),
    (0x02, "Local address"),
    (0x04, "Deprecated"),
    (0x08, "Propagate"),
    (0x10, "Down"),
    (0x20, "N-bit"),
];
const AUTHENTICATION: Names = &[(1, "HMAC")];
const HEADER_LEN: usize = 16;
const LSA_HEADER_LEN: usize = 20;
const LLS: u32 = 0x0200;

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ospf3");
    let kind = buf.u8_at(1)?;
    let version = buf.u8_at(0)?;
    let Some(name) = name_of(KINDS, kind.into()) else {
        put!(c, "OSPFv", version, ", unknown packet type (", kind, "), length ", len);
        return Ok(());
    };
    put!(c, "OSPFv", version, ", ", name, ", length ", len);
    if !c.verbose() {
        return Ok(());
    }
    let stated = usize::from(buf.be16_at(2)?);
    if stated > len {
        put!(c, " [len ", stated, "]");
        return Ok(());
    }
    buf.bytes_at(4, 4)?;
    c.put("\n\tRouter-ID ");
    c.host4(buf, 4)?;
    if buf.be32_at(8)? == 0 {
        c.put(", Backbone Area");
    } else {
        c.put(", Area ");
        c.host4(buf, 8)?;
    }
    let instance = buf.u8_at(14)?;
    if instance != 0 {
        put!(c, ", Instance ", instance);
    }
    if version != 3 {
        return Ok(());
    }
    let body_len = stated.checked_sub(HEADER_LEN).ok_or(Stop::Truncated)?;
    let body = buf.from(HEADER_LEN).limit(body_len);
    packet(c, kind, body)?;
    trailer(c, kind, body, buf.from(stated), len - stated)
}

fn packet<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    match kind {
        1 => hello(c, body),
        2 => {
            put!(c, "\n\tOptions [", Bits(OPTIONS, body.be32_at(0)?, ", ", "none"), "]");
            let flags = Bits(DESCRIPTION_FLAGS, body.u8_at(7)?.into(), ", ", "none");
            put!(c, ", DD Flags [", flags, "], MTU ", body.be16_at(4)?, ", DD-Sequence 0x");
            put!(c, HexN(body.be32_at(8)?, 8));
            if c.options.verbose > 1 { headers(c, body.from(12)) } else { Ok(()) }
        }
        3 if c.options.verbose > 1 => {
            let mut rest = body;
            while !rest.is_empty() {
                rest.need(12)?;
                c.put("\n\t  Advertising Router ");
                c.host4(rest, 8)?;
                ls_type(c, rest.be16_at(2)?, rest, 4)?;
                rest = rest.from(12);
            }
            Ok(())
        }
        4 if c.options.verbose > 1 => {
            let mut rest = body.from(4);
            for _ in 0..body.be32_at(0)? {
                if rest.is_empty() {
                    break;
                }
                advertisement(c, rest)?;
                rest = rest.from(usize::from(rest.be16_at(18)?));
                c.check_text()?;
            }
            Ok(())
        }
        5 if c.options.verbose > 1 => headers(c, body),
        _ => Ok(()),
    }
}

fn hello<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    // The priority takes the upper byte of the options' word.
    put!(c, "\n\tOptions [", Bits(OPTIONS, body.be32_at(4)?, ", ", "none"), "]");
    put!(c, "\n\t  Hello Timer ", body.be16_at(8)?, "s, Dead Timer ", body.be16_at(10)?);
    c.put("s, Interface-ID ");
    c.host4(body, 0)?;
    put!(c, ", Priority ", body.u8_at(4)?);
    if body.be32_at(12)? != 0 {
        c.put("\n\t  Designated Router ");
        c.host4(body, 12)?;
    }
    if body.be32_at(16)? != 0 {
        c.put(", Backup Designated Router ");
        c.host4(body, 16)?;
    }
    if c.options.verbose > 1 {
        c.put("\n\t  Neighbor List:");
        let mut rest = body.from(20);
        while !rest.is_empty() {
            rest.need(4)?;
            c.put("\n\t    ");
            c.host4(rest, 0)?;
            rest = rest.from(4);
        }
    }
    Ok(())
}

fn ls_type<S: Sink>(c: &mut Ctx<S>, kind: u16, buf: Buf<'_>, at: usize) -> Step {
    let number = kind & 0x1fff;
    put!(c, "\n\t    ", name_or(ADVERTISEMENTS, number.into(), "Unknown"), " LSA (", number);
    put!(c, "), ", name_or(SCOPES, (kind & 0x6000).into(), "Unknown"), " Scope");
    if kind & 0x8000 != 0 {
        c.put(", transitive");
    }
    c.put(", LSA-ID ");
    c.host4(buf, at)
}

fn headers<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let mut rest = body;
    while !rest.is_empty() {
        header(c, rest)?;
        rest = rest.from(LSA_HEADER_LEN);
        c.check_text()?;
    }
    Ok(())
}

fn header<S: Sink>(c: &mut Ctx<S>, lsa: Buf<'_>) -> Step {
    lsa.need(LSA_HEADER_LEN)?;
    let len = lsa.be16_at(18)?;
    let Some(inner) = usize::from(len).checked_sub(LSA_HEADER_LEN) else {
        put!(c, "\n\t\t  Bogus length ", len, " < header (20)");
        return Err(Stop::Truncated);
    };
    c.put("\n\t  Advertising Router ");
    c.host4(lsa, 8)?;
    put!(c, ", seq 0x", HexN(lsa.be32_at(12)?, 8), ", age ", lsa.be16_at(0)?, "s, length ");
    put!(c, inner);
    ls_type(c, lsa.be16_at(2)?, lsa, 4)
}

fn advertisement<S: Sink>(c: &mut Ctx<S>, lsa: Buf<'_>) -> Step {
    header(c, lsa)?;
    let inner_len = usize::from(lsa.be16_at(18)?) - LSA_HEADER_LEN;
    let body = Buf::new(lsa.bytes_at(LSA_HEADER_LEN, inner_len)?);
    match lsa.be16_at(2)? {
        0x2001 => router(c, body),
        0x2002 => {
            put!(c, "\n\t      Options [", Bits(OPTIONS, body.be32_at(0)?, ", ", "none"), "]");
            c.put("\n\t      Connected Routers:");
            let mut rest = body.from(4);
            while !rest.is_empty() {
                rest.need(4)?;
                c.put("\n\t\t");
                c.host4(rest, 0)?;
                rest = rest.from(4);
            }
            Ok(())
        }
        0x2003 => {
            put!(c, ", metric ", body.be32_at(0)? & 0xff_ffff);
            let mut rest = body.from(4);
            while !rest.is_empty() {
                rest = prefix(c, rest)?;
            }
            Ok(())
        }
        0x4005 => external(c, body),
        0x0008 => {
            put!(c, "\n\t      Options [", Bits(OPTIONS, body.be32_at(0)?, ", ", "none"), "]");
            let count = body.be32_at(20)?;
            put!(c, "\n\t      Priority ", body.u8_at(0)?, ", Link-local address ");
            c.host6(body, 4)?;
            put!(c, ", Prefixes ", count, ":");
            let mut rest = body.from(24);
            for _ in 0..count {
                rest = prefix(c, rest)?;
                c.check_text()?;
            }
            Ok(())
        }
        0x2009 => {
            body.need(12)?;
            ls_type(c, body.be16_at(2)?, body, 4)?;
            let count = body.be16_at(0)?;
            put!(c, "\n\t      Prefixes ", count, ":");
            let mut rest = body.from(12);
            for _ in 0..count {
                rest = prefix(c, rest)?;
                c.check_text()?;
            }
            Ok(())
        }
        0x000b => ospf_grace::print(c, body),
        0x000a => ospf_traffic::print(c, body),
        _ => {
            c.hex_print("\n\t      ", body, body.len());
            Ok(())
        }
    }
}

fn router<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    put!(c, "\n\t      Options [", Bits(OPTIONS, body.be32_at(0)?, ", ", "none"), "]");
    let flags = Bits(ROUTER_FLAGS, body.u8_at(0)?.into(), ", ", "none");
    put!(c, ", RLA-Flags [", flags, "]");
    let mut rest = body.from(4);
    while !rest.is_empty() {
        rest.need(16)?;
        let kind = rest.u8_at(0)?;
        c.put(match kind {
            1 => "\n\t      Neighbor Router-ID ",
            2 => "\n\t      Neighbor Network-ID ",
            4 => "\n\t      Virtual Link: Neighbor Router-ID ",
            _ => {
                put!(c, "\n\t      Unknown Router Links Type 0x", HexN(kind, 2));
                return Ok(());
            }
        });
        c.host4(rest, 12)?;
        c.put("\n\t      Neighbor Interface-ID ");
        c.host4(rest, 8)?;
        c.put(", Interface ");
        c.host4(rest, 4)?;
        put!(c, ", metric ", rest.be16_at(2)?);
        rest = rest.from(16);
        c.check_text()?;
    }
    Ok(())
}

/// A prefix in whole words; what lies behind it.
fn prefix<'a, S: Sink>(c: &mut Ctx<S>, buf: Buf<'a>) -> Step<Buf<'a>> {
    buf.need(4)?;
    let (bits, options) = (buf.u8_at(0)?, buf.u8_at(1)?);
    let bytes = usize::from(bits).div_ceil(32) * 4;
    if bytes > 16 {
        put!(c, " bogus prefixlen /", bits);
        return Err(Stop::Truncated);
    }
    let mut address = [0; 16];
    for (slot, byte) in address.iter_mut().zip(buf.bytes_at(4, bytes)?) {
        *slot = *byte;
    }
    put!(c, "\n\t\t", Ip6(address), "/", bits);
    if options != 0 {
        put!(c, ", Options [", Bits(PREFIX_OPTIONS, options.into(), ", ", "none"), "]");
    }
    put!(c, ", metric ", buf.be16_at(2)?);
    Ok(buf.from(4 + bytes))
}

fn external<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let flags = body.be32_at(0)?;
    put!(c, "\n\t     Flags [", Bits(EXTERNAL_FLAGS, flags, ", ", "none"), "] metric ");
    c.put(flags & 0xff_ffff);
    let mut rest = prefix(c, body.from(4))?;
    if flags & 0x0200_0000 != 0 {
        rest.need(16)?;
        c.put(" forward ");
        c.host6(rest, 0)?;
        rest = rest.from(16);
    }
    if flags & 0x0100_0000 != 0 {
        rest.need(4)?;
        c.put(" tag ");
        c.host4(rest, 0)?;
        rest = rest.from(4);
    }
    if body.u8_at(4 + 2)? != 0 {
        rest.need(4)?;
        c.put(" RefLSID: ");
        c.host4(rest, 0)?;
    }
    Ok(())
}

/// Link-local signalling (RFC 5613) and authentication, behind what the length covers.
fn trailer<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>, buf: Buf<'_>, len: usize) -> Step {
    let (mut rest, mut left) = (buf, len);
    let options = match kind {
        1 => body.be32_at(4)?,
        2 => body.be32_at(0)?,
        _ => 0,
    };
    if options & LLS != 0 && left > 0 {
        if left < 4 {
            return Err(Stop::Truncated);
        }
        put!(c, "\n\tLLS Checksum 0x", HexN(rest.be16_at(0)?, 4));
        // In words, its own header included.
        let block = usize::from(rest.be16_at(2)?);
        put!(c, ", Data Length ", block);
        if block < 4 || block > left {
            return Err(Stop::Truncated);
        }
        rest.need(block)?;
        rest = rest.from(block);
        left -= block;
    }
    if left == 0 {
        return Ok(());
    }
    if left < 16 {
        return Err(Stop::Truncated);
    }
    put!(c, "\n\tAuthentication Type ");
    put!(c, NamedHex(AUTHENTICATION, rest.be16_at(0)?.into(), "unknown (0x", 4, ")"));
    let block = usize::from(rest.be16_at(2)?);
    put!(c, ", Length ", block);
    if block < 16 || block > left {
        return Err(Stop::Truncated);
    }
    put!(c, ", SAID ", rest.be16_at(6)?, ", CSN 0x", HexN(rest.be32_at(8)?, 8));
    put!(c, ":", HexN(rest.be32_at(12)?, 8));
    let digest = Buf::new(rest.bytes_at(16, block - 16)?);
    if c.options.verbose > 1 {
        c.hex_print("\n\tAuthentication Data ", digest, digest.len());
    }
    Ok(())
}
