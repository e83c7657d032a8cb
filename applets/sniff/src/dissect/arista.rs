//! Time stamps that Arista switches put between the addresses and the type of a frame.

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{DecN, HexN, Names, name_or};
use crate::time::stamp::put_utc_nanos;

const SUBTYPES: Names = &[(1, "Timestamp")];
const TIMESCALES: Names = &[(0, "TAI"), (1, "UTC")];
const FORMATS: Names = &[(1, "64-bit"), (2, "48-bit")];
const HARDWARE: Names = &[(0, "R/R2"), (1, "R3")];

/// Prints the tag and tells its length; `None` when it is of a kind that nobody knows.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step<Option<usize>> {
    c.layer("arista");
    let (subtype, version) = (buf.be16_at(0)?, buf.be16_at(2)?);
    put!(c, "SubType ", name_or(SUBTYPES, subtype.into(), "Unknown"), " (0x", HexN(subtype, 4));
    c.put("), ");
    if subtype != 1 {
        return Ok(None);
    }
    let (scale, format, hardware) = (version >> 8, version >> 4 & 15, version & 15);
    put!(c, "Timescale ", name_or(TIMESCALES, scale.into(), "Unknown"), " (", scale, "), ");
    put!(c, "Format ", name_or(FORMATS, format.into(), "Unknown"), " (", format, "), ");
    put!(c, "HwInfo ", name_or(HARDWARE, hardware.into(), "Unknown"), " (", hardware, "), ");
    match format {
        1 => {
            let (seconds, nanos) = (buf.be32_at(4)?, buf.be32_at(8)?);
            c.put("Timestamp ");
            if S::TEXT {
                put_utc_nanos(&mut c.out, seconds.into(), nanos);
            }
            c.put(": ");
            Ok(Some(12))
        }
        2 => {
            let (seconds, nanos) = (buf.be16_at(4)?, buf.be32_at(6)?);
            put!(c, "Timestamp ", seconds, ".", DecN(nanos, 9), ": ");
            Ok(Some(10))
        }
        _ => Ok(None),
    }
}
