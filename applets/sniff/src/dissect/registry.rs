//! Who dissects what: constant tables from a number on the wire to a dissector.
//!
//! A protocol is one file and one row here. A test checks that no table has a key twice.

use std::marker::PhantomData;

use super::ether::Link;
use super::{Buf, Ctx, Network, Sink, Step};
use super::{
    ah, ahcp, aoe, app, arp, atalk, atm, babel, bcm_li, bfd, bgp, bootp, calm_fast, cfm, dccp,
    dhcp6, dns, eap, eigrp, frame_relay, geonet, gre, hdlc, hsrp, icmp, icmp6, igmp, igrp, ip, ip6,
    ipoib, ldp, lisp, lldp, loopback, lsp_ping, mpls, nflog, nsh, ntp, osi, ospf, pim, ppp, pppoe,
    ptp, quic, radius, rip, rpki, rx, slip, slow, someip, switch_tag, tcp, timed, tunnel, udld,
    udp, vqp, vrrp, vsock, vtp,
};
use crate::text::Names;

/// Dissects the payload of a link layer.
pub type LinkDissector<S> = fn(&mut Ctx<S>, Buf<'_>, usize, &Link<'_>) -> Step;
/// Dissects the payload of IPv4 or IPv6.
pub type IpDissector<S> = fn(&mut Ctx<S>, Buf<'_>, usize, &Network) -> Step;
/// Dissects the payload of UDP or TCP.
pub type PortDissector<S> = fn(&mut Ctx<S>, Buf<'_>, usize, &Ports) -> Step;

/// What the payload of a transport may want to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// The network layer.
    pub network: Network,
}

/// The tables, for one kind of sink.
pub struct Registry<S>(PhantomData<S>);

impl<S: Sink> Registry<S> {
    const ETHERTYPES: &'static [(u16, LinkDissector<S>)] = &[
        (0x0800, |c, b, len, _| ip::print(c, b, len)),
        (0x86dd, |c, b, len, _| ip6::print(c, b, len)),
        (0x0806, |c, b, len, _| arp::print(c, b, len)),
        (0x8035, |c, b, len, _| arp::print(c, b, len)),
        (0x88cc, |c, b, len, _| lldp::print(c, b, len)),
        (0x9000, |c, b, len, _| loopback::print(c, b, len)),
        (0x8902, |c, b, len, _| cfm::print(c, b, len)),
        (0xabcd, |c, b, len, _| cfm::print(c, b, len)),
        (0x8947, geonet::print),
        (0x0707, geonet::print),
        (0x8863, |c, b, len, _| pppoe::print(c, b, len)),
        (0x8864, |c, b, len, _| pppoe::print(c, b, len)),
        (0x3c12, |c, b, len, _| pppoe::print(c, b, len)),
        (0x3c13, |c, b, len, _| pppoe::print(c, b, len)),
        (0xfefe, |c, b, len, _| osi::ethernet(c, b, len)),
        (0x88f7, |c, b, len, _| ptp::print(c, b, len)),
        (0x8847, |c, b, len, _| mpls::print(c, b, len)),
        (0x8848, |c, b, len, _| mpls::print(c, b, len)),
        (0x888e, |c, b, len, _| eap::over_lan(c, b, len)),
        (0x880b, |c, b, len, _| {
            c.put(": ");
            ppp::print(c, b, len)
        }),
        (0x88a2, |c, b, len, _| aoe::print(c, b, len)),
        (0x1749, calm_fast::print),
        (0x1111, calm_fast::print),
        (0x894f, |c, b, len, _| nsh::print(c, b, len)),
        (0x8809, |c, b, len, _| slow::print(c, b, len)),
        (0x809b, |c, b, len, _| atalk::print(c, b, len)),
        (0x80f3, |c, b, len, _| atalk::resolution(c, b, len)),
    ];

    const LINK_TYPES: &'static [(u16, LinkDissector<S>)] = &[
        (8, slip::print),
        (9, ppp::link),
        (50, ppp::serial),
        (51, pppoe::link),
        (104, hdlc::link),
        (107, frame_relay::link),
        (166, ppp::link),
        (182, frame_relay::multilink),
        (239, nflog::print),
        (102, slip::print_bsdos),
        (242, ipoib::print),
        (271, vsock::print),
        (281, switch_tag::broadcom),
        (282, switch_tag::broadcom_prepended),
        (284, switch_tag::dsa),
        (285, switch_tag::edsa),
        (129, atalk::arcnet),
        (100, atm::llc_frames),
        (123, atm::sun),
    ];

    const CISCO: &'static [(u16, LinkDissector<S>)] =
        &[(0x2003, vtp::print), (0x0111, udld::print)];

    const IP_PROTOCOLS: &'static [(u8, IpDissector<S>)] = &[
        (1, |c, b, len, net| icmp::print(c, b, len, net)),
        (2, |c, b, len, net| igmp::print(c, b, len, net)),
        (4, |c, b, len, _| ip::print(c, b, len)),
        (6, tcp::print),
        (17, udp::print),
        (41, |c, b, len, _| ip6::print(c, b, len)),
        (47, |c, b, len, _| gre::print(c, b, len)),
        (58, icmp6::print),
        (33, dccp::print),
        (103, pim::print),
        (112, vrrp::print),
        (89, |c, b, len, _| ospf::print(c, b, len)),
        (51, ah::print),
        (59, |c, _, _, _| {
            c.put("no next header");
            Ok(())
        }),
        (88, eigrp::print),
        (9, igrp::print),
    ];

    /// In this order; the first row that either end has wins.
    const UDP_PORTS: &'static [(u16, PortDissector<S>)] = &[
        (53, |c, b, len, _| dns::print(c, b, len, dns::Kind::Unicast)),
        (67, |c, b, len, _| bootp::print(c, b, len)),
        (68, |c, b, len, _| bootp::print(c, b, len)),
        (69, |c, b, len, _| app::tftp(c, b, len)),
        (123, |c, b, len, _| ntp::print(c, b, len)),
        (319, |c, b, len, _| ptp::print(c, b, len)),
        (320, |c, b, len, _| ptp::print(c, b, len)),
        (443, quic::print),
        (514, |c, b, len, _| app::syslog(c, b, len)),
        (520, |c, b, len, _| rip::print(c, b, len)),
        (525, |c, b, _, _| timed::print(c, b)),
        (546, |c, b, len, _| dhcp6::print(c, b, len)),
        (547, |c, b, len, _| dhcp6::print(c, b, len)),
        (1645, |c, b, len, _| radius::print(c, b, len)),
        (1646, |c, b, len, _| radius::print(c, b, len)),
        (1700, |c, b, len, _| radius::print(c, b, len)),
        (1812, |c, b, len, _| radius::print(c, b, len)),
        (1813, |c, b, len, _| radius::print(c, b, len)),
        (1985, |c, b, len, _| hsrp::print(c, b, len)),
        (2029, |c, b, len, _| hsrp::print(c, b, len)),
        (3784, bfd::print),
        (3785, bfd::print),
        (3799, |c, b, len, _| radius::print(c, b, len)),
        (4784, bfd::print),
        (4789, |c, b, len, _| tunnel::vxlan(c, b, len)),
        (6635, |c, b, len, _| mpls::print(c, b, len)),
        (6696, |c, b, len, _| babel::print(c, b, len)),
        (6697, |c, b, len, _| babel::print(c, b, len)),
        (6784, bfd::print),
        (30490, |c, b, len, _| someip::print(c, b, len)),
        (49153, bcm_li::print),
        (5353, |c, b, len, _| dns::print(c, b, len, dns::Kind::Multicast)),
        (646, |c, b, len, _| ldp::print(c, b, len)),
        (1589, |c, b, len, _| vqp::print(c, b, len)),
        (4342, |c, b, len, _| lisp::print(c, b, len)),
        (5359, |c, b, len, _| ahcp::print(c, b, len)),
        (3503, |c, b, len, _| lsp_ping::print(c, b, len)),
    ];

    const UDP_RANGES: &'static [(u16, u16, PortDissector<S>)] =
        &[(7000, 7009, rx::print), (7021, 7021, rx::print)];

    /// In this order; the first row that either end has wins.
    const TCP_PORTS: &'static [(u16, PortDissector<S>)] = &[
        (21, |c, b, len, _| app::named_text(c, "ftp", ": FTP: ", b, len)),
        (22, |c, b, len, _| app::ssh(c, b, len)),
        (23, |c, b, len, _| app::telnet(c, b, len)),
        (25, |c, b, len, _| app::named_text(c, "smtp", ": SMTP: ", b, len)),
        (43, |c, b, len, _| app::whois(c, b, len)),
        (53, |c, b, len, _| {
            c.put(" ");
            dns::print_tcp(c, b, len)
        }),
        (80, |c, b, len, _| app::http(c, b, len)),
        (323, |c, b, len, _| rpki::print(c, b, len)),
        (554, |c, b, len, _| app::rtsp(c, b, len)),
        (587, |c, b, len, _| app::named_text(c, "smtp", ": SMTP: ", b, len)),
        (6379, |c, b, len, _| app::resp(c, b, len)),
        (8080, |c, b, len, _| app::http(c, b, len)),
        (3128, |c, b, len, _| app::http(c, b, len)),
        (646, |c, b, len, _| ldp::print(c, b, len)),
        (179, |c, b, len, _| bgp::print(c, b, len)),
    ];

    /// The dissector of an Ethernet type.
    #[inline]
    pub fn ethertype(kind: u16) -> Option<LinkDissector<S>> {
        find(Self::ETHERTYPES, kind)
    }

    /// The dissector of a link type beside those that `link` knows.
    pub fn link_type(kind: u16) -> Option<LinkDissector<S>> {
        find(Self::LINK_TYPES, kind)
    }

    /// The dissector of a Cisco SNAP protocol.
    pub fn cisco(kind: u16) -> Option<LinkDissector<S>> {
        find(Self::CISCO, kind)
    }

    /// The dissector of OSI network protocols.
    pub fn osi() -> Option<LinkDissector<S>> {
        Some(osi::link)
    }

    /// The dissector of an IP protocol.
    #[inline]
    pub fn ip_protocol(protocol: u8) -> Option<IpDissector<S>> {
        find(Self::IP_PROTOCOLS, protocol)
    }

    /// The dissector of a UDP port of either end.
    #[inline]
    pub fn udp(source: u16, destination: u16) -> Option<PortDissector<S>> {
        by_port(Self::UDP_PORTS, source, destination).or_else(|| {
            let within = |port, low, high| port >= low && port <= high;
            let row = Self::UDP_RANGES
                .iter()
                .find(|row| within(source, row.0, row.1) || within(destination, row.0, row.1));
            row.map(|row| row.2)
        })
    }

    /// The dissector of a TCP port of either end.
    #[inline]
    pub fn tcp(source: u16, destination: u16) -> Option<PortDissector<S>> {
        by_port(Self::TCP_PORTS, source, destination)
    }
}

#[inline]
fn find<K: Copy + PartialEq, D: Copy>(table: &[(K, D)], key: K) -> Option<D> {
    table.iter().find(|row| row.0 == key).map(|row| row.1)
}

#[inline]
fn by_port<D: Copy>(table: &[(u16, D)], source: u16, destination: u16) -> Option<D> {
    table.iter().find(|row| row.0 == source || row.0 == destination).map(|row| row.1)
}

/// Names of Ethernet types.
pub const ETHERTYPE_NAMES: Names = &[
    (0x0800, "IPv4"),
    (0x8847, "MPLS unicast"),
    (0x8848, "MPLS multicast"),
    (0x86dd, "IPv6"),
    (0x8100, "802.1Q"),
    (0x9100, "802.1Q-9100"),
    (0x88a8, "802.1Q-QinQ"),
    (0x9200, "802.1Q-9200"),
    (0x0200, "PUP"),
    (0x0806, "ARP"),
    (0x8035, "Reverse ARP"),
    (0x0600, "NS"),
    (0x0500, "Sprite"),
    (0x1000, "Trail"),
    (0x6001, "MOP DL"),
    (0x6002, "MOP RC"),
    (0x6003, "DN"),
    (0x6004, "LAT"),
    (0x6007, "SCA"),
    (0x6558, "TEB"),
    (0x8038, "Lanbridge"),
    (0x803c, "DEC DNS"),
    (0x803e, "DEC DTS"),
    (0x805b, "VEXP"),
    (0x805c, "VPROD"),
    (0x809b, "Appletalk"),
    (0x80f3, "Appletalk ARP"),
    (0x8137, "IPX"),
    (0x880b, "PPP"),
    (0x8808, "MPCP"),
    (0x8809, "Slow Protocols"),
    (0x8863, "PPPoE D"),
    (0x8864, "PPPoE S"),
    (0x3c12, "PPPoE D (3Com)"),
    (0x3c13, "PPPoE S (3Com)"),
    (0x888e, "EAPOL"),
    (0x8899, "RRCP"),
    (0x886f, "MS NLB heartbeat"),
    (0x8870, "Jumbo"),
    (0x894f, "NSH"),
    (0x9000, "Loopback"),
    (0xfefe, "OSI"),
    (0x00fe, "GRE-OSI"),
    (0x8902, "CFM"),
    (0xabcd, "CFM (old)"),
    (0x893a, "IEEE1905.1"),
    (0x88cc, "LLDP"),
    (0x88ca, "TIPC"),
    (0x0707, "GeoNet (old)"),
    (0x8947, "GeoNet"),
    (0x1749, "CALM FAST"),
    (0x88a2, "AoE"),
    (0x88be, "GRE-ERSPAN I/II"),
    (0x22eb, "GRE-ERSPAN III"),
    (0x88f7, "PTP"),
    (0x88e5, "802.1AE MACsec"),
    (0x8926, "VN-Tag"),
    (0x88e1, "HomePlug"),
    (0x8874, "Broadcom"),
    (0xd28b, "Arista Vendor Specific Protocol"),
];

/// Names of organisations by the first half of their addresses.
pub const OUI_NAMES: Names = &[
    (0x00_0000, "Ethernet"),
    (0x00_000c, "Cisco"),
    (0x00_0142, "Cisco"),
    (0x00_00f8, "Cisco bridged"),
    (0x00_80c2, "Ethernet bridged"),
    (0x00_a03e, "ATM Forum"),
    (0x00_4040, "Cable Broadband"),
    (0x08_0007, "Appletalk"),
    (0x00_9069, "Juniper"),
    (0x00_120f, "IEEE 802.3 Private"),
    (0x00_12bb, "ANSI/TIA"),
    (0x00_1b21, "DCBX"),
    (0x00_005e, "IANA"),
];

/// Names of IP protocols, as `-v` shows them.
pub const IP_PROTOCOL_NAMES: Names = &[
    (0, "HBH"),
    (4, "IPIP"),
    (41, "IPv6"),
    (6, "TCP"),
    (17, "UDP"),
    (1, "ICMP"),
    (58, "ICMPv6"),
    (9, "IGRP"),
    (77, "ND"),
    (8, "EGP"),
    (89, "OSPF"),
    (2, "IGMP"),
    (132, "SCTP"),
    (50, "ESP"),
    (51, "AH"),
    (47, "GRE"),
    (55, "Mobile IP"),
    (62, "Mobile IP (old)"),
    (135, "Mobility"),
    (88, "EIGRP"),
    (103, "PIM"),
    (112, "VRRP"),
    (108, "Compressed IP"),
    (60, "DestOpts"),
    (44, "Fragment"),
    (43, "Routing"),
    (59, "no next header"),
    (46, "RSVP"),
    (54, "NHRP"),
    (33, "DCCP"),
    (113, "PGM"),
    (143, "Ethernet"),
];

#[cfg(test)]
mod tests {
    use super::Registry;
    use crate::dissect::Text;

    fn unique<K: Ord + Copy + std::fmt::Debug, D>(table: &[(K, D)]) {
        let mut keys: Vec<K> = table.iter().map(|row| row.0).collect();
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
    }

    #[test]
    fn no_key_has_two_dissectors() {
        unique(Registry::<Text>::ETHERTYPES);
        unique(Registry::<Text>::LINK_TYPES);
        unique(Registry::<Text>::CISCO);
        unique(Registry::<Text>::IP_PROTOCOLS);
        unique(Registry::<Text>::UDP_PORTS);
        unique(Registry::<Text>::TCP_PORTS);
    }
}
