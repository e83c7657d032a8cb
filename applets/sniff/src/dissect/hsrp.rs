//! The hot standby router protocol (RFC 2281).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Duration, Named, Names, Visible};

const OPERATIONS: Names = &[(0, "hello"), (1, "coup"), (2, "resign")];
const STATES: Names =
    &[(0, "initial"), (1, "learn"), (2, "listen"), (4, "speak"), (8, "standby"), (16, "active")];
const AUTHENTICATION: usize = 8;
const ADDRESS: usize = 16;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("hsrp");
    let version = buf.u8_at(0)?;
    put!(c, "HSRPv", version);
    if version != 0 {
        return Ok(());
    }
    c.put("-");
    put!(c, Named(OPERATIONS, u32::from(buf.u8_at(1)?), "unknown (", ")"), " ", len, ": ");
    put!(c, "state=", Named(STATES, u32::from(buf.u8_at(2)?), "Unknown (", ")"), " ");
    put!(c, "group=", buf.u8_at(6)?, " ");
    let reserved = buf.u8_at(7)?;
    if reserved != 0 {
        put!(c, "[reserved=", reserved, "!] ");
    }
    buf.need(ADDRESS + 4)?;
    c.put("addr=");
    c.host4(buf, ADDRESS)?;
    if c.verbose() {
        put!(c, " hellotime=", Duration(u32::from(buf.u8_at(3)?)));
        put!(c, " holdtime=", Duration(u32::from(buf.u8_at(4)?)));
        put!(c, " priority=", buf.u8_at(5)?);
        let name = buf.bytes_at(AUTHENTICATION, 8)?;
        let end = memchr::memchr(0, name).unwrap_or(name.len());
        put!(c, " auth=\"", Visible(buf.bytes_at(AUTHENTICATION, end)?), "\"");
    }
    Ok(())
}
