//! Names for numbers, unless `-n` asks for the numbers.
//!
//! With `-n` nothing is looked up and nothing is kept: an address costs its digits. Without, ports and
//! protocols come from the tables in `/etc`, read once, and hosts from the hosts file and the DNS. A
//! slow server must not hold up the ring: a thread asks it, a line waits at most [`PATIENCE`] and then
//! shows the number, and the answer serves the lines to come.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use crate::dissect::registry::OUI_NAMES;
use crate::text::address::{Address, Ip4, Ip6, Mac};
use crate::text::{Put, name_or};

/// How long a line waits for a name.
pub const PATIENCE: Duration = Duration::from_millis(50);
/// More names than this are not kept.
pub const MAX_NAMES: usize = 65_536;
/// More questions than this do not wait in line.
const MAX_QUESTIONS: usize = 256;

/// Looks up names.
#[derive(Debug)]
pub struct Names {
    tables: Option<Box<Tables>>,
    interfaces: HashMap<u32, String>,
}

#[derive(Debug)]
struct Tables {
    tcp: HashMap<u16, String>,
    udp: HashMap<u16, String>,
    protocols: HashMap<u8, String>,
    ethers: HashMap<[u8; 6], String>,
    hosts: HashMap<IpAddr, Option<String>>,
    /// Made with the first question, when privileges are given up.
    resolver: Option<Resolver>,
    reverse: Reverse,
    /// `-f`: names of local addresses alone.
    foreign_numeric: bool,
    /// `-N`: without the domain.
    short: bool,
}

/// The thread that asks.
#[derive(Debug)]
struct Resolver {
    ask: SyncSender<IpAddr>,
    answers: Receiver<(IpAddr, Option<String>)>,
}

/// What is to be named.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// `-n`: nothing.
    pub numeric: bool,
    /// `-f`
    pub foreign_numeric: bool,
    /// `-N`
    pub short: bool,
}

/// How an address is turned into a name; blocking.
pub type Reverse = fn(IpAddr) -> Option<String>;

impl Names {
    /// No names at all.
    pub fn numeric() -> Names {
        Names { tables: None, interfaces: HashMap::new() }
    }

    /// What the user wants named; `reverse` asks the DNS.
    pub fn new(wanted: Wanted, reverse: Reverse) -> Names {
        if wanted.numeric {
            return Names::numeric();
        }
        let services = read("/etc/services");
        let mut tables = Tables {
            tcp: HashMap::new(),
            udp: HashMap::new(),
            protocols: HashMap::new(),
            ethers: HashMap::new(),
            hosts: HashMap::new(),
            resolver: None,
            reverse,
            foreign_numeric: wanted.foreign_numeric,
            short: wanted.short,
        };
        for fields in lines(&services) {
            if let [name, port, ..] = fields[..] {
                tables.service(name, port);
            }
        }
        for fields in lines(&read("/etc/protocols")) {
            if let [name, number, ..] = fields[..]
                && let Ok(number) = number.parse()
            {
                tables.protocols.entry(number).or_insert_with(|| name.to_owned());
            }
        }
        for fields in lines(&read("/etc/ethers")) {
            if let [address, name, ..] = fields[..]
                && let Some(address) = mac(address)
            {
                tables.ethers.insert(address, name.to_owned());
            }
        }
        for fields in lines(&read("/etc/hosts")) {
            if let [address, name, ..] = fields[..]
                && let Ok(address) = address.parse()
            {
                tables.hosts.entry(address).or_insert_with(|| Some(name.to_owned()));
            }
        }
        Names { tables: Some(Box::new(tables)), interfaces: HashMap::new() }
    }

    /// Gives an interface its name.
    pub fn set_interface(&mut self, index: u32, name: String) {
        if self.interfaces.len() < MAX_NAMES {
            self.interfaces.insert(index, name);
        }
    }

    /// The name of an interface, or `?`.
    pub fn interface(&self, index: u32) -> String {
        self.interfaces.get(&index).cloned().unwrap_or_else(|| "?".to_owned())
    }

    /// Appends a host.
    #[inline]
    pub fn host(&mut self, out: &mut Vec<u8>, address: Address) {
        match &mut self.tables {
            None => address.put(out),
            Some(tables) => tables.host(out, address),
        }
    }

    /// Appends a TCP port.
    #[inline]
    pub fn tcp_port(&self, out: &mut Vec<u8>, port: u16) {
        match self.tables.as_ref().and_then(|tables| tables.tcp.get(&port)) {
            Some(name) => name.put(out),
            None => port.put(out),
        }
    }

    /// Appends a UDP port.
    #[inline]
    pub fn udp_port(&self, out: &mut Vec<u8>, port: u16) {
        match self.tables.as_ref().and_then(|tables| tables.udp.get(&port)) {
            Some(name) => name.put(out),
            None => port.put(out),
        }
    }

    /// Appends a link-layer address, with its maker where names are wanted.
    pub fn mac(&self, out: &mut Vec<u8>, address: &[u8]) {
        let Some(tables) = &self.tables else { return Mac(address).put(out) };
        if let Ok(key) = <[u8; 6]>::try_from(address)
            && let Some(name) = tables.ethers.get(&key)
        {
            return name.put(out);
        }
        Mac(address).put(out);
        if let [a, b, c, ..] = *address {
            let maker = u32::from_be_bytes([0, a, b, c]);
            (" (oui ", name_or(OUI_NAMES, maker, "Unknown"), ")").put(out);
        }
    }

    /// The name of an IP protocol, where names are wanted.
    pub fn protocol(&self, protocol: u8) -> Option<String> {
        self.tables.as_ref()?.protocols.get(&protocol).cloned()
    }
}

impl Tables {
    /// A line of the services file: `http 80/tcp`.
    fn service(&mut self, name: &str, port: &str) {
        let Some((port, protocol)) = port.split_once('/') else { return };
        let Ok(port) = port.parse() else { return };
        let table = match protocol {
            "tcp" => &mut self.tcp,
            "udp" => &mut self.udp,
            _ => return,
        };
        table.entry(port).or_insert_with(|| name.to_owned());
    }

    fn host(&mut self, out: &mut Vec<u8>, address: Address) {
        let key = match address {
            Address::V4(Ip4(octets)) => IpAddr::from(octets),
            Address::V6(Ip6(octets)) => IpAddr::from(octets),
        };
        if self.foreign_numeric && !is_local(key) {
            return address.put(out);
        }
        if !self.hosts.contains_key(&key) {
            self.ask(key);
        }
        match self.hosts.get(&key) {
            Some(Some(name)) => {
                let shown = if self.short { name.split('.').next().unwrap_or(name) } else { name };
                shown.put(out);
            }
            _ => address.put(out),
        }
    }

    /// Asks for a name and waits a little.
    fn ask(&mut self, address: IpAddr) {
        if self.resolver.is_none() {
            self.resolver = Resolver::start(self.reverse);
        }
        let Some(resolver) = &self.resolver else { return };
        match resolver.ask.try_send(address) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return,
            Err(TrySendError::Disconnected(_)) => {
                self.resolver = None;
                return;
            }
        }
        if self.hosts.len() >= MAX_NAMES {
            self.hosts.clear();
        }
        // Not asked again while the answer is on its way.
        self.hosts.insert(address, None);
        let end = Instant::now() + PATIENCE;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let Ok((answered, name)) = resolver.answers.recv_timeout(left) else { return };
            self.hosts.insert(answered, name);
            if answered == address {
                return;
            }
        }
    }
}

impl Resolver {
    fn start(reverse: Reverse) -> Option<Resolver> {
        let (ask, questions) = sync_channel::<IpAddr>(MAX_QUESTIONS);
        let (answer, answers) = sync_channel(MAX_QUESTIONS);
        std::thread::Builder::new()
            .name("sniff-names".to_owned())
            .spawn(move || {
                for address in questions {
                    if answer.send((address, reverse(address))).is_err() {
                        return;
                    }
                }
            })
            .ok()?;
        Some(Resolver { ask, answers })
    }
}

fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local(),
    }
}

fn read(path: &str) -> String {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// The fields of each line, comments left out.
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split('#').next().unwrap_or(line).split_whitespace().collect())
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut parts = text.split(':');
    for slot in &mut address {
        *slot = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_stay_numbers_with_n() {
        let mut names = Names::numeric();
        assert_eq!(text(|out| names.tcp_port(out, 80)), "80");
        assert_eq!(text(|out| names.mac(out, &[0, 0, 12, 1, 2, 3])), "00:00:0c:01:02:03");
        let host = Address::V4(Ip4([127, 0, 0, 1]));
        assert_eq!(text(|out| names.host(out, host)), "127.0.0.1");
    }

    #[test]
    fn a_name_that_comes_too_late_serves_the_next_line() {
        fn slow(_: IpAddr) -> Option<String> {
            std::thread::sleep(PATIENCE * 2);
            Some("late.example".to_owned())
        }
        let mut names = Names::new(Wanted::default(), slow);
        let host = Address::V4(Ip4([203, 0, 113, 9]));
        assert_eq!(text(|out| names.host(out, host)), "203.0.113.9");
        // The second question waits again, and hears the first answer.
        let other = Address::V4(Ip4([203, 0, 113, 10]));
        while text(|out| names.host(out, host)) != "late.example" {
            names.host(&mut Vec::new(), other);
            if let Some(tables) = &mut names.tables {
                tables.hosts.remove(&"203.0.113.10".parse().unwrap());
            }
        }
    }

    #[test]
    fn makers_are_named_without_n() {
        let names = Names::new(Wanted::default(), |_| None);
        let shown = text(|out| names.mac(out, &[0, 0, 12, 1, 2, 3]));
        assert_eq!(shown, "00:00:0c:01:02:03 (oui Cisco)");
    }
}
