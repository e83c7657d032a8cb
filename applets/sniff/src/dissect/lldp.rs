//! LLDP (IEEE 802.1AB): TLVs of 7 bits of type and 9 of length.

use super::{Buf, Ctx, Sink, Step, Stop, lldp_organization, put};
use crate::text::{Bits, HexN, Names, Visible, name_or};

const TLVS: Names = &[
    (0, "End"),
    (1, "Chassis ID"),
    (2, "Port ID"),
    (3, "Time to Live"),
    (4, "Port Description"),
    (5, "System Name"),
    (6, "System Description"),
    (7, "System Capabilities"),
    (8, "Management Address"),
    (127, "Organization specific"),
];

const CHASSIS: Names = &[
    (1, "Chassis component"),
    (2, "Interface alias"),
    (3, "Port component"),
    (4, "MAC address"),
    (5, "Network address"),
    (6, "Interface name"),
    (7, "Local"),
];

const PORT: Names = &[
    (1, "Interface alias"),
    (2, "Port component"),
    (3, "MAC address"),
    (4, "Network Address"),
    (5, "Interface Name"),
    (6, "Agent circuit ID"),
    (7, "Local"),
];

const CAPABILITIES: Names = &[
    (0x01, "Other"),
    (0x02, "Repeater"),
    (0x04, "Bridge"),
    (0x08, "WLAN AP"),
    (0x10, "Router"),
    (0x20, "Telephone"),
    (0x40, "Docsis"),
    (0x80, "Station Only"),
];

const NUMBERINGS: Names = &[(2, "Interface Index"), (3, "System Port Number")];

/// Names of address families (IANA).
pub const FAMILIES: Names = &[
    (0, "Reserved"),
    (1, "IPv4"),
    (2, "IPv6"),
    (3, "NSAP"),
    (4, "HDLC"),
    (5, "BBN 1822"),
    (6, "802"),
    (7, "E.163"),
    (8, "E.164"),
    (9, "F.69"),
    (10, "X.121"),
    (11, "Novell IPX"),
    (12, "Appletalk"),
    (13, "Decnet IV"),
    (14, "Banyan Vines"),
    (15, "E.164 with NSAP subaddress"),
    (16, "DNS"),
    (17, "Distinguished name"),
    (18, "AS Number"),
    (19, "XTP over IP4"),
    (20, "XTP over IP6"),
    (21, "XTP"),
    (22, "Fibre Channel World-Wide Port Name"),
    (23, "Fibre Channel World-Wide Node Name"),
    (24, "IP gateway"),
    (25, "L2VPN"),
];

/// Prints a frame of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("lldp");
    put!(c, "LLDP, length ", len);
    let (mut buf, mut left) = (buf, len);
    while left >= 2 {
        let head = buf.be16()?;
        left -= 2;
        let (kind, tlv_len) = (u32::from(head >> 9), usize::from(head & 0x1ff));
        if c.verbose() {
            put!(c, "\n\t", name_or(TLVS, kind, "Unknown"), " TLV (", kind, "), length ", tlv_len);
        }
        if kind == 0 || tlv_len == 0 {
            break;
        }
        buf.need(tlv_len)?;
        if left < tlv_len {
            return Err(Stop::Truncated);
        }
        let value = buf.limit(tlv_len);
        let dump = tlv(c, kind, value)?;
        if c.options.verbose > 1 || c.verbose() && dump {
            c.hex_print("\n\t  ", value, tlv_len);
        }
        buf = buf.from(tlv_len);
        left -= tlv_len;
        c.check_text()?;
    }
    Ok(())
}

/// The value up to its first zero.
pub(super) fn string<S: Sink>(c: &mut Ctx<S>, bytes: &[u8]) {
    c.put(Visible(bytes.split(|byte| *byte == 0).next().unwrap_or_default()));
}

/// Prints the value of a TLV; whether its bytes should follow.
fn tlv<S: Sink>(c: &mut Ctx<S>, kind: u32, value: Buf<'_>) -> Step<bool> {
    if kind == 5 {
        // The system's name is shown without -v too.
        c.put(": ");
        string(c, value.bytes());
        return Ok(false);
    }
    if !c.verbose() {
        return Ok(false);
    }
    match kind {
        1 => return identifier(c, value, CHASSIS, 4, 5),
        2 => return identifier(c, value, PORT, 3, 4),
        3 => put!(c, ": TTL ", value.be16_at(0)?, "s"),
        4 => {
            c.put(": ");
            string(c, value.bytes());
        }
        6 => {
            c.put("\n\t  ");
            string(c, value.bytes());
        }
        7 => {
            let (system, enabled) = (value.be16_at(0)?, value.be16_at(2)?);
            for (word, bits) in [("\n\t  System  ", system), ("\n\t  Enabled ", enabled)] {
                let names = Bits(CAPABILITIES, bits.into(), ", ", "none");
                put!(c, word, "Capabilities [", names, "] (0x", HexN(bits, 4), ")");
            }
        }
        8 => management_address(c, value)?,
        127 => return lldp_organization::print(c, value),
        _ => return Ok(true),
    }
    Ok(false)
}

fn identifier<S: Sink>(
    c: &mut Ctx<S>,
    value: Buf<'_>,
    names: Names,
    mac: u8,
    network: u8,
) -> Step<bool> {
    if value.len() < 2 {
        return Err(Stop::Truncated);
    }
    let kind = value.u8_at(0)?;
    let name = name_or(names, kind.into(), "Unknown");
    put!(c, "\n\t  Subtype ", name, " (", kind, "): ");
    match kind {
        _ if kind == mac => {
            let address = value.bytes_at(1, 6)?;
            c.mac(address);
        }
        _ if kind == network => network_address(c, value.from(1))?,
        1..=7 => string(c, value.from(1).bytes()),
        _ => return Ok(true),
    }
    Ok(false)
}

/// Family in one byte, and an address.
fn network_address<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let family = value.u8_at(0)?;
    let needed = match family {
        1 => 4,
        2 => 16,
        6 => 6,
        _ => 0,
    };
    value.bytes_at(1, needed)?;
    put!(c, "AFI ", name_or(FAMILIES, family.into(), "Unknown"), " (", family, ")");
    match family {
        1 => {
            c.put(": ");
            c.host4(value, 1)
        }
        2 => {
            c.put(": ");
            c.host6(value, 1)
        }
        6 => {
            c.put(": ");
            c.mac(value.bytes_at(1, 6)?);
            Ok(())
        }
        _ => {
            c.put(", no AF printer !");
            Ok(())
        }
    }
}

fn management_address<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let len = usize::from(value.u8_at(0)?);
    let address = Buf::new(value.bytes_at(1, len)?);
    address.need(1)?;
    put!(c, "\n\t  Management Address length ", len, ", ");
    network_address(c, address)?;
    let rest = value.from(1 + len);
    rest.need(5)?;
    let numbering = rest.u8_at(0)?;
    put!(c, "\n\t  ", name_or(NUMBERINGS, numbering.into(), "Unknown"));
    put!(c, " Interface Numbering (", numbering, "): ", rest.be32_at(1)?);
    let rest = rest.from(5);
    if rest.is_empty() {
        return Ok(());
    }
    let oid_len = usize::from(rest.u8_at(0)?);
    let oid = rest.bytes_at(1, oid_len)?;
    if oid_len > 0 {
        put!(c, "\n\t  OID length ", oid_len, ": ", crate::text::HexBytes(oid));
    }
    Ok(())
}
