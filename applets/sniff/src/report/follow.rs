//! What a TCP connection carried, in order: segments that come late, twice or over one another are
//! put right, and what was never seen is said to be missing.

use std::collections::HashMap;

use box_kit::Failure;

use super::Dissected;
use crate::dissect::model::{Field, Value};
use crate::text::address::Address;
use crate::text::{HexBytes, HexN, Put};

/// How bytes are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Text, a dot for what cannot be shown.
    #[default]
    Ascii,
    /// Sixteen bytes a line, in hex and as text.
    Hex,
    /// Hex alone.
    Raw,
}

/// Which connection, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its place among the connections of the capture, from 0.
    pub stream: u64,
    /// How its bytes are shown.
    pub form: Form,
}

impl Wanted {
    /// `tcp:N`
    ///
    /// # Errors
    /// Another word.
    pub fn named(word: &str) -> Result<Wanted, Failure> {
        let stream = word.strip_prefix("tcp:").and_then(|number| number.parse().ok());
        stream.map(|stream| Wanted { stream, form: Form::default() }).ok_or_else(|| {
            Failure::new(format!("cannot follow {word:?}")).advise("--follow tcp:0, tcp:1, ...")
        })
    }
}

/// Bytes that wait for those before them, at most.
const MAX_WAITING: usize = 64 << 20;
/// Connections told apart, at most.
const MAX_STREAMS: usize = 1_000_000;

type End = (Address, u16);

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// The sequence number that comes next.
    next: Option<u32>,
    waiting: Vec<(u32, Vec<u8>)>,
    waiting_len: usize,
}

/// Bytes as they arrived, or how many are missing.
#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Missing(u32),
}

/// The connection that is followed.
#[derive(Debug)]
pub struct Follow {
    wanted: Wanted,
    /// Both ends in order, to the place of their last connection and the number it began with.
    streams: HashMap<(End, End), (u64, Option<u32>)>,
    seen: u64,
    ends: Option<(End, End)>,
    halves: [Half; 2],
    pieces: Vec<(bool, Piece)>,
}

impl Follow {
    /// Nothing seen yet.
    pub fn new(wanted: Wanted) -> Follow {
        Follow {
            wanted,
            streams: HashMap::new(),
            seen: 0,
            ends: None,
            halves: Default::default(),
            pieces: Vec::new(),
        }
    }

    /// Takes a packet.
    pub fn take(&mut self, packet: Dissected<'_>) {
        let record = packet.record;
        let hosts = record.address(Field::IpSource).zip(record.address(Field::IpDestination));
        let hosts = hosts.or_else(|| {
            record.address(Field::Ipv6Source).zip(record.address(Field::Ipv6Destination))
        });
        let port = |field| record.number(field).map(|port| port as u16);
        let ports = port(Field::TcpSourcePort).zip(port(Field::TcpDestinationPort));
        let numbers = record.number(Field::TcpFlags).zip(record.number(Field::TcpSequence));
        let (Some(hosts), Some(ports), Some((flags, sequence))) = (hosts, ports, numbers) else {
            return;
        };
        let (from, to) = ((hosts.0, ports.0), (hosts.1, ports.1));
        let sequence = sequence as u32;
        let opens = flags & 0x12 == 0x02;
        if self.place(from, to, opens.then_some(sequence)) != Some(self.wanted.stream) {
            return;
        }
        let (first, _) = *self.ends.get_or_insert((from, to));
        let back = first != from;
        let payload = record.values(Field::TcpPayload).find_map(|value| match value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        });
        let start = sequence.wrapping_add(u32::from(flags & 2 != 0));
        let half = &mut self.halves[usize::from(back)];
        if flags & 2 != 0 {
            half.next.get_or_insert(start);
        }
        let Some(payload) = payload.filter(|bytes| !bytes.is_empty()) else { return };
        half.take(start, payload, back, &mut self.pieces);
    }

    /// The place of the connection between two ends; one more with those that open it anew.
    fn place(&mut self, from: End, to: End, opens: Option<u32>) -> Option<u64> {
        let order = |end: &End| (super::column::address_key(end.0), end.1);
        let key = if order(&from) <= order(&to) { (from, to) } else { (to, from) };
        if let Some((place, began)) = self.streams.get_mut(&key) {
            match (opens, *began) {
                (Some(number), Some(known)) if number != known => {
                    *place = self.seen;
                    *began = opens;
                    self.seen += 1;
                }
                (Some(_), None) => *began = opens,
                _ => {}
            }
            return Some(*place);
        }
        let place = self.seen;
        self.seen += 1;
        if self.streams.len() >= MAX_STREAMS {
            return None;
        }
        self.streams.insert(key, (place, opens));
        Some(place)
    }

    /// Prints what was carried.
    pub fn print(&self, out: &mut Vec<u8>) {
        const LINE: &str = "===================================================================\n";
        let form = match self.wanted.form {
            Form::Ascii => "ascii",
            Form::Hex => "hex",
            Form::Raw => "raw",
        };
        ("\n", LINE, "Follow: tcp,", form, "\nFilter: tcp.stream eq ", self.wanted.stream).put(out);
        let none = (Address::V4(crate::text::address::Ip4([0; 4])), 0);
        let (first, second) = self.ends.unwrap_or((none, none));
        for (number, end) in [(0u8, first), (1, second)] {
            match end.0 {
                Address::V6(_) => ("\nNode ", number, ": [", end.0, "]:", end.1).put(out),
                Address::V4(_) if self.ends.is_none() => ("\nNode ", number, ": :0").put(out),
                Address::V4(_) => ("\nNode ", number, ": ", end.0, ":", end.1).put(out),
            }
        }
        out.push(b'\n');
        let mut offsets = [0usize; 2];
        let rest = [0, 1].into_iter().flat_map(|half| self.halves[half].rest(half == 1));
        for (back, piece) in
            self.pieces.iter().map(|(back, piece)| (*back, piece.view())).chain(rest)
        {
            let missing;
            let bytes: &[u8] = match piece {
                View::Bytes(bytes) => bytes,
                View::Missing(len) => {
                    missing = format!("[{len} bytes missing in capture file]\0");
                    missing.as_bytes()
                }
            };
            show(out, self.wanted.form, bytes, back, &mut offsets[usize::from(back)]);
        }
        LINE.put(out);
    }
}

#[derive(Clone, Copy)]
enum View<'a> {
    Bytes(&'a [u8]),
    Missing(u32),
}

impl Piece {
    fn view(&self) -> View<'_> {
        match self {
            Piece::Bytes(bytes) => View::Bytes(bytes),
            Piece::Missing(len) => View::Missing(*len),
        }
    }
}

/// How far `number` is ahead of `from`, in the circle of sequence numbers.
fn ahead(number: u32, from: u32) -> i32 {
    number.wrapping_sub(from) as i32
}

impl Half {
    fn take(&mut self, sequence: u32, bytes: &[u8], back: bool, pieces: &mut Vec<(bool, Piece)>) {
        let next = *self.next.get_or_insert(sequence);
        if ahead(sequence, next) > 0 {
            let known =
                self.waiting.iter().any(|row| row.0 == sequence && row.1.len() >= bytes.len());
            if known {
                return;
            }
            self.waiting_len += bytes.len();
            self.waiting.push((sequence, bytes.to_vec()));
            if self.waiting_len > MAX_WAITING {
                self.give_up(back, pieces);
            }
            return;
        }
        self.append(sequence, bytes, back, pieces);
        self.drain(back, pieces);
    }

    fn append(&mut self, sequence: u32, bytes: &[u8], back: bool, pieces: &mut Vec<(bool, Piece)>) {
        let next = self.next.unwrap_or(sequence);
        let known = ahead(next, sequence).max(0) as usize;
        if let Some(fresh) = bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
            self.next = Some(next.wrapping_add(fresh.len() as u32));
            pieces.push((back, Piece::Bytes(fresh.to_vec())));
        }
    }

    /// Takes out of those that wait what fits now.
    fn drain(&mut self, back: bool, pieces: &mut Vec<(bool, Piece)>) {
        while let Some(next) = self.next
            && let Some(at) = self.waiting.iter().position(|row| ahead(row.0, next) <= 0)
        {
            let (sequence, bytes) = self.waiting.swap_remove(at);
            self.waiting_len -= bytes.len();
            self.append(sequence, &bytes, back, pieces);
        }
    }

    /// Too much waits: what is before it will not come.
    fn give_up(&mut self, back: bool, pieces: &mut Vec<(bool, Piece)>) {
        let Some(next) = self.next else { return };
        if let Some(nearest) = self.waiting.iter().map(|row| ahead(row.0, next)).min() {
            pieces.push((back, Piece::Missing(nearest as u32)));
            self.next = Some(next.wrapping_add(nearest as u32));
            self.drain(back, pieces);
        }
    }

    /// What still waits at the end, with the gaps before it.
    fn rest(&self, back: bool) -> impl Iterator<Item = (bool, View<'_>)> {
        let mut next = self.next.unwrap_or(0);
        let start = next;
        let mut order: Vec<_> = self.waiting.iter().collect();
        order.sort_by_key(|row| ahead(row.0, start));
        order.into_iter().flat_map(move |(sequence, bytes)| {
            let gap = ahead(*sequence, next);
            let known = (-gap).max(0) as usize;
            let fresh = bytes.get(known..).unwrap_or_default();
            if !fresh.is_empty() {
                next = sequence.wrapping_add(bytes.len() as u32);
            }
            let missing = (gap > 0).then_some(View::Missing(gap as u32));
            let fresh = (!fresh.is_empty()).then_some(View::Bytes(fresh));
            missing.into_iter().chain(fresh).map(move |view| (back, view))
        })
    }
}

fn show(out: &mut Vec<u8>, form: Form, bytes: &[u8], back: bool, offset: &mut usize) {
    match form {
        Form::Ascii => {
            if back {
                out.push(b'\t');
            }
            (bytes.len(), "\n").put(out);
            out.extend(bytes.iter().map(|byte| match byte {
                b'\r' | b'\n' | b' '..=b'~' => *byte,
                _ => b'.',
            }));
            out.push(b'\n');
        }
        Form::Raw => {
            if back {
                out.push(b'\t');
            }
            (HexBytes(bytes), "\n").put(out);
        }
        Form::Hex => {
            for line in bytes.chunks(16) {
                if back {
                    out.push(b'\t');
                }
                let start = out.len();
                (HexN(*offset as u64, 8), " ").put(out);
                out[start..].make_ascii_uppercase();
                for place in 0..16 {
                    match line.get(place) {
                        Some(byte) => (" ", HexN(*byte, 2)).put(out),
                        None => "   ".put(out),
                    }
                    if place == 7 {
                        out.push(b' ');
                    }
                }
                "  ".put(out);
                for (place, byte) in line.iter().enumerate() {
                    if place == 8 {
                        out.push(b' ');
                    }
                    out.push(if matches!(byte, b' '..=b'~') { *byte } else { b'.' });
                }
                while out.last() == Some(&b' ') {
                    out.pop();
                }
                out.push(b'\n');
                *offset += line.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Half, Piece};

    fn run(start: u32, segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut half = Half { next: Some(start), ..Half::default() };
        let mut pieces = Vec::new();
        for (sequence, bytes) in segments {
            half.take(*sequence, bytes, false, &mut pieces);
        }
        let bytes = pieces.into_iter().filter_map(|(_, piece)| match piece {
            Piece::Bytes(bytes) => Some(bytes),
            Piece::Missing(_) => None,
        });
        bytes.flatten().collect()
    }

    #[test]
    fn segments_are_put_in_order() {
        assert_eq!(run(10, &[(10, b"ab"), (12, b"cd")]), b"abcd");
        assert_eq!(run(10, &[(12, b"cd"), (10, b"ab")]), b"abcd");
        assert_eq!(run(10, &[(10, b"ab"), (10, b"ab"), (12, b"c")]), b"abc");
        assert_eq!(run(10, &[(10, b"abc"), (11, b"bcde")]), b"abcde");
        assert_eq!(run(10, &[(13, b"d"), (11, b"bcd"), (10, b"ab"), (14, b"e")]), b"abcde");
    }

    #[test]
    fn numbers_go_round() {
        let start = u32::MAX - 1;
        assert_eq!(run(start, &[(1, b"d"), (start, b"abc")]), b"abcd");
    }
}
