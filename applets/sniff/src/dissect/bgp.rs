//! The border gateway protocol (RFC 4271): messages.

use super::{Buf, Ctx, Sink, Step, Stop, bgp_attributes, lldp, put};
use crate::text::address::Ip4;
use crate::text::{Named, Names, name_or};

const HEADER: usize = 19;
const MESSAGES: Names =
    &[(1, "Open"), (2, "Update"), (3, "Notification"), (4, "Keepalive"), (5, "Route Refresh")];
const CAPABILITIES: Names = &[
    (1, "Multiprotocol Extensions"),
    (2, "Route Refresh"),
    (3, "Cooperative Route Filtering"),
    (4, "Multiple Routes to a Destination"),
    (8, "Multiple Labels"),
    (9, "BGP Role"),
    (64, "Graceful Restart"),
    (65, "32-Bit AS Number"),
    (67, "Dynamic Capability"),
    (69, "Multiple Paths"),
    (70, "Enhanced Route Refresh"),
    (128, "Route Refresh (Cisco)"),
];
const WAYS: Names = &[(1, "Receive"), (2, "Send"), (3, "Both")];
const ERRORS: Names = &[
    (1, "Message Header Error"),
    (2, "OPEN Message Error"),
    (3, "UPDATE Message Error"),
    (4, "Hold timer expired"),
    (5, "Finite State Machine Error"),
    (6, "Cease"),
    (7, "Capability Message Error"),
];
/// The error in the upper byte, what it is in particular in the lower.
const DETAILS: Names = &[
    (0x101, "Connection Not Synchronized"),
    (0x102, "Bad Message Length"),
    (0x103, "Bad Message Type"),
    (0x201, "Unsupported Version Number"),
    (0x202, "Bad Peer AS"),
    (0x203, "Bad BGP Identifier"),
    (0x204, "Unsupported Optional Parameter"),
    (0x205, "Authentication Failure"),
    (0x206, "Unacceptable Hold Time"),
    (0x207, "Capability Message Error"),
    (0x301, "Malformed Attribute List"),
    (0x302, "Unrecognized Well-known Attribute"),
    (0x303, "Missing Well-known Attribute"),
    (0x304, "Attribute Flags Error"),
    (0x305, "Attribute Length Error"),
    (0x306, "Invalid ORIGIN Attribute"),
    (0x307, "AS Routing Loop"),
    (0x308, "Invalid NEXT_HOP Attribute"),
    (0x309, "Optional Attribute Error"),
    (0x30a, "Invalid Network Field"),
    (0x30b, "Malformed AS_PATH"),
    (0x601, "Maximum Number of Prefixes Reached"),
    (0x602, "Administrative Shutdown"),
    (0x603, "Peer Unconfigured"),
    (0x604, "Administrative Reset"),
    (0x605, "Connection Rejected"),
    (0x606, "Other Configuration Change"),
    (0x607, "Connection Collision Resolution"),
];

/// Prints the messages of a segment: each begins with sixteen bytes of ones.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, _: usize) -> Step {
    c.layer("bgp");
    c.put(": BGP");
    if !c.verbose() {
        return Ok(());
    }
    let bytes = buf.bytes();
    let (mut at, mut end) = (0, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 16) {
        if rest[..16] != [0xff; 16] {
            at += 1;
            continue;
        }
        let message = buf.from(at);
        message.need(HEADER)?;
        if at != end {
            c.truncated();
        }
        let (len, kind) = (usize::from(message.be16_at(16)?), message.u8_at(18)?);
        if len < HEADER {
            put!(c, "\n[|BGP Bogus header length ", len, " < ", HEADER, "]");
            break;
        }
        if !message.has(len) {
            put!(c, "\n[|bgp ", name_or(MESSAGES, kind.into(), "Unknown Message Type"), "]");
            break;
        }
        put!(c, "\n\t", name_or(MESSAGES, kind.into(), "Unknown"), " Message (", kind);
        put!(c, "), length: ", len);
        let body = message.limit(len).from(HEADER);
        let step = match kind {
            1 => open(c, body),
            2 => update(c, body),
            3 => notification(c, body),
            4 => Ok(()),
            5 => refresh(c, body),
            _ => {
                put!(c, "\n\t  no Message ", kind, " decoder");
                c.hex_print("\n\t  ", message, len);
                Ok(())
            }
        };
        c.absorb(step)?;
        at += len;
        end = at;
        c.check_text()?;
    }
    Ok(())
}

fn families<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    let (family, subsequent) = (buf.be16_at(0)?, buf.u8_at(3)?);
    put!(c, "AFI ", name_or(lldp::FAMILIES, family.into(), "Unknown"), " (", family, "), SAFI ");
    put!(c, name_or(bgp_attributes::SUBSEQUENT, subsequent.into(), "Unknown"));
    put!(c, " (", subsequent, ")");
    Ok(())
}

fn open<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    body.need(10)?;
    put!(c, "\n\t  Version ", body.u8_at(0)?, ", my AS ", body.be16_at(1)?);
    put!(c, ", Holdtime ", body.be16_at(3)?, "s, ID ", Ip4(body.array_at(5)?));
    let len = usize::from(body.u8_at(9)?);
    put!(c, "\n\t  Optional parameters, length: ", len);
    let mut rest = body.from(10).limit(len);
    while !rest.is_empty() {
        let (kind, len) = (rest.u8()?, usize::from(rest.u8()?));
        if !rest.has(len) {
            put!(c, "\n\t     Option ", kind, ", length: ", len);
            c.put(", goes past the end of the options");
            return Ok(());
        }
        let name = match kind {
            1 => "Authentication Information",
            2 => "Capabilities Advertisement",
            _ => "Unknown",
        };
        put!(c, "\n\t    Option ", name, " (", kind, "), length: ", len);
        if kind == 2 {
            capabilities(c, rest, len)?;
        } else {
            put!(c, "\n\t      no decoder for option ", kind);
        }
        rest = rest.from(len);
    }
    Ok(())
}

/// The last one may lie beyond its option, never beyond the message.
fn capabilities<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, option_len: usize) -> Step {
    let mut at = 0;
    while at < option_len {
        let head = buf.from(at);
        let (kind, len) = (head.u8_at(0)?, usize::from(head.u8_at(1)?));
        put!(c, "\n\t      ", name_or(CAPABILITIES, kind.into(), "Unknown"), " (", kind);
        put!(c, "), length: ", len);
        let body = Buf::new(head.bytes_at(2, len)?);
        let least = match kind {
            1 | 65 => 4,
            64 => 2,
            69 => 4,
            _ => 0,
        };
        if len < least {
            put!(c, " (too short, < ", least, ")");
            return Ok(());
        }
        match kind {
            1 => {
                c.put("\n\t\t");
                families(c, body)?;
            }
            64 => {
                let flags = if body.u8_at(0)? & 0x80 == 0 { "none" } else { "R" };
                put!(c, "\n\t\tRestart Flags: [", flags, "], Restart Time ");
                put!(c, body.be16_at(0)? & 0xfff, "s");
                let mut rest = body.from(2);
                while rest.has(4) {
                    let (family, subsequent) = (rest.be16_at(0)?, rest.u8_at(2)?);
                    put!(c, "\n\t\t  AFI ", name_or(lldp::FAMILIES, family.into(), "Unknown"));
                    put!(c, " (", family, "), SAFI ");
                    put!(c, name_or(bgp_attributes::SUBSEQUENT, subsequent.into(), "Unknown"));
                    let kept = if rest.u8_at(3)? & 0x80 == 0 { "no" } else { "yes" };
                    put!(c, " (", subsequent, "), Forwarding state preserved: ", kept);
                    rest = rest.from(4);
                }
            }
            65 => put!(c, "\n\t\t 4 Byte AS ", body.be32_at(0)?),
            8 | 69 => {
                let mut rest = body;
                while rest.has(4) {
                    let (family, subsequent) = (rest.be16_at(0)?, rest.u8_at(2)?);
                    put!(c, "\n\t\tAFI ", name_or(lldp::FAMILIES, family.into(), "Unknown"));
                    put!(c, " (", family, "), SAFI ");
                    put!(c, name_or(bgp_attributes::SUBSEQUENT, subsequent.into(), "Unknown"));
                    put!(c, " (", subsequent, "), ");
                    let last = rest.u8_at(3)?;
                    if kind == 8 {
                        put!(c, "Count: ", last);
                    } else {
                        put!(c, "Send/Receive: ", name_or(WAYS, last.into(), "Unknown"));
                    }
                    rest = rest.from(4);
                }
            }
            2 | 128 => {}
            _ => {
                put!(c, "\n\t\tno decoder for Capability ", kind);
                if c.options.verbose <= 1 {
                    c.hex_print("\n\t\t", body, len);
                }
            }
        }
        if c.options.verbose > 1 && len > 0 {
            c.hex_print("\n\t\t", body, len);
        }
        at += len + 2;
    }
    Ok(())
}

fn update<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    let mut rest = body;
    let withdrawn = usize::from(rest.be16()?);
    if withdrawn > 1 {
        rest.need(withdrawn)?;
        c.put("\n\t  Withdrawn routes:");
        let taken = prefixes(c, rest.limit(withdrawn))?;
        rest = rest.from(taken);
    } else {
        rest = rest.from(withdrawn);
    }
    let len = usize::from(rest.be16()?);
    if len == 0 && rest.is_empty() {
        c.put("\n\t  End-of-Rib Marker (empty NLRI)");
        return Ok(());
    }
    if rest.len() < len {
        return Err(Stop::Truncated);
    }
    bgp_attributes::print(c, rest, len, "\n\t  ")?;
    rest = rest.from(len);
    if !rest.is_empty() {
        c.put("\n\t  Updated routes:");
        prefixes(c, rest)?;
    }
    Ok(())
}

/// Prints prefixes to the end of `rest`, and returns how much was read.
fn prefixes<S: Sink>(c: &mut Ctx<S>, rest: Buf<'_>) -> Step<usize> {
    let mut at = 0;
    while at < rest.len() {
        match bgp_attributes::prefix(rest.from(at), 4)? {
            None => {
                c.put("\n\t    (illegal prefix length)");
                break;
            }
            Some((prefix, len)) => {
                put!(c, "\n\t    ", prefix);
                at += len;
            }
        }
        c.check_text()?;
    }
    Ok(at)
}

fn notification<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    if body.len() < 2 {
        return Err(Stop::Truncated);
    }
    let (error, detail) = (body.u8_at(0)?, body.u8_at(1)?);
    put!(c, ", ", name_or(ERRORS, error.into(), "Unknown Error"), " (", error, ")");
    if matches!(error, 1..=3 | 6 | 7) {
        let both = u32::from(error) << 8 | u32::from(detail);
        put!(c, ", subcode ", name_or(DETAILS, both, "Unknown"), " (", detail, ")");
    }
    if error == 6 && detail == 1 && body.has(9) {
        let (family, subsequent) = (body.be16_at(2)?, body.u8_at(4)?);
        put!(c, ", AFI ", name_or(lldp::FAMILIES, family.into(), "Unknown"), " (", family, ")");
        put!(c, ", SAFI ", Named(bgp_attributes::SUBSEQUENT, subsequent.into(), "Unknown", ""));
        put!(c, " (", subsequent, "), Max Prefixes: ", body.be32_at(5)?);
    }
    Ok(())
}

fn refresh<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>) -> Step {
    body.need(4)?;
    c.put("\n\t  ");
    families(c, body)?;
    if c.options.verbose > 1 {
        c.hex_print("\n\t  ", body, body.len());
    }
    Ok(())
}
