//! Cisco's HDLC: an address, an Ethernet type, and the serial line address resolution that keeps the
//! link alive.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, ip, ip6, mpls, osi, put};
use crate::text::HexN;

const HEADER_LEN: usize = 4;

/// Prints a frame.
pub fn link<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("chdlc");
    if len < HEADER_LEN || !buf.has(HEADER_LEN) {
        c.truncated();
        return Ok(());
    }
    c.link_header_len = HEADER_LEN;
    print(c, buf, len)
}

/// Prints a frame wherever it is.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("chdlc");
    if len < HEADER_LEN {
        c.truncated();
        return Ok(());
    }
    let (address, kind) = (buf.u8_at(0)?, buf.be16_at(2)?);
    if c.options.link_header {
        match address {
            0x0f => c.put("unicast "),
            0x8f => c.put("bcast "),
            _ => put!(c, "0x", HexN(address, 2), " "),
        }
        put!(c, len, " ", HexN(kind, 4), ": ");
    }
    let (inner, left) = (buf.from(HEADER_LEN), len - HEADER_LEN);
    match kind {
        0x0800 => c.nested(|c| ip::print(c, inner, left)),
        0x86dd => c.nested(|c| ip6::print(c, inner, left)),
        0x8035 => slarp(c, inner, left),
        0x8847 | 0x8848 => c.nested(|c| mpls::print(c, inner, left)),
        0xfefe => {
            if left < 2 {
                c.truncated();
                return Ok(());
            }
            // Some put a byte before the protocol.
            let skip = usize::from(matches!(inner.u8_at(1)?, 0x81..=0x83));
            c.nested(|c| osi::print(c, inner.from(skip), left - skip))
        }
        _ => {
            if !c.options.link_header {
                put!(c, "unknown CHDLC protocol (0x", HexN(kind, 4), ")");
            }
            Ok(())
        }
    }
}

fn slarp<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("slarp");
    put!(c, "SLARP (length: ", len, "), ");
    if len < 14 {
        c.truncated();
        return Ok(());
    }
    let code = buf.be32_at(0)?;
    match code {
        0 => c.put("request"),
        1 => {
            c.put("reply ");
            c.host4(buf, 4)?;
            c.put("/");
            c.host4(buf, 8)?;
        }
        2 => {
            put!(c, "keepalive: mineseen=0x", HexN(buf.be32_at(4)?, 8), ", yourseen=0x");
            put!(c, HexN(buf.be32_at(8)?, 8), ", reliability=0x", HexN(buf.be16_at(12)?, 4));
            if len >= 18 {
                let seconds = buf.be32_at(14)? / 1000;
                put!(c, ", link uptime=", seconds / 86_400, "d", seconds / 3600 % 24, "h");
                put!(c, seconds / 60 % 60, "m", seconds % 60, "s");
            }
        }
        _ => {
            put!(c, "0x", HexN(code, 2), " unknown");
            if c.options.verbose <= 1 {
                c.hex_print("\n\t", buf.from(4), len - 4);
            }
        }
    }
    if len > 18 && c.verbose() {
        put!(c, ", (trailing junk: ", len - 18, " bytes)");
    }
    if c.options.verbose > 1 {
        c.hex_print("\n\t", buf.from(4), len - 4);
    }
    Ok(())
}
