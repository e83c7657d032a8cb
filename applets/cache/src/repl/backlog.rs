//! The last bytes of the replication stream, for replicas that come back.

use std::collections::VecDeque;

/// Bytes that are kept beyond the configured size for a replica that is behind.
const BEHIND_MAX: usize = 256 << 20;

/// The end of the stream. Offsets count the bytes of the whole stream.
#[derive(Default)]
pub struct Backlog {
    bytes: VecDeque<u8>,
    /// Bytes of the stream so far.
    end: u64,
}

impl Backlog {
    /// An empty one at this offset.
    pub fn at(end: u64) -> Backlog {
        Backlog { bytes: VecDeque::new(), end }
    }

    /// Bytes of the stream so far.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes in front of what is kept.
    pub fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// How many bytes are kept.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends to the stream; keeps `size` bytes, and more if somebody needs them from `needed` on.
    pub fn push(&mut self, bytes: &[u8], size: usize, needed: u64) {
        self.bytes.extend(bytes);
        self.end += bytes.len() as u64;
        let wanted = usize::try_from(self.end.saturating_sub(needed)).unwrap_or(usize::MAX);
        let keep = wanted.min(BEHIND_MAX).max(size);
        let surplus = self.bytes.len().saturating_sub(keep);
        self.bytes.drain(..surplus);
    }

    /// Appends to `out` what comes behind `offset`, so many bytes at most; how many. `None` if it
    /// is not kept any more.
    pub fn read(&self, offset: u64, most: usize, out: &mut Vec<u8>) -> Option<usize> {
        let skip = usize::try_from(offset.checked_sub(self.start())?).ok()?;
        let count = self.bytes.len().checked_sub(skip)?.min(most);
        let (first, second) = self.bytes.as_slices();
        let mut part = |slice: &[u8], start: usize| {
            let from = skip.max(start).min(start + slice.len());
            let to = (skip + count).max(start).min(start + slice.len());
            out.extend_from_slice(&slice[from - start..to - start]);
        };
        part(first, 0);
        part(second, first.len());
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_given_back() {
        let mut backlog = Backlog::at(100);
        for number in 0..50u8 {
            backlog.push(&[number; 7], 64, u64::MAX);
        }
        assert_eq!((backlog.end(), backlog.len()), (450, 64));
        for offset in backlog.start()..=backlog.end() {
            let mut out = Vec::new();
            assert_eq!(backlog.read(offset, 1000, &mut out), Some(out.len()));
            let whole: Vec<u8> = (0..50u8).flat_map(|number| [number; 7]).collect();
            assert_eq!(out, &whole[(offset - 100) as usize..]);
        }
        assert_eq!(backlog.read(backlog.start() - 1, 1, &mut Vec::new()), None);
        assert_eq!(backlog.read(backlog.end() + 1, 1, &mut Vec::new()), None);
    }

    #[test]
    fn a_replica_behind_keeps_bytes() {
        let mut backlog = Backlog::default();
        backlog.push(&[1; 1000], 10, 0);
        assert_eq!(backlog.start(), 0);
        backlog.push(&[1; 1000], 10, 1500);
        assert_eq!(backlog.start(), 1500);
    }
}
