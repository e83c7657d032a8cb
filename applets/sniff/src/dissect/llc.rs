//! Logical link control (IEEE 802.2) and SNAP behind it.

use super::ether::{self, Link};
use super::registry::{ETHERTYPE_NAMES, OUI_NAMES, Registry};
use super::{Buf, Ctx, Sink, Step, ip, ipx, put, stp};
use crate::text::{HexN, NamedHex, Names, name_or};

const SAP_NAMES: Names = &[
    (0x00, "Null"),
    (0xff, "Global"),
    (0x02, "802.1B I"),
    (0x03, "802.1B G"),
    (0x06, "IP"),
    (0x0e, "ProWay NM"),
    (0x42, "STP"),
    (0x4e, "RS511"),
    (0x7e, "ISO8208"),
    (0x8e, "ProWay"),
    (0xaa, "SNAP"),
    (0xe0, "IPX"),
    (0xf0, "NetBeui"),
    (0xfe, "OSI"),
];

const COMMANDS: Names = &[
    (0x03, "ui"),
    (0xe3, "test"),
    (0xaf, "xid"),
    (0x63, "ua"),
    (0x43, "disc"),
    (0x0f, "dm"),
    (0x6f, "sabme"),
    (0x87, "frmr"),
];

const SUPERVISORY: Names = &[(0, "Receiver Ready"), (1, "Receiver not Ready"), (2, "Reject")];

const FLAGS: Names = &[
    (0, "Command"),
    (1, "Response"),
    (0x10, "Poll"),
    (0x11, "Final"),
    (0x100, "Poll"),
    (0x101, "Final"),
];

const CISCO_PIDS: Names = &[
    (0x0102, "DRiP"),
    (0x0104, "PAgP"),
    (0x0105, "VLAN bridge"),
    (0x0111, "UDLD"),
    (0x010b, "PVST"),
    (0x2000, "CDP"),
    (0x2001, "CGMP"),
    (0x2003, "VTP"),
    (0x2004, "DTP"),
    (0x200a, "STP Uplink Fast"),
];

const BRIDGED_PIDS: Names = &[
    (1, "Ethernet + FCS"),
    (7, "Ethernet w/o FCS"),
    (2, "802.4 + FCS"),
    (8, "802.4 w/o FCS"),
    (3, "Token Ring + FCS"),
    (9, "Token Ring w/o FCS"),
    (4, "FDDI + FCS"),
    (10, "FDDI w/o FCS"),
    (14, "BPDU"),
];

const UI: u16 = 3;
const XID: u16 = 0xaf;

/// Prints LLC and what it carries, and returns the length of the headers.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, link: Link<'_>) -> Step<usize> {
    c.layer("llc");
    if len < 3 || !buf.has(3) {
        c.truncated();
        c.default_print(buf);
        return Ok(len.min(buf.len()));
    }
    let (dsap_field, ssap_field) = (buf.u8_at(0)?, buf.u8_at(1)?);
    let mut control = u16::from(buf.u8_at(2)?);
    let unnumbered = control & 3 == 3;
    let header_len = if unnumbered { 3 } else { 4 };
    if !unnumbered {
        if len < 4 || !buf.has(4) {
            c.truncated();
            c.default_print(buf);
            return Ok(len.min(buf.len()));
        }
        control = buf.le16_at(2)?;
    }
    let (dsap, ssap) = (u32::from(dsap_field & !1), u32::from(ssap_field & !1));
    if c.options.link_header {
        let group = if dsap_field & 1 == 0 { "Individual" } else { "Group" };
        let response = if ssap_field & 1 == 0 { "Command" } else { "Response" };
        put!(
            c,
            "LLC, dsap ",
            name_or(SAP_NAMES, dsap, "Unknown"),
            " (0x",
            HexN(dsap, 2),
            ") ",
            group
        );
        put!(
            c,
            ", ssap ",
            name_or(SAP_NAMES, ssap, "Unknown"),
            " (0x",
            HexN(ssap, 2),
            ") ",
            response
        );
        put!(c, ", ctrl 0x", HexN(control, if unnumbered { 2 } else { 4 }), ": ");
    }
    let payload = buf.from(header_len);
    let left = len - header_len;
    if ssap == dsap && control == UI && known(c, ssap, payload, left, link)? {
        return Ok(header_len + if ssap == 0xaa { 5 } else { 0 });
    }
    if ssap == 0xaa && dsap == 0xaa && control == UI {
        c.default_print(buf);
        return Ok(header_len + 5);
    }
    if !c.options.link_header {
        saps(c, dsap, ssap, link);
    }
    let response = u32::from(ssap_field & 1);
    if unnumbered {
        let command = control & 0xef;
        put!(c, "Unnumbered, ", NamedHex(COMMANDS, command.into(), "", 2, ""));
        let flags = name_or(FLAGS, response | u32::from(control & 0x10), "?");
        put!(c, ", Flags [", flags, "], length ", len);
        if command == XID {
            if left == 0 {
                return Ok(header_len);
            }
            if payload.u8_at(0)? == 0x81 {
                put!(c, ": ", HexN(payload.u8_at(1)?, 2), " ", HexN(payload.u8_at(2)?, 2));
                return Ok(header_len);
            }
        }
    } else {
        let flags = name_or(FLAGS, response | u32::from(control & 0x100), "?");
        if control & 3 == 1 {
            let kind = name_or(SUPERVISORY, u32::from(control >> 2 & 3), "?");
            put!(c, "Supervisory, ", kind, ", rcv seq ", control >> 9, ", Flags [", flags);
            put!(c, "], length ", len);
            return Ok(header_len);
        }
        put!(c, "Information, send seq ", control >> 1 & 0x7f, ", rcv seq ", control >> 9);
        put!(c, ", Flags [", flags, "], length ", len);
    }
    c.default_print(buf);
    Ok(header_len)
}

/// Prints the payload of a service that has a dissector.
fn known<S: Sink>(
    c: &mut Ctx<S>,
    sap: u32,
    payload: Buf<'_>,
    len: usize,
    link: Link<'_>,
) -> Step<bool> {
    match sap {
        0xaa => snap(c, payload, len, link),
        0x42 => stp::print(c, payload, len).map(|()| true),
        0x06 => ip::print(c, payload, len).map(|()| true),
        0xe0 => ipx::print(c, payload, len).map(|()| true),
        0xfe => match Registry::<S>::osi() {
            Some(dissector) => dissector(c, payload, len, &link).map(|()| true),
            None => Ok(false),
        },
        _ => Ok(false),
    }
}

fn saps<S: Sink>(c: &mut Ctx<S>, dsap: u32, ssap: u32, link: Link<'_>) {
    let source = NamedHex(SAP_NAMES, ssap, "Unknown SSAP 0x", 2, "");
    let destination = NamedHex(SAP_NAMES, dsap, "Unknown DSAP 0x", 2, "");
    let Some((from, to)) = link.addresses else {
        if ssap != dsap {
            put!(c, source, " > ");
        }
        put!(c, destination, " ");
        return;
    };
    c.mac(from);
    if ssap != dsap {
        put!(c, " ", source);
    }
    c.put(" > ");
    c.mac(to);
    put!(c, " ", destination, " ");
}

/// The sub-network access protocol: an organisation and its protocol number.
pub fn snap<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize, link: Link<'_>) -> Step<bool> {
    buf.need(5)?;
    if len < 5 {
        c.truncated();
        return Ok(true);
    }
    let organisation = buf.be24_at(0)?;
    let kind = buf.be16_at(3)?;
    let left = len - 5;
    let payload = buf.from(5);
    let (word, names) = match organisation {
        0 => ("ethertype", ETHERTYPE_NAMES),
        0x00_000c => ("pid", CISCO_PIDS),
        0x00_80c2 => ("pid", BRIDGED_PIDS),
        _ => ("pid", &[] as Names),
    };
    let oui = name_or(OUI_NAMES, organisation, "Unknown");
    let kind_name = name_or(names, kind.into(), "Unknown");
    if c.options.link_header {
        put!(c, "oui ", oui, " (0x", HexN(organisation, 6), "), ", word, " ", kind_name);
        put!(c, " (0x", HexN(kind, 4), "), length ", left, ": ");
    }
    let done = match organisation {
        0 | 0x00_00f8 => ether::by_ethertype(c, kind, payload, left, link)?,
        0x00_000c if matches!(kind, 0x0105 | 0x010b) => {
            stp::print(c, payload, left)?;
            true
        }
        0x00_000c => match Registry::<S>::cisco(kind) {
            Some(dissector) => dissector(c, payload, left, &link).map(|()| true)?,
            None => false,
        },
        0x00_80c2 if matches!(kind, 1 | 7) => {
            let (inner, left) = (payload.from(2), left.saturating_sub(2));
            c.nested(|c| ether::print(c, inner, left).map(drop))?;
            true
        }
        0x00_80c2 if kind == 14 => {
            stp::print(c, payload.from(4), left.saturating_sub(4))?;
            true
        }
        _ => false,
    };
    if !done && !c.options.link_header {
        if let Some((from, to)) = link.addresses {
            c.mac(from);
            c.put(" > ");
            c.mac(to);
            c.put(" ");
        }
        c.put("SNAP, ");
        if organisation != 0 {
            put!(c, "oui ", oui, " (0x", HexN(organisation, 6), "), ");
        }
        put!(c, word, " ", kind_name, " (0x", HexN(kind, 4), "), length ", left, ": ");
    }
    Ok(done)
}
