//! Checkpoints: from the log into the database.

use std::io::IoSlice;

use super::super::busy::Busy;
use super::super::{CheckpointMode, CheckpointResult, Page, PageNo};
use super::{Attempt, CKPT, MARK_UNUSED, READ, READERS, SyncLog, WRITE, Wal};
use crate::vfs::{Error, File, Result, Vfs};

/// Pages written by one call.
const BATCH: usize = 128;

/// What a checkpoint works with.
pub struct Checkpoint<'c> {
    /// The file system.
    pub vfs: &'c dyn Vfs,
    /// The database file.
    pub database: &'c dyn File,
    /// Whether disks are waited for.
    pub sync: SyncLog,
    /// How locks are waited for.
    pub busy: &'c mut Busy,
}

impl Checkpoint<'_> {
    fn wait(&mut self, attempt: u32) -> bool {
        self.busy.wait(self.vfs, attempt)
    }
}

impl Wal {
    /// Copies frames into the database.
    ///
    /// # Errors
    /// I/O; who is in the way is told in the result.
    pub fn checkpoint(
        &mut self,
        with: &mut Checkpoint<'_>,
        mode: CheckpointMode,
    ) -> Result<CheckpointResult> {
        if mode == CheckpointMode::Noop {
            self.read_header_waiting(with)?;
            return Ok(self.result(false));
        }
        if !self.lock(CKPT, 1)? {
            return Ok(CheckpointResult { busy: true, log_frames: -1, checkpointed_frames: -1 });
        }
        self.checkpointing = true;
        let done = self.checkpoint_locked(with, mode);
        self.end_write();
        self.checkpointing = false;
        self.unlock(CKPT, 1);
        done
    }

    fn result(&self, busy: bool) -> CheckpointResult {
        CheckpointResult {
            busy,
            log_frames: i64::from(self.header.max_frame()),
            checkpointed_frames: i64::from(self.index.backfill()),
        }
    }

    fn checkpoint_locked(
        &mut self,
        with: &mut Checkpoint<'_>,
        mode: CheckpointMode,
    ) -> Result<CheckpointResult> {
        let mut mode = mode;
        let mut busy = false;
        if mode != CheckpointMode::Passive {
            if self.lock_waiting(with, WRITE, 1)? {
                self.writing = true;
            } else {
                // Without the right to write: what can be done passively.
                mode = CheckpointMode::Passive;
                busy = true;
            }
        }
        self.read_header_waiting(with)?;
        if self.header.max_frame() > 0 {
            self.copy(with, mode)?;
        }
        let complete = self.index.backfill() >= self.header.max_frame();
        if mode != CheckpointMode::Passive && !complete {
            busy = true;
        }
        let restarts = matches!(mode, CheckpointMode::Restart | CheckpointMode::Truncate);
        if restarts && complete {
            let result = self.result(false);
            if !self.lock_waiting(with, READ + 1, READERS - 1)? {
                return Ok(self.result(true));
            }
            let mut shown = result;
            if mode == CheckpointMode::Truncate {
                self.restart(with.vfs.random() as u32);
                shown = self.result(false);
                let cut = self.file.truncate(0);
                self.unlock(READ + 1, READERS - 1);
                cut?;
                return Ok(shown);
            }
            self.unlock(READ + 1, READERS - 1);
            return Ok(shown);
        }
        Ok(self.result(busy))
    }

    /// The log as it is now; the next snapshot hears of it.
    fn read_header_waiting(&mut self, with: &mut Checkpoint<'_>) -> Result<()> {
        for _ in 0..100 {
            if let Attempt::Done { changed } = self.read_header()? {
                self.unseen |= changed;
                return Ok(());
            }
            with.vfs.sleep(std::time::Duration::from_micros(100));
        }
        Err(Error::Busy)
    }

    fn lock_waiting(&self, with: &mut Checkpoint<'_>, slot: usize, count: usize) -> Result<bool> {
        let mut attempt = 0;
        while !self.lock(slot, count)? {
            if !with.wait(attempt) {
                return Ok(false);
            }
            attempt += 1;
        }
        Ok(true)
    }

    /// Copies all frames that no reader of an older snapshot needs the database without.
    fn copy(&mut self, with: &mut Checkpoint<'_>, mode: CheckpointMode) -> Result<()> {
        let done = self.index.backfill();
        let max_frame = self.header.max_frame();
        if done >= max_frame {
            return Ok(());
        }
        let mut safe = max_frame;
        let mut waits = mode != CheckpointMode::Passive;
        for reader in 1..READERS {
            let mark = self.index.read_mark(reader);
            if safe <= mark {
                continue;
            }
            let slot = READ + reader;
            let got = if waits { self.lock_waiting(with, slot, 1)? } else { self.lock(slot, 1)? };
            if got {
                let mark = if reader == 1 { safe } else { MARK_UNUSED };
                self.index.set_read_mark(reader, mark);
                self.unlock(slot, 1);
            } else {
                safe = mark;
                waits = false;
            }
        }
        if safe <= done {
            return Ok(());
        }
        // Readers that use the database alone must not see it change.
        let got = if waits { self.lock_waiting(with, READ, 1)? } else { self.lock(READ, 1)? };
        if !got {
            return Ok(());
        }
        let copied = self.copy_frames(with, done, safe);
        self.unlock(READ, 1);
        copied
    }

    fn copy_frames(&mut self, with: &mut Checkpoint<'_>, done: u32, safe: u32) -> Result<()> {
        self.index.set_backfill_attempted(safe);
        if with.sync != SyncLog::Never {
            self.sync(with.vfs)?;
        }
        let page_size = self.header.page_size();
        let page_count = self.header.page_count();
        let mut frames: Vec<(PageNo, u32)> = Vec::with_capacity((safe - done) as usize);
        for frame in done + 1..=safe {
            frames.push((self.index.page_of(frame)?, frame));
        }
        // The last frame of each page, in the order of the file.
        frames.sort_unstable_by_key(|(page_no, frame)| (*page_no, u32::MAX - frame));
        frames.dedup_by_key(|(page_no, _)| *page_no);
        frames.retain(|(page_no, _)| *page_no >= 1 && *page_no <= page_count);
        let mut run: Vec<Page> = Vec::new();
        let mut first = 0;
        for (page_no, frame) in frames {
            if page_no != first + run.len() as u32 || run.len() >= BATCH {
                write_run(with.database, page_size, first, &run)?;
                run.clear();
                first = page_no;
            }
            let mut page = Page::zeroed(page_size);
            self.read_frame(frame, page.to_mut())?;
            run.push(page);
        }
        write_run(with.database, page_size, first, &run)?;
        if safe == self.index.current_header().max_frame() {
            let bytes = u64::from(page_count) * page_size as u64;
            if with.database.size()? > bytes {
                with.database.truncate(bytes)?;
            }
        }
        if with.sync != SyncLog::Never {
            with.database.sync()?;
        }
        self.index.set_backfill(safe);
        Ok(())
    }
}

fn write_run(database: &dyn File, page_size: usize, first: PageNo, run: &[Page]) -> Result<()> {
    if run.is_empty() {
        return Ok(());
    }
    let parts: Vec<IoSlice<'_>> = run.iter().map(|page| IoSlice::new(page)).collect();
    let offset = u64::from(first.saturating_sub(1)) * page_size as u64;
    database.write_vectored_at(&parts, offset).map_err(Error::from)
}
