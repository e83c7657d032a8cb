//! The Babel routing protocol, version 2 (RFC 8966), with diversity, delays (RFC 9616), digests
//! (RFC 7298, RFC 8967) and source-specific routes as drafts had them.

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::address::{Ip4, Ip6, Mac};
use crate::text::{DecN, HexN, Named, Names, Put};

const CHANNELS: Names = &[(0, "reserved"), (255, "all")];
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const HELLO: u8 = 4;
const HEARD: u8 = 5;
const UPDATE: u8 = 8;

/// The prefix that later updates of a packet are short of, for each of the families.
struct Defaults {
    v4: [u8; 16],
    v6: [u8; 16],
    v4_via_v6: [u8; 16],
}

/// An address with the length of its prefix; IPv4 stands in its mapped form.
#[derive(Clone, Copy)]
struct Prefix([u8; 16], u8);

impl Put for Prefix {
    fn put(&self, out: &mut Vec<u8>) {
        match (self.0.strip_prefix(&MAPPED), self.1.checked_sub(96)) {
            (Some([a, b, c, d]), Some(len)) => (Ip4([*a, *b, *c, *d]), "/", len).put(out),
            _ => (Ip6(self.0), "/", self.1).put(out),
        }
    }
}

/// An address alone.
struct Whole([u8; 16]);

impl Put for Whole {
    fn put(&self, out: &mut Vec<u8>) {
        match self.0.strip_prefix(&MAPPED) {
            Some([a, b, c, d]) => Ip4([*a, *b, *c, *d]).put(out),
            _ => Ip6(self.0).put(out),
        }
    }
}

/// Hundredths of a second.
struct Interval(u16);

impl Put for Interval {
    fn put(&self, out: &mut Vec<u8>) {
        match self.0 {
            0 => "0.0s (bogus)".put(out),
            hundredths => (hundredths / 100, ".", DecN(hundredths % 100, 2), "s").put(out),
        }
    }
}

/// As [`Interval`], where the largest value is no end.
struct UpdateInterval(u16);

impl Put for UpdateInterval {
    fn put(&self, out: &mut Vec<u8>) {
        if self.0 == u16::MAX { "infinity".put(out) } else { Interval(self.0).put(out) }
    }
}

/// Millionths of a second.
struct Micros(u32);

impl Put for Micros {
    fn put(&self, out: &mut Vec<u8>) {
        (self.0 / 1_000_000, ".", DecN(self.0 % 1_000_000, 6), "s").put(out);
    }
}

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("babel");
    c.put("babel");
    buf.need(4)?;
    if buf.u8_at(0)? != 42 {
        c.put(" invalid header");
        return Ok(());
    }
    let version = buf.u8_at(1)?;
    put!(c, " ", version);
    if version != 2 {
        c.put(" unknown version");
        return Ok(());
    }
    if len < 4 {
        return Err(Stop::Invalid);
    }
    let body_len = usize::from(buf.be16_at(2)?);
    put!(c, " (", body_len, ")");
    let rest = len - 4;
    if rest < body_len {
        return Err(Stop::Invalid);
    }
    messages(c, buf.from(4), body_len)?;
    if rest > body_len {
        c.put(if c.verbose() { "\n\t----" } else { " |" });
        messages(c, buf.from(4 + body_len), rest - body_len)?;
    }
    Ok(())
}

fn messages<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let mut defaults = Defaults { v4: [0; 16], v6: [0; 16], v4_via_v6: [0; 16] };
    for slot in [&mut defaults.v4, &mut defaults.v4_via_v6] {
        if let Some(head) = slot.first_chunk_mut() {
            *head = MAPPED;
        }
    }
    let mut at = 0;
    while at < len {
        let kind = buf.u8_at(at)?;
        if kind == 0 {
            c.put(if c.verbose() { "\n\tPad 1" } else { " pad1" });
            at += 1;
            continue;
        }
        if at + 2 > len {
            return Err(Stop::Invalid);
        }
        let body_len = usize::from(buf.u8_at(at + 1)?);
        if at + 2 + body_len > len {
            return Err(Stop::Invalid);
        }
        let body = Buf::new(buf.bytes_at(at + 2, body_len)?);
        if c.verbose() {
            full(c, kind, body, &mut defaults)?;
        } else {
            brief(c, kind, body)?;
        }
        at += 2 + body_len;
        c.check_text()?;
    }
    Ok(())
}

fn brief<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    c.put(match kind {
        1 => " padN",
        2 => " ack-req",
        3 => " ack",
        HELLO => " hello",
        HEARD => " ihu",
        6 => " router-id",
        7 => " nh",
        UPDATE => " update",
        9 => " route-request",
        10 => " seqno-request",
        11 => " tspc",
        12 => " hmac",
        13 => " ss-update",
        14 => " ss-request",
        15 => " ss-mh-request",
        16 => " mac",
        17 => " pc",
        18 => " challenge_request",
        19 => " challenge_reply",
        _ => " unknown",
    });
    if kind == UPDATE {
        least(body, 10)?;
        flags(c, body.u8_at(1)?);
    }
    Ok(())
}

fn flags<S: Sink>(c: &mut Ctx<S>, flags: u8) {
    for (mask, word) in [(0x80, "/prefix"), (0x40, "/id"), (0x3f, "/unknown")] {
        if flags & mask != 0 {
            c.put(word);
        }
    }
}

fn least(body: Buf<'_>, len: usize) -> Step {
    if body.has(len) { Ok(()) } else { Err(Stop::Invalid) }
}

/// A prefix of `bits` (all, when `None`) of which `omitted` bytes are those of `before`; with how
/// many bytes of `body` it took.
fn prefix(
    family: u8,
    bits: Option<u8>,
    omitted: usize,
    body: Buf<'_>,
    before: Option<&[u8; 16]>,
) -> Step<([u8; 16], usize)> {
    let v4 = matches!(family, 1 | 4);
    let bytes = match bits {
        Some(bits) => usize::from(bits).div_ceil(8),
        None if v4 => 4,
        None => 16,
    };
    // Where the written part begins, and how many bytes of the whole stand before it.
    let (start, known) = match family {
        0 => return if bytes > 16 { Err(Stop::Invalid) } else { Ok(([0; 16], 0)) },
        1 | 4 if bytes <= 4 && omitted <= 4 => (12, omitted),
        2 if bytes <= 16 && omitted <= 16 => (0, omitted),
        3 if bytes <= 16 => (0, 8),
        _ => return Err(Stop::Invalid),
    };
    let mut address = [0; 16];
    if v4 && let Some(head) = address.first_chunk_mut() {
        *head = MAPPED;
    }
    if family == 3 {
        [address[0], address[1]] = [0xfe, 0x80];
    } else if omitted > 0 {
        let before = before.ok_or(Stop::Invalid)?;
        for (slot, byte) in address.iter_mut().zip(before).take(start + omitted) {
            *slot = *byte;
        }
    }
    let written = bytes.saturating_sub(known);
    let bytes = body.bytes_at(0, written).map_err(|_| Stop::Invalid)?;
    for (slot, byte) in address.iter_mut().skip(start + known).zip(bytes) {
        *slot = *byte;
    }
    Ok((address, written))
}

fn full<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>, defaults: &mut Defaults) -> Step {
    match kind {
        1 => put!(c, "\n\tPad ", body.len() + 2),
        2 => {
            c.put("\n\tAcknowledgment Request ");
            least(body, 6)?;
            put!(c, HexN(body.be16_at(2)?, 4), " ", Interval(body.be16_at(4)?));
        }
        3 => {
            c.put("\n\tAcknowledgment ");
            least(body, 2)?;
            put!(c, HexN(body.be16_at(0)?, 4));
        }
        HELLO => {
            c.put("\n\tHello ");
            least(body, 6)?;
            let interval = body.be16_at(4)?;
            let unicast = if body.be16_at(0)? & 0x8000 != 0 { "(Unicast) " } else { "" };
            put!(c, unicast, "seqno ", body.be16_at(2)?, " ");
            if interval == 0 {
                c.put("unscheduled");
            } else {
                put!(c, "interval ", Interval(interval));
            }
            return inner(c, kind, body.from(6));
        }
        HEARD => {
            c.put("\n\tIHU ");
            least(body, 6)?;
            let family = body.u8_at(0)?;
            let Ok((address, used)) = prefix(family, None, 0, body.from(6), None) else {
                c.truncated();
                return Ok(());
            };
            if family == 0 {
                c.put("any");
            } else {
                c.put(Whole(address));
            }
            put!(c, " rxcost ", body.be16_at(2)?, " interval ", Interval(body.be16_at(4)?));
            return inner(c, kind, body.from(6 + used));
        }
        6 => {
            c.put("\n\tRouter Id");
            least(body, 10)?;
            put!(c, " ", Mac(body.bytes_at(2, 8)?));
        }
        7 => {
            c.put("\n\tNext Hop");
            least(body, 2)?;
            let family = body.u8_at(0)?;
            let (address, _) = prefix(family, None, 0, body.from(2), None)?;
            if family == 0 {
                c.put(" invalid AE 0");
            } else {
                put!(c, " ", Whole(address));
            }
        }
        UPDATE => return update(c, body, defaults),
        9 | 10 => return request(c, kind, body),
        11 => {
            c.put("\n\tTS/PC ");
            least(body, 6)?;
            put!(c, "timestamp ", body.be32_at(2)?, " packetcounter ", body.be16_at(0)?);
        }
        12 => {
            c.put("\n\tHMAC ");
            least(body, 18)?;
            put!(c, "key-id ", body.be16_at(0)?, " digest-", body.len() - 2, " ");
            c.put(Upper(body.from(2).bytes()));
        }
        13..=15 => return source_specific(c, kind, body, defaults),
        16 => put!(c, "\n\tMAC len ", body.len()),
        17 => {
            c.put("\n\tPC");
            least(body, 4)?;
            put!(c, " value ", body.be32_at(0)?, " index len ", body.len() - 4);
        }
        18 | 19 => {
            c.put(if kind == 18 { "\n\tChallenge Request" } else { "\n\tChallenge Reply" });
            if body.len() > 192 {
                return Err(Stop::Invalid);
            }
            put!(c, " len ", body.len());
        }
        _ => put!(c, "\n\tUnknown message type ", kind),
    }
    Ok(())
}

/// Bytes as two capital digits each.
struct Upper<'a>(&'a [u8]);

impl Put for Upper<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        crate::text::HexBytes(self.0).put(out);
        if let Some(text) = out.get_mut(start..) {
            text.make_ascii_uppercase();
        }
    }
}

fn update<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>, defaults: &mut Defaults) -> Step {
    c.put("\n\tUpdate");
    least(body, 10)?;
    let family = body.u8_at(0)?;
    let before = match family {
        0 | 2 | 3 => &mut defaults.v6,
        1 => &mut defaults.v4,
        4 => &mut defaults.v4_via_v6,
        _ => return Err(Stop::Invalid),
    };
    let (bits, omitted) = (body.u8_at(2)?, usize::from(body.u8_at(3)?));
    let (address, used) = prefix(family, Some(bits), omitted, body.from(10), Some(before))?;
    let marks = body.u8_at(1)?;
    flags(c, marks);
    c.put(" ");
    shown(c, family, address, bits, "any");
    put!(c, " metric ", body.be16_at(8)?, " seqno ", body.be16_at(6)?, " interval ");
    c.put(UpdateInterval(body.be16_at(4)?));
    if family == 4 {
        c.put(" (v4-via-v6)");
    }
    if marks & 0x80 != 0 {
        *before = address;
    }
    inner(c, UPDATE, body.from(10 + used))
}

fn shown<S: Sink>(c: &mut Ctx<S>, family: u8, address: [u8; 16], bits: u8, none: &str) {
    let shift = if matches!(family, 1 | 4) { 96 } else { 0 };
    match family {
        0 => c.put(none),
        _ => c.put(Prefix(address, bits.wrapping_add(shift))),
    }
}

fn request<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>) -> Step {
    let route = kind == 9;
    c.put(if route { "\n\tRoute Request " } else { "\n\tSeqno Request " });
    let head = if route { 2 } else { 14 };
    least(body, head)?;
    let (family, bits) = (body.u8_at(0)?, body.u8_at(1)?);
    let (address, _) = prefix(family, Some(bits), 0, body.from(head), None)?;
    if !route {
        put!(c, "(", body.u8_at(4)?, " hops) ");
    }
    c.put("for ");
    shown(c, family, address, bits, if route { "any" } else { "invalid AE 0" });
    if !route {
        put!(c, " seqno ", body.be16_at(2)?, " id ", Mac(body.bytes_at(6, 8)?));
    }
    if family == 4 {
        c.put(" (v4-via-v6)");
    }
    Ok(())
}

fn source_specific<S: Sink>(c: &mut Ctx<S>, kind: u8, body: Buf<'_>, defaults: &Defaults) -> Step {
    let (word, head) = match kind {
        13 => ("\n\tSS-Update", 10),
        14 => ("\n\tSS-Request ", 3),
        _ => ("\n\tSS-MH-Request ", 14),
    };
    c.put(word);
    least(body, head)?;
    let family = body.u8_at(0)?;
    let (bits, source_bits, omitted) = match kind {
        13 => (body.u8_at(2)?, body.u8_at(1)?, usize::from(body.u8_at(3)?)),
        14 => (body.u8_at(1)?, body.u8_at(2)?, 0),
        _ => (body.u8_at(1)?, body.u8_at(5)?, 0),
    };
    let before = if family == 1 { &defaults.v4 } else { &defaults.v6 };
    let (address, used) = prefix(family, Some(bits), omitted, body.from(head), Some(before))?;
    let rest = body.from(head + used);
    let (source, source_used) = prefix(family, Some(source_bits), 0, rest, None)?;
    let shift = if family == 1 { 96 } else { 0 };
    let to = Prefix(address, bits.wrapping_add(shift));
    let from = Prefix(source, source_bits.wrapping_add(shift));
    match kind {
        13 => {
            put!(c, " ", to, " from ", from, " metric ", body.be16_at(8)?);
            put!(c, " seqno ", body.be16_at(6)?, " interval ", UpdateInterval(body.be16_at(4)?));
            return inner(c, kind, rest.from(source_used));
        }
        14 if family == 0 => c.put("for any"),
        14 => put!(c, "for (", to, ", ", from, ")"),
        _ => {
            put!(c, "(", body.u8_at(4)?, " hops) for (", to, ", ", from, ") seqno ");
            put!(c, body.be16_at(2)?, " id ", Mac(body.bytes_at(6, 8)?));
        }
    }
    if family == 4 {
        c.put(" (v4-via-v6)");
    }
    Ok(())
}

/// What may stand behind the fields of a message.
fn inner<S: Sink>(c: &mut Ctx<S>, message: u8, body: Buf<'_>) -> Step {
    let mut rest = body;
    while !rest.is_empty() {
        let kind = rest.u8()?;
        if kind == 0 {
            c.put(" sub-pad1");
            continue;
        }
        if kind & 0x80 != 0 {
            c.put(" (M)");
        }
        let Ok(value) = rest.u8().and_then(|len| rest.take(len.into())) else {
            c.invalid();
            return Ok(());
        };
        let value = Buf::new(value);
        match kind {
            1 => c.put(" sub-padn"),
            2 => {
                c.put(" sub-diversity");
                if value.is_empty() {
                    c.put(" empty");
                    continue;
                }
                for (at, channel) in value.bytes().iter().enumerate() {
                    let separator = if at == 0 { " " } else { "-" };
                    put!(c, separator, Named(CHANNELS, (*channel).into(), "", ""));
                }
                if !matches!(message, UPDATE | 13) {
                    c.put(" (bogus)");
                }
            }
            3 => {
                c.put(" sub-timestamp");
                let wanted = match message {
                    HELLO => 4,
                    HEARD => 8,
                    _ => {
                        c.put(" (bogus)");
                        continue;
                    }
                };
                if !value.has(wanted) {
                    c.invalid();
                    return Ok(());
                }
                put!(c, " ", Micros(value.be32_at(0)?));
                if message == HEARD {
                    put!(c, "|", Micros(value.be32_at(4)?));
                }
            }
            _ => put!(c, " sub-unknown-0x", HexN(kind, 2)),
        }
    }
    Ok(())
}
