//! The file system below the pager, as a trait, so that a test can play every fault of a disk.
//!
//! [`Unix`] is the real one. [`Memory`] keeps files in memory, with the same locks, and knows which
//! bytes a sync made durable. [`Fault`] is that memory with a disk that fails on the N-th call or
//! loses its power.

mod error;
mod fault;
mod memory;
mod unix;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

pub use error::{Error, Result};
pub use fault::{Call, Fault};
pub use memory::Memory;
pub use unix::Unix;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Opened for writing too; what is write-protected is opened for reading instead.
    pub write: bool,
    /// Made when it is not there.
    pub create: bool,
}

/// The locks of a database file, in the order they are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockLevel {
    /// None.
    #[default]
    None,
    /// Reading: any number of connections.
    Shared,
    /// About to write: one connection, beside readers.
    Reserved,
    /// Waits for the readers to leave and lets no new one in.
    Pending,
    /// Writing the file: alone.
    Exclusive,
}

/// A file system.
pub trait Vfs: Send + Sync {
    /// Opens a file. A journal is given the owner and mode of its database.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;

    /// Removes a file; waits for its folder to be durable if `sync_folder`.
    ///
    /// # Errors
    /// What the system says.
    fn delete(&self, path: &Path, sync_folder: bool) -> io::Result<()>;

    /// Makes the entries of the file's folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Whether the file exists.
    ///
    /// # Errors
    /// What the system says.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Opens the shared memory of a write-ahead log.
    ///
    /// # Errors
    /// What the system says.
    fn open_shm(&self, path: &Path, read_only: bool) -> io::Result<Arc<dyn Shm>>;

    /// An unnamed file that is gone when it is closed.
    ///
    /// # Errors
    /// What the system says.
    fn temporary(&self) -> io::Result<Arc<dyn File>>;

    /// Waits.
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Bytes that nobody can guess: journal nonces and log salts.
    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(std::time::Instant::now())
    }
}

/// An open file.
pub trait File: Send + Sync {
    /// Reads at an offset; fewer bytes at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reads into several buffers, one after the other.
    ///
    /// # Errors
    /// What the system says.
    fn read_vectored_at(&self, out: &mut [io::IoSliceMut<'_>], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at an offset.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Writes the buffers one after the other.
    ///
    /// # Errors
    /// What the system says.
    fn write_vectored_at(&self, parts: &[io::IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Cuts or grows the file.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Waits until the content and the size are durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;

    /// The size in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Whether it was opened for reading alone.
    fn is_read_only(&self) -> bool;

    /// Raises the lock to `level`; `false`: another connection is in the way. A failed step to
    /// EXCLUSIVE may leave PENDING.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&self, level: LockLevel) -> io::Result<bool>;

    /// Lowers the lock to SHARED or none.
    ///
    /// # Errors
    /// What the system says.
    fn unlock(&self, level: LockLevel) -> io::Result<()>;

    /// The lock held.
    fn lock_level(&self) -> LockLevel;

    /// Whether any connection holds RESERVED or more.
    ///
    /// # Errors
    /// What the system says.
    fn is_reserved(&self) -> io::Result<bool>;
}

/// Bytes of one region of the shared memory.
pub const SHM_REGION_BYTES: usize = 32 * 1024;

/// One region of the shared memory.
pub trait ShmRegion: Send + Sync {
    /// Its words.
    fn words(&self) -> &[AtomicU32];
}

/// How a slot of the shared memory is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShmLock {
    /// With other readers.
    Shared,
    /// Alone.
    Exclusive,
    /// Not.
    Unlock,
}

/// The shared memory of a write-ahead log: the `-shm` file.
pub trait Shm: Send + Sync {
    /// Region `index`; `None`: the file is shorter and `extend` was not asked for.
    ///
    /// # Errors
    /// What the system says.
    fn region(&self, index: usize, extend: bool) -> io::Result<Option<Arc<dyn ShmRegion>>>;

    /// Locks `count` slots from `slot` (0..8); `false`: somebody else is in the way.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&self, slot: usize, count: usize, lock: ShmLock) -> io::Result<bool>;

    /// Whether the regions can be written.
    fn is_read_only(&self) -> bool;

    /// Removes the file: the last connection closes the log.
    fn delete(&self);
}
