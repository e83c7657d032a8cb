//! Names in expressions: the trait that the compiler asks, and a table of the well-known ones.

use std::net::IpAddr;

/// A transport protocol, where a service name may mean different ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Looks names up for the compiler, which does no I/O of its own. Every method may say "unknown";
/// protocols and a few services are then taken from the well-known ones.
pub trait Names {
    /// The addresses of a host.
    fn host(&self, name: &str) -> Vec<IpAddr>;
    /// A network's number as networks(5) holds it: `10` is 10, not 10.0.0.0.
    fn network(&self, name: &str) -> Option<u32>;
    /// A service's port over a transport (services(5)).
    fn service(&self, name: &str, transport: Transport) -> Option<u16>;
    /// An IP protocol's number (protocols(5)).
    fn protocol(&self, name: &str) -> Option<u8>;
    /// A host's Ethernet address (ethers(5)).
    fn ether(&self, name: &str) -> Option<[u8; 6]>;
}

/// Knows no name beyond the well-known protocols and services.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Names for NoNames {
    fn host(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }
    fn network(&self, _: &str) -> Option<u32> {
        None
    }
    fn service(&self, _: &str, _: Transport) -> Option<u16> {
        None
    }
    fn protocol(&self, _: &str) -> Option<u8> {
        None
    }
    fn ether(&self, _: &str) -> Option<[u8; 6]> {
        None
    }
}

/// IP protocols that are known without protocols(5), which minimal systems do not have.
const PROTOCOLS: &[(&str, u8)] = &[
    ("ip", 0),
    ("hopopt", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ipencap", 4),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("udp", 17),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmp6", 58),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("eigrp", 88),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];

/// Services that are known without services(5), with the transports they are registered for.
const SERVICES: &[(&str, u16, bool, bool)] = &[
    ("ftp-data", 20, true, false),
    ("ftp", 21, true, false),
    ("ssh", 22, true, false),
    ("telnet", 23, true, false),
    ("smtp", 25, true, false),
    ("domain", 53, true, true),
    ("bootps", 67, false, true),
    ("bootpc", 68, false, true),
    ("tftp", 69, false, true),
    ("http", 80, true, false),
    ("pop3", 110, true, false),
    ("sunrpc", 111, true, true),
    ("ntp", 123, false, true),
    ("imap2", 143, true, false),
    ("snmp", 161, true, true),
    ("snmp-trap", 162, true, true),
    ("bgp", 179, true, false),
    ("ldap", 389, true, true),
    ("https", 443, true, true),
    ("syslog", 514, false, true),
    ("imaps", 993, true, false),
    ("nfs", 2049, true, true),
    ("mysql", 3306, true, false),
    ("postgresql", 5432, true, false),
];

/// The number of a protocol: the caller's, else the well-known one.
pub(crate) fn protocol(names: &dyn Names, name: &str) -> Option<u8> {
    names
        .protocol(name)
        .or_else(|| PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number))
}

/// The port of a service: the caller's, else the well-known one.
pub(crate) fn service(names: &dyn Names, name: &str, transport: Transport) -> Option<u16> {
    names.service(name, transport).or_else(|| {
        let (_, port, tcp, udp) = SERVICES.iter().find(|(known, ..)| *known == name)?;
        match transport {
            Transport::Tcp => tcp.then_some(*port),
            Transport::Udp => udp.then_some(*port),
            Transport::Sctp => None,
        }
    })
}
