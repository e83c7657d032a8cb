//! Sorted runs in an unnamed file, and their merge.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::vfs::{Error, File, Result};

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 18;
/// Bytes that a run reads ahead, at least and at most.
const READ_BYTES: std::ops::RangeInclusive<usize> = 1 << 12..=1 << 18;
/// The lengths in front of an item.
const HEAD: usize = 8;

/// Writes runs one behind the other.
pub struct RunWriter {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    written: u64,
    /// Where each run ends.
    ends: Vec<u64>,
}

impl RunWriter {
    pub fn new(file: Arc<dyn File>) -> RunWriter {
        RunWriter { file, buffer: Vec::new(), written: 0, ends: Vec::new() }
    }

    pub fn push(&mut self, key: &[u8], payload: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(payload);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    pub fn end_run(&mut self) -> Result<()> {
        self.flush()?;
        if self.ends.last().copied().unwrap_or(0) < self.written {
            self.ends.push(self.written);
        }
        Ok(())
    }
}

/// A run that is read.
struct Run {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    /// Where the next item begins in the buffer, and where the buffer ends in the file.
    at: usize,
    read: u64,
    end: u64,
    ahead: usize,
    key: Vec<u8>,
    payload: Vec<u8>,
}

impl Run {
    /// Makes `len` bytes stand at the place of the next item.
    fn want(&mut self, len: usize) -> Result<bool> {
        if self.buffer.len() - self.at >= len {
            return Ok(true);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let have = self.buffer.len();
        let left = usize::try_from(self.end - self.read).unwrap_or(usize::MAX);
        let more = self.ahead.max(len - have).min(left);
        self.buffer.resize(have + more, 0);
        let space = self.buffer.get_mut(have..).unwrap_or_default();
        if self.file.read_at(space, self.read)? < more {
            return Err(Error::Corrupt);
        }
        self.read += more as u64;
        Ok(self.buffer.len() >= len)
    }

    /// Takes the next item; `false`: there is none.
    fn next(&mut self) -> Result<bool> {
        if !self.want(HEAD)? {
            return Ok(false);
        }
        let length = |at: usize| {
            let bytes = self.buffer.get(self.at + at..self.at + at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let (key, payload) = length(0).zip(length(4)).ok_or(Error::Corrupt)?;
        if !self.want(HEAD + key + payload)? {
            return Err(Error::Corrupt);
        }
        let item = self.at + HEAD;
        self.key.clear();
        self.key.extend_from_slice(&self.buffer[item..item + key]);
        self.payload.clear();
        self.payload.extend_from_slice(&self.buffer[item + key..item + key + payload]);
        self.at = item + key + payload;
        Ok(true)
    }
}

/// The merge of all runs; of equal keys the earlier run's comes first.
pub struct Merge {
    runs: Vec<Run>,
    heap: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

impl Merge {
    pub fn new(writer: RunWriter, memory: usize) -> Result<Merge> {
        let count = writer.ends.len().max(1);
        let ahead = (memory / count).clamp(*READ_BYTES.start(), *READ_BYTES.end());
        let mut merge = Merge { runs: Vec::with_capacity(count), heap: BinaryHeap::new() };
        let mut start = 0;
        for (n, end) in writer.ends.iter().enumerate() {
            let mut run = Run {
                file: Arc::clone(&writer.file),
                buffer: Vec::new(),
                at: 0,
                read: start,
                end: *end,
                ahead,
                key: Vec::new(),
                payload: Vec::new(),
            };
            if run.next()? {
                merge.heap.push(Reverse((run.key.clone(), n)));
            }
            merge.runs.push(run);
            start = *end;
        }
        Ok(merge)
    }

    /// The least item.
    pub fn peek(&self) -> Option<(&[u8], &[u8])> {
        let Reverse((_, n)) = self.heap.peek()?;
        let run = self.runs.get(*n)?;
        Some((&run.key, &run.payload))
    }

    /// Goes on to the next.
    pub fn advance(&mut self) -> Result<()> {
        let Some(mut top) = self.heap.peek_mut() else { return Ok(()) };
        let n = top.0.1;
        let Some(run) = self.runs.get_mut(n) else { return Ok(()) };
        if run.next()? {
            top.0.0.clone_from(&run.key);
            return Ok(());
        }
        std::collections::binary_heap::PeekMut::pop(top);
        Ok(())
    }
}
