//! Extensible authentication (RFC 3748), as it is and over LANs (IEEE 802.1X).

use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, HexN, Names, name_or};

const FRAMES: Names = &[
    (0, "EAP packet"),
    (1, "EAPOL start"),
    (2, "EAPOL logoff"),
    (3, "EAPOL key"),
    (4, "Encap ASF alert"),
];
const CODES: Names = &[
    (1, "Request"),
    (2, "Response"),
    (3, "Success"),
    (4, "Failure"),
    (5, "Initiate"),
    (6, "Finish"),
];
const TYPES: Names = &[
    (0, "unset"),
    (1, "Identity"),
    (2, "Notification"),
    (3, "Nak"),
    (4, "MD5-challenge"),
    (5, "OTP"),
    (6, "GTC"),
    (13, "TLS"),
    (18, "SIM"),
    (21, "TTLS"),
    (23, "AKA"),
    (43, "FAST"),
    (254, "Expanded type"),
    (255, "Experimental"),
];
const TLS_FLAGS: Names = &[(0x80, "Length included"), (0x40, "More fragments"), (0x20, "start")];
const AKA_SUBTYPES: Names = &[
    (1, "Challenge"),
    (2, "Authentication reject"),
    (4, "AKA synchronization failure"),
    (5, "Identity"),
    (12, "Notification"),
    (13, "Reauthentication"),
    (14, "Client error"),
];
const SIM_SUBTYPES: Names = &[
    (10, "Start"),
    (11, "Challenge"),
    (12, "Notification"),
    (13, "Reauthentication"),
    (14, "Client error"),
];

/// Prints a packet of a link that carries EAP alone.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("eap");
    let code = buf.u8_at(0)?;
    let name = name_or(CODES, code.into(), "unknown");
    put!(c, name, " (", code, "), id ", buf.u8_at(1)?);
    let stated = buf.be16_at(2)?;
    put!(c, ", len ", stated);
    let stated = usize::from(stated);
    if stated > len || stated < 4 {
        c.invalid();
        return buf.need(len);
    }
    if matches!(code, 1 | 2) && stated > 4 {
        let kind = buf.u8_at(4)?;
        put!(c, "\n\t\t Type ", name_or(TYPES, kind.into(), "unknown"), " (", kind, ")");
        method(c, kind, buf.from(5), stated - 5)?;
    }
    Ok(())
}

fn method<S: Sink>(c: &mut Ctx<S>, kind: u8, buf: Buf<'_>, len: usize) -> Step {
    match kind {
        1 if len > 0 => {
            c.put(", Identity: ");
            c.visible(buf, len)?;
        }
        2 if len > 0 => {
            c.put(", Notification: ");
            c.visible(buf, len)?;
        }
        // Wanted methods, as many as there are.
        3 if len > 0 => {
            for at in 0..len {
                let wanted = buf.u8_at(at)?;
                let name = name_or(TYPES, wanted.into(), "unknown");
                put!(c, ", ", name, " (", wanted, ")");
            }
        }
        13 | 21 if len > 0 => {
            let flags = buf.u8_at(0)?;
            if kind == 21 {
                put!(c, " TTLSv", flags & 7);
            }
            put!(c, " flags [", Bits(TLS_FLAGS, (flags & 0xe0).into(), ", ", "none"), "] 0x");
            put!(c, HexN(flags, 2));
            if flags & 0x80 != 0 {
                put!(c, ", len ", buf.be32_at(1)?);
            }
        }
        43 if len > 0 => {
            let flags = buf.u8_at(0)?;
            put!(c, " FASTv", flags & 7, " flags [");
            put!(c, Bits(TLS_FLAGS, (flags & 0xe0).into(), ", ", "none"), "] 0x", HexN(flags, 2));
            if flags & 0x80 != 0 {
                put!(c, ", len ", buf.be32_at(1)?);
            }
        }
        18 | 23 if len > 0 => {
            let subtype = buf.u8_at(0)?;
            let names = if kind == 18 { SIM_SUBTYPES } else { AKA_SUBTYPES };
            put!(c, " subtype [", name_or(names, subtype.into(), "unknown"), "] 0x");
            put!(c, HexN(subtype, 2));
        }
        _ => {}
    }
    Ok(())
}

/// Prints a frame of the Ethernet type.
pub fn over_lan<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, _: usize) -> Step {
    c.layer("eap");
    let (version, kind, len) = (buf.u8_at(0)?, buf.u8_at(1)?, buf.be16_at(2)?);
    put!(c, name_or(FRAMES, kind.into(), "unknown"), " (", kind, ") v", version, ", len ", len);
    if !c.verbose() {
        return Ok(());
    }
    let body = buf.from(4);
    if kind == 0 {
        body.need(4)?;
        c.put(", ");
        return print(c, body, len.into());
    }
    Ok(())
}
