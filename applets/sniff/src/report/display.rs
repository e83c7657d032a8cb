//! Display filters: which packets, by their fields, in Wireshark's language.
//!
//! ```text
//! filter  = and { ("or" | "||") and }
//! and     = not { ("and" | "&&") not }
//! not     = ("not" | "!") not | "(" filter ")" | test
//! test    = name [ "&" number ] [ relation value | "in" "{" value [".." value] { "," ... } "}" ]
//! ```
//! A test holds if one of the values of a field fulfils it; `!=` asks that of all. A field that the
//! packet does not have fulfils nothing.

use std::cmp::Ordering;

use box_kit::Failure;

use super::Dissected;
use super::column::Column;
use crate::dissect::model::{Field, Value};
use crate::text::address::Address;

/// Filters nest no deeper.
const MAX_DEPTH: usize = 100;

/// Names that stand for several fields.
const GROUPS: &[(&str, &[Field])] = &[
    ("eth.addr", &[Field::EthDestination, Field::EthSource]),
    ("ip.addr", &[Field::IpSource, Field::IpDestination]),
    ("ipv6.addr", &[Field::Ipv6Source, Field::Ipv6Destination]),
    ("tcp.port", &[Field::TcpSourcePort, Field::TcpDestinationPort]),
    ("udp.port", &[Field::UdpSourcePort, Field::UdpDestinationPort]),
    ("tcp.seq", &[Field::TcpSequence]),
    ("dns.flags.rcode", &[Field::DnsCode]),
];

/// Names of single bits of a field.
const BITS: &[(&str, Field, u64)] = &[
    ("tcp.flags.fin", Field::TcpFlags, 1),
    ("tcp.flags.syn", Field::TcpFlags, 2),
    ("tcp.flags.reset", Field::TcpFlags, 4),
    ("tcp.flags.push", Field::TcpFlags, 8),
    ("tcp.flags.ack", Field::TcpFlags, 16),
    ("tcp.flags.urg", Field::TcpFlags, 32),
];

/// A filter.
#[derive(Clone, Debug)]
pub struct Filter(Node);

#[derive(Clone, Debug)]
enum Node {
    Or(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Layer(String),
    Exists(Operand),
    Compare(Operand, Relation, Literal),
    Within(Operand, Vec<(Literal, Literal)>),
}

#[derive(Clone, Debug)]
struct Operand {
    columns: Vec<Column>,
    /// Bits of the value that count; `true` in the second place makes them one bit.
    mask: Option<(u64, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    /// All values differ.
    Unequal,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    Contains,
}

#[derive(Clone, Debug)]
enum Literal {
    Number(u64),
    /// Seconds.
    Real(f64),
    Address(Address, u32),
    Bytes(Vec<u8>),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What it does not understand.
    pub fn parse(text: &str) -> Result<Filter, Failure> {
        let mut parser = Parser { words: words(text)?, at: 0, depth: 0 };
        let node = parser.filter()?;
        match parser.peek() {
            None => Ok(Filter(node)),
            Some(word) => Err(wrong(&format!("{word:?} was not expected"))),
        }
    }

    /// Whether a packet passes.
    pub fn admits(&self, packet: Dissected<'_>) -> bool {
        self.0.holds(packet)
    }
}

fn wrong(reason: &str) -> Failure {
    Failure::new(format!("display filter: {reason}"))
}

/// Cuts a filter into words; a text in quotes keeps its opening quote.
fn words(text: &str) -> Result<Vec<String>, Failure> {
    const TWO: [&str; 6] = ["==", "!=", ">=", "<=", "&&", "||"];
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if first == '"' {
            let mut quoted = String::from('"');
            let mut escaped = false;
            let mut end = None;
            for (at, letter) in rest.char_indices().skip(1) {
                if escaped {
                    quoted.push(letter);
                    escaped = false;
                } else if letter == '\\' {
                    escaped = true;
                } else if letter == '"' {
                    end = Some(at + 1);
                    break;
                } else {
                    quoted.push(letter);
                }
            }
            words.push(quoted);
            end.ok_or_else(|| wrong("a quote is not closed"))?
        } else {
            let two = TWO.iter().any(|two| rest.starts_with(two));
            let plain = |letter: char| letter.is_alphanumeric() || ".:_/-".contains(letter);
            let len = if two {
                2
            } else if plain(first) {
                rest.find(|letter| !plain(letter)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            words.push(rest[..len].to_owned());
            len
        };
        rest = rest[len..].trim_start();
    }
    Ok(words)
}

struct Parser {
    words: Vec<String>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Result<String, Failure> {
        let word = self.words.get(self.at).cloned().ok_or_else(|| wrong("it ends too early"))?;
        self.at += 1;
        Ok(word)
    }

    fn eat(&mut self, any: &[&str]) -> bool {
        let found = self.peek().is_some_and(|word| any.contains(&word));
        self.at += usize::from(found);
        found
    }

    fn filter(&mut self) -> Result<Node, Failure> {
        let mut left = self.conjunction()?;
        while self.eat(&["or", "||"]) {
            left = Node::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Node, Failure> {
        let mut left = self.negation()?;
        while self.eat(&["and", "&&"]) {
            left = Node::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Node, Failure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(wrong("it is nested too deep"));
        }
        let node = if self.eat(&["not", "!"]) {
            Node::Not(Box::new(self.negation()?))
        } else if self.eat(&["("]) {
            let inner = self.filter()?;
            if !self.eat(&[")"]) {
                return Err(wrong("a parenthesis is not closed"));
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Node, Failure> {
        let name = self.next()?;
        let Some(mut operand) = operand(&name) else {
            let word = name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
            if !word || name.is_empty() {
                return Err(match Column::named(&name) {
                    Err(failure) => failure,
                    Ok(_) => wrong(&format!("{name:?} was not expected")),
                });
            }
            return Ok(Node::Layer(name.to_lowercase()));
        };
        if self.eat(&["&", "bitand", "bitwise_and"]) {
            let Literal::Number(mask) = literal(&self.next()?)? else {
                return Err(wrong("bits are given by a number"));
            };
            operand.mask = Some((mask, false));
        }
        let relation = match self.peek() {
            Some("==" | "eq") => Relation::Equal,
            Some("!=" | "ne") => Relation::Unequal,
            Some("<" | "lt") => Relation::Less,
            Some(">" | "gt") => Relation::Greater,
            Some("<=" | "le") => Relation::LessOrEqual,
            Some(">=" | "ge") => Relation::GreaterOrEqual,
            Some("contains") => Relation::Contains,
            Some("in") => {
                self.at += 1;
                return Ok(Node::Within(operand, self.set()?));
            }
            _ => return Ok(Node::Exists(operand)),
        };
        self.at += 1;
        let value = literal(&self.next()?)?;
        Ok(Node::Compare(operand, relation, value))
    }

    fn set(&mut self) -> Result<Vec<(Literal, Literal)>, Failure> {
        if !self.eat(&["{"]) {
            return Err(wrong("a set begins with {"));
        }
        let mut set = Vec::new();
        while !self.eat(&["}"]) {
            let word = self.next()?;
            match word.split_once("..") {
                Some((low, high)) => set.push((literal(low)?, literal(high)?)),
                None => set.push((literal(&word)?, literal(&word)?)),
            }
            self.eat(&[","]);
        }
        Ok(set)
    }
}

fn operand(name: &str) -> Option<Operand> {
    if let Some((_, field, mask)) = BITS.iter().find(|row| row.0 == name) {
        return Some(Operand { columns: vec![Column::Field(*field)], mask: Some((*mask, true)) });
    }
    let columns = match GROUPS.iter().find(|row| row.0 == name) {
        Some((_, fields)) => fields.iter().map(|field| Column::Field(*field)).collect(),
        None => vec![Column::find(name)?],
    };
    Some(Operand { columns, mask: None })
}

fn literal(word: &str) -> Result<Literal, Failure> {
    if let Some(text) = word.strip_prefix('"') {
        return Ok(Literal::Bytes(text.as_bytes().to_vec()));
    }
    if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
        return Ok(Literal::Number(word.eq_ignore_ascii_case("true").into()));
    }
    let number = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    };
    if let Some(number) = number {
        return Ok(Literal::Number(number));
    }
    let (address, bits) = match word.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (word, None),
    };
    if let Ok(address) = address.parse::<std::net::IpAddr>() {
        let address = Address::from(address);
        let whole = match address {
            Address::V4(_) => 32,
            Address::V6(_) => 128,
        };
        let bits = match bits {
            None => whole,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= whole)
                .ok_or_else(|| wrong(&format!("{word:?} has no such prefix")))?,
        };
        return Ok(Literal::Address(address, bits));
    }
    let pairs: Option<Vec<u8>> = word
        .split([':', '-'])
        .map(|pair| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2))
        .collect();
    if let Some(bytes) = pairs.filter(|bytes| bytes.len() > 1) {
        return Ok(Literal::Bytes(bytes));
    }
    if let Ok(real) = word.parse() {
        return Ok(Literal::Real(real));
    }
    Ok(Literal::Bytes(word.as_bytes().to_vec()))
}

impl Node {
    fn holds(&self, packet: Dissected<'_>) -> bool {
        match self {
            Node::Or(left, right) => left.holds(packet) || right.holds(packet),
            Node::And(left, right) => left.holds(packet) && right.holds(packet),
            Node::Not(inner) => !inner.holds(packet),
            Node::Layer(name) => packet.record.layers().any(|layer| layer == name),
            Node::Exists(operand) => operand.any(packet, |value| match (value, operand.mask) {
                // Wireshark asks a single bit whether it is there, several whether one is set.
                (Value::Number(number), Some((_, false))) => number != 0,
                _ => true,
            }),
            Node::Compare(operand, Relation::Unequal, literal) => {
                operand.any(packet, |_| true)
                    && !operand.any(packet, |value| Relation::Equal.between(value, literal))
            }
            Node::Compare(operand, relation, literal) => {
                operand.any(packet, |value| relation.between(value, literal))
            }
            Node::Within(operand, set) => operand.any(packet, |value| {
                set.iter().any(|(low, high)| match low {
                    Literal::Address(..) => Relation::Equal.between(value, low),
                    _ => {
                        Relation::GreaterOrEqual.between(value, low)
                            && Relation::LessOrEqual.between(value, high)
                    }
                })
            }),
        }
    }
}

impl Operand {
    fn any(&self, packet: Dissected<'_>, test: impl Fn(Value<'_>) -> bool) -> bool {
        let masked = |value: Value<'_>| match (value, self.mask) {
            (Value::Number(number), Some((mask, one))) => {
                let bits = number & mask;
                test(Value::Number(if one { (bits != 0).into() } else { bits }))
            }
            _ => test(value),
        };
        self.columns.iter().any(|column| match *column {
            Column::Field(field) => packet.record.values(field).any(masked),
            Column::Number => masked(Value::Number(packet.number)),
            Column::Length => masked(Value::Number(packet.packet.wire_len.into())),
            Column::Captured => masked(Value::Number(packet.packet.bytes.len() as u64)),
            Column::Time => masked(Value::Number(packet.packet.stamp.seconds as u64)),
            Column::Protocols => {
                let mut text = Vec::new();
                super::column::put_protocols(&mut text, packet);
                test(Value::Bytes(&text))
            }
        })
    }
}

impl Relation {
    fn between(self, value: Value<'_>, literal: &Literal) -> bool {
        let order = match (value, literal) {
            (Value::Number(number), Literal::Number(wanted)) => Some(number.cmp(wanted)),
            (Value::Number(number), Literal::Real(wanted)) => (number as f64).partial_cmp(wanted),
            (Value::Address(address), Literal::Address(wanted, bits)) => {
                address.prefix_order(*wanted, *bits)
            }
            (Value::Bytes(bytes), Literal::Bytes(wanted)) if self == Relation::Contains => {
                return !wanted.is_empty()
                    && bytes.windows(wanted.len()).any(|window| window == wanted.as_slice());
            }
            (Value::Bytes(bytes), Literal::Bytes(wanted)) => Some(bytes.cmp(wanted.as_slice())),
            _ => None,
        };
        let Some(order) = order else { return false };
        match self {
            Relation::Equal => order == Ordering::Equal,
            Relation::Unequal => order != Ordering::Equal,
            Relation::Less => order == Ordering::Less,
            Relation::Greater => order == Ordering::Greater,
            Relation::LessOrEqual => order != Ordering::Greater,
            Relation::GreaterOrEqual => order != Ordering::Less,
            Relation::Contains => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn words_that_are_no_filter_are_refused() {
        for text in
            ["", "(", "tcp.port ==", "tcp &&", "ip.src == 1.2.3.4/33", "tcp.prot == 1", "\"x"]
        {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
        assert!(Filter::parse(&"!".repeat(100_000)).is_err());
    }

    #[test]
    fn the_language_is_read() {
        for text in [
            "tcp",
            "tcp && !(ip.addr == 10.0.0.0/8)",
            "tcp.port in {80, 443, 8000..8080}",
            "tcp.flags & 2",
            "dns.qry.name contains \"example\" or arp",
            "eth.src == 00:01:02:03:04:05",
        ] {
            assert!(Filter::parse(text).is_ok(), "{text}");
        }
    }
}
