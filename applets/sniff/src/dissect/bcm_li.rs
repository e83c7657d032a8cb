//! The shim that Broadcom's lawful interception puts before packets.

use super::registry::Ports;
use super::{Buf, Ctx, Sink, Step, ether, link, put};
use crate::text::{Names, name_or};

const DIRECTIONS: [&str; 3] = ["unused", "egress", "ingress"];
const PACKETS: Names = &[(0, "IPv4"), (1, "IPv6"), (2, "ethernet"), (3, "undecided")];
const SUBTYPES: Names = &[(0, "double VLAN tag"), (1, "single VLAN tag"), (2, "untagged")];

/// Prints the shim and the packet behind it.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Ports) -> Step {
    c.protocol = "bcm_li";
    if len < 4 {
        return Err(super::Stop::Invalid);
    }
    let shim = buf.be32_at(0)?;
    let direction = DIRECTIONS.get((shim >> 29 & 7) as usize).copied().unwrap_or("unknown");
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
    match packet {
        0 | 1 => c.nested(|c| link::ip_of_any_version(c, inner, left)),
        2 => c.nested(|c| ether::print(c, inner, left).map(drop)),
        _ => {
            c.put("unknown payload");
            Ok(())
        }
    }
}
