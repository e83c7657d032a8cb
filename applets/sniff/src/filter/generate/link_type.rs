//! "The payload is of this protocol", in the way of each link type.
//!
//! Protocols are EtherTypes above 1500 and LLC service access points below.

use super::graph::Cond;
use super::layout::{NOT_SET, is_ethernet, is_juniper, is_wlan, link};
use super::load::Base;
use super::{Generated, Generator, describe, limit};
use crate::filter::program::op::{B, H, JEQ, JMP, LD, LDX, MEM, W, X};
use crate::filter::{FilterError, Source};

/// EtherTypes (IEEE 802 numbers).
#[allow(missing_docs)]
pub(super) mod ether {
    pub const IP: u32 = 0x0800;
    pub const ARP: u32 = 0x0806;
    pub const REVARP: u32 = 0x8035;
    pub const ATALK: u32 = 0x809b;
    pub const AARP: u32 = 0x80f3;
    pub const VLAN: u32 = 0x8100;
    pub const IPX: u32 = 0x8137;
    pub const IP6: u32 = 0x86dd;
    pub const MPLS: u32 = 0x8847;
    pub const PPPOED: u32 = 0x8863;
    pub const PPPOES: u32 = 0x8864;
    pub const SERVICE_VLAN: u32 = 0x88a8;
    pub const OLD_QINQ: u32 = 0x9100;
    pub const LOOPBACK: u32 = 0x9000;
    pub const MOPDL: u32 = 0x6001;
    pub const MOPRC: u32 = 0x6002;
    pub const DECNET: u32 = 0x6003;
    pub const LAT: u32 = 0x6004;
    pub const SCA: u32 = 0x6007;
    pub const SLOW: u32 = 0x8809;
    pub const LLDP: u32 = 0x88cc;
    pub const NS: u32 = 0x0600;
    pub const BRIDGED: u32 = 0x6558;
    /// What a length field may hold at most; larger is a type.
    pub const MTU: u32 = 1500;
}

/// LLC service access points.
#[allow(missing_docs)]
pub(super) mod sap {
    pub const IP: u32 = 0x06;
    pub const STP: u32 = 0x42;
    pub const SNAP: u8 = 0xaa;
    pub const IPX: u32 = 0xe0;
    pub const NETBEUI: u32 = 0xf0;
    pub const ISO: u32 = 0xfe;
}

/// Protocol numbers of PPP (RFC 1661 and the IANA registry).
mod ppp {
    pub const IP: u32 = 0x0021;
    pub const OSI: u32 = 0x0023;
    pub const NS: u32 = 0x0025;
    pub const DECNET: u32 = 0x0027;
    pub const APPLETALK: u32 = 0x0029;
    pub const IPX: u32 = 0x002b;
    pub const VJ_COMPRESSED: u32 = 0x002d;
    pub const VJ_UNCOMPRESSED: u32 = 0x002f;
    pub const BRIDGE: u32 = 0x0031;
    pub const IP6: u32 = 0x0057;
}

/// Address families: IPv4, and IPv6 on Linux, NetBSD and OpenBSD, FreeBSD, macOS.
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_INET6_BSD: [u32; 3] = [24, 28, 30];

/// Linux cooked capture writes these where an EtherType would be.
const SLL_802_3: u32 = 1;
const SLL_802_2: u32 = 4;

impl Generator<'_> {
    /// The payload of the link layer is of a protocol.
    pub(super) fn link_type(&mut self, protocol: u32) -> Generated<Cond> {
        if self.layout.mpls_depth > 0 {
            return self.mpls_payload(protocol);
        }
        let never = |generator: &mut Self| Ok(generator.graph.constant(false));
        match self.layout.link_type {
            number if is_ethernet(number) => self.ethernet(protocol),
            number if is_wlan(number) => {
                let data = self.masked(Base::Link, 0, B, 0x08, 0x0c)?;
                let protocol = self.llc_protocol(protocol)?;
                Ok(self.graph.and(data, protocol))
            }
            number if is_juniper(number) => {
                // The magic number is all that is common to what the cookies may announce.
                self.masked(Base::Link, 0, W, 0x4d47_4300, 0xffff_ff00)
            }
            link::C_HDLC | link::HDLC => {
                limit("HDLC protocol", protocol, 0xffff)?;
                let protocol = if protocol == sap::ISO { 0xfefe } else { protocol };
                self.equal(Base::LinkType, 0, H, protocol)
            }
            link::FDDI | link::IEEE802 | link::ATM_RFC1483 | link::ATM_CLIP | link::IP_OVER_FC => {
                self.llc_protocol(protocol)
            }
            link::SUNATM => {
                let llc = self.atm_protocol(0x02)?;
                let protocol = self.llc_protocol(protocol)?;
                Ok(self.graph.and(llc, protocol))
            }
            link::LINUX_SLL => self.cooked(protocol),
            link::SLIP | link::SLIP_BSDOS | link::RAW => match protocol {
                ether::IP => self.masked(Base::Link, 0, B, 0x40, 0xf0),
                ether::IP6 => self.masked(Base::Link, 0, B, 0x60, 0xf0),
                _ => never(self),
            },
            link::IPV4 => Ok(self.graph.constant(protocol == ether::IP)),
            link::IPV6 => Ok(self.graph.constant(protocol == ether::IP6)),
            link::PPP_BSDOS if protocol == ether::IP => {
                let conds = vec![
                    self.equal(Base::LinkType, 0, H, ppp::IP)?,
                    self.equal(Base::LinkType, 0, H, ppp::VJ_COMPRESSED)?,
                    self.equal(Base::LinkType, 0, H, ppp::VJ_UNCOMPRESSED)?,
                ];
                self.either(conds)
            }
            link::PPP | link::PPP_PPPD | link::PPP_SERIAL | link::PPP_ETHER | link::PPP_BSDOS => {
                let protocol = ppp_protocol(protocol)?;
                self.equal(Base::LinkType, 0, H, protocol)
            }
            link::NULL | link::LOOP | link::ENC => self.loopback(protocol),
            link::PFLOG => match protocol {
                ether::IP => self.equal(Base::Link, 1, B, AF_INET),
                ether::IP6 => self.equal(Base::Link, 1, B, AF_INET6),
                _ => never(self),
            },
            link::ARCNET | link::ARCNET_LINUX => match protocol {
                ether::IP => self.equal(Base::LinkType, 0, B, 212),
                ether::ARP => self.equal(Base::LinkType, 0, B, 213),
                ether::REVARP => self.equal(Base::LinkType, 0, B, 214),
                ether::ATALK => self.equal(Base::LinkType, 0, B, 221),
                ether::IP6 => self.equal(Base::LinkType, 0, B, 0xc4),
                _ => never(self),
            },
            link::LTALK => Ok(self.graph.constant(protocol == ether::ATALK)),
            link::FRELAY => self.frame_relay(protocol),
            link::IPNET => match protocol {
                ether::IP => self.equal(Base::LinkType, 0, B, 2),
                ether::IP6 => self.equal(Base::LinkType, 0, B, 26),
                _ => never(self),
            },
            number if number != link::MFR && self.layout.type_field.constant != NOT_SET => {
                limit("EtherType", protocol, 0xffff)?;
                self.equal(Base::LinkType, 0, H, protocol)
            }
            number => {
                let name = describe(number);
                let text = format!("link-layer type filtering not implemented for {name}");
                Err(FilterError::new(text))
            }
        }
    }

    /// Ethernet II by type, 802.3 by LLC or SNAP.
    fn ethernet(&mut self, protocol: u32) -> Generated<Cond> {
        // Geneve names the type even where it carries no Ethernet header.
        let outer = if self.layout.encapsulated { None } else { self.outer_link_check()? };
        let is_802_3 = |g: &mut Self| g.at_most(Base::LinkType, 0, H, ether::MTU);
        let cond = match protocol {
            sap::ISO | sap::IP | sap::NETBEUI => {
                let llc = is_802_3(self)?;
                let points = self.equal(Base::Llc, 0, H, protocol << 8 | protocol)?;
                self.graph.and(llc, points)
            }
            sap::IPX => {
                // Four framings: Ethernet II, 802.2, SNAP, and "raw" 802.3 with no LLC header.
                let llc = self.equal(Base::Llc, 0, B, sap::IPX)?;
                let raw = self.equal(Base::Llc, 0, H, 0xffff)?;
                let unframed = self.graph.or(llc, raw);
                let snap = self.snap(0, ether::IPX)?;
                let any = self.graph.or(snap, unframed);
                let is_802_3 = is_802_3(self)?;
                let any = self.graph.and(is_802_3, any);
                let typed = self.equal(Base::LinkType, 0, H, ether::IPX)?;
                self.graph.or(typed, any)
            }
            ether::ATALK | ether::AARP => {
                let is_802_3 = is_802_3(self)?;
                self.appletalk(is_802_3, protocol)?
            }
            ..=ether::MTU => {
                limit("LLC DSAP", protocol, 0xff)?;
                let is_802_3 = is_802_3(self)?;
                let point = self.equal(Base::LinkType, 2, B, protocol)?;
                self.graph.and(is_802_3, point)
            }
            _ => {
                limit("EtherType", protocol, 0xffff)?;
                self.equal(Base::LinkType, 0, H, protocol)?
            }
        };
        Ok(match outer {
            Some(outer) => self.graph.and(outer, cond),
            None => cond,
        })
    }

    /// AppleTalk or its ARP: by type, or by SNAP in frames for which `llc` holds.
    fn appletalk(&mut self, llc: Cond, protocol: u32) -> Generated<Cond> {
        let organization = if protocol == ether::ATALK { 0x08_0007 } else { 0 };
        let snap = self.snap(organization, protocol)?;
        let framed = self.graph.and(llc, snap);
        let typed = self.equal(Base::LinkType, 0, H, protocol)?;
        Ok(self.graph.or(typed, framed))
    }

    /// Linux cooked capture: like Ethernet, with numbers in place of lengths.
    fn cooked(&mut self, protocol: u32) -> Generated<Cond> {
        let is_802_2 = |g: &mut Self| g.equal(Base::LinkType, 0, H, SLL_802_2);
        match protocol {
            sap::ISO | sap::IP | sap::NETBEUI => {
                let llc = is_802_2(self)?;
                let points = self.equal(Base::Llc, 0, H, protocol << 8 | protocol)?;
                Ok(self.graph.and(llc, points))
            }
            sap::IPX => {
                let llc = self.equal(Base::Llc, 0, B, sap::IPX)?;
                let snap = self.snap(0, ether::IPX)?;
                let framed = self.graph.or(llc, snap);
                let is_802_2 = is_802_2(self)?;
                let framed = self.graph.and(is_802_2, framed);
                let raw = self.equal(Base::LinkType, 0, H, SLL_802_3)?;
                let framed = self.graph.or(raw, framed);
                let typed = self.equal(Base::LinkType, 0, H, ether::IPX)?;
                Ok(self.graph.or(typed, framed))
            }
            ether::ATALK | ether::AARP => {
                let llc = is_802_2(self)?;
                self.appletalk(llc, protocol)
            }
            ..=ether::MTU => {
                limit("LLC DSAP", protocol, 0xff)?;
                let llc = is_802_2(self)?;
                let payload = self.layout.payload.constant;
                let point = self.equal(Base::Link, payload, B, protocol)?;
                Ok(self.graph.and(llc, point))
            }
            _ => {
                limit("EtherType", protocol, 0xffff)?;
                self.equal(Base::LinkType, 0, H, protocol)
            }
        }
    }

    /// Link types that always have an LLC header.
    fn llc_protocol(&mut self, protocol: u32) -> Generated<Cond> {
        match protocol {
            sap::IP | sap::ISO | sap::NETBEUI => {
                self.equal(Base::Llc, 0, H, protocol << 8 | protocol)
            }
            sap::IPX => self.equal(Base::Llc, 0, B, sap::IPX),
            ether::ATALK => self.snap(0x08_0007, ether::ATALK),
            ..=ether::MTU => {
                limit("LLC DSAP", protocol, 0xff)?;
                self.equal(Base::Llc, 0, B, protocol)
            }
            _ => {
                // The type in a SNAP header; that it is one is taken for granted.
                limit("EtherType", protocol, 0xffff)?;
                self.equal(Base::Llc, 6, H, protocol)
            }
        }
    }

    /// A whole LLC and SNAP header (RFC 1042).
    fn snap(&mut self, organization: u32, protocol: u32) -> Generated<Cond> {
        let [_, o1, o2, o3] = organization.to_be_bytes();
        let [_, _, p1, p2] = protocol.to_be_bytes();
        self.bytes(Base::Llc, 0, &[sap::SNAP, sap::SNAP, 0x03, o1, o2, o3, p1, p2])
    }

    /// BSD loopback: an address family, in the byte order of who wrote it or of the network.
    fn loopback(&mut self, protocol: u32) -> Generated<Cond> {
        match (protocol, self.options.source) {
            (ether::IP, _) => self.family(AF_INET),
            (ether::IP6, Source::File { .. }) => {
                let [a, b, c] = AF_INET6_BSD;
                let (a, b) = (self.family(a)?, self.family(b)?);
                let either = self.graph.or(a, b);
                let c = self.family(c)?;
                Ok(self.graph.or(c, either))
            }
            (ether::IP6, _) => self.family(AF_INET6),
            _ => Ok(self.graph.constant(false)),
        }
    }

    fn family(&mut self, family: u32) -> Generated<Cond> {
        let swapped = matches!(self.options.source, Source::File { swapped: true });
        let network_order = self.layout.link_type == link::LOOP;
        let written = if network_order {
            family
        } else if swapped {
            family.swap_bytes().to_be()
        } else {
            family.to_be()
        };
        self.equal(Base::Link, 0, W, written)
    }

    /// Frame Relay with a two-byte address: UI control field and NLPID (RFC 2427).
    fn frame_relay(&mut self, protocol: u32) -> Generated<Cond> {
        match protocol {
            ether::IP => self.equal(Base::Link, 2, H, 0x03cc),
            ether::IP6 => self.equal(Base::Link, 2, H, 0x038e),
            sap::ISO => {
                let clnp = self.equal(Base::Link, 2, H, 0x0381)?;
                let esis = self.equal(Base::Link, 2, H, 0x0382)?;
                let isis = self.equal(Base::Link, 2, H, 0x0383)?;
                let either = self.graph.or(esis, isis);
                Ok(self.graph.or(clnp, either))
            }
            _ => Ok(self.graph.constant(false)),
        }
    }

    /// Behind an MPLS label: the last of the stack, and the version nibble.
    fn mpls_payload(&mut self, protocol: u32) -> Generated<Cond> {
        let version = match protocol {
            ether::IP => 0x40,
            ether::IP6 => 0x60,
            _ => return Err(FilterError::new("unsupported protocol over mpls")),
        };
        let bottom = self.any_bit(Base::Network, 2u32.wrapping_neg(), B, 0x01)?;
        let version = self.masked(Base::Network, 0, B, version, 0xf0)?;
        Ok(self.graph.and(bottom, version))
    }

    /// What must hold of the outer headers before a link-layer header inside them is looked at.
    pub(super) fn outer_link_check(&mut self) -> Generated<Option<Cond>> {
        if self.layout.encapsulated {
            // There is a link-layer header if payload and header do not begin at one place.
            let (Some(header), Some(payload)) =
                (self.layout.header.register, self.layout.payload.register)
            else {
                return Ok(None);
            };
            let stmts =
                vec![super::Stmt::new(LD | MEM, header), super::Stmt::new(LDX | MEM, payload)];
            return Ok(Some(self.graph.test(stmts, JMP | JEQ | X, 0).negated()));
        }
        if self.layout.previous_type == link::SUNATM {
            // LANE data, not an LE control frame.
            let field = (Base::PreviousLink, 4, H);
            return self.compare_masked(field, u32::MAX, (JEQ, true), 0xff00).map(Some);
        }
        Ok(None)
    }
}

/// The PPP number of a protocol.
fn ppp_protocol(protocol: u32) -> Generated<u32> {
    Ok(match protocol {
        ether::IP => ppp::IP,
        ether::IP6 => ppp::IP6,
        ether::DECNET => ppp::DECNET,
        ether::ATALK => ppp::APPLETALK,
        ether::NS => ppp::NS,
        sap::ISO => ppp::OSI,
        sap::STP => ppp::BRIDGE,
        sap::IPX => ppp::IPX,
        other => {
            limit("PPP protocol", other, 0xffff)?;
            other
        }
    })
}
