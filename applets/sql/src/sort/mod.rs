//! Sorting, in memory as long as it lasts, then by merging sorted runs from an unnamed file.
//!
//! Items are a [`key`] and a payload, bytes both, one behind the other in an arena. What is sorted
//! is an array of places, each with the eight bytes of its key that follow what all keys have in
//! common: most comparisons end there, without a look into the arena. Items of equal keys keep the
//! order they came in.
//!
//! ```text
//! arena:  key | payload | key | payload | ...          run: key_len(4) payload_len(4) key payload ...
//! places: (8 bytes of key, start, key end, item end)
//! ```

pub mod key;
mod run;

use std::cmp::Ordering;
use std::sync::Arc;

use crate::vfs::{Result, Vfs};
use run::{Merge, RunWriter};

/// Where an item is.
#[derive(Clone, Copy)]
struct Place {
    prefix: u64,
    start: usize,
    key_len: u32,
    payload_len: u32,
}

/// Takes items in any order and gives them back sorted.
pub struct Sorter {
    arena: Vec<u8>,
    places: Vec<Place>,
    /// Bytes that may be held.
    limit: usize,
    vfs: Arc<dyn Vfs>,
    runs: Option<RunWriter>,
}

impl Sorter {
    /// A sorter that holds about `limit` bytes in memory.
    #[must_use]
    pub fn new(vfs: Arc<dyn Vfs>, limit: usize) -> Sorter {
        Sorter { arena: Vec::new(), places: Vec::new(), limit, vfs, runs: None }
    }

    /// Takes an item: `fill` appends its key and says how long it is, then its payload.
    ///
    /// # Errors
    /// The unnamed file cannot be written.
    pub fn push(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>),
        payload: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let start = self.arena.len();
        key(&mut self.arena);
        let end = self.arena.len();
        payload(&mut self.arena);
        let (key_len, payload_len) = ((end - start) as u32, (self.arena.len() - end) as u32);
        self.places.push(Place { prefix: 0, start, key_len, payload_len });
        if self.arena.len() + self.places.len() * size_of::<Place>() > self.limit {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        self.sort();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(RunWriter::new(self.vfs.temporary()?)),
        };
        for place in &self.places {
            let (key, payload) = item(&self.arena, place);
            runs.push(key, payload)?;
        }
        runs.end_run()?;
        self.arena.clear();
        self.places.clear();
        Ok(())
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        let common = common_prefix(arena, &self.places);
        for place in &mut self.places {
            let key = arena.get(place.start + common..place.start + place.key_len as usize);
            let mut prefix = [0; 8];
            let key = key.unwrap_or_default();
            let len = key.len().min(8);
            prefix[..len].copy_from_slice(&key[..len]);
            place.prefix = u64::from_be_bytes(prefix);
        }
        self.places.sort_unstable_by(|a, b| {
            a.prefix.cmp(&b.prefix).then_with(|| compare(arena, a, b, common))
        });
    }

    /// Gives the items in order until `each` says that it has enough.
    ///
    /// # Errors
    /// The unnamed file cannot be read; what `each` reports.
    pub fn finish<E: From<crate::vfs::Error>>(
        mut self,
        mut each: impl FnMut(&[u8], &[u8]) -> std::result::Result<bool, E>,
    ) -> std::result::Result<(), E> {
        if self.runs.is_some() {
            self.spill()?;
        }
        let Some(runs) = self.runs.take() else {
            self.sort();
            for place in &self.places {
                let (key, payload) = item(&self.arena, place);
                if !each(key, payload)? {
                    break;
                }
            }
            return Ok(());
        };
        self.arena = Vec::new();
        let mut merge = Merge::new(runs, self.limit)?;
        while let Some((key, payload)) = merge.peek() {
            if !each(key, payload)? {
                break;
            }
            merge.advance()?;
        }
        Ok(())
    }
}

fn item<'a>(arena: &'a [u8], place: &Place) -> (&'a [u8], &'a [u8]) {
    let end = place.start + place.key_len as usize;
    let payload = end..end + place.payload_len as usize;
    (arena.get(place.start..end).unwrap_or_default(), arena.get(payload).unwrap_or_default())
}

/// Items that are equal in their first bytes: the rest of the key, then who came first.
fn compare(arena: &[u8], a: &Place, b: &Place, common: usize) -> Ordering {
    let rest = |place: &Place| {
        let end = place.start + place.key_len as usize;
        arena.get((place.start + common + 8).min(end)..end).unwrap_or_default()
    };
    let by_key = rest(a).cmp(rest(b)).then_with(|| a.key_len.cmp(&b.key_len));
    by_key.then_with(|| a.start.cmp(&b.start))
}

/// How many bytes all keys begin with.
fn common_prefix(arena: &[u8], places: &[Place]) -> usize {
    let Some((first, rest)) = places.split_first() else { return 0 };
    let (model, _) = item(arena, first);
    let mut common = model.len();
    for place in rest {
        let (key, _) = item(arena, place);
        let same = model.iter().zip(key).take(common).take_while(|(a, b)| a == b).count();
        common = same;
        if common == 0 {
            break;
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::Memory;

    fn sorted(limit: usize) -> Vec<(String, u32)> {
        let mut sorter = Sorter::new(Arc::new(Memory::default()), limit);
        let mut state = 7u32;
        for n in 0..5000u32 {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            let key = format!("common {:04}", (state >> 16) % 700);
            let fill = |out: &mut Vec<u8>| out.extend_from_slice(key.as_bytes());
            sorter.push(fill, |out| out.extend_from_slice(&n.to_be_bytes())).unwrap();
        }
        let mut out = Vec::new();
        let done: Result<()> = sorter.finish(|key, payload| {
            let n = u32::from_be_bytes(payload.try_into().unwrap());
            out.push((String::from_utf8(key.to_vec()).unwrap(), n));
            Ok(true)
        });
        done.unwrap();
        out
    }

    #[test]
    fn runs_on_disk_give_what_memory_gives() {
        let whole = sorted(usize::MAX);
        assert!(whole.is_sorted());
        assert_eq!(whole.len(), 5000);
        assert_eq!(sorted(10_000), whole);
        assert_eq!(sorted(1), whole);
    }
}
