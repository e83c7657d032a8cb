//! What the pager does with a write-ahead log: opens it, commits to it, gives it up.

use std::sync::Arc;

use super::wal::{Checkpoint, SyncLog, Wal};
use super::{Backing, CheckpointMode, JournalMode, Page, PageNo, Pager, Synchronous, sibling};
use crate::vfs::{Error, LockLevel, Result};

impl Pager {
    pub(super) fn open_wal_if_present(&mut self) -> Result<()> {
        let path = sibling(&self.path, "-wal");
        if self.leaving_wal || !self.vfs.exists(&path)? {
            return Ok(());
        }
        if self.file()?.size()? == 0 {
            // Of a database that is gone.
            if !self.settings.read_only {
                self.vfs.delete(&path, false)?;
            }
            return Ok(());
        }
        self.open_wal()
    }

    pub(super) fn open_wal(&mut self) -> Result<()> {
        let (path, shm) = (sibling(&self.path, "-wal"), sibling(&self.path, "-shm"));
        self.wal = Some(Wal::open(&*self.vfs, &path, &shm, self.settings.read_only)?);
        Ok(())
    }

    pub(super) fn sync_log(&self) -> SyncLog {
        match self.settings.synchronous {
            Synchronous::Off => SyncLog::Never,
            Synchronous::Normal => SyncLog::Checkpoint,
            Synchronous::Full | Synchronous::Extra => SyncLog::Always,
        }
    }

    pub(super) fn commit_to_log(&mut self) -> Result<()> {
        let page_count = self.page_count;
        self.count_change(page_count)?;
        self.write_to_log(Some(page_count))?;
        self.txn.file_changed = false;
        self.note_own_header()
    }

    /// Appends the dirty pages to the log.
    pub(super) fn write_to_log(&mut self, commit: Option<PageNo>) -> Result<()> {
        let dirty = self.cache.dirty_pages();
        let pages: Vec<(PageNo, Page)> = dirty
            .into_iter()
            .filter(|page_no| *page_no <= self.page_count)
            .filter_map(|page_no| Some((page_no, self.cache.get(page_no)?.clone())))
            .collect();
        self.txn.file_changed = true;
        let sync = self.sync_log();
        let limit = self.settings.journal_size_limit;
        if let Some(wal) = &mut self.wal {
            wal.append(&*self.vfs, &pages, commit, sync)?;
            if commit.is_some() && limit >= 0 {
                wal.limit_size(limit)?;
            }
        }
        self.cache.mark_clean();
        Ok(())
    }

    /// The commit is done whatever becomes of the checkpoint.
    pub(super) fn checkpoint_if_long(&mut self) {
        let limit = self.settings.wal_autocheckpoint;
        let frames = self.wal.as_ref().map_or(0, Wal::frame_count);
        if limit > 0 && frames >= limit {
            let _ = self.checkpoint(CheckpointMode::Passive);
        }
    }

    /// The original of a record is what the log or the file has: it is read again when needed.
    pub(super) fn drop_record(&mut self, index: usize) {
        if let Some((page_no, _)) = self.txn.records.get(index) {
            self.cache.remove(*page_no);
        }
    }

    /// The last connection copies the log and removes it.
    fn close_wal(&mut self) {
        let Some(wal) = self.wal.take() else { return };
        let is_last =
            matches!(self.file().and_then(|file| Ok(file.lock(LockLevel::Exclusive)?)), Ok(true));
        if is_last && !self.settings.read_only {
            // A log that cannot be copied now is recovered by whoever comes next.
            let _ = self.copy_and_delete(wal);
        }
    }

    /// Copies the whole log and removes it; under EXCLUSIVE.
    pub(super) fn copy_and_delete(&mut self, wal: Wal) -> Result<()> {
        let mut wal = wal;
        wal.end_read();
        let sync = self.sync_log();
        let file = Arc::clone(self.file()?);
        let mut with = Checkpoint { vfs: &*self.vfs, database: &*file, sync, busy: &mut self.busy };
        let result = wal.checkpoint(&mut with, CheckpointMode::Passive)?;
        if result.busy || result.checkpointed_frames < result.log_frames {
            return Err(Error::Busy);
        }
        wal.delete(&*self.vfs);
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.close_wal();
        let deletes = self.settings.journal_mode == JournalMode::Delete;
        if self.kept_journal.take().is_some() && deletes && self.backing == Backing::File {
            let _ = self.vfs.delete(&sibling(&self.path, "-journal"), false);
        }
        self.unlock(LockLevel::None);
    }
}
