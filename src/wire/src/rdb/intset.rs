//! The intset: sorted integers of one width.
//!
//! ```text
//! [bytes an element u32: 2, 4 or 8][elements u32] elements, little endian, ascending
//! ```

use crate::decimal::parse_i64;

const HEADER: usize = 8;

/// A sorted set of integers in its file form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntSet {
    bytes: Vec<u8>,
}

impl Default for IntSet {
    fn default() -> IntSet {
        IntSet::new()
    }
}

impl IntSet {
    /// An empty one.
    pub fn new() -> IntSet {
        IntSet { bytes: vec![2, 0, 0, 0, 0, 0, 0, 0] }
    }

    /// Takes bytes from outside: width, length and order are checked.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<IntSet> {
        let set = IntSet { bytes };
        let count = u32::from_le_bytes(*set.bytes.get(4..)?.first_chunk()?) as usize;
        let width = set.width();
        if !matches!(set.bytes.first_chunk(), Some([2 | 4 | 8, 0, 0, 0])) {
            return None;
        }
        let sorted = || (1..count).all(|index| set.get(index - 1) < set.get(index));
        let whole = set.bytes.len() == HEADER.checked_add(count.checked_mul(width)?)?;
        (whole && sorted()).then_some(set)
    }

    /// The bytes, as they go into files.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        (self.bytes.len() - HEADER) / self.width()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER
    }

    /// Element number `index` in ascending order.
    pub fn get(&self, index: usize) -> Option<i64> {
        let width = self.width();
        let at = HEADER + index * width;
        let slice = self.bytes.get(at..at + width)?;
        let raw = slice.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let unused = 64 - 8 * width as u32;
        Some((raw << unused) as i64 >> unused)
    }

    /// All elements, ascending.
    pub fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Whether it holds `value`.
    pub fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// Whether it holds the number that `text` spells.
    pub fn contains_text(&self, text: &[u8]) -> bool {
        parse_i64(text).is_some_and(|value| self.contains(value))
    }

    /// Adds `value`; whether it is new.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(index) = self.search(value) else { return false };
        if width_of(value) > self.width() {
            self.widen(width_of(value));
        }
        let width = self.width();
        let at = HEADER + index * width;
        let end = self.bytes.len();
        self.bytes.reserve_exact(width);
        self.bytes.resize(end + width, 0);
        self.bytes.copy_within(at..end, at + width);
        self.bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.write_count();
        true
    }

    /// Removes `value`; whether it was there.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(index) = self.search(value) else { return false };
        let width = self.width();
        let at = HEADER + index * width;
        self.bytes.drain(at..at + width);
        self.write_count();
        true
    }

    fn search(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(found) if found == value => return Ok(middle),
                Some(found) if found < value => low = middle + 1,
                _ => high = middle,
            }
        }
        Err(low)
    }

    fn widen(&mut self, width: usize) {
        let values: Vec<i64> = self.iter().collect();
        let mut bytes = Vec::with_capacity(HEADER + (values.len() + 1) * width);
        bytes.extend_from_slice(&(width as u32).to_le_bytes());
        bytes.extend_from_slice(&(values.len() as u32).to_le_bytes());
        for value in values {
            bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        }
        self.bytes = bytes;
    }

    fn width(&self) -> usize {
        match self.bytes.first() {
            Some(4) => 4,
            Some(8) => 8,
            _ => 2,
        }
    }

    fn write_count(&mut self) {
        let count = self.len() as u32;
        self.bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
    }
}

fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_behaves_as_a_sorted_set_over_all_widths() {
        let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
        let mut state = 5u64;
        for step in 0..4000u32 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let value = (state as i64) >> (if step < 2000 { 54 } else { 20 + state % 40 });
            if state >> 63 == 0 {
                assert_eq!(set.insert(value), model.insert(value));
            } else {
                assert_eq!(set.remove(value), model.remove(&value));
            }
        }
        assert!(set.iter().eq(model.iter().copied()));
        assert_eq!(IntSet::from_bytes(set.as_bytes().to_vec()), Some(set));
    }

    #[test]
    fn broken_bytes_are_refused() {
        for bytes in [&[][..], &[2, 0, 0, 0], &[3, 0, 0, 0, 0, 0, 0, 0], &[2, 0, 0, 0, 1, 0, 0, 0]]
        {
            assert_eq!(IntSet::from_bytes(bytes.to_vec()), None);
        }
        let unsorted = vec![2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 4, 0];
        assert_eq!(IntSet::from_bytes(unsorted), None);
    }
}
