//! ICMPv6 about nodes: information queries (RFC 4620) and router renumbering (RFC 2894).

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::address::Ip6;
use crate::text::{Hex, Visible};

const HEADER_LEN: usize = 16;
/// Letters of the address flags and their bits.
const ADDRESS_FLAGS: [(u16, &str); 7] =
    [(0x20, "a"), (0x10, "G"), (0x08, "S"), (0x04, "L"), (0x02, "C"), (0x01, "A"), (0x40, "T")];

fn address_flags<S: Sink>(c: &mut Ctx<S>, flags: u16, known: usize) {
    if flags == 0 {
        return;
    }
    c.put(" [");
    // On the wire: all 0x02, compatible 0x04, link 0x08, site 0x10, global 0x20 (RFC 4620).
    for (mask, letter) in ADDRESS_FLAGS.iter().take(known) {
        let mask = match *letter {
            "A" => 0x02,
            "C" => 0x04,
            "L" => 0x08,
            "S" => 0x10,
            "G" => 0x20,
            "a" => 0x40,
            _ => *mask & 0x01,
        };
        if flags & mask != 0 {
            c.put(*letter);
        }
    }
    c.put("]");
}

/// Prints a query or a reply.
pub fn information<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, query: bool) -> Step {
    if query { ask(c, buf) } else { answer(c, buf, len) }
}

fn ask<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    if buf.len() == 12 {
        c.put(" who-are-you request");
        return Ok(());
    }
    buf.need(HEADER_LEN)?;
    c.put(" (");
    let kind = buf.be16_at(4)?;
    let flags = buf.be16_at(6)?;
    match kind {
        0 => c.put("noop"),
        1 => {
            c.put("supported qtypes");
            if flags != 0 {
                put!(c, " [", if flags & 1 != 0 { "C" } else { "" }, "]");
            }
        }
        2 => c.put("DNS name"),
        3 => {
            c.put("node addresses");
            address_flags(c, flags, 6);
        }
        4 => {
            c.put("ipv4 addresses");
            if flags & 0x02 != 0 {
                c.put(" [A]");
            }
        }
        _ => c.put("unknown"),
    }
    if kind <= 1 {
        if buf.len() != HEADER_LEN && c.verbose() {
            c.put(", invalid len");
        }
        c.put(")");
        return Ok(());
    }
    if buf.len() == HEADER_LEN {
        c.put(", 03 draft)");
        return Ok(());
    }
    let subject = buf.from(HEADER_LEN);
    match buf.u8_at(1)? {
        0 if subject.len() == 16 => {
            c.put(", subject=");
            c.host6(subject, 0)?;
        }
        2 if subject.len() == 4 => {
            c.put(", subject=");
            c.host4(subject, 0)?;
        }
        0 | 2 => {
            if c.verbose() {
                c.put(", invalid subject len");
            }
        }
        1 => {
            c.put(", subject=DNS name");
            name(c, subject)?;
        }
        _ => c.put(", unknown subject"),
    }
    c.put(")");
    Ok(())
}

/// A name without compression, or in the form of the third draft, a counted string.
fn name<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    if usize::from(buf.u8_at(0)?) == buf.len() - 1 {
        if c.verbose() {
            c.put(", 03 draft");
        }
        put!(c, ", \"", Visible(buf.from(1).bytes()), "\"");
        return Ok(());
    }
    c.put(", \"");
    let mut rest = buf;
    while !rest.is_empty() {
        let len = usize::from(rest.u8()?);
        if len == 0 {
            if rest.is_empty() {
                c.put(".");
            } else if rest.bytes() != [0] {
                c.put("???");
            }
            break;
        }
        if len > rest.len() {
            c.put("???");
            break;
        }
        c.put(Visible(rest.take(len)?));
        if rest.len() > 1 && rest.u8_at(0)? != 0 {
            c.put(".");
        }
    }
    c.put("\"");
    Ok(())
}

fn answer<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len > buf.len() {
        c.truncated();
        return Ok(());
    }
    buf.need(HEADER_LEN)?;
    c.put(" (");
    let exact = buf.len() == HEADER_LEN;
    let code = buf.u8_at(1)?;
    let mut comma = true;
    match code {
        0 if c.verbose() => c.put("success"),
        0 => comma = false,
        1 => c.put("refused"),
        2 => c.put("unknown"),
        _ => {}
    }
    if code != 0 {
        if !exact && c.verbose() && code <= 2 {
            c.put(", invalid length");
        }
        c.put(")");
        return Ok(());
    }
    if comma {
        c.put(", ");
    }
    let flags = buf.be16_at(6)?;
    match buf.be16_at(4)? {
        0 => {
            c.put("noop");
            if !exact && c.verbose() {
                c.put(", invalid length");
            }
        }
        1 => {
            c.put("supported qtypes");
            if flags != 0 {
                put!(c, " [", if flags & 1 != 0 { "C" } else { "" }, "]");
            }
        }
        2 => {
            c.put("DNS name");
            name(c, buf.from(HEADER_LEN + 4))?;
            if flags & 1 != 0 {
                put!(c, " [TTL=", buf.be32_at(HEADER_LEN)?, "]");
            }
        }
        3 => {
            c.put("node addresses");
            let mut list = buf.from(HEADER_LEN);
            while list.has(20) {
                let ttl = list.be32()?;
                c.put(" ");
                c.host6(list, 0)?;
                put!(c, "(", ttl, ")");
                list.take(16)?;
            }
            address_flags(c, flags, 7);
        }
        _ => c.put("unknown"),
    }
    c.put(")");
    Ok(())
}

/// Prints a renumbering command or its result.
pub fn renumbering<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    buf.need(16)?;
    let code = buf.u8_at(1)?;
    match code {
        0 => c.put(", command"),
        1 => c.put(", result"),
        255 => c.put(", sequence number reset"),
        _ => put!(c, ", code-#", code),
    }
    put!(c, ", seq=", buf.be32_at(4)?);
    if c.verbose() {
        let flags = buf.u8_at(9)?;
        c.put("[");
        if flags != 0 {
            letters(c, flags, &[(0x80, "T"), (0x40, "R"), (0x20, "A"), (0x10, "S"), (0x08, "P")]);
            c.put(",");
        }
        put!(c, "seg=", buf.u8_at(8)?, ",maxdelay=", buf.be16_at(10)?);
        match buf.be32_at(12)? {
            0 => {}
            reserved => put!(c, "rsvd=0x", Hex(reserved)),
        }
        c.put("]");
    }
    if code == 0 { prefix_control(c, buf.from(16)) } else { Ok(()) }
}

fn letters<S: Sink>(c: &mut Ctx<S>, flags: u8, names: &[(u8, &'static str)]) {
    for (mask, letter) in names {
        if flags & mask != 0 {
            c.put(*letter);
        }
    }
}

fn prefix_control<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    buf.need(24)?;
    let gap = if c.options.verbose > 1 { "\n\t" } else { " " };
    put!(c, gap, "match(");
    match buf.u8_at(0)? {
        1 => c.put("add"),
        2 => c.put("change"),
        3 => c.put("setglobal"),
        code => put!(c, "#", code),
    }
    if c.verbose() {
        put!(c, ",ord=", buf.u8_at(2)?, ",min=", buf.u8_at(4)?, ",max=", buf.u8_at(5)?);
    }
    put!(c, ",", Ip6(buf.array_at(8)?), "/", buf.u8_at(3)?, ")");
    let count = usize::from(buf.u8_at(1)?).wrapping_sub(3);
    if count > 255 || count % 4 != 0 {
        return Err(Stop::Truncated);
    }
    for index in 0..count / 4 {
        let part = buf.from(24 + 32 * index);
        part.need(32)?;
        put!(c, gap, "use(");
        let flags = part.u8_at(12)?;
        if flags != 0 {
            letters(c, flags, &[(0x80, "V"), (0x40, "P")]);
            c.put(",");
        }
        if c.verbose() {
            put!(c, "mask=0x", Hex(part.u8_at(2)?), ",raflags=0x", Hex(part.u8_at(3)?), ",");
            for (at, name) in [(4, "vltime="), (8, "pltime=")] {
                match part.be32_at(at)? {
                    u32::MAX => put!(c, name, "infty,"),
                    seconds => put!(c, name, seconds, ","),
                }
            }
        }
        let address = Ip6(part.array_at(16)?);
        put!(c, address, "/", part.u8_at(0)?, "/", part.u8_at(1)?, ")");
    }
    Ok(())
}
