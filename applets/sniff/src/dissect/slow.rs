//! Slow protocols: link aggregation, markers and the start of operation messages (IEEE 802.3).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::address::Mac;
use crate::text::{Bits, HexN, Named, Names, name_or};

const SUBTYPES: Names = &[(1, "LACP"), (2, "MARKER"), (3, "OAM")];
const INFORMATION: Names = &[
    (0x100, "Terminator"),
    (0x101, "Actor Information"),
    (0x102, "Partner Information"),
    (0x103, "Collector Information"),
    (0x200, "Terminator"),
    (0x201, "Marker Information"),
    (0x202, "Marker Response Information"),
];
const STATES: Names = &[
    (0x01, "Activity"),
    (0x02, "Timeout"),
    (0x04, "Aggregation"),
    (0x08, "Synchronization"),
    (0x10, "Collecting"),
    (0x20, "Distributing"),
    (0x40, "Default"),
    (0x80, "Expired"),
];
const OAM_CODES: Names = &[
    (0, "Information"),
    (1, "Event notify"),
    (2, "Variable Request or Response"),
    (3, "Variable Response"),
    (4, "Loopback Control"),
    (0xfe, "Vendor Private"),
];
const OAM_FLAGS: Names = &[
    (0x01, "Link Fault"),
    (0x02, "Dying Gasp"),
    (0x04, "Critical Event"),
    (0x08, "Local Evaluating"),
    (0x10, "Local Stable"),
    (0x20, "Remote Evaluating"),
    (0x40, "Remote Stable"),
];

/// Prints a frame.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("slow");
    let subtype = buf.u8_at(0)?;
    let versioned = subtype == 1 || subtype == 2;
    if len < 1 + usize::from(versioned) {
        c.put(if c.verbose() { "\n\t\t packet is too short" } else { " (packet is too short)" });
        return Ok(());
    }
    put!(c, Named(SUBTYPES, subtype.into(), "unknown (", ")"));
    if versioned {
        put!(c, "v", buf.u8_at(1)?);
    }
    put!(c, ", length ", len);
    match subtype {
        1..=3 if !c.verbose() => Ok(()),
        3 => {
            put!(c, "\n\tCode ", Named(OAM_CODES, buf.u8_at(3)?.into(), "Unknown (", ")"));
            let flags = Bits(OAM_FLAGS, buf.be16_at(1)?.into(), ", ", "none");
            put!(c, " OAM PDU, Flags [", flags, "]");
            if len > 4 {
                c.hex_print("\n\t  ", buf.from(4), len - 4);
            }
            Ok(())
        }
        1 | 2 => information(c, buf.from(2), len - 2, subtype),
        _ => {
            c.hex_print("\n\t", buf, len);
            Ok(())
        }
    }
}

fn information<S: Sink>(c: &mut Ctx<S>, mut rest: Buf<'_>, mut left: usize, subtype: u8) -> Step {
    while left > 0 {
        if left < 2 {
            c.put("\n\t\t packet is too short");
            return Ok(());
        }
        let (kind, len) = (rest.u8_at(0)?, usize::from(rest.u8_at(1)?));
        let whole = u32::from(subtype) << 8 | u32::from(kind);
        put!(c, "\n\t", name_or(INFORMATION, whole, "Unknown"), " TLV (0x", HexN(kind, 2));
        put!(c, "), length ", len);
        if kind == 0 {
            return Ok(());
        }
        if len < 2 {
            c.put("\n\t    ERROR: illegal length - should be >= 2");
            return Ok(());
        }
        if left < len {
            c.put("\n\t\t packet is too short");
            return Ok(());
        }
        let body = Buf::new(rest.bytes_at(2, len - 2)?);
        let wanted = match whole {
            0x101 | 0x102 => 18,
            0x103 => 14,
            0x201 => 14,
            _ => len - 2,
        };
        if body.len() != wanted {
            put!(c, "\n\t    ERROR: illegal length - should be ", wanted + 2);
        } else {
            value(c, whole, body)?;
        }
        if c.options.verbose > 1 {
            c.hex_print("\n\t  ", body, body.len());
        }
        rest = rest.from(len);
        left -= len;
        c.check_text()?;
    }
    Ok(())
}

fn value<S: Sink>(c: &mut Ctx<S>, kind: u32, body: Buf<'_>) -> Step {
    match kind {
        0x101 | 0x102 => {
            put!(c, "\n\t  System ", Mac(body.bytes_at(2, 6)?));
            put!(c, ", System Priority ", body.be16_at(0)?, ", Key ", body.be16_at(8)?);
            put!(c, ", Port ", body.be16_at(12)?, ", Port Priority ", body.be16_at(10)?);
            let state = Bits(STATES, body.u8_at(14)?.into(), ", ", "none");
            put!(c, "\n\t  State Flags [", state, "]");
        }
        0x103 => put!(c, "\n\t  Max Delay ", body.be16_at(0)?),
        0x201 => {
            put!(c, "\n\t  Request System ", Mac(body.bytes_at(2, 6)?));
            put!(c, ", Request Port ", body.be16_at(0)?);
            put!(c, ", Request Transaction ID 0x", HexN(body.be32_at(8)?, 8));
        }
        _ if c.options.verbose <= 1 => c.hex_print("\n\t  ", body, body.len()),
        _ => {}
    }
    Ok(())
}
