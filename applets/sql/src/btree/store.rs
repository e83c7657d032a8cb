//! One open database.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::cursor::Cursor;
use crate::collate::Encoding;
use crate::pager::{
    AutoVacuum, CheckpointMode, CheckpointResult, JournalMode, LockingMode, OpenOptions, PageNo,
    Synchronous, WriteLock,
};
use crate::record::KeyInfo;
use crate::vfs::{Error, Result};

const BUILDING: Error = Error::Misuse("being built");

/// What a tree holds.
#[derive(Clone, Debug)]
pub enum TreeKind {
    /// Rows by rowid; the payload is the record.
    Table,
    /// Records in the order of the key.
    Index(Rc<KeyInfo>),
}

/// The 32-bit values of the header that SQL can see (file format, section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// Changes with each change of the schema; other connections then read it anew.
    SchemaCookie,
    /// 1 to 4.
    SchemaFormat,
    /// `PRAGMA default_cache_size`.
    DefaultCacheSize,
    /// The largest root page of an auto-vacuum database, else 0.
    LargestRoot,
    /// 1 to 3; see [`Store::encoding`].
    TextEncoding,
    /// `PRAGMA user_version`.
    UserVersion,
    /// Not 0: incremental vacuum.
    IncrementalVacuum,
    /// `PRAGMA application_id`.
    ApplicationId,
}

/// One open database: a file, or a piece of memory. A clone is the same connection.
#[derive(Clone)]
pub struct Store(Rc<()>);

impl Store {
    /// Opens a database file. Nothing is read or locked before the first transaction, so a file
    /// that is not a database is noticed there.
    ///
    /// # Errors
    /// [`Error::CannotOpen`].
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Store> {
        let _ = (path, options);
        Err(BUILDING)
    }

    /// A database in memory: private, gone with its last handle.
    #[must_use]
    pub fn memory() -> Store {
        Store(Rc::new(()))
    }

    /// A database in an unnamed temporary file: the `temp` schema, large sorts. Kept in memory until
    /// the cache is full.
    ///
    /// # Errors
    /// No temporary folder.
    pub fn temporary() -> Result<Store> {
        Err(BUILDING)
    }

    // ---- transactions -------------------------------------------------------------------------

    /// Takes a snapshot to read from: SHARED lock, hot-journal recovery, cache check. Does nothing
    /// within a transaction.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::NotADatabase`], I/O.
    pub fn begin_read(&self) -> Result<()> {
        Err(BUILDING)
    }

    /// Ends a read transaction. Does nothing within a write transaction, or outside of any.
    pub fn end_read(&self) {}

    /// Makes the transaction writable (begins it where there is none).
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::BusySnapshot`], [`Error::ReadOnly`], I/O.
    pub fn begin_write(&self, lock: WriteLock) -> Result<()> {
        let _ = lock;
        Err(BUILDING)
    }

    /// Makes the changes durable, ends the transaction and all its savepoints. After
    /// [`Error::Busy`] the transaction is still open and the commit can be tried again; after any
    /// other error call [`rollback`](Store::rollback).
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], I/O.
    pub fn commit(&self) -> Result<()> {
        Err(BUILDING)
    }

    /// Undoes the changes and ends the transaction. Cursors lose their places.
    ///
    /// # Errors
    /// I/O; the journal then stays hot and the next transaction recovers.
    pub fn rollback(&self) -> Result<()> {
        Err(BUILDING)
    }

    /// Whether a read (or write) transaction is open.
    #[must_use]
    pub fn in_read(&self) -> bool {
        false
    }

    /// Whether a write transaction is open.
    #[must_use]
    pub fn in_write(&self) -> bool {
        false
    }

    /// Opens a savepoint in the write transaction and says its depth, counted from 0.
    ///
    /// # Errors
    /// [`Error::Misuse`] outside of a write transaction.
    pub fn open_savepoint(&self) -> Result<usize> {
        Err(BUILDING)
    }

    /// Forgets the savepoint at `depth` and all above it; their changes stay.
    pub fn release_savepoint(&self, depth: usize) {
        let _ = depth;
    }

    /// Undoes all changes since the savepoint at `depth` was opened. It stays open, those above it
    /// are gone.
    ///
    /// # Errors
    /// I/O.
    pub fn rollback_to_savepoint(&self, depth: usize) -> Result<()> {
        let _ = depth;
        Err(BUILDING)
    }

    /// How many savepoints are open.
    #[must_use]
    pub fn savepoint_depth(&self) -> usize {
        0
    }

    /// How long locks are waited for; zero is not at all. Replaces a busy handler.
    pub fn set_busy_timeout(&self, timeout: Duration) {
        let _ = timeout;
    }

    /// Called with the number of earlier calls whenever a lock is in the way; `false` gives up.
    /// Replaces the timeout.
    pub fn set_busy_handler(&self, handler: Option<Box<dyn FnMut(u32) -> bool>>) {
        let _ = handler;
    }

    // ---- the header ---------------------------------------------------------------------------

    /// A header value. Needs a transaction.
    ///
    /// # Errors
    /// I/O.
    pub fn meta(&self, meta: Meta) -> Result<u32> {
        let _ = meta;
        Err(BUILDING)
    }

    /// Sets a header value. Needs a write transaction.
    ///
    /// # Errors
    /// I/O.
    pub fn set_meta(&self, meta: Meta, value: u32) -> Result<()> {
        let _ = (meta, value);
        Err(BUILDING)
    }

    /// The encoding of the database's text.
    ///
    /// # Errors
    /// I/O.
    pub fn encoding(&self) -> Result<Encoding> {
        Err(BUILDING)
    }

    /// Changes whenever the content may have been changed by another connection or a rollback: what
    /// `PRAGMA data_version` prints.
    #[must_use]
    pub fn data_version(&self) -> u32 {
        0
    }

    /// Bytes of a page.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        4096
    }

    /// Chooses the page size (and reserved bytes) of a database that has no page yet. `false` where
    /// the size is no power of two between 512 and 65536 or the file has pages.
    pub fn set_page_size(&self, size: u32, reserved: u8) -> bool {
        let _ = (size, reserved);
        false
    }

    /// Bytes at the end of each page that are not used.
    #[must_use]
    pub fn reserved_bytes(&self) -> u8 {
        0
    }

    /// Pages of the database, free ones included. Needs a transaction.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        0
    }

    /// Pages in the freelist.
    ///
    /// # Errors
    /// I/O.
    pub fn freelist_count(&self) -> Result<u32> {
        Err(BUILDING)
    }

    /// The most pages the database may grow to; `None` asks only.
    pub fn max_page_count(&self, set: Option<u32>) -> u32 {
        set.unwrap_or(0)
    }

    /// What becomes of free pages.
    ///
    /// # Errors
    /// I/O.
    pub fn auto_vacuum(&self) -> Result<AutoVacuum> {
        Err(BUILDING)
    }

    /// Chooses it: freely for a database that has no page yet, else only between full and
    /// incremental. `false` where it cannot be.
    ///
    /// # Errors
    /// I/O.
    pub fn set_auto_vacuum(&self, mode: AutoVacuum) -> Result<bool> {
        let _ = mode;
        Err(BUILDING)
    }

    /// Gives back up to `pages` free pages (0: all) of an auto-vacuum database.
    ///
    /// # Errors
    /// I/O.
    pub fn incremental_vacuum(&self, pages: u32) -> Result<()> {
        let _ = pages;
        Err(BUILDING)
    }

    // ---- journal ------------------------------------------------------------------------------

    /// The journal mode; reads the header when it was not read yet.
    ///
    /// # Errors
    /// I/O.
    pub fn journal_mode(&self) -> Result<JournalMode> {
        Err(BUILDING)
    }

    /// Asks for a journal mode and says which holds now: a change that cannot be (memory databases
    /// know MEMORY and OFF alone) leaves the old one.
    ///
    /// # Errors
    /// [`Error::Busy`] where leaving the WAL needs everybody else to go, I/O.
    pub fn set_journal_mode(&self, mode: JournalMode) -> Result<JournalMode> {
        let _ = mode;
        Err(BUILDING)
    }

    /// When the disk is waited for.
    #[must_use]
    pub fn synchronous(&self) -> Synchronous {
        Synchronous::Full
    }

    /// Chooses it. Takes effect with the next transaction.
    pub fn set_synchronous(&self, level: Synchronous) {
        let _ = level;
    }

    /// Whether locks are kept.
    #[must_use]
    pub fn locking_mode(&self) -> LockingMode {
        LockingMode::Normal
    }

    /// Chooses it.
    pub fn set_locking_mode(&self, mode: LockingMode) {
        let _ = mode;
    }

    /// Copies the write-ahead log into the database file.
    ///
    /// # Errors
    /// [`Error::Locked`] within a transaction, I/O.
    pub fn checkpoint(&self, mode: CheckpointMode) -> Result<CheckpointResult> {
        let _ = mode;
        Err(BUILDING)
    }

    /// Frames in the log from which a commit tries a checkpoint; 0 is never.
    pub fn set_wal_autocheckpoint(&self, frames: u32) {
        let _ = frames;
    }

    /// The setting.
    #[must_use]
    pub fn wal_autocheckpoint(&self) -> u32 {
        1000
    }

    /// Bytes a kept journal or log is cut to after a commit; negative is no limit.
    pub fn set_journal_size_limit(&self, bytes: i64) {
        let _ = bytes;
    }

    /// The setting.
    #[must_use]
    pub fn journal_size_limit(&self) -> i64 {
        -1
    }

    /// The size of the page cache in bytes.
    pub fn set_cache_bytes(&self, bytes: usize) {
        let _ = bytes;
    }

    /// Forgets all clean pages (`PRAGMA shrink_memory`).
    pub fn shrink_memory(&self) {}

    /// Overwrites deleted content with zeros (`PRAGMA secure_delete`).
    pub fn set_secure_delete(&self, on: bool) {
        let _ = on;
    }

    // ---- trees --------------------------------------------------------------------------------

    /// Makes an empty tree and gives its root page. In an auto-vacuum database a root moves to the
    /// front of the file; no other root moves by it.
    ///
    /// # Errors
    /// [`Error::Full`], I/O.
    pub fn create_tree(&self, kind: &TreeKind) -> Result<PageNo> {
        let _ = kind;
        Err(BUILDING)
    }

    /// Removes all entries; says how many there were.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn clear_tree(&self, root: PageNo) -> Result<u64> {
        let _ = root;
        Err(BUILDING)
    }

    /// Removes the tree. In an auto-vacuum database the last root may move into its place: then its
    /// old number is given, and every mention of it in the schema must become `root`.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn drop_tree(&self, root: PageNo) -> Result<Option<PageNo>> {
        let _ = root;
        Err(BUILDING)
    }

    /// Opens a cursor. Writing through it needs a write transaction at that time.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a root outside of the file.
    pub fn cursor(&self, root: PageNo, kind: TreeKind) -> Result<Cursor> {
        let _ = (root, kind);
        Err(BUILDING)
    }

    /// Copies all pages of the other database into this one, as `VACUUM` and `.backup` do. This one
    /// must be in a write transaction, the other in a read transaction.
    ///
    /// # Errors
    /// I/O.
    pub fn copy_from(&self, other: &Store) -> Result<()> {
        let _ = other;
        Err(BUILDING)
    }

    /// Checks the page structure as `PRAGMA integrity_check` does: every page used once, keys in
    /// order, cells within their page. `roots` are all roots of the schema besides page 1; at most
    /// `limit` messages in SQLite's words come back, none if all is well.
    ///
    /// # Errors
    /// I/O; what is malformed is told in the messages.
    pub fn integrity_check(&self, roots: &[PageNo], limit: usize) -> Result<Vec<String>> {
        let _ = (roots, limit);
        Err(BUILDING)
    }
}
