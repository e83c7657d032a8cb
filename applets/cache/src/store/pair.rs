//! A key with its value in one allocation: a field of a hash, a member of a set, a member of a
//! sorted set with its score.
//!
//! ```text
//! [key length][value length] key value        lengths: 1 byte, or 0xff and 4 bytes
//! ```
//!
//! This module is the owner of the pointer; everything outside is safe.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::table::Element;

const LONG: u8 = 0xff;

/// An owned pair.
pub struct Pair(NonNull<u8>);

// SAFETY: a pair owns its bytes as a Box does; there is no interior mutability.
unsafe impl Send for Pair {}
// SAFETY: as above.
unsafe impl Sync for Pair {}

/// A pair that somebody else owns. Only a container that owns the pair too may hold one; it must
/// forget it before the pair is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairRef(NonNull<u8>);

// SAFETY: it is read only, through the container that owns the pair.
unsafe impl Send for PairRef {}
// SAFETY: as above.
unsafe impl Sync for PairRef {}

impl PairRef {
    /// The pair's key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        // SAFETY: the container's promise: the pair lives as long as this reference does.
        unsafe { Parts::of(self.0).key(self.0) }
    }
}

#[derive(Clone, Copy)]
struct Parts {
    head: usize,
    key: usize,
    value: usize,
}

impl Parts {
    fn new(key: usize, value: usize) -> Parts {
        Parts { head: Parts::len_bytes(key) + Parts::len_bytes(value), key, value }
    }

    fn len_bytes(len: usize) -> usize {
        if len < usize::from(LONG) { 1 } else { 5 }
    }

    /// Reads the lengths of the pair at `at`.
    ///
    /// # Safety
    /// `at` must be the start of a live pair.
    #[inline]
    unsafe fn of(at: NonNull<u8>) -> Parts {
        // SAFETY: a pair begins with two lengths, each written by `write_len`.
        unsafe {
            let (key, first) = read_len(at.as_ptr());
            let (value, second) = read_len(at.as_ptr().add(first));
            Parts { head: first + second, key, value }
        }
    }

    fn layout(self) -> Option<Layout> {
        Layout::from_size_align(self.head + self.key + self.value, 1).ok()
    }

    /// # Safety
    /// `at` must be the start of a live pair with these parts.
    #[inline]
    unsafe fn key<'a>(self, at: NonNull<u8>) -> &'a [u8] {
        // SAFETY: the key's bytes are behind the head, by construction.
        unsafe { std::slice::from_raw_parts(at.as_ptr().add(self.head), self.key) }
    }
}

/// # Safety
/// A length written by `write_len` stands at `at`.
#[inline]
unsafe fn read_len(at: *const u8) -> (usize, usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match at.read() {
            LONG => (at.add(1).cast::<u32>().read_unaligned() as usize, 5),
            len => (usize::from(len), 1),
        }
    }
}

/// # Safety
/// `Parts::len_bytes(len)` bytes are writable at `at`.
unsafe fn write_len(at: *mut u8, len: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        if len < usize::from(LONG) {
            at.write(len as u8);
            return 1;
        }
        at.write(LONG);
        at.add(1).cast::<u32>().write_unaligned(len as u32);
        5
    }
}

impl Pair {
    /// Makes one. Lengths are limited to 4 GiB by the protocol's own limit.
    pub fn new(key: &[u8], value: &[u8]) -> Pair {
        let parts = Parts::new(key.len(), value.len());
        let Some(layout) = parts.layout() else { handle_alloc_error(Layout::new::<u8>()) };
        // SAFETY: the layout has at least two bytes; what is written lies within it, by `Parts`.
        unsafe {
            let Some(at) = NonNull::new(alloc(layout)) else { handle_alloc_error(layout) };
            let first = write_len(at.as_ptr(), key.len());
            write_len(at.as_ptr().add(first), value.len());
            let body = at.as_ptr().add(parts.head);
            std::ptr::copy_nonoverlapping(key.as_ptr(), body, key.len());
            std::ptr::copy_nonoverlapping(value.as_ptr(), body.add(key.len()), value.len());
            Pair(at)
        }
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        // SAFETY: `self` is a live pair; the value's bytes are behind the key's.
        unsafe {
            let parts = Parts::of(self.0);
            let start = self.0.as_ptr().add(parts.head + parts.key);
            std::slice::from_raw_parts(start, parts.value)
        }
    }

    /// Replaces the value.
    pub fn set_value(&mut self, value: &[u8]) {
        // SAFETY: `self` is a live pair and borrowed mutably; the value keeps its length.
        unsafe {
            let parts = Parts::of(self.0);
            if parts.value == value.len() {
                let start = self.0.as_ptr().add(parts.head + parts.key);
                std::ptr::copy_nonoverlapping(value.as_ptr(), start, value.len());
                return;
            }
        }
        *self = Pair::new(self.key(), value);
    }

    /// The value as the score that [`Pair::scored`] has put there.
    pub fn score(&self) -> f64 {
        self.value().first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes))
    }

    /// A member of a sorted set.
    pub fn scored(member: &[u8], score: f64) -> Pair {
        Pair::new(member, &score.to_le_bytes())
    }

    /// A reference for the container that owns this pair.
    pub fn share(&self) -> PairRef {
        PairRef(self.0)
    }
}

impl Element for Pair {
    #[inline]
    fn key(&self) -> &[u8] {
        // SAFETY: `self` is a live pair.
        unsafe { Parts::of(self.0).key(self.0) }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // SAFETY: `self` is a live pair, allocated with the layout that its lengths give.
        unsafe {
            if let Some(layout) = Parts::of(self.0).layout() {
                dealloc(self.0.as_ptr(), layout);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_of_all_lengths_come_back() {
        for key in [0, 1, 254, 255, 70_000] {
            for value in [0, 1, 254, 255, 70_000] {
                let (key, value) = (vec![b'k'; key], vec![b'v'; value]);
                let mut pair = Pair::new(&key, &value);
                assert_eq!((pair.key(), pair.value()), (&key[..], &value[..]));
                pair.set_value(b"new");
                assert_eq!((pair.share().key(), pair.value()), (&key[..], &b"new"[..]));
            }
        }
        assert_eq!(Pair::scored(b"m", -1.5).score(), -1.5);
    }
}
