//! Where the headers of a packet are: what each link type gives, and how encapsulations move it.

use crate::filter::FilterError;
use box_wire::link::LinkType;

/// An offset or field that a link type does not have.
pub const NOT_SET: u32 = u32::MAX;

/// Link types that the generator tells apart, as capture files number them.
#[allow(missing_docs)]
pub mod link {
    pub const NULL: u16 = 0;
    pub const EN10MB: u16 = 1;
    pub const EN3MB: u16 = 2;
    pub const AX25: u16 = 3;
    pub const PRONET: u16 = 4;
    pub const CHAOS: u16 = 5;
    pub const IEEE802: u16 = 6;
    pub const ARCNET: u16 = 7;
    pub const SLIP: u16 = 8;
    pub const PPP: u16 = 9;
    pub const FDDI: u16 = 10;
    pub const REDBACK_SMARTEDGE: u16 = 32;
    pub const PPP_SERIAL: u16 = 50;
    pub const PPP_ETHER: u16 = 51;
    pub const SYMANTEC_FIREWALL: u16 = 99;
    pub const ATM_RFC1483: u16 = 100;
    pub const RAW: u16 = 101;
    pub const SLIP_BSDOS: u16 = 102;
    pub const PPP_BSDOS: u16 = 103;
    pub const C_HDLC: u16 = 104;
    pub const IEEE802_11: u16 = 105;
    pub const ATM_CLIP: u16 = 106;
    pub const FRELAY: u16 = 107;
    pub const LOOP: u16 = 108;
    pub const ENC: u16 = 109;
    pub const HDLC: u16 = 110;
    pub const LINUX_SLL: u16 = 113;
    pub const LTALK: u16 = 114;
    pub const PFLOG: u16 = 117;
    pub const PRISM_HEADER: u16 = 119;
    pub const IP_OVER_FC: u16 = 122;
    pub const SUNATM: u16 = 123;
    pub const IEEE802_11_RADIO: u16 = 127;
    pub const ARCNET_LINUX: u16 = 129;
    pub const JUNIPER_MLPPP: u16 = 130;
    pub const JUNIPER_MLFR: u16 = 131;
    pub const JUNIPER_ES: u16 = 132;
    pub const JUNIPER_GGSN: u16 = 133;
    pub const JUNIPER_MFR: u16 = 134;
    pub const JUNIPER_ATM2: u16 = 135;
    pub const JUNIPER_SERVICES: u16 = 136;
    pub const JUNIPER_ATM1: u16 = 137;
    pub const APPLE_IP_OVER_IEEE1394: u16 = 138;
    pub const MTP2_WITH_PHDR: u16 = 139;
    pub const MTP2: u16 = 140;
    pub const IEEE802_11_RADIO_AVS: u16 = 163;
    pub const JUNIPER_MONITOR: u16 = 164;
    pub const BACNET_MS_TP: u16 = 165;
    pub const PPP_PPPD: u16 = 166;
    pub const JUNIPER_PPPOE: u16 = 167;
    pub const JUNIPER_PPPOE_ATM: u16 = 168;
    pub const JUNIPER_ETHER: u16 = 178;
    pub const JUNIPER_PPP: u16 = 179;
    pub const JUNIPER_FRELAY: u16 = 180;
    pub const JUNIPER_CHDLC: u16 = 181;
    pub const MFR: u16 = 182;
    pub const JUNIPER_VP: u16 = 183;
    pub const PPI: u16 = 192;
    pub const JUNIPER_ISM: u16 = 194;
    pub const ERF: u16 = 197;
    pub const JUNIPER_ST: u16 = 200;
    pub const IPNET: u16 = 226;
    pub const IPV4: u16 = 228;
    pub const IPV6: u16 = 229;
    pub const JUNIPER_VS: u16 = 232;
    pub const JUNIPER_SRX_E2E: u16 = 233;
    pub const JUNIPER_FIBRECHANNEL: u16 = 234;
    pub const JUNIPER_ATM_CEMIC: u16 = 238;
    pub const NETANALYZER: u16 = 240;
    pub const NETANALYZER_TRANSPARENT: u16 = 241;
    pub const PFSYNC: u16 = 246;
    pub const LINUX_SLL2: u16 = 276;
    pub const DSA_TAG_BRCM: u16 = 281;
    pub const DSA_TAG_DSA: u16 = 284;

    /// The first of the numbers that are given out for new types.
    pub const FIRST_ASSIGNED: u16 = 104;
}

use link::*;

/// An offset from the start of the packet: a constant, and perhaps a part that is only known when
/// a packet is there and is kept in a scratch register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// The constant part.
    pub constant: u32,
    /// Whether there is a variable part.
    pub variable: bool,
    /// The register of the variable part, once somebody needs it.
    pub register: Option<u32>,
}

impl Offset {
    fn at(constant: u32) -> Offset {
        Offset { constant, ..Offset::default() }
    }
}

/// Offsets of the SS7 fields from the start of the packet.
#[derive(Clone, Copy, Debug)]
pub struct Ss7Layout {
    /// Length indicator; that of high-speed links is two bytes on.
    pub length: u32,
    /// Service information octet; the routing label follows.
    pub service: u32,
}

/// The layout that primitives are read against. `vlan` and its kind change it for what follows.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The link type that primitives see: an encapsulated one after `pppoes`, `geneve`...
    pub link_type: u16,
    /// The link type around that one.
    pub previous_type: u16,
    /// The capture's link type.
    pub outermost_type: u16,
    /// Start of the link-layer header.
    pub header: Offset,
    /// Start of the header around that one.
    pub previous_header: Offset,
    /// Start of the capture's link-layer header.
    pub outermost_header: Offset,
    /// Start of the link-layer payload.
    pub payload: Offset,
    /// Start of the field that says what the payload is.
    pub type_field: Offset,
    /// Network header, from the payload, behind a SNAP header where the type always has LLC.
    pub network: u32,
    /// Network header, from the payload, without a SNAP header.
    pub network_no_snap: u32,
    /// Inside Geneve or VXLAN, where the link-layer header may be missing.
    pub encapsulated: bool,
    /// MPLS labels gone past.
    pub mpls_depth: u32,
    /// VLAN tags gone past.
    pub vlan_depth: u32,
    /// SS7 fields, on the types that have them.
    pub ss7: Option<Ss7Layout>,
}

impl Layout {
    /// The layout of a capture.
    ///
    /// # Errors
    /// The link type is not known.
    pub fn new(link_type: LinkType) -> Result<Layout, FilterError> {
        let number = link_type.0;
        let (type_field, payload, network, network_no_snap) = fixed_offsets(number)?;
        let header = match number {
            NETANALYZER => Offset::at(4),
            NETANALYZER_TRANSPARENT => Offset::at(12),
            PRISM_HEADER | IEEE802_11_RADIO_AVS | IEEE802_11_RADIO | PPI => {
                Offset { variable: true, ..Offset::default() }
            }
            _ => Offset::default(),
        };
        let mut payload = Offset::at(payload);
        payload.variable = number == PFLOG || is_wlan(number);
        Ok(Layout {
            link_type: number,
            previous_type: number,
            outermost_type: number,
            header,
            previous_header: header,
            outermost_header: header,
            payload,
            type_field: Offset::at(type_field),
            network,
            network_no_snap,
            encapsulated: false,
            mpls_depth: 0,
            vlan_depth: 0,
            ss7: ss7(number),
        })
    }

    /// Moves on to a link-layer header inside the present one.
    pub fn push(&mut self, link_type: u16, header: Offset) {
        self.previous_type = self.link_type;
        self.previous_header = self.header;
        self.link_type = link_type;
        self.header = header;
        self.encapsulated = false;
    }
}

/// Type field, payload, network header with and without SNAP.
fn fixed_offsets(link_type: u16) -> Result<(u32, u32, u32, u32), FilterError> {
    Ok(match link_type {
        ARCNET => (2, 6, 0, 0),
        ARCNET_LINUX => (4, 8, 0, 0),
        EN10MB => (12, 14, 0, 3),
        // The Ethernet header with a switch's tag of four bytes between addresses and type.
        DSA_TAG_BRCM | DSA_TAG_DSA => (16, 18, 0, 3),
        SLIP => (NOT_SET, 16, 0, 0),
        SLIP_BSDOS => (NOT_SET, 24, 0, 0),
        NULL | LOOP => (0, 4, 0, 0),
        ENC => (0, 12, 0, 0),
        PPP | PPP_PPPD | C_HDLC | HDLC | PPP_SERIAL => (2, 4, 0, 0),
        PPP_ETHER => (6, 8, 0, 0),
        PPP_BSDOS => (5, 24, 0, 0),
        FDDI => (13, 13, 8, 3),
        IEEE802 => (14, 14, 8, 3),
        IEEE802_11 | PRISM_HEADER | IEEE802_11_RADIO_AVS | IEEE802_11_RADIO | PPI => (24, 0, 8, 3),
        ATM_RFC1483 | ATM_CLIP => (0, 0, 8, 3),
        SUNATM => (4, 4, 8, 3),
        RAW | IPV4 | IPV6 | LTALK | FRELAY => (NOT_SET, 0, 0, 0),
        LINUX_SLL => (14, 16, 0, 0),
        LINUX_SLL2 => (0, 20, 0, 0),
        IP_OVER_FC => (16, 16, 8, 3),
        MFR => (NOT_SET, 0, 4, 0),
        APPLE_IP_OVER_IEEE1394 => (16, 18, 0, 0),
        SYMANTEC_FIREWALL => (6, 44, 0, 0),
        PFLOG => (0, 0, 0, 0),
        JUNIPER_MFR | JUNIPER_MLFR | JUNIPER_MLPPP | JUNIPER_PPP | JUNIPER_CHDLC
        | JUNIPER_FRELAY => (4, 4, 0, NOT_SET),
        JUNIPER_ATM1 => (4, 4, 0, 10),
        JUNIPER_ATM2 => (8, 8, 0, 10),
        JUNIPER_PPPOE | JUNIPER_ETHER => (16, 14, 18, 21),
        JUNIPER_PPPOE_ATM => (4, 6, 0, NOT_SET),
        JUNIPER_GGSN => (6, 12, 0, NOT_SET),
        JUNIPER_ES => (6, NOT_SET, NOT_SET, NOT_SET),
        JUNIPER_MONITOR => (12, 12, 0, NOT_SET),
        JUNIPER_SERVICES => (12, NOT_SET, NOT_SET, NOT_SET),
        JUNIPER_VP | JUNIPER_ST => (18, NOT_SET, NOT_SET, NOT_SET),
        JUNIPER_ISM | JUNIPER_VS | JUNIPER_SRX_E2E | JUNIPER_FIBRECHANNEL | JUNIPER_ATM_CEMIC => {
            (8, NOT_SET, NOT_SET, NOT_SET)
        }
        PFSYNC => (NOT_SET, 4, 0, 0),
        IPNET => (1, 24, 0, NOT_SET),
        NETANALYZER => (16, 18, 0, 3),
        NETANALYZER_TRANSPARENT => (24, 26, 0, 3),
        EN3MB | AX25 | PRONET | CHAOS | REDBACK_SMARTEDGE => (NOT_SET, NOT_SET, NOT_SET, NOT_SET),
        // Of the rest, only bytes can be asked for.
        FIRST_ASSIGNED.. => (NOT_SET, NOT_SET, NOT_SET, NOT_SET),
        _ => return Err(FilterError::new(format!("unknown data link type {link_type}"))),
    })
}

fn ss7(link_type: u16) -> Option<Ss7Layout> {
    match link_type {
        MTP2 => Some(Ss7Layout { length: 2, service: 3 }),
        MTP2_WITH_PHDR => Some(Ss7Layout { length: 6, service: 7 }),
        ERF => Some(Ss7Layout { length: 22, service: 23 }),
        _ => None,
    }
}

/// Ethernet II or 802.3 headers, with whatever in front or between.
pub fn is_ethernet(link_type: u16) -> bool {
    matches!(link_type, EN10MB | NETANALYZER | NETANALYZER_TRANSPARENT | DSA_TAG_BRCM | DSA_TAG_DSA)
}

/// 802.11 headers, with or without radio information in front.
pub fn is_wlan(link_type: u16) -> bool {
    matches!(link_type, IEEE802_11 | PRISM_HEADER | IEEE802_11_RADIO_AVS | IEEE802_11_RADIO | PPI)
}

/// 48-bit MAC addresses.
pub fn has_mac48(link_type: u16) -> bool {
    is_ethernet(link_type) || is_wlan(link_type) || matches!(link_type, FDDI | IEEE802 | IP_OVER_FC)
}

/// The magic number and flags that Juniper routers put first.
pub fn is_juniper(link_type: u16) -> bool {
    matches!(
        link_type,
        JUNIPER_MFR
            | JUNIPER_MLFR
            | JUNIPER_MLPPP
            | JUNIPER_ATM1
            | JUNIPER_ATM2
            | JUNIPER_PPPOE
            | JUNIPER_PPPOE_ATM
            | JUNIPER_GGSN
            | JUNIPER_ES
            | JUNIPER_MONITOR
            | JUNIPER_SERVICES
            | JUNIPER_ETHER
            | JUNIPER_PPP
            | JUNIPER_FRELAY
            | JUNIPER_CHDLC
            | JUNIPER_VP
            | JUNIPER_ST
            | JUNIPER_ISM
            | JUNIPER_VS
            | JUNIPER_SRX_E2E
            | JUNIPER_FIBRECHANNEL
            | JUNIPER_ATM_CEMIC
    )
}
