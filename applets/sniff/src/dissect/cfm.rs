//! Connectivity fault management (IEEE 802.1ag).

use super::registry::OUI_NAMES;
use super::{Buf, Ctx, Sink, Step, lldp, put};
use crate::text::{Bits, HexN, Named, Names, name_or};

const OPERATIONS: Names = &[
    (1, "Continuity Check Message"),
    (2, "Loopback Reply"),
    (3, "Loopback Message"),
    (4, "Linktrace Reply"),
    (5, "Linktrace Message"),
];
const DOMAIN_FORMATS: Names = &[
    (0, "IEEE 802.1"),
    (1, "No MD Name present"),
    (2, "DNS string"),
    (3, "MAC + 16Bit Integer"),
    (4, "Character string"),
];
const ASSOCIATION_FORMATS: Names = &[
    (0, "IEEE 802.1"),
    (1, "Primary VID"),
    (2, "Character string"),
    (3, "16Bit Integer"),
    (4, "RFC2685 VPN-ID"),
];
const LTM_FLAGS: Names = &[(0x80, "Use Forwarding-DB only")];
const LTR_FLAGS: Names = &[(0x80, "UseFDB Only"), (0x40, "FwdYes"), (0x20, "Terminal MEP")];
const REPLAYS: Names = &[(1, "Exact Match"), (2, "Filtering DB"), (3, "MIP CCM DB")];
const TLVS: Names = &[
    (0, "End"),
    (1, "Sender ID"),
    (2, "Port status"),
    (3, "Interface status"),
    (4, "Data"),
    (5, "Reply Ingress"),
    (6, "Reply Egress"),
    (31, "Organization Specific"),
];
const PORT_STATUS: Names = &[(1, "Blocked"), (2, "Up")];
const INTERFACE_STATUS: Names = &[
    (1, "Up"),
    (2, "Down"),
    (3, "Testing"),
    (5, "Dormant"),
    (6, "not present"),
    (7, "lower Layer down"),
];
const CHASSIS: Names = &[
    (0, "Reserved"),
    (1, "Chassis component"),
    (2, "Interface alias"),
    (3, "Port component"),
    (4, "MAC address"),
    (5, "Network address"),
    (6, "Interface name"),
    (7, "Locally assigned"),
];
/// Interval, and the bounds of a lifetime of 3.25 and 3.5 of them, in text.
const INTERVALS: [(&str, &str, &str); 8] = [
    ("0.000", "0.000", "0.000"),
    ("0.003", "0.011", "0.012"),
    ("0.010", "0.032", "0.035"),
    ("0.100", "0.325", "0.350"),
    ("1.000", "3.250", "3.500"),
    ("10.000", "32.500", "35.000"),
    ("60.000", "195.000", "210.000"),
    ("600.000", "1950.000", "2100.000"),
];
/// Length of a continuity check message behind the common header.
const CCM_LEN: usize = 70;

fn too_short<S: Sink>(c: &mut Ctx<S>) -> Step {
    c.put("\n\t\t packet is too short");
    Ok(())
}

/// Prints a frame of `len` bytes on the wire.
pub fn print<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    c.layer("cfm");
    if len < 4 {
        return too_short(c);
    }
    buf.need(4)?;
    let head = buf.u8_at(0)?;
    if head & 31 != 0 {
        put!(c, "CFMv", head & 31, " not supported, length ", len);
        return Ok(());
    }
    let operation = buf.u8_at(1)?;
    put!(c, "CFMv0 ", Named(OPERATIONS, operation.into(), "unknown (", ")"));
    put!(c, ", MD Level ", head >> 5, ", length ", len);
    if !c.verbose() {
        return Ok(());
    }
    let offset = usize::from(buf.u8_at(3)?);
    put!(c, "\n\tFirst TLV offset ", offset);
    let (body, left) = (buf.from(4), len - 4);
    if offset > left {
        put!(c, " (too large, must be <= ", left, ")");
        return Ok(());
    }
    let flags = buf.u8_at(2)?;
    let (least, number) = match operation {
        1 => (CCM_LEN, 1),
        5 => (17, 4),
        4 => (6, 5),
        _ => (0, 0),
    };
    if offset < least {
        put!(c, " (too small ", number, ", must be >= ", least, ")");
        return Ok(());
    }
    body.need(least)?;
    let goes_on = match operation {
        1 => continuity(c, body, flags)?,
        5 => {
            put!(c, ", Flags [", Bits(LTM_FLAGS, flags.into(), ", ", "none"), "]");
            put!(c, "\n\t  Transaction-ID 0x", HexN(body.be32_at(0)?, 8), ", ttl ", body.u8_at(4)?);
            let (original, target) = (body.bytes_at(5, 6)?, body.bytes_at(11, 6)?);
            c.put("\n\t  Original-MAC ");
            c.mac(original);
            c.put(", Target-MAC ");
            c.mac(target);
            true
        }
        4 => {
            put!(c, ", Flags [", Bits(LTR_FLAGS, flags.into(), ", ", "none"), "]");
            put!(c, "\n\t  Transaction-ID 0x", HexN(body.be32_at(0)?, 8), ", ttl ", body.u8_at(4)?);
            let action = body.u8_at(5)?;
            put!(c, "\n\t  Replay-Action ", name_or(REPLAYS, action.into(), "Unknown"));
            put!(c, " (", action, ")");
            true
        }
        _ => {
            c.hex_print("\n\t  ", body, left - offset);
            true
        }
    };
    if goes_on { tlvs(c, body.from(offset), left - offset) } else { Ok(()) }
}

fn continuity<S: Sink>(c: &mut Ctx<S>, body: Buf<'_>, flags: u8) -> Step<bool> {
    let interval = flags & 7;
    let defect = if flags & 0x80 != 0 { ", RDI" } else { "" };
    put!(c, ", Flags [CCM Interval ", interval, defect, "]");
    if interval > 0 {
        let (base, least, most) = INTERVALS[usize::from(interval)];
        put!(c, "\n\t  CCM Interval ", base, "s, min CCM Lifetime ", least);
        put!(c, "s, max CCM Lifetime ", most, "s");
    }
    put!(c, "\n\t  Sequence Number 0x", HexN(body.be32_at(0)?, 8));
    put!(c, ", MA-End-Point-ID 0x", HexN(body.be16_at(4)?, 4));
    let mut names = Buf::new(body.bytes_at(6, 48)?);
    let format = names.u8()?;
    let format_name = name_or(DOMAIN_FORMATS, format.into(), "Unknown");
    put!(c, "\n\t  MD Name Format ", format_name, " (", format, ")");
    if format != 1 {
        let len = usize::from(names.u8()?);
        put!(c, ", MD Name length ", len);
        if len > names.len() - 3 {
            put!(c, " (too large, must be <= ", names.len() - 2, ")");
            return Ok(false);
        }
        let name = names.take(len)?;
        c.put("\n\t  MD Name: ");
        match format {
            2 | 4 => lldp::string(c, name),
            3 if len == 6 => {
                c.put("\n\t  MAC ");
                c.mac(name);
            }
            3 => c.put("\n\t  MAC (length invalid)"),
            _ => c.hex_print("\n\t    ", Buf::new(name), len),
        }
    }
    let format = names.u8()?;
    let len = usize::from(names.u8()?);
    let format_name = name_or(ASSOCIATION_FORMATS, format.into(), "Unknown");
    put!(c, "\n\t  MA Name-Format ", format_name, " (", format, "), MA name length ", len);
    if len > names.len() {
        put!(c, " (too large, must be <= ", names.len(), ")");
        return Ok(false);
    }
    let name = names.take(len)?;
    c.put("\n\t  MA Name: ");
    match format {
        2 => lldp::string(c, name),
        _ => c.hex_print("\n\t    ", Buf::new(name), len),
    }
    Ok(true)
}

fn tlvs<S: Sink>(c: &mut Ctx<S>, buf: Buf<'_>, len: usize) -> Step {
    let (mut buf, mut left) = (buf, len);
    while left > 0 {
        let kind = buf.u8_at(0)?;
        put!(c, "\n\t", name_or(TLVS, kind.into(), "Unknown"), " TLV (0x", HexN(kind, 2), ")");
        if kind == 0 {
            return Ok(());
        }
        if left < 3 {
            return too_short(c);
        }
        let tlv_len = usize::from(buf.be16_at(1)?);
        put!(c, ", length ", tlv_len);
        buf = buf.from(3);
        left -= 3;
        if left < tlv_len {
            return too_short(c);
        }
        let value = Buf::new(buf.bytes_at(0, tlv_len)?);
        let dump = match kind {
            2 | 3 | 31 if tlv_len < if kind == 31 { 4 } else { 1 } => {
                put!(c, " (too short, must be >= ", if kind == 31 { 4 } else { 1 }, ")");
                return Ok(());
            }
            2 | 3 => {
                let status = value.u8_at(0)?;
                let names = if kind == 2 { PORT_STATUS } else { INTERFACE_STATUS };
                put!(c, ", Status: ", name_or(names, status.into(), "Unknown"), " (", status, ")");
                false
            }
            31 => {
                let vendor = value.be24_at(0)?;
                put!(c, ", Vendor: ", name_or(OUI_NAMES, vendor, "Unknown"), " (", vendor);
                put!(c, "), Sub-Type ", value.u8_at(3)?);
                true
            }
            1 => sender(c, value)?,
            _ => true,
        };
        if dump || c.options.verbose > 1 {
            let shown = if kind == 1 { 0 } else { tlv_len };
            c.hex_print("\n\t  ", value, shown);
        }
        buf = buf.from(tlv_len);
        left -= tlv_len;
        c.check_text()?;
    }
    Ok(())
}

/// The identity of the sender (IEEE 802.1Q section 21.5.3); whether its bytes should follow.
fn sender<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step<bool> {
    let mut value = value;
    let Ok(chassis_len) = value.u8() else {
        c.put(" (too short, must be >= 1)");
        return Ok(false);
    };
    if chassis_len > 0 {
        let Ok(kind) = value.u8() else {
            c.put("\n\t  (TLV too short)");
            return Ok(false);
        };
        put!(c, "\n\t  Chassis-ID Type ", name_or(CHASSIS, kind.into(), "Unknown"), " (", kind);
        put!(c, "), Chassis-ID length ", chassis_len);
        let Ok(chassis) = value.take(chassis_len.into()) else {
            c.put("\n\t  (TLV too short)");
            return Ok(false);
        };
        match kind {
            4 if chassis.len() == 6 => {
                c.put("\n\t  MAC ");
                c.mac(chassis);
            }
            4 => c.put(" (invalid MAC address length)"),
            5 => network_address(c, Buf::new(chassis))?,
            1 | 2 | 3 | 6 | 7 => lldp::string(c, chassis),
            _ => {}
        }
    }
    for (length_name, name) in [
        ("\n\t  Management Address Domain Length ", "\n\t  Management Address Domain: "),
        ("\n\t  Management Address Length ", "\n\t  Management Address: "),
    ] {
        let Ok(len) = value.u8() else { return Ok(false) };
        put!(c, length_name, len);
        if len == 0 {
            return Ok(false);
        }
        let Ok(address) = value.take(len.into()) else {
            c.put("\n\t  (TLV too short)");
            return Ok(false);
        };
        c.hex_print(name, Buf::new(address), address.len());
    }
    Ok(false)
}

fn network_address<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let Ok(family) = value.u8_at(0) else {
        c.put("\n\t  Network Address Type (invalid, no data");
        return Ok(());
    };
    let name = name_or(lldp::FAMILIES, family.into(), "Unknown");
    put!(c, "\n\t  Network Address Type ", name, " (", family, ")");
    let len = value.len() - 1;
    match (family, len) {
        (1, 4) => {
            c.put(", ");
            c.host4(value, 1)?;
        }
        (2, 16) => {
            c.put(", ");
            c.host6(value, 1)?;
        }
        (1, _) => put!(c, "(invalid IPv4 address length ", len, ")"),
        (2, _) => put!(c, "(invalid IPv6 address length ", len, ")"),
        _ => {}
    }
    Ok(())
}
