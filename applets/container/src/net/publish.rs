//! NAT and published ports: the table `box`.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;

use box_kit::Failure;
use box_sys::nftables::{Expression, Hook, REGISTER, Transaction, has_table};
use serde::{Deserialize, Serialize};

const TABLE: &str = "box";
/// (address, protocol, port) to (address, port).
const AT_ADDRESS: &str = "published-at";
/// (protocol, port) to (address, port): on every address of the machine.
const ANYWHERE: &str = "published";

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The machine's address; `0.0.0.0` for all of them.
    pub host_address: Ipv4Addr,
    pub host_port: u16,
    pub container_port: u16,
    pub protocol: Protocol,
}

impl Port {
    /// Whether both want the same port of the machine.
    pub fn conflicts(&self, other: &Port) -> bool {
        let any = self.host_address.is_unspecified() || other.host_address.is_unspecified();
        self.protocol == other.protocol
            && self.host_port == other.host_port
            && (any || self.host_address == other.host_address)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Port { host_address, host_port, container_port, protocol } = self;
        write!(f, "{host_address}:{host_port}->{container_port}/{protocol}")
    }
}

/// Parses `[ADDRESS:][HOST[-HOST]:]CONTAINER[-CONTAINER][/tcp|udp]`. A host port of 0 asks for a
/// free one.
pub fn parse_ports(text: &str) -> Result<Vec<Port>, Failure> {
    let bad = |why: &str| Failure::new(why.to_owned()).about(format!("invalid publish {text:?}"));
    let (rest, protocol) = match text.rsplit_once('/') {
        None => (text, Protocol::Tcp),
        Some((rest, "tcp")) => (rest, Protocol::Tcp),
        Some((rest, "udp")) => (rest, Protocol::Udp),
        Some((_, other)) => return Err(bad(&format!("unknown protocol {other:?}"))),
    };
    if rest.contains('[') {
        return Err(bad("IPv6 addresses cannot be published on yet"));
    }
    let mut parts = rest.rsplitn(3, ':');
    let container = range(parts.next().unwrap_or(""), false).ok_or_else(|| bad("no port"))?;
    let host = match parts.next() {
        None | Some("") => (0, 0),
        Some(host) => range(host, true).ok_or_else(|| bad("no port"))?,
    };
    let host_address = match parts.next() {
        None | Some("") => Ipv4Addr::UNSPECIFIED,
        Some("localhost") => Ipv4Addr::LOCALHOST,
        Some(address) => address.parse().map_err(|_| bad("no IPv4 address"))?,
    };
    let count = container.1 - container.0;
    if host != (0, 0) && host.1 - host.0 != count {
        return Err(bad("the ranges differ in length"));
    }
    let port = |offset: u16| Port {
        host_address,
        host_port: if host.0 == 0 { 0 } else { host.0 + offset },
        container_port: container.0 + offset,
        protocol,
    };
    Ok((0..=count).map(port).collect())
}

fn range(text: &str, zero: bool) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.parse::<u16>().ok()?, high.parse::<u16>().ok()?);
    (low <= high && (zero || low > 0)).then_some((low, high))
}

/// The key of a port in its map: fields of four bytes each.
fn key(port: &Port) -> Vec<u8> {
    let mut key = Vec::new();
    if !port.host_address.is_unspecified() {
        key.extend(port.host_address.octets());
    }
    key.extend([port.protocol.number(), 0, 0, 0]);
    let [high, low] = port.host_port.to_be_bytes();
    key.extend([high, low, 0, 0]);
    key
}

fn map(port: &Port) -> &'static str {
    if port.host_address.is_unspecified() { ANYWHERE } else { AT_ADDRESS }
}

/// Sends the machine's ports to a container.
pub fn publish(container: Ipv4Addr, ports: &[Port]) -> Result<(), Failure> {
    if ports.is_empty() {
        return Ok(());
    }
    for port in ports {
        refuse_taken(port)?;
    }
    match elements(container, ports).commit() {
        // Left by a container that nobody has cleaned up: the lease says that the port is ours.
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
            withdraw(ports);
            elements(container, ports).commit()
        }
        outcome => outcome,
    }
    .map_err(Failure::os(named(ports)))
}

/// The change that publishes them all.
fn elements(container: Ipv4Addr, ports: &[Port]) -> Transaction {
    let mut transaction = Transaction::new();
    for port in ports {
        let mut value = container.octets().to_vec();
        let [high, low] = port.container_port.to_be_bytes();
        value.extend([high, low, 0, 0]);
        transaction.add_element(TABLE, map(port), &key(port), &value);
    }
    transaction
}

fn named(ports: &[Port]) -> String {
    let names = ports.iter().map(|port| format!("{}:{}", port.host_address, port.host_port));
    names.collect::<Vec<_>>().join(", ")
}

/// A port that a program of the machine listens on would be taken away from it.
fn refuse_taken(port: &Port) -> Result<(), Failure> {
    let at = (port.host_address, port.host_port);
    let outcome = match port.protocol {
        Protocol::Tcp => std::net::TcpListener::bind(at).map(drop),
        Protocol::Udp => std::net::UdpSocket::bind(at).map(drop),
    };
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(Failure::new("port is already allocated")
                .about(format!("{}:{}", port.host_address, port.host_port)))
        }
        Err(error) => Err(Failure::os(format!("{}:{}", port.host_address, port.host_port))(error)),
        Ok(()) => Ok(()),
    }
}

/// Gives a host port to each that asks for a free one.
pub fn choose_host_ports(ports: &mut [Port]) -> Result<(), Failure> {
    for port in ports.iter_mut().filter(|port| port.host_port == 0) {
        let at = (port.host_address, 0);
        let bound = match port.protocol {
            Protocol::Tcp => std::net::TcpListener::bind(at).and_then(|bound| bound.local_addr()),
            Protocol::Udp => std::net::UdpSocket::bind(at).and_then(|bound| bound.local_addr()),
        };
        port.host_port = bound.map_err(Failure::os("a free port"))?.port();
    }
    Ok(())
}

/// Takes the ports back, one by one: some may be gone already.
pub fn withdraw(ports: &[Port]) {
    for port in ports {
        let mut transaction = Transaction::new();
        transaction.delete_element(TABLE, map(port), &key(port));
        let _ = transaction.commit();
    }
}

/// A device name as the kernel compares it.
fn padded(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    bytes
}

/// Makes the table with its rules, unless it is there.
pub fn ensure_table(bridge: &str, network: Ipv4Addr, prefix: u8) -> Result<(), Failure> {
    let about = "nf_tables";
    let advice = "the bridge network needs a kernel with nf_tables and its nat modules\n\
                  try: --network host, or --network none";
    let failed = |error| Failure::os(about)(error).advise(advice);
    if has_table(TABLE).map_err(failed)? {
        return Ok(());
    }
    match table(bridge, network, prefix).commit() {
        // Another start has made it meanwhile.
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        outcome => outcome.map_err(failed),
    }
}

/// Priorities of the hooks (linux/netfilter_ipv4.h).
const RAW: i32 = -300;
const DESTINATION: i32 = -100;
const SOURCE: i32 = 100;
/// `IPS_DST_NAT`: the connection's destination has been changed.
const DESTINATION_CHANGED: u32 = 1 << 5;
/// `RTN_LOCAL`.
const LOCAL: u32 = 2;

fn table(bridge: &str, network: Ipv4Addr, prefix: u8) -> Transaction {
    let mut batch = Transaction::new();
    batch.add_table(TABLE);
    batch.add_map(TABLE, AT_ADDRESS, 12, 8).add_map(TABLE, ANYWHERE, 8, 8);
    batch.add_chain(TABLE, "raw", "filter", Hook::Prerouting, RAW);
    batch.add_chain(TABLE, "prerouting", "nat", Hook::Prerouting, DESTINATION);
    batch.add_chain(TABLE, "output", "nat", Hook::Output, DESTINATION);
    batch.add_chain(TABLE, "postrouting", "nat", Hook::Postrouting, SOURCE);
    for chain in ["prerouting", "output"] {
        destination_rules(&mut batch, chain);
    }
    let name = padded(bridge);
    let loopback = [Ipv4Addr::LOCALHOST.octets()[0]];
    batch.add_rule(
        TABLE,
        "raw",
        &[
            Expression::InputName { register: REGISTER },
            Expression::Equal { register: REGISTER, value: &name },
            Expression::NetworkHeader { register: REGISTER, offset: 16, length: 1 },
            Expression::Equal { register: REGISTER, value: &loopback },
            Expression::Drop,
        ],
    );
    let mask = (u32::MAX << (32 - u32::from(prefix))).to_be_bytes();
    let network = network.octets();
    let from_network = [
        Expression::NetworkHeader { register: REGISTER, offset: 12, length: 4 },
        Expression::Mask { register: REGISTER, mask: &mask },
        Expression::Equal { register: REGISTER, value: &network },
    ];
    let leaving = [
        Expression::OutputName { register: REGISTER },
        Expression::Different { register: REGISTER, value: &name },
        Expression::Masquerade,
    ];
    batch.add_rule(TABLE, "postrouting", &[&from_network[..], &leaving[..]].concat());
    // A container that calls itself by the machine's address, and the machine by 127.0.0.1, must
    // get their answers by way of the bridge.
    let changed = DESTINATION_CHANGED.to_ne_bytes();
    let published = [
        Expression::OutputName { register: REGISTER },
        Expression::Equal { register: REGISTER, value: &name },
        Expression::ConnectionStatus { register: REGISTER },
        Expression::Mask { register: REGISTER, mask: &changed },
        Expression::Different { register: REGISTER, value: &[0; 4] },
        Expression::Masquerade,
    ];
    batch.add_rule(TABLE, "postrouting", &[&from_network[..], &published[..]].concat());
    let from_loopback = [
        Expression::NetworkHeader { register: REGISTER, offset: 12, length: 1 },
        Expression::Equal { register: REGISTER, value: &loopback },
    ];
    batch.add_rule(TABLE, "postrouting", &[&from_loopback[..], &published[..]].concat());
    batch
}

fn destination_rules(batch: &mut Transaction, chain: &str) {
    batch.add_rule(
        TABLE,
        chain,
        &[
            Expression::NetworkHeader { register: REGISTER, offset: 16, length: 4 },
            Expression::Protocol { register: REGISTER + 1 },
            Expression::TransportHeader { register: REGISTER + 2, offset: 2, length: 2 },
            Expression::Lookup { map: AT_ADDRESS, register: REGISTER },
            Expression::DestinationNat { address: REGISTER, port: REGISTER + 1 },
        ],
    );
    let local = LOCAL.to_ne_bytes();
    batch.add_rule(
        TABLE,
        chain,
        &[
            Expression::DestinationKind { register: REGISTER },
            Expression::Equal { register: REGISTER, value: &local },
            Expression::Protocol { register: REGISTER },
            Expression::TransportHeader { register: REGISTER + 1, offset: 2, length: 2 },
            Expression::Lookup { map: ANYWHERE, register: REGISTER },
            Expression::DestinationNat { address: REGISTER, port: REGISTER + 1 },
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        parse_ports(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ports_are_published_in_every_form() {
        assert_eq!(shown("80"), ["0.0.0.0:0->80/tcp"]);
        assert_eq!(shown("8080:80"), ["0.0.0.0:8080->80/tcp"]);
        assert_eq!(shown("127.0.0.1:8080:80/udp"), ["127.0.0.1:8080->80/udp"]);
        assert_eq!(shown("127.0.0.1::80"), ["127.0.0.1:0->80/tcp"]);
        assert_eq!(shown("90-91:80-81"), ["0.0.0.0:90->80/tcp", "0.0.0.0:91->81/tcp"]);
    }

    #[test]
    fn a_publish_that_is_none_is_refused() {
        for text in ["", "x", "0", "80:", "70000", "1-2:3", "80/sctp", "x:1:2", "[::1]:1:2"] {
            assert!(parse_ports(text).is_err(), "{text}");
        }
    }
}
