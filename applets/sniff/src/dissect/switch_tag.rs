//! Tags that a switch puts between the addresses and the type of a frame, for its management port:
//! Broadcom, Marvell DSA and EDSA.

use super::ether::{self, Link};
use super::registry::ETHERTYPE_NAMES;
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{HexN, Names, name_or};

const EGRESS_REASONS: Names = &[
    (1, "mirror"),
    (2, "MAC learning"),
    (4, "switching"),
    (8, "prot term"),
    (16, "prot snoop"),
    (32, "exception"),
];
const TAG_ENFORCEMENT: [&str; 4] = ["None", "Untag", "Header", "Reserved"];
const MODES: [&str; 4] = ["To CPU", "From CPU", "To Sniffer", "Forward"];
const CODES: Names = &[
    (0, "BPDU (MGMT) Trap"),
    (1, "Frame2Reg"),
    (2, "IGMP/MLD Trap"),
    (3, "Policy Trap"),
    (4, "ARP Mirror"),
    (5, "Policy Mirror"),
];

/// Prints a frame with a Broadcom tag.
pub fn broadcom<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("brcm-tag");
    c.link_header_len = ether::tagged(c, buf, len, 4, broadcom_tag)?;
    Ok(())
}

/// Prints a frame with a Broadcom tag in front.
pub fn broadcom_prepended<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("brcm-tag-prepend");
    if !buf.has(4) {
        c.truncated();
        return Ok(());
    }
    if c.options.link_header {
        broadcom_tag(c, buf)?;
    }
    c.link_header_len = 4;
    c.link_header_len += ether::print(c, buf.from(4), len.saturating_sub(4))?;
    Ok(())
}

/// Prints a frame with a Marvell tag.
pub fn dsa<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("dsa");
    c.link_header_len = ether::tagged(c, buf, len, 4, |c, tag| {
        c.put(if c.options.link_header { "Marvell DSA " } else { "DSA " });
        marvell_tag(c, tag)
    })?;
    Ok(())
}

/// Prints a frame with a Marvell tag behind a type of its own.
pub fn edsa<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, _: &Link<'_>) -> Step {
    c.layer("edsa");
    c.link_header_len = ether::tagged(c, buf, len, 8, |c, tag| {
        let kind = u32::from(tag.be16_at(0)?);
        if c.options.link_header {
            put!(c, "Marvell EDSA ethertype 0x", HexN(kind, 4));
            put!(c, " (", name_or(ETHERTYPE_NAMES, kind, "Unknown"), "), ");
            put!(c, "rsvd ", tag.u8_at(2)?, " ", tag.u8_at(3)?, ", ");
        } else {
            put!(c, "EDSA 0x", HexN(kind, 4), ", ");
        }
        marvell_tag(c, tag.from(4))
    })?;
    Ok(())
}

fn broadcom_tag<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    let tag: [u8; 4] = buf.array_at(0)?;
    put!(c, "BRCM tag OP: ", if tag[0] != 0 { "IG" } else { "EG" });
    if tag[0] & 0x20 != 0 {
        let enforcement = TAG_ENFORCEMENT.get(usize::from(tag[1] & 3)).copied();
        put!(c, ", TC: ", tag[1] >> 2 & 7, ", TE: ", enforcement, ", TS: ", tag[1] >> 7);
        let map = u16::from_be_bytes([tag[2], tag[3]]) & 0x1ff;
        put!(c, ", DST map: 0x", HexN(map, 4), ", ");
    } else {
        put!(c, ", CID: ", tag[1], ", RC: ", name_or(EGRESS_REASONS, tag[2].into(), "reserved"));
        put!(c, ", TC: ", tag[3] >> 5, ", port: ", tag[3] & 0x1f, ", ");
    }
    Ok(())
}

/// Mode, device, port or trunk, VLAN; the meaning of the second byte hangs on the mode.
fn marvell_tag<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>) -> Step {
    let tag: [u8; 4] = buf.array_at(0)?;
    let mode = usize::from(tag[0] >> 6);
    let tagged = tag[0] & 0x20 != 0;
    let (device, port) = (tag[0] & 0x1f, tag[1] >> 3);
    let link = if tag[1] & 4 != 0 { "trunk" } else { "port" };
    let code = tag[1] & 6 | tag[2] >> 4 & 1;
    let vlan = u16::from_be_bytes([tag[2], tag[3]]) & 0xfff;
    if !c.options.link_header {
        match mode {
            3 => put!(c, "Forward ", link, " ", device, ".", port, ", "),
            1 => put!(c, "CPU > port ", device, ".", port, ", "),
            0 => put!(c, "port ", device, ".", port, " > CPU, "),
            _ => {
                let side = if tag[1] & 4 != 0 { "Rx" } else { "Tx" };
                put!(c, "port ", device, ".", port, " > ", side, " Sniffer, ");
            }
        }
        put!(c, "VLAN ", vlan, if tagged { "t, " } else { "u, " });
        return Ok(());
    }
    put!(c, "mode ", MODES.get(mode).copied(), ", ");
    match mode {
        3 => put!(c, "dev ", device, ", ", link, " ", port, ", "),
        1 => put!(c, "target dev ", device, ", port ", port, ", "),
        0 => {
            put!(c, "source dev ", device, ", port ", port, ", ");
            put!(c, "code ", name_or(CODES, code.into(), "reserved"), ", ");
        }
        _ => {
            put!(c, "source dev ", device, ", port ", port, ", ");
            c.put(if tag[1] & 4 != 0 { "ingress sniff, " } else { "egress sniff, " });
        }
    }
    c.put(if tagged { "tagged, " } else { "untagged, " });
    if tag[1] & 1 != 0 {
        c.put("CFI, ");
    }
    put!(c, "VID ", vlan, ", FPri ", tag[2] >> 5, ", ");
    Ok(())
}
