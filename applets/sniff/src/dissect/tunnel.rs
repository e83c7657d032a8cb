//! Ethernet in UDP: VXLAN (RFC 7348).

use super::{Buf, Ctx, Sink, Step, ether, put};
use crate::text::HexN;

/// Prints a frame with its VXLAN header.
pub fn vxlan<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("vxlan");
    c.put("VXLAN");
    if len < 8 {
        c.invalid();
        return Ok(());
    }
    let flags = buf.u8_at(0)?;
    buf.need(8)?;
    put!(c, ", flags [", if flags & 8 != 0 { "I" } else { "." }, "] (0x", HexN(flags, 2));
    put!(c, "), vni ", buf.be24_at(4)?, "\n");
    let inner = buf.from(8);
    c.nested(|c| ether::print(c, inner, len - 8).map(drop))
}
