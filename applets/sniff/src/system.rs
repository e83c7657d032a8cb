//! What the filter and the names ask the system: hosts, services, protocols, Ethernet addresses.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::filter;
use crate::filter::Transport;

/// Names in expressions, read from `/etc` and asked of the DNS when they are met.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames;

fn fields(path: &str) -> Vec<Vec<String>> {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// A line whose name or one of whose aliases is `name`.
fn named(line: &[String], name: &str) -> bool {
    line.first().is_some_and(|first| first == name)
        || line.iter().skip(2).any(|alias| alias == name)
}

impl filter::Names for SystemNames {
    fn host(&self, name: &str) -> Vec<IpAddr> {
        box_sys::resolve::host(name).unwrap_or_default()
    }

    fn network(&self, name: &str) -> Option<u32> {
        let line = fields("/etc/networks").into_iter().find(|line| named(line, name))?;
        line.get(1)?
            .split('.')
            .try_fold(0u32, |number, part| Some(number << 8 | part.parse::<u32>().ok()?))
    }

    fn service(&self, name: &str, transport: Transport) -> Option<u16> {
        let wanted = match transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        };
        fields("/etc/services").iter().filter(|line| named(line, name)).find_map(|line| {
            let (port, protocol) = line.get(1)?.split_once('/')?;
            (protocol == wanted).then(|| port.parse().ok())?
        })
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        let line = fields("/etc/protocols").into_iter().find(|line| named(line, name))?;
        line.get(1)?.parse().ok()
    }

    fn ether(&self, name: &str) -> Option<[u8; 6]> {
        let line = fields("/etc/ethers")
            .into_iter()
            .find(|line| line.get(1).is_some_and(|known| known == name))?;
        let mut address = [0; 6];
        let mut parts = line.first()?.split(':');
        for slot in &mut address {
            *slot = u8::from_str_radix(parts.next()?, 16).ok()?;
        }
        Some(address)
    }
}

const POINTER: u16 = 12;
/// How long a name server may take; the line does not wait that long.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of an address by the DNS. Blocking.
pub fn reverse(address: IpAddr) -> Option<String> {
    let question = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let mut text = String::new();
            for octet in v6.octets().iter().rev() {
                text += &format!("{:x}.{:x}.", octet & 15, octet >> 4);
            }
            text + "ip6.arpa"
        }
    };
    let resolver = box_sys::resolve::Resolver::of_system();
    resolver.servers.iter().find_map(|server| ask(*server, &question))
}

fn ask(server: SocketAddr, question: &str) -> Option<String> {
    let any: SocketAddr = if server.is_ipv4() {
        SocketAddr::from(([0, 0, 0, 0], 0))
    } else {
        SocketAddr::from(([0u16; 8], 0))
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.set_read_timeout(Some(SERVER_TIMEOUT)).ok()?;
    socket.connect(server).ok()?;
    // The port is random already; the id is another guess to make.
    let id = socket.local_addr().ok()?.port().rotate_left(5) ^ 0x5a5a;
    let query = box_wire::dns::query(id, question, POINTER).ok()?;
    socket.send(&query).ok()?;
    let mut answer = [0; 4096];
    let len = socket.recv(&mut answer).ok()?;
    let message = answer.get(..len)?;
    if message.first_chunk::<2>()? != &id.to_be_bytes() {
        return None;
    }
    pointer(message)
}

/// The target of the first PTR record of an answer.
fn pointer(message: &[u8]) -> Option<String> {
    let mut answers = box_wire::dns::answers(message).ok()?;
    answers.find_map(|record| {
        if record.kind != POINTER {
            return None;
        }
        let (name, _) = box_wire::dns::name(message, record.data_offset).ok()?;
        name.to_dotted()
    })
}
