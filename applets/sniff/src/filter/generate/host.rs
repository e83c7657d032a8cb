//! `host`, `net` and `gateway`: addresses of the network layer, and identifiers of every kind.

use super::graph::Cond;
use super::layout::NOT_SET;
use super::link_type::ether;
use super::load::Base;
use super::{Generated, Generator, invalid_qualifier, limit};
use crate::filter::FilterError;
use crate::filter::lex::parse_number;
use crate::filter::program::op::{B, H, W};
use crate::filter::syntax::{Dir, Id, Kind, Proto, Qualifiers};
use std::net::{IpAddr, Ipv6Addr};

/// What the text of an address was, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Host,
    Net,
    Prefix,
}

impl Generator<'_> {
    /// A qualified identifier of any kind.
    pub(super) fn identifier(
        &mut self,
        id: &Id,
        qualifiers: Option<Qualifiers>,
    ) -> Generated<Cond> {
        let Some(q) = qualifiers else {
            return Err(FilterError::new("syntax error in filter expression"));
        };
        match id {
            Id::Name(name) => self.name(name, q),
            Id::Number(number) => self.number(*number, q),
            Id::Dotted(text) => self.dotted(text, q),
            Id::DottedPrefix(text, bits) => {
                refuse_kinds(q, "IPv4 address and prefix length")?;
                limit("netmask length", *bits, 32)?;
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                self.masked_network(text, mask, q, &format!("{text}/{bits}"))
            }
            Id::DottedMask(text, mask_text) => {
                refuse_kinds(q, "IPv4 address and netmask")?;
                let (mask, bits) = ipv4(mask_text)?;
                let mask = mask << (32 - bits);
                self.masked_network(text, mask, q, &format!("{text} mask {mask_text}"))
            }
            Id::V6(address, text, bits) => self.v6(*address, text, *bits, q),
            Id::Mac(address) => {
                if !matches!(q.kind, None | Some(Kind::Host)) || q.proto != Some(Proto::Link) {
                    let text = "Ethernet address used in non-ether expression";
                    return Err(FilterError::new(text));
                }
                self.mac48(*address, q.dir, "link host XX:XX:XX:XX:XX:XX")
            }
            Id::Mac8(address) => {
                if let Some(kind) = q.kind.filter(|kind| *kind != Kind::Host) {
                    return Err(invalid_qualifier(kind.word(), "$XX"));
                }
                if q.proto != Some(Proto::Link) {
                    let text = "'link' is the only valid proto qualifier for 'host $XX'";
                    return Err(FilterError::new(text));
                }
                self.mac8(*address, q.dir, "link host $XX")
            }
        }
    }

    fn name(&mut self, name: &str, q: Qualifiers) -> Generated<Cond> {
        if q.proto == Some(Proto::Decnet) {
            return Err(invalid_qualifier("decnet", q.kind.unwrap_or(Kind::Host).word()));
        }
        match q.kind {
            Some(Kind::Net) => {
                let number = self.options.names.network(name).filter(|number| *number != 0);
                let unknown = || FilterError::new(format!("unknown network '{name}'"));
                let (address, mask) = left_justified(number.ok_or_else(unknown)?);
                self.ipv4(address, mask, q.proto, q.dir, Form::Net)
            }
            None | Some(Kind::Host) if q.proto == Some(Proto::Link) => {
                self.mac48_by_name(name, q.dir, "link host NAME")
            }
            None | Some(Kind::Host) => {
                let untyped = self.layout.type_field.constant == NOT_SET && q.proto.is_none();
                // Without a type field there is no ARP to look into.
                let (v4, v6) =
                    if untyped { (Some(Proto::Ip), Some(Proto::Ip6)) } else { (q.proto, q.proto) };
                self.host_by_name(name, v4, v6, q.dir)
            }
            Some(Kind::Port) => self.port_by_name(name, q),
            Some(Kind::PortRange) => self.port_range_by_name(name, q),
            Some(Kind::Gateway) => self.gateway(name, q.proto),
            Some(kind @ Kind::Proto) => {
                let number = self.protocol_number(name, q.proto, kind)?;
                self.protocol(number, q.proto)
            }
            Some(kind @ Kind::ProtoChain) => {
                let number = self.protocol_number(name, q.proto, kind)?;
                self.protochain(number, q.proto)
            }
        }
    }

    fn number(&mut self, number: u32, q: Qualifiers) -> Generated<Cond> {
        if q.proto == Some(Proto::Decnet) {
            if let Some(kind) = q.kind.filter(|kind| *kind != Kind::Host) {
                return Err(invalid_qualifier("decnet", kind.word()));
            }
            return Err(FilterError::new(format!("invalid DECnet address '{number}'")));
        }
        match q.kind {
            None | Some(Kind::Host | Kind::Net) if q.proto == Some(Proto::Link) => {
                Err(FilterError::new(format!("illegal link-layer address '{number}'")))
            }
            None | Some(Kind::Host) => self.ipv4(number, u32::MAX, q.proto, q.dir, Form::Host),
            Some(Kind::Net) => {
                let (address, mask) = left_justified(number);
                self.ipv4(address, mask, q.proto, q.dir, Form::Net)
            }
            Some(Kind::Port) => self.port(number, q),
            Some(Kind::PortRange) => self.port_range(number, q),
            Some(Kind::Gateway) => Err(invalid_qualifier("gateway", &number.to_string())),
            Some(Kind::Proto) => self.protocol(number, q.proto),
            Some(Kind::ProtoChain) => self.protochain(number, q.proto),
        }
    }

    fn dotted(&mut self, text: &str, q: Qualifiers) -> Generated<Cond> {
        refuse_kinds(q, "IPv4 address")?;
        if q.proto == Some(Proto::Decnet) {
            if let Some(kind) = q.kind.filter(|kind| *kind != Kind::Host) {
                return Err(invalid_qualifier("decnet", kind.word()));
            }
            let address = decnet(text)
                .ok_or_else(|| FilterError::new(format!("invalid DECnet address '{text}'")))?;
            let typed = self.link_type(ether::DECNET)?;
            let addressed = self.decnet_address(address, q.dir)?;
            return Ok(self.graph.and(typed, addressed));
        }
        let (address, bits) = ipv4(text)?;
        let form = match q.kind {
            Some(Kind::Gateway) => return Err(invalid_qualifier("gateway", text)),
            _ if q.proto == Some(Proto::Link) => {
                return Err(FilterError::new(format!("illegal link-layer address '{text}'")));
            }
            Some(Kind::Net) => Form::Net,
            _ => Form::Host,
        };
        let unused = 32 - bits;
        self.ipv4(address << unused, u32::MAX << unused, q.proto, q.dir, form)
    }

    fn masked_network(
        &mut self,
        text: &str,
        mask: u32,
        q: Qualifiers,
        whole: &str,
    ) -> Generated<Cond> {
        if q.proto == Some(Proto::Decnet) {
            return Err(invalid_qualifier("decnet", q.kind.unwrap_or(Kind::Host).word()));
        }
        let (address, bits) = ipv4(text)?;
        let address = address << (32 - bits);
        match q.kind {
            Some(Kind::Net) => {}
            None => return Err(invalid_qualifier("host", whole)),
            Some(kind) => return Err(invalid_qualifier(kind.word(), whole)),
        }
        if address & !mask != 0 {
            return Err(FilterError::new(format!("non-network bits set in \"{whole}\"")));
        }
        self.ipv4(address, mask, q.proto, q.dir, Form::Prefix)
    }

    fn v6(
        &mut self,
        address: Ipv6Addr,
        text: &str,
        bits: Option<u32>,
        q: Qualifiers,
    ) -> Generated<Cond> {
        let what = if bits.is_some() { "IPv6 address and prefix length" } else { "IPv6 address" };
        refuse_kinds(q, what)?;
        let length = bits.unwrap_or(128);
        limit("netmask length", length, 128)?;
        let whole = if bits.is_some() { format!("{text}/{length}") } else { text.to_owned() };
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        if u128::from(address) & !mask != 0 {
            return Err(FilterError::new(format!("non-network bits set in \"{whole}\"")));
        }
        match q.kind {
            Some(Kind::Net) => self.ipv6(address, mask, q.proto, q.dir, Form::Net),
            None | Some(Kind::Host) if length == 128 => {
                self.ipv6(address, mask, q.proto, q.dir, Form::Host)
            }
            kind => Err(invalid_qualifier(kind.unwrap_or(Kind::Host).word(), &whole)),
        }
    }

    /// An IPv4 address or network, in IPv4, ARP and RARP.
    fn ipv4(
        &mut self,
        address: u32,
        mask: u32,
        proto: Option<Proto>,
        dir: Option<Dir>,
        form: Form,
    ) -> Generated<Cond> {
        let (number, source, destination) = match proto {
            None => {
                let ip = self.ipv4(address, mask, Some(Proto::Ip), dir, form)?;
                if self.layout.mpls_depth > 0 {
                    return Ok(ip);
                }
                let arp = self.ipv4(address, mask, Some(Proto::Arp), dir, form)?;
                let either = self.graph.or(ip, arp);
                let rarp = self.ipv4(address, mask, Some(Proto::Rarp), dir, form)?;
                return Ok(self.graph.or(either, rarp));
            }
            Some(Proto::Ip) => (ether::IP, 12, 16),
            Some(Proto::Arp) => (ether::ARP, 14, 24),
            Some(Proto::Rarp) => (ether::REVARP, 14, 24),
            Some(other) => {
                let what = match form {
                    Form::Host => "host <IPv4 address>",
                    Form::Net => "net <IPv4 address>",
                    Form::Prefix => "net <IPv4 prefix>",
                };
                return Err(invalid_qualifier(other.word(), what));
            }
        };
        let typed = self.link_type(number)?;
        if mask == 0 && address == 0 {
            return Ok(typed);
        }
        let addressed = self.in_direction(dir, source, destination, &|generator, offset| {
            generator.masked(Base::Network, offset, W, address, mask)
        })?;
        Ok(self.graph.and(typed, addressed))
    }

    fn ipv6(
        &mut self,
        address: Ipv6Addr,
        mask: u128,
        proto: Option<Proto>,
        dir: Option<Dir>,
        form: Form,
    ) -> Generated<Cond> {
        if let Some(other) = proto.filter(|proto| *proto != Proto::Ip6) {
            let what = match form {
                Form::Host => "host <IPv6 address>",
                Form::Net | Form::Prefix => "net <IPv6 prefix>",
            };
            return Err(invalid_qualifier(other.word(), what));
        }
        let typed = self.link_type(ether::IP6)?;
        let address = u128::from(address);
        if mask == 0 && address == 0 {
            return Ok(typed);
        }
        let addressed = self.in_direction(dir, 8, 24, &|generator, offset| {
            let mut words = None;
            for at in (0..4).rev() {
                let shift = 96 - 32 * at;
                let (value, mask) = ((address >> shift) as u32, (mask >> shift) as u32);
                if mask == 0 {
                    continue;
                }
                let word = generator.masked(Base::Network, offset + 4 * at, W, value, mask)?;
                words = Some(match words {
                    Some(rest) => generator.graph.and(word, rest),
                    None => word,
                });
            }
            Ok(words.unwrap_or_else(|| generator.graph.constant(true)))
        })?;
        Ok(self.graph.and(typed, addressed))
    }

    /// One test at the source offset, the destination offset, or both, as the direction says.
    pub(super) fn in_direction(
        &mut self,
        dir: Option<Dir>,
        source: u32,
        destination: u32,
        test: &dyn Fn(&mut Self, u32) -> Generated<Cond>,
    ) -> Generated<Cond> {
        match dir {
            Some(Dir::Src) => test(self, source),
            Some(Dir::Dst) => test(self, destination),
            Some(Dir::SrcAndDst) => {
                let (source, destination) = (test(self, source)?, test(self, destination)?);
                Ok(self.graph.and(source, destination))
            }
            None | Some(Dir::SrcOrDst) => {
                let (source, destination) = (test(self, source)?, test(self, destination)?);
                Ok(self.graph.or(source, destination))
            }
            Some(other) => {
                let text = format!("'{}' is valid for 802.11 syntax only", other.word());
                Err(FilterError::new(text))
            }
        }
    }

    /// A host's IPv4 addresses under one qualifier and its IPv6 addresses under another.
    fn host_by_name(
        &mut self,
        name: &str,
        v4: Option<Proto>,
        v6: Option<Proto>,
        dir: Option<Dir>,
    ) -> Generated<Cond> {
        let addresses = self.options.names.host(name);
        if addresses.is_empty() {
            return Err(FilterError::new(format!("unknown host '{name}'")));
        }
        let mut conds = Vec::new();
        for address in &addresses {
            if let IpAddr::V4(address) = address
                && v4 != Some(Proto::Ip6)
            {
                conds.push(self.ipv4((*address).into(), u32::MAX, v4, dir, Form::Host)?);
            }
        }
        for address in &addresses {
            if let IpAddr::V6(address) = address
                && !matches!(v6, Some(Proto::Ip | Proto::Arp | Proto::Rarp))
            {
                conds.push(self.ipv6(*address, u128::MAX, v6, dir, Form::Host)?);
            }
        }
        if conds.is_empty() {
            let family = if v4.is_none() { "" } else { " for specified address family" };
            return Err(FilterError::new(format!("unknown host '{name}'{family}")));
        }
        self.either(conds)
    }

    /// Packets through a gateway: its MAC address, but not its IP addresses.
    fn gateway(&mut self, name: &str, proto: Option<Proto>) -> Generated<Cond> {
        if let Some(other) = proto
            && !matches!(other, Proto::Ip | Proto::Arp | Proto::Rarp)
        {
            return Err(invalid_qualifier(other.word(), "gateway"));
        }
        if self.layout.mpls_depth > 0 {
            return Err(FilterError::new("'gateway' cannot be used within MPLS"));
        }
        let both = Some(Dir::SrcOrDst);
        let mac = self.mac48_by_name(name, both, "gateway")?;
        let host = self.host_by_name(name, proto, Some(Proto::Ip), both)?.negated();
        Ok(self.graph.and(mac, host))
    }

    /// A DECnet node in a data packet with a long or short header, behind no or one byte of
    /// padding. Two bytes of length come first; addresses are little-endian.
    fn decnet_address(&mut self, address: u32, dir: Option<Dir>) -> Generated<Cond> {
        let address = u32::from((address as u16).swap_bytes());
        // The offsets name the direction: 1 and 3 are those in the short header.
        self.in_direction(dir, 3, 1, &|g, short| {
            let long = if short == 1 { 7 } else { 15 };
            let padded = g.masked(Base::Network, 2, H, 0x8106, 0xff07)?;
            let node = g.equal(Base::Network, 3 + long, H, address)?;
            let padded_long = g.graph.and(padded, node);
            let plain = g.masked(Base::Network, 2, B, 0x06, 0x07)?;
            let node = g.equal(Base::Network, 2 + long, H, address)?;
            let plain_long = g.graph.and(plain, node);
            let mut any = g.graph.or(plain_long, padded_long);
            let padded_short = if short == 1 {
                g.masked(Base::Network, 2, W, 0x8102_0000 | address, 0xff07_ffff)?
            } else {
                let padded = g.masked(Base::Network, 2, H, 0x8102, 0xff07)?;
                let node = g.equal(Base::Network, 3 + short, H, address)?;
                g.graph.and(padded, node)
            };
            any = g.graph.or(padded_short, any);
            let plain_short = if short == 1 {
                g.masked(Base::Network, 2, W, 0x0200_0000 | address << 8, 0x07ff_ff00)?
            } else {
                let plain = g.masked(Base::Network, 2, B, 0x02, 0x07)?;
                let node = g.equal(Base::Network, 2 + short, H, address)?;
                g.graph.and(plain, node)
            };
            Ok(g.graph.or(plain_short, any))
        })
    }
}

/// Kinds that take no address.
fn refuse_kinds(q: Qualifiers, what: &str) -> Generated<()> {
    match q.kind {
        Some(kind @ (Kind::Port | Kind::PortRange | Kind::Proto | Kind::ProtoChain)) => {
            let text = format!("'{}' qualifier applied to {what}", kind.word());
            Err(FilterError::new(text))
        }
        _ => Ok(()),
    }
}

/// A network number moved to the left, and the mask of what it says: 10 is 10.0.0.0/8.
fn left_justified(mut number: u32) -> (u32, u32) {
    let mut mask = u32::MAX;
    while number != 0 && number & 0xff00_0000 == 0 {
        number <<= 8;
        mask <<= 8;
    }
    (number, mask)
}

/// One to four decimal octets, and how many bits they are.
fn ipv4(text: &str) -> Generated<(u32, u32)> {
    let mut address = 0;
    let mut bits = 0;
    for part in text.split('.') {
        let octet = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u8>());
        let Some(Ok(octet)) = octet else {
            return Err(FilterError::new(format!("invalid IPv4 address '{text}'")));
        };
        address = address << 8 | u32::from(octet);
        bits += 8;
    }
    Ok((address, bits))
}

/// `AREA.NODE`: 6 and 10 bits.
fn decnet(text: &str) -> Option<u32> {
    let (area, node) = text.split_once('.')?;
    let (area, node) = (parse_number(area).ok()?, parse_number(node).ok()?);
    (area < 64 && node < 1024).then_some(area << 10 | node)
}
