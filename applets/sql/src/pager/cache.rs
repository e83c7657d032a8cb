//! The page cache of one connection.
//!
//! Slots are found by page number in a two-level table: no hashing on the way of a descent, and a
//! page at the far end of a sparse file costs one chunk. Clean pages make room by the clock
//! algorithm (a second chance for what was used since the hand came by); dirty pages stay until the
//! pager has written them.

use super::PageNo;
use super::page::Page;

const CHUNK: usize = 256;

/// Buffers kept for reuse: about what a transaction of the common size gives back.
const POOL: usize = 64;

#[derive(Clone, Default)]
struct Slot {
    page: Option<Page>,
    /// The write epoch in which the page was made writable: then neither the journal nor a
    /// savepoint has to be asked again.
    epoch: u32,
    dirty: bool,
    used: bool,
}

/// The page cache of one connection.
pub struct Cache {
    chunks: Vec<Option<Box<[Slot; CHUNK]>>>,
    /// The pages in the cache, for the hand of the clock.
    resident: Vec<PageNo>,
    hand: usize,
    /// Pages that were made dirty; sorted out when they are written.
    dirty: Vec<PageNo>,
    limit: usize,
    pool: Vec<Page>,
    page_size: usize,
}

impl Cache {
    /// A cache of `limit` pages.
    #[must_use]
    pub fn new(page_size: usize, limit: usize) -> Cache {
        Cache {
            chunks: Vec::new(),
            resident: Vec::new(),
            hand: 0,
            dirty: Vec::new(),
            limit: limit.max(16),
            pool: Vec::new(),
            page_size,
        }
    }

    /// Chooses how many pages are kept.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(16);
    }

    /// How many pages are kept.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    #[inline]
    fn slot(&self, page_no: PageNo) -> Option<&Slot> {
        self.chunks.get(page_no as usize / CHUNK)?.as_ref()?.get(page_no as usize % CHUNK)
    }

    #[inline]
    fn slot_mut(&mut self, page_no: PageNo) -> Option<&mut Slot> {
        self.chunks.get_mut(page_no as usize / CHUNK)?.as_mut()?.get_mut(page_no as usize % CHUNK)
    }

    /// The page, if it is here.
    #[inline]
    pub fn get(&mut self, page_no: PageNo) -> Option<&Page> {
        let slot = self.slot_mut(page_no)?;
        slot.used = true;
        slot.page.as_ref()
    }

    /// Whether the page is here.
    #[inline]
    #[must_use]
    pub fn contains(&self, page_no: PageNo) -> bool {
        self.slot(page_no).is_some_and(|slot| slot.page.is_some())
    }

    /// The bytes of a page that was made writable in this epoch.
    #[inline]
    pub fn writable(&mut self, page_no: PageNo, epoch: u32) -> Option<&mut [u8]> {
        let slot = self.slot_mut(page_no)?;
        if slot.epoch != epoch || !slot.dirty {
            return None;
        }
        slot.page.as_mut().map(Page::to_mut)
    }

    /// Puts a page in, in place of the one of that number.
    pub fn insert(&mut self, page_no: PageNo, page: Page) {
        if !self.contains(page_no) {
            if self.resident.len() >= self.limit {
                self.make_room();
            }
            self.resident.push(page_no);
        }
        let chunk = page_no as usize / CHUNK;
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || None);
        }
        let slots = self.chunks.get_mut(chunk).map(|slots| {
            slots.get_or_insert_with(|| Box::new(std::array::from_fn(|_| Slot::default())))
        });
        if let Some(slot) = slots.and_then(|slots| slots.get_mut(page_no as usize % CHUNK)) {
            slot.page = Some(page);
            slot.used = true;
        }
    }

    /// Makes the page dirty, and writable in `epoch`.
    pub fn mark_dirty(&mut self, page_no: PageNo, epoch: u32) {
        let Some(slot) = self.slot_mut(page_no) else { return };
        slot.epoch = epoch;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(page_no);
        }
    }

    /// Whether the page is dirty.
    #[must_use]
    pub fn is_dirty(&self, page_no: PageNo) -> bool {
        self.slot(page_no).is_some_and(|slot| slot.dirty)
    }

    /// How many pages may be dirty.
    #[must_use]
    pub fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// The numbers of the dirty pages, in order.
    pub fn dirty_pages(&mut self) -> Vec<PageNo> {
        self.dirty.sort_unstable();
        self.dirty.dedup();
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|page_no| self.is_dirty(*page_no));
        self.dirty.clone_from(&dirty);
        dirty
    }

    /// Makes all pages clean: they are written.
    pub fn mark_clean(&mut self) {
        for page_no in std::mem::take(&mut self.dirty) {
            if let Some(slot) = self.slot_mut(page_no) {
                slot.dirty = false;
                slot.epoch = 0;
            }
        }
    }

    /// Forgets the dirty pages.
    pub fn drop_dirty(&mut self) {
        for page_no in std::mem::take(&mut self.dirty) {
            if self.is_dirty(page_no) {
                self.remove(page_no);
            }
        }
    }

    /// Forgets a page, dirty or not.
    pub fn remove(&mut self, page_no: PageNo) {
        if let Some(slot) = self.slot_mut(page_no) {
            let page = slot.page.take();
            *slot = Slot::default();
            self.recycle(page);
        }
        // Its number stays among the residents until the hand comes by.
    }

    /// Forgets all pages past `last`: the database was cut.
    pub fn truncate(&mut self, last: PageNo) {
        let gone: Vec<PageNo> = self.resident.iter().copied().filter(|no| *no > last).collect();
        gone.into_iter().for_each(|page_no| self.remove(page_no));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.resident.clear();
        self.dirty.clear();
        self.hand = 0;
    }

    /// Forgets all clean pages.
    pub fn drop_clean(&mut self) {
        for page_no in std::mem::take(&mut self.resident) {
            if self.is_dirty(page_no) {
                self.resident.push(page_no);
            } else {
                self.remove(page_no);
            }
        }
        self.pool.clear();
    }

    /// A page to be filled; its bytes are of some earlier use.
    pub fn buffer(&mut self) -> Page {
        while let Some(mut page) = self.pool.pop() {
            if page.unshared().is_some() {
                return page;
            }
        }
        Page::zeroed(self.page_size)
    }

    fn recycle(&mut self, page: Option<Page>) {
        if let Some(mut page) = page
            && self.pool.len() < POOL
            && page.unshared().is_some()
        {
            self.pool.push(page);
        }
    }

    /// Lets the hand go round until a page is gone, twice at most: when all are dirty the cache
    /// grows, and the pager spills.
    fn make_room(&mut self) {
        for _ in 0..self.resident.len() * 2 {
            if self.hand >= self.resident.len() {
                self.hand = 0;
            }
            let Some(page_no) = self.resident.get(self.hand).copied() else { return };
            match self.slot_mut(page_no) {
                Some(slot) if slot.page.is_some() && slot.dirty => self.hand += 1,
                Some(slot) if slot.page.is_some() && slot.used => {
                    slot.used = false;
                    self.hand += 1;
                }
                _ => {
                    self.remove(page_no);
                    self.resident.swap_remove(self.hand);
                    return;
                }
            }
        }
    }
}
