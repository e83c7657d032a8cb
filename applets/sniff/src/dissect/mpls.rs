//! Multi-protocol label switching (RFC 3032): a stack of labels, and a guess at what lies under it.

use super::{Buf, Ctx, Sink, Step, ip, ip6, osi, put};
use crate::text::{Names, name_of};

const LABELS: Names = &[
    (0, "IPv4 explicit NULL"),
    (1, "router alert"),
    (2, "IPv6 explicit NULL"),
    (3, "implicit NULL"),
    (4, "rsvd"),
    (5, "rsvd"),
    (6, "rsvd"),
    (7, "ELI"),
    (8, "rsvd"),
    (9, "rsvd"),
    (10, "rsvd"),
    (11, "rsvd"),
    (12, "rsvd"),
    (13, "GACh"),
    (14, "OAM alert"),
    (15, "rsvd"),
];

/// What is thought to lie under the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Under {
    Ip4,
    Ip6,
    Osi,
    Unknown,
}

/// Prints a packet.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("mpls");
    c.put("MPLS");
    let (mut rest, mut left) = (buf, len);
    let mut stack = 0u32;
    let entry = loop {
        let entry = rest.be32_at(0)?;
        if left < 4 {
            c.truncated();
            return Ok(());
        }
        let label = entry >> 12;
        let indent = if stack > 0 && c.verbose() { "\n\t" } else { " " };
        stack += 1;
        put!(c, indent, "(label ", label);
        if let Some(name) = name_of(LABELS, label) {
            put!(c, " (", name, ")");
        }
        put!(c, ", tc ", entry >> 9 & 7);
        if entry & 0x100 != 0 {
            c.put(", [S]");
        }
        put!(c, ", ttl ", entry & 0xff, ")");
        rest = rest.from(4);
        left -= 4;
        if entry & 0x100 != 0 {
            break entry;
        }
        c.check_text()?;
    };
    let under = match entry >> 12 {
        0 => Under::Ip4,
        2 => Under::Ip6,
        _ => guess(rest, left)?,
    };
    if under == Under::Unknown {
        return Ok(());
    }
    c.put(if c.verbose() { "\n\t" } else { " " });
    c.nested(|c| match under {
        Under::Ip4 => ip::print(c, rest, left),
        Under::Ip6 => ip6::print(c, rest, left),
        _ => osi::print(c, rest, left),
    })
}

/// By the first byte, where the label does not tell: IP has its version there, OSI its protocol.
fn guess(rest: Buf<'_>, left: usize) -> Step<Under> {
    if left < 1 {
        return Ok(Under::Unknown);
    }
    Ok(match rest.u8_at(0)? {
        0x45..=0x4f => Under::Ip4,
        0x60..=0x6f => Under::Ip6,
        0x81..=0x83 => Under::Osi,
        _ => Under::Unknown,
    })
}
