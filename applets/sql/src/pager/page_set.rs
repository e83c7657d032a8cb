//! A set of page numbers.

use super::PageNo;

const FEW: usize = 16;
const CHUNK_WORDS: usize = 512;
const CHUNK_PAGES: u32 = (CHUNK_WORDS * 64) as u32;

/// A set of page numbers: a short list while it is small (most statements touch few pages), then a
/// bitmap in chunks, so that a page at the end of a large file costs no more than one at its start.
#[derive(Clone, Debug, Default)]
pub struct PageSet {
    few: Vec<PageNo>,
    chunks: Vec<Option<Box<[u64; CHUNK_WORDS]>>>,
}

impl PageSet {
    /// Whether the page is in the set.
    #[inline]
    #[must_use]
    pub fn contains(&self, page_no: PageNo) -> bool {
        if self.chunks.is_empty() {
            return self.few.contains(&page_no);
        }
        let (chunk, word, bit) = place(page_no);
        match self.chunks.get(chunk) {
            Some(Some(words)) => words.get(word).is_some_and(|word| word & bit != 0),
            _ => false,
        }
    }

    /// Adds a page; `false`: it was there.
    pub fn insert(&mut self, page_no: PageNo) -> bool {
        if self.chunks.is_empty() {
            if self.few.contains(&page_no) {
                return false;
            }
            if self.few.len() < FEW {
                self.few.push(page_no);
                return true;
            }
            for old in std::mem::take(&mut self.few) {
                self.set(old);
            }
        }
        self.set(page_no)
    }

    /// Removes all pages.
    pub fn clear(&mut self) {
        self.few.clear();
        self.chunks.clear();
    }

    /// Adds all pages of the other set.
    pub fn merge(&mut self, other: &PageSet) {
        for page_no in &other.few {
            self.insert(*page_no);
        }
        for (chunk, words) in other.chunks.iter().enumerate() {
            for (word, bits) in words.iter().flat_map(|words| words.iter().enumerate()) {
                let first = chunk as u32 * CHUNK_PAGES + word as u32 * 64;
                (0..64).filter(|bit| bits >> bit & 1 == 1).for_each(|bit| {
                    self.insert(first + bit);
                });
            }
        }
    }

    fn set(&mut self, page_no: PageNo) -> bool {
        let (chunk, word, bit) = place(page_no);
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || None);
        }
        let Some(slot) = self.chunks.get_mut(chunk) else { return false };
        let words = slot.get_or_insert_with(|| Box::new([0; CHUNK_WORDS]));
        let Some(word) = words.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

fn place(page_no: PageNo) -> (usize, usize, u64) {
    let within = page_no % CHUNK_PAGES;
    ((page_no / CHUNK_PAGES) as usize, (within / 64) as usize, 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_pages_are_remembered() {
        let mut set = PageSet::default();
        let pages: Vec<PageNo> = (0..100).map(|n| n * n * 977 + 1).chain([PageNo::MAX]).collect();
        for page_no in &pages {
            assert!(!set.contains(*page_no));
            assert!(set.insert(*page_no));
            assert!(!set.insert(*page_no));
        }
        let mut other = PageSet::default();
        other.insert(3);
        other.merge(&set);
        assert!(pages.iter().chain(&[3]).all(|page_no| other.contains(*page_no)));
        assert!(!other.contains(2));
        set.clear();
        assert!(!set.contains(1));
    }
}
