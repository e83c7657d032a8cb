//! The record format: a header of serial types, then the values, as every table row and index key
//! of a SQLite file is stored (file format, section 2.1).
//!
//! ```text
//! +-------------+-------+-------+- - -+--------+--------+- - -
//! | header size | type0 | type1 |     | value0 | value1 |
//! +-------------+-------+-------+- - -+--------+--------+- - -
//!    varint      varint                big-endian integers, IEEE doubles, bytes
//! ```
//!
//! Decoding is lazy: a [`Header`] walks the serial types only as far as the column that is asked
//! for and remembers where each value begins. A record that lies about its sizes gives
//! [`Error::Corrupt`], never a panic; text is bytes in the database's encoding.

use std::cmp::Ordering;

use crate::collate::{Collation, Encoding};
use crate::vfs::{Error, Result};

/// A value as it is stored, borrowed from its page or its owner. Text is in the encoding of the
/// database and may be invalid in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A double; a NaN is stored as NULL.
    Real(f64),
    /// Text.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

/// One column of a key: how its text is compared, and which way it is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyColumn {
    /// The collating sequence for text.
    pub collation: Collation,
    /// Sorted from the largest to the smallest.
    pub desc: bool,
}

/// How the entries of an index tree are ordered. Columns of a record beyond `columns` do not take
/// part in comparison: a WITHOUT ROWID table lists its primary key, an index its columns and the
/// rowid (or the primary key columns that follow them).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyInfo {
    /// The compared columns, first to last.
    pub columns: Vec<KeyColumn>,
    /// The encoding of the text in the tree.
    pub encoding: Encoding,
}

/// Longest varint: eight bytes of 7 bits and one of 8.
pub const MAX_VARINT_BYTES: usize = 9;

/// Reads a varint from the start of `bytes`: its value and its length.
#[inline]
#[must_use]
pub fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    let second = *bytes.get(1)?;
    if second < 0x80 {
        return Some((u64::from(first & 0x7f) << 7 | u64::from(second), 2));
    }
    read_long_varint(bytes)
}

#[cold]
fn read_long_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(8).enumerate() {
        value = value << 7 | u64::from(byte & 0x7f);
        if *byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    bytes.get(8).map(|byte| (value << 8 | u64::from(*byte), 9))
}

/// The length of a value as a varint.
#[inline]
#[must_use]
pub fn varint_len(value: u64) -> usize {
    match 64 - value.leading_zeros() {
        0..=7 => 1,
        bits @ 8..=56 => bits.div_ceil(7) as usize,
        _ => 9,
    }
}

/// Appends a varint.
#[inline]
pub fn push_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    let (bytes, len) = encode_varint(value);
    out.extend_from_slice(bytes.get(..len).unwrap_or_default());
}

/// A varint in a fixed buffer, and its length.
#[must_use]
pub fn encode_varint(value: u64) -> ([u8; MAX_VARINT_BYTES], usize) {
    let mut bytes = [0; MAX_VARINT_BYTES];
    let len = varint_len(value);
    let mut rest = value;
    let mut at = len;
    if len == MAX_VARINT_BYTES {
        bytes[8] = rest as u8;
        rest >>= 8;
        at = 8;
    }
    let last = at;
    for (i, byte) in bytes.iter_mut().enumerate().take(last).rev() {
        let more = if i + 1 == len { 0 } else { 0x80 };
        *byte = (rest & 0x7f) as u8 | more;
        rest >>= 7;
    }
    (bytes, len)
}

/// The serial type of a value (file format, section 2.1). Integers take the fewest bytes; 0 and 1
/// take none (types 8 and 9, schema format 4).
#[inline]
#[must_use]
pub fn serial_type(field: Field<'_>) -> u64 {
    match field {
        Field::Null => 0,
        Field::Int(value) => int_serial_type(value),
        Field::Real(value) if value.is_nan() => 0,
        Field::Real(_) => 7,
        Field::Blob(bytes) => bytes.len() as u64 * 2 + 12,
        Field::Text(bytes) => bytes.len() as u64 * 2 + 13,
    }
}

#[inline]
fn int_serial_type(value: i64) -> u64 {
    if value == 0 || value == 1 {
        return 8 + value as u64;
    }
    let magnitude = (if value < 0 { !value } else { value }) as u64;
    match magnitude {
        0..=0x7f => 1,
        0x80..=0x7fff => 2,
        0x8000..=0x7f_ffff => 3,
        0x80_0000..=0x7fff_ffff => 4,
        0x8000_0000..=0x7fff_ffff_ffff => 5,
        _ => 6,
    }
}

/// The bytes that a value of that serial type takes.
#[inline]
#[must_use]
pub fn serial_len(serial: u64) -> u64 {
    const SMALL: [u8; 12] = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0];
    match SMALL.get(serial as usize) {
        Some(len) if serial < 12 => u64::from(*len),
        _ => (serial - 12) / 2,
    }
}

/// Appends the record of `fields` to `out`.
pub fn encode<'a, I>(fields: I, out: &mut Vec<u8>)
where
    I: IntoIterator<Item = Field<'a>>,
    I::IntoIter: Clone,
{
    let fields = fields.into_iter();
    let (mut header, mut body) = (0usize, 0usize);
    for field in fields.clone() {
        let serial = serial_type(field);
        header += varint_len(serial);
        body += serial_len(serial) as usize;
    }
    let total = header_size(header);
    out.reserve(total + body);
    push_varint(out, total as u64);
    for field in fields.clone() {
        push_varint(out, serial_type(field));
    }
    for field in fields {
        push_value(out, field);
    }
}

/// The header size counts its own varint.
fn header_size(types: usize) -> usize {
    let mut total = types + 1;
    while types + varint_len(total as u64) > total {
        total += 1;
    }
    total
}

fn push_value(out: &mut Vec<u8>, field: Field<'_>) {
    match field {
        Field::Null => {}
        Field::Int(value) => {
            let len = serial_len(int_serial_type(value)) as usize;
            out.extend_from_slice(value.to_be_bytes().get(8 - len..).unwrap_or_default());
        }
        Field::Real(value) if value.is_nan() => {}
        Field::Real(value) => out.extend_from_slice(&value.to_be_bytes()),
        Field::Text(bytes) | Field::Blob(bytes) => out.extend_from_slice(bytes),
    }
}

/// Decodes a value of serial type `serial` that lies at the start of `bytes`.
///
/// # Errors
/// The types 10 and 11, which no file holds, and values that are cut.
#[inline]
pub fn decode(serial: u64, bytes: &[u8]) -> Result<Field<'_>> {
    let value = match serial {
        0 => Field::Null,
        1 => Field::Int(i64::from(*bytes.first().ok_or(Error::Corrupt)? as i8)),
        2..=6 => Field::Int(decode_int(bytes.get(..serial_len(serial) as usize))?),
        7 => {
            let bytes: [u8; 8] = fixed(bytes)?;
            let value = f64::from_be_bytes(bytes);
            if value.is_nan() { Field::Null } else { Field::Real(value) }
        }
        8 => Field::Int(0),
        9 => Field::Int(1),
        10 | 11 => Field::Null,
        _ => {
            let len = usize::try_from((serial - 12) / 2).map_err(|_| Error::Corrupt)?;
            let bytes = bytes.get(..len).ok_or(Error::Corrupt)?;
            if serial & 1 == 1 { Field::Text(bytes) } else { Field::Blob(bytes) }
        }
    };
    Ok(value)
}

#[inline]
fn decode_int(bytes: Option<&[u8]>) -> Result<i64> {
    Ok(match *bytes.ok_or(Error::Corrupt)? {
        [a, b] => i64::from(i16::from_be_bytes([a, b])),
        [a, b, c] => i64::from(i32::from_be_bytes([a, b, c, 0]) >> 8),
        [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f] => i64::from_be_bytes([a, b, c, d, e, f, 0, 0]) >> 16,
        [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => return Err(Error::Corrupt),
    })
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.get(..N).and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Corrupt)
}

/// The header of one record, decoded as far as it was asked for. One is kept a cursor and
/// [`reset`](Header::reset) for each row: it allocates only until it has seen the widest row.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// Serial type and value offset of the columns walked so far.
    columns: Vec<(u64, usize)>,
    header_len: usize,
    /// Where the next serial type begins.
    next_type: usize,
    /// Where the next value begins.
    next_value: usize,
    started: bool,
}

impl Header {
    /// A header cache without a record.
    #[must_use]
    pub fn new() -> Header {
        Header::default()
    }

    /// Forgets the record.
    #[inline]
    pub fn reset(&mut self) {
        self.columns.clear();
        self.started = false;
    }

    fn start(&mut self, record: &[u8]) -> Result<()> {
        let (header_len, at) = read_varint(record).ok_or(Error::Corrupt)?;
        let header_len = usize::try_from(header_len).map_err(|_| Error::Corrupt)?;
        if header_len < at {
            return Err(Error::Corrupt);
        }
        self.header_len = header_len;
        self.next_type = at;
        self.next_value = header_len;
        self.started = true;
        Ok(())
    }

    /// The length of the whole header, to know how much of a long payload is needed.
    ///
    /// # Errors
    /// A header that is cut.
    pub fn header_len(&mut self, record: &[u8]) -> Result<usize> {
        if !self.started {
            self.start(record)?;
        }
        Ok(self.header_len)
    }

    /// The serial type and value offset of column `index`; `None` where the record is shorter (the
    /// column was added later). `record` needs to hold no more than the header.
    ///
    /// # Errors
    /// A header that is cut or counts past the record.
    #[inline]
    pub fn locate(&mut self, record: &[u8], index: usize) -> Result<Option<(u64, usize)>> {
        if let Some(column) = self.columns.get(index) {
            return Ok(Some(*column));
        }
        if !self.started {
            self.start(record)?;
        }
        let types = record.get(..self.header_len).ok_or(Error::Corrupt)?;
        while self.columns.len() <= index {
            if self.next_type >= self.header_len {
                return Ok(None);
            }
            let rest = types.get(self.next_type..).ok_or(Error::Corrupt)?;
            let (serial, len) = read_varint(rest).ok_or(Error::Corrupt)?;
            self.columns.push((serial, self.next_value));
            self.next_type += len;
            let size = usize::try_from(serial_len(serial)).map_err(|_| Error::Corrupt)?;
            self.next_value = self.next_value.checked_add(size).ok_or(Error::Corrupt)?;
        }
        Ok(self.columns.get(index).copied())
    }

    /// Column `index` of `record`; `None` where the record is shorter.
    ///
    /// # Errors
    /// A record that breaks the format.
    #[inline]
    pub fn field<'r>(&mut self, record: &'r [u8], index: usize) -> Result<Option<Field<'r>>> {
        let Some((serial, offset)) = self.locate(record, index)? else { return Ok(None) };
        let bytes = record.get(offset..).unwrap_or_default();
        decode(serial, bytes).map(Some)
    }

    /// How many columns the record has.
    ///
    /// # Errors
    /// A record that breaks the format.
    pub fn column_count(&mut self, record: &[u8]) -> Result<usize> {
        self.locate(record, usize::MAX - 1)?;
        Ok(self.columns.len())
    }
}

/// The fields of a record, first to last.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    record: &'a [u8],
    header_len: usize,
    next_type: usize,
    next_value: usize,
}

/// Walks over the fields of `record` without a header cache.
///
/// # Errors
/// A header that is cut.
pub fn fields(record: &[u8]) -> Result<Fields<'_>> {
    let (header_len, next_type) = read_varint(record).ok_or(Error::Corrupt)?;
    let header_len = usize::try_from(header_len).map_err(|_| Error::Corrupt)?;
    if header_len > record.len() || header_len < next_type {
        return Err(Error::Corrupt);
    }
    Ok(Fields { record, header_len, next_type, next_value: header_len })
}

impl<'a> Fields<'a> {
    #[inline]
    fn step(&mut self) -> Result<Field<'a>> {
        let types = self.record.get(self.next_type..self.header_len).ok_or(Error::Corrupt)?;
        let (serial, len) = read_varint(types).ok_or(Error::Corrupt)?;
        let value = decode(serial, self.record.get(self.next_value..).unwrap_or_default())?;
        self.next_type += len;
        // The value was cut from the record, so its length fits.
        self.next_value += serial_len(serial) as usize;
        Ok(value)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next_type >= self.header_len {
            return None;
        }
        let field = self.step();
        if field.is_err() {
            self.next_type = self.header_len;
        }
        Some(field)
    }
}

/// Compares an integer with a double exactly, also where the double cannot hold the integer.
#[must_use]
pub fn compare_int_real(int: i64, real: f64) -> Ordering {
    if real.is_nan() || real < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater; // a NaN sorts as NULL
    }
    if real >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    // In range: the integer parts decide, then the fraction.
    let whole = real as i64;
    int.cmp(&whole).then_with(|| (int as f64).partial_cmp(&real).unwrap_or(Ordering::Equal))
}

/// SQLite's order of values: NULL, numbers by value, text by its collation, blobs by their bytes.
#[inline]
#[must_use]
pub fn compare_fields(
    left: Field<'_>,
    right: Field<'_>,
    collation: Collation,
    encoding: Encoding,
) -> Ordering {
    match (left, right) {
        (Field::Int(l), Field::Int(r)) => l.cmp(&r),
        (Field::Text(l), Field::Text(r)) => collation.compare_encoded(encoding, l, r),
        (Field::Real(l), Field::Real(r)) => l.partial_cmp(&r).unwrap_or(Ordering::Equal),
        (Field::Int(l), Field::Real(r)) => compare_int_real(l, r),
        (Field::Real(l), Field::Int(r)) => compare_int_real(r, l).reverse(),
        (Field::Blob(l), Field::Blob(r)) => l.cmp(r),
        _ => class(left).cmp(&class(right)),
    }
}

fn class(field: Field<'_>) -> u8 {
    match field {
        Field::Null => 0,
        Field::Int(_) | Field::Real(_) => 1,
        Field::Text(_) => 2,
        Field::Blob(_) => 3,
    }
}

#[cold]
fn long_header(record: &[u8]) -> Result<(usize, usize)> {
    let (len, at) = read_varint(record).ok_or(Error::Corrupt)?;
    Ok((usize::try_from(len).map_err(|_| Error::Corrupt)?, at))
}

impl KeyInfo {
    /// An index key of `count` ascending BINARY columns.
    #[must_use]
    pub fn binary(count: usize) -> KeyInfo {
        KeyInfo { columns: vec![KeyColumn::default(); count], encoding: Encoding::Utf8 }
    }

    /// Compares the record of an entry with key fields. Only the columns that both have take part,
    /// so a shorter key equals every entry that it is a prefix of.
    ///
    /// # Errors
    /// A record that breaks the format.
    pub fn compare(&self, record: &[u8], key: &[Field<'_>]) -> Result<Ordering> {
        // The loop of every index search: headers and types of one byte are read without a call.
        let (header_len, mut at) = match record.first() {
            Some(len) if *len < 0x80 => (usize::from(*len), 1),
            _ => long_header(record)?,
        };
        let mut value_at = header_len;
        for (column, key) in self.columns.iter().zip(key) {
            if at >= header_len {
                return Ok(Ordering::Equal);
            }
            let serial = match record.get(at) {
                Some(byte) if *byte < 0x80 => {
                    at += 1;
                    u64::from(*byte)
                }
                _ => {
                    let rest = record.get(at..).unwrap_or_default();
                    let (serial, len) = read_varint(rest).ok_or(Error::Corrupt)?;
                    at += len;
                    serial
                }
            };
            let value = record.get(value_at..).ok_or(Error::Corrupt)?;
            let field = decode(serial, value)?;
            let order = match (field, *key) {
                (Field::Int(stored), Field::Int(key)) => stored.cmp(&key),
                (field, key) => compare_fields(field, key, column.collation, self.encoding),
            };
            if order.is_ne() {
                return Ok(if column.desc { order.reverse() } else { order });
            }
            value_at += serial_len(serial) as usize;
        }
        Ok(Ordering::Equal)
    }

    /// Compares two records.
    ///
    /// # Errors
    /// A record that breaks the format.
    pub fn compare_records(&self, left: &[u8], right: &[u8]) -> Result<Ordering> {
        let (mut left, mut right) = (fields(left)?, fields(right)?);
        for column in &self.columns {
            let (Some(l), Some(r)) = (left.next(), right.next()) else { break };
            let order = compare_fields(l?, r?, column.collation, self.encoding);
            if order.is_ne() {
                return Ok(if column.desc { order.reverse() } else { order });
            }
        }
        Ok(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests;
