//! IGMP (RFC 2236, RFC 3376) and what shares its protocol number: DVMRP and mtrace.

use super::{Buf, Ctx, Network, Sink, Step, put};
use crate::text::{Duration, Hex, HexN, Named, Names};
use box_wire::checksum::Checksum;

const RECORDS: Names =
    &[(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];

/// Prints a message of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Network) -> Step {
    c.layer("igmp");
    if c.options.quiet > 0 {
        c.put("igmp");
        return Ok(());
    }
    let kind = buf.u8_at(0)?;
    match kind {
        0x11 if len >= 12 => {
            c.put("igmp query");
            query3(c, buf, len)?;
        }
        0x11 => query(c, buf, len)?,
        0x12 => report(c, "igmp v1 report ", buf, len)?,
        0x16 => report(c, "igmp v2 report ", buf, len)?,
        0x22 => {
            c.put("igmp v3 report");
            report3(c, buf, len)?;
        }
        0x17 => report(c, "igmp leave ", buf, len)?,
        0x13 if len < 8 => put!(c, "igmp dvmrp [len ", len, "]"),
        0x13 => {
            c.put("igmp dvmrp");
            dvmrp(c, buf, len)?;
        }
        0x14 => {
            c.put("igmp pimv1");
            return pim_v1(c, buf);
        }
        0x1f => mtrace(c, "mtrace ", buf, len)?,
        0x1e => mtrace(c, "mresp ", buf, len)?,
        _ => put!(c, "igmp-", kind),
    }
    if c.verbose() && buf.has(len) {
        let computed = Checksum::new().with(buf.bytes_at(0, len)?).finish();
        if computed != 0 {
            put!(c, " bad igmp cksum ", Hex(buf.be16_at(2)?), "!");
        }
    }
    Ok(())
}

/// PIM version 1, which was IGMP messages of one type.
fn pim_v1<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    c.layer("pimv1");
    match buf.u8_at(1)? {
        0 => {
            c.put(" Query");
            if buf.has(9) {
                match buf.u8_at(8)? >> 4 {
                    0 => c.put(" Dense-mode"),
                    1 => c.put(" Sparse-mode"),
                    2 => c.put(" Sparse-Dense-mode"),
                    mode => put!(c, " mode-", mode),
                }
            }
            if c.verbose() {
                put!(c, " (Hold-time ", Duration(buf.be16_at(10)?.into()), ")");
            }
        }
        1 => c.put(" Register"),
        2 => {
            c.put(" Register-Stop for ");
            c.host4(buf, 8)?;
            c.put(" > ");
            c.host4(buf, 12)?;
        }
        3 => c.put(" Join/Prune"),
        4 => {
            c.put(" RP-reachable");
            if c.verbose() {
                c.put(" group ");
                c.host4(buf, 8)?;
                if buf.be32_at(12)? != 0xffff_ffff {
                    c.put("/");
                    c.host4(buf, 12)?;
                }
                c.put(" RP ");
                c.host4(buf, 16)?;
                put!(c, " hold ", Duration(buf.be16_at(22)?.into()));
            }
        }
        5 => c.put(" Assert"),
        6 => c.put(" Graft"),
        7 => c.put(" Graft-ACK"),
        8 => c.put(" Mode"),
        kind => put!(c, " [type ", kind, "]"),
    }
    if buf.u8_at(4)? >> 4 != 1 {
        put!(c, " [v", buf.u8_at(4)? >> 4, "]");
    }
    Ok(())
}

fn query<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.put("igmp query");
    match buf.u8_at(1)? {
        0 => c.put(" v1"),
        100 => c.put(" v2"),
        time => put!(c, " v2 [max resp time ", time, "]"),
    }
    if buf.be32_at(4)? != 0 {
        c.put(" [gaddr ");
        c.host4(buf, 4)?;
        c.put("]");
    }
    if len != 8 {
        put!(c, " [len ", len, "]");
    }
    Ok(())
}

fn report<S: Sink>(c: &mut Ctx<S>, name: &str, buf: Buf<'_>, len: usize) -> Step {
    buf.bytes_at(4, 4)?;
    c.put(name);
    c.host4(buf, 4)?;
    if len != 8 {
        put!(c, " [len ", len, "]");
    }
    Ok(())
}

fn query3<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.put(" v3");
    if len & 3 != 0 {
        put!(c, " [invalid len ", len, "]");
        return Ok(());
    }
    let code = u32::from(buf.u8_at(1)?);
    // RFC 3376 section 4.1.1: above 127 it is a float.
    let tenths = if code < 128 { code } else { (code & 15 | 16) << ((code >> 4 & 7) + 3) };
    if code != 100 {
        c.put(" [max resp time ");
        if tenths < 600 {
            put!(c, tenths / 10, ".", tenths % 10, "s");
        } else {
            put!(c, tenths / 600, "m");
            if tenths % 600 != 0 {
                put!(c, tenths % 600 / 10, "s");
            }
        }
        c.put("]");
    }
    if buf.be32_at(4)? == 0 {
        return Ok(());
    }
    c.put(" [gaddr ");
    c.host4(buf, 4)?;
    let sources = usize::from(buf.be16_at(10)?);
    if sources > 0 {
        if len < 12 + 4 * sources {
            put!(c, " [invalid number of sources ", sources, "]");
        } else if c.options.verbose > 1 {
            list(c, buf.from(12), sources)?;
        } else {
            put!(c, ", ", sources, " source(s)");
        }
    }
    c.put("]");
    Ok(())
}

fn list<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, count: usize) -> Step {
    c.put(" {");
    for index in 0..count {
        buf.bytes_at(4 * index, 4)?;
        c.put(" ");
        c.host4(buf, 4 * index)?;
    }
    c.put(" }");
    Ok(())
}

fn report3<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 16 || len & 3 != 0 {
        put!(c, " [invalid len ", len, "]");
        return Ok(());
    }
    let groups = buf.be16_at(6)?;
    put!(c, ", ", groups, " group record(s)");
    if !c.verbose() {
        return Ok(());
    }
    let mut at = 8;
    for _ in 0..groups {
        if len < at + 8 {
            c.put(" [invalid number of groups]");
            return Ok(());
        }
        buf.bytes_at(at + 4, 4)?;
        c.put(" [gaddr ");
        c.host4(buf, at + 4)?;
        let kind = u32::from(buf.u8_at(at)?);
        put!(c, " ", Named(RECORDS, kind, " [v3-report-#", "]"));
        let sources = usize::from(buf.be16_at(at + 2)?);
        if len < at + 8 + 4 * sources {
            put!(c, " [invalid number of sources ", sources, "]");
            return Ok(());
        }
        if c.options.verbose == 1 {
            put!(c, ", ", sources, " source(s)");
        } else {
            list(c, buf.from(at + 8), sources)?;
        }
        at += 8 + 4 * sources;
        c.put("]");
    }
    Ok(())
}

fn mtrace<S: Sink>(c: &mut Ctx<S>, name: &str, buf: Buf<'_>, len: usize) -> Step {
    buf.need(24)?;
    if len < 24 {
        put!(c, " [invalid len ", len, "]");
        return Ok(());
    }
    let id = buf.be32_at(20)?;
    put!(c, name, id & 0xff_ffff, ": ");
    c.host4(buf, 8)?;
    c.put(" to ");
    c.host4(buf, 12)?;
    c.put(" reply-to ");
    c.host4(buf, 16)?;
    if buf.u8_at(16)? >> 4 == 14 {
        put!(c, " with-ttl ", id >> 24);
    }
    Ok(())
}

fn dvmrp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("dvmrp");
    let kind = buf.u8_at(1)?;
    let (body, left) = (buf.from(8), len - 8);
    match kind {
        1 => {
            c.put(" Probe");
            if c.verbose() {
                probe(c, body, left)?;
            }
        }
        2 => c.put(" Report"),
        3 => c.put(" Ask-neighbors"),
        4 => {
            c.put(" Neighbors");
            neighbors(c, body, left)?;
        }
        5 => c.put(" Ask-neighbors2"),
        6 => {
            put!(c, " Neighbors2 (v ", buf.u8_at(7)?, ".", buf.u8_at(6)?, "):");
            neighbors(c, body, left)?;
        }
        7..=9 => {
            c.put([" Prune", " Graft", " Graft-ACK"][usize::from(kind - 7)]);
            body.need(8)?;
            c.put(" src ");
            c.host4(body, 0)?;
            c.put(" grp ");
            c.host4(body, 4)?;
            if kind == 7 {
                c.put(" timer ");
                let seconds = body.be32_at(8)?;
                c.put(Duration(seconds));
            }
        }
        _ => put!(c, " [type ", kind, "]"),
    }
    Ok(())
}

fn probe<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>, len: usize) -> Step {
    let wide = c.options.verbose > 1;
    body.need(4)?;
    c.put(if wide { "\n\t" } else { " " });
    put!(c, "genid 0x", HexN(body.be32_at(0)?, 8));
    c.put(if wide { "\n\t" } else { " " });
    c.put("neighbors");
    for at in (4..len.min(body.len())).step_by(4) {
        body.bytes_at(at, 4)?;
        c.put(" ");
        c.host4(body, at)?;
    }
    Ok(())
}

fn neighbors<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>, len: usize) -> Step {
    const FLAGS: [(u8, &str); 5] = [
        (0x01, "/tunnel"),
        (0x02, "/srcrt"),
        (0x40, "/querier"),
        (0x20, "/disabled"),
        (0x10, "/down"),
    ];
    let body = body.limit(len);
    let mut at = 0;
    while at < body.len() {
        body.bytes_at(at, 8)?;
        let (local, metric) = (at, body.u8_at(at + 4)?);
        let (threshold, flags) = (body.u8_at(at + 5)?, body.u8_at(at + 6)?);
        let count = body.u8_at(at + 7)?;
        at += 8;
        for _ in 0..count {
            if at >= body.len() {
                break;
            }
            body.bytes_at(at, 4)?;
            c.put(" [");
            c.host4(body, local)?;
            c.put(" -> ");
            c.host4(body, at)?;
            put!(c, " (", metric, "/", threshold);
            for (mask, name) in FLAGS {
                if flags & mask != 0 {
                    c.put(name);
                }
            }
            c.put(")]");
            at += 4;
        }
        c.check_text()?;
    }
    Ok(())
}
