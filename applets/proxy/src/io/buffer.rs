//! Read buffers from a pool of this thread: a connection holds one only while bytes wait in it, so
//! that an idle connection costs its task and its descriptor.

use std::cell::RefCell;

/// One read takes at most this much: large enough that a bulk stream costs few system calls.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// Buffers kept for reuse, per thread: 4 MiB.
const POOLED: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet consumed.
///
/// What an earlier user left in a pooled buffer lies beyond `end` and is never handed out.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Option<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer that holds `bytes` already.
    pub fn holding(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::default();
        if !bytes.is_empty() {
            let size = BUFFER_BYTES.max(bytes.len());
            let mut store = if size == BUFFER_BYTES { take() } else { vec![0; size].into() };
            store[..bytes.len()].copy_from_slice(bytes);
            buffer = Buffer { bytes: Some(store), start: 0, end: bytes.len() };
        }
        buffer
    }

    /// What waits.
    pub fn data(&self) -> &[u8] {
        self.bytes.as_deref().map_or(&[], |bytes| &bytes[self.start..self.end])
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops the first `count` bytes.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.release();
        }
    }

    /// Room to read into; empty when the buffer is full. Call [`Buffer::filled`] or
    /// [`Buffer::settle`] afterwards.
    pub fn room(&mut self) -> &mut [u8] {
        let bytes = self.bytes.get_or_insert_with(take);
        if self.end == bytes.len() && self.start > 0 {
            bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut bytes[self.end..]
    }

    /// `count` bytes were read into the room.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        self.settle();
    }

    /// Nothing was read: an empty buffer goes back to the pool.
    pub fn settle(&mut self) {
        if self.start == self.end {
            self.release();
        }
    }

    fn release(&mut self) {
        (self.start, self.end) = (0, 0);
        if let Some(bytes) = self.bytes.take().filter(|bytes| bytes.len() == BUFFER_BYTES) {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < POOLED {
                    pool.push(bytes);
                }
            });
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.release();
    }
}

fn take() -> Box<[u8]> {
    let pooled = POOL.with_borrow_mut(Vec::pop);
    pooled.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_an_earlier_user_are_never_seen() {
        let mut first = Buffer::default();
        first.room()[..6].copy_from_slice(b"secret");
        first.filled(6);
        drop(first);
        let mut second = Buffer::default();
        second.room()[..2].copy_from_slice(b"ok");
        second.filled(2);
        assert_eq!(second.data(), b"ok");
        second.consume(9);
        assert!(second.data().is_empty());
    }

    #[test]
    fn a_full_buffer_makes_room_by_moving_down() {
        let mut buffer = Buffer::default();
        let len = buffer.room().len();
        buffer.filled(len);
        assert!(buffer.room().is_empty());
        buffer.consume(10);
        assert_eq!(buffer.room().len(), 10);
        assert_eq!(buffer.data().len(), len - 10);
    }
}
