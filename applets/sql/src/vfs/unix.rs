//! The real file system, with SQLite's lock bytes.
//!
//! ```text
//! database file    PENDING  0x40000000       one byte
//!                  RESERVED 0x40000001       one byte
//!                  SHARED   0x40000002..     510 bytes
//! -shm file        slots 0..8 at byte 120..  DMS ("dead man's switch") at 128
//! ```
//!
//! The locks are those of the open file description ([`box_sys::file`]), which exclude the classic
//! ones of other SQLite programs. Every connection has its own description, so two connections of
//! one process exclude each other too, and no close anywhere drops a lock that is not its own: what
//! classic locks need a table of inodes and deferred closes for.

use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use box_sys::file::{self, RangeLock};
use box_sys::shared_map::SharedMap;

use super::{Access, File, LockLevel, SHM_REGION_BYTES, Shm, ShmLock, ShmRegion, Vfs};

const PENDING_BYTE: u64 = 0x4000_0000;
const RESERVED_BYTE: u64 = PENDING_BYTE + 1;
const SHARED_FIRST: u64 = PENDING_BYTE + 2;
const SHARED_BYTES: u64 = 510;

const SHM_FIRST_LOCK: u64 = 120;
const SHM_DMS: u64 = 128;

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unix;

impl Vfs for Unix {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access.write).create(access.create && access.write);
        options.mode(mode_for(path));
        let opened = match options.open(path) {
            Err(error) if access.write && is_write_protected(&error) && path.exists() => {
                OpenOptions::new().read(true).open(path).map(|file| (file, true))
            }
            opened => opened.map(|file| (file, !access.write)),
        };
        let (file, read_only) = opened?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Arc::new(UnixFile { file, read_only, level: Mutex::new(LockLevel::None) }))
    }

    fn delete(&self, path: &Path, sync_folder: bool) -> io::Result<()> {
        fs::remove_file(path)?;
        if sync_folder { self.sync_folder(path) } else { Ok(()) }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::File::open(folder)?.sync_data()
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn open_shm(&self, path: &Path, read_only: bool) -> io::Result<Arc<dyn Shm>> {
        let mut options = OpenOptions::new();
        options.read(true).write(!read_only).create(!read_only).mode(mode_for(path));
        let file = options.open(path)?;
        // Whoever finds nobody else cuts the file: what a crash left in it is not to be trusted.
        if !read_only && file::lock_range(file.as_fd(), RangeLock::Write, SHM_DMS, 1)? {
            // Three bytes, as SQLite does: enough to be no valid index.
            file.set_len(3)?;
        }
        if !file::lock_range(file.as_fd(), RangeLock::Read, SHM_DMS, 1)? {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        Ok(Arc::new(UnixShm { file, path: path.to_owned(), read_only, maps: Mutex::default() }))
    }

    fn temporary(&self) -> io::Result<Arc<dyn File>> {
        let folder =
            std::env::var_os("SQLITE_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let file = unnamed(&folder)?;
        Ok(Arc::new(UnixFile { file, read_only: false, level: Mutex::new(LockLevel::None) }))
    }
}

fn unnamed(folder: &Path) -> io::Result<fs::File> {
    const O_TMPFILE: i32 = 0o20_000_000 | 0o200_000;
    let opened =
        OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(O_TMPFILE).open(folder);
    if opened.is_ok() {
        return opened;
    }
    // File systems without O_TMPFILE: a name that is removed at once.
    let path = folder.join(format!("box-sql-{}-{:x}", std::process::id(), Unix.random()));
    let file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn is_write_protected(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// A journal, log or shared memory takes the mode of its database.
fn mode_for(path: &Path) -> u32 {
    let bytes = path.as_os_str().as_encoded_bytes();
    let database = ["-journal", "-wal", "-shm"]
        .iter()
        .find_map(|suffix| bytes.strip_suffix(suffix.as_bytes()))
        .map(|stem| {
            use std::os::unix::ffi::OsStrExt;
            Path::new(std::ffi::OsStr::from_bytes(stem))
        });
    database.and_then(|path| fs::metadata(path).ok()).map_or(0o644, |meta| meta.mode() & 0o777)
}

struct UnixFile {
    file: fs::File,
    read_only: bool,
    level: Mutex<LockLevel>,
}

impl UnixFile {
    fn level(&self) -> MutexGuard<'_, LockLevel> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, lock: RangeLock, start: u64, len: u64) -> io::Result<bool> {
        file::lock_range(self.file.as_fd(), lock, start, len)
    }

    /// A reader passes through PENDING, so that a waiting writer holds new readers off.
    fn lock_shared(&self) -> io::Result<bool> {
        if !self.set(RangeLock::Read, PENDING_BYTE, 1)? {
            return Ok(false);
        }
        let got = self.set(RangeLock::Read, SHARED_FIRST, SHARED_BYTES);
        self.set(RangeLock::Unlock, PENDING_BYTE, 1)?;
        got
    }
}

impl File for UnixFile {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn read_vectored_at(&self, out: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
        file::read_vectored_at(self.file.as_fd(), out, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn write_vectored_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let (mut next, mut offset) = (0, offset);
        while let Some(rest) = parts.get(next..).filter(|rest| !rest.is_empty()) {
            let mut written = file::write_vectored_at(self.file.as_fd(), rest, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            for part in rest {
                if written < part.len() {
                    // A part that was cut is written to its end by itself.
                    if written > 0 {
                        let cut = part.get(written..).unwrap_or_default();
                        self.file.write_all_at(cut, offset + written as u64)?;
                        offset += part.len() as u64;
                        next += 1;
                    }
                    break;
                }
                written -= part.len();
                offset += part.len() as u64;
                next += 1;
            }
        }
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn lock(&self, level: LockLevel) -> io::Result<bool> {
        let mut held = self.level();
        if *held >= level {
            return Ok(true);
        }
        if *held < LockLevel::Shared {
            if !self.lock_shared()? {
                return Ok(false);
            }
            *held = LockLevel::Shared;
        }
        if level == LockLevel::Reserved {
            if !self.set(RangeLock::Write, RESERVED_BYTE, 1)? {
                return Ok(false);
            }
            *held = LockLevel::Reserved;
        }
        if level == LockLevel::Exclusive {
            if *held < LockLevel::Pending {
                if !self.set(RangeLock::Write, PENDING_BYTE, 1)? {
                    return Ok(false);
                }
                *held = LockLevel::Pending;
            }
            if !self.set(RangeLock::Write, SHARED_FIRST, SHARED_BYTES)? {
                return Ok(false);
            }
            *held = LockLevel::Exclusive;
        }
        Ok(true)
    }

    fn unlock(&self, level: LockLevel) -> io::Result<()> {
        let mut held = self.level();
        if *held <= level {
            return Ok(());
        }
        if level == LockLevel::Shared {
            // The downgrade cannot conflict: nobody else can hold a write lock here.
            self.set(RangeLock::Read, SHARED_FIRST, SHARED_BYTES)?;
            self.set(RangeLock::Unlock, PENDING_BYTE, 2)?;
        } else {
            self.set(RangeLock::Unlock, PENDING_BYTE, 2 + SHARED_BYTES)?;
        }
        *held = level;
        Ok(())
    }

    fn lock_level(&self) -> LockLevel {
        *self.level()
    }

    fn is_reserved(&self) -> io::Result<bool> {
        if *self.level() >= LockLevel::Reserved {
            return Ok(true);
        }
        file::range_is_locked(self.file.as_fd(), RESERVED_BYTE, 1)
    }
}

struct UnixShm {
    file: fs::File,
    path: PathBuf,
    read_only: bool,
    maps: Mutex<Vec<Arc<MappedRegion>>>,
}

struct MappedRegion(SharedMap);

impl ShmRegion for MappedRegion {
    fn words(&self) -> &[AtomicU32] {
        self.0.words()
    }
}

impl Shm for UnixShm {
    fn region(&self, index: usize, extend: bool) -> io::Result<Option<Arc<dyn ShmRegion>>> {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        while maps.len() <= index {
            let offset = maps.len() as u64 * SHM_REGION_BYTES as u64;
            let end = offset + SHM_REGION_BYTES as u64;
            if self.file.metadata()?.len() < end {
                if !extend || self.read_only {
                    return Ok(None);
                }
                // Real blocks, so that a full disk is an error here and no SIGBUS later.
                let zeros = [0; 4096];
                let mut at = self.file.metadata()?.len();
                while at < end {
                    let len = (end - at).min(4096 - at % 4096);
                    self.file.write_all_at(zeros.get(..len as usize).unwrap_or(&zeros), at)?;
                    at += len;
                }
            }
            let map = SharedMap::new(self.file.as_fd(), offset, SHM_REGION_BYTES, !self.read_only)?;
            maps.push(Arc::new(MappedRegion(map)));
        }
        Ok(maps.get(index).cloned().map(|region| region as Arc<dyn ShmRegion>))
    }

    fn lock(&self, slot: usize, count: usize, lock: ShmLock) -> io::Result<bool> {
        let lock = match lock {
            ShmLock::Shared => RangeLock::Read,
            ShmLock::Exclusive => RangeLock::Write,
            ShmLock::Unlock => RangeLock::Unlock,
        };
        file::lock_range(self.file.as_fd(), lock, SHM_FIRST_LOCK + slot as u64, count as u64)
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn delete(&self) {
        // A file that stays is harmless: the next connection finds itself alone and cuts it.
        let _ = fs::remove_file(&self.path);
    }
}
