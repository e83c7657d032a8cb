//! The shim that Broadcom's lawful interception puts before packets.

use super::registry::Ports;
use super::{Buf, Ctx, Sink, Step, ether, link, put};
use crate::text::{Names, name_or};

const DIRECTIONS: Names = &[(1, "unused"), (2, "egress"), (3, "ingress")];
const PACKETS: Names = &[(4, "undecided"), (5, "IPv4"), (6, "IPv6"), (7, "ethernet")];
const SUBTYPES: Names = &[(1, "single VLAN tag"), (2, "double VLAN tag"), (3, "untagged")];

/// Prints the shim and the packet behind it.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Ports) -> Step {
    c.layer("bcm_li");
    if len < 4 {
        return Err(super::Stop::Invalid);
    }
    let shim = buf.be32_at(0)?;
    let direction = name_or(DIRECTIONS, shim >> 29, "unknown");
    let (packet, subtype) = (shim >> 25 & 15, shim >> 22 & 7);
    put!(c, if c.verbose() { "\n    " } else { "" }, "BCM-LI-SHIM: direction ", direction);
    put!(c, ", pkt-type ", name_or(PACKETS, packet, "unknown"));
    put!(c, ", pkt-subtype ", name_or(SUBTYPES, subtype, "unknown"));
    put!(c, ", li-id ", shim & 0x3f_ffff);
    if !c.verbose() {
        return Ok(());
    }
    c.put("\n    ");
    let (inner, left) = (buf.from(4), len - 4);
    // Undecided: the first nibble may still tell.
    let version = inner.u8_at(0).map_or(0, |first| first >> 4);
    match packet {
        4 if matches!(version, 4 | 6) => c.nested(|c| link::ip_of_any_version(c, inner, left)),
        5 | 6 => c.nested(|c| link::ip_of_any_version(c, inner, left)),
        7 => c.nested(|c| ether::print(c, inner, left).map(drop)),
        _ => {
            c.put("unknown payload");
            Ok(())
        }
    }
}
