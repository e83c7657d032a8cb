//! A column of a batch: eight bytes a value, and one of type where the types differ.
//!
//! SQLite's types belong to values, not to columns, but nearly every column of every batch is of one
//! type: then there is no type array, and kernels run over plain words.
//!
//! Text is not copied. Its word says where it lies:
//!
//! ```text
//! 0 | page of the batch (15 bits) | offset (16) | length (32)      in a leaf page
//! 1 | offset (31)                               | length (32)      in the vector's own arena
//! ```

use std::sync::Arc;

use crate::pager::Page;
use crate::value::Value;

/// The type of a value.
pub type Tag = u8;
pub const NULL: Tag = 0;
pub const INT: Tag = 1;
pub const REAL: Tag = 2;
pub const TEXT: Tag = 3;
pub const BLOB: Tag = 4;

const IN_ARENA: u64 = 1 << 63;

/// A column.
#[derive(Clone, Debug, Default)]
pub struct Vector {
    /// The type of all values, where `tags` is empty.
    tag: Tag,
    tags: Vec<Tag>,
    pub bits: Vec<u64>,
    /// A value was set since the vector was cleared.
    typed: bool,
    arena: Arc<Vec<u8>>,
}

/// The word of bytes in a page.
#[inline]
pub fn in_page(page: usize, offset: usize, len: usize) -> u64 {
    (page as u64) << 48 | (offset as u64) << 32 | len as u64
}

impl Vector {
    /// A vector without values that can have `len`.
    pub fn with_capacity(len: usize) -> Vector {
        Vector { bits: Vec::with_capacity(len), ..Vector::default() }
    }

    /// All values of one type.
    pub fn uniform(tag: Tag, bits: Vec<u64>) -> Vector {
        Vector { tag, bits, typed: true, ..Vector::default() }
    }

    /// One value so many times.
    pub fn repeat(value: &Value<'_>, len: usize) -> Vector {
        let mut vector = Vector::default();
        vector.push(value);
        let bits = vector.bits.first().copied().unwrap_or(0);
        vector.bits.resize(len, bits);
        vector
    }

    /// Makes it a vector of `len` values, all to be set.
    pub fn clear(&mut self, len: usize) {
        self.tags.clear();
        self.tag = NULL;
        self.typed = false;
        self.bits.resize(len, 0);
        match Arc::get_mut(&mut self.arena) {
            Some(arena) => arena.clear(),
            None => self.arena = Arc::default(),
        }
    }

    /// Gives up the values from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.bits.truncate(len);
        self.tags.truncate(len);
    }

    /// The type that all values have.
    #[inline]
    pub fn one_type(&self) -> Option<Tag> {
        self.tags.is_empty().then_some(self.tag)
    }

    #[inline]
    pub fn tag(&self, at: usize) -> Tag {
        if self.tags.is_empty() { self.tag } else { self.tags[at] }
    }

    /// Sets a value of a vector that was cleared to its length.
    #[inline]
    pub fn set(&mut self, at: usize, tag: Tag, bits: u64) {
        if !self.tags.is_empty() {
            self.tags[at] = tag;
        } else if !self.typed {
            self.tag = tag;
            self.typed = true;
        } else if tag != self.tag {
            self.mix(at, tag);
        }
        self.bits[at] = bits;
    }

    #[cold]
    fn mix(&mut self, at: usize, tag: Tag) {
        self.tags = vec![self.tag; self.bits.len()];
        self.tags[at] = tag;
    }

    /// Appends a value by its word.
    #[inline]
    pub fn push_bits(&mut self, tag: Tag, bits: u64) {
        let at = self.bits.len();
        self.bits.push(bits);
        if !self.tags.is_empty() {
            self.tags.push(tag);
        } else if !self.typed {
            self.tag = tag;
            self.typed = true;
        } else if tag != self.tag {
            self.mix(at, tag);
        }
    }

    /// Appends a value, its bytes copied to the arena.
    pub fn push(&mut self, value: &Value<'_>) {
        match value {
            Value::Null => self.push_bits(NULL, 0),
            Value::Int(v) => self.push_bits(INT, *v as u64),
            Value::Real(v) => self.push_bits(REAL, v.to_bits()),
            Value::Text(v) => {
                let bits = self.keep(v);
                self.push_bits(TEXT, bits);
            }
            Value::Blob(v) => {
                let bits = self.keep(v);
                self.push_bits(BLOB, bits);
            }
        }
    }

    /// Copies bytes to the arena and gives the word for them.
    pub fn keep(&mut self, bytes: &[u8]) -> u64 {
        let arena = Arc::make_mut(&mut self.arena);
        let start = arena.len() as u64;
        arena.extend_from_slice(bytes);
        IN_ARENA | start << 32 | bytes.len() as u64
    }

    /// Bytes of the arena: batches are cut, and tables are given up, before they outgrow the word.
    pub fn arena_len(&self) -> usize {
        self.arena.len()
    }

    /// The bytes that a word stands for.
    #[inline]
    pub fn bytes<'a>(&'a self, bits: u64, pages: &'a [Page]) -> &'a [u8] {
        let len = (bits & 0xffff_ffff) as usize;
        if bits & IN_ARENA != 0 {
            let start = (bits >> 32 & 0x7fff_ffff) as usize;
            return self.arena.get(start..start + len).unwrap_or_default();
        }
        let start = (bits >> 32 & 0xffff) as usize;
        let page = pages.get((bits >> 48) as usize);
        page.and_then(|page| page.get(start..start + len)).unwrap_or_default()
    }

    /// A value.
    #[inline]
    pub fn value<'a>(&'a self, at: usize, pages: &'a [Page]) -> Value<'a> {
        let bits = self.bits[at];
        match self.tag(at) {
            NULL => Value::Null,
            INT => Value::Int(bits as i64),
            REAL => Value::Real(f64::from_bits(bits)),
            TEXT => Value::Text(self.bytes(bits, pages).into()),
            _ => Value::Blob(self.bytes(bits, pages).into()),
        }
    }

    /// The values at these places; past the end is NULL (the missing side of an outer join).
    pub fn gather(&self, places: &[u32]) -> Vector {
        let mut out = Vector { arena: Arc::clone(&self.arena), ..Vector::default() };
        let len = self.bits.len();
        let whole = places.iter().all(|at| (*at as usize) < len);
        if !whole {
            for &at in places {
                match self.bits.get(at as usize) {
                    Some(bits) => out.push_bits(self.tag(at as usize), *bits),
                    None => out.push_bits(NULL, 0),
                }
            }
            return out;
        }
        out.bits = places.iter().map(|at| self.bits[*at as usize]).collect();
        out.tag = self.tag;
        out.typed = true;
        if !self.tags.is_empty() {
            out.tags = places.iter().map(|at| self.tags[*at as usize]).collect();
        }
        out
    }

    /// Whether a value is true; `None` for NULL.
    #[inline]
    pub fn truth(&self, at: usize, pages: &[Page]) -> Option<bool> {
        match self.tag(at) {
            INT => Some(self.bits[at] != 0),
            NULL => None,
            _ => self.value(at, pages).as_bool(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_kept_once_until_they_differ() {
        let mut vector = Vector::default();
        vector.push(&Value::Int(7));
        vector.push(&Value::Int(-1));
        assert_eq!(vector.one_type(), Some(INT));
        vector.push(&Value::text("abc"));
        assert_eq!(vector.one_type(), None);
        let values: Vec<Value<'_>> = (0..3).map(|at| vector.value(at, &[])).collect();
        assert_eq!(values, [Value::Int(7), Value::Int(-1), Value::text("abc")]);
        let picked = vector.gather(&[2, 9, 0]);
        let values: Vec<Value<'_>> = (0..3).map(|at| picked.value(at, &[])).collect();
        assert_eq!(values, [Value::text("abc"), Value::Null, Value::Int(7)]);
    }
}
