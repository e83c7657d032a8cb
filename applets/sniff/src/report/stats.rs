//! Tables over all packets: conversations, endpoints, protocols, and packets over time.

use std::collections::{BTreeMap, HashMap};

use box_kit::Failure;

use super::Dissected;
use crate::dissect::model::{Field, Value};
use crate::text::address::Address;
use crate::text::{Left, Put, Right};

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `conv`
    Conversations,
    /// `endpoints`
    Endpoints,
    /// `proto`
    Protocols,
    /// `io=SECONDS`
    Intervals(u64),
}

impl Kind {
    /// The tables of `--stats`.
    ///
    /// # Errors
    /// A name that no table has.
    pub fn list(names: &str) -> Result<Vec<Kind>, Failure> {
        names.split(',').map(Kind::named).collect()
    }

    fn named(name: &str) -> Result<Kind, Failure> {
        let unknown = || {
            Failure::new(format!("no statistics are called {name:?}"))
                .advise("conv, endpoints, proto, io=1s")
        };
        match name.split_once('=') {
            None => match name {
                "conv" => Ok(Kind::Conversations),
                "endpoints" => Ok(Kind::Endpoints),
                "proto" => Ok(Kind::Protocols),
                "io" => Ok(Kind::Intervals(1)),
                _ => Err(unknown()),
            },
            Some(("io", step)) => {
                let seconds = step.strip_suffix('s').unwrap_or(step).parse().ok();
                seconds.filter(|step| *step > 0).map(Kind::Intervals).ok_or_else(unknown)
            }
            Some(_) => Err(unknown()),
        }
    }
}

/// Beyond so many rows a table grows no more; what has no row is counted together.
const MAX_ROWS: usize = 1_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    frames: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.frames += 1;
        self.bytes += bytes;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct End {
    transport: &'static str,
    host: Address,
    port: Option<u16>,
}

/// What is gathered.
#[derive(Debug, Default)]
pub struct Statistics {
    kinds: Vec<Kind>,
    conversations: HashMap<(End, End), [Sum; 2]>,
    endpoints: HashMap<End, [Sum; 2]>,
    protocols: BTreeMap<String, Sum>,
    intervals: BTreeMap<i64, Sum>,
    /// Where the intervals start.
    first: Option<i128>,
    untold: Sum,
}

impl Statistics {
    /// Nothing yet.
    pub fn new(kinds: Vec<Kind>) -> Statistics {
        Statistics { kinds, ..Statistics::default() }
    }

    /// Takes a packet.
    pub fn take(&mut self, packet: Dissected<'_>) {
        let bytes = u64::from(packet.packet.wire_len);
        for kind in self.kinds.clone() {
            match kind {
                Kind::Conversations => self.converse(packet, bytes),
                Kind::Endpoints => self.meet(packet, bytes),
                Kind::Protocols => self.classify(packet, bytes),
                Kind::Intervals(step) => self.clock(packet, bytes, step),
            }
        }
    }

    fn converse(&mut self, packet: Dissected<'_>, bytes: u64) {
        for (source, destination) in ends(packet) {
            let (key, way) = if self.conversations.contains_key(&(destination, source)) {
                ((destination, source), 1)
            } else {
                ((source, destination), 0)
            };
            if self.conversations.len() >= MAX_ROWS && !self.conversations.contains_key(&key) {
                self.untold.add(bytes);
            } else {
                self.conversations.entry(key).or_default()[way].add(bytes);
            }
        }
    }

    fn meet(&mut self, packet: Dissected<'_>, bytes: u64) {
        for (source, destination) in ends(packet) {
            for (end, way) in [(source, 0), (destination, 1)] {
                if self.endpoints.len() >= MAX_ROWS && !self.endpoints.contains_key(&end) {
                    self.untold.add(bytes);
                } else {
                    self.endpoints.entry(end).or_default()[way].add(bytes);
                }
            }
        }
    }

    fn classify(&mut self, packet: Dissected<'_>, bytes: u64) {
        let mut path = String::new();
        for layer in packet.record.layers().take(16) {
            if !path.is_empty() {
                path.push(':');
            }
            path.push_str(layer);
            if self.protocols.len() < MAX_ROWS || self.protocols.contains_key(&path) {
                self.protocols.entry(path.clone()).or_default().add(bytes);
            }
        }
    }

    fn clock(&mut self, packet: Dissected<'_>, bytes: u64, step: u64) {
        let stamp = packet.packet.stamp;
        let now = i128::from(stamp.seconds) * 1_000_000_000 + i128::from(packet.nanos);
        let first = *self.first.get_or_insert(now);
        let place = (now - first).div_euclid(i128::from(step) * 1_000_000_000) as i64;
        if self.intervals.len() < MAX_ROWS || self.intervals.contains_key(&place) {
            self.intervals.entry(place).or_default().add(bytes);
        } else {
            self.untold.add(bytes);
        }
    }

    /// Prints the tables.
    pub fn print(&self, out: &mut Vec<u8>) {
        for (index, kind) in self.kinds.iter().enumerate() {
            if index > 0 {
                out.push(b'\n');
            }
            match kind {
                Kind::Conversations => self.print_conversations(out),
                Kind::Endpoints => self.print_endpoints(out),
                Kind::Protocols => self.print_protocols(out),
                Kind::Intervals(step) => self.print_intervals(out, *step),
            }
        }
        if self.untold.frames > 0 {
            ("beyond ", MAX_ROWS, " rows: ", self.untold.frames, " frames\n").put(out);
        }
    }

    fn print_conversations(&self, out: &mut Vec<u8>) {
        let mut rows: Vec<_> = self
            .conversations
            .iter()
            .map(|((left, right), sums)| (left, text(*left), text(*right), *sums))
            .collect();
        rows.sort_by(|a, b| {
            let total = |row: &[Sum; 2]| row[0].frames + row[1].frames;
            let key = |row: &[Sum; 2]| std::cmp::Reverse(total(row));
            (rank(a.0), key(&a.3), &a.1, &a.2).cmp(&(rank(b.0), key(&b.3), &b.1, &b.2))
        });
        "conversations      A -> B: frames  bytes | B -> A: frames  bytes | frames  bytes\n"
            .put(out);
        for (end, left, right, [forth, back]) in rows {
            (Left(end.transport, 5), left.as_str(), " <-> ", right.as_str(), "  ").put(out);
            (forth.frames, " ", forth.bytes, " | ", back.frames, " ", back.bytes, " | ").put(out);
            (forth.frames + back.frames, " ", forth.bytes + back.bytes, "\n").put(out);
        }
    }

    fn print_endpoints(&self, out: &mut Vec<u8>) {
        let mut rows: Vec<_> =
            self.endpoints.iter().map(|(end, sums)| (end, text(*end), *sums)).collect();
        rows.sort_by(|a, b| {
            let key = |row: &[Sum; 2]| std::cmp::Reverse(row[0].frames + row[1].frames);
            (rank(a.0), key(&a.2), &a.1).cmp(&(rank(b.0), key(&b.2), &b.1))
        });
        "endpoints      frames  bytes | sent: frames  bytes | received: frames  bytes\n".put(out);
        for (end, name, [sent, received]) in rows {
            (Left(end.transport, 5), name.as_str(), "  ", sent.frames + received.frames, " ")
                .put(out);
            (sent.bytes + received.bytes, " | ", sent.frames, " ", sent.bytes, " | ").put(out);
            (received.frames, " ", received.bytes, "\n").put(out);
        }
    }

    fn print_protocols(&self, out: &mut Vec<u8>) {
        "protocols\n".put(out);
        for (path, sum) in &self.protocols {
            let depth = path.matches(':').count();
            let name = path.rsplit(':').next().unwrap_or(path);
            for _ in 0..depth {
                "  ".put(out);
            }
            (name, " frames:", sum.frames, " bytes:", sum.bytes, "\n").put(out);
        }
    }

    /// Every interval from the first to the last, or where those are too many the ones with packets.
    fn print_intervals(&self, out: &mut Vec<u8>, step: u64) {
        "interval (s)      frames  bytes\n".put(out);
        let ends = self.intervals.keys().next().zip(self.intervals.keys().next_back());
        let Some((first, last)) = ends else { return };
        let mut row = |place: i64, sum: Sum| {
            let start = place.saturating_mul(step as i64);
            (Right(start, 6), " <> ", Left(start.saturating_add(step as i64), 6), "  ").put(out);
            (sum.frames, " ", sum.bytes, "\n").put(out);
        };
        if last.saturating_sub(*first) < MAX_ROWS as i64 {
            for place in *first..=*last {
                row(place, self.intervals.get(&place).copied().unwrap_or_default());
            }
        } else {
            self.intervals.iter().for_each(|(place, sum)| row(*place, *sum));
        }
    }
}

/// The two ends of each header of a packet, as hosts and as ports: a packet in a tunnel counts for
/// the ends of the tunnel and for its own.
fn ends(packet: Dissected<'_>) -> Vec<(End, End)> {
    let mut pairs = Vec::new();
    let (mut source, mut hosts, mut port) = (None, None, None);
    for (field, value) in packet.record.fields() {
        let transport = match field {
            Field::IpSource | Field::IpDestination => "ip",
            Field::Ipv6Source | Field::Ipv6Destination => "ipv6",
            Field::TcpSourcePort | Field::TcpDestinationPort => "tcp",
            Field::UdpSourcePort | Field::UdpDestinationPort => "udp",
            _ => continue,
        };
        let end = |host, port| End { transport, host, port };
        match (field, value) {
            (Field::IpSource | Field::Ipv6Source, Value::Address(from)) => source = Some(from),
            (_, Value::Address(to)) => {
                let Some(from) = source.take() else { continue };
                hosts = Some((from, to));
                pairs.push((end(from, None), end(to, None)));
            }
            (Field::TcpSourcePort | Field::UdpSourcePort, Value::Number(from)) => port = Some(from),
            (_, Value::Number(to)) => {
                let (Some((from_host, to_host)), Some(from)) = (hosts, port.take()) else {
                    continue;
                };
                let (from, to) = (Some(from as u16), Some(to as u16));
                pairs.push((end(from_host, from), end(to_host, to)));
            }
            _ => {}
        }
    }
    pairs
}

fn rank(end: &End) -> u8 {
    match end.transport {
        "ip" => 0,
        "ipv6" => 1,
        "tcp" => 2,
        _ => 3,
    }
}

fn text(end: End) -> String {
    let mut out = Vec::new();
    match (end.host, end.port) {
        (Address::V6(host), Some(port)) => ("[", Address::V6(host), "]:", port).put(&mut out),
        (host, Some(port)) => (host, ":", port).put(&mut out),
        (host, None) => host.put(&mut out),
    }
    String::from_utf8_lossy(&out).into_owned()
}
