//! The listpack: strings and integers packed one behind the other, walkable from both ends.
//!
//! ```text
//! [total bytes u32][elements u16] ( [encoding+data] [backlen] )* [0xff]
//!
//! 0xxxxxxx                     integer 0..127
//! 10LLLLLL                     string up to 63 bytes
//! 110xxxxx xxxxxxxx            integer of 13 bits
//! 1110LLLL LLLLLLLL            string up to 4095 bytes
//! 11110001..11110100           integer of 16, 24, 32, 64 bits, little endian
//! 11110000 LLLLLLLL x 4        string up to 4 GiB
//! ```
//!
//! `backlen` is the length of encoding and data, in groups of 7 bits, written so that it is read
//! from its last byte. An element count of 65535 means "count them". The same bytes serve as the
//! value in memory, in RDB files and in DUMP payloads.

use crate::decimal::{parse_i64, push_i64};

const HEADER: usize = 6;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// A packed list. Positions are byte offsets of elements; they hold until the next change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPack {
    bytes: Vec<u8>,
}

/// An element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Stored as a number.
    Int(i64),
    /// Stored as bytes.
    Bytes(&'a [u8]),
}

impl Item<'_> {
    /// The element as bytes, using `scratch` for a number's text.
    pub fn text<'s>(&'s self, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        match self {
            Item::Bytes(bytes) => bytes,
            Item::Int(value) => {
                scratch.clear();
                push_i64(scratch, *value);
                scratch
            }
        }
    }

    /// The element as bytes of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut scratch = Vec::new();
        self.text(&mut scratch).to_vec()
    }

    /// Whether the element's bytes are `text`.
    pub fn is(&self, text: &[u8]) -> bool {
        match self {
            Item::Bytes(bytes) => *bytes == text,
            Item::Int(value) => parse_i64(text) == Some(*value),
        }
    }

    /// How many bytes its text has.
    pub fn text_len(&self) -> usize {
        match self {
            Item::Bytes(bytes) => bytes.len(),
            Item::Int(_) => self.to_vec().len(),
        }
    }
}

impl Default for ListPack {
    fn default() -> ListPack {
        ListPack::new()
    }
}

impl ListPack {
    /// An empty one.
    pub fn new() -> ListPack {
        let mut bytes = vec![0; HEADER];
        bytes.push(END);
        let mut pack = ListPack { bytes };
        pack.write_header(0);
        pack
    }

    /// Takes bytes from outside: every element is checked, front to back.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<ListPack> {
        let total = u32::from_le_bytes(*bytes.first_chunk()?);
        if total as usize != bytes.len() || bytes.len() <= HEADER || bytes.last() != Some(&END) {
            return None;
        }
        let pack = ListPack { bytes };
        let (mut at, mut count) = (HEADER, 0usize);
        let end = pack.bytes.len() - 1;
        while at < end {
            let size = pack.checked_size(at)?;
            let mut backlen = Vec::new();
            push_backlen(&mut backlen, size);
            let next = at + size + backlen.len();
            if next > end || pack.bytes.get(at + size..next)? != backlen {
                return None;
            }
            at = next;
            count += 1;
        }
        let stated = pack.stated_count();
        (stated == COUNT_UNKNOWN || usize::from(stated) == count).then_some(pack)
    }

    /// The bytes, as they go into files.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        match self.stated_count() {
            COUNT_UNKNOWN => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() <= HEADER + 1
    }

    /// Position of the first element.
    pub fn first(&self) -> Option<usize> {
        (!self.is_empty()).then_some(HEADER)
    }

    /// Position of the last element.
    pub fn last(&self) -> Option<usize> {
        self.prev(self.bytes.len() - 1)
    }

    /// Position of the element behind.
    pub fn next(&self, at: usize) -> Option<usize> {
        let next = at + self.span(at);
        (next < self.bytes.len() - 1).then_some(next)
    }

    /// Position of the element in front.
    pub fn prev(&self, at: usize) -> Option<usize> {
        if at <= HEADER {
            return None;
        }
        let (mut size, mut shift, mut back) = (0usize, 0, at - 1);
        loop {
            let byte = self.byte(back);
            size |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 || shift >= 28 {
                break;
            }
            shift += 7;
            back -= 1;
        }
        back.checked_sub(size)
    }

    /// Position of element number `index`, counted from the end if negative.
    pub fn seek(&self, index: i64) -> Option<usize> {
        let count = self.len() as i64;
        let index = if index < 0 { count + index } else { index };
        if index < 0 || index >= count {
            return None;
        }
        if index < count / 2 {
            (0..index).try_fold(self.first()?, |at, _| self.next(at))
        } else {
            (index + 1..count).try_fold(self.last()?, |at, _| self.prev(at))
        }
    }

    /// The element at `at`.
    #[inline]
    pub fn get(&self, at: usize) -> Item<'_> {
        let first = self.byte(at);
        match first {
            0..=0x7f => Item::Int(i64::from(first)),
            0x80..=0xbf => self.slice(at + 1, usize::from(first & 0x3f)),
            0xc0..=0xdf => {
                let raw = i64::from(first & 0x1f) << 8 | i64::from(self.byte(at + 1));
                Item::Int(if raw >= 1 << 12 { raw - (1 << 13) } else { raw })
            }
            0xe0..=0xef => {
                let len = usize::from(first & 0x0f) << 8 | usize::from(self.byte(at + 1));
                self.slice(at + 2, len)
            }
            0xf0 => self.slice(at + 5, self.little(at + 1, 4) as usize),
            0xf1 => Item::Int(i64::from(self.little(at + 1, 2) as i16)),
            0xf2 => Item::Int((self.little(at + 1, 3) as i64) << 40 >> 40),
            0xf3 => Item::Int(i64::from(self.little(at + 1, 4) as i32)),
            _ => Item::Int(self.little(at + 1, 8) as i64),
        }
    }

    /// All elements, front to back.
    pub fn iter(&self) -> Iter<'_> {
        Iter { pack: self, at: self.first() }
    }

    /// Position of the first element from `from` on that is `text`, looking only at every
    /// `skip + 1`st.
    pub fn find(&self, text: &[u8], from: Option<usize>, skip: usize) -> Option<usize> {
        let number = if text.len() <= 20 { parse_i64(text) } else { None };
        let mut at = from?;
        loop {
            let found = match (self.get(at), number) {
                (Item::Int(value), Some(number)) => value == number,
                (Item::Bytes(bytes), None) => bytes == text,
                _ => false,
            };
            if found {
                return Some(at);
            }
            for _ in 0..=skip {
                at = self.next(at)?;
            }
        }
    }

    /// Appends an element.
    pub fn push(&mut self, text: &[u8]) {
        self.splice(self.bytes.len() - 1, 0, &encode(text), 1);
    }

    /// Appends a number.
    pub fn push_int(&mut self, value: i64) {
        let mut element = Vec::with_capacity(10);
        push_int(&mut element, value);
        let size = element.len();
        push_backlen(&mut element, size);
        self.splice(self.bytes.len() - 1, 0, &element, 1);
    }

    /// Appends a run of elements at once.
    pub fn push_run(&mut self, run: &Run) {
        self.splice(self.bytes.len() - 1, 0, &run.bytes, run.count);
    }

    /// Replaces the element at `at` by a number.
    pub fn replace_int(&mut self, at: usize, value: i64) {
        let run = Run::default().int(value);
        self.splice(at, self.span(at), &run.bytes, 0);
    }

    /// Puts an element in front.
    pub fn push_front(&mut self, text: &[u8]) {
        self.splice(HEADER, 0, &encode(text), 1);
    }

    /// Puts an element in front of the one at `at`.
    pub fn insert_before(&mut self, at: usize, text: &[u8]) {
        self.splice(at, 0, &encode(text), 1);
    }

    /// Puts an element behind the one at `at`.
    pub fn insert_after(&mut self, at: usize, text: &[u8]) {
        self.splice(at + self.span(at), 0, &encode(text), 1);
    }

    /// Replaces the element at `at`; the new one stands at the same position.
    pub fn replace(&mut self, at: usize, text: &[u8]) {
        self.splice(at, self.span(at), &encode(text), 0);
    }

    /// Removes `count` elements from `at` on; what was behind them then stands at `at`.
    pub fn remove(&mut self, at: usize, count: usize) {
        let (mut end, mut removed) = (at, 0);
        while removed < count && end < self.bytes.len() - 1 {
            end += self.span(end);
            removed += 1;
        }
        self.splice(at, end - at, &[], -(removed as i64));
    }

    /// Whether an element stands at `at` (behind a removal it may be the end).
    pub fn is_element(&self, at: usize) -> bool {
        at < self.bytes.len() - 1
    }

    /// Moves the elements of `other` to the end of this one.
    pub fn append(&mut self, other: &ListPack) {
        let elements = &other.bytes[HEADER..other.bytes.len() - 1];
        self.splice(self.bytes.len() - 1, 0, elements, other.len() as i64);
    }

    fn splice(&mut self, at: usize, gone: usize, element: &[u8], delta: i64) {
        let count = self.len() as i64 + delta;
        let old_len = self.bytes.len();
        let tail = at + gone..old_len;
        if element.len() >= gone {
            let grow = element.len() - gone;
            self.bytes.reserve_exact(grow);
            self.bytes.resize(old_len + grow, 0);
        }
        self.bytes.copy_within(tail, at + element.len());
        self.bytes.truncate(old_len - gone + element.len());
        self.bytes[at..at + element.len()].copy_from_slice(element);
        self.write_header(count as usize);
    }

    fn write_header(&mut self, count: usize) {
        let total = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
        let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[4..6].copy_from_slice(&count.to_le_bytes());
    }

    fn stated_count(&self) -> u16 {
        u16::from_le_bytes([self.byte(4), self.byte(5)])
    }

    /// Bytes of encoding, data and backlen of the element at `at`.
    #[inline]
    fn span(&self, at: usize) -> usize {
        let size = self.size(at);
        size + backlen_bytes(size)
    }

    /// Bytes of encoding and data of the element at `at`.
    #[inline]
    fn size(&self, at: usize) -> usize {
        let first = self.byte(at);
        match first {
            0..=0x7f => 1,
            0x80..=0xbf => 1 + usize::from(first & 0x3f),
            0xc0..=0xdf => 2,
            0xe0..=0xef => 2 + (usize::from(first & 0x0f) << 8 | usize::from(self.byte(at + 1))),
            0xf0 => 5 + self.little(at + 1, 4) as usize,
            0xf1 => 3,
            0xf2 => 4,
            0xf3 => 5,
            0xf4 => 9,
            _ => 1,
        }
    }

    /// As `size`, for bytes that may be anything.
    fn checked_size(&self, at: usize) -> Option<usize> {
        if self.byte(at) > 0xf4 {
            return None;
        }
        let header = match self.byte(at) {
            0xe0..=0xef => 2,
            0xf0 => 5,
            _ => 1,
        };
        if at + header >= self.bytes.len() {
            return None;
        }
        let size = self.size(at);
        (at.checked_add(size)? < self.bytes.len()).then_some(size)
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(END)
    }

    #[inline]
    fn little(&self, at: usize, bytes: usize) -> u64 {
        let slice = self.bytes.get(at..at + bytes).unwrap_or_default();
        slice.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    #[inline]
    fn slice(&self, at: usize, len: usize) -> Item<'_> {
        Item::Bytes(self.bytes.get(at..at + len).unwrap_or_default())
    }
}

/// Elements that are appended together.
#[derive(Clone, Debug, Default)]
pub struct Run {
    bytes: Vec<u8>,
    count: i64,
}

impl Run {
    /// Adds a number.
    #[must_use]
    pub fn int(mut self, value: i64) -> Run {
        let start = self.bytes.len();
        push_int(&mut self.bytes, value);
        self.close(start);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &[u8]) -> Run {
        let start = self.bytes.len();
        match if text.len() <= 20 { parse_i64(text) } else { None } {
            Some(value) => push_int(&mut self.bytes, value),
            None => push_text(&mut self.bytes, text),
        }
        self.close(start);
        self
    }

    fn close(&mut self, start: usize) {
        let size = self.bytes.len() - start;
        push_backlen(&mut self.bytes, size);
        self.count += 1;
    }
}

/// Walks a [`ListPack`] front to back.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    pack: &'a ListPack,
    at: Option<usize>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let at = self.at?;
        self.at = self.pack.next(at);
        Some(self.pack.get(at))
    }
}

fn encode(text: &[u8]) -> Vec<u8> {
    let mut element = Vec::with_capacity(text.len() + 10);
    match if text.len() <= 20 { parse_i64(text) } else { None } {
        Some(value) => push_int(&mut element, value),
        None => push_text(&mut element, text),
    }
    let size = element.len();
    push_backlen(&mut element, size);
    element
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        len @ 0..=63 => out.push(0x80 | len as u8),
        len @ 64..=4095 => out.extend_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]),
        len => {
            out.push(0xf0);
            out.extend_from_slice(&(len as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(text);
}

fn push_int(out: &mut Vec<u8>, value: i64) {
    let little = value.to_le_bytes();
    match value {
        0..=127 => out.push(value as u8),
        -4096..=4095 => {
            let raw = value & 0x1fff;
            out.extend_from_slice(&[0xc0 | (raw >> 8) as u8, raw as u8]);
        }
        -0x8000..=0x7fff => {
            out.push(0xf1);
            out.extend_from_slice(&little[..2]);
        }
        -0x80_0000..=0x7f_ffff => {
            out.push(0xf2);
            out.extend_from_slice(&little[..3]);
        }
        -0x8000_0000..=0x7fff_ffff => {
            out.push(0xf3);
            out.extend_from_slice(&little[..4]);
        }
        _ => {
            out.push(0xf4);
            out.extend_from_slice(&little);
        }
    }
}

#[inline]
fn backlen_bytes(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        2_097_152..=268_435_455 => 4,
        _ => 5,
    }
}

fn push_backlen(out: &mut Vec<u8>, size: usize) {
    let count = backlen_bytes(size);
    for group in (0..count).rev() {
        let more = if group + 1 == count { 0 } else { 0x80 };
        out.push((size >> (7 * group)) as u8 & 0x7f | more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ListPack {
        let mut pack = ListPack::new();
        for value in ["0", "127", "128", "-1", "-4096", "4095", "4096", "-32768", "8388607"] {
            pack.push(value.as_bytes());
        }
        for value in ["-8388608", "2147483647", "-2147483649", "abc", "", "007"] {
            pack.push(value.as_bytes());
        }
        pack.push(&[b'x'; 64]);
        pack.push(&[b'y'; 5000]);
        pack
    }

    #[test]
    fn it_is_walked_from_both_ends_and_survives_its_bytes() {
        let pack = sample();
        let forward: Vec<_> = pack.iter().map(|item| item.to_vec()).collect();
        let mut backward = Vec::new();
        let mut at = pack.last();
        while let Some(position) = at {
            backward.push(pack.get(position).to_vec());
            at = pack.prev(position);
        }
        backward.reverse();
        assert_eq!(forward, backward);
        assert_eq!(forward.len(), pack.len());
        assert_eq!(ListPack::from_bytes(pack.as_bytes().to_vec()), Some(pack));
    }

    #[test]
    fn it_changes_in_place_as_a_vector_does() {
        let mut pack = ListPack::new();
        let mut model: Vec<Vec<u8>> = Vec::new();
        let mut state = 7u64;
        for step in 0..3000u32 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let text = match state >> 60 {
                0..=7 => step.to_string().into_bytes(),
                8..=13 => vec![b'v'; (state >> 50) as usize % 90],
                _ => vec![b'w'; (state >> 40) as usize % 300],
            };
            let index = (state >> 20) as usize % (model.len() + 1);
            match (state >> 10) % 4 {
                0 | 1 if index < model.len() => {
                    pack.insert_before(pack.seek(index as i64).unwrap(), &text);
                    model.insert(index, text);
                }
                2 if index < model.len() => {
                    pack.replace(pack.seek(index as i64).unwrap(), &text);
                    model[index] = text;
                }
                3 if index < model.len() => {
                    pack.remove(pack.seek(index as i64).unwrap(), 1);
                    model.remove(index);
                }
                _ => {
                    pack.push(&text);
                    model.push(text);
                }
            }
        }
        assert!(pack.iter().map(|item| item.to_vec()).eq(model));
        assert!(ListPack::from_bytes(pack.as_bytes().to_vec()).is_some());
    }

    #[test]
    fn broken_bytes_are_refused_and_never_panic() {
        let good = sample().as_bytes().to_vec();
        for cut in 0..good.len() {
            assert_eq!(ListPack::from_bytes(good[..cut].to_vec()), None);
        }
        let mut state = 3u64;
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = (state >> 20) as u8;
            if let Some(pack) = ListPack::from_bytes(bytes) {
                assert_eq!(pack.iter().count(), pack.len());
            }
        }
    }
}
