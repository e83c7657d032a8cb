//! Cisco's VLAN query protocol.

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::address::Mac;
use crate::text::{HexN, Named, Names, name_or};

const MESSAGES: Names =
    &[(1, "JoinRequest"), (2, "JoinResponse"), (3, "ReconfirmRequest"), (4, "ReconfirmResponse")];
const ERRORS: Names =
    &[(0, "No error"), (3, "Access denied"), (4, "Shutdown port"), (5, "Wrong VTP domain")];
const OBJECTS: Names = &[
    (0x0c01, "Client IP Address"),
    (0x0c02, "Port Name"),
    (0x0c03, "VLAN Name"),
    (0x0c04, "VTP Domain"),
    (0x0c05, "Ethernet Packet"),
    (0x0c06, "Reserved"),
    (0x0c08, "MAC Address"),
];

/// Prints a message.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("vqp");
    buf.need(8)?;
    let (version, kind) = (buf.u8_at(0)?, buf.u8_at(1)?);
    if version != 1 {
        put!(c, "VQP version ", version, ", not supported, length ", len);
        return Ok(());
    }
    let kind = Named(MESSAGES, kind.into(), "unknown (", ")");
    if !c.verbose() {
        put!(c, "VQPv", version, ", ", kind, " Message, length ", len);
        return Ok(());
    }
    let (error, items) = (buf.u8_at(2)?, buf.u8_at(3)?);
    put!(c, "\n\tVQPv", version, ", ", kind, " Message");
    if name_or(ERRORS, error.into(), "").is_empty() {
        put!(c, ", error-code unknown (", error, ")");
    } else {
        put!(c, ", error-code ", name_or(ERRORS, error.into(), ""), " (", error, ")");
    }
    put!(c, ", seq 0x", HexN(buf.be32_at(4)?, 8), ", items ", items, ", length ", len);
    let (mut rest, mut left) = (buf.from(8), len.saturating_sub(8));
    for _ in 0..items {
        if left < 6 {
            break;
        }
        let (object, size) = (rest.be32_at(0)?, usize::from(rest.be16_at(4)?));
        put!(c, "\n\t  ", name_or(OBJECTS, object, "unknown"), " Object (0x", HexN(object, 8));
        put!(c, "), length ", size, ", value: ");
        rest = rest.from(6);
        left -= 6;
        if size == 0 || size > left {
            break;
        }
        rest.need(size)?;
        match object {
            0x0c01 if size == 4 => c.host4(rest, 0)?,
            0x0c02..=0x0c04 => {
                c.visible(rest, size)?;
            }
            0x0c06 | 0x0c08 if size == 6 => c.put(Mac(rest.bytes_at(0, 6)?)),
            _ if c.options.verbose <= 1 => c.hex_print("\n\t    ", rest, size),
            _ => {}
        }
        rest = rest.from(size);
        left -= size;
    }
    Ok(())
}
