//! The time synchronisation protocol of BSD (timed).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::Hex;

const TYPES: [&str; 26] = [
    "error",
    "master",
    "masterreq",
    "masterack",
    "setdate",
    "adjtime",
    "loop",
    "ack",
    "date",
    "datereq",
    "dateack",
    "traceon",
    "traceoff",
    "msite",
    "msitereq",
    "test",
    "setdate",
    "setdatereq",
    "loop",
    "conflict",
    "resolve",
    "quit",
    "date",
    "datereq",
    "ack",
    "traceon",
];
const ADJTIME: u8 = 5;

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    c.layer("timed");
    let kind = buf.u8_at(0)?;
    match TYPES.get(usize::from(kind)) {
        Some(name) => put!(c, "TSP_", name.to_ascii_uppercase()),
        None => put!(c, "(tsp_type 0x", Hex(kind), ")"),
    }
    put!(c, " vers ", buf.u8_at(1)?);
    put!(c, " seq ", buf.be16_at(2)?);
    if kind == ADJTIME {
        put!(c, " time ", buf.be32_at(4)? as i32, ".");
        put!(c, crate::text::DecN(buf.be32_at(8)?, 6));
    }
    c.put(" name ");
    // The name is the last 64 bytes, up to its zero.
    let name = buf.from(12);
    let end = memchr::memchr(0, name.bytes());
    match end {
        Some(end) if end < 64 => {
            c.put(crate::text::Visible(name.bytes_at(0, end)?));
            Ok(())
        }
        _ => {
            c.put(crate::text::Visible(name.limit(64).bytes()));
            name.need(64)
        }
    }
}
