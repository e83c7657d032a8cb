//! Rx, the remote procedure calls of AFS: the header.

use super::registry::Ports;
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Names, name_or};

const TYPES: Names = &[
    (1, "data"),
    (2, "ack"),
    (3, "busy"),
    (4, "abort"),
    (5, "ackall"),
    (6, "challenge"),
    (7, "response"),
    (8, "debug"),
    (9, "params"),
    (10, "params"),
    (11, "params"),
    (12, "params"),
    (13, "version"),
];

/// Prints a packet of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Ports) -> Step {
    c.layer("rx");
    if !buf.has(28) {
        put!(c, " [|rx] (", len, ")");
        return Ok(());
    }
    let kind = buf.u8_at(20)?;
    put!(c, " rx ", name_or(TYPES, kind.into(), "unknown"), " (", len, ")");
    Ok(())
}
