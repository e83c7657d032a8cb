//! Cisco's enhanced interior gateway routing protocol.

use super::{Buf, Ctx, Network, Sink, Step, put};
use crate::text::address::Ip4;
use crate::text::{Bits, HexN, Named, Names, Right, name_or};

const OPCODES: Names =
    &[(1, "Update"), (3, "Query"), (4, "Reply"), (5, "Hello"), (6, "IPX SAP"), (7, "Probe")];
const FLAGS: Names = &[(1, "Init Flag"), (2, "Conditionally Receive")];
const KINDS: Names = &[
    (0x0001, "General Parameters"),
    (0x0002, "Authentication"),
    (0x0003, "Sequence"),
    (0x0004, "Software Version"),
    (0x0005, "Next Multicast Sequence"),
    (0x0102, "IP Internal routes"),
    (0x0103, "IP External routes"),
    (0x0202, "AppleTalk Internal routes"),
    (0x0203, "AppleTalk External routes"),
    (0x0204, "AppleTalk Cable setup"),
    (0x0302, "IPX Internal routes"),
    (0x0303, "IPX External routes"),
];
const ORIGINS: Names = &[
    (1, "IGRP"),
    (2, "EIGRP"),
    (3, "Static"),
    (4, "RIP"),
    (5, "Hello"),
    (6, "OSPF"),
    (7, "IS-IS"),
    (8, "EGP"),
    (9, "BGP"),
    (10, "IDRP"),
    (11, "Connected"),
];
const HEADER: usize = 20;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Network) -> Step {
    c.layer("eigrp");
    if len < HEADER {
        put!(c, "EIGRP ", Named(OPCODES, buf.u8_at(1)?.into(), "unknown (", ")"));
        put!(c, ", length: ", len, " (too short, ", HEADER, ")");
        return Ok(());
    }
    buf.need(HEADER)?;
    let (version, opcode) = (buf.u8_at(0)?, buf.u8_at(1)?);
    if version != 2 {
        put!(c, "EIGRP version ", version, " packet not supported");
        return Ok(());
    }
    if !c.verbose() {
        put!(c, "EIGRP ", Named(OPCODES, opcode.into(), "unknown (", ")"), ", length: ", len);
        return Ok(());
    }
    let mut left = len - HEADER;
    put!(c, "\n\tEIGRP v", version, ", opcode: ");
    put!(c, Named(OPCODES, opcode.into(), "unknown, type: ", ""), " (", opcode, ")");
    put!(c, ", chksum: 0x", HexN(buf.be16_at(2)?, 4));
    put!(c, ", Flags: [", Bits(FLAGS, buf.be32_at(4)?, ", ", "none"), "]");
    put!(c, "\n\tseq: 0x", HexN(buf.be32_at(8)?, 8), ", ack: 0x", HexN(buf.be32_at(12)?, 8));
    put!(c, ", VRID: ", buf.be16_at(16)?, ", AS: ", buf.be16_at(18)?, ", length: ", left);
    let mut rest = buf.from(HEADER);
    while left > 0 {
        let (kind, tlv_len) = (rest.be16_at(0)?, usize::from(rest.be16_at(2)?));
        if tlv_len < 4 || tlv_len > left {
            c.hex_print("\n\t    ", rest.from(4), left.min(rest.len()));
            return Ok(());
        }
        put!(c, "\n\t  ", name_or(KINDS, kind.into(), "Unknown"), " TLV (0x", HexN(kind, 4));
        put!(c, "), length: ", tlv_len);
        let body = Buf::new(rest.bytes_at(4, tlv_len - 4)?);
        if value(c, kind, body).is_err() {
            put!(c, " (too short, ", tlv_len, ")");
        }
        if c.options.verbose > 1 {
            c.hex_print("\n\t    ", body, body.len());
        }
        rest = rest.from(tlv_len);
        left -= tlv_len;
        c.check_text()?;
    }
    Ok(())
}

fn value<S: Sink>(c: &mut Ctx<S>, kind: u16, b: Buf<'_>) -> Step {
    match kind {
        0x0001 => {
            b.need(8)?;
            put!(c, "\n\t    holdtime: ", b.be16_at(6)?, "s");
            for k in 0..5u8 {
                put!(c, ", k", k + 1, " ", b.u8_at(k.into())?);
            }
        }
        0x0004 => {
            b.need(4)?;
            put!(c, "\n\t    IOS version: ", b.u8_at(0)?, ".", b.u8_at(1)?);
            put!(c, ", EIGRP version ", b.u8_at(2)?, ".", b.u8_at(3)?);
        }
        0x0102 => {
            b.need(21)?;
            ip_route(c, b, 20)?;
            metrics(c, b.from(4))?;
        }
        0x0103 => {
            b.need(41)?;
            ip_route(c, b, 40)?;
            put!(c, "\n\t      origin-router ", Ip4(b.array_at(4)?));
            origin(c, b)?;
            put!(c, b.be32_at(16)?);
            metrics(c, b.from(24))?;
        }
        0x0204 => {
            b.need(8)?;
            put!(c, "\n\t    Cable-range: ", b.be16_at(0)?, "-", b.be16_at(2)?);
            put!(c, ", Router-ID ", b.be32_at(4)?);
        }
        0x0202 => {
            cables(c, b, 20)?;
            metrics(c, b.from(4))?;
        }
        0x0203 => {
            cables(c, b, 36)?;
            put!(c, "\n\t      origin-router ", b.be32_at(4)?, ", origin-as ", b.be32_at(8)?);
            put!(c, ", origin-proto ", name_or(ORIGINS, b.u8_at(16)?.into(), "unknown"));
            put!(c, ", flags [0x", HexN(b.u8_at(17)?, 2), "], tag 0x", HexN(b.be32_at(12)?, 8));
            put!(c, ", metric ", b.be16_at(18)?);
            metrics(c, b.from(20))?;
        }
        _ if c.options.verbose <= 1 => c.hex_print("\n\t    ", b, b.len()),
        _ => {}
    }
    Ok(())
}

fn origin<S: Sink>(c: &mut Ctx<S>, b: Buf<'_>) -> Step {
    put!(c, ", origin-as ", b.be32_at(8)?);
    put!(c, ", origin-proto ", name_or(ORIGINS, b.u8_at(22)?.into(), "unknown"));
    put!(c, ", flags [0x", HexN(b.u8_at(23)?, 2), "], tag 0x", HexN(b.be32_at(12)?, 8));
    c.put(", metric ");
    Ok(())
}

/// The prefix at `at`, as many bytes as its length needs, and the next hop at the start.
fn ip_route<S: Sink>(c: &mut Ctx<S>, b: Buf<'_>, at: usize) -> Step {
    let bits = b.u8_at(at)?;
    if bits > 32 {
        put!(c, "\n\t    illegal prefix length ", bits);
        return Ok(());
    }
    let mut prefix = [0u8; 4];
    let bytes = b.bytes_at(at + 1, usize::from(bits).div_ceil(8))?;
    prefix[..bytes.len()].copy_from_slice(bytes);
    put!(c, "\n\t    IPv4 prefix: ", Right(Ip4(prefix), 15), "/", bits, ", nexthop: ");
    match b.array_at(0)? {
        [0, 0, 0, 0] => c.put("self"),
        hop => c.put(Ip4(hop)),
    }
    Ok(())
}

fn cables<S: Sink>(c: &mut Ctx<S>, b: Buf<'_>, at: usize) -> Step {
    b.need(at + 4)?;
    put!(c, "\n\t     Cable-Range: ", b.be16_at(at)?, "-", b.be16_at(at + 2)?, ", nexthop: ");
    match b.be32_at(0)? {
        0 => c.put("self"),
        hop => put!(c, hop >> 16, ".", hop & 0xffff),
    }
    Ok(())
}

fn metrics<S: Sink>(c: &mut Ctx<S>, b: Buf<'_>) -> Step {
    put!(c, "\n\t      delay ", b.be32_at(0)? / 100, " ms, bandwidth ", b.be32_at(4)?);
    put!(c, " Kbps, mtu ", b.be24_at(8)?, ", hop ", b.u8_at(11)?);
    put!(c, ", reliability ", b.u8_at(12)?, ", load ", b.u8_at(13)?);
    Ok(())
}
