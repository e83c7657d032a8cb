//! Changing the journal mode.

use std::sync::Arc;

use super::wal::Checkpoint;
use super::{Backing, CheckpointMode, CheckpointResult, JournalMode, Pager, State, sibling};
use crate::vfs::{Error, LockLevel, Result};

impl Pager {
    /// The journal mode.
    ///
    /// # Errors
    /// I/O.
    pub fn journal_mode(&mut self) -> Result<JournalMode> {
        if self.backing == Backing::File && self.state == State::Closed && self.wal.is_none() {
            self.begin_read()?;
            self.end_read();
        }
        Ok(self.mode())
    }

    fn mode(&self) -> JournalMode {
        if self.wal.is_some() { JournalMode::Wal } else { self.settings.journal_mode }
    }

    /// Whether the mode can be asked for at all.
    #[must_use]
    pub fn can_have(&self, mode: JournalMode) -> bool {
        match self.backing {
            Backing::File => self.state != State::Write && !self.settings.read_only,
            _ => matches!(mode, JournalMode::Memory | JournalMode::Off),
        }
    }

    /// Changes between the modes of a rollback journal.
    ///
    /// # Errors
    /// I/O.
    pub fn set_rollback_mode(&mut self, mode: JournalMode) -> Result<()> {
        if self.backing == Backing::File && !keeps_file(mode) {
            self.remove_kept_journal()?;
        }
        self.settings.journal_mode = mode;
        Ok(())
    }

    /// Copies the log into the database and goes on without it: under EXCLUSIVE, which it keeps for
    /// the transaction that writes the header.
    ///
    /// # Errors
    /// [`Error::Busy`] while others have the database open, I/O.
    pub fn leave_wal(&mut self) -> Result<()> {
        if self.state != State::Closed {
            return Err(Error::Misuse("cannot change out of wal mode from within a transaction"));
        }
        if let Err(error) = self.wait_for(LockLevel::Exclusive) {
            if let Ok(file) = self.file() {
                file.unlock(LockLevel::Shared)?;
            }
            return Err(error);
        }
        let Some(wal) = self.wal.take() else { return Ok(()) };
        self.copy_and_delete(wal)?;
        self.header = None;
        self.leaving_wal = true;
        Ok(())
    }

    /// The header tells the new mode.
    pub fn left_wal(&mut self) {
        self.leaving_wal = false;
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
    pub fn checkpoint(&mut self, mode: CheckpointMode) -> Result<CheckpointResult> {
        if self.state != State::Closed {
            return Err(Error::Locked);
        }
        if self.journal_mode()? != JournalMode::Wal {
            return Ok(CheckpointResult { busy: false, log_frames: -1, checkpointed_frames: -1 });
        }
        let sync = self.sync_log();
        let file = Arc::clone(self.file()?);
        let mut with = Checkpoint { vfs: &*self.vfs, database: &*file, sync, busy: &mut self.busy };
        match &mut self.wal {
            Some(wal) => wal.checkpoint(&mut with, mode),
            None => Err(Error::Locked),
        }
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
}

fn keeps_file(mode: JournalMode) -> bool {
    matches!(mode, JournalMode::Persist | JournalMode::Truncate)
}
