//! The write-ahead log (file format, section 4).
//!
//! ```text
//! -wal   header: magic version page-size sequence salt salt checksum checksum
//!        frame:  page-number pages-after-commit salt salt checksum checksum, then the page
//! locks  0 WRITE   1 CKPT   2 RECOVER   3..8 READ(0..5)      (of the -shm file)
//! ```
//!
//! A commit appends frames; the last one tells the new size of the database, and the header of the
//! index is what publishes it. A reader takes a READ lock whose mark is the last frame that it
//! uses (READ(0): none, everything is in the database), and checks that the header is still the one
//! it read before: nobody overwrites what a lock protects. A checkpoint copies frames up to the
//! lowest mark in use. When all are copied and no reader is left the next writer begins the log
//! anew, with other salts, so that old frames after the new ones are known as such.

mod checkpoint;
mod checksum;
mod index;

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Page, PageNo, be32, put_be32};
use crate::vfs::{Access, Error, File, Result, ShmLock, Vfs};
use checksum::checksum;
use index::{Index, IndexHeader, MARK_UNUSED, READERS, VERSION};

pub use checkpoint::Checkpoint;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER: usize = 24;
/// The lowest bit says that checksums take big-endian words.
const MAGIC: u32 = 0x377f_0682;

const WRITE: usize = 0;
const CKPT: usize = 1;
const RECOVER: usize = 2;
const READ: usize = 3;

/// Frames written by one call.
const BATCH: usize = 256;
/// Attempts to begin a read before the protocol is given up.
const MAX_ATTEMPTS: u64 = 100;

/// The log of one connection.
pub struct Wal {
    file: Arc<dyn File>,
    path: PathBuf,
    index: Index,
    /// The snapshot; during a write, the state to come.
    header: IndexHeader,
    reader: Option<usize>,
    first_frame: u32,
    writing: bool,
    checkpointing: bool,
    sequence: u32,
    /// A checkpoint has read a newer header than the last snapshot had.
    unseen: bool,
    /// The entry of the file in its folder may not be durable.
    new_entry: bool,
}

/// Where the log is at a savepoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark {
    max_frame: u32,
    checksum: [u32; 2],
    sequence: u32,
}

/// What one attempt to begin a read gave.
enum Attempt {
    Done { changed: bool },
    Again,
}

impl Wal {
    /// Opens the log and its index.
    ///
    /// # Errors
    /// [`Error::CannotOpen`], [`Error::Busy`] while another connection clears the index.
    pub fn open(vfs: &dyn Vfs, path: &Path, shm_path: &Path, read_only: bool) -> Result<Wal> {
        let access = Access { write: true, create: !read_only };
        let file = vfs.open(path, access).map_err(|_| Error::CannotOpen)?;
        let shm = vfs.open_shm(shm_path, false).map_err(|error| match error.kind() {
            std::io::ErrorKind::ResourceBusy => Error::Busy,
            _ => Error::CannotOpen,
        })?;
        Ok(Wal {
            file,
            path: path.to_owned(),
            index: Index::new(shm),
            header: IndexHeader::default(),
            reader: None,
            first_frame: 0,
            writing: false,
            checkpointing: false,
            sequence: 0,
            unseen: false,
            new_entry: true,
        })
    }

    /// Pages of the database in the snapshot; 0: the database file knows.
    pub fn page_count(&self) -> PageNo {
        self.header.page_count()
    }

    /// Frames of the log in the snapshot.
    pub fn frame_count(&self) -> u32 {
        self.header.max_frame()
    }

    fn page_size(&self) -> usize {
        self.header.page_size()
    }

    fn offset(&self, frame: u32) -> u64 {
        let frame_bytes = (FRAME_HEADER + self.page_size()) as u64;
        HEADER_BYTES as u64 + u64::from(frame.saturating_sub(1)) * frame_bytes
    }

    fn lock(&self, slot: usize, count: usize) -> Result<bool> {
        Ok(self.index.shm().lock(slot, count, ShmLock::Exclusive)?)
    }

    fn share(&self, slot: usize) -> Result<bool> {
        Ok(self.index.shm().lock(slot, 1, ShmLock::Shared)?)
    }

    fn unlock(&self, slot: usize, count: usize) {
        // Nothing can be done about a lock that the kernel does not take back.
        let _ = self.index.shm().lock(slot, count, ShmLock::Unlock);
    }

    // ---- reading ------------------------------------------------------------------------------

    /// Pins a snapshot; `true`: it is another one than the last.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Protocol`], I/O.
    pub fn begin_read(&mut self, vfs: &dyn Vfs) -> Result<bool> {
        let mut changed = std::mem::take(&mut self.unseen);
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 5 {
                let pause = if attempt < 10 { 1 } else { (attempt - 9) * (attempt - 9) * 39 };
                vfs.sleep(Duration::from_micros(pause));
            }
            match self.try_begin_read(false)? {
                Attempt::Done { changed: now } => return Ok(changed | now),
                Attempt::Again => {
                    changed = true;
                }
            }
        }
        Err(Error::Protocol)
    }

    /// `use_wal`: a writer that has begun the log anew must not read from the database alone.
    fn try_begin_read(&mut self, use_wal: bool) -> Result<Attempt> {
        let mut changed = false;
        if !use_wal {
            match self.read_header()? {
                Attempt::Done { changed: now } => changed = now,
                Attempt::Again => return Ok(Attempt::Again),
            }
        }
        let max_frame = self.header.max_frame();
        if !use_wal && self.index.backfill() == max_frame && self.share(READ)? {
            self.index.barrier();
            if self.index.current_header() != self.header {
                self.unlock(READ, 1);
                return Ok(Attempt::Again);
            }
            self.reader = Some(0);
            self.first_frame = max_frame + 1;
            return Ok(Attempt::Done { changed });
        }
        let Some((reader, mark)) = self.choose_reader(max_frame)? else {
            return Ok(Attempt::Again);
        };
        if !self.share(READ + reader)? {
            return Ok(Attempt::Again);
        }
        self.first_frame = self.index.backfill() + 1;
        self.index.barrier();
        if self.index.read_mark(reader) != mark || self.index.current_header() != self.header {
            self.unlock(READ + reader, 1);
            return Ok(Attempt::Again);
        }
        self.reader = Some(reader);
        Ok(Attempt::Done { changed })
    }

    /// The reader slot with the highest mark that is not above the snapshot, raised to it where a
    /// slot is free.
    fn choose_reader(&self, max_frame: u32) -> Result<Option<(usize, u32)>> {
        let mut best: Option<(usize, u32)> = None;
        for reader in 1..READERS {
            let mark = self.index.read_mark(reader);
            if mark <= max_frame && best.is_none_or(|(_, highest)| mark >= highest) {
                best = Some((reader, mark));
            }
        }
        if best.is_some_and(|(_, mark)| mark == max_frame) {
            return Ok(best);
        }
        for reader in 1..READERS {
            if self.lock(READ + reader, 1)? {
                self.index.set_read_mark(reader, max_frame);
                self.unlock(READ + reader, 1);
                return Ok(Some((reader, max_frame)));
            }
        }
        Ok(best)
    }

    /// Reads the index's header, recovering the index where it is not whole.
    fn read_header(&mut self) -> Result<Attempt> {
        self.index.map(0, true)?;
        let mut header = self.index.read_header();
        if header.is_none() {
            if !self.lock(WRITE, 1)? {
                // Somebody recovers, or writes the header: soon it is whole.
                return Ok(Attempt::Again);
            }
            header = self.index.read_header();
            if header.is_none() {
                let recovered = self.recover();
                self.unlock(WRITE, 1);
                return match recovered? {
                    true => Ok(Attempt::Done { changed: true }),
                    false => Ok(Attempt::Again),
                };
            }
            self.unlock(WRITE, 1);
        }
        let header = header.unwrap_or_default();
        if header.0[0] != VERSION {
            return Err(Error::CannotOpen);
        }
        let changed = header != self.header;
        self.header = header;
        Ok(Attempt::Done { changed })
    }

    /// Unpins the snapshot.
    pub fn end_read(&mut self) {
        self.end_write();
        if let Some(reader) = self.reader.take() {
            self.unlock(READ + reader, 1);
        }
    }

    /// The frame that holds a page in the snapshot; 0: the database file does.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn find(&mut self, page_no: PageNo) -> Result<u32> {
        let last = self.header.max_frame();
        if last == 0 || (self.reader == Some(0) && !self.writing) {
            return Ok(0);
        }
        self.index.find(page_no, self.first_frame, last)
    }

    /// Reads the page of a frame.
    ///
    /// # Errors
    /// I/O.
    pub fn read_frame(&self, frame: u32, out: &mut [u8]) -> Result<()> {
        let read = self.file.read_at(out, self.offset(frame) + FRAME_HEADER as u64)?;
        if read < out.len() { Err(Error::Corrupt) } else { Ok(()) }
    }

    // ---- recovery -----------------------------------------------------------------------------

    /// Builds the index from the log, under WRITE. `false`: another connection is at it.
    fn recover(&mut self) -> Result<bool> {
        let (first, count) = if self.checkpointing { (RECOVER, 1) } else { (CKPT, 2) };
        if !self.lock(first, count)? {
            return Ok(false);
        }
        let recovered = self.recover_locked();
        self.unlock(first, count);
        recovered.map(|()| true)
    }

    fn recover_locked(&mut self) -> Result<()> {
        let mut header = IndexHeader::default();
        let size = self.file.size()?;
        if size > HEADER_BYTES as u64 {
            self.recover_frames(&mut header, size)?;
        }
        self.index.write_header(&mut header);
        self.header = header;
        let max_frame = header.max_frame();
        self.index.set_backfill(0);
        self.index.set_backfill_attempted(max_frame);
        self.index.set_read_mark(0, 0);
        for reader in 1..READERS {
            if self.lock(READ + reader, 1)? {
                let used = reader == 1 && max_frame > 0;
                self.index.set_read_mark(reader, if used { max_frame } else { MARK_UNUSED });
                self.unlock(READ + reader, 1);
            }
        }
        Ok(())
    }

    fn recover_frames(&mut self, header: &mut IndexHeader, size: u64) -> Result<()> {
        let mut head = [0; HEADER_BYTES];
        if self.file.read_at(&mut head, 0)? < HEADER_BYTES {
            return Ok(());
        }
        let magic = be32(&head, 0);
        let page_size = be32(&head, 8) as usize;
        let is_sane = magic & !1 == MAGIC
            && page_size.is_power_of_two()
            && (512..=65_536).contains(&page_size);
        if !is_sane {
            return Ok(());
        }
        let big_endian = magic & 1 == 1;
        let salt: [u8; 8] =
            head.get(16..24).and_then(|salt| salt.try_into().ok()).unwrap_or_default();
        let mut sum = checksum(big_endian, head.get(..24).unwrap_or_default(), [0, 0]);
        if sum != [be32(&head, 24), be32(&head, 28)] {
            return Ok(());
        }
        if be32(&head, 4) != VERSION {
            return Err(Error::CannotOpen);
        }
        self.sequence = be32(&head, 12);
        header.set_layout(page_size, big_endian);
        header.set_salt(salt);
        header.set_frame_checksum(sum);
        let mut frame = vec![0; FRAME_HEADER + page_size];
        let mut offset = HEADER_BYTES as u64;
        let mut number = 0;
        while offset + frame.len() as u64 <= size {
            if self.file.read_at(&mut frame, offset)? < frame.len() {
                break;
            }
            let Some((page_no, page_count)) = check_frame(&frame, salt, big_endian, &mut sum)
            else {
                break;
            };
            number += 1;
            self.index.append(number, page_no, header.max_frame())?;
            if page_count > 0 {
                header.set_max_frame(number);
                header.set_page_count(page_count);
                header.set_frame_checksum(sum);
            }
            offset += frame.len() as u64;
        }
        Ok(())
    }

    // ---- writing ------------------------------------------------------------------------------

    /// Makes the snapshot writable.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::BusySnapshot`].
    pub fn begin_write(&mut self) -> Result<()> {
        if !self.lock(WRITE, 1)? {
            return Err(Error::Busy);
        }
        if self.index.current_header() != self.header {
            self.unlock(WRITE, 1);
            return Err(Error::BusySnapshot);
        }
        self.writing = true;
        Ok(())
    }

    /// Gives the right to write back.
    pub fn end_write(&mut self) {
        if self.writing {
            self.writing = false;
            self.unlock(WRITE, 1);
        }
    }

    /// Where the log is now.
    pub fn mark(&self) -> Mark {
        Mark {
            max_frame: self.header.max_frame(),
            checksum: self.header.frame_checksum(),
            sequence: self.sequence,
        }
    }

    /// Forgets the frames after the mark.
    ///
    /// # Errors
    /// I/O.
    pub fn undo_to(&mut self, mark: Mark) -> Result<()> {
        // A log that was begun anew since then has no frame from before.
        let max_frame = if mark.sequence == self.sequence { mark.max_frame } else { 0 };
        if max_frame < self.header.max_frame() {
            self.header.set_max_frame(max_frame);
            self.header.set_frame_checksum(mark.checksum);
            self.index.forget_after(max_frame)?;
        }
        Ok(())
    }

    /// Forgets all frames of the transaction.
    ///
    /// # Errors
    /// I/O.
    pub fn undo(&mut self) -> Result<()> {
        let committed = self.index.current_header();
        let had = self.header.max_frame();
        self.header = committed;
        if had > committed.max_frame() {
            self.index.forget_after(committed.max_frame())?;
        }
        Ok(())
    }

    /// Appends pages; with `commit` the last one commits a database of that many pages.
    ///
    /// # Errors
    /// [`Error::Full`], I/O.
    pub fn append(
        &mut self,
        vfs: &dyn Vfs,
        pages: &[(PageNo, Page)],
        commit: Option<PageNo>,
        sync: SyncLog,
    ) -> Result<()> {
        self.begin_anew_if_copied(vfs)?;
        let page_size = pages.first().map_or(0, |(_, page)| page.len());
        if self.header.max_frame() == 0 {
            self.write_log_header(vfs, page_size, sync)?;
        } else if page_size != self.page_size() {
            return Err(Error::Corrupt);
        }
        let salt = self.header.salt();
        let big_endian = self.header.is_big_endian();
        let mut sum = self.header.frame_checksum();
        let base = self.header.max_frame();
        for (batch_no, batch) in pages.chunks(BATCH).enumerate() {
            let first = base + (batch_no * BATCH) as u32;
            let mut heads = Vec::with_capacity(batch.len());
            for (i, (page_no, page)) in batch.iter().enumerate() {
                let is_last = first as usize + i + 1 == base as usize + pages.len();
                let size = commit.filter(|_| is_last).unwrap_or(0);
                heads.push(frame_head(*page_no, size, salt, page, big_endian, &mut sum));
            }
            let parts: Vec<IoSlice<'_>> = heads
                .iter()
                .zip(batch)
                .flat_map(|(head, (_, page))| [IoSlice::new(head), IoSlice::new(page)])
                .collect();
            self.file.write_vectored_at(&parts, self.offset(first + 1))?;
        }
        if commit.is_some() && sync == SyncLog::Always {
            self.sync(vfs)?;
        }
        for ((page_no, _), frame) in pages.iter().zip(base + 1..) {
            self.index.append(frame, *page_no, self.header.max_frame())?;
            self.header.set_max_frame(frame);
        }
        self.header.set_frame_checksum(sum);
        if let Some(page_count) = commit {
            self.header.0[2] = self.header.0[2].wrapping_add(1);
            self.header.set_page_count(page_count);
            self.index.write_header(&mut self.header);
        }
        Ok(())
    }

    /// Makes the log durable, the first time its name too.
    fn sync(&mut self, vfs: &dyn Vfs) -> Result<()> {
        self.file.sync()?;
        if std::mem::take(&mut self.new_entry) {
            let synced = vfs.sync_folder(&self.path);
            self.new_entry = synced.is_err();
            synced?;
        }
        Ok(())
    }

    fn write_log_header(&mut self, vfs: &dyn Vfs, page_size: usize, sync: SyncLog) -> Result<()> {
        if self.header.salt() == [0; 8] {
            self.header.set_salt(vfs.random().to_ne_bytes());
        }
        let mut head = [0; HEADER_BYTES];
        for (at, value) in [MAGIC, VERSION, page_size as u32, self.sequence].into_iter().enumerate()
        {
            put_be32(&mut head, 4 * at, value);
        }
        if let Some(salt) = head.get_mut(16..24) {
            salt.copy_from_slice(&self.header.salt());
        }
        let sum = checksum(false, head.get(..24).unwrap_or_default(), [0, 0]);
        put_be32(&mut head, 24, sum[0]);
        put_be32(&mut head, 28, sum[1]);
        self.file.write_at(&head, 0)?;
        // Frames that reach the disk before the header would be taken for frames of the old log.
        if sync != SyncLog::Never {
            self.sync(vfs)?;
        }
        self.header.set_layout(page_size, false);
        self.header.set_frame_checksum(sum);
        Ok(())
    }

    /// A writer that finds all frames in the database and no other reader begins the log anew.
    fn begin_anew_if_copied(&mut self, vfs: &dyn Vfs) -> Result<()> {
        if self.reader != Some(0) {
            return Ok(());
        }
        if self.index.backfill() > 0 && self.lock(READ + 1, READERS - 1)? {
            self.restart(vfs.random() as u32);
            self.unlock(READ + 1, READERS - 1);
        }
        // What is written now must be protected by a mark.
        self.unlock(READ, 1);
        self.reader = None;
        for _ in 0..MAX_ATTEMPTS {
            if let Attempt::Done { .. } = self.try_begin_read(true)? {
                return Ok(());
            }
        }
        Err(Error::Protocol)
    }

    /// The log has no frames and other salts; under WRITE and all READ locks but the first.
    fn restart(&mut self, random: u32) {
        self.sequence = self.sequence.wrapping_add(1);
        self.header.set_max_frame(0);
        let [a, b, c, d, ..] = self.header.salt();
        let [a, b, c, d] = u32::from_be_bytes([a, b, c, d]).wrapping_add(1).to_be_bytes();
        let [e, f, g, h] = random.to_ne_bytes();
        self.header.set_salt([a, b, c, d, e, f, g, h]);
        self.index.write_header(&mut self.header);
        self.index.set_backfill(0);
        self.index.set_backfill_attempted(0);
        self.index.set_read_mark(1, 0);
        for reader in 2..READERS {
            self.index.set_read_mark(reader, MARK_UNUSED);
        }
    }

    /// Removes the log and its index: this is the last connection, and all is copied.
    pub fn delete(self, vfs: &dyn Vfs) {
        let path = self.path.clone();
        self.index.shm().delete();
        drop(self);
        // A log that stays is empty of news: its frames are in the database.
        let _ = vfs.delete(&path, false);
    }

    /// Cuts the file to a limit after a commit that began it anew.
    pub fn limit_size(&self, limit: i64) -> Result<()> {
        if let Ok(limit) = u64::try_from(limit) {
            let used = self.offset(self.header.max_frame() + 1);
            let limit = limit.max(used);
            if self.file.size()? > limit {
                self.file.truncate(limit)?;
            }
        }
        Ok(())
    }
}

/// When the log is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncLog {
    /// `synchronous=OFF`.
    Never,
    /// `NORMAL`: with its header and before a checkpoint.
    Checkpoint,
    /// `FULL`: with each commit too.
    Always,
}

fn frame_head(
    page_no: PageNo,
    page_count: PageNo,
    salt: [u8; 8],
    page: &[u8],
    big_endian: bool,
    sum: &mut [u32; 2],
) -> [u8; FRAME_HEADER] {
    let mut head = [0; FRAME_HEADER];
    put_be32(&mut head, 0, page_no);
    put_be32(&mut head, 4, page_count);
    *sum = checksum(big_endian, head.get(..8).unwrap_or_default(), *sum);
    *sum = checksum(big_endian, page, *sum);
    if let Some(out) = head.get_mut(8..16) {
        out.copy_from_slice(&salt);
    }
    put_be32(&mut head, 16, sum[0]);
    put_be32(&mut head, 20, sum[1]);
    head
}

/// Page number and size of a frame that belongs to the log.
fn check_frame(
    frame: &[u8],
    salt: [u8; 8],
    big_endian: bool,
    sum: &mut [u32; 2],
) -> Option<(PageNo, PageNo)> {
    let page_no = be32(frame, 0);
    if page_no == 0 || frame.get(8..16)? != salt {
        return None;
    }
    let next = checksum(big_endian, frame.get(..8)?, *sum);
    let next = checksum(big_endian, frame.get(FRAME_HEADER..)?, next);
    if next != [be32(frame, 16), be32(frame, 20)] {
        return None;
    }
    *sum = next;
    Some((page_no, be32(frame, 4)))
}
