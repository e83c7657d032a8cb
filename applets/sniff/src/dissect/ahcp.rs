//! The ad hoc configuration protocol, version 1.

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::address::Mac;
use crate::text::{HexN, Named, Names};
use crate::time::stamp;

const MESSAGES: Names =
    &[(0, "Discover"), (1, "Offer"), (2, "Request"), (3, "Ack"), (4, "Nack"), (5, "Release")];
const OPTIONS: Names = &[
    (0, "Pad"),
    (1, "Mandatory"),
    (2, "Origin Time"),
    (3, "Expires"),
    (4, "My-IPv6-Address"),
    (5, "My-IPv4-Address"),
    (6, "IPv6 Prefix"),
    (7, "IPv4 Prefix"),
    (8, "IPv6 Address"),
    (9, "IPv4 Address"),
    (10, "IPv6 Prefix Delegation"),
    (11, "IPv4 Prefix Delegation"),
    (12, "Name Server"),
    (13, "NTP Server"),
];
const HEADER: usize = 24;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ahcp");
    c.put("AHCP");
    if len < 2 || buf.u8_at(0)? != 43 {
        return invalid(c, buf, len);
    }
    match buf.u8_at(1)? {
        1 => c.put(" Version 1"),
        version => {
            put!(c, " Version ", version, " (unknown)");
            return Ok(());
        }
    }
    if len < HEADER {
        return invalid(c, buf.from(2), len - 2);
    }
    if c.verbose() {
        put!(c, "\n\tHopcount ", buf.u8_at(2)?, ", Original Hopcount ", buf.u8_at(3)?);
        put!(c, ", Nonce 0x", HexN(buf.be32_at(4)?, 8));
        put!(c, ", Source Id ", Mac(buf.bytes_at(8, 8)?));
        put!(c, ", Destination Id ", Mac(buf.bytes_at(16, 8)?));
    } else {
        buf.need(HEADER)?;
    }
    body(c, buf.from(HEADER), len - HEADER)
}

fn invalid<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, left: usize) -> Step {
    c.invalid();
    buf.need(left)
}

fn body<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, left: usize) -> Step {
    if left < 4 {
        return invalid(c, buf, left);
    }
    let (kind, zero, body_len) = (buf.u8_at(0)?, buf.u8_at(1)?, usize::from(buf.be16_at(2)?));
    if c.verbose() {
        put!(c, "\n\t", Named(MESSAGES, kind.into(), "Unknown-", ""));
        if zero != 0 {
            put!(c, ", MBZ ", zero);
        }
        put!(c, ", Length ", body_len);
    }
    let rest = buf.from(4);
    if body_len > left - 4 {
        return invalid(c, rest, left - 4);
    }
    if c.options.verbose < 2 { rest.need(body_len) } else { options(c, rest, body_len) }
}

fn options<S: Sink>(c: &mut Ctx<S>, mut rest: Buf<'_>, mut left: usize) -> Step {
    while left > 0 {
        let kind = rest.u8()?;
        left -= 1;
        put!(c, "\n\t ", Named(OPTIONS, kind.into(), "Unknown-", ""));
        if kind < 2 {
            continue;
        }
        if left == 0 {
            return invalid(c, rest, left);
        }
        let len = usize::from(rest.u8()?);
        left -= 1;
        if len > left {
            return invalid(c, rest, left);
        }
        value(c, kind, rest, len)?;
        rest = rest.from(len);
        left -= len;
        c.check_text()?;
    }
    Ok(())
}

fn value<S: Sink>(c: &mut Ctx<S>, kind: u8, buf: Buf<'_>, len: usize) -> Step {
    match kind {
        2 | 3 if len != 4 => invalid(c, buf, len),
        2 => {
            let second = buf.be32_at(0)?;
            c.put(": ");
            if S::TEXT {
                stamp::put_utc_date(&mut c.out, second.into(), " ");
            }
            c.put(" UTC");
            Ok(())
        }
        3 => {
            put!(c, ": ", buf.be32_at(0)?, "s");
            Ok(())
        }
        4 | 8 | 12 | 13 => list(c, buf, len, 16, false),
        5 | 9 => list(c, buf, len, 4, false),
        6 | 10 => list(c, buf, len, 16, true),
        11 => list(c, buf, len, 4, true),
        _ => {
            put!(c, " (Length ", len, ")");
            buf.need(len)
        }
    }
}

/// Addresses of `size` bytes, each with the length of a prefix or without.
fn list<S: Sink>(
    c: &mut Ctx<S>,
    mut buf: Buf<'_>,
    mut left: usize,
    size: usize,
    prefix: bool,
) -> Step {
    let step = size + usize::from(prefix);
    let mut before = ": ";
    while left > 0 {
        if left < step {
            return invalid(c, buf, left);
        }
        buf.need(step)?;
        c.put(before);
        match size {
            4 => c.host4(buf, 0)?,
            _ => c.host6(buf, 0)?,
        }
        if prefix {
            put!(c, "/", buf.u8_at(size)?);
        }
        before = ", ";
        buf = buf.from(step);
        left -= step;
    }
    Ok::<(), Stop>(())
}
