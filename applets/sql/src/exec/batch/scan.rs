//! The source of a pipeline: leaves of a table tree decoded into vectors.
//!
//! Each record's header is walked once, from the front to the last column that is wanted, and only
//! wanted columns are decoded. Columns that only a row that passed the filters needs are decoded in
//! a second pass, which goes on in the header where the first stopped.

use super::vector::{BLOB, INT, NULL, REAL, TEXT, Vector, in_page};
use crate::btree::Leaves;
use crate::error::Result;
use crate::pager::Page;
use crate::record::{read_varint, serial_len};
use crate::value::{Owned, Value};
use crate::vfs::Error;

/// Rows of a batch: enough to hide what a kernel costs to start, few enough for the cache.
const BATCH_ROWS: usize = 1024;
/// Leaves of a batch, and of one read.
const BATCH_PAGES: usize = 64;
/// Bytes of long values that a batch may copy.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes that the long values of one leaf may have: what the word of a value can tell.
const MOST_BYTES: usize = 1 << 31;

/// A column that is wanted.
#[derive(Clone, Debug)]
pub struct Want {
    /// The vector that takes it.
    pub vector: usize,
    /// Field of the record; `None` is the rowid.
    pub field: Option<u16>,
    /// Integers are doubles (REAL affinity).
    pub real: bool,
    /// What stands for it in records that are older than the column.
    pub missing: Option<Box<Owned>>,
}

/// Where a row lies, and how far its header was walked.
#[derive(Clone, Copy)]
struct Place {
    page: u16,
    overflows: bool,
    start: u32,
    len: u32,
    /// The field at which the walk goes on, and where its type and value begin.
    field: u16,
    next_type: u32,
    next_value: u32,
}

/// Rows of a table, a batch at a time.
pub struct Scan {
    leaves: Leaves,
    /// Decoded for every row; by field.
    first: Vec<Want>,
    /// Decoded for rows that pass the filters; by field.
    second: Vec<Want>,
    places: Vec<Place>,
    waiting: Vec<Page>,
    /// Leaves that the next read asks for: few at first, for those who want few rows.
    ahead: usize,
}

impl Scan {
    /// A scan that decodes `first` at once and `second` for the rows that are left.
    pub fn new(leaves: Leaves, mut first: Vec<Want>, mut second: Vec<Want>) -> Scan {
        let lowest = |want: &Want| want.field.map_or(-1, i32::from);
        // The second pass begins where the first ended: what lies before that belongs to the first.
        let end = first.iter().map(lowest).max().unwrap_or(-1);
        if !first.is_empty() {
            let (early, late) = second.drain(..).partition(|want| lowest(want) <= end);
            second = late;
            first.extend::<Vec<Want>>(early);
        } else {
            first.append(&mut second);
        }
        first.sort_by_key(lowest);
        second.sort_by_key(lowest);
        Scan { leaves, first, second, places: Vec::new(), waiting: Vec::new(), ahead: 1 }
    }

    /// Gives values as they are stored: whole doubles of a REAL column are integers in the file.
    pub fn keep_stored(&mut self) {
        self.first.iter_mut().chain(&mut self.second).for_each(|want| want.real = false);
    }

    /// Reads the next batch: `vectors` get its rows, `pages` what they point to. Says how many rows
    /// there are; 0 is the end.
    ///
    /// # Errors
    /// A file that is malformed, I/O.
    pub fn read(&mut self, vectors: &mut [Vector], pages: &mut Vec<Page>) -> Result<usize> {
        self.leaves.recycle(pages);
        let mut expected = 0;
        loop {
            while expected < BATCH_ROWS && pages.len() < self.ahead {
                if self.waiting.is_empty() {
                    if !self.leaves.read(self.ahead, &mut self.waiting)? {
                        break;
                    }
                    self.waiting.reverse();
                }
                let Some(page) = self.waiting.pop() else { break };
                expected += self.leaves.count(&page)?;
                pages.push(page);
            }
            if pages.is_empty() {
                return Ok(0);
            }
            self.ahead = (self.ahead * 4).min(BATCH_PAGES);
            let (rows, used) = self.decode(expected, vectors, pages)?;
            self.waiting.extend(pages.drain(used..).rev());
            if rows > 0 {
                return Ok(rows);
            }
            // Leaves without a row that is wanted: on to the next.
            self.leaves.recycle(pages);
            expected = 0;
        }
    }

    /// Decodes rows until the pages end or hold more long values than a batch should; says how many
    /// rows and how many pages it took.
    fn decode(
        &mut self,
        room: usize,
        vectors: &mut [Vector],
        pages: &[Page],
    ) -> Result<(usize, usize)> {
        for vector in vectors.iter_mut() {
            vector.clear(room);
        }
        let (leaves, first, places) = (&mut self.leaves, &self.first, &mut self.places);
        let keeps_places = !self.second.is_empty();
        places.clear();
        let (mut row, mut used) = (0, 0);
        let mut long: Vec<(usize, usize)> = Vec::new();
        for (n, page) in pages.iter().enumerate() {
            leaves.rows(page, |found| -> Result<()> {
                let mut place = Place {
                    page: n as u16,
                    overflows: found.overflows,
                    start: found.start as u32,
                    len: found.local_len as u32,
                    field: 0,
                    next_type: 0,
                    next_value: 0,
                };
                if found.overflows {
                    long.push((row, found.start));
                    set_rowid(first, vectors, row, found.rowid);
                } else {
                    let record = page
                        .get(found.start..found.start + found.local_len)
                        .ok_or(Error::Corrupt)?;
                    let base = in_page(n, found.start, 0);
                    walk(record, &mut place, first, vectors, row, Some(found.rowid), base)?;
                }
                if keeps_places {
                    places.push(place);
                }
                row += 1;
                Ok(())
            })?;
            used = n + 1;
            for (row, start) in long.drain(..) {
                let record = leaves.assemble(page, start)?;
                walk_long(&record, first, vectors, row)?;
            }
            if vectors.iter().any(|vector| vector.arena_len() > BATCH_BYTES) {
                break;
            }
        }
        for vector in vectors.iter_mut() {
            vector.truncate(row);
        }
        Ok((row, used))
    }

    /// Decodes what only the rows at `rows` need.
    ///
    /// # Errors
    /// As [`read`](Scan::read).
    pub fn finish(&mut self, rows: &[u32], vectors: &mut [Vector], pages: &[Page]) -> Result<()> {
        if self.second.is_empty() {
            return Ok(());
        }
        for &row in rows {
            let row = row as usize;
            let Some(place) = self.places.get_mut(row) else { continue };
            let page = pages.get(usize::from(place.page)).ok_or(Error::Corrupt)?;
            if place.overflows {
                let record = self.leaves.assemble(page, place.start as usize)?;
                walk_long(&record, &self.second, vectors, row)?;
                continue;
            }
            let (start, len) = (place.start as usize, place.len as usize);
            let record = page.get(start..start + len).ok_or(Error::Corrupt)?;
            let base = in_page(usize::from(place.page), start, 0);
            walk(record, place, &self.second, vectors, row, None, base)?;
        }
        Ok(())
    }
}

fn set_rowid(wants: &[Want], vectors: &mut [Vector], row: usize, rowid: i64) {
    for want in wants.iter().filter(|want| want.field.is_none()) {
        vectors[want.vector].set(row, INT, rowid as u64);
    }
}

/// Walks a record that lies whole on its page; `base` is the word of its first byte.
#[inline]
fn walk(
    record: &[u8],
    place: &mut Place,
    wants: &[Want],
    vectors: &mut [Vector],
    row: usize,
    rowid: Option<i64>,
    base: u64,
) -> Result<()> {
    let header = if place.next_type == 0 {
        let (header, at) = short_varint(record, 0).ok_or(Error::Corrupt)?;
        (place.next_type, place.next_value) = (at as u32, header as u32);
        header as usize
    } else {
        short_varint(record, 0).ok_or(Error::Corrupt)?.0 as usize
    };
    if header > record.len() {
        return Err(Error::Corrupt.into());
    }
    let mut at = place.next_type as usize;
    let mut value = place.next_value as usize;
    let mut field = place.field;
    for want in wants {
        let Some(wanted) = want.field else {
            if let Some(rowid) = rowid {
                vectors[want.vector].set(row, INT, rowid as u64);
            }
            continue;
        };
        while field < wanted && at < header {
            let (serial, next) = short_varint(record, at).ok_or(Error::Corrupt)?;
            at = next;
            value = value.saturating_add(serial_len(serial) as usize);
            field += 1;
        }
        if at >= header {
            missing(want, &mut vectors[want.vector], row);
            continue;
        }
        let (serial, next) = short_varint(record, at).ok_or(Error::Corrupt)?;
        let vector = &mut vectors[want.vector];
        let len = decode(record, serial, value, want.real, base, vector, row)?;
        at = next;
        value += len;
        field += 1;
    }
    (place.next_type, place.next_value, place.field) = (at as u32, value as u32, field);
    Ok(())
}

/// A varint, and where it ends.
#[inline]
fn short_varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((u64::from(first), at + 1));
    }
    let (value, len) = read_varint(bytes.get(at..)?)?;
    Some((value, at + len))
}

fn missing(want: &Want, vector: &mut Vector, row: usize) {
    match want.missing.as_deref() {
        None | Some(Value::Null) => vector.set(row, NULL, 0),
        Some(value) => set_value(vector, row, value),
    }
}

fn set_value(vector: &mut Vector, row: usize, value: &Value<'_>) {
    let (tag, bits) = match value {
        Value::Null => (NULL, 0),
        Value::Int(v) => (INT, *v as u64),
        Value::Real(v) => (REAL, v.to_bits()),
        Value::Text(v) => (TEXT, vector.keep(v)),
        Value::Blob(v) => (BLOB, vector.keep(v)),
    };
    vector.set(row, tag, bits);
}

/// Decodes one value into a vector; says how many bytes it has.
#[inline]
fn decode(
    record: &[u8],
    serial: u64,
    at: usize,
    real: bool,
    base: u64,
    vector: &mut Vector,
    row: usize,
) -> Result<usize> {
    let len = serial_len(serial) as usize;
    let bytes = record.get(at..at.saturating_add(len)).ok_or(Error::Corrupt)?;
    match serial {
        0 | 10 | 11 => vector.set(row, NULL, 0),
        7 => {
            let bits = u64::from_be_bytes(bytes.try_into().unwrap_or_default());
            let tag = if f64::from_bits(bits).is_nan() { NULL } else { REAL };
            vector.set(row, tag, bits);
        }
        1..=6 | 8 | 9 => {
            let int = match *bytes {
                [a] => i64::from(a as i8),
                [a, b] => i64::from(i16::from_be_bytes([a, b])),
                [a, b, c] => i64::from(i32::from_be_bytes([a, b, c, 0]) >> 8),
                [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
                [a, b, c, d, e, f] => i64::from_be_bytes([a, b, c, d, e, f, 0, 0]) >> 16,
                [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                _ => i64::from(serial == 9),
            };
            if real {
                vector.set(row, REAL, (int as f64).to_bits());
            } else {
                vector.set(row, INT, int as u64);
            }
        }
        _ => {
            let tag = if serial & 1 == 1 { TEXT } else { BLOB };
            vector.set(row, tag, base + ((at as u64) << 32) + len as u64);
        }
    }
    Ok(len)
}

/// Decodes a record that was put together from its overflow pages: text is copied.
fn walk_long(record: &[u8], wants: &[Want], vectors: &mut [Vector], row: usize) -> Result<()> {
    let fields: Vec<crate::record::Field<'_>> =
        crate::record::fields(record)?.collect::<std::result::Result<_, _>>()?;
    for want in wants {
        let Some(at) = want.field else { continue };
        let vector = &mut vectors[want.vector];
        if vector.arena_len() + record.len() > MOST_BYTES {
            return Err(Error::TooBig.into());
        }
        match fields.get(usize::from(at)) {
            None => missing(want, vector, row),
            Some(crate::record::Field::Int(v)) if want.real => {
                vector.set(row, REAL, (*v as f64).to_bits());
            }
            Some(field) => {
                let value = Value::from_field(*field, crate::collate::Encoding::Utf8);
                set_value(vector, row, &value);
            }
        }
    }
    Ok(())
}
