//! RPL, the routing of low-power networks (RFC 6550), inside ICMPv6.

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::address::Ip6;
use crate::text::{HexN, Named, Names};

const MODES: Names =
    &[(0, "nonstoring"), (1, "storing"), (2, "nonstoring-multicast"), (3, "storing-multicast")];

const OPTIONS: Names = &[
    (0, "pad1"),
    (1, "padN"),
    (2, "metrics"),
    (3, "routinginfo"),
    (4, "config"),
    (5, "rpltarget"),
    (6, "transitinfo"),
    (8, "destprefix"),
    (9, "rpltargetdesc"),
];

/// Prints a message of this code; `buf` begins behind the ICMPv6 checksum.
pub fn print<S: Sink>(c: &mut Ctx<S>, code: u8, buf: Buf<'_>, len: usize) -> Step {
    if code & 0x80 != 0 {
        c.put(", (SEC) [worktodo]");
        return Ok(());
    }
    c.put(", (CLR)");
    let verbose = c.verbose();
    match code {
        0 => c.put("DODAG Information Solicitation"),
        1 => {
            c.put("DODAG Information Object");
            if verbose {
                information_object(c, buf, len)?;
            }
        }
        2 => {
            c.put("Destination Advertisement Object");
            if verbose {
                advertisement(c, buf, len)?;
            }
        }
        3 => {
            c.put("Destination Advertisement Object Ack");
            if verbose {
                acknowledgement(c, buf, len)?;
            }
        }
        _ => put!(c, "RPL message, unknown code ", code),
    }
    Ok(())
}

fn information_object<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 24 {
        return Err(Stop::Invalid);
    }
    let mode = buf.u8_at(4)?;
    let dag = Ip6(buf.array_at(8)?);
    put!(c, " [dagid:", dag, ",seq:", buf.u8_at(5)?, ",instance:", buf.u8_at(0)?);
    put!(c, ",rank:", buf.be16_at(2)?, ",", if mode & 0x80 != 0 { "grounded," } else { "" });
    put!(c, "mop:", Named(MODES, (mode >> 3 & 7).into(), "mop", ""), ",prf:", mode & 7, "]");
    options(c, buf.from(24), len - 24)
}

fn dag_id<S: Sink>(c: &mut Ctx<S>, present: bool, buf: Buf<'_>) -> Step {
    if present {
        put!(c, " [dagid:", Ip6(buf.array_at(4)?));
    } else {
        c.put(" [dagid:<elided>");
    }
    Ok(())
}

fn advertisement<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    buf.need(4)?;
    if len < 4 {
        c.put(" [|length too short]");
        return Ok(());
    }
    let flags = buf.u8_at(1)?;
    let with_dag = flags & 0x40 != 0;
    let used = if with_dag { 20 } else { 4 };
    if len < used {
        c.put(" [|length too short]");
        return Ok(());
    }
    dag_id(c, with_dag, buf)?;
    put!(c, ",seq:", buf.u8_at(3)?, ",instance:", buf.u8_at(0)?);
    c.put(if flags & 0x80 != 0 { ",acK" } else { "" });
    c.put(if with_dag { ",Dagid" } else { "" });
    put!(c, ",flags:", HexN(flags, 2), "]");
    options(c, buf.from(used), len - used)
}

fn acknowledgement<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    buf.need(4)?;
    let with_dag = buf.u8_at(1)? & 0x80 != 0;
    let used = if with_dag { 20 } else { 4 };
    if len < used {
        c.put(" [|dao-length too short]");
        return Ok(());
    }
    dag_id(c, with_dag, buf)?;
    put!(c, ",seq:", buf.u8_at(2)?, ",instance:", buf.u8_at(0)?, ",status:", buf.u8_at(3)?, "]");
    options(c, buf.from(used), len - used)
}

fn options<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if c.options.verbose < 2 {
        return Ok(());
    }
    let (mut buf, mut left) = (buf, len);
    while left > 0 {
        let kind = buf.u8_at(0)?;
        if kind == 0 {
            c.put(" opt:pad1");
            buf = buf.from(1);
            left -= 1;
            continue;
        }
        if left < 2 {
            return Err(Stop::Truncated);
        }
        let option_len = usize::from(buf.u8_at(1)?) + 2;
        put!(c, " opt:", Named(OPTIONS, kind.into(), "subopt:", ""), " len:", option_len, " ");
        buf.need(option_len)?;
        if left < option_len {
            return Err(Stop::Truncated);
        }
        if c.options.verbose > 2 {
            c.hex_print(" ", buf.from(2), option_len - 2);
        }
        buf = buf.from(option_len);
        left -= option_len;
        c.check_text()?;
    }
    Ok(())
}
