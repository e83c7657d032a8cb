//! The IP authentication header (RFC 4302).

use super::ip::payload;
use super::{Buf, Ctx, Network, Sink, Step, put};
use crate::text::{Hex, HexBytes, HexN};

const HEADER_LEN: usize = 12;

/// Prints a header and what it protects.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, network: &Network) -> Step {
    c.layer("ah");
    buf.need(HEADER_LEN)?;
    let words = buf.u8_at(1)?;
    let header_len = usize::from(words) * 4 + 8;
    c.put("AH(");
    if c.verbose() {
        put!(c, "length=", words, "(", header_len, "-bytes),");
    }
    let reserved = buf.be16_at(2)?;
    if reserved != 0 {
        put!(c, "reserved[not MBZ],");
    }
    put!(c, "spi=0x", HexN(buf.be32_at(4)?, 8), ",");
    if c.verbose() {
        put!(c, "seq=0x", Hex(buf.be32_at(8)?), ",");
    }
    c.put("icv=0x");
    let check_len = header_len.saturating_sub(HEADER_LEN);
    put!(c, HexBytes(buf.from(HEADER_LEN).limit(check_len).bytes()));
    if !buf.has(header_len) {
        put!(c, "[truncated]):");
        c.truncated();
        return Ok(());
    }
    c.put("): ");
    if len < header_len {
        put!(c, "[length ", len, " < ", header_len, "]");
        c.invalid();
        return Ok(());
    }
    let next = buf.u8_at(0)?;
    c.nested(|c| payload(c, next, buf.from(header_len), len - header_len, network))
}
