//! Options of multipath TCP (RFC 6824, RFC 8684).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Hex, HexBytes, Names, name_or};

const KINDS: Names = &[
    (0, "capable"),
    (1, "join"),
    (2, "dss"),
    (3, "add-addr"),
    (4, "rem-addr"),
    (5, "prio"),
    (6, "fail"),
    (7, "fast-close"),
    (8, "tcprst"),
];
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Prints an option from its subtype on (`buf` has its whole body); `false` where it cannot be.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, flags: u8) -> Step<bool> {
    if buf.is_empty() {
        return Ok(false);
    }
    let kind = buf.u8_at(0)? >> 4;
    put!(c, " ", name_or(KINDS, kind.into(), "unknown"));
    match kind {
        0 => capable(c, buf, flags),
        1 => join(c, buf, flags),
        2 => sequence(c, buf, flags),
        3 => add_address(c, buf),
        4 => {
            if !buf.has(2) {
                return Ok(false);
            }
            c.put(" id");
            for id in buf.from(1).bytes() {
                put!(c, " ", *id);
            }
            Ok(true)
        }
        5 => {
            if !matches!(buf.len(), 1 | 2) {
                return Ok(false);
            }
            c.put(if buf.u8_at(0)? & 1 != 0 { " backup" } else { " non-backup" });
            if buf.has(2) {
                put!(c, " id ", buf.u8_at(1)?);
            }
            Ok(true)
        }
        6 | 7 => {
            if buf.len() != 10 {
                return Ok(false);
            }
            if kind == 6 {
                put!(c, " seq ", buf.be64_at(2)?);
            } else {
                put!(c, " key 0x", Hex(buf.be64_at(2)?));
            }
            Ok(true)
        }
        _ => Ok(true),
    }
}

/// The first version has keys in every packet, the second none in a SYN.
fn capable<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, flags: u8) -> Step<bool> {
    let len = buf.len() + 2;
    if len < 4 {
        return Ok(false);
    }
    let version = buf.u8_at(0)? & 15;
    let fits = match version {
        0 => len == 12 && flags & SYN != 0 || len == 20 && flags & (SYN | ACK) == ACK,
        1 => matches!((len, flags & (SYN | ACK)), (4, SYN) | (12, 0x12) | (20 | 22 | 24, ACK)),
        _ => {
            put!(c, " Unknown Version (", version, ")");
            return Ok(true);
        }
    };
    if !fits {
        return Ok(false);
    }
    put!(c, " v", version);
    if buf.u8_at(1)? & 0x80 != 0 {
        c.put(" csum");
    }
    if len >= 12 {
        put!(c, " {0x", Hex(buf.be64_at(2)?));
        if len >= 20 {
            put!(c, ",0x", Hex(buf.be64_at(10)?));
        }
        c.put("}");
    }
    Ok(true)
}

fn join<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, flags: u8) -> Step<bool> {
    let len = buf.len() + 2;
    let fits = match len {
        12 => flags & SYN != 0,
        16 => flags & (SYN | ACK) == SYN | ACK,
        24 => flags & ACK != 0,
        _ => false,
    };
    if !fits {
        return Ok(false);
    }
    if len != 24 {
        if buf.u8_at(0)? & 1 != 0 {
            c.put(" backup");
        }
        put!(c, " id ", buf.u8_at(1)?);
    }
    match len {
        12 => put!(c, " token 0x", Hex(buf.be32_at(2)?), " nonce 0x", Hex(buf.be32_at(6)?)),
        16 => put!(c, " hmac 0x", Hex(buf.be64_at(2)?), " nonce 0x", Hex(buf.be32_at(10)?)),
        _ => put!(c, " hmac 0x", HexBytes(buf.bytes_at(2, 20)?)),
    }
    Ok(true)
}

/// A number of 8 or 4 bytes; `None` where the option ends before.
fn number(buf: &mut Buf<'_>, wide: bool) -> Option<u64> {
    if wide { buf.be64().ok() } else { buf.be32().ok().map(u64::from) }
}

fn sequence<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, flags: u8) -> Step<bool> {
    if !buf.has(2) || flags & SYN != 0 {
        return Ok(false);
    }
    let marks = buf.u8_at(1)?;
    if marks & 0x10 != 0 {
        c.put(" fin");
    }
    let mut rest = buf.from(2);
    if marks & 1 != 0 {
        c.put(" ack ");
        let Some(ack) = number(&mut rest, marks & 2 != 0) else { return Ok(false) };
        c.put(ack);
    }
    if marks & 4 != 0 {
        c.put(" seq ");
        let Some(sequence) = number(&mut rest, marks & 8 != 0) else { return Ok(false) };
        c.put(sequence);
        let Ok(subflow) = rest.be32() else { return Ok(false) };
        put!(c, " subseq ", subflow);
        let Ok(len) = rest.be16() else { return Ok(false) };
        put!(c, " len ", len);
        if let Ok(sum) = rest.be16() {
            put!(c, " csum 0x", Hex(sum));
        }
    }
    Ok(rest.is_empty())
}

/// The first version tells the family, the second whether it is an echo.
fn add_address<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step<bool> {
    let len = buf.len() + 2;
    let low = buf.u8_at(0)? & 15;
    let (v4, digest, version) = match (len, low) {
        (8 | 10, 4) => (true, false, " v0"),
        (20 | 22, 6) => (false, false, " v0"),
        (16 | 18, 0) => (true, true, " v1"),
        (28 | 30, 0) => (false, true, " v1"),
        (8 | 10, 1) => (true, false, " v1-echo"),
        (20 | 22, 1) => (false, false, " v1-echo"),
        _ => return Ok(false),
    };
    put!(c, version, " id ", buf.u8_at(1)?, " ");
    let mut rest = buf.from(2);
    if v4 {
        c.host4(rest, 0)?;
        rest = rest.from(4);
    } else {
        c.host6(rest, 0)?;
        rest = rest.from(16);
    }
    if matches!(rest.len(), 2 | 10) {
        put!(c, ":", rest.be16()?);
    }
    if digest {
        put!(c, " hmac 0x", Hex(rest.be64()?));
    }
    Ok(true)
}
