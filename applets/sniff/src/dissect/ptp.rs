//! The precision time protocol, version 2 (IEEE 1588).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, Hex, Names, name_or};

const KINDS: Names = &[
    (0, "sync msg"),
    (1, "delay req msg"),
    (2, "peer delay req msg"),
    (3, "peer delay resp msg"),
    (8, "follow up msg"),
    (9, "delay resp msg"),
    (10, "pdelay resp fup msg"),
    (11, "announce msg"),
    (12, "signalling msg"),
    (13, "management msg"),
];
const CONTROLS: Names = &[
    (0, "Sync"),
    (1, "Delay_Req"),
    (2, "Follow_Up"),
    (3, "Delay_Resp"),
    (4, "Management"),
    (5, "Other"),
];
const FLAGS: Names = &[
    (0x0001, "l1 61"),
    (0x0002, "l1 59"),
    (0x0004, "utc reasonable"),
    (0x0008, "timescale"),
    (0x0010, "time tracable"),
    (0x0020, "frequency tracable"),
    (0x0100, "alternate master"),
    (0x0200, "two step"),
    (0x0400, "unicast"),
    (0x1000, "unknown"),
    (0x2000, "profile specific 1"),
    (0x4000, "profile specific 2"),
    (0x8000, "security mask"),
];
const HEADER_LEN: usize = 34;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("ptp");
    c.put("PTP");
    if len < HEADER_LEN {
        c.invalid();
        return Ok(());
    }
    let first = buf.be16_at(0)?;
    let (major, minor) = (first & 15, first >> 4 & 15);
    put!(c, "v", major);
    if minor > 0 {
        put!(c, ".", minor);
    }
    match major {
        1 => c.put(" (not implemented)"),
        2 => message(c, buf, first)?,
        _ => put!(c, " (unsupported)"),
    }
    Ok(())
}

fn message<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, first: u16) -> Step {
    let kind = first >> 8 & 15;
    put!(c, ", majorSdoId: 0x", Hex(first >> 12), ", msg type: ");
    put!(c, name_or(KINDS, kind.into(), "Reserved"), ", length: ", buf.be16_at(2)?);
    put!(c, ", domain: ", buf.u8_at(4)?, ", reserved1: ", buf.u8_at(5)?);
    put!(c, ", Flags [", Bits(FLAGS, buf.be16_at(6)?.into(), ", ", "none"), "]");
    put!(c, ", NS correction: ", buf.be64_at(8)? >> 16);
    put!(c, ", sub NS correction: ", buf.be16_at(14)?, ", reserved2: ", buf.be32_at(16)?);
    put!(c, ", clock identity: 0x", Hex(buf.be64_at(20)?), ", port id: ", buf.be16_at(28)?);
    let control = buf.u8_at(32)?;
    put!(c, ", seq id: ", buf.be16_at(30)?, ", control: ", control, " (");
    put!(c, name_or(CONTROLS, control.into(), "Reserved"), "), log message interval: ");
    put!(c, buf.u8_at(33)?);
    let body = buf.from(HEADER_LEN);
    match kind {
        0 | 1 => stamp(c, body, "originTimeStamp", ","),
        8 => stamp(c, body, "preciseOriginTimeStamp", ","),
        2 | 10 => {
            stamp(c, body, "preciseOriginTimeStamp", ",")?;
            port(c, body.from(10))
        }
        3 | 9 => {
            stamp(c, body, "receiveTimeStamp", ",")?;
            port(c, body.from(10))
        }
        11 => announce(c, body),
        12 => port(c, body),
        13 => {
            port(c, body)?;
            put!(c, ", start boundary hops: ", body.u8_at(10)?);
            put!(c, ", boundary hops: ", body.u8_at(11)?, ", flags: 0x", Hex(body.u8_at(12)?));
            put!(c, ", reserved: 0x", Hex(body.u8_at(13)?));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// 48 bits of seconds and 32 of nanoseconds.
fn stamp<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>, name: &str, comma: &str) -> Step {
    put!(c, ", ", name, ": ", body.be64_at(0)? >> 16, " seconds", comma);
    put!(c, " ", body.be32_at(6)?, " nanoseconds");
    Ok(())
}

fn port<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    put!(c, ", port identity: 0x", Hex(body.be64_at(0)?));
    put!(c, ", port id: ", body.be16_at(8)?);
    Ok(())
}

fn announce<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    stamp(c, body, "originTimeStamp", "")?;
    put!(c, ", origin cur utc:", body.be16_at(10)?, ", rsvd: ", body.u8_at(12)?);
    put!(c, ", gm priority_1: ", body.u8_at(13)?, ", gm clock class: ", body.u8_at(14)?);
    put!(c, ", gm clock accuracy: ", body.u8_at(15)?);
    put!(c, ", gm clock variance: ", body.be16_at(16)?);
    put!(c, ", gm priority_2: ", body.u8_at(18)?, ", gm clock id: 0x", Hex(body.be64_at(19)?));
    put!(c, ", steps removed: ", body.be16_at(27)?, ", time source: 0x", Hex(body.u8_at(29)?));
    Ok(())
}
