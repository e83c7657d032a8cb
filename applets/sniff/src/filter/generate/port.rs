//! `port` and `portrange`: TCP, UDP and SCTP over IPv4 and IPv6.

use super::graph::Cond;
use super::link_type::ether;
use super::load::Base;
use super::{Generated, Generator, invalid_qualifier, limit};
use crate::filter::FilterError;
use crate::filter::lex::{NumberError, parse_number};
use crate::filter::names::{Transport, service};
use crate::filter::program::op::{B, H, JGE, JSET};
use crate::filter::syntax::{Dir, Proto, Qualifiers};

/// IP protocol numbers of the transports.
pub(super) const TCP: u32 = 6;
pub(super) const UDP: u32 = 17;
pub(super) const SCTP: u32 = 132;

/// The version of IP that carries the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    V4,
    V6,
}

impl Carrier {
    pub(super) fn transport(self) -> Base {
        match self {
            Carrier::V4 => Base::Transport4,
            Carrier::V6 => Base::Transport6,
        }
    }
}

impl Generator<'_> {
    pub(super) fn port(&mut self, number: u32, q: Qualifiers) -> Generated<Cond> {
        let transport = transport(q.proto, "port")?;
        limit("port number", number, 0xffff)?;
        self.ports(number, number, transport, q.dir, "port")
    }

    pub(super) fn port_range(&mut self, number: u32, q: Qualifiers) -> Generated<Cond> {
        let transport = transport(q.proto, "portrange")?;
        limit("port number", number, 0xffff)?;
        self.ports(number, number, transport, q.dir, "portrange")
    }

    pub(super) fn port_by_name(&mut self, name: &str, q: Qualifiers) -> Generated<Cond> {
        transport(q.proto, "port")?;
        let (port, registered) =
            self.service(name).ok_or_else(|| FilterError::new(format!("unknown port '{name}'")))?;
        let transport = agreed(q.proto, registered, &format!("port '{name}'"))?;
        self.ports(port, port, transport, q.dir, "port")
    }

    pub(super) fn port_range_by_name(&mut self, name: &str, q: Qualifiers) -> Generated<Cond> {
        transport(q.proto, "portrange")?;
        let complaint = |what: &str| FilterError::new(format!("port range '{name}' {what}"));
        let (first, last) = name.split_once('-').ok_or_else(|| complaint("contains no hyphen"))?;
        if last.contains('-') {
            return Err(complaint("contains more than one hyphen"));
        }
        if first.is_empty() {
            return Err(complaint("has no starting port"));
        }
        let (first, first_transport) = self.range_end(first)?;
        if last.is_empty() {
            return Err(complaint("has no ending port"));
        }
        let (last, last_transport) = self.range_end(last)?;
        let registered = first_transport.filter(|_| first_transport == last_transport);
        let transport = agreed(q.proto, registered, &format!("port in range '{name}'"))?;
        limit("port number", first, 0xffff)?;
        limit("port number", last, 0xffff)?;
        self.ports(first, last, transport, q.dir, "portrange")
    }

    /// A port by number or name, and the one transport that the name is registered for.
    fn range_end(&self, text: &str) -> Generated<(u32, Option<u32>)> {
        match parse_number(text) {
            Ok(number) => Ok((number, None)),
            Err(error @ NumberError::Overflow(_)) => Err(error.describe(text)),
            Err(_) => self
                .service(text)
                .ok_or_else(|| FilterError::new(format!("'{text}' is not a valid port"))),
        }
    }

    /// A service's port; one that TCP and UDP share has no transport of its own.
    fn service(&self, name: &str) -> Option<(u32, Option<u32>)> {
        let names = self.options.names;
        let tcp = service(names, name, Transport::Tcp).map(u32::from);
        let udp = service(names, name, Transport::Udp).map(u32::from);
        match (tcp, udp) {
            (Some(tcp), Some(udp)) if tcp == udp => Some((tcp, None)),
            (Some(tcp), _) => Some((tcp, Some(TCP))),
            (None, Some(udp)) => Some((udp, Some(UDP))),
            (None, None) => {
                service(names, name, Transport::Sctp).map(|port| (port.into(), Some(SCTP)))
            }
        }
    }

    /// Ports from `first` to `last`, either way round, over IPv6 and IPv4.
    fn ports(
        &mut self,
        first: u32,
        last: u32,
        transport: Option<u32>,
        dir: Option<Dir>,
        word: &str,
    ) -> Generated<Cond> {
        if let Some(dir) = dir
            && !matches!(dir, Dir::Src | Dir::Dst | Dir::SrcOrDst | Dir::SrcAndDst)
        {
            return Err(invalid_qualifier(dir.word(), word));
        }
        let range = (first.min(last), first.max(last));
        let v4 = self.ports_over(Carrier::V4, range, transport, dir)?;
        let v6 = self.ports_over(Carrier::V6, range, transport, dir)?;
        Ok(self.graph.or(v6, v4))
    }

    /// Ports in a range over one version of IP.
    pub(super) fn ports_over(
        &mut self,
        carrier: Carrier,
        (low, high): (u32, u32),
        transport: Option<u32>,
        dir: Option<Dir>,
    ) -> Generated<Cond> {
        let base = carrier.transport();
        let ports = self.in_direction(dir, 0, 2, &|generator, offset| {
            if low == high {
                return generator.equal(base, offset, H, low);
            }
            let field = (base, offset, H);
            let from = generator.compare_masked(field, u32::MAX, (JGE, false), low)?;
            let to = generator.at_most(base, offset, H, high)?;
            Ok(generator.graph.and(from, to))
        })?;
        let next_header = if carrier == Carrier::V4 { 9 } else { 6 };
        let protocols = match transport {
            Some(number) => self.equal(Base::Network, next_header, B, number)?,
            None => {
                let sctp = self.equal(Base::Network, next_header, B, SCTP)?;
                let udp = self.equal(Base::Network, next_header, B, UDP)?;
                let either = self.graph.or(udp, sctp);
                let tcp = self.equal(Base::Network, next_header, B, TCP)?;
                self.graph.or(tcp, either)
            }
        };
        let (transported, number) = match carrier {
            Carrier::V4 => {
                let first = self.first_fragment()?;
                (self.graph.and(protocols, first), ether::IP)
            }
            Carrier::V6 => (protocols, ether::IP6),
        };
        let ported = self.graph.and(transported, ports);
        let typed = self.link_type(number)?;
        Ok(self.graph.and(typed, ported))
    }

    /// An IPv4 packet that is whole or a first fragment, and so has the transport header.
    pub(super) fn first_fragment(&mut self) -> Generated<Cond> {
        let stmts = self.load(Base::Network, 6, H)?;
        Ok(self.graph.test(stmts, super::op::JMP | JSET, 0x1fff).negated())
    }
}

/// The IP protocol that a qualifier names, where it may qualify ports.
fn transport(proto: Option<Proto>, word: &str) -> Generated<Option<u32>> {
    match proto {
        None => Ok(None),
        Some(Proto::Tcp) => Ok(Some(TCP)),
        Some(Proto::Udp) => Ok(Some(UDP)),
        Some(Proto::Sctp) => Ok(Some(SCTP)),
        Some(other) => Err(invalid_qualifier(other.word(), word)),
    }
}

/// The transport that qualifier and registration agree on.
fn agreed(proto: Option<Proto>, registered: Option<u32>, what: &str) -> Generated<Option<u32>> {
    let Some(wanted) = transport(proto, what)? else { return Ok(registered) };
    let name = match registered {
        Some(number) if number != wanted => match number {
            TCP => "tcp",
            UDP => "udp",
            _ => "sctp",
        },
        _ => return Ok(Some(wanted)),
    };
    Err(FilterError::new(format!("{what} is {name}")))
}
