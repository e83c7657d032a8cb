//! NTP (RFC 5905): time and control messages.

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{DecN, Hex, HexBytes, HexN, Names, Visible, name_or};
use crate::time::stamp::put_utc;

const TIME_LEN: usize = 48;
/// Seconds from 1900 to 1970.
const UNIX_EPOCH: i64 = 2_208_988_800;

const MODES: Names = &[
    (0, "unspecified"),
    (1, "symmetric active"),
    (2, "symmetric passive"),
    (3, "Client"),
    (4, "Server"),
    (5, "Broadcast"),
    (6, "Control Message"),
    (7, "Reserved"),
];

const LEAPS: Names = &[(0, ""), (0x40, "+1s"), (0x80, "-1s"), (0xc0, "clock unsynchronized")];

/// Prints a message of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ntp");
    let status = buf.u8_at(0)?;
    let mode = u32::from(status & 7);
    put!(c, "NTPv", status >> 3 & 7, ", ", name_or(MODES, mode, "Unknown mode"), ", length ", len);
    if !c.verbose() {
        return Ok(());
    }
    let leap = status & 0xc0;
    put!(c, "\n\tLeap indicator: ", name_or(LEAPS, leap.into(), "Unknown"), " (", leap, ")");
    match mode {
        0..=5 => time_message(c, buf, len),
        6 => control(c, buf, len),
        _ => Ok(()),
    }
}

fn time_message<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < TIME_LEN {
        c.invalid();
        return buf.need(len);
    }
    let stratum = buf.u8_at(1)?;
    let kind = match stratum {
        0 => "unspecified",
        1 => "primary reference",
        2..=15 => "secondary reference",
        _ => "reserved",
    };
    put!(c, ", Stratum ", stratum, " (", kind, ")");
    let poll = buf.u8_at(2)? as i8;
    put!(c, ", poll ", poll);
    match poll {
        0..32 => put!(c, " (", 1u32 << poll, "s)"),
        -31..0 => put!(c, " (1/", 1u32 << -poll, "s)"),
        _ => {}
    }
    put!(c, ", precision ", buf.u8_at(3)? as i8);
    buf.bytes_at(4, 4)?;
    c.put("\n\tRoot Delay: ");
    short(c, buf, 4)?;
    buf.bytes_at(8, 4)?;
    c.put(", Root dispersion: ");
    short(c, buf, 8)?;
    buf.bytes_at(12, 4)?;
    c.put(", Reference-ID: ");
    match stratum {
        0 => c.put("(unspec)"),
        1 => c.put(Visible(buf.bytes_at(12, 4)?)),
        62 | 63 => {
            c.host4(buf, 12)?;
            c.put(if stratum == 62 { " INFO_QUERY" } else { " INFO_REPLY" });
            return Ok(());
        }
        _ => put!(c, "0x", HexN(buf.be32_at(12)?, 8)),
    }
    for (at, name) in [
        (16, "\n\t  Reference Timestamp:  "),
        (24, "\n\t  Origin Timestamp:     "),
        (32, "\n\t  Receive Timestamp:    "),
        (40, "\n\t  Transmit Timestamp:   "),
    ] {
        let stamp = buf.be64_at(at)?;
        c.put(name);
        long(c, stamp);
    }
    let origin = buf.be64_at(24)?;
    c.put("\n\t    Originator - Receive Timestamp:  ");
    difference(c, origin, buf.be64_at(32)?);
    c.put("\n\t    Originator - Transmit Timestamp: ");
    difference(c, origin, buf.be64_at(40)?);
    match len - TIME_LEN {
        0 => {}
        4 => put!(c, "\n\tKey id: ", buf.be32_at(48)?),
        extra @ (20 | 24) => {
            put!(c, "\n\tKey id: ", buf.be32_at(48)?);
            put!(c, "\n\tAuthentication: ", HexBytes(buf.bytes_at(52, extra - 4)?));
        }
        extra => put!(c, "\n\t(", extra, " more bytes after the header)"),
    }
    Ok(())
}

/// 16 bits of seconds and 16 of fraction.
fn short<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, at: usize) -> Step {
    let millionths = u64::from(buf.be16_at(at + 2)?) * 1_000_000 / 65_536;
    put!(c, buf.be16_at(at)?, ".", DecN(millionths, 6));
    Ok(())
}

/// 32 bits of seconds since 1900 and 32 of fraction.
pub fn long<S: Sink>(c: &mut Ctx<S>, stamp: u64) {
    let (seconds, fraction) = ((stamp >> 32) as u32, stamp as u32);
    put!(c, seconds, ".", DecN(billionths(fraction), 9));
    if seconds != 0 {
        // Era 1 begins in February 2036: small numbers are of it.
        let unix = if seconds & 0x8000_0000 != 0 {
            i64::from(seconds) - UNIX_EPOCH
        } else {
            i64::from(seconds) + (1 << 32) - UNIX_EPOCH
        };
        c.put(" (");
        if S::TEXT {
            put_utc(&mut c.out, unix);
        }
        c.put(")");
    }
}

/// By way of a binary float, whose rounding the incumbent's text shows.
fn billionths(fraction: u32) -> u32 {
    (f64::from(fraction) / 4_294_967_296.0 * 1_000_000_000.0) as u32
}

fn difference<S: Sink>(c: &mut Ctx<S>, origin: u64, stamp: u64) {
    if origin == 0 {
        return long(c, stamp);
    }
    let (sign, size) = if stamp > origin { ("+", stamp - origin) } else { ("-", origin - stamp) };
    put!(c, sign, (size >> 32) as u32, ".", DecN(billionths(size as u32), 9));
}

/// Mode 6 (RFC 9327).
fn control<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if len < 12 {
        c.invalid();
        return buf.need(len);
    }
    let flags = buf.u8_at(1)?;
    let pick = |mask, set, unset| if flags & mask != 0 { set } else { unset };
    put!(c, ", ", pick(0x80, "Response", "Request"), ", ", pick(0x40, "Error", "OK"), ", ");
    put!(c, pick(0x20, "More", "Last"), ", OpCode=", flags & 0x1f, "\n");
    put!(c, "\tSequence=", buf.be16_at(2)?);
    let status = buf.be16_at(4)?;
    put!(c, ", Status=", if status == 0 { "" } else { "0x" }, Hex(status));
    put!(c, ", Assoc.=", buf.be16_at(6)?);
    put!(c, ", Offset=", buf.be16_at(8)?);
    let count = usize::from(buf.be16_at(10)?);
    put!(c, ", Count=", count);
    if 12 + count > len {
        c.invalid();
        return buf.need(len);
    }
    if count > 0 {
        buf.bytes_at(12, count)?;
        c.put("\n\tTO-BE-DONE: data not interpreted");
    }
    Ok(())
}
