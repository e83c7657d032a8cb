//! One open database.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use super::bulk::Bulk;
use super::cursor::{Cursor, Placement};
use super::leaves::Leaves;
use super::node::{Geometry, Kind};
use super::ptrmap;
use super::space::{self, Wanted};
use super::{check, edit, vacuum};
use crate::collate::Encoding;
use crate::pager::{
    AutoVacuum, Busy, CheckpointMode, CheckpointResult, HEADER_BYTES, Header, JournalMode,
    LockingMode, OpenOptions, PageNo, Pager, Synchronous, WriteLock, at, be32, put_be32,
};
use crate::record::KeyInfo;
use crate::vfs::{Error, Result, Unix, Vfs};

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

impl Meta {
    fn offset(self) -> usize {
        at::META
            + 4 * match self {
                Meta::SchemaCookie => 0,
                Meta::SchemaFormat => 1,
                Meta::DefaultCacheSize => 2,
                Meta::LargestRoot => 3,
                Meta::TextEncoding => 4,
                Meta::UserVersion => 5,
                Meta::IncrementalVacuum => 6,
                Meta::ApplicationId => 7,
            }
    }
}

/// What the cursors of a tree share.
pub(super) struct Tree {
    pub root: PageNo,
    /// Raised with every change of the tree.
    pub generation: Cell<u64>,
}

impl Tree {
    pub fn touch(&self) {
        self.generation.set(self.generation.get() + 1);
    }
}

/// What a connection and its cursors share.
pub(super) struct Shared {
    pub pager: RefCell<Pager>,
    /// Where cells are built.
    pub scratch: RefCell<Vec<u8>>,
    geometry: Cell<Geometry>,
    trees: RefCell<HashMap<PageNo, Weak<Tree>>>,
}

impl Shared {
    #[inline]
    pub fn geometry(&self) -> Geometry {
        self.geometry.get()
    }

    /// Every cursor has to find its place again.
    fn touch_all(&self) {
        self.trees.borrow_mut().retain(|_, tree| match tree.upgrade() {
            Some(tree) => {
                tree.touch();
                true
            }
            None => false,
        });
    }

    fn tree(&self, root: PageNo) -> Rc<Tree> {
        let mut trees = self.trees.borrow_mut();
        if let Some(tree) = trees.get(&root).and_then(Weak::upgrade) {
            return tree;
        }
        // Trees without a cursor are forgotten now and then.
        if trees.len() >= 64 {
            trees.retain(|_, tree| tree.strong_count() > 0);
        }
        let tree = Rc::new(Tree { root, generation: Cell::new(0) });
        trees.insert(root, Rc::downgrade(&tree));
        tree
    }
}

/// One open database: a file, or a piece of memory. A clone is the same connection.
#[derive(Clone)]
pub struct Store(Rc<Shared>);

impl Store {
    /// Opens a database file. Nothing is read or locked before the first transaction, so a file
    /// that is not a database is noticed there.
    ///
    /// # Errors
    /// [`Error::CannotOpen`].
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Store> {
        Store::open_on(Arc::new(Unix), &crate::vfs::full_path(path), options)
    }

    /// Opens a database file of that file system.
    ///
    /// # Errors
    /// [`Error::CannotOpen`].
    pub fn open_on(vfs: Arc<dyn Vfs>, path: &Path, options: &OpenOptions) -> Result<Store> {
        Ok(Store::new(Pager::open(vfs, path.to_owned(), options)?))
    }

    fn new(pager: Pager) -> Store {
        let geometry = Geometry::new(pager.page_size(), pager.reserved());
        Store(Rc::new(Shared {
            pager: RefCell::new(pager),
            scratch: RefCell::default(),
            geometry: Cell::new(geometry),
            trees: RefCell::default(),
        }))
    }

    fn note_geometry(&self) {
        let pager = self.0.pager.borrow();
        self.0.geometry.set(Geometry::new(pager.page_size(), pager.reserved()));
    }

    /// A database in memory: private, gone with its last handle.
    #[must_use]
    pub fn memory() -> Store {
        Store::new(Pager::memory(Arc::new(Unix)))
    }

    /// A database in an unnamed temporary file: the `temp` schema, large sorts. Kept in memory until
    /// the cache is full.
    ///
    #[must_use]
    pub fn temporary() -> Store {
        Store::new(Pager::temporary(Arc::new(Unix)))
    }

    // ---- transactions -------------------------------------------------------------------------

    /// Takes a snapshot to read from: SHARED lock, hot-journal recovery, cache check. Does nothing
    /// within a transaction.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::NotADatabase`], I/O.
    pub fn begin_read(&self) -> Result<()> {
        let begun = self.0.pager.borrow_mut().begin_read();
        self.note_geometry();
        begun
    }

    /// Ends a read transaction. Does nothing within a write transaction, or outside of any.
    pub fn end_read(&self) {
        self.0.pager.borrow_mut().end_read();
    }

    /// Makes the transaction writable (begins it where there is none).
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::BusySnapshot`], [`Error::ReadOnly`], I/O.
    pub fn begin_write(&self, lock: WriteLock) -> Result<()> {
        self.0.pager.borrow_mut().begin_write(lock)?;
        self.note_geometry();
        self.initialise()
    }

    /// Writes the first page of a new database.
    fn initialise(&self) -> Result<()> {
        let pager = &mut *self.0.pager.borrow_mut();
        if pager.page_count() > 0 {
            return Ok(());
        }
        pager.take_page(1)?;
        let (size, reserved, mode) =
            (pager.page_size() as u32, pager.reserved(), pager.new_auto_vacuum());
        let auto_vacuum = [mode != AutoVacuum::None, mode == AutoVacuum::Incremental];
        let page = pager.page_mut(1)?;
        Header::write_new(page, size, reserved, auto_vacuum);
        edit::clear_node(page, HEADER_BYTES, Kind::TableLeaf, self.0.geometry().usable);
        Ok(())
    }

    /// Makes the changes durable, ends the transaction and all its savepoints. After
    /// [`Error::Busy`] the transaction is still open and the commit can be tried again; after any
    /// other error call [`rollback`](Store::rollback).
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], I/O.
    pub fn commit(&self) -> Result<()> {
        let pager = &mut *self.0.pager.borrow_mut();
        if pager.in_write() && vacuum::commit(pager)? {
            self.0.touch_all();
        }
        let done = pager.commit();
        self.0.geometry.set(Geometry::new(pager.page_size(), pager.reserved()));
        done
    }

    /// Undoes the changes and ends the transaction. Cursors lose their places.
    ///
    /// # Errors
    /// I/O; the journal then stays hot and the next transaction recovers.
    pub fn rollback(&self) -> Result<()> {
        self.0.touch_all();
        self.0.pager.borrow_mut().rollback()
    }

    /// Whether a read (or write) transaction is open.
    #[must_use]
    pub fn in_read(&self) -> bool {
        self.0.pager.borrow().in_read()
    }

    /// Whether a write transaction is open.
    #[must_use]
    pub fn in_write(&self) -> bool {
        self.0.pager.borrow().in_write()
    }

    /// Opens a savepoint in the write transaction and says its depth, counted from 0.
    ///
    /// # Errors
    /// [`Error::Misuse`] outside of a write transaction.
    pub fn open_savepoint(&self) -> Result<usize> {
        self.0.pager.borrow_mut().open_savepoint()
    }

    /// Forgets the savepoint at `depth` and all above it; their changes stay.
    pub fn release_savepoint(&self, depth: usize) {
        self.0.pager.borrow_mut().release_savepoint(depth);
    }

    /// Undoes all changes since the savepoint at `depth` was opened. It stays open, those above it
    /// are gone.
    ///
    /// # Errors
    /// I/O.
    pub fn rollback_to_savepoint(&self, depth: usize) -> Result<()> {
        self.0.touch_all();
        self.0.pager.borrow_mut().rollback_to_savepoint(depth)
    }

    /// How many savepoints are open.
    #[must_use]
    pub fn savepoint_depth(&self) -> usize {
        self.0.pager.borrow().savepoint_depth()
    }

    /// How long locks are waited for; zero is not at all. Replaces a busy handler.
    pub fn set_busy_timeout(&self, timeout: Duration) {
        self.0.pager.borrow_mut().set_busy(Busy::Timeout(timeout));
    }

    /// Called with the number of earlier calls whenever a lock is in the way; `false` gives up.
    /// Replaces the timeout.
    pub fn set_busy_handler(&self, handler: Option<Box<dyn FnMut(u32) -> bool>>) {
        let busy = handler.map_or(Busy::Timeout(Duration::ZERO), Busy::Handler);
        self.0.pager.borrow_mut().set_busy(busy);
    }

    // ---- the header ---------------------------------------------------------------------------

    /// A header value. Needs a transaction.
    ///
    /// # Errors
    /// I/O.
    pub fn meta(&self, meta: Meta) -> Result<u32> {
        let mut pager = self.0.pager.borrow_mut();
        if pager.page_count() == 0 {
            return Ok(0);
        }
        Ok(be32(&pager.page(1)?, meta.offset()))
    }

    /// Sets a header value. Needs a write transaction.
    ///
    /// # Errors
    /// I/O.
    pub fn set_meta(&self, meta: Meta, value: u32) -> Result<()> {
        let mut pager = self.0.pager.borrow_mut();
        put_be32(pager.page_mut(1)?, meta.offset(), value);
        Ok(())
    }

    /// The full path of the file, links resolved; empty for a database in memory.
    #[must_use]
    pub fn path(&self) -> std::path::PathBuf {
        self.0.pager.borrow().path().to_owned()
    }

    /// The encoding of the database's text.
    ///
    /// # Errors
    /// I/O.
    pub fn encoding(&self) -> Result<Encoding> {
        Encoding::from_header(self.meta(Meta::TextEncoding)?).ok_or(Error::Corrupt)
    }

    /// Changes whenever the content may have been changed by another connection or a rollback: what
    /// `PRAGMA data_version` prints.
    #[must_use]
    pub fn data_version(&self) -> u32 {
        self.0.pager.borrow().data_version()
    }

    /// Bytes of a page.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        self.0.pager.borrow().page_size() as u32
    }

    /// Chooses the page size (and reserved bytes) of a database that has no page yet. `false` where
    /// the size is no power of two between 512 and 65536 or the file has pages.
    pub fn set_page_size(&self, size: u32, reserved: u8) -> bool {
        let set = self.0.pager.borrow_mut().set_page_size(size, reserved);
        self.note_geometry();
        set
    }

    /// Bytes at the end of each page that are not used.
    #[must_use]
    pub fn reserved_bytes(&self) -> u8 {
        self.0.pager.borrow().reserved()
    }

    /// Pages of the database, free ones included. Needs a transaction.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.0.pager.borrow().page_count()
    }

    /// Pages in the freelist.
    ///
    /// # Errors
    /// I/O.
    pub fn freelist_count(&self) -> Result<u32> {
        let mut pager = self.0.pager.borrow_mut();
        if pager.page_count() == 0 {
            return Ok(0);
        }
        Ok(be32(&pager.page(1)?, at::FREELIST_COUNT))
    }

    /// The most pages the database may grow to; `None` asks only.
    pub fn max_page_count(&self, set: Option<u32>) -> u32 {
        self.0.pager.borrow_mut().max_page_count(set)
    }

    /// What becomes of free pages.
    ///
    /// # Errors
    /// I/O.
    pub fn auto_vacuum(&self) -> Result<AutoVacuum> {
        if self.page_count() == 0 {
            return Ok(self.0.pager.borrow().new_auto_vacuum());
        }
        if self.meta(Meta::LargestRoot)? == 0 {
            return Ok(AutoVacuum::None);
        }
        let incremental = self.meta(Meta::IncrementalVacuum)? != 0;
        Ok(if incremental { AutoVacuum::Incremental } else { AutoVacuum::Full })
    }

    /// Chooses it: freely for a database that has no page yet, else only between full and
    /// incremental. `false` where it cannot be.
    ///
    /// # Errors
    /// I/O.
    pub fn set_auto_vacuum(&self, mode: AutoVacuum) -> Result<bool> {
        if self.page_count() == 0 {
            self.0.pager.borrow_mut().set_new_auto_vacuum(mode);
            return Ok(true);
        }
        if (self.auto_vacuum()? == AutoVacuum::None) != (mode == AutoVacuum::None) {
            return Ok(false);
        }
        if mode != self.auto_vacuum()? {
            let incremental = mode == AutoVacuum::Incremental;
            self.set_meta(Meta::IncrementalVacuum, u32::from(incremental))?;
        }
        Ok(true)
    }

    /// Gives back up to `pages` free pages (0: all) of an auto-vacuum database.
    ///
    /// # Errors
    /// I/O.
    pub fn incremental_vacuum(&self, pages: u32) -> Result<()> {
        self.0.touch_all();
        vacuum::incremental(&mut self.0.pager.borrow_mut(), pages)
    }

    // ---- journal ------------------------------------------------------------------------------

    /// The journal mode; reads the header when it was not read yet.
    ///
    /// # Errors
    /// I/O.
    pub fn journal_mode(&self) -> Result<JournalMode> {
        self.0.pager.borrow_mut().journal_mode()
    }

    /// Asks for a journal mode and says which holds now: a change that cannot be (memory databases
    /// know MEMORY and OFF alone) leaves the old one.
    ///
    /// # Errors
    /// [`Error::Busy`] where leaving the WAL needs everybody else to go, I/O.
    pub fn set_journal_mode(&self, mode: JournalMode) -> Result<JournalMode> {
        let old = self.journal_mode()?;
        if mode == old || !self.0.pager.borrow().can_have(mode) {
            return Ok(old);
        }
        if mode == JournalMode::Wal {
            if self.in_read() {
                return Err(Error::Misuse("cannot change into wal mode from within a transaction"));
            }
            self.write_version(2)?;
        } else if old == JournalMode::Wal {
            self.0.pager.borrow_mut().leave_wal()?;
            self.0.pager.borrow_mut().set_rollback_mode(JournalMode::Delete)?;
            let written = self.write_version(1);
            self.0.pager.borrow_mut().left_wal();
            written?;
        }
        if mode != JournalMode::Wal {
            self.0.pager.borrow_mut().set_rollback_mode(mode)?;
        }
        self.journal_mode()
    }

    /// Sets the versions of the header, which tell whether there is a log.
    fn write_version(&self, version: u8) -> Result<()> {
        self.begin_write(WriteLock::Immediate)?;
        let written = self.0.pager.borrow_mut().page_mut(1).map(|page| {
            if let Some(versions) = page.get_mut(at::WRITE_VERSION..=at::READ_VERSION) {
                versions.fill(version);
            }
        });
        let done = written.and_then(|()| self.commit());
        if done.is_err() {
            self.rollback()?;
        }
        done
    }

    /// When the disk is waited for.
    #[must_use]
    pub fn synchronous(&self) -> Synchronous {
        self.0.pager.borrow().synchronous()
    }

    /// Chooses it. Takes effect with the next transaction.
    pub fn set_synchronous(&self, level: Synchronous) {
        self.0.pager.borrow_mut().set_synchronous(level);
    }

    /// Whether locks are kept.
    #[must_use]
    pub fn locking_mode(&self) -> LockingMode {
        self.0.pager.borrow().locking_mode()
    }

    /// Chooses it.
    pub fn set_locking_mode(&self, mode: LockingMode) {
        self.0.pager.borrow_mut().set_locking_mode(mode);
    }

    /// Copies the write-ahead log into the database file.
    ///
    /// # Errors
    /// [`Error::Locked`] within a transaction, I/O.
    pub fn checkpoint(&self, mode: CheckpointMode) -> Result<CheckpointResult> {
        self.0.pager.borrow_mut().checkpoint(mode)
    }

    /// Frames in the log from which a commit tries a checkpoint; 0 is never.
    pub fn set_wal_autocheckpoint(&self, frames: u32) {
        self.0.pager.borrow_mut().set_wal_autocheckpoint(frames);
    }

    /// The setting.
    #[must_use]
    pub fn wal_autocheckpoint(&self) -> u32 {
        self.0.pager.borrow().wal_autocheckpoint()
    }

    /// Bytes a kept journal or log is cut to after a commit; negative is no limit.
    pub fn set_journal_size_limit(&self, bytes: i64) {
        self.0.pager.borrow_mut().set_journal_size_limit(bytes);
    }

    /// The setting.
    #[must_use]
    pub fn journal_size_limit(&self) -> i64 {
        self.0.pager.borrow().journal_size_limit()
    }

    /// The size of the page cache in bytes.
    pub fn set_cache_bytes(&self, bytes: usize) {
        self.0.pager.borrow_mut().set_cache_bytes(bytes);
    }

    /// Forgets all clean pages (`PRAGMA shrink_memory`).
    pub fn shrink_memory(&self) {
        self.0.pager.borrow_mut().shrink();
    }

    /// Overwrites deleted content with zeros (`PRAGMA secure_delete`).
    pub fn set_secure_delete(&self, on: bool) {
        self.0.pager.borrow_mut().set_secure_delete(on);
    }

    // ---- trees --------------------------------------------------------------------------------

    /// Makes an empty tree and gives its root page. In an auto-vacuum database a root moves to the
    /// front of the file; no other root moves by it.
    ///
    /// # Errors
    /// [`Error::Full`], I/O.
    pub fn create_tree(&self, kind: &TreeKind) -> Result<PageNo> {
        let pager = &mut *self.0.pager.borrow_mut();
        let root = if ptrmap::is_kept(pager)? {
            self.0.touch_all();
            vacuum::make_root(pager)?
        } else {
            space::allocate(pager, Wanted::Near(1))?
        };
        let page_kind = match kind {
            TreeKind::Table => Kind::TableLeaf,
            TreeKind::Index(_) => Kind::IndexLeaf,
        };
        edit::clear_node(pager.page_mut(root)?, 0, page_kind, self.0.geometry().usable);
        Ok(root)
    }

    /// Removes all entries; says how many there were.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn clear_tree(&self, root: PageNo) -> Result<u64> {
        self.0.tree(root).touch();
        let geometry = self.0.geometry();
        space::clear_tree(&mut self.0.pager.borrow_mut(), &geometry, root)
    }

    /// Removes the tree. In an auto-vacuum database the last root may move into its place: then its
    /// old number is given, and every mention of it in the schema must become `root`.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn drop_tree(&self, root: PageNo) -> Result<Option<PageNo>> {
        let geometry = self.0.geometry();
        let pager = &mut *self.0.pager.borrow_mut();
        space::clear_tree(pager, &geometry, root)?;
        if root == 1 {
            return Err(Error::Misuse("the schema table cannot be dropped"));
        }
        self.0.touch_all();
        if ptrmap::is_kept(pager)? {
            return vacuum::drop_root(pager, root);
        }
        space::free(pager, root)?;
        Ok(None)
    }

    /// Opens a cursor. Writing through it needs a write transaction at that time.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a root outside of the file.
    pub fn cursor(&self, root: PageNo, kind: TreeKind) -> Result<Cursor> {
        if root == 0 {
            return Err(Error::Corrupt);
        }
        Ok(Cursor::new(Rc::clone(&self.0), self.0.tree(root), kind))
    }

    /// Opens a walk over the leaves of a table tree that hold the rowids `from..=to`; `None` for the
    /// tree of page 1, and outside of the file.
    #[must_use]
    pub fn leaves(&self, root: PageNo, from: i64, to: i64) -> Option<Leaves> {
        (root > 1).then(|| Leaves::new(Rc::clone(&self.0), self.0.tree(root), from, to))
    }

    /// Begins to fill an empty index tree with sorted entries; `None` where the database keeps a map
    /// of its pages, and entries are inserted one by one.
    ///
    /// # Errors
    /// I/O.
    pub fn bulk(&self, root: PageNo) -> Result<Option<Bulk>> {
        self.0.tree(root).touch();
        Bulk::new(&self.0, root)
    }

    /// A sorter whose runs go to the file system of this database.
    #[must_use]
    pub fn sorter(&self) -> crate::sort::Sorter {
        let pager = self.0.pager.borrow();
        crate::sort::Sorter::new(pager.vfs(), pager.sort_bytes())
    }

    /// About how many entries a tree has, by the leftmost page of each level.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn estimate(&self, root: PageNo) -> Result<u64> {
        let pager = &mut *self.0.pager.borrow_mut();
        let (mut page_no, mut entries) = (root, 1u64);
        for _ in 0..super::node::MAX_DEPTH {
            let page = pager.page(page_no)?;
            let node = super::node::Node::parse(&page, page_no, self.0.geometry().usable)?;
            if node.kind.is_leaf() {
                return Ok(entries.saturating_mul(node.cells as u64));
            }
            entries = entries.saturating_mul(node.cells as u64 + 1);
            page_no = node.child(&page, 0)?;
        }
        Err(Error::Corrupt)
    }

    /// Copies all pages of the other database into this one, as `VACUUM` and `.backup` do. This one
    /// must be in a write transaction, the other in a read transaction.
    ///
    /// # Errors
    /// I/O.
    pub fn copy_from(&self, other: &Store) -> Result<()> {
        self.0.touch_all();
        if Rc::ptr_eq(&self.0, &other.0) {
            return Err(Error::Misuse("source and destination must be distinct"));
        }
        let mut source = other.0.pager.borrow_mut();
        let target = &mut *self.0.pager.borrow_mut();
        target.copy_from(&mut source)
    }

    /// Copies all entries of a tree of the other database to the end of a tree of this one, which
    /// holds none above them: `VACUUM` fills its new file so, with full pages in order.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Full`], I/O.
    pub fn copy_tree(
        &self,
        root: PageNo,
        from: &Store,
        from_root: PageNo,
        kind: &TreeKind,
    ) -> Result<u64> {
        let mut source = from.cursor(from_root, kind.clone())?;
        let mut target = self.cursor(root, kind.clone())?;
        let (mut more, mut count) = (source.first()?, 0);
        while more {
            match kind {
                TreeKind::Table => {
                    let rowid = source.rowid()?;
                    target.insert_row(rowid, source.payload()?, 0, Placement::Append)?;
                }
                TreeKind::Index(_) => target.insert_key(source.payload()?, Placement::Append)?,
            }
            count += 1;
            more = source.next()?;
        }
        Ok(count)
    }

    /// Whether the file cannot be written.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.0.pager.borrow().is_read_only()
    }

    /// Whether it is a database in memory.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.0.pager.borrow().is_memory()
    }

    /// Checks the page structure as `PRAGMA integrity_check` does: every page used once, keys in
    /// order, cells within their page. `roots` are all roots of the schema besides page 1; at most
    /// `limit` messages in SQLite's words come back, none if all is well.
    ///
    /// # Errors
    /// I/O; what is malformed is told in the messages.
    pub fn integrity_check(&self, roots: &[PageNo], limit: usize) -> Result<Vec<String>> {
        let geometry = self.0.geometry();
        check::run(&mut self.0.pager.borrow_mut(), &geometry, roots, limit)
    }
}
