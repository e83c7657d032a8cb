//! Sort keys as bytes: `memcmp` of two keys is SQLite's order of the values that they are made of.
//!
//! ```text
//! 05                                NULL (or FA: last)
//! 10 | double, sign folded (8)      numbers; from 2^53 on the distance to the double follows (2)
//! 20 | bytes, 00 -> 00 FF | 00 00   text as its collation sees it
//! 30 | bytes, 00 -> 00 FF | 00 00   blobs
//! ```
//!
//! An integer is written as the greatest double not above it and what is missing to it, so integers
//! and doubles compare exactly. The bytes of a descending column are inverted.

use crate::collate::Collation;
use crate::value::Value;

const NULL_FIRST: u8 = 0x05;
const NULL_LAST: u8 = 0xfa;
const NUMBER: u8 = 0x10;
const TEXT: u8 = 0x20;
const BLOB: u8 = 0x30;
/// Integers below it are doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// How a column is sorted.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub desc: bool,
    pub nulls_first: bool,
    pub collation: Collation,
}

/// Appends the key of a value.
#[inline]
pub fn push(value: &Value<'_>, order: Order, out: &mut Vec<u8>) {
    let start = out.len();
    match value {
        Value::Null => {
            // Where the NULLs stand was said for the result: it is not inverted.
            out.push(if order.nulls_first { NULL_FIRST } else { NULL_LAST });
            return;
        }
        Value::Int(v) => push_int(*v, out),
        Value::Real(v) => push_double(*v, 0, out),
        Value::Text(v) => {
            out.push(TEXT);
            match order.collation {
                Collation::Binary => push_bytes(v, out),
                Collation::NoCase => push_bytes(&v.to_ascii_lowercase(), out),
                Collation::Rtrim => {
                    let end = v.iter().rposition(|b| *b != b' ').map_or(0, |n| n + 1);
                    push_bytes(v.get(..end).unwrap_or(v), out);
                }
            }
        }
        Value::Blob(v) => {
            out.push(BLOB);
            push_bytes(v, out);
        }
    }
    if order.desc {
        out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
    }
}

fn push_int(value: i64, out: &mut Vec<u8>) {
    let mut double = value as f64;
    if double.abs() < EXACT {
        return push_double(double, 0, out);
    }
    if double as i128 > i128::from(value) {
        double = double.next_down();
    }
    push_double(double, (i128::from(value) - double as i128) as u16, out);
}

fn push_double(value: f64, more: u16, out: &mut Vec<u8>) {
    out.push(NUMBER);
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    // Negative numbers: all bits turned; others: the sign bit set.
    let folded = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.extend_from_slice(&folded.to_be_bytes());
    if value.abs() >= EXACT {
        out.extend_from_slice(&more.to_be_bytes());
    }
}

fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(0, rest) {
        let (before, behind) = rest.split_at(at + 1);
        out.extend_from_slice(before);
        out.push(0xff);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Vec<Value<'static>> {
        let big = 1i64 << 53;
        let ints =
            [i64::MIN, i64::MIN + 1, -big - 1, -big, -1, 0, 1, big, big + 1, big + 3, i64::MAX];
        let doubles = [
            f64::NEG_INFINITY,
            -1e300,
            -9_223_372_036_854_775_808.0,
            -1.5,
            -0.0,
            0.0,
            0.5,
            1.0,
            9_007_199_254_740_992.0,
            9_007_199_254_740_994.0,
            9_223_372_036_854_775_808.0,
            f64::INFINITY,
        ];
        let texts = ["", "a", "A", "a ", "ab", "b", "a\0", "a\0b", "é"];
        let mut all = vec![Value::Null];
        all.extend(ints.map(Value::Int));
        all.extend(doubles.map(Value::Real));
        all.extend(texts.map(Value::text));
        all.extend(texts.map(Value::blob));
        all
    }

    #[test]
    fn keys_order_as_values_do() {
        for collation in [Collation::Binary, Collation::NoCase, Collation::Rtrim] {
            for desc in [false, true] {
                let order = Order { desc, nulls_first: !desc, collation };
                let key = |value: &Value<'_>| {
                    let mut out = Vec::new();
                    push(value, order, &mut out);
                    out
                };
                for l in values() {
                    for r in values() {
                        let wanted = l.compare(&r, collation);
                        let wanted = if desc { wanted.reverse() } else { wanted };
                        assert_eq!(key(&l).cmp(&key(&r)), wanted, "{l:?} {r:?} {order:?}");
                    }
                }
            }
        }
    }
}
