//! RPKI to router (RFC 6810, RFC 8210).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Names, name_or};

const TYPES: Names = &[
    (0, "Serial Notify"),
    (1, "Serial Query"),
    (2, "Reset Query"),
    (3, "Cache Response"),
    (4, "IPv4 Prefix"),
    (6, "IPv6 Prefix"),
    (7, "End of Data"),
    (8, "Cache Reset"),
    (10, "Error Report"),
];

/// Prints the units of a segment of `len` bytes.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("rpki_rtr");
    if !c.verbose() {
        put!(c, ": RPKI-RTR");
        return Ok(());
    }
    let version = buf.u8_at(0)?;
    if version > 1 {
        put!(c, "\n\tRPKI-RTRv", version, " (unknown)");
        return Ok(());
    }
    let (mut buf, mut left) = (buf, len);
    while left >= 8 {
        let kind = buf.u8_at(1)?;
        let unit = buf.be32_at(4)? as usize;
        put!(c, "\n\tRPKI-RTRv", buf.u8_at(0)?, ", ", name_or(TYPES, kind.into(), "Unknown"));
        put!(c, " PDU (", kind, "), length: ", unit);
        if unit < 8 || unit > left {
            return Err(super::Stop::Invalid);
        }
        buf = buf.from(unit);
        left -= unit;
        c.check_text()?;
    }
    Ok(())
}
