//! Savepoints within a write transaction.
//!
//! A savepoint remembers how many records the transaction had when it was opened. A page that is
//! changed for the first time in the transaction since then has its original among the later
//! records; a page that had been changed before has it in the savepoint itself. Only the innermost
//! savepoint saves: what an outer one needs of a page is what the inner one saved first.

use super::wal::{Mark, Wal};
use super::{Page, PageNo, PageSet, Pager, State};
use crate::vfs::{Error, Result};

/// One open savepoint.
pub struct Savepoint {
    page_count: PageNo,
    /// Records of the transaction at its opening.
    first_record: usize,
    log: Option<Mark>,
    saved: PageSet,
    originals: Vec<(PageNo, Page)>,
}

impl Pager {
    /// Opens a savepoint and says its depth.
    ///
    /// # Errors
    /// [`Error::Misuse`] outside of a write transaction.
    pub fn open_savepoint(&mut self) -> Result<usize> {
        if self.state != State::Write {
            return Err(Error::Misuse("no write transaction is open"));
        }
        self.savepoints.push(Savepoint {
            page_count: self.page_count,
            first_record: self.txn.record_count(),
            log: self.wal.as_ref().map(Wal::mark),
            saved: PageSet::default(),
            originals: Vec::new(),
        });
        self.epoch += 1;
        Ok(self.savepoints.len() - 1)
    }

    /// How many savepoints are open.
    #[must_use]
    pub fn savepoint_depth(&self) -> usize {
        self.savepoints.len()
    }

    /// Forgets the savepoint at `depth` and those above it.
    pub fn release_savepoint(&mut self, depth: usize) {
        if depth >= self.savepoints.len() {
            return;
        }
        let released = self.savepoints.split_off(depth);
        if let Some(outer) = self.savepoints.last_mut() {
            for inner in released {
                for (page_no, page) in inner.originals {
                    if page_no <= outer.page_count && outer.saved.insert(page_no) {
                        outer.originals.push((page_no, page));
                    }
                }
                outer.saved.merge(&inner.saved);
            }
        }
        self.epoch += 1;
    }

    /// Undoes all changes since the savepoint at `depth` was opened; it stays open.
    ///
    /// # Errors
    /// I/O; [`Error::Misuse`] for a savepoint that is not open.
    pub fn rollback_to_savepoint(&mut self, depth: usize) -> Result<()> {
        let (page_count, first_record, log) = match self.savepoints.get(depth) {
            Some(savepoint) => (savepoint.page_count, savepoint.first_record, savepoint.log),
            None => return Err(Error::Misuse("no such savepoint")),
        };
        self.epoch += 1;
        if page_count < self.page_count {
            self.cache.truncate(page_count);
        }
        self.page_count = page_count;
        if let (Some(wal), Some(mark)) = (&mut self.wal, log) {
            wal.undo_to(mark)?;
        }
        // Inner first: what an outer one saved of the same page is older and wins.
        for savepoint in self.savepoints.split_off(depth).into_iter().rev() {
            for (page_no, page) in savepoint.originals {
                self.restore(page_no, page);
            }
        }
        for index in first_record..self.txn.record_count() {
            if self.wal.is_some() {
                self.drop_record(index);
            } else if let Some((page_no, page)) = self.read_record(index)? {
                self.restore(page_no, page);
            }
        }
        self.savepoints.push(Savepoint {
            page_count,
            first_record: self.txn.record_count(),
            log,
            saved: PageSet::default(),
            originals: Vec::new(),
        });
        Ok(())
    }

    fn restore(&mut self, page_no: PageNo, page: Page) {
        if page_no <= self.page_count {
            self.cache.insert(page_no, page);
            self.cache.mark_dirty(page_no, self.epoch.wrapping_sub(1));
        }
    }

    /// Saves what the page was, for the journal or the innermost savepoint.
    pub(super) fn save_original(&mut self, page_no: PageNo, page: Page) -> Result<()> {
        let in_savepoint = self.savepoints.last_mut().is_some_and(|savepoint| {
            page_no <= savepoint.page_count && savepoint.saved.insert(page_no)
        });
        if self.txn.needs_record(page_no) {
            // The log keeps what it has: the original can be read again.
            let keep = self.wal.is_none();
            self.txn.record(page_no, keep.then_some(page));
            return self.flush_records_if_many();
        }
        if in_savepoint && let Some(savepoint) = self.savepoints.last_mut() {
            savepoint.originals.push((page_no, page));
        }
        Ok(())
    }
}
