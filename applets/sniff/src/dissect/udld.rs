//! Unidirectional link detection (RFC 5171).

use super::ether::Link;
use super::{Buf, Ctx, Sink, Step, Stop, put};
use crate::text::{Bits, HexN, Names, name_or};

const CODES: Names =
    &[(0, "Reserved"), (1, "Probe message"), (2, "Echo message"), (3, "Flush message")];
const FLAGS: Names = &[(1, "RT"), (2, "RSY")];
const KINDS: Names = &[
    (1, "Device-ID TLV"),
    (2, "Port-ID TLV"),
    (3, "Echo TLV"),
    (4, "Message Interval TLV"),
    (5, "Timeout Interval TLV"),
    (6, "Device Name TLV"),
    (7, "Sequence Number TLV"),
];

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("udld");
    if len < 4 {
        c.invalid();
        return buf.need(len);
    }
    let (first, flags) = (buf.u8_at(0)?, buf.u8_at(1)?);
    let code = first & 0x1f;
    put!(c, "UDLDv", first >> 5, ", Code ", name_or(CODES, code.into(), "Reserved"));
    put!(c, " (", code, "), Flags [", Bits(FLAGS, flags.into(), ", ", "none"));
    put!(c, "] (0x", HexN(flags, 2), "), length ", len);
    if !c.verbose() {
        return buf.need(len);
    }
    put!(c, "\n\tChecksum 0x", HexN(buf.be16_at(2)?, 4), " (unverified)");
    let (mut rest, mut left) = (buf.from(4), len - 4);
    while left > 0 {
        if left < 4 {
            return Err(Stop::Invalid);
        }
        let (kind, stated) = (rest.be16_at(0)?, usize::from(rest.be16_at(2)?));
        put!(c, "\n\t", name_or(KINDS, kind.into(), "Unknown TLV"), " (0x", HexN(kind, 4));
        put!(c, ") TLV, length ", stated);
        let Some(value_len) = stated.checked_sub(4) else { return Err(Stop::Invalid) };
        if stated > left {
            return Err(Stop::Invalid);
        }
        let value = Buf::new(rest.bytes_at(4, value_len)?);
        match (kind, value_len) {
            (1 | 2 | 3 | 6, _) => {
                c.put(", ");
                if kind == 3 {
                    c.visible(value, value_len)?;
                } else {
                    c.visible_to_nul(value, value_len)?;
                }
            }
            (4 | 5, 1) => put!(c, ", ", value.u8_at(0)?, "s"),
            (7, 4) => put!(c, ", ", value.be32_at(0)?),
            (4 | 5 | 7, _) => return Err(Stop::Invalid),
            _ => {}
        }
        rest = rest.from(stated);
        left -= stated;
        c.check_text()?;
    }
    Ok(())
}
