//! CALM FAST (ISO 29281): non-IP networking of vehicles.

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, put};

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, link: &Link<'_>) -> Step {
    c.layer("calm_fast");
    c.put("CALM FAST");
    if let Some((source, _)) = link.addresses {
        c.put(" src:");
        c.mac(source);
    }
    c.put("; ");
    if len < 2 {
        c.invalid();
        return buf.need(len);
    }
    put!(c, "SrcNwref:", buf.u8_at(0)?, "; ");
    put!(c, "DstNwref:", buf.u8_at(1)?, "; ");
    if c.verbose() {
        c.default_print(buf.from(2).limit(len - 2));
        return buf.need(len);
    }
    Ok(())
}
