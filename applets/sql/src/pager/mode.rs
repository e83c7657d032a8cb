//! Changing the journal mode.

use super::{Backing, CheckpointMode, CheckpointResult, JournalMode, Pager, State, sibling};
use crate::vfs::{Error, LockLevel, Result};

impl Pager {
    /// The journal mode.
    ///
    /// # Errors
    /// I/O.
    pub fn journal_mode(&mut self) -> Result<JournalMode> {
        Ok(self.settings.journal_mode)
    }

    /// Asks for a journal mode and says which holds now.
    ///
    /// # Errors
    /// [`Error::Busy`], I/O.
    pub fn set_journal_mode(&mut self, mode: JournalMode) -> Result<JournalMode> {
        let old = self.settings.journal_mode;
        let memory_only = !matches!(mode, JournalMode::Memory | JournalMode::Off);
        if mode == old || self.state == State::Write {
            return Ok(old);
        }
        if self.backing == Backing::Memory && memory_only {
            return Ok(old);
        }
        if self.backing == Backing::File && !keeps_file(mode) {
            self.remove_kept_journal()?;
        }
        self.settings.journal_mode = mode;
        Ok(mode)
    }

    /// A journal that PERSIST or TRUNCATE left would stay for ever. It is deleted only under
    /// RESERVED, when it cannot be anybody's.
    fn remove_kept_journal(&mut self) -> Result<()> {
        self.kept_journal = None;
        let path = sibling(&self.path, "-journal");
        if !keeps_file(self.settings.journal_mode) || !self.vfs.exists(&path)? {
            return Ok(());
        }
        let file = std::sync::Arc::clone(self.file()?);
        let before = file.lock_level();
        if before >= LockLevel::Reserved {
            return Ok(self.vfs.delete(&path, false)?);
        }
        if file.lock(LockLevel::Reserved)? {
            let deleted = self.vfs.delete(&path, false);
            file.unlock(before)?;
            deleted?;
        }
        Ok(())
    }

    /// Copies the write-ahead log into the database.
    ///
    /// # Errors
    /// [`Error::Locked`] within a transaction.
    pub fn checkpoint(&mut self, _mode: CheckpointMode) -> Result<CheckpointResult> {
        if self.state != State::Closed {
            return Err(Error::Locked);
        }
        Ok(CheckpointResult { busy: false, log_frames: -1, checkpointed_frames: -1 })
    }

    /// Frames from which a commit tries a checkpoint.
    pub fn set_wal_autocheckpoint(&mut self, frames: u32) {
        self.settings.wal_autocheckpoint = frames;
    }

    /// The setting.
    #[must_use]
    pub fn wal_autocheckpoint(&self) -> u32 {
        self.settings.wal_autocheckpoint
    }

    /// Takes over all pages of another database.
    ///
    /// # Errors
    /// [`Error::Misuse`] outside of a write transaction, I/O.
    pub fn copy_from(&mut self, source: &mut Pager) -> Result<()> {
        if self.state != State::Write {
            return Err(Error::Misuse("no write transaction is open"));
        }
        if self.page_size != source.page_size {
            return Err(Error::Misuse("the page sizes differ"));
        }
        let count = source.page_count;
        let pending = self.pending_page();
        for page_no in (1..=count).filter(|page_no| *page_no != pending) {
            let page = source.page(page_no)?;
            if page_no > self.page_count {
                self.take_page(page_no)?;
            }
            self.replace(page_no, page)?;
        }
        self.set_page_count(count);
        self.reserved = source.reserved;
        Ok(())
    }
}

fn keeps_file(mode: JournalMode) -> bool {
    matches!(mode, JournalMode::Persist | JournalMode::Truncate)
}
