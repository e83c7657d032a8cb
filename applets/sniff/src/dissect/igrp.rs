//! Cisco's interior gateway routing protocol.

use super::{Buf, Ctx, Network, Sink, Step, put};
use crate::text::{HexN, Named, Names};
use box_wire::checksum::Checksum;

const OPCODES: Names = &[(1, "update"), (2, "request")];
const ENTRY: usize = 14;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Network) -> Step {
    c.layer("igrp");
    if len < 12 {
        c.put(" [length < 12]");
        c.invalid();
        return Ok(());
    }
    buf.need(12)?;
    let first = buf.u8_at(0)?;
    let mut interior = buf.be16_at(4)?;
    let mut system = buf.be16_at(6)?;
    let mut exterior = buf.be16_at(8)?;
    put!(c, "igrp: ", Named(OPCODES, u32::from(first & 15), "Unknown (", ")"), " V", first >> 4);
    put!(c, " edit=", buf.u8_at(1)?, " AS=", buf.be16_at(2)?);
    put!(c, " (", interior, "/", system, "/", exterior, ")");
    put!(c, " checksum=0x", HexN(buf.be16_at(10)?, 4));
    let (mut rest, mut left) = (buf.from(12), len - 12);
    while left >= ENTRY {
        rest.need(ENTRY)?;
        let [a, b, d] = rest.array_at::<3>(0)?;
        if interior > 0 {
            interior -= 1;
            put!(c, " *.", a, ".", b, ".", d);
        } else if system > 0 {
            system -= 1;
            put!(c, " ", a, ".", b, ".", d, ".0");
        } else if exterior > 0 {
            exterior -= 1;
            put!(c, " X", a, ".", b, ".", d, ".0");
        } else {
            c.put(" [Extra bytes!]");
            return Ok(());
        }
        let (delay, bandwidth) = (rest.be24_at(3)?, rest.be24_at(6)?);
        let metric = if delay == 0xff_ffff { delay } else { (delay + bandwidth).min(0xff_ffff) };
        put!(c, " d=", delay * 10, " b=", 10_000_000u32.checked_div(bandwidth).unwrap_or(0));
        put!(c, " r=", rest.u8_at(11)?, " l=", rest.u8_at(12)?, " M=", metric);
        put!(c, " mtu=", rest.be16_at(9)?, " in ", rest.u8_at(13)?, " hops");
        rest = rest.from(ENTRY);
        left -= ENTRY;
    }
    if interior != 0 || system != 0 || exterior != 0 {
        c.put(" [wrong count]");
    } else if buf.has(len) {
        let sum = Checksum::new().with(buf.bytes_at(0, len)?).finish();
        if sum != 0 {
            put!(c, " checksum: 0x", HexN(sum, 4));
        }
    }
    Ok(())
}
