//! The text and numbers inside of nodes.

use super::{Kind, Node};
use crate::value::{Owned, Value};

impl Node {
    /// The SQL value of a node that is neither array nor object; `None` where its payload is no
    /// value of its kind.
    pub fn value(&self, blob: &[u8]) -> Option<Owned> {
        let payload = self.payload(blob);
        Some(match self.kind {
            Kind::Null => Value::Null,
            Kind::True => Value::Int(1),
            Kind::False => Value::Int(0),
            Kind::Int => integer(payload)?,
            Kind::Int5 => hexadecimal(payload)?,
            Kind::Float | Kind::Float5 => real(payload)?,
            Kind::Text | Kind::TextRaw => Value::text(payload),
            Kind::TextJ | Kind::Text5 => Value::text(unescape(payload)),
            Kind::Array | Kind::Object => return None,
        })
    }

    /// The text of a label.
    pub fn label(&self, blob: &[u8]) -> Vec<u8> {
        let payload = self.payload(blob);
        match self.kind {
            Kind::TextJ | Kind::Text5 => unescape(payload),
            _ => payload.to_vec(),
        }
    }
}

fn integer(digits: &[u8]) -> Option<Owned> {
    let text = str::from_utf8(digits).ok()?;
    match text.parse::<i64>() {
        Ok(value) => Some(Value::Int(value)),
        Err(_) => real(digits),
    }
}

fn hexadecimal(digits: &[u8]) -> Option<Owned> {
    let text = str::from_utf8(digits).ok()?;
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let rest = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"))?;
    let sign = if negative { -1.0 } else { 1.0 };
    Some(match u64::from_str_radix(rest, 16) {
        Ok(value) if value <= i64::MAX as u64 => {
            Value::Int(if negative { -(value as i64) } else { value as i64 })
        }
        Ok(value) if negative && value == 1 << 63 => Value::Int(i64::MIN),
        Ok(value) => Value::Real(sign * value as f64),
        Err(_) => {
            let digit = |c: char| c.to_digit(16).map(f64::from);
            let value = rest.chars().try_fold(0.0, |sum, c| Some(sum * 16.0 + digit(c)?))?;
            Value::Real(sign * value)
        }
    })
}

fn real(text: &[u8]) -> Option<Owned> {
    let text = str::from_utf8(text).ok()?;
    text.parse::<f64>().ok().filter(|value| !value.is_nan()).map(Value::Real)
}

/// Takes the escapes of JSON and JSON5 out of a string's payload.
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = escape(&rest[at + 1..], &mut out);
    }
    out.extend_from_slice(rest);
    out
}

/// Takes one escape behind its backslash.
fn escape<'t>(rest: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    let Some((&first, tail)) = rest.split_first() else { return rest };
    let plain = match first {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'0' => 0,
        b'u' => {
            let Some(unit) = hex(tail, 4) else { return tail };
            return unicode(unit, &tail[4..], out);
        }
        b'x' => {
            let Some(unit) = hex(tail, 2) else { return tail };
            push_char(unit, out);
            return &tail[2..];
        }
        b'\r' if tail.first() == Some(&b'\n') => return &tail[1..],
        b'\r' | b'\n' => return tail,
        0xe2 if matches!(tail, [0x80, 0xa8 | 0xa9, ..]) => return &tail[2..],
        other => other,
    };
    out.push(plain);
    tail
}

/// A UTF-16 unit, and the second of its pair.
fn unicode<'t>(unit: u32, tail: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    if unit & 0xfc00 == 0xd800
        && tail.starts_with(b"\\u")
        && let Some(low) = hex(&tail[2..], 4)
        && low & 0xfc00 == 0xdc00
    {
        push_char(0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff), out);
        return &tail[6..];
    }
    push_char(unit, out);
    tail
}

fn hex(text: &[u8], count: usize) -> Option<u32> {
    let digits = text.get(..count)?;
    digits.iter().try_fold(0, |value, b| Some(value << 4 | char::from(*b).to_digit(16)?))
}

/// A code point as UTF-8; half a pair too is written, in three bytes.
fn push_char(code: u32, out: &mut Vec<u8>) {
    let six = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
    match code {
        0..=0x7f => out.push(code as u8),
        0x80..=0x7ff => out.extend_from_slice(&[0xc0 | (code >> 6) as u8, six(0)]),
        0x800..=0xffff => out.extend_from_slice(&[0xe0 | (code >> 12) as u8, six(6), six(0)]),
        _ => out.extend_from_slice(&[0xf0 | (code >> 18) as u8, six(12), six(6), six(0)]),
    }
}
