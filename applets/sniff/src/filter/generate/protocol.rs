//! `proto` and the abbreviations: IP protocols, OSI network protocols, IS-IS PDUs.

use super::graph::Cond;
use super::layout::link;
use super::link_type::{ether, sap};
use super::load::Base;
use super::port::{SCTP, TCP, UDP};
use super::{Generated, Generator, invalid_qualifier, limit};
use crate::filter::FilterError;
use crate::filter::names;
use crate::filter::program::op::{B, H};
use crate::filter::syntax::{Kind, Proto};

/// OSI network layer protocol identifiers (ISO/IEC TR 9577).
const CLNP: u32 = 0x81;
const ESIS: u32 = 0x82;
const ISIS: u32 = 0x83;

/// The IPv6 fragment header.
const FRAGMENT: u32 = 44;

/// IS-IS PDU types (ISO/IEC 10589): hello, link state, complete and partial sequence numbers.
const L1_IIH: u32 = 15;
const L2_IIH: u32 = 16;
const PTP_IIH: u32 = 17;
const L1_LSP: u32 = 18;
const L2_LSP: u32 = 20;
const L1_CSNP: u32 = 24;
const L2_CSNP: u32 = 25;
const L1_PSNP: u32 = 26;
const L2_PSNP: u32 = 27;

/// The PDU type is the low five bits of its octet.
const PDU_TYPE_MASK: u32 = 0x1f;

/// Link-layer protocols by name.
const ETHER_NAMES: &[(&str, u32)] = &[
    ("aarp", ether::AARP),
    ("arp", ether::ARP),
    ("atalk", ether::ATALK),
    ("decnet", ether::DECNET),
    ("ip", ether::IP),
    ("ip6", ether::IP6),
    ("lat", ether::LAT),
    ("lldp", ether::LLDP),
    ("loopback", ether::LOOPBACK),
    ("mopdl", ether::MOPDL),
    ("moprc", ether::MOPRC),
    ("rarp", ether::REVARP),
    ("sca", ether::SCA),
    ("slow", ether::SLOW),
    ("iso", sap::ISO),
    ("stp", sap::STP),
    ("ipx", sap::IPX),
    ("netbeui", sap::NETBEUI),
];

impl Generator<'_> {
    /// A protocol name that stands alone.
    pub(super) fn abbreviation(&mut self, proto: Proto) -> Generated<Cond> {
        let (number, over) = match proto {
            Proto::Ip => return self.link_type(ether::IP),
            Proto::Ip6 => return self.link_type(ether::IP6),
            Proto::Arp => return self.link_type(ether::ARP),
            Proto::Rarp => return self.link_type(ether::REVARP),
            Proto::Atalk => return self.link_type(ether::ATALK),
            Proto::Aarp => return self.link_type(ether::AARP),
            Proto::Decnet => return self.link_type(ether::DECNET),
            Proto::Sca => return self.link_type(ether::SCA),
            Proto::Lat => return self.link_type(ether::LAT),
            Proto::Mopdl => return self.link_type(ether::MOPDL),
            Proto::Moprc => return self.link_type(ether::MOPRC),
            Proto::Iso => return self.link_type(sap::ISO),
            Proto::Stp => return self.link_type(sap::STP),
            Proto::Ipx => return self.link_type(sap::IPX),
            Proto::Netbeui => return self.link_type(sap::NETBEUI),
            Proto::IsisL1 => return self.pdus(&[PTP_IIH, L1_IIH, L1_LSP, L1_CSNP, L1_PSNP]),
            Proto::IsisL2 => return self.pdus(&[PTP_IIH, L2_IIH, L2_LSP, L2_CSNP, L2_PSNP]),
            Proto::IsisIih => return self.pdus(&[L2_IIH, L1_IIH, PTP_IIH]),
            Proto::IsisLsp => return self.pdus(&[L2_LSP, L1_LSP]),
            Proto::IsisSnp => return self.pdus(&[L2_CSNP, L1_CSNP, L1_PSNP, L2_PSNP]),
            Proto::IsisCsnp => return self.pdus(&[L2_CSNP, L1_CSNP]),
            Proto::IsisPsnp => return self.pdus(&[L2_PSNP, L1_PSNP]),
            Proto::Tcp => (TCP, None),
            Proto::Udp => (UDP, None),
            Proto::Sctp => (SCTP, None),
            Proto::Icmp => (1, Some(Proto::Ip)),
            Proto::Igmp => (2, Some(Proto::Ip)),
            Proto::Igrp => (9, Some(Proto::Ip)),
            Proto::Pim => (103, None),
            Proto::Vrrp | Proto::Carp => (112, Some(Proto::Ip)),
            Proto::Icmp6 => (58, Some(Proto::Ip6)),
            Proto::Ah => (51, None),
            Proto::Esp => (50, None),
            Proto::Esis => (ESIS, Some(Proto::Iso)),
            Proto::Isis => (ISIS, Some(Proto::Iso)),
            Proto::Clnp => (CLNP, Some(Proto::Iso)),
            Proto::Link | Proto::Radio => {
                let text = format!("'{}' cannot be used as an abbreviation", proto.word());
                return Err(FilterError::new(text));
            }
        };
        self.protocol(number, over)
    }

    /// Any of some IS-IS PDUs; each is tested before those that come before it in the list.
    fn pdus(&mut self, types: &[u32]) -> Generated<Cond> {
        let mut any = None;
        for pdu in types {
            let pdu = self.protocol(*pdu, Some(Proto::Isis))?;
            any = Some(match any {
                Some(rest) => self.graph.or(pdu, rest),
                None => pdu,
            });
        }
        any.ok_or_else(FilterError::syntax)
    }

    /// `PROTO proto NUMBER`
    pub(super) fn protocol(&mut self, number: u32, over: Option<Proto>) -> Generated<Cond> {
        match over {
            None => {
                let v4 = self.protocol(number, Some(Proto::Ip))?;
                let v6 = self.protocol(number, Some(Proto::Ip6))?;
                Ok(self.graph.or(v4, v6))
            }
            Some(Proto::Link) => self.link_type(number),
            Some(Proto::Ip) => {
                limit("protocol number", number, 0xff)?;
                let typed = self.link_type(ether::IP)?;
                let next = self.equal(Base::Network, 9, B, number)?;
                Ok(self.graph.and(typed, next))
            }
            Some(Proto::Ip6) => {
                limit("protocol number", number, 0xff)?;
                let typed = self.link_type(ether::IP6)?;
                let fragment = self.equal(Base::Network, 6, B, FRAGMENT)?;
                let behind = self.equal(Base::Network, 40, B, number)?;
                let behind = self.graph.and(fragment, behind);
                let next = self.equal(Base::Network, 6, B, number)?;
                let either = self.graph.or(next, behind);
                Ok(self.graph.and(typed, either))
            }
            Some(Proto::Iso) => self.osi(number),
            Some(Proto::Isis) => {
                limit("IS-IS PDU type", number, PDU_TYPE_MASK)?;
                let isis = self.osi(ISIS)?;
                let offset = if self.is_cisco_hdlc() { 5 } else { 4 };
                let pdu = self.masked(Base::NetworkNoSnap, offset, B, number, PDU_TYPE_MASK)?;
                Ok(self.graph.and(isis, pdu))
            }
            Some(other) => Err(invalid_qualifier(other.word(), "proto")),
        }
    }

    fn osi(&mut self, number: u32) -> Generated<Cond> {
        limit("ISO protocol", number, 0xff)?;
        if self.layout.link_type == link::FRELAY {
            return self.equal(Base::Link, 2, H, 0x0300 | number);
        }
        // Cisco's HDLC has a type of its own for OSI and one byte more in front of the identifier.
        let (point, offset) =
            if self.is_cisco_hdlc() { (sap::ISO << 8 | sap::ISO, 1) } else { (sap::ISO, 0) };
        let typed = self.link_type(point)?;
        let identified = self.equal(Base::NetworkNoSnap, offset, B, number)?;
        Ok(self.graph.and(typed, identified))
    }

    fn is_cisco_hdlc(&self) -> bool {
        matches!(self.layout.link_type, link::C_HDLC | link::HDLC)
    }

    /// The number of a protocol that is named.
    pub(super) fn protocol_number(
        &self,
        name: &str,
        over: Option<Proto>,
        kind: Kind,
    ) -> Generated<u32> {
        let number = match over {
            None | Some(Proto::Ip | Proto::Ip6) => {
                names::protocol(self.options.names, name).map(u32::from)
            }
            Some(Proto::Link) => {
                ETHER_NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
            }
            Some(Proto::Iso) => match name {
                "esis" => Some(ESIS),
                "isis" => Some(ISIS),
                "clnp" => Some(CLNP),
                _ => None,
            },
            _ => None,
        };
        number.ok_or_else(|| {
            let over = over.map_or(String::new(), |over| format!("{} ", over.word()));
            FilterError::new(format!("unknown '{over}{}' value '{name}'", kind.word()))
        })
    }
}
