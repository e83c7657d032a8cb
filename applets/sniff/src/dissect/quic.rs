//! QUIC (RFC 9000): the headers that are not protected.

use super::registry::Ports;
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Hex, HexBytes};

const MAX_CONNECTION_ID: usize = 20;

/// Prints the packets of a datagram, where it looks like QUIC.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Ports) -> Step {
    // All packets have the fixed bit (RFC 9000 section 17).
    if len < 1 || buf.u8_at(0)? & 0x40 == 0 {
        put!(c, "UDP, length ", len);
        return Ok(());
    }
    c.layer("quic");
    c.put("quic");
    let mut buf = buf;
    while !buf.is_empty() {
        packet(c, &mut buf)?;
        while buf.u8_at(0) == Ok(0) {
            buf = buf.from(1);
        }
    }
    Ok(())
}

fn packet<S: Sink>(c: &mut Ctx<S>, buf: &mut Buf<'_>) -> Step {
    let first = buf.u8()?;
    if first & 0x80 == 0 {
        c.put(", protected");
        if buf.len() <= 16 {
            c.truncated();
        }
        *buf = buf.from(buf.len());
        return Ok(());
    }
    let kind = first >> 4 & 3;
    let version = buf.be32()?;
    c.put(match (version, kind) {
        (0, _) => ", version negotiation",
        (_, 0) => ", initial",
        (_, 1) => ", 0-rtt",
        (_, 2) => ", handshake",
        _ => ", retry",
    });
    if version > 1 {
        put!(c, ", v", Hex(version));
    }
    for name in [", dcid ", ", scid "] {
        let len = usize::from(buf.u8()?);
        if (1..=MAX_CONNECTION_ID).contains(&len) {
            put!(c, name, HexBytes(buf.take(len)?));
        }
    }
    if version == 0 {
        while !buf.is_empty() {
            put!(c, ", version 0x", Hex(buf.be32()?));
        }
        return Ok(());
    }
    match kind {
        0 => {
            let token_len = integer(buf)?;
            if (1..1000).contains(&token_len) {
                put!(c, ", token ", HexBytes(buf.take(token_len as usize)?));
            }
        }
        3 => {
            c.put(", token ");
            match buf.len().checked_sub(16) {
                Some(len @ 1..) => c.put(HexBytes(buf.take(len)?)),
                _ => c.truncated(),
            }
            *buf = buf.from(buf.len());
            return Ok(());
        }
        _ => {}
    }
    let len = integer(buf)?;
    put!(c, ", length ", len);
    let available = buf.len();
    match usize::try_from(len) {
        Ok(len) if len <= available => *buf = buf.from(len),
        _ => {
            c.truncated();
            *buf = buf.from(available);
        }
    }
    Ok(())
}

/// An integer of variable length (RFC 9000 section 16).
fn integer(buf: &mut Buf<'_>) -> Step<u64> {
    let first = buf.u8()?;
    let mut value = u64::from(first & 0x3f);
    for _ in 1..1 << (first >> 6) {
        value = value << 8 | u64::from(buf.u8()?);
    }
    Ok(value)
}
