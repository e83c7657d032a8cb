//! A key of the database with all that belongs to it, in one allocation where its value is small.
//!
//! ```text
//! [clock 3][flags 1][key length 1|5] [expiry 8]? [value] key [text]
//!
//! value   text   length 1, the text behind the key (up to 192 bytes)
//!         int    8 bytes
//!         object pointer to a boxed Object
//! flags   00000011 what the value is    00000100 has an expiry
//!         00001000 text was changed in place ("raw")   00010000 key length has 5 bytes
//! ```
//!
//! The clock is 24 bits: LRU seconds, or LFU's minutes and counter. This module is the owner of
//! the pointer; everything outside is safe.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::table::Element;
use crate::types::Object;

/// Text up to this length lies in the entry.
const TEXT_MAX: usize = 192;
const KIND: u8 = 0b11;
const KIND_TEXT: u8 = 0;
const KIND_INT: u8 = 1;
const KIND_OBJECT: u8 = 2;
const HAS_EXPIRY: u8 = 1 << 2;
const RAW: u8 = 1 << 3;
const LONG_KEY: u8 = 1 << 4;
/// Bytes in front of the key's length.
const CLOCK_AND_FLAGS: usize = 4;

/// A value to be stored.
pub enum NewValue<'a> {
    /// A string.
    Text(&'a [u8]),
    /// A string that was changed in place: its encoding is reported as `raw`.
    Raw(Vec<u8>),
    /// A string that is the text of a number.
    Int(i64),
    /// Anything else.
    Object(Box<Object>),
}

/// A value as it is stored.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A string.
    Text(&'a [u8]),
    /// A string that is the text of a number.
    Int(i64),
    /// Anything else. Never [`Object::Text`].
    Object(&'a Object),
}

/// An owned key with its value.
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its bytes and its object as a Box does; there is no interior mutability.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

/// Where the parts of an entry are.
#[derive(Clone, Copy)]
struct Parts {
    flags: u8,
    key_len: usize,
    expiry: usize,
    value: usize,
    key: usize,
    text_len: usize,
}

impl Parts {
    fn new(flags: u8, key_len: usize, text_len: usize) -> Parts {
        let expiry = CLOCK_AND_FLAGS + if flags & LONG_KEY != 0 { 5 } else { 1 };
        let value = expiry + if flags & HAS_EXPIRY != 0 { 8 } else { 0 };
        let key = value + if flags & KIND == KIND_TEXT { 1 } else { 8 };
        Parts { flags, key_len, expiry, value, key, text_len }
    }

    fn total(self) -> usize {
        self.key + self.key_len + self.text_len
    }

    fn layout(self) -> Layout {
        Layout::from_size_align(self.total(), 1).unwrap_or(Layout::new::<u8>())
    }
}

enum Packed<'a> {
    Text(&'a [u8]),
    Int(i64),
    Object(*mut Object),
}

impl Entry {
    /// Makes one.
    pub fn new(key: &[u8], value: NewValue<'_>, expiry: Option<i64>, clock: u32) -> Entry {
        let (packed, raw) = match value {
            NewValue::Int(value) => (Packed::Int(value), false),
            NewValue::Text(text) if text.len() <= TEXT_MAX => (Packed::Text(text), false),
            NewValue::Raw(ref text) if text.len() <= TEXT_MAX => (Packed::Text(text), true),
            NewValue::Text(text) => (boxed(Object::Text(text.to_vec())), false),
            NewValue::Raw(text) => {
                return Entry::assemble(key, &boxed(Object::Text(text)), true, expiry, clock);
            }
            NewValue::Object(object) => (Packed::Object(Box::into_raw(object)), false),
        };
        Entry::assemble(key, &packed, raw, expiry, clock)
    }

    fn assemble(key: &[u8], value: &Packed<'_>, raw: bool, expiry: Option<i64>, clock: u32) -> Entry {
        let (kind, text): (u8, &[u8]) = match value {
            Packed::Text(text) => (KIND_TEXT, text),
            Packed::Int(_) => (KIND_INT, &[]),
            Packed::Object(_) => (KIND_OBJECT, &[]),
        };
        let long = key.len() > usize::from(u8::MAX);
        let flags = kind
            | if expiry.is_some() { HAS_EXPIRY } else { 0 }
            | if raw { RAW } else { 0 }
            | if long { LONG_KEY } else { 0 };
        let parts = Parts::new(flags, key.len(), text.len());
        let layout = parts.layout();
        // SAFETY: the layout is not empty and every write lies within it, by `Parts`.
        unsafe {
            let Some(at) = NonNull::new(alloc(layout)) else { handle_alloc_error(layout) };
            let start = at.as_ptr();
            start.cast::<u32>().write_unaligned(clock & 0xff_ffff | u32::from(flags) << 24);
            if long {
                start.add(CLOCK_AND_FLAGS + 1).cast::<u32>().write_unaligned(key.len() as u32);
            } else {
                start.add(CLOCK_AND_FLAGS).write(key.len() as u8);
            }
            if let Some(expiry) = expiry {
                start.add(parts.expiry).cast::<i64>().write_unaligned(expiry);
            }
            match value {
                Packed::Text(text) => start.add(parts.value).write(text.len() as u8),
                Packed::Int(value) => start.add(parts.value).cast::<i64>().write_unaligned(*value),
                Packed::Object(object) => {
                    start.add(parts.value).cast::<*mut Object>().write_unaligned(*object);
                }
            }
            std::ptr::copy_nonoverlapping(key.as_ptr(), start.add(parts.key), key.len());
            let behind = start.add(parts.key + key.len());
            std::ptr::copy_nonoverlapping(text.as_ptr(), behind, text.len());
            Entry(at)
        }
    }

    #[inline]
    fn parts(&self) -> Parts {
        // SAFETY: a live entry begins with clock, flags and the key's length, and where its value
        // is text, the text's length stands at `value`.
        unsafe {
            let start = self.0.as_ptr();
            let flags = start.add(3).read();
            let key_len = if flags & LONG_KEY != 0 {
                start.add(CLOCK_AND_FLAGS + 1).cast::<u32>().read_unaligned() as usize
            } else {
                usize::from(start.add(CLOCK_AND_FLAGS).read())
            };
            let mut parts = Parts::new(flags, key_len, 0);
            if flags & KIND == KIND_TEXT {
                parts.text_len = usize::from(start.add(parts.value).read());
            }
            parts
        }
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        let parts = self.parts();
        // SAFETY: a live entry; the kind says what stands at `value` and behind the key. An object
        // is owned by the entry, so that it lives as long as this borrow.
        unsafe {
            let at = self.0.as_ptr().add(parts.value);
            match parts.flags & KIND {
                KIND_TEXT => {
                    let text = self.0.as_ptr().add(parts.key + parts.key_len);
                    Value::Text(std::slice::from_raw_parts(text, parts.text_len))
                }
                KIND_INT => Value::Int(at.cast::<i64>().read_unaligned()),
                _ => match &*at.cast::<*const Object>().read_unaligned() {
                    Object::Text(text) => Value::Text(text),
                    object => Value::Object(object),
                },
            }
        }
    }

    /// The object, if the value is one (or a long string).
    #[inline]
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        let parts = self.parts();
        if parts.flags & KIND != KIND_OBJECT {
            return None;
        }
        // SAFETY: a live entry whose value is an object that it owns; `self` is borrowed mutably.
        unsafe {
            let at = self.0.as_ptr().add(parts.value);
            Some(&mut *at.cast::<*mut Object>().read_unaligned())
        }
    }

    /// Whether a string was changed in place.
    pub fn is_raw(&self) -> bool {
        self.parts().flags & RAW != 0
    }

    /// Tells that a string was changed in place.
    pub fn set_raw(&mut self) {
        // SAFETY: a live entry, borrowed mutably; the flags stand at byte 3.
        unsafe {
            let flags = self.0.as_ptr().add(3);
            flags.write(flags.read() | RAW);
        }
    }

    /// Replaces a number by another, in place; whether the value is a number.
    #[inline]
    pub fn set_int(&mut self, value: i64) -> bool {
        let parts = self.parts();
        if parts.flags & KIND != KIND_INT {
            return false;
        }
        // SAFETY: a live entry, borrowed mutably, with eight bytes at `value`.
        unsafe { self.0.as_ptr().add(parts.value).cast::<i64>().write_unaligned(value) };
        true
    }

    /// Replaces the value; key, expiry and clock stay.
    pub fn set_value(&mut self, value: NewValue<'_>) {
        let parts = self.parts();
        if let NewValue::Text(text) = value
            && parts.flags & (KIND | RAW) == KIND_TEXT
            && text.len() == parts.text_len
        {
            // SAFETY: a live entry, borrowed mutably; the text keeps its length.
            unsafe {
                let at = self.0.as_ptr().add(parts.key + parts.key_len);
                std::ptr::copy_nonoverlapping(text.as_ptr(), at, text.len());
            }
            return;
        }
        *self = Entry::new(self.key(), value, self.expiry(), self.clock());
    }

    /// When it expires, in ms of Unix time.
    #[inline]
    pub fn expiry(&self) -> Option<i64> {
        let parts = self.parts();
        // SAFETY: a live entry whose flags say that eight bytes of expiry are there.
        (parts.flags & HAS_EXPIRY != 0)
            .then(|| unsafe { self.0.as_ptr().add(parts.expiry).cast::<i64>().read_unaligned() })
    }

    /// Sets or takes away the expiry.
    pub fn set_expiry(&mut self, expiry: Option<i64>) {
        let parts = self.parts();
        match expiry {
            // SAFETY: a live entry, borrowed mutably, with eight bytes of expiry.
            Some(at) if parts.flags & HAS_EXPIRY != 0 => unsafe {
                self.0.as_ptr().add(parts.expiry).cast::<i64>().write_unaligned(at);
            },
            None if parts.flags & HAS_EXPIRY == 0 => {}
            _ => self.move_to(expiry),
        }
    }

    /// Builds the entry anew with another expiry; an object moves with it.
    fn move_to(&mut self, expiry: Option<i64>) {
        let parts = self.parts();
        let raw = parts.flags & RAW != 0;
        // SAFETY: a live entry. The object's pointer is moved to the new entry, and the old bytes
        // are freed without dropping it.
        unsafe {
            let at = self.0.as_ptr().add(parts.value);
            let value = match parts.flags & KIND {
                KIND_TEXT => {
                    let text = self.0.as_ptr().add(parts.key + parts.key_len);
                    Packed::Text(std::slice::from_raw_parts(text, parts.text_len))
                }
                KIND_INT => Packed::Int(at.cast::<i64>().read_unaligned()),
                _ => Packed::Object(at.cast::<*mut Object>().read_unaligned()),
            };
            let new = Entry::assemble(self.key(), &value, raw, expiry, self.clock());
            let old = std::mem::replace(&mut self.0, new.0);
            std::mem::forget(new);
            dealloc(old.as_ptr(), parts.layout());
        }
    }

    /// The 24 bits of LRU or LFU.
    #[inline]
    pub fn clock(&self) -> u32 {
        // SAFETY: a live entry begins with four bytes of clock and flags.
        unsafe { self.0.as_ptr().cast::<u32>().read_unaligned() & 0xff_ffff }
    }

    /// Sets the 24 bits of LRU or LFU.
    #[inline]
    pub fn set_clock(&mut self, clock: u32) {
        // SAFETY: a live entry, borrowed mutably, begins with four bytes of clock and flags.
        unsafe {
            let at = self.0.as_ptr().cast::<u32>();
            let flags = at.read_unaligned() & 0xff00_0000;
            at.write_unaligned(flags | clock & 0xff_ffff);
        }
    }

    /// Takes the object out, as the entry is going to be dropped; strings give `None`.
    pub fn into_object(mut self) -> Option<Box<Object>> {
        let object = self.object_mut()?;
        Some(Box::new(std::mem::replace(object, Object::Text(Vec::new()))))
    }

    /// Bytes of the allocation, without those of an object.
    pub fn size(&self) -> usize {
        self.parts().total()
    }
}

fn boxed(object: Object) -> Packed<'static> {
    Packed::Object(Box::into_raw(Box::new(object)))
}

impl Element for Entry {
    #[inline]
    fn key(&self) -> &[u8] {
        let parts = self.parts();
        // SAFETY: a live entry; the key's bytes stand at `key`.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(parts.key), parts.key_len) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let parts = self.parts();
        // SAFETY: a live entry, allocated with this layout; an object was boxed and is owned.
        unsafe {
            if parts.flags & KIND == KIND_OBJECT {
                let at = self.0.as_ptr().add(parts.value).cast::<*mut Object>();
                drop(Box::from_raw(at.read_unaligned()));
            }
            dealloc(self.0.as_ptr(), parts.layout());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(entry: &Entry) -> Vec<u8> {
        match entry.value() {
            Value::Text(text) => text.to_vec(),
            Value::Int(value) => value.to_string().into_bytes(),
            Value::Object(_) => panic!("an object"),
        }
    }

    #[test]
    fn all_shapes_keep_key_value_expiry_and_clock() {
        for key in [0, 1, 255, 256, 70_000].map(|len| vec![b'k'; len]) {
            for value in [0, 1, 192, 193, 5000].map(|len| vec![b'v'; len]) {
                let mut entry = Entry::new(&key, NewValue::Text(&value), None, 77);
                for expiry in [Some(5), Some(6), None, Some(-1)] {
                    entry.set_expiry(expiry);
                    assert_eq!((entry.key(), text(&entry)), (&key[..], value.clone()));
                    assert_eq!((entry.expiry(), entry.clock()), (expiry, 77));
                }
                entry.set_value(NewValue::Int(12));
                assert!(entry.set_int(-13));
                entry.set_clock(0xff_ffff);
                assert_eq!((text(&entry), entry.clock()), (b"-13".to_vec(), 0xff_ffff));
                entry.set_value(NewValue::Raw(value.clone()));
                assert!(entry.is_raw());
                assert_eq!((entry.key(), text(&entry)), (&key[..], value));
                assert_eq!(entry.expiry(), Some(-1));
            }
        }
    }

    #[test]
    fn a_small_string_takes_forty_bytes() {
        let entry = Entry::new(&[b'k'; 16], NewValue::Text(&[b'v'; 16]), None, 0);
        assert!(entry.size() <= 40, "{}", entry.size());
    }
}
