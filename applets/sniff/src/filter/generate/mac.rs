//! MAC addresses, `broadcast` and `multicast`.

use super::graph::Cond;
use super::layout::{has_mac48, is_ethernet, is_wlan, link};
use super::link_type::ether;
use super::load::Base;
use super::{Generated, Generator, invalid_qualifier};
use crate::filter::FilterError;
use crate::filter::program::op::{B, W};
use crate::filter::syntax::{Dir, Proto};

impl Generator<'_> {
    pub(super) fn mac48_by_name(
        &mut self,
        name: &str,
        dir: Option<Dir>,
        what: &str,
    ) -> Generated<Cond> {
        if !has_mac48(self.layout.link_type) {
            return Err(self.unsupported(what));
        }
        let address = self.options.names.ether(name);
        let unknown = || FilterError::new(format!("unknown Ethernet-like host '{name}'"));
        self.mac48(address.ok_or_else(unknown)?, dir, what)
    }

    pub(super) fn mac48(
        &mut self,
        address: [u8; 6],
        dir: Option<Dir>,
        what: &str,
    ) -> Generated<Cond> {
        let (source, destination) = match self.layout.link_type {
            number if is_ethernet(number) => (6, 0),
            number if is_wlan(number) => return self.wlan_address(address, dir),
            link::FDDI => (7, 1),
            link::IEEE802 => (8, 2),
            link::IP_OVER_FC => (10, 2),
            _ => return Err(self.unsupported(what)),
        };
        let outer =
            if is_ethernet(self.layout.link_type) { self.outer_link_check()? } else { None };
        let addressed = self.in_direction(dir, source, destination, &|generator, offset| {
            generator.bytes(Base::Link, offset, &address)
        })?;
        Ok(match outer {
            Some(outer) => self.graph.and(outer, addressed),
            None => addressed,
        })
    }

    pub(super) fn mac8(&mut self, address: u8, dir: Option<Dir>, what: &str) -> Generated<Cond> {
        let (source, destination) = match self.layout.link_type {
            link::ARCNET | link::ARCNET_LINUX => (0, 1),
            link::BACNET_MS_TP => (4, 3),
            _ => return Err(self.unsupported(what)),
        };
        self.in_direction(dir, source, destination, &|generator, offset| {
            generator.equal(Base::Link, offset, B, u32::from(address))
        })
    }

    /// `broadcast`
    pub(super) fn broadcast(&mut self, proto: Option<Proto>) -> Generated<Cond> {
        match proto {
            None | Some(Proto::Link) => match self.layout.link_type {
                link::ARCNET | link::ARCNET_LINUX => self.mac8(0, Some(Dir::Dst), "broadcast"),
                link::BACNET_MS_TP => self.mac8(0xff, Some(Dir::Dst), "broadcast"),
                _ => self.mac48([0xff; 6], Some(Dir::Dst), "broadcast"),
            },
            Some(Proto::Ip) => {
                let Some(netmask) = self.options.netmask else {
                    let text = "netmask not known, so 'ip broadcast' not supported";
                    return Err(FilterError::new(text));
                };
                let typed = self.link_type(ether::IP)?;
                let host = !netmask;
                let zeros = self.masked(Base::Network, 16, W, 0, host)?;
                let ones = self.masked(Base::Network, 16, W, host, host)?;
                let either = self.graph.or(zeros, ones);
                Ok(self.graph.and(typed, either))
            }
            Some(other) => Err(invalid_qualifier(other.word(), "broadcast")),
        }
    }

    /// `multicast`
    pub(super) fn multicast(&mut self, proto: Option<Proto>) -> Generated<Cond> {
        match proto {
            None | Some(Proto::Link) => match self.layout.link_type {
                link::ARCNET | link::ARCNET_LINUX => self.mac8(0, Some(Dir::Dst), "multicast"),
                number if is_ethernet(number) => {
                    let outer = self.outer_link_check()?;
                    let group = self.any_bit(Base::Link, 0, B, 1)?;
                    Ok(match outer {
                        Some(outer) => self.graph.and(outer, group),
                        None => group,
                    })
                }
                link::FDDI => self.any_bit(Base::Link, 1, B, 1),
                link::IEEE802 | link::IP_OVER_FC => self.any_bit(Base::Link, 2, B, 1),
                number if is_wlan(number) => self.wlan_multicast(),
                _ => Err(self.unsupported("multicast")),
            },
            Some(Proto::Ip) => {
                let typed = self.link_type(ether::IP)?;
                let group = self.masked(Base::Network, 16, B, 0xe0, 0xf0)?;
                Ok(self.graph.and(typed, group))
            }
            Some(Proto::Ip6) => {
                let typed = self.link_type(ether::IP6)?;
                let group = self.equal(Base::Network, 24, B, 0xff)?;
                Ok(self.graph.and(typed, group))
            }
            Some(other) => Err(invalid_qualifier(other.word(), "multicast")),
        }
    }
}
