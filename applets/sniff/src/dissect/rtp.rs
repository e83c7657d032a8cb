//! RTP (RFC 3550), where `-T rtp` says so.

use super::{Buf, Ctx, Sink, Step, put};

/// Prints a packet of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("rtp");
    if len < 12 {
        put!(c, "udp/rtp, length ", len, " < 12");
        return Ok(());
    }
    let head = buf.be32_at(0)?;
    let extended = head & 0x1000_0000 != 0;
    let marked = head & 0x80_0000 != 0;
    put!(c, "udp/rtp ", len - 12, " c", head >> 16 & 0x7f, " ", if extended { "+" } else { "" });
    put!(c, if marked { "*" } else { "" }, " ", head & 0xffff, " ", buf.be32_at(4)?);
    if c.verbose() {
        put!(c, " ", buf.be32_at(8)?);
    }
    Ok(())
}
