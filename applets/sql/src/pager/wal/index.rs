//! The wal-index: the `-shm` file by which all connections find pages in the log.
//!
//! ```text
//! region 0   header (12 words) twice, checkpoint info (10 words), then as the others
//! region n   4096 page numbers (region 0: 4062), one a frame; then 8192 16-bit hash slots, each the
//!            1-based index of such a number, found by (page * 383) mod 8192 and linear probing
//! ```
//!
//! All numbers are of the machine's byte order. The header is written twice, the second copy first:
//! a reader that finds both equal and the checksum right has a whole one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use super::checksum::checksum_native;
use crate::pager::PageNo;
use crate::vfs::{Error, Result, Shm, ShmRegion};

/// Version of the format; has never changed.
pub const VERSION: u32 = 3_007_000;
/// Readers' marks.
pub const READERS: usize = 5;
/// A read mark that nobody uses.
pub const MARK_UNUSED: u32 = u32::MAX;

const HEADER_WORDS: usize = 12;
const INFO_AT: usize = 2 * HEADER_WORDS;
const BACKFILL: usize = INFO_AT;
const READ_MARKS: usize = INFO_AT + 1;
const BACKFILL_ATTEMPTED: usize = INFO_AT + 8;
const FIRST_REGION_HEAD: usize = INFO_AT + 10;

const REGION_FRAMES: usize = 4096;
const FIRST_FRAMES: usize = REGION_FRAMES - FIRST_REGION_HEAD;
const HASH_SLOTS: usize = 8192;
const HASH_PRIME: u32 = 383;

/// One copy of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexHeader(pub [u32; HEADER_WORDS]);

impl IndexHeader {
    /// Frames of committed transactions.
    pub fn max_frame(&self) -> u32 {
        self.0[4]
    }

    /// Sets it.
    pub fn set_max_frame(&mut self, frame: u32) {
        self.0[4] = frame;
    }

    /// Pages of the database.
    pub fn page_count(&self) -> u32 {
        self.0[5]
    }

    /// Sets it.
    pub fn set_page_count(&mut self, count: u32) {
        self.0[5] = count;
    }

    /// The running checksum after the last frame.
    pub fn frame_checksum(&self) -> [u32; 2] {
        [self.0[6], self.0[7]]
    }

    /// Sets it.
    pub fn set_frame_checksum(&mut self, sum: [u32; 2]) {
        [self.0[6], self.0[7]] = sum;
    }

    /// The salts, as the bytes of the log.
    pub fn salt(&self) -> [u8; 8] {
        let [a, b] = [self.0[8].to_ne_bytes(), self.0[9].to_ne_bytes()];
        [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]
    }

    /// Sets them.
    pub fn set_salt(&mut self, salt: [u8; 8]) {
        let [a, b, c, d, e, f, g, h] = salt;
        [self.0[8], self.0[9]] =
            [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])];
    }

    fn byte_fields(&self) -> [u8; 4] {
        self.0[3].to_ne_bytes()
    }

    fn is_init(&self) -> bool {
        self.byte_fields()[0] != 0
    }

    /// Whether the log's checksums take big-endian words.
    pub fn is_big_endian(&self) -> bool {
        self.byte_fields()[1] != 0
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> usize {
        let [_, _, low, high] = self.byte_fields();
        match u16::from_ne_bytes([low, high]) {
            1 => 65_536,
            size => usize::from(size),
        }
    }

    /// Sets the page size and the kind of checksum.
    pub fn set_layout(&mut self, page_size: usize, big_endian: bool) {
        let size = if page_size == 65_536 { 1 } else { page_size as u16 };
        let [low, high] = size.to_ne_bytes();
        self.0[3] = u32::from_ne_bytes([self.byte_fields()[0], u8::from(big_endian), low, high]);
    }

    fn checksum(&self) -> [u32; 2] {
        checksum_native(self.0.get(..10).unwrap_or_default())
    }
}

/// The mapped index of one connection.
pub struct Index {
    shm: Arc<dyn Shm>,
    regions: Vec<Arc<dyn ShmRegion>>,
}

/// Region and place in it of a frame.
fn place(frame: u32) -> (usize, usize) {
    let at = frame as usize + FIRST_REGION_HEAD - 1;
    (at / REGION_FRAMES, at % REGION_FRAMES)
}

/// Where a region's page numbers begin, in words.
fn head(region: usize) -> usize {
    if region == 0 { FIRST_REGION_HEAD } else { 0 }
}

/// The frame before the first of a region.
fn frames_before(region: usize) -> u32 {
    if region == 0 { 0 } else { (FIRST_FRAMES + (region - 1) * REGION_FRAMES) as u32 }
}

fn load(words: &[AtomicU32], at: usize) -> u32 {
    words.get(at).map_or(0, |word| word.load(Ordering::Relaxed))
}

fn store(words: &[AtomicU32], at: usize, value: u32) {
    if let Some(word) = words.get(at) {
        word.store(value, Ordering::Relaxed);
    }
}

/// Hash slot `at`: half a word.
fn slot(words: &[AtomicU32], at: usize) -> u16 {
    let halves = load(words, REGION_FRAMES + at / 2).to_ne_bytes();
    let [a, b, c, d] = halves;
    if at.is_multiple_of(2) { u16::from_ne_bytes([a, b]) } else { u16::from_ne_bytes([c, d]) }
}

/// Only the holder of the WRITE lock stores, so reading the other half first is no race.
fn set_slot(words: &[AtomicU32], at: usize, value: u16) {
    let word = REGION_FRAMES + at / 2;
    let [a, b, c, d] = load(words, word).to_ne_bytes();
    let [x, y] = value.to_ne_bytes();
    let halves = if at.is_multiple_of(2) { [x, y, c, d] } else { [a, b, x, y] };
    store(words, word, u32::from_ne_bytes(halves));
}

fn hash(page_no: PageNo) -> usize {
    page_no.wrapping_mul(HASH_PRIME) as usize % HASH_SLOTS
}

impl Index {
    /// The index in that shared memory.
    pub fn new(shm: Arc<dyn Shm>) -> Index {
        Index { shm, regions: Vec::new() }
    }

    /// The shared memory.
    pub fn shm(&self) -> &dyn Shm {
        &*self.shm
    }

    /// Maps region `index`; `false`: the file does not reach there.
    pub fn map(&mut self, index: usize, extend: bool) -> Result<bool> {
        while self.regions.len() <= index {
            match self.shm.region(self.regions.len(), extend)? {
                Some(region) => self.regions.push(region),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn words(&self, region: usize) -> &[AtomicU32] {
        self.regions.get(region).map_or(&[], |region| region.words())
    }

    /// What the others see before the fence, they see before what comes after it.
    pub fn barrier(&self) {
        fence(Ordering::SeqCst);
    }

    // ---- header -------------------------------------------------------------------------------

    fn copy(&self, which: usize) -> IndexHeader {
        let words = self.words(0);
        let mut header = IndexHeader::default();
        for (i, word) in header.0.iter_mut().enumerate() {
            *word = load(words, which * HEADER_WORDS + i);
        }
        header
    }

    /// The header, if it is whole.
    pub fn read_header(&self) -> Option<IndexHeader> {
        let first = self.copy(0);
        self.barrier();
        let second = self.copy(1);
        let whole =
            first == second && first.is_init() && first.checksum() == [first.0[10], first.0[11]];
        whole.then_some(first)
    }

    /// The first copy as it is: what a snapshot is compared with.
    pub fn current_header(&self) -> IndexHeader {
        self.copy(0)
    }

    /// Publishes a header.
    pub fn write_header(&self, header: &mut IndexHeader) {
        header.0[0] = VERSION;
        let [_, endian, low, high] = header.byte_fields();
        header.0[3] = u32::from_ne_bytes([1, endian, low, high]);
        [header.0[10], header.0[11]] = header.checksum();
        let words = self.words(0);
        for which in [1, 0] {
            for (i, word) in header.0.iter().enumerate() {
                store(words, which * HEADER_WORDS + i, *word);
            }
            self.barrier();
        }
    }

    // ---- checkpoint info ----------------------------------------------------------------------

    /// Frames that the database file holds.
    pub fn backfill(&self) -> u32 {
        load(self.words(0), BACKFILL)
    }

    /// Sets it.
    pub fn set_backfill(&self, frames: u32) {
        store(self.words(0), BACKFILL, frames);
    }

    /// Sets the frames that a checkpoint began to copy.
    pub fn set_backfill_attempted(&self, frames: u32) {
        store(self.words(0), BACKFILL_ATTEMPTED, frames);
    }

    /// The last frame that readers with this mark use.
    pub fn read_mark(&self, reader: usize) -> u32 {
        load(self.words(0), READ_MARKS + reader)
    }

    /// Sets it.
    pub fn set_read_mark(&self, reader: usize, frame: u32) {
        store(self.words(0), READ_MARKS + reader, frame);
    }

    // ---- frames -------------------------------------------------------------------------------

    /// The last frame of a page among `first..=last`; 0: none.
    pub fn find(&mut self, page_no: PageNo, first: u32, last: u32) -> Result<u32> {
        if last == 0 || first > last {
            return Ok(0);
        }
        for region in (place(first).0..=place(last).0).rev() {
            if !self.map(region, false)? {
                return Err(Error::Corrupt);
            }
            let found = self.find_in(region, page_no, first, last)?;
            if found != 0 {
                return Ok(found);
            }
        }
        Ok(0)
    }

    fn find_in(&self, region: usize, page_no: PageNo, first: u32, last: u32) -> Result<u32> {
        let (words, before, head) = (self.words(region), frames_before(region), head(region));
        let mut found = 0;
        let mut at = hash(page_no);
        for _ in 0..HASH_SLOTS {
            let index = slot(words, at);
            if index == 0 {
                return Ok(found);
            }
            let frame = before + u32::from(index);
            let is_seen = frame >= first && frame <= last;
            if is_seen && load(words, head + usize::from(index) - 1) == page_no {
                found = frame;
            }
            at = (at + 1) % HASH_SLOTS;
        }
        Err(Error::Corrupt)
    }

    /// The page of a frame.
    pub fn page_of(&mut self, frame: u32) -> Result<PageNo> {
        let (region, at) = place(frame);
        if !self.map(region, false)? {
            return Err(Error::Corrupt);
        }
        Ok(load(self.words(region), at))
    }

    /// Notes the page of a new frame; `max_frame` is the last frame that counts.
    pub fn append(&mut self, frame: u32, page_no: PageNo, max_frame: u32) -> Result<()> {
        let (region, at) = place(frame);
        self.map(region, true)?;
        let words = self.words(region);
        if at == head(region) {
            // The first of its region: nothing in it is of this log.
            for word in words.get(head(region)..).unwrap_or_default() {
                word.store(0, Ordering::Relaxed);
            }
        } else if load(words, at) != 0 {
            self.forget_after(max_frame)?;
        }
        let words = self.words(region);
        let index = frame - frames_before(region);
        let mut key = hash(page_no);
        for _ in 0..HASH_SLOTS {
            if slot(words, key) == 0 {
                store(words, at, page_no);
                set_slot(words, key, index as u16);
                return Ok(());
            }
            key = (key + 1) % HASH_SLOTS;
        }
        Err(Error::Corrupt)
    }

    /// Removes the frames after `frame` from its region: what a rollback left.
    pub fn forget_after(&mut self, frame: u32) -> Result<()> {
        if frame == 0 {
            return Ok(());
        }
        let (region, at) = place(frame);
        if !self.map(region, false)? {
            return Ok(());
        }
        let words = self.words(region);
        let keep = frame - frames_before(region);
        for key in 0..HASH_SLOTS {
            if u32::from(slot(words, key)) > keep {
                set_slot(words, key, 0);
            }
        }
        for word in words.get(at + 1..REGION_FRAMES).unwrap_or_default() {
            word.store(0, Ordering::Relaxed);
        }
        Ok(())
    }
}
