//! Transactions: how they begin, commit, roll back and recover.
//!
//! Commit with a rollback journal. Each step is durable before the next begins, and the last one is
//! the commit:
//!
//! 1. originals to the journal, journal sync, folder sync, record count, journal sync
//! 2. EXCLUSIVE lock (before the sync: a busy database costs no fsync)
//! 3. pages to the database, cut to size, database sync
//! 4. the journal is deleted, cut or zeroed
//!
//! A crash before 4 leaves a journal that nobody holds RESERVED for: whoever comes next plays it
//! back under EXCLUSIVE. A spill (more dirty pages than the cache holds) does steps 1 to 3 early,
//! and the transaction goes on with EXCLUSIVE.

use std::io::IoSlice;
use std::sync::Arc;

use super::header::{HEADER_BYTES, Header, at, be32};
use super::journal::Writer;
use super::wal::Wal;
use super::{
    Backing, JournalMode, LockingMode, Page, PageNo, PageSet, Pager, State, Synchronous, WriteLock,
    sibling,
};
use crate::vfs::{Access, Error, File, LockLevel, Result};

/// Originals kept in memory before they go to the journal file.
const RECORDS_IN_MEMORY: usize = 1024;
/// Pages written by one call.
const WRITE_BATCH: usize = 512;

/// What a write transaction has changed.
#[derive(Default)]
pub struct Transaction {
    orig_pages: PageNo,
    journaled: PageSet,
    /// Pages freed in this transaction whose content a rollback needs.
    content: PageSet,
    /// First changes, in order. The originals of the first `flushed` are in the journal file alone.
    pub(super) records: Vec<(PageNo, Option<Page>)>,
    flushed: usize,
    journal: Option<Writer>,
    /// Pages of this transaction are in the database file.
    pub(super) file_changed: bool,
    /// The pages are chunks of a file of another page size.
    pub(super) new_layout: Option<Layout>,
}

/// The layout that a file has after a commit that changes its page size.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub page_size: usize,
    pub reserved: u8,
    pub page_count: PageNo,
}

impl Transaction {
    pub(super) fn needs_record(&mut self, page_no: PageNo) -> bool {
        self.journaled.insert(page_no) && page_no <= self.orig_pages
    }

    pub(super) fn record(&mut self, page_no: PageNo, original: Option<Page>) {
        self.records.push((page_no, original));
    }

    pub(super) fn record_count(&self) -> usize {
        self.records.len()
    }

    pub(super) fn skip_journal(&mut self, page_no: PageNo) {
        self.journaled.insert(page_no);
    }

    pub(super) fn note_content(&mut self, page_no: PageNo) {
        self.content.insert(page_no);
    }

    /// Whether a page that is taken for new use holds what a rollback needs: all but the free
    /// leaves of before the transaction, and pages that the file never had.
    pub(super) fn content_counts(&self, page_no: PageNo, page_count: PageNo) -> bool {
        if page_no > page_count {
            return page_no <= self.orig_pages;
        }
        self.journaled.contains(page_no) || self.content.contains(page_no)
    }
}

impl Pager {
    // ---- begin --------------------------------------------------------------------------------

    /// Takes a snapshot.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::NotADatabase`], I/O.
    pub fn begin_read(&mut self) -> Result<()> {
        if self.state != State::Closed {
            return Ok(());
        }
        if self.backing != Backing::File {
            self.state = State::Read;
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            let begun = self.begin_file_read();
            let Err(error) = begun else { return Ok(()) };
            self.state = State::Closed;
            self.unlock_unless_kept();
            if !matches!(error, Error::Busy) || !self.busy.wait(&*self.vfs, attempt) {
                return Err(error);
            }
            attempt += 1;
        }
    }

    fn begin_file_read(&mut self) -> Result<()> {
        if !self.file()?.lock(LockLevel::Shared)? {
            return Err(Error::Busy);
        }
        if self.wal.is_none() {
            self.recover_hot_journal()?;
            self.open_wal_if_present()?;
        }
        self.state = State::Read;
        self.refresh()?;
        if self.wal.is_none() && !self.leaving_wal && self.header.is_some_and(|header| header.wal) {
            self.open_wal()?;
            self.refresh()?;
        }
        Ok(())
    }

    /// Compares the file with what the cache was filled from.
    fn refresh(&mut self) -> Result<()> {
        let is_new_snapshot = match &mut self.wal {
            Some(wal) => wal.begin_read(&*self.vfs)?,
            None => false,
        };
        let size = self.file()?.size()?;
        let mut head = [0; HEADER_BYTES];
        let logged = self.frame_of(1)?;
        match self.wal.as_ref().filter(|_| logged != 0) {
            Some(wal) => wal.read_frame(logged, &mut head)?,
            None => {
                self.file()?.read_at(&mut head, 0)?;
            }
        }
        if size == 0 && logged == 0 {
            self.forget_cache([0; 16]);
            self.header = None;
            self.page_count = 0;
            return Ok(());
        }
        let header = Header::parse(&head)?;
        let stamp = stamp(&head);
        if self.header != Some(header) || stamp != self.seen || is_new_snapshot {
            self.forget_cache(stamp);
            self.reset_page_size(header.page_size as usize, header.reserved);
            self.header = Some(header);
        }
        let in_file = size.div_ceil(u64::from(header.page_size));
        let pages = match self.wal.as_ref().map_or(0, Wal::page_count) {
            0 => u32::try_from(in_file).unwrap_or(u32::MAX),
            count => count,
        };
        self.page_count = header.page_count.unwrap_or(pages);
        if self.page_count > pages {
            return Err(Error::Corrupt);
        }
        Ok(())
    }

    fn forget_cache(&mut self, stamp: [u8; 16]) {
        self.cache.clear();
        self.seen = stamp;
        self.data_version = self.data_version.wrapping_add(1);
        self.last_read = 0;
        self.read_ahead = 1;
    }

    /// Ends a read transaction.
    pub fn end_read(&mut self) {
        if self.state == State::Read {
            self.state = State::Closed;
            self.unlock_unless_kept();
        }
    }

    fn unlock_unless_kept(&mut self) {
        if let Some(wal) = &mut self.wal {
            // SHARED stays: it tells the others that somebody uses the log.
            wal.end_read();
        } else if self.settings.locking_mode == LockingMode::Normal {
            self.unlock(LockLevel::None);
        }
    }

    pub(super) fn unlock(&mut self, level: LockLevel) {
        if self.backing != Backing::File {
            return;
        }
        if let Some(file) = &self.file {
            // Nothing can be done about a lock that the kernel does not take back.
            let _ = file.unlock(level);
        }
    }

    pub(super) fn file(&self) -> Result<&Arc<dyn File>> {
        self.file.as_ref().ok_or(Error::Misuse("the database has no file"))
    }

    /// Takes a lock, waiting for it as the busy handler wants.
    pub(super) fn wait_for(&mut self, level: LockLevel) -> Result<()> {
        if self.backing != Backing::File {
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            if self.file()?.lock(level)? {
                return Ok(());
            }
            if !self.busy.wait(&*self.vfs, attempt) {
                return Err(Error::Busy);
            }
            attempt += 1;
        }
    }

    /// Makes the transaction writable.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::ReadOnly`], I/O.
    pub fn begin_write(&mut self, lock: WriteLock) -> Result<()> {
        if self.state == State::Write {
            return self.lock_for_write(lock);
        }
        if self.settings.read_only {
            return Err(Error::ReadOnly);
        }
        if self.state == State::Read {
            // Two readers that wait for each other to write would wait for ever: no waiting here.
            self.try_begin_write(lock)?;
        } else {
            self.begin_write_waiting(lock)?;
        }
        Ok(())
    }

    fn begin_write_waiting(&mut self, lock: WriteLock) -> Result<()> {
        let mut attempt = 0;
        loop {
            self.begin_read()?;
            match self.try_begin_write(lock) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.end_read();
                    let again = matches!(error, Error::Busy | Error::BusySnapshot);
                    if !again || !self.busy.wait(&*self.vfs, attempt) {
                        return Err(error);
                    }
                }
            }
            attempt += 1;
        }
    }

    fn try_begin_write(&mut self, lock: WriteLock) -> Result<()> {
        if self.header.is_some_and(|header| !header.writable) {
            return Err(Error::ReadOnly);
        }
        if let Some(wal) = &mut self.wal {
            wal.begin_write()?;
        } else if self.backing == Backing::File && !self.file()?.lock(LockLevel::Reserved)? {
            return Err(Error::Busy);
        }
        self.txn = Transaction { orig_pages: self.page_count, ..Transaction::default() };
        self.state = State::Write;
        self.epoch += 1;
        let locked = self.lock_for_write(lock);
        if locked.is_err() {
            self.state = State::Read;
            self.unlock(LockLevel::Shared);
        }
        locked
    }

    fn lock_for_write(&mut self, lock: WriteLock) -> Result<()> {
        match lock {
            _ if self.wal.is_some() => Ok(()),
            WriteLock::Immediate => Ok(()),
            WriteLock::Exclusive => self.wait_for(LockLevel::Exclusive),
        }
    }

    // ---- the journal --------------------------------------------------------------------------

    fn journals_to_file(&self) -> bool {
        use JournalMode::{Delete, Persist, Truncate};
        self.backing == Backing::File
            && self.wal.is_none()
            && matches!(self.settings.journal_mode, Delete | Persist | Truncate)
    }

    pub(super) fn flush_records_if_many(&mut self) -> Result<()> {
        let waiting = self.txn.records.len() - self.txn.flushed;
        if waiting >= RECORDS_IN_MEMORY && self.journals_to_file() {
            self.flush_records()?;
        }
        Ok(())
    }

    /// Writes the originals to the journal file and lets go of them.
    fn flush_records(&mut self) -> Result<()> {
        if self.txn.journal.is_none() {
            self.txn.journal = Some(self.open_journal()?);
        }
        let waiting = self.txn.records.get_mut(self.txn.flushed..).unwrap_or_default();
        let originals: Vec<(PageNo, Page)> =
            waiting.iter().filter_map(|(page_no, page)| Some((*page_no, page.clone()?))).collect();
        if let Some(journal) = &mut self.txn.journal {
            journal.append(&originals)?;
        }
        waiting.iter_mut().for_each(|(_, page)| *page = None);
        self.txn.flushed = self.txn.records.len();
        Ok(())
    }

    fn open_journal(&mut self) -> Result<Writer> {
        let path = sibling(&self.path, "-journal");
        let (file, new_entry) = match self.kept_journal.take() {
            Some(file) => (file, false),
            None => {
                let access = Access { write: true, create: true };
                let file = self.vfs.open(&path, access).map_err(|_| Error::CannotOpen)?;
                if file.is_read_only() {
                    return Err(Error::CannotOpen);
                }
                (file, true)
            }
        };
        let nonce = self.vfs.random() as u32;
        let (orig_pages, level) = (self.txn.orig_pages, self.settings.synchronous);
        Writer::begin(file, self.page_size, orig_pages, nonce, level, new_entry)
    }

    fn sync_journal(&mut self) -> Result<()> {
        let path = sibling(&self.path, "-journal");
        let vfs = &self.vfs;
        match &mut self.txn.journal {
            Some(journal) => journal.sync(|| vfs.sync_folder(&path)),
            None => Ok(()),
        }
    }

    /// The original of record `index`; `None` where it is known to be what the file holds.
    pub(super) fn read_record(&mut self, index: usize) -> Result<Option<(PageNo, Page)>> {
        let Some((page_no, original)) = self.txn.records.get(index).cloned() else {
            return Ok(None);
        };
        if let Some(page) = original {
            return Ok(Some((page_no, page)));
        }
        let mut page = self.cache.buffer();
        match &self.txn.journal {
            Some(journal) => {
                journal.read_record(index, page.to_mut())?;
            }
            None => self.read_into(page_no, page.to_mut())?,
        }
        Ok(Some((page_no, page)))
    }

    /// Writes the dirty pages early: the cache is full.
    pub(super) fn spill(&mut self) -> Result<()> {
        match self.backing {
            Backing::Memory => return Ok(()),
            Backing::Temporary if self.file.is_none() => self.file = Some(self.vfs.temporary()?),
            _ => {}
        }
        if self.wal.is_some() {
            self.write_to_log(None)?;
            self.epoch += 1;
            return Ok(());
        }
        // A reader in the way: the cache grows instead.
        if self.backing == Backing::File && !self.file()?.lock(LockLevel::Exclusive)? {
            return Ok(());
        }
        if self.journals_to_file() {
            self.flush_records()?;
            self.sync_journal()?;
        }
        self.write_dirty()?;
        self.epoch += 1;
        Ok(())
    }

    /// Writes the dirty pages to the database file, neighbours together.
    fn write_dirty(&mut self) -> Result<()> {
        let dirty = self.cache.dirty_pages();
        let dirty: Vec<PageNo> =
            dirty.into_iter().filter(|page_no| *page_no <= self.page_count).collect();
        self.txn.file_changed = true;
        let mut run: Vec<Page> = Vec::new();
        let mut first = 0;
        for page_no in dirty {
            let Some(page) = self.cache.get(page_no).cloned() else { continue };
            if page_no != first + run.len() as u32 || run.len() >= WRITE_BATCH {
                self.write_run(first, &run)?;
                run.clear();
                first = page_no;
            }
            run.push(page);
        }
        self.write_run(first, &run)?;
        self.cache.mark_clean();
        Ok(())
    }

    fn write_run(&self, first: PageNo, run: &[Page]) -> Result<()> {
        match run {
            [] => Ok(()),
            [page] => Ok(self.file()?.write_at(page, self.offset(first))?),
            pages => {
                let parts: Vec<IoSlice<'_>> = pages.iter().map(|page| IoSlice::new(page)).collect();
                Ok(self.file()?.write_vectored_at(&parts, self.offset(first))?)
            }
        }
    }

    /// Whether the transaction has changed a page.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.txn.file_changed || self.txn.record_count() > 0 || self.cache.dirty_count() > 0
    }

    // ---- commit -------------------------------------------------------------------------------

    /// Makes the changes durable and ends the transaction. After [`Error::Busy`] it is still open.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], I/O.
    pub fn commit(&mut self) -> Result<()> {
        match self.state {
            State::Closed => Ok(()),
            State::Read => {
                self.end_read();
                Ok(())
            }
            State::Write => self.commit_write(),
        }
    }

    fn commit_write(&mut self) -> Result<()> {
        let changed = self.txn.file_changed || self.cache.dirty_count() > 0;
        match self.backing {
            Backing::Memory => self.cache.mark_clean(),
            // What is dirty may stay in the cache until the next spill.
            Backing::Temporary => {}
            Backing::File if !changed => {}
            Backing::File if self.wal.is_some() => {
                self.commit_to_log()?;
                self.finish_write();
                self.checkpoint_if_long();
                return Ok(());
            }
            Backing::File => self.commit_to_file()?,
        }
        self.finish_write();
        Ok(())
    }

    fn commit_to_file(&mut self) -> Result<()> {
        let layout = self.txn.new_layout;
        let page_size = layout.map_or(self.page_size, |layout| layout.page_size);
        let page_count = layout.map_or(self.page_count, |layout| layout.page_count);
        self.count_change(page_count)?;
        self.wait_for(LockLevel::Exclusive)?;
        if self.journals_to_file() {
            self.flush_records()?;
            self.sync_journal()?;
        }
        self.write_dirty()?;
        let bytes = u64::from(page_count) * page_size as u64;
        let file = self.file()?;
        if file.size()? > bytes {
            file.truncate(bytes)?;
        }
        if self.settings.synchronous > Synchronous::Off {
            file.sync()?;
        }
        self.finish_journal()?;
        self.txn.file_changed = false;
        if let Some(layout) = layout {
            self.cache.clear();
            self.header = None;
            self.reset_page_size(layout.page_size, layout.reserved);
            return Ok(());
        }
        self.note_own_header()
    }

    /// Raises the change counter above the one of the file, whatever the page says: it may have been
    /// copied from another database.
    pub(super) fn count_change(&mut self, page_count: PageNo) -> Result<()> {
        let counter = be32(&self.seen, 0).wrapping_add(1);
        Header::count_change(self.page_mut(1)?, counter, page_count);
        Ok(())
    }

    /// What others would compare their caches with is now what we wrote.
    pub(super) fn note_own_header(&mut self) -> Result<()> {
        let page = self.page(1)?;
        self.seen = stamp(&page);
        self.header = Some(Header::parse(&page)?);
        Ok(())
    }

    /// The commit: the journal loses its power. On an error it keeps it, for the rollback.
    fn finish_journal(&mut self) -> Result<()> {
        let Some(journal) = &self.txn.journal else { return Ok(()) };
        let kept_lock = self.settings.locking_mode == LockingMode::Exclusive;
        let limit = self.settings.journal_size_limit;
        match self.settings.journal_mode {
            JournalMode::Truncate => journal.truncate()?,
            JournalMode::Persist => journal.zero_header(limit)?,
            JournalMode::Delete if kept_lock => journal.zero_header(limit)?,
            _ => {
                let sync_folder = self.settings.synchronous == Synchronous::Extra;
                self.vfs.delete(&sibling(&self.path, "-journal"), sync_folder)?;
                self.txn.journal = None;
                return Ok(());
            }
        }
        self.kept_journal = self.txn.journal.take().map(Writer::into_file);
        Ok(())
    }

    fn finish_write(&mut self) {
        self.savepoints.clear();
        self.txn = Transaction::default();
        self.epoch += 1;
        self.state = State::Closed;
        if let Some(wal) = &mut self.wal {
            wal.end_read();
        } else if self.settings.locking_mode == LockingMode::Normal {
            self.kept_journal = None;
            self.unlock(LockLevel::None);
        }
    }

    // ---- rollback -----------------------------------------------------------------------------

    /// Undoes the changes and ends the transaction.
    ///
    /// # Errors
    /// I/O: then the journal stays, and the next transaction plays it back.
    pub fn rollback(&mut self) -> Result<()> {
        if self.state != State::Write {
            self.end_read();
            return Ok(());
        }
        let undone = self.undo();
        if undone.is_err() {
            self.cache.clear();
            self.header = None;
            self.txn.journal = None;
        }
        self.data_version = self.data_version.wrapping_add(1);
        self.finish_write();
        undone
    }

    fn undo(&mut self) -> Result<()> {
        let orig_pages = self.txn.orig_pages;
        if orig_pages < self.page_count {
            self.cache.truncate(orig_pages);
        }
        self.page_count = orig_pages;
        if let Some(wal) = &mut self.wal {
            wal.undo()?;
            // Pages that were spilled may be in the cache as clean ones.
            if self.txn.file_changed {
                self.cache.clear();
            } else {
                self.cache.drop_dirty();
            }
            return Ok(());
        }
        if !self.txn.file_changed {
            self.undo_in_cache()?;
            return self.finish_journal();
        }
        if self.journals_to_file() {
            return self.undo_from_journal();
        }
        self.undo_spilled()
    }

    /// The file was not written: the originals go back into the cache.
    fn undo_in_cache(&mut self) -> Result<()> {
        // What was dirty before the transaction stays dirty (temporary files commit lazily).
        let lazy = self.backing == Backing::Temporary;
        if !lazy {
            self.cache.drop_dirty();
        }
        for index in 0..self.txn.records.len() {
            let Some((page_no, Some(page))) = self.txn.records.get(index).cloned() else {
                continue;
            };
            self.cache.insert(page_no, page);
            if lazy {
                self.cache.mark_dirty(page_no, 0);
            }
        }
        Ok(())
    }

    fn undo_from_journal(&mut self) -> Result<()> {
        self.cache.clear();
        self.header = None;
        let Some(journal) = &self.txn.journal else { return Ok(()) };
        let file = self.file()?;
        for index in 0..journal.record_count() {
            let mut page = vec![0; self.page_size];
            let page_no = journal.read_record(index, &mut page)?;
            file.write_at(&page, self.offset(page_no))?;
        }
        self.cut_and_sync()?;
        self.finish_journal()
    }

    /// The file was written and the originals are in memory (MEMORY), or nowhere (OFF).
    fn undo_spilled(&mut self) -> Result<()> {
        if self.backing == Backing::File {
            self.cache.clear();
            self.header = None;
            for (page_no, page) in &self.txn.records {
                if let Some(page) = page {
                    self.file()?.write_at(page, self.offset(*page_no))?;
                }
            }
            return self.cut_and_sync();
        }
        for (page_no, page) in std::mem::take(&mut self.txn.records) {
            if let Some(page) = page {
                self.cache.insert(page_no, page);
                self.cache.mark_dirty(page_no, 0);
            }
        }
        Ok(())
    }

    fn cut_and_sync(&self) -> Result<()> {
        let bytes = u64::from(self.txn.orig_pages) * self.page_size as u64;
        let file = self.file()?;
        if file.size()? > bytes {
            file.truncate(bytes)?;
        }
        if self.settings.synchronous > Synchronous::Off {
            file.sync()?;
        }
        Ok(())
    }
}

/// The bytes that change with every transaction.
fn stamp(page: &[u8]) -> [u8; 16] {
    page.get(at::CHANGE_COUNTER..at::CHANGE_COUNTER + 16)
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_default()
}
