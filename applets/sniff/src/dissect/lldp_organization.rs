//! The TLVs of LLDP that organisations define: IEEE 802.1 and 802.3, TIA, DCBX, IANA.

use super::lldp::string;
use super::registry::OUI_NAMES;
use super::{Buf, Ctx, Sink, Step, put};
use crate::text::{Bits, Hex, HexN, Names, Put, Visible, name_or};

const IEEE_8021: Names = &[
    (1, "Port VLAN Id"),
    (2, "Port and Protocol VLAN ID"),
    (3, "VLAN name"),
    (4, "Protocol Identity"),
    (8, "Congestion Notification"),
    (9, "ETS Configuration"),
    (10, "ETS Recommendation"),
    (11, "Priority Flow Control Configuration"),
    (12, "Application Priority"),
    (13, "EVB"),
    (14, "CDCP"),
];
const VLAN_FLAGS: Names = &[(2, "supported"), (4, "enabled")];
const EVB_MODES: [&str; 4] =
    ["Not Supported", "EVB Bridge", "EVB Staion", "Reserved for future Standardization"];

const IEEE_8023: Names = &[
    (1, "MAC/PHY configuration/status"),
    (2, "Power via MDI"),
    (3, "Link aggregation"),
    (4, "Max frame size"),
];
const SUPPORT: Names = &[(1, "supported"), (2, "enabled")];
const PMD: Names = &[
    (0x4000, "10BASE-T hdx"),
    (0x2000, "10BASE-T fdx"),
    (0x1000, "100BASE-T4"),
    (0x0800, "100BASE-TX hdx"),
    (0x0400, "100BASE-TX fdx"),
    (0x0200, "100BASE-T2 hdx"),
    (0x0100, "100BASE-T2 fdx"),
    (0x0080, "Pause for fdx links"),
    (0x0040, "Asym PAUSE for fdx"),
    (0x0020, "Sym PAUSE for fdx"),
    (0x0010, "Asym and Sym PAUSE for fdx"),
    (0x0008, "1000BASE-{X LX SX CX} hdx"),
    (0x0004, "1000BASE-{X LX SX CX} fdx"),
    (0x0002, "1000BASE-T hdx"),
    (0x0001, "1000BASE-T fdx"),
];
#[rustfmt::skip]
const MAU: Names = &[
    (0, "Unknown"), (1, "AUI"), (2, "10BASE_5"), (3, "FOIRL"), (4, "10BASE2"),
    (5, "10BASET duplex mode unknown"), (6, "10BASEFP"), (7, "10BASEFB"),
    (8, "10BASEFL duplex mode unknown"), (9, "10BROAD36"), (10, "10BASET hdx"),
    (11, "10BASET fdx"), (12, "10BASEFL hdx"), (13, "10BASEFL fdx"), (14, "100BASET4"),
    (15, "100BASETX hdx"), (16, "100BASETX fdx"), (17, "100BASEFX hdx"), (18, "100BASEFX fdx"),
    (19, "100BASET2 hdx"), (20, "100BASET2 fdx"), (21, "1000BASEX hdx"), (22, "1000BASEX fdx"),
    (23, "1000BASELX hdx"), (24, "1000BASELX fdx"), (25, "1000BASESX hdx"),
    (26, "1000BASESX fdx"), (27, "1000BASECX hdx"), (28, "1000BASECX fdx"),
    (29, "1000BASET hdx"), (30, "1000BASET fdx"), (31, "10GBASEX"), (32, "10GBASELX4"),
    (33, "10GBASER"), (34, "10GBASEER"), (35, "10GBASELR"), (36, "10GBASESR"), (37, "10GBASEW"),
    (38, "10GBASEEW"), (39, "10GBASELW"), (40, "10GBASESW"),
];
const MDI: Names = &[(1, "PSE"), (2, "supported"), (4, "enabled"), (8, "can be controlled")];
const POWER_PAIRS: Names = &[(1, "signal"), (2, "spare")];
const POWER_CLASSES: Names =
    &[(1, "class0"), (2, "class1"), (3, "class2"), (4, "class3"), (5, "class4")];

const TIA: Names = &[
    (1, "LLDP-MED Capabilities"),
    (2, "Network policy"),
    (3, "Location identification"),
    (4, "Extended power-via-MDI"),
    (5, "Inventory - hardware revision"),
    (6, "Inventory - firmware revision"),
    (7, "Inventory - software revision"),
    (8, "Inventory - serial number"),
    (9, "Inventory - manufacturer name"),
    (10, "Inventory - model name"),
    (11, "Inventory - asset ID"),
];
const INVENTORY: Names = &[
    (5, "Hardware revision"),
    (6, "Firmware revision"),
    (7, "Software revision"),
    (8, "Serial number"),
    (9, "Manufacturer name"),
    (10, "Model name"),
    (11, "Asset ID"),
];
const MEDIA: Names = &[
    (1, "LLDP-MED capabilities"),
    (2, "network policy"),
    (4, "location identification"),
    (8, "extended power via MDI-PSE"),
    (16, "extended power via MDI-PD"),
    (32, "Inventory"),
];
const DEVICES: Names = &[
    (1, "endpoint class 1"),
    (2, "endpoint class 2"),
    (3, "endpoint class 3"),
    (4, "network connectivity"),
];
const APPLICATIONS: Names = &[
    (1, "voice"),
    (2, "voice signaling"),
    (3, "guest voice"),
    (4, "guest voice signaling"),
    (5, "softphone voice"),
    (6, "video conferencing"),
    (7, "streaming video"),
    (8, "video signaling"),
];
const POLICY_FLAGS: Names = &[(0x80, "Unknown"), (0x40, "Tagged"), (0x20, "reserved")];
const LOCATIONS: Names = &[(1, "coordinate-based LCI"), (2, "civic address LCI"), (3, "ECS ELIN")];
const ALTITUDES: Names = &[(1, "meters"), (2, "floors")];
const DATUMS: Names = &[
    (1, "World Geodesic System 1984"),
    (2, "North American Datum 1983 (NAVD88)"),
    (3, "North American Datum 1983 (MLLW)"),
];
const WHERE: Names = &[
    (0, "location of DHCP server"),
    (1, "location of the network element believed to be closest to the client"),
    (2, "location of the client"),
];
const CIVIC: Names = &[
    (1, "national subdivisions (state,canton,region,province,prefecture)"),
    (2, "county, parish, gun, district"),
    (3, "city, township, shi"),
    (4, "city division, borough, city district, ward chou"),
    (5, "neighborhood, block"),
    (6, "street"),
];
const SOURCES: Names = &[
    (1, "PSE - primary power source"),
    (2, "local - backup power source"),
    (3, "PSE+local - reserved"),
];
const PRIORITIES: Names = &[(1, "critical"), (2, "high"), (3, "low")];
const DCBX: Names = &[
    (1, "DCB Capability Exchange Protocol Rev 1"),
    (2, "DCB Capability Exchange Protocol Rev 1.01"),
];

/// Prints the TLV; whether its bytes should follow.
pub fn print<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step<bool> {
    let organization = value.be24_at(0)?;
    let name = name_or(OUI_NAMES, organization, "Unknown");
    put!(c, ": OUI ", name, " (0x", HexN(organization, 6), ")");
    let (names, dissector): (Names, fn(&mut Ctx<S>, u8, Buf<'_>) -> Step<bool>) = match organization
    {
        0x00_80c2 => (IEEE_8021, ieee_8021),
        0x00_120f => (IEEE_8023, ieee_8023),
        0x00_005e => (&[(1, "MUD-URL")], iana),
        0x00_12bb => (TIA, tia),
        0x00_1b21 => (DCBX, dcbx),
        _ => return Ok(true),
    };
    let kind = value.u8_at(3)?;
    put!(c, "\n\t  ", name_or(names, kind.into(), "unknown"), " Subtype (", kind, ")");
    dissector(c, kind, value)
}

/// A number in a column of this width, to the left.
struct Left(u8, usize);

impl Put for Left {
    fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.0.put(out);
        while out.len() < start + self.1 {
            out.push(b' ');
        }
    }
}

fn bit_row<S: Sink>(c: &mut Ctx<S>, bits: u8) {
    c.put("\n\t     Priority : 0  1  2  3  4  5  6  7\n\t     Value    : ");
    for index in 0..8 {
        put!(c, Left(bits >> index & 1, 2), " ");
    }
}

fn byte_row<S: Sink>(c: &mut Ctx<S>, values: impl Iterator<Item = u8>) {
    for (index, value) in values.enumerate() {
        put!(c, if index > 0 { " " } else { "" }, Left(value, 3));
    }
}

fn ets_tables<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    c.put("\n\t    Priority Assignment Table");
    c.put("\n\t     Priority : 0   1   2   3   4   5   6   7\n\t     Value    : ");
    byte_row(c, value.bytes_at(5, 4)?.iter().flat_map(|byte| [byte >> 4, byte & 15]));
    c.put("\n\t    TC Bandwidth Table");
    c.put("\n\t     TC%   : 0   1   2   3   4   5   6   7\n\t     Value : ");
    byte_row(c, value.bytes_at(9, 8)?.iter().copied());
    c.put("\n\t    TSA Assignment Table");
    c.put("\n\t     Traffic Class: 0   1   2   3   4   5   6   7\n\t     Value        : ");
    byte_row(c, value.bytes_at(17, 8)?.iter().copied());
    Ok(())
}

fn ieee_8021<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step<bool> {
    match kind {
        1 => put!(c, "\n\t    port vlan id (PVID): ", value.be16_at(4)?),
        2 => {
            let flags = value.u8_at(4)?;
            put!(c, "\n\t    port and protocol vlan id (PPVID): ", value.be16_at(5)?);
            let names = Bits(VLAN_FLAGS, flags.into(), ", ", "none");
            put!(c, ", flags [", names, "] (0x", HexN(flags, 2), ")");
        }
        3 => {
            put!(c, "\n\t    vlan id (VID): ", value.be16_at(4)?);
            let name = value.bytes_at(7, value.u8_at(6)?.into())?;
            c.put("\n\t    vlan name: ");
            string(c, name);
        }
        4 => {
            let identity = value.bytes_at(5, value.u8_at(4)?.into())?;
            c.put("\n\t    protocol identity: ");
            string(c, identity);
        }
        8 => {
            let (indicator, ready) = (value.u8_at(4)?, value.u8_at(5)?);
            c.put("\n\t    Pre-Priority CNPV Indicator");
            bit_row(c, indicator);
            c.put("\n\t    Pre-Priority Ready Indicator");
            bit_row(c, ready);
        }
        9 => {
            value.need(25)?;
            let bits = value.u8_at(4)?;
            put!(c, "\n\t    Willing:", bits >> 7, ", CBS:", bits >> 6 & 1);
            put!(c, ", RES:", bits >> 3 & 7, ", Max TCs:", bits & 7);
            ets_tables(c, value)?;
        }
        10 => {
            value.need(25)?;
            put!(c, "\n\t    RES: ", value.u8_at(4)?);
            ets_tables(c, value)?;
        }
        11 => {
            value.need(6)?;
            let bits = value.u8_at(4)?;
            put!(c, "\n\t    Willing: ", bits >> 7, ", MBC: ", bits >> 6 & 1);
            put!(c, ", RES: ", bits >> 4 & 3, ", PFC cap:", bits & 15, " \n\t    PFC Enable");
            bit_row(c, value.u8_at(5)?);
        }
        12 => application_priority(c, value)?,
        13 => edge_bridging(c, value)?,
        14 => {
            value.need(8)?;
            let bits = value.u8_at(4)?;
            put!(c, "\n\t    Role: ", bits >> 7, ", RES: ", bits >> 4 & 7);
            put!(c, ", Scomp: ", bits >> 3 & 1, " ChnCap: ", value.be16_at(6)? & 0xfff);
            let list = value.from(8);
            if list.len() % 3 == 0 {
                for at in (0..list.len()).step_by(3) {
                    let pair = list.be24_at(at)?;
                    put!(c, "\n\t    SCID: ", pair >> 12, ", SVID: ", pair & 0xfff);
                }
            }
        }
        _ => return Ok(true),
    }
    Ok(false)
}

fn application_priority<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    put!(c, "\n\t    RES: ", value.u8_at(4)?);
    let list = value.from(5);
    if list.is_empty() || list.len() % 3 != 0 {
        return Ok(());
    }
    c.put("\n\t    Application Priority Table");
    for at in (0..list.len()).step_by(3) {
        let bits = list.u8_at(at)?;
        put!(c, "\n\t      Priority: ", bits >> 5, ", RES: ", bits >> 3 & 3, ", Sel: ", bits & 7);
        put!(c, ", Protocol ID: ", list.be16_at(at + 1)?);
    }
    Ok(())
}

fn edge_bridging<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    value.need(9)?;
    let (bridge, station) = (value.u8_at(4)?, value.u8_at(5)?);
    let (retries, mode, keep) = (value.u8_at(6)?, value.u8_at(7)?, value.u8_at(8)?);
    put!(c, "\n\t    EVB Bridge Status\n\t      RES: ", bridge >> 3, ", BGID: ", bridge >> 2 & 1);
    put!(c, ", RRCAP: ", bridge >> 1 & 1, ", RRCTR: ", bridge & 1);
    put!(
        c,
        "\n\t    EVB Station Status\n\t      RES: ",
        station >> 4,
        ", SGID: ",
        station >> 3 & 1
    );
    put!(c, ", RRREQ: ", station >> 2 & 1, ",RRSTAT: ", station & 3);
    put!(c, "\n\t    R: ", retries >> 5, ", RTE: ", retries & 31);
    put!(c, ", EVB Mode: ", EVB_MODES[usize::from(mode >> 6)], " [", mode >> 6, "]");
    put!(c, "\n\t    ROL: ", mode >> 5 & 1, ", RWD: ", mode & 31, ", RES: ", keep >> 6);
    put!(c, ", ROL: ", keep >> 5 & 1, ", RKA: ", keep & 31);
    Ok(())
}

fn ieee_8023<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step<bool> {
    match kind {
        1 => {
            value.need(9)?;
            let flags = value.u8_at(4)?;
            let (capability, mau) = (value.be16_at(5)?, value.be16_at(7)?);
            put!(c, "\n\t    autonegotiation [", Bits(SUPPORT, flags.into(), ", ", "none"));
            put!(c, "] (0x", HexN(flags, 2), ")");
            put!(c, "\n\t    PMD autoneg capability [");
            put!(
                c,
                Bits(PMD, capability.into(), ", ", "unknown"),
                "] (0x",
                HexN(capability, 4),
                ")"
            );
            put!(c, "\n\t    MAU type ", name_or(MAU, mau.into(), "unknown"));
            put!(c, " (0x", HexN(mau, 4), ")");
        }
        2 => {
            value.need(7)?;
            put!(c, "\n\t    MDI power support [", Bits(MDI, value.u8_at(4)?.into(), ", ", "none"));
            put!(c, "], power pair ", name_or(POWER_PAIRS, value.u8_at(5)?.into(), "unknown"));
            put!(c, ", power class ", name_or(POWER_CLASSES, value.u8_at(6)?.into(), "unknown"));
        }
        3 => {
            value.need(9)?;
            let status = Bits(SUPPORT, value.u8_at(4)?.into(), ", ", "none");
            put!(c, "\n\t    aggregation status [", status, "]");
            put!(c, ", aggregation port ID ", value.be32_at(5)?);
        }
        4 => put!(c, "\n\t    MTU size ", value.be16_at(4)?),
        _ => return Ok(true),
    }
    Ok(false)
}

fn iana<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step<bool> {
    value.need(8)?;
    if kind != 1 {
        return Ok(true);
    }
    put!(c, "\n\t  MUD-URL=", Visible(value.from(4).bytes()));
    Ok(false)
}

fn tia<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step<bool> {
    match kind {
        1 => {
            value.need(7)?;
            let (media, device) = (value.be16_at(4)?, value.u8_at(6)?);
            put!(c, "\n\t    Media capabilities [", Bits(MEDIA, media.into(), ", ", "none"));
            put!(c, "] (0x", HexN(media, 4), ")");
            put!(c, "\n\t    Device type [", name_or(DEVICES, device.into(), "unknown"));
            put!(c, "] (0x", HexN(device, 2), ")");
        }
        2 => {
            value.need(8)?;
            let application = value.u8_at(4)?;
            put!(
                c,
                "\n\t    Application type [",
                name_or(APPLICATIONS, application.into(), "none")
            );
            put!(c, "] (0x", HexN(application, 2), "), Flags [");
            put!(c, Bits(POLICY_FLAGS, value.u8_at(5)?.into(), ", ", "none"), "]");
            let tail = value.be16_at(6)?;
            put!(c, "\n\t    Vlan id ", (value.be16_at(5)? & 0x1ffe) >> 1);
            put!(c, ", L2 priority ", (tail & 0x1ff) >> 6, ", DSCP value ", tail & 0x3f);
        }
        3 => location(c, value)?,
        4 => {
            value.need(7)?;
            let bits = value.u8_at(4)?;
            // The precedence of the incumbent's expression: the shift comes first.
            let device = if bits & 0xc0 >> 6 != 0 { "PD device" } else { "PSE device" };
            let source = name_or(SOURCES, (bits >> 4 & 3).into(), "none");
            put!(c, "\n\t    Power type [", device, "], Power source [", source, "]");
            put!(c, "\n\t    Power priority [", name_or(PRIORITIES, (bits & 15).into(), "none"));
            put!(c, "] (0x", HexN(bits & 15, 2), ")");
            match value.be16_at(5)? {
                power @ 0..1024 => put!(c, ", Power ", power / 10, ".", power % 10, " Watts"),
                power => put!(c, ", Power ", power, " (Reserved)"),
            }
        }
        5..=11 => {
            put!(c, "\n\t  ", name_or(INVENTORY, kind.into(), "unknown"), " ");
            string(c, value.from(4).bytes());
        }
        _ => return Ok(true),
    }
    Ok(false)
}

fn location<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let format = value.u8_at(4)?;
    put!(c, "\n\t    Location data format ", name_or(LOCATIONS, format.into(), "unknown"));
    put!(c, " (0x", HexN(format, 2), ")");
    match format {
        1 => {
            value.need(21)?;
            for (at, word) in [(5, "Latitude"), (10, "Longitude")] {
                let word_small = if at == 5 { "latitude" } else { "longitude" };
                let degrees =
                    u64::from(value.u8_at(at)? & 3) << 32 | u64::from(value.be32_at(at + 1)?);
                put!(c, "\n\t    ", word, " resolution ", value.u8_at(at)? >> 2, ", ");
                put!(c, word_small, " value ", degrees);
            }
            let kind = value.u8_at(15)? >> 4;
            put!(c, "\n\t    Altitude type ", name_or(ALTITUDES, kind.into(), "unknown"));
            put!(c, " (", kind, ")\n\t    Altitude resolution ", value.be16_at(15)? >> 6 & 0x3f);
            put!(c, ", altitude value 0x", Hex(value.be32_at(16)? & 0x3fff_ffff));
            let datum = value.u8_at(20)?;
            put!(c, "\n\t    Datum ", name_or(DATUMS, datum.into(), "unknown"));
            put!(c, " (0x", HexN(datum, 2), ")");
        }
        2 => civic_address(c, value)?,
        3 => {
            c.put("\n\t    ECS ELIN id ");
            string(c, value.from(5).bytes());
        }
        _ => {
            c.put("\n\t    Location ID ");
            c.hex_print("\n\t      ", value.from(5), value.len());
        }
    }
    Ok(())
}

fn civic_address<S: Sink>(c: &mut Ctx<S>, value: Buf<'_>) -> Step {
    let len = usize::from(value.u8_at(5)?);
    if len < 3 || value.len() < 7 + len {
        return Ok(());
    }
    let place = value.u8_at(6)?;
    put!(c, "\n\t    LCI length ", len, ", LCI what ", name_or(WHERE, place.into(), "unknown"));
    put!(c, " (0x", HexN(place, 2), "), Country-code ");
    string(c, value.bytes_at(7, 2)?);
    let mut rest = Buf::new(value.bytes_at(9, len - 3)?);
    while rest.len() >= 2 {
        let (kind, element_len) = (rest.u8()?, rest.u8()?);
        put!(c, "\n\t      CA type '", name_or(CIVIC, kind.into(), "unknown"), "' (", kind);
        put!(c, "), length ", element_len, ": ");
        if kind == 0 || element_len == 0 || usize::from(element_len) > rest.len() {
            return Ok(());
        }
        string(c, rest.take(element_len.into())?);
    }
    Ok(())
}

fn dcbx<S: Sink>(c: &mut Ctx<S>, kind: u8, value: Buf<'_>) -> Step<bool> {
    if kind == 1 {
        return Ok(true);
    }
    let mut rest = value.from(4);
    let mut dump = false;
    while rest.len() >= 2 {
        let head = rest.be16()?;
        let (tlv, len) = (head >> 9, usize::from(head & 0x1ff));
        if tlv == 0 || len == 0 {
            break;
        }
        let body = Buf::new(rest.take(len)?);
        dump = dcbx_tlv(c, tlv, body)?;
        if c.options.verbose > 1 || dump {
            c.hex_print("\n\t    ", body, len);
        }
    }
    Ok(dump)
}

fn dcbx_tlv<S: Sink>(c: &mut Ctx<S>, tlv: u16, body: Buf<'_>) -> Step<bool> {
    let (name, least) = match tlv {
        1 => ("Control - Protocol Control", 10),
        2 => ("Feature - Priority Group", 17),
        3 => ("Feature - Priority Flow Control", 6),
        4 => ("Feature - Application", 4),
        _ => return Ok(true),
    };
    body.need(least)?;
    put!(c, "\n\t    ", name, " (type 0x", Hex(tlv), ", length ", body.len(), ")");
    put!(c, "\n\t      Oper_Version: ", body.u8_at(0)?, "\n\t      Max_Version: ", body.u8_at(1)?);
    if tlv == 1 {
        put!(c, "\n\t      Sequence Number: ", body.be32_at(2)?);
        put!(c, "\n\t      Acknowledgement Number: ", body.be32_at(6)?);
        return Ok(false);
    }
    let info = body.u8_at(2)?;
    let bit = |mask| u8::from(info & mask != 0);
    put!(c, "\n\t      Info block(0x", Upper(info), "): Enable bit: ", bit(0x80));
    put!(c, ", Willing bit: ", bit(0x40), ", Error Bit: ", bit(0x20));
    put!(c, "\n\t      SubType: ", body.u8_at(3)?);
    match tlv {
        2 => {
            c.put("\n\t      Priority Allocation");
            let groups = body.be32_at(4)?;
            for index in 0..8u32 {
                put!(c, "\n\t          PgId_", index, ": ", groups >> (28 - 4 * index) & 15);
            }
            c.put("\n\t      Priority Group Allocation");
            for index in 0..8 {
                put!(c, "\n\t          Pg percentage[", index, "]: ", body.u8_at(8 + index)?);
            }
            put!(c, "\n\t      NumTCsSupported: ", body.u8_at(16)?);
        }
        3 => {
            let enabled = body.u8_at(4)?;
            put!(c, "\n\t      PFC Config (0x", Upper(enabled), ")");
            for index in 0..8u8 {
                let state = if enabled >> index & 1 == 1 { "Enabled" } else { "Disabled" };
                put!(c, "\n\t          Priority Bit ", index, ": ", state);
            }
            put!(c, "\n\t      NumTCPFCSupported: ", body.u8_at(5)?);
        }
        _ => {
            let mut list = body.from(4);
            while list.len() >= 6 {
                let protocol = list.be16()?;
                let owner = Buf::new(list.take(3)?).be24_at(0)?;
                let selector = if owner >> 22 != 0 { "Socket Number" } else { "L2 EtherType" };
                c.put("\n\t      Application Value");
                put!(c, "\n\t          Application Protocol ID: 0x", HexN(protocol, 4));
                put!(c, "\n\t          SF (0x", Hex(owner >> 22), ") Application Protocol ID is ");
                put!(c, selector, "\n\t          OUI: 0x", HexN(owner & 0x3f_ffff, 6));
                put!(c, "\n\t          User Priority Map: 0x", HexN(list.u8()?, 2));
            }
        }
    }
    Ok(false)
}

/// Two upper-case digits.
struct Upper(u8);

impl Put for Upper {
    fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        HexN(self.0, 2).put(out);
        if let Some(digits) = out.get_mut(start..) {
            digits.make_ascii_uppercase();
        }
    }
}
