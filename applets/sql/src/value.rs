//! Values in their five storage classes: affinity, casts, comparison, arithmetic.
//!
//! Text is bytes. A value borrows from the row it was read from where it can.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::ast::Binary;
use crate::collate::{Collation, Encoding};
use crate::error::{Error, Result};
use crate::number::{self, Number};
use crate::record::{Field, compare_int_real};

/// A value.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value<'a> {
    /// NULL.
    #[default]
    Null,
    /// INTEGER.
    Int(i64),
    /// REAL.
    Real(f64),
    /// TEXT: bytes that are not necessarily UTF-8.
    Text(Cow<'a, [u8]>),
    /// BLOB.
    Blob(Cow<'a, [u8]>),
}

/// A value that owns its bytes.
pub type Owned = Value<'static>;

/// A column's preferred storage class (datatype3, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Affinity {
    /// An expression without any.
    #[default]
    None,
    /// Stored as it comes.
    Blob,
    /// Numbers become text.
    Text,
    /// Text that reads as a number becomes one.
    Numeric,
    /// As numeric; differs in CAST.
    Integer,
    /// As numeric, and integers become doubles.
    Real,
}

impl Affinity {
    /// The affinity of a declared type (datatype3, section 3.1).
    pub fn of_type(name: &str) -> Affinity {
        let upper = name.to_ascii_uppercase();
        let has = |part: &str| upper.contains(part);
        if has("INT") {
            Affinity::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Affinity::Text
        } else if has("BLOB") || upper.is_empty() {
            Affinity::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }

    /// Integer, real or numeric.
    pub fn is_numeric(self) -> bool {
        matches!(self, Affinity::Numeric | Affinity::Integer | Affinity::Real)
    }

    /// What a comparison of operands of these affinities applies to both (datatype3, section 4.2).
    pub fn of_comparison(left: Affinity, right: Affinity) -> Affinity {
        if left > Affinity::None && right > Affinity::None {
            if left.is_numeric() || right.is_numeric() {
                return Affinity::Numeric;
            }
            return Affinity::Blob;
        }
        let one = if left == Affinity::None { right } else { left };
        if one.is_numeric() { Affinity::Numeric } else { one }
    }
}

impl PartialOrd for Affinity {
    fn partial_cmp(&self, other: &Affinity) -> Option<Ordering> {
        (*self as u8).partial_cmp(&(*other as u8))
    }
}

impl<'a> Value<'a> {
    /// Text that owns its bytes.
    pub fn text(text: impl Into<Vec<u8>>) -> Owned {
        Value::Text(Cow::Owned(text.into()))
    }

    /// A blob that owns its bytes.
    pub fn blob(bytes: impl Into<Vec<u8>>) -> Owned {
        Value::Blob(Cow::Owned(bytes.into()))
    }

    /// A truth value.
    pub fn bool(truth: bool) -> Owned {
        Value::Int(i64::from(truth))
    }

    /// NULL or a truth value.
    pub fn truth(truth: Option<bool>) -> Owned {
        truth.map_or(Value::Null, Value::bool)
    }

    /// A double; NaN is NULL.
    pub fn real(value: f64) -> Owned {
        if value.is_nan() { Value::Null } else { Value::Real(value) }
    }

    /// The value, owning its bytes.
    pub fn into_owned(self) -> Owned {
        match self {
            Value::Null => Value::Null,
            Value::Int(v) => Value::Int(v),
            Value::Real(v) => Value::Real(v),
            Value::Text(v) => Value::Text(Cow::Owned(v.into_owned())),
            Value::Blob(v) => Value::Blob(Cow::Owned(v.into_owned())),
        }
    }

    /// The value, borrowing its bytes.
    #[inline]
    pub fn borrow(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Int(v) => Value::Int(*v),
            Value::Real(v) => Value::Real(*v),
            Value::Text(v) => Value::Text(Cow::Borrowed(v)),
            Value::Blob(v) => Value::Blob(Cow::Borrowed(v)),
        }
    }

    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// A stored field, its text turned into UTF-8.
    #[inline]
    pub fn from_field(field: Field<'a>, encoding: Encoding) -> Value<'a> {
        match field {
            Field::Null => Value::Null,
            Field::Int(v) => Value::Int(v),
            Field::Real(v) => Value::Real(v),
            Field::Text(v) if encoding == Encoding::Utf8 => Value::Text(Cow::Borrowed(v)),
            Field::Text(v) => Value::Text(encoding.decode(v)),
            Field::Blob(v) => Value::Blob(Cow::Borrowed(v)),
        }
    }

    /// The field to store, where text is UTF-8.
    #[inline]
    pub fn as_field(&self) -> Field<'_> {
        match self {
            Value::Null => Field::Null,
            Value::Int(v) => Field::Int(*v),
            Value::Real(v) => Field::Real(*v),
            Value::Text(v) => Field::Text(v),
            Value::Blob(v) => Field::Blob(v),
        }
    }

    /// The value with its text in `encoding`.
    pub fn encoded(self, encoding: Encoding) -> Value<'a> {
        match self {
            Value::Text(text) if encoding != Encoding::Utf8 => {
                Value::Text(Cow::Owned(encoding.encode(&text).into_owned()))
            }
            other => other,
        }
    }

    /// The name of its storage class.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Int(_) => "integer",
            Value::Real(_) => "real",
            Value::Text(_) => "text",
            Value::Blob(_) => "blob",
        }
    }

    /// Its bytes as text; `None` for NULL.
    pub fn to_bytes(&self) -> Option<Cow<'_, [u8]>> {
        Some(match self {
            Value::Null => return None,
            Value::Int(v) => Cow::Owned(v.to_string().into_bytes()),
            Value::Real(v) => Cow::Owned(number::real_to_text(*v).into_bytes()),
            Value::Text(v) | Value::Blob(v) => Cow::Borrowed(v),
        })
    }

    /// Its bytes as text, NULL as nothing.
    pub fn to_text(&self) -> Cow<'_, [u8]> {
        self.to_bytes().unwrap_or(Cow::Borrowed(b""))
    }

    /// The number it stands for in arithmetic.
    pub fn to_number(&self) -> Option<Number> {
        Some(match self {
            Value::Null => return None,
            Value::Int(v) => Number::Int(*v),
            Value::Real(v) => Number::Real(*v),
            Value::Text(v) | Value::Blob(v) => number::prefix(v).value,
        })
    }

    /// As an integer, as the C interface's column_int64: 0 for NULL.
    pub fn to_int(&self) -> i64 {
        match self.to_number() {
            None => 0,
            Some(Number::Int(v)) => v,
            Some(Number::Real(v)) => number::truncate(v),
        }
    }

    /// As a double, 0 for NULL.
    pub fn to_real(&self) -> f64 {
        match self.to_number() {
            None => 0.0,
            Some(Number::Int(v)) => v as f64,
            Some(Number::Real(v)) => v,
        }
    }

    /// Whether it is true; `None` for NULL.
    #[inline]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Null => None,
            Value::Int(v) => Some(*v != 0),
            Value::Real(v) => Some(*v != 0.0),
            other => match other.to_number()? {
                Number::Int(v) => Some(v != 0),
                Number::Real(v) => Some(v != 0.0),
            },
        }
    }

    /// Converts as a column of that affinity does when it stores.
    #[inline]
    pub fn apply(self, affinity: Affinity) -> Value<'a> {
        match (affinity, &self) {
            (Affinity::None | Affinity::Blob, _) | (_, Value::Null | Value::Blob(_)) => self,
            (Affinity::Text, Value::Int(_) | Value::Real(_)) => {
                Value::Text(Cow::Owned(self.to_text().into_owned()))
            }
            (Affinity::Text, _) => self,
            (_, Value::Text(text)) => {
                let prefix = number::prefix(text);
                if !prefix.whole {
                    return self;
                }
                Value::from(prefix.value).apply(affinity).integral()
            }
            (Affinity::Real, Value::Int(v)) => Value::Real(*v as f64),
            (Affinity::Integer | Affinity::Numeric, Value::Real(_)) => self.integral(),
            _ => self,
        }
        .real_again(affinity)
    }

    fn real_again(self, affinity: Affinity) -> Value<'a> {
        match self {
            Value::Int(v) if affinity == Affinity::Real => Value::Real(v as f64),
            other => other,
        }
    }

    /// A double that equals an integer, as that integer.
    fn integral(self) -> Value<'a> {
        match self {
            Value::Real(v) => number::exact_int(v).map_or(self, Value::Int),
            _ => self,
        }
    }

    /// Converts the operand of a comparison: text that reads as a number becomes one, doubles stay.
    #[inline]
    pub fn for_comparison(self, affinity: Affinity) -> Value<'a> {
        match (affinity, &self) {
            (Affinity::Text, Value::Int(_) | Value::Real(_)) => {
                Value::Text(Cow::Owned(self.to_text().into_owned()))
            }
            (Affinity::Numeric | Affinity::Integer | Affinity::Real, Value::Text(text)) => {
                let prefix = number::prefix(text);
                if prefix.whole { Value::from(prefix.value) } else { self }
            }
            _ => self,
        }
    }

    /// `CAST(self AS type)` for the affinity of that type.
    pub fn cast(self, affinity: Affinity) -> Value<'a> {
        if self.is_null() {
            return Value::Null;
        }
        match affinity {
            Affinity::None | Affinity::Blob => match self {
                Value::Text(v) | Value::Blob(v) => Value::Blob(v),
                other => Value::Blob(Cow::Owned(other.to_text().into_owned())),
            },
            Affinity::Text => match self {
                Value::Text(v) | Value::Blob(v) => Value::Text(v),
                other => Value::Text(Cow::Owned(other.to_text().into_owned())),
            },
            Affinity::Integer => match self {
                Value::Text(v) | Value::Blob(v) => Value::Int(cast_int(&v)),
                other => Value::Int(other.to_int()),
            },
            Affinity::Real => Value::Real(self.to_real()),
            Affinity::Numeric => match self {
                Value::Text(v) | Value::Blob(v) => Value::from(number::prefix(&v).value).integral(),
                other => other,
            },
        }
    }

    /// SQLite's order: NULL, numbers, text by its collation, blobs.
    #[inline]
    pub fn compare(&self, other: &Value<'_>, collation: Collation) -> Ordering {
        match (self, other) {
            (Value::Int(l), Value::Int(r)) => l.cmp(r),
            (Value::Text(l), Value::Text(r)) => collation.compare(l, r),
            (Value::Real(l), Value::Real(r)) => l.partial_cmp(r).unwrap_or(Ordering::Equal),
            (Value::Int(l), Value::Real(r)) => compare_int_real(*l, *r),
            (Value::Real(l), Value::Int(r)) => compare_int_real(*r, *l).reverse(),
            (Value::Blob(l), Value::Blob(r)) => l.cmp(r),
            _ => self.class().cmp(&other.class()),
        }
    }

    fn class(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Int(_) | Value::Real(_) => 1,
            Value::Text(_) => 2,
            Value::Blob(_) => 3,
        }
    }

    /// Appends bytes that are equal for two values exactly when `compare` says they are equal: the
    /// key of a hash table.
    pub fn push_key(&self, collation: Collation, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0),
            Value::Int(v) => push_int_key(*v, out),
            Value::Real(v) => {
                let int = *v as i64;
                if int as f64 == *v && compare_int_real(int, *v).is_eq() {
                    return push_int_key(int, out);
                }
                out.push(2);
                out.extend_from_slice(&v.to_bits().to_be_bytes());
            }
            Value::Text(v) => {
                out.push(3);
                let at = out.len();
                out.extend_from_slice(&[0; 4]);
                match collation {
                    Collation::Binary => out.extend_from_slice(v),
                    Collation::NoCase => out.extend(v.iter().map(u8::to_ascii_lowercase)),
                    Collation::Rtrim => {
                        let end = v.iter().rposition(|b| *b != b' ').map_or(0, |n| n + 1);
                        out.extend_from_slice(v.get(..end).unwrap_or(v));
                    }
                }
                let len = (out.len() - at - 4) as u32;
                out[at..at + 4].copy_from_slice(&len.to_be_bytes());
            }
            Value::Blob(v) => {
                out.push(4);
                out.extend_from_slice(&(v.len() as u32).to_be_bytes());
                out.extend_from_slice(v);
            }
        }
    }
}

fn push_int_key(value: i64, out: &mut Vec<u8>) {
    out.push(1);
    out.extend_from_slice(&value.to_be_bytes());
}

/// The integer that a text begins with, held at the ends of the range.
fn cast_int(text: &[u8]) -> i64 {
    let start = text.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(text.len());
    let rest = text.get(start..).unwrap_or_default();
    let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
    let digits = rest.iter().skip(sign).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return 0;
    }
    let number = str::from_utf8(&rest[..sign + digits]).unwrap_or("0");
    number.parse().unwrap_or(if rest[0] == b'-' { i64::MIN } else { i64::MAX })
}

impl From<Number> for Value<'_> {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(v) => Value::Int(v),
            Number::Real(v) => Value::Real(v),
        }
    }
}

/// `left OP right` for the arithmetic and bit operators.
#[inline]
pub fn arithmetic(op: Binary, left: &Value<'_>, right: &Value<'_>) -> Owned {
    let (Some(l), Some(r)) = (left.to_number(), right.to_number()) else { return Value::Null };
    match op {
        Binary::BitAnd => Value::Int(int(l) & int(r)),
        Binary::BitOr => Value::Int(int(l) | int(r)),
        Binary::Shl => Value::Int(shift(int(l), int(r))),
        Binary::Shr => Value::Int(shift(int(l), int(r).saturating_neg())),
        Binary::Rem => remainder(l, r),
        _ => {
            if let (Number::Int(l), Number::Int(r)) = (l, r) {
                let exact = match op {
                    Binary::Add => l.checked_add(r),
                    Binary::Sub => l.checked_sub(r),
                    Binary::Mul => l.checked_mul(r),
                    _ if r == 0 => return Value::Null,
                    _ => l.checked_div(r),
                };
                if let Some(exact) = exact {
                    return Value::Int(exact);
                }
            }
            let (l, r) = (real(l), real(r));
            match op {
                Binary::Add => Value::real(l + r),
                Binary::Sub => Value::real(l - r),
                Binary::Mul => Value::real(l * r),
                _ if r == 0.0 => Value::Null,
                _ => Value::real(l / r),
            }
        }
    }
}

fn int(number: Number) -> i64 {
    match number {
        Number::Int(v) => v,
        Number::Real(v) => number::truncate(v),
    }
}

fn real(number: Number) -> f64 {
    match number {
        Number::Int(v) => v as f64,
        Number::Real(v) => v,
    }
}

/// The remainder of the operands as integers; REAL where one of them is.
fn remainder(left: Number, right: Number) -> Owned {
    let (l, r) = (int(left), int(right));
    if r == 0 {
        return Value::Null;
    }
    let rest = l.wrapping_rem(r);
    match (left, right) {
        (Number::Int(_), Number::Int(_)) => Value::Int(rest),
        _ => Value::Real(rest as f64),
    }
}

/// A shift to the left; a negative count shifts to the right, sign kept.
fn shift(value: i64, by: i64) -> i64 {
    match by {
        0..=63 => value << by,
        64.. => 0,
        -63..=-1 => value >> -by,
        _ => value >> 63,
    }
}

/// The longest text or blob (SQLITE_MAX_LENGTH).
pub const MAX_LENGTH: usize = 1_000_000_000;

/// Refuses what is longer than [`MAX_LENGTH`].
///
/// # Errors
/// `string or blob too big`.
pub fn check_length(len: usize) -> Result<()> {
    if len > MAX_LENGTH { Err(Error::coded(18, "string or blob too big")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinity_follows_the_declared_type() {
        assert_eq!(Affinity::of_type("BIGINT"), Affinity::Integer);
        assert_eq!(Affinity::of_type("CHARINT"), Affinity::Integer);
        assert_eq!(Affinity::of_type("varchar(10)"), Affinity::Text);
        assert_eq!(Affinity::of_type("double precision"), Affinity::Real);
        assert_eq!(Affinity::of_type("DECIMAL(10,5)"), Affinity::Numeric);
        assert_eq!(Affinity::of_type(""), Affinity::Blob);
    }

    #[test]
    fn a_numeric_column_stores_integers_where_it_can() {
        assert_eq!(Value::text("1e5").apply(Affinity::Numeric), Value::Int(100_000));
        assert_eq!(Value::text(" 5 ").apply(Affinity::Integer), Value::Int(5));
        assert_eq!(Value::text("5x").apply(Affinity::Integer), Value::text("5x"));
        assert_eq!(Value::text("5").apply(Affinity::Real), Value::Real(5.0));
        assert_eq!(Value::Int(5).apply(Affinity::Text), Value::text("5"));
    }

    #[test]
    fn overflow_turns_into_real_and_division_by_zero_into_null() {
        let max = Value::Int(i64::MAX);
        assert_eq!(
            arithmetic(Binary::Add, &max, &Value::Int(1)),
            Value::Real(9_223_372_036_854_775_808.0)
        );
        assert_eq!(arithmetic(Binary::Div, &max, &Value::Int(0)), Value::Null);
        assert_eq!(arithmetic(Binary::Shl, &Value::Int(1), &Value::Int(-1)), Value::Int(0));
        assert_eq!(arithmetic(Binary::Rem, &Value::Int(7), &Value::Real(2.5)), Value::Real(1.0));
    }
}
