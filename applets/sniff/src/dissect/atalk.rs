//! AppleTalk: address resolution and the header of datagrams; and ARCNET, that may carry it.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, arp, ip, ip6, put};
use crate::text::address::Mac;
use crate::text::{Hex, HexN, Named, Names};

const TYPES: Names =
    &[(1, "rtmp"), (2, "nbp"), (3, "atp"), (4, "echo"), (5, "rtmp-req"), (6, "zip"), (22, "ip")];

/// Prints a datagram with a long header.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    if c.verbose() {
        c.put("et1 ");
    }
    if !c.options.link_header {
        c.put("AT ");
    }
    c.layer("ddp");
    if len < 13 {
        c.truncated();
        return Ok(());
    }
    buf.need(13)?;
    put!(c, buf.be16_at(6)?, ".", buf.u8_at(9)?, ".", buf.u8_at(11)?, " > ");
    put!(c, buf.be16_at(4)?, ".", buf.u8_at(8)?, ".", buf.u8_at(10)?, ":");
    put!(c, " at-", Named(TYPES, buf.u8_at(12)?.into(), "#", ""), " ", len - 13);
    Ok(())
}

/// Prints a question or an answer of address resolution.
pub fn resolution<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("aarp");
    c.put("aarp ");
    buf.need(28)?;
    let (hardware, protocol, operation) = (buf.be16_at(0)?, buf.be16_at(2)?, buf.be16_at(6)?);
    let sizes = (buf.u8_at(4)?, buf.u8_at(5)?);
    let address = |at: usize| -> Step<_> { Ok((buf.be16_at(at + 1)?, ".", buf.u8_at(at + 3)?)) };
    let (sender, target) = (address(14)?, address(24)?);
    if hardware == 1 && protocol == 0x809b && sizes == (6, 4) {
        match operation {
            1 => {
                put!(c, "who-has ", target, " tell ", sender);
                return Ok(());
            }
            2 => {
                put!(c, "reply ", sender, " is-at ", Mac(buf.bytes_at(8, 6)?));
                return Ok(());
            }
            3 => {
                put!(c, "probe ", target, " tell ", sender);
                return Ok(());
            }
            _ => {}
        }
    }
    put!(c, "len ", len, " op ", operation, " htype ", hardware, " ptype 0x", Hex(protocol));
    put!(c, " halen ", sizes.0, " palen ", sizes.1);
    Ok(())
}

/// ARCNET as Linux captures it.
pub fn arcnet<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("arcnet");
    let kind = buf.u8_at(4)?;
    let header = if kind == 240 || kind == 241 { 5 } else { 8 };
    c.link_header_len = header.min(buf.len());
    if c.options.link_header {
        put!(c, HexN(buf.u8_at(0)?, 2), " ", HexN(buf.u8_at(1)?, 2), " ", kind, " ", len, ": ");
    }
    buf.need(header)?;
    let (payload, left) = (buf.from(header), len.saturating_sub(header));
    match kind {
        212 | 240 => ip::print(c, payload, left),
        196 => ip6::print(c, payload, left),
        213 | 241 | 247 => arp::print(c, payload, left),
        221 => print(c, payload, left),
        _ => {
            c.default_print(payload);
            Ok(())
        }
    }
}
