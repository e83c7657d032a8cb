//! Recovery: playing back the journal of somebody who died in a commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Pager, Synchronous, journal, sibling};
use crate::vfs::{Access, Error, LockLevel, Result};

impl Pager {
    /// Plays back the journal of somebody who died in a commit.
    pub(super) fn recover_hot_journal(&mut self) -> Result<()> {
        let path = sibling(&self.path, "-journal");
        if self.file()?.lock_level() >= LockLevel::Reserved
            || !self.vfs.exists(&path)?
            || !self.is_hot(&path)?
        {
            return Ok(());
        }
        if self.settings.read_only {
            return Err(Error::ReadOnly);
        }
        // Straight to EXCLUSIVE: a RESERVED lock would make others think that the journal is ours.
        if !self.file()?.lock(LockLevel::Exclusive)? {
            self.unlock(LockLevel::Shared);
            return Err(Error::Busy);
        }
        // Somebody may have been faster.
        let recovered = if self.vfs.exists(&path)? { self.play_back(&path) } else { Ok(()) };
        match recovered {
            Ok(()) => {
                self.cache.clear();
                self.header = None;
                self.unlock(LockLevel::Shared);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn is_hot(&self, path: &Path) -> Result<bool> {
        let file = self.file()?;
        if file.is_reserved()? {
            return Ok(false);
        }
        if file.size()? == 0 {
            // Left of a database that is gone. Only under RESERVED, so that it is nobody's.
            if !self.settings.read_only && file.lock(LockLevel::Reserved)? {
                let deleted = self.vfs.delete(path, false);
                file.unlock(LockLevel::Shared)?;
                deleted?;
            }
            return Ok(false);
        }
        let journal = match self.vfs.open(path, Access { write: false, create: false }) {
            Ok(journal) => journal,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            // It cannot be read, so it cannot be known to be cold.
            Err(_) => return Err(Error::CannotOpen),
        };
        let mut first = [0];
        Ok(journal.read_at(&mut first, 0)? == 1 && first != [0])
    }

    fn play_back(&mut self, path: &Path) -> Result<()> {
        let journal = self
            .vfs
            .open(path, Access { write: true, create: false })
            .map_err(|_| Error::CannotOpen)?;
        let file = Arc::clone(self.file()?);
        if self.settings.synchronous > Synchronous::Off {
            // What is played back must not be lost again before the journal is gone.
            journal.sync()?;
        }
        let committed = match journal::super_journal(&*journal)? {
            Some(name) => !self.vfs.exists(&super_journal_path(&name))?,
            None => false,
        };
        if !committed {
            journal::play_back(&*journal, &*file)?;
            if self.settings.synchronous > Synchronous::Off {
                file.sync()?;
            }
        }
        drop(journal);
        let sync_folder = self.settings.synchronous == Synchronous::Extra;
        Ok(self.vfs.delete(path, sync_folder)?)
    }
}

fn super_journal_path(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}
