//! Link-layer header types of captures: the numbers of `pcap` files, their names and descriptions.
//!
//! The numbers follow the registry of LINKTYPE values at tcpdump.org; the names are those that
//! `-L`, `-y` and the banner of a capture tool show.

/// A link-layer header type, as a capture file numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: address family in the byte order of the capturing host.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// Token ring.
    pub const IEEE802: LinkType = LinkType(6);
    /// PPP.
    pub const PPP: LinkType = LinkType(9);
    /// FDDI.
    pub const FDDI: LinkType = LinkType(10);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// PPPoE session.
    pub const PPP_ETHER: LinkType = LinkType(51);
    /// Cisco HDLC.
    pub const C_HDLC: LinkType = LinkType(104);
    /// A packet that begins with an IPv4 or IPv6 header.
    pub const RAW: LinkType = LinkType(101);
    /// IEEE 802.11.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// OpenBSD loopback: address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// IEEE 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIO: LinkType = LinkType(127);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux netlink.
    pub const NETLINK: LinkType = LinkType(253);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// The name (`EN10MB`), where one is known.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|row| row.0 == self.0).map(|row| row.1)
    }

    /// The description (`Ethernet`), where one is known.
    pub fn description(self) -> Option<&'static str> {
        NAMES.iter().find(|row| row.0 == self.0).map(|row| row.2)
    }

    /// The type of this name, in any case, with or without the prefix `DLT_`.
    pub fn by_name(name: &str) -> Option<LinkType> {
        let name = match name.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("DLT_") => &name[4..],
            _ => name,
        };
        NAMES.iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| LinkType(row.0))
    }
}

/// Number in a file, name, description.
static NAMES: &[(u16, &str, &str)] = &[
    (0, "NULL", "BSD loopback"),
    (1, "EN10MB", "Ethernet"),
    (2, "EN3MB", "experimental Ethernet"),
    (3, "AX25", "AX.25 layer 2"),
    (4, "PRONET", "Proteon ProNET Token Ring"),
    (5, "CHAOS", "MIT CHAOSNET"),
    (6, "IEEE802", "Token ring"),
    (7, "ARCNET", "BSD ARCNET"),
    (8, "SLIP", "SLIP"),
    (9, "PPP", "PPP"),
    (10, "FDDI", "FDDI"),
    (50, "PPP_SERIAL", "PPP over serial"),
    (51, "PPP_ETHER", "PPPoE"),
    (99, "SYMANTEC_FIREWALL", "Symantec Firewall"),
    (100, "ATM_RFC1483", "RFC1483 LLC-encapsulated ATM"),
    (101, "RAW", "Raw IP"),
    (102, "SLIP_BSDOS", "BSD/OS SLIP"),
    (103, "PPP_BSDOS", "BSD/OS PPP"),
    (104, "C_HDLC", "Cisco HDLC"),
    (105, "IEEE802_11", "802.11"),
    (106, "ATM_CLIP", "Linux Classical IP over ATM"),
    (107, "FRELAY", "Frame Relay"),
    (108, "LOOP", "OpenBSD loopback"),
    (109, "ENC", "OpenBSD encapsulated IP"),
    (113, "LINUX_SLL", "Linux cooked v1"),
    (114, "LTALK", "Localtalk"),
    (117, "PFLOG", "OpenBSD pflog file"),
    (119, "PRISM_HEADER", "802.11 plus Prism header"),
    (122, "IP_OVER_FC", "RFC 2625 IP-over-Fibre Channel"),
    (123, "SUNATM", "Sun raw ATM"),
    (127, "IEEE802_11_RADIO", "802.11 plus radiotap header"),
    (129, "ARCNET_LINUX", "Linux ARCNET"),
    (130, "JUNIPER_MLPPP", "Juniper Multi-Link PPP"),
    (131, "JUNIPER_MLFR", "Juniper Multi-Link Frame Relay"),
    (132, "JUNIPER_ES", "Juniper Encryption Services PIC"),
    (133, "JUNIPER_GGSN", "Juniper GGSN PIC"),
    (134, "JUNIPER_MFR", "Juniper FRF.16 Frame Relay"),
    (135, "JUNIPER_ATM2", "Juniper ATM2 PIC"),
    (136, "JUNIPER_SERVICES", "Juniper Advanced Services PIC"),
    (137, "JUNIPER_ATM1", "Juniper ATM1 PIC"),
    (138, "APPLE_IP_OVER_IEEE1394", "Apple IP-over-IEEE 1394"),
    (139, "MTP2_WITH_PHDR", "SS7 MTP2 with Pseudo-header"),
    (140, "MTP2", "SS7 MTP2"),
    (141, "MTP3", "SS7 MTP3"),
    (142, "SCCP", "SS7 SCCP"),
    (143, "DOCSIS", "DOCSIS"),
    (144, "LINUX_IRDA", "Linux IrDA"),
    (163, "IEEE802_11_RADIO_AVS", "802.11 plus AVS radio information header"),
    (165, "BACNET_MS_TP", "BACnet MS/TP"),
    (166, "PPP_PPPD", "PPP for pppd, with direction flag"),
    (167, "JUNIPER_PPPOE", "Juniper PPPoE"),
    (168, "JUNIPER_PPPOE_ATM", "Juniper PPPoE/ATM"),
    (178, "JUNIPER_ETHER", "Juniper Ethernet"),
    (179, "JUNIPER_PPP", "Juniper PPP"),
    (180, "JUNIPER_FRELAY", "Juniper Frame Relay"),
    (181, "JUNIPER_CHDLC", "Juniper C-HDLC"),
    (182, "MFR", "FRF.16 Frame Relay"),
    (187, "BLUETOOTH_HCI_H4", "Bluetooth HCI UART transport layer"),
    (189, "USB_LINUX", "USB with Linux header"),
    (192, "PPI", "Per-Packet Information"),
    (195, "IEEE802_15_4", "IEEE 802.15.4 with FCS"),
    (200, "JUNIPER_SRX_E2E", "Juniper SRX E2E"),
    (201, "BLUETOOTH_HCI_H4_WITH_PHDR", "Bluetooth HCI UART transport layer plus pseudo-header"),
    (204, "PPP_WITHDIRECTION", "PPP with direction header"),
    (220, "USB_LINUX_MMAPPED", "USB with padded Linux header"),
    (226, "IPNET", "Solaris IPNET"),
    (228, "IPV4", "Raw IPv4"),
    (229, "IPV6", "Raw IPv6"),
    (230, "IEEE802_15_4_NOFCS", "IEEE 802.15.4 without FCS"),
    (231, "DBUS", "D-Bus"),
    (239, "NFLOG", "Linux netfilter log messages"),
    (240, "NETANALYZER", "Ethernet with Hilscher netANALYZER pseudo-header"),
    (
        241,
        "NETANALYZER_TRANSPARENT",
        "Ethernet with Hilscher netANALYZER pseudo-header and with preamble and SFD",
    ),
    (242, "IPOIB", "RFC 4391 IP-over-Infiniband"),
    (253, "NETLINK", "Linux netlink"),
    (258, "PKTAP", "Apple DLT_PKTAP"),
    (260, "IPMI_HPM_2", "IPMI trace packets"),
    (271, "VSOCK", "Linux vsock"),
    (276, "LINUX_SLL2", "Linux cooked v2"),
    (281, "DSA_TAG_BRCM", "Broadcom tag"),
    (282, "DSA_TAG_BRCM_PREPEND", "Broadcom tag (prepended)"),
    (283, "IEEE802_15_4_TAP", "IEEE 802.15.4 with pseudo-header"),
    (284, "DSA_TAG_DSA", "Marvell DSA"),
    (285, "DSA_TAG_EDSA", "Marvell EDSA"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_case_and_with_its_prefix() {
        assert_eq!(LinkType::by_name("en10mb"), Some(LinkType::ETHERNET));
        assert_eq!(LinkType::by_name("DLT_LINUX_SLL2"), Some(LinkType::LINUX_SLL2));
        assert_eq!(LinkType::by_name("nope"), None);
        assert_eq!(LinkType::LINUX_SLL.description(), Some("Linux cooked v1"));
    }
}
