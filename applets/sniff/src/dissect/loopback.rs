//! The Ethernet configuration test protocol (loopback).

use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::{Named, Names};

const FUNCTIONS: Names = &[(1, "Reply"), (2, "Forward Data")];

/// Prints a frame of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("loopback");
    c.put("Loopback");
    if len < 4 {
        return Err(Stop::Invalid);
    }
    let skip = buf.le16_at(0)?;
    put!(c, ", skipCount ", skip);
    if skip % 8 != 0 {
        c.put(" (bogus)");
    }
    if usize::from(skip) > len {
        return Err(Stop::Invalid);
    }
    let at = 2 + usize::from(skip);
    let function = buf.le16_at(at)?;
    put!(c, ", ", Named(FUNCTIONS, function.into(), " invalid (", ")"));
    match function {
        1 => put!(c, ", receipt number ", buf.le16_at(at + 2)?),
        2 => {
            let address = buf.bytes_at(at + 2, 6)?;
            c.put(", forwarding address ");
            c.mac(address);
        }
        _ => return Err(Stop::Invalid),
    }
    Ok(())
}
