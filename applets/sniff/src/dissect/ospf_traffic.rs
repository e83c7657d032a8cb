//! Traffic engineering in OSPF (RFC 3630, RFC 4203).

use super::traffic::{self, Mbps};
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, HexN, Named, Names, name_or};

const KINDS: Names = &[(1, "Router Address"), (2, "Link"), (5, "Router Address")];
const LINK: Names = &[
    (1, "Link Type"),
    (2, "Link ID"),
    (3, "Local Interface IP address"),
    (4, "Remote Interface IP address"),
    (5, "Traffic Engineering Metric"),
    (6, "Maximum Bandwidth"),
    (7, "Maximum Reservable Bandwidth"),
    (8, "Unreserved Bandwidth"),
    (9, "Administrative Group"),
    (11, "Link Local/Remote Identifier"),
    (14, "Link Protection Type"),
    (15, "Interface Switching Capability"),
    (16, "Shared Risk Link Group"),
    (17, "Bandwidth Constraints"),
];
const LINK_TYPES: Names = &[(1, "Point-to-point"), (2, "Multi-Access")];
const INDICATION: Names = &[(0, "Standard SONET/SDH"), (1, "Arbitrary SONET/SDH")];
const MODELS: Names = &[(0, "maximum allocation"), (1, "russian dolls")];

/// Prints the values of an advertisement.
pub fn print<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let mut rest = body;
    while !rest.is_empty() {
        if !rest.has(4) {
            put!(c, "\n\t    Remaining LS length ", rest.len(), " < 4");
            return Ok(());
        }
        let (kind, len) = (rest.be16()?, usize::from(rest.be16()?));
        put!(c, "\n\t    ", name_or(KINDS, kind.into(), "unknown"), " TLV (", kind);
        put!(c, "), length: ", len);
        let Ok(value) = rest.take(len) else {
            put!(c, "\n\t    Bogus length ", len, " > ", rest.len());
            return Ok(());
        };
        let value = Buf::new(value);
        match kind {
            2 if !link(c, value)? => return Ok(()),
            2 => {}
            1 if len < 4 => {
                put!(c, "\n\t    TLV length ", len, " < 4");
                return Ok(());
            }
            1 => {
                c.put(", ");
                c.host4(value, 0)?;
            }
            _ if c.options.verbose <= 1 => c.hex_print("\n\t      ", value, len),
            _ => {}
        }
        rest = rest.from(len.wrapping_neg() & 3);
        c.check_text()?;
    }
    Ok(())
}

/// The attributes of a link; `false` where the rest cannot be read.
fn link<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step<bool> {
    let mut rest = value;
    while !rest.is_empty() {
        if !rest.has(4) {
            put!(c, "\n\t    Remaining TLV length ", rest.len(), " < 4");
            return Ok(false);
        }
        let (kind, len) = (rest.be16()?, usize::from(rest.be16()?));
        put!(c, "\n\t      ", name_or(LINK, kind.into(), "unknown"), " subTLV (", kind);
        put!(c, "), length: ", len);
        let Ok(body) = rest.take(len) else {
            put!(c, "\n\t    Bogus length ", len, " > ", rest.len());
            return Ok(false);
        };
        let body = Buf::new(body);
        let least = match kind {
            1 => 1,
            2..=7 | 9 | 11 | 17 => 4,
            8 => 32,
            14 => 2,
            15 => 36,
            _ => 0,
        };
        if len < least {
            put!(c, " < ", least);
            c.invalid();
            return Ok(false);
        }
        attribute(c, kind, body)?;
        rest = rest.from(len.wrapping_neg() & 3);
        c.check_text()?;
    }
    Ok(true)
}

fn attribute<S: Sink>(c: &mut Ctx<S>, kind: u16, body: Buf<'_>) -> Step {
    match kind {
        1 => {
            let link = body.u8_at(0)?;
            put!(c, ", ", name_or(LINK_TYPES, link.into(), "unknown"), " (", link, ")");
        }
        2 | 11 => {
            for at in if body.len() == 8 { &[0, 4][..] } else { &[0] } {
                c.put(", ");
                c.host4(body, *at)?;
                put!(c, " (0x", HexN(body.be32_at(*at)?, 8), ")");
            }
        }
        3 | 4 => {
            c.put(", ");
            c.host4(body, 0)?;
        }
        5 => put!(c, ", Metric ", body.be32_at(0)?),
        6 | 7 => put!(c, ", ", Mbps(body.be32_at(0)?)),
        8 => {
            for class in 0..8usize {
                put!(c, "\n\t\tTE-Class ", class, ": ", Mbps(body.be32_at(class * 4)?));
            }
        }
        9 => put!(c, ", 0x", HexN(body.be32_at(0)?, 8)),
        14 => {
            let protection = Bits(traffic::PROTECTION, body.u8_at(0)?.into(), ", ", "none");
            put!(c, ", ", protection, ", Priority ", body.u8_at(1)?);
        }
        15 => switching(c, body)?,
        16 => {
            let mut rest = body;
            let mut separator = "\n\t\t  Shared risk group: ";
            while rest.has(4) {
                put!(c, separator, rest.be32()?);
                separator = ", ";
            }
        }
        17 => {
            let model = body.u8_at(0)?;
            put!(c, "\n\t\tBandwidth Constraints Model ID: ");
            put!(c, name_or(MODELS, model.into(), "unknown"), " (", model, ")");
            let mut rest = body.from(4);
            let mut class = 0u32;
            while rest.has(4) {
                put!(c, "\n\t\t  Bandwidth constraint CT", class, ": ", Mbps(rest.be32()?));
                class += 1;
            }
        }
        _ if c.options.verbose <= 1 => c.hex_print("\n\t\t", body, body.len()),
        _ => {}
    }
    Ok(())
}

fn switching<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let capability = body.u8_at(0)?;
    put!(c, "\n\t\tInterface Switching Capability: ");
    put!(c, name_or(traffic::SWITCHING, capability.into(), "Unknown"));
    put!(c, "\n\t\tLSP Encoding: ", name_or(traffic::ENCODING, body.u8_at(1)?.into(), "Unknown"));
    put!(c, "\n\t\tMax LSP Bandwidth:");
    for priority in 0..8usize {
        let rate = Mbps(body.be32_at(4 + priority * 4)?);
        put!(c, "\n\t\t  priority level ", priority, ": ", rate);
    }
    let rest = body.from(36);
    if capability == 100 && rest.has(8) {
        put!(c, "\n\t\tMin LSP Bandwidth: ", Mbps(rest.be32_at(0)?));
        let indication = Named(INDICATION, rest.u8_at(4)?.into(), "Unknown (", ")");
        put!(c, "\n\t\tIndication ", indication);
    }
    Ok(())
}
