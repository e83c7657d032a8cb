//! A place in a tree, and how it moves.
//!
//! The path from the root is kept as the pages themselves, so a row is read without asking the
//! cache. Each tree has a generation that every change raises; a cursor that finds it raised by
//! another takes the key of its entry from the page that it still holds (an old version by then),
//! and seeks it anew.

use std::cmp::Ordering;
use std::rc::Rc;

use super::node::{Cell, Geometry, Kind, MAX_DEPTH, Node, short_record};
use super::overflow::Assembly;
use super::store::{Shared, Tree, TreeKind};
use crate::pager::{Page, PageNo};
use crate::record::{Field, Header, KeyInfo};
use crate::vfs::{Error, Result};

/// Which entry a seek looks for, relative to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The (first) entry that equals the key; with fewer fields than the tree compares: the first
    /// that begins with them.
    Eq,
    /// The first entry not below the key.
    Ge,
    /// The first entry above the key (and above all that begin with it).
    Gt,
    /// The last entry not above the key (the last that begins with it, if any does).
    Le,
    /// The last entry below the key.
    Lt,
}

/// Where an insert may begin its search. A wrong hint costs a search, never the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Anywhere: the cursor's leaf is tried first, then the tree is searched.
    #[default]
    Anywhere,
    /// Probably after the last entry.
    Append,
}

/// A generation that no tree reaches: the path is not to be trusted.
pub(super) const STALE: u64 = u64::MAX;

/// One page of the path.
#[derive(Debug)]
pub(super) struct Level {
    pub page_no: PageNo,
    pub page: Page,
    pub node: Node,
    /// On the last level the cell, on the others the child that the path goes through.
    pub index: usize,
}

/// Where the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere, or past an end.
    Nowhere,
    /// On the cell at the end of the path.
    On,
    /// Before that cell; the entry with the saved key is not there.
    Before,
}

/// A place in a tree: on an entry, or past an end.
///
/// A cursor whose tree is changed by another cursor finds its place again at its next use: on its
/// entry if that is still there, else between the entries around it, so that `next` and `prev`
/// give the neighbours and [`is_valid`](Cursor::is_valid) turns false.
pub struct Cursor {
    pub(super) shared: Rc<Shared>,
    pub(super) tree: Rc<Tree>,
    pub(super) kind: TreeKind,
    pub(super) geometry: Geometry,
    pub(super) path: Vec<Level>,
    pub(super) place: Place,
    pub(super) generation: u64,
    /// The key of the entry, for when the path is lost.
    pub(super) saved: SavedKey,
    cell: Option<Cell>,
    header: Header,
    assembly: Assembly,
    /// Leaves passed since the last seek: more than the file has pages is a loop.
    passed: u32,
}

/// A key that outlives its page.
#[derive(Debug, Default)]
pub(super) struct SavedKey {
    pub rowid: i64,
    pub record: Vec<u8>,
}

/// Which bound a search in an index tree looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// The first entry that is not below the key.
    Lower,
    /// The first entry above it.
    Upper,
}

impl Cursor {
    pub(super) fn new(shared: Rc<Shared>, tree: Rc<Tree>, kind: TreeKind) -> Cursor {
        let geometry = shared.geometry();
        Cursor {
            shared,
            tree,
            kind,
            geometry,
            path: Vec::new(),
            place: Place::Nowhere,
            generation: STALE,
            saved: SavedKey::default(),
            cell: None,
            header: Header::new(),
            assembly: Assembly::default(),
            passed: 0,
        }
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.kind, TreeKind::Table)
    }

    pub(super) fn key_info(&self) -> Result<&Rc<KeyInfo>> {
        match &self.kind {
            TreeKind::Index(info) => Ok(info),
            TreeKind::Table => Err(Error::Misuse("a table tree has no key columns")),
        }
    }

    /// Forgets what was decoded of the last entry.
    #[inline]
    pub(super) fn forget_entry(&mut self) {
        self.cell = None;
        self.header.reset();
        self.assembly.reset();
    }

    /// Begins a new path.
    pub(super) fn leave(&mut self) {
        self.forget_entry();
        self.path.clear();
        self.place = Place::Nowhere;
        self.passed = 0;
        self.geometry = self.shared.geometry();
        self.generation = self.tree.generation.get();
    }

    fn nowhere(&mut self) -> Result<bool> {
        self.path.clear();
        self.place = Place::Nowhere;
        Ok(false)
    }

    // ---- the path -----------------------------------------------------------------------------

    /// Goes down to a page.
    #[inline]
    pub(super) fn descend(&mut self, page_no: PageNo, index: usize) -> Result<()> {
        if self.path.len() >= MAX_DEPTH {
            return Err(Error::Corrupt);
        }
        let page = self.shared.pager.borrow_mut().page(page_no)?;
        let node = Node::parse(&page, page_no, self.geometry.usable)?;
        if node.kind.is_table() != self.is_table() {
            return Err(Error::Corrupt);
        }
        self.path.push(Level { page_no, page, node, index });
        Ok(())
    }

    fn descend_root(&mut self) -> Result<()> {
        let root = self.tree.root;
        self.descend(root, 0)
    }

    #[inline]
    pub(super) fn tip(&self) -> Result<&Level> {
        self.path.last().ok_or(Error::Misuse("the cursor is on no entry"))
    }

    #[inline]
    pub(super) fn tip_mut(&mut self) -> Result<&mut Level> {
        self.path.last_mut().ok_or(Error::Misuse("the cursor is on no entry"))
    }

    /// From the page at the tip down to its first leaf.
    fn enter_first_leaf(&mut self) -> Result<()> {
        loop {
            let tip = self.tip_mut()?;
            tip.index = 0;
            if tip.node.kind.is_leaf() {
                return Ok(());
            }
            let child = tip.node.child(&tip.page, 0)?;
            self.descend(child, 0)?;
        }
    }

    /// From the page at the tip down to its last leaf, one past its last cell.
    fn enter_last_leaf(&mut self) -> Result<()> {
        loop {
            let tip = self.tip_mut()?;
            tip.index = tip.node.cells;
            if tip.node.kind.is_leaf() {
                return Ok(());
            }
            let child = tip.node.right_child(&tip.page);
            self.descend(child, 0)?;
        }
    }

    /// The tip is before a cell of a leaf or past its last one: goes on to the entry that follows.
    fn settle_forward(&mut self) -> Result<bool> {
        loop {
            let tip = self.tip()?;
            if tip.node.kind.is_leaf() && tip.index < tip.node.cells {
                return self.land();
            }
            self.path.pop();
            let is_table = self.is_table();
            let Some(parent) = self.path.last_mut() else { return self.nowhere() };
            if parent.index >= parent.node.cells {
                continue;
            }
            if !is_table {
                return self.land();
            }
            parent.index += 1;
            let child = parent.node.child(&parent.page, parent.index)?;
            self.pass_leaf()?;
            self.descend(child, 0)?;
            self.enter_first_leaf()?;
        }
    }

    /// The tip is before a cell: goes back to the entry that precedes.
    fn settle_backward(&mut self) -> Result<bool> {
        loop {
            let is_table = self.is_table();
            let Some(tip) = self.path.last_mut() else { return self.nowhere() };
            if tip.node.kind.is_leaf() {
                if tip.index > 0 {
                    tip.index -= 1;
                    return self.land();
                }
                self.path.pop();
            } else if tip.index > 0 {
                tip.index -= 1;
                if !is_table {
                    return self.land();
                }
                let child = tip.node.child(&tip.page, tip.index)?;
                self.pass_leaf()?;
                self.descend(child, 0)?;
                self.enter_last_leaf()?;
            } else {
                self.path.pop();
            }
        }
    }

    fn pass_leaf(&mut self) -> Result<()> {
        self.passed += 1;
        if self.passed > self.shared.pager.borrow().page_count() {
            return Err(Error::Corrupt);
        }
        Ok(())
    }

    /// The tip is an entry. The overflow of an index entry is read at once: when the tree is
    /// changed by another cursor, the key must be known without it.
    #[inline]
    fn land(&mut self) -> Result<bool> {
        self.place = Place::On;
        if !self.is_table() {
            let cell = self.cell()?;
            if cell.overflow != 0 {
                self.assemble(cell.payload_len)?;
            }
        }
        Ok(true)
    }

    // ---- moves --------------------------------------------------------------------------------

    /// Goes to the first entry; `false`: the tree is empty.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O; so for all moves.
    pub fn first(&mut self) -> Result<bool> {
        self.leave();
        self.descend_root()?;
        self.enter_first_leaf()?;
        self.settle_forward()
    }

    /// Goes to the last entry; `false`: the tree is empty.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn last(&mut self) -> Result<bool> {
        self.leave();
        self.descend_root()?;
        self.enter_last_leaf()?;
        self.settle_backward()
    }

    /// Goes to the next entry; `false`: there is none, the cursor is past the end. After a
    /// [`delete`](Cursor::delete) this is the entry that followed the deleted one.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    #[expect(clippy::should_implement_trait, reason = "a move, which can fail, and no iteration")]
    #[inline]
    pub fn next(&mut self) -> Result<bool> {
        self.refresh()?;
        self.forget_entry();
        match self.place {
            Place::Nowhere => Ok(false),
            Place::Before => self.settle_forward(),
            Place::On => self.step_forward(),
        }
    }

    #[inline]
    fn step_forward(&mut self) -> Result<bool> {
        let tip = self.tip_mut()?;
        tip.index += 1;
        if tip.node.kind.is_leaf() {
            if tip.index < tip.node.cells {
                return self.land();
            }
            return self.settle_forward();
        }
        // On the entry of an interior page: the subtree right of it follows.
        let child = tip.node.child(&tip.page, tip.index)?;
        self.pass_leaf()?;
        self.descend(child, 0)?;
        self.enter_first_leaf()?;
        self.settle_forward()
    }

    /// Goes to the previous entry; `false`: there is none.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn prev(&mut self) -> Result<bool> {
        self.refresh()?;
        self.forget_entry();
        if self.place == Place::Nowhere {
            return Ok(false);
        }
        let tip = self.tip()?;
        if !tip.node.kind.is_leaf() {
            let child = tip.node.child(&tip.page, tip.index)?;
            self.pass_leaf()?;
            self.descend(child, 0)?;
            self.enter_last_leaf()?;
        }
        self.settle_backward()
    }

    /// Whether the cursor is on an entry (not past an end, its entry not deleted).
    ///
    /// # Errors
    /// As [`first`](Cursor::first): the place may have to be found again.
    pub fn is_valid(&mut self) -> Result<bool> {
        self.refresh()?;
        Ok(self.place == Place::On)
    }

    /// Leaves the tree; the cursor holds no page.
    pub fn reset(&mut self) {
        self.leave();
    }

    /// Finds the place again if the tree was changed.
    #[inline]
    pub(super) fn refresh(&mut self) -> Result<()> {
        if self.generation == self.tree.generation.get() || self.place == Place::Nowhere {
            return Ok(());
        }
        self.find_again()
    }

    #[cold]
    fn find_again(&mut self) -> Result<()> {
        if self.place == Place::On {
            self.save_key()?;
        }
        self.seek_saved()
    }

    /// Goes to the saved key, or before the entry that follows it.
    pub(super) fn seek_saved(&mut self) -> Result<()> {
        let found = if self.is_table() {
            let rowid = self.saved.rowid;
            self.leave();
            self.search_rowid(rowid)?
        } else {
            let record = std::mem::take(&mut self.saved.record);
            let found = self.search_saved_record(&record);
            self.saved.record = record;
            found?
        };
        self.place = if found { Place::On } else { Place::Before };
        Ok(())
    }

    fn search_saved_record(&mut self, record: &[u8]) -> Result<bool> {
        let fields: Vec<Field<'_>> = crate::record::fields(record)?
            .take(self.key_info()?.columns.len())
            .collect::<Result<_>>()?;
        self.leave();
        self.search_key(&fields, Bound::Lower)
    }

    /// Copies the key of the entry.
    pub(super) fn save_key(&mut self) -> Result<()> {
        if self.is_table() {
            let tip = self.tip()?;
            self.saved.rowid = tip.node.rowid(&tip.page, tip.index)?;
            return Ok(());
        }
        let mut record = std::mem::take(&mut self.saved.record);
        record.clear();
        record.extend_from_slice(self.entry_bytes()?);
        self.saved.record = record;
        Ok(())
    }

    // ---- seeks --------------------------------------------------------------------------------

    /// Seeks a row of a table tree; `true`: the cursor is on it.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn seek_rowid(&mut self, rowid: i64, seek: Seek) -> Result<bool> {
        if !self.is_table() {
            return Err(Error::Misuse("an index tree has no rowids"));
        }
        let found = if self.leaf_covers(rowid)? {
            self.forget_entry();
            self.search_leaf(rowid)?
        } else {
            self.leave();
            self.search_rowid(rowid)?
        };
        match seek {
            Seek::Eq if !found => self.nowhere(),
            Seek::Eq => self.land(),
            Seek::Ge => self.settle_forward(),
            Seek::Gt if found => self.step_forward(),
            Seek::Gt => self.settle_forward(),
            Seek::Le if found => self.land(),
            Seek::Le | Seek::Lt => self.settle_backward(),
        }
    }

    /// Whether the rowid, if it exists, is on the leaf that the cursor is on: the search from the
    /// root is saved.
    pub(super) fn leaf_covers(&self, rowid: i64) -> Result<bool> {
        let fresh = self.generation == self.tree.generation.get();
        let Some(tip) = self.path.last().filter(|_| fresh && self.place != Place::Nowhere) else {
            return Ok(false);
        };
        if !tip.node.kind.is_leaf() || tip.node.cells == 0 {
            return Ok(false);
        }
        Ok(tip.node.rowid(&tip.page, 0)? <= rowid
            && rowid <= tip.node.rowid(&tip.page, tip.node.cells - 1)?)
    }

    /// Goes to the leaf of the rowid, on it or before the row that follows there.
    pub(super) fn search_rowid(&mut self, rowid: i64) -> Result<bool> {
        self.descend_root()?;
        loop {
            let tip = self.tip_mut()?;
            if tip.node.kind.is_leaf() {
                return self.search_leaf(rowid);
            }
            tip.index = lower_rowid(&tip.node, &tip.page, rowid)?;
            let child = tip.node.child(&tip.page, tip.index)?;
            self.descend(child, 0)?;
        }
    }

    pub(super) fn search_leaf(&mut self, rowid: i64) -> Result<bool> {
        let tip = self.tip_mut()?;
        let index = lower_rowid(&tip.node, &tip.page, rowid)?;
        tip.index = index;
        let found = index < tip.node.cells && tip.node.rowid(&tip.page, index)? == rowid;
        self.place = if found { Place::On } else { Place::Before };
        if !found {
            self.saved.rowid = rowid;
        }
        Ok(found)
    }

    /// Seeks an entry of an index tree by the first `key.len()` columns; `true`: the cursor is on it.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn seek_key(&mut self, key: &[Field<'_>], seek: Seek) -> Result<bool> {
        self.leave();
        let bound = match seek {
            Seek::Eq | Seek::Ge | Seek::Lt => Bound::Lower,
            Seek::Gt | Seek::Le => Bound::Upper,
        };
        let found = self.search_key(key, bound)?;
        match seek {
            Seek::Eq if !found => self.nowhere(),
            Seek::Eq => self.land(),
            Seek::Ge if found => self.land(),
            Seek::Ge | Seek::Gt => self.settle_forward(),
            Seek::Le | Seek::Lt => self.back_from_bound(),
        }
    }

    /// The tip may be an interior entry that equals the key: what precedes it is in its left child.
    fn back_from_bound(&mut self) -> Result<bool> {
        let tip = self.tip()?;
        if !tip.node.kind.is_leaf() {
            let child = tip.node.child(&tip.page, tip.index)?;
            self.descend(child, 0)?;
            self.enter_last_leaf()?;
        }
        self.settle_backward()
    }

    /// Seeks as [`seek_key`](Cursor::seek_key) with the first `columns` fields of a record as key.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn seek_record(&mut self, record: &[u8], columns: usize, seek: Seek) -> Result<bool> {
        let fields: Vec<Field<'_>> =
            crate::record::fields(record)?.take(columns).collect::<Result<_>>()?;
        self.seek_key(&fields, seek)
    }

    /// Goes to the bound of the key. If the entry at the bound equals the key the tip is that entry,
    /// wherever in the tree it is, and the answer `true`; else the tip is a leaf.
    pub(super) fn search_key(&mut self, key: &[Field<'_>], bound: Bound) -> Result<bool> {
        let info = Rc::clone(self.key_info()?);
        self.descend_root()?;
        // The lowest level above whose entry is the bound, should the leaf not have it.
        let mut above: Option<(usize, bool)> = None;
        loop {
            let (index, equal) = self.bound_on_tip(&info, key, bound)?;
            let depth = self.path.len();
            let tip = self.tip_mut()?;
            tip.index = index;
            let inside = index < tip.node.cells;
            if tip.node.kind.is_leaf() {
                let found = if inside {
                    equal
                } else if let Some((level, true)) = above {
                    self.path.truncate(level);
                    true
                } else {
                    false
                };
                self.place = if found { Place::On } else { Place::Before };
                return Ok(found);
            }
            if inside {
                above = Some((depth, equal));
            }
            let child = tip.node.child(&tip.page, index)?;
            self.descend(child, 0)?;
        }
    }

    /// The bound among the cells of the tip, and whether the cell there equals the key.
    fn bound_on_tip(
        &mut self,
        info: &KeyInfo,
        key: &[Field<'_>],
        bound: Bound,
    ) -> Result<(usize, bool)> {
        let tip = self.path.last().ok_or(Error::Corrupt)?;
        let (mut low, mut high) = (0, tip.node.cells);
        let mut equal = false;
        while low < high {
            let middle = low + (high - low) / 2;
            let at = tip.node.cell_offset(&tip.page, middle)?;
            let order = match short_record(tip.node.kind, &tip.page, at, &self.geometry) {
                Some(record) => info.compare(record, key)?,
                None => {
                    let cell = tip.node.cell(&tip.page, middle, &self.geometry)?;
                    self.assembly.reset();
                    if cell.overflow == 0 {
                        info.compare(local(&tip.page, &cell)?, key)?
                    } else {
                        let mut pager = self.shared.pager.borrow_mut();
                        let len = cell.payload_len;
                        self.assembly.fill(&mut pager, &self.geometry, &tip.page, &cell, len)?;
                        info.compare(&self.assembly.bytes, key)?
                    }
                }
            };
            if order == Ordering::Less || (order == Ordering::Equal && bound == Bound::Upper) {
                low = middle + 1;
            } else {
                high = middle;
                equal = order == Ordering::Equal;
            }
        }
        self.assembly.reset();
        Ok((low, equal))
    }

    // ---- the entry ----------------------------------------------------------------------------

    /// The cell of the entry, decoded once.
    #[inline]
    pub(super) fn cell(&mut self) -> Result<Cell> {
        if let Some(cell) = self.cell {
            return Ok(cell);
        }
        let tip = self.tip()?;
        let cell = tip.node.cell(&tip.page, tip.index, &self.geometry)?;
        self.cell = Some(cell);
        Ok(cell)
    }

    /// Finds the place again and asks that it is an entry.
    #[inline]
    fn entry(&mut self) -> Result<Cell> {
        self.refresh()?;
        if self.place != Place::On {
            return Err(Error::Misuse("the cursor is on no entry"));
        }
        self.cell()
    }

    /// The payload of the entry at the tip, as the held pages have it.
    fn entry_bytes(&mut self) -> Result<&[u8]> {
        let cell = self.cell()?;
        if cell.overflow != 0 {
            self.assemble(cell.payload_len)?;
            return Ok(&self.assembly.bytes);
        }
        local(&self.tip()?.page, &cell)
    }

    fn assemble(&mut self, wanted: usize) -> Result<()> {
        let cell = self.cell()?;
        if self.assembly.is_started() && self.assembly.bytes.len() >= wanted {
            return Ok(());
        }
        let tip = self.path.last().ok_or(Error::Corrupt)?;
        let mut pager = self.shared.pager.borrow_mut();
        self.assembly.fill(&mut pager, &self.geometry, &tip.page, &cell, wanted)
    }

    /// The rowid of the row (table trees).
    ///
    /// # Errors
    /// [`Error::Misuse`] where the cursor is on no entry.
    #[inline]
    pub fn rowid(&mut self) -> Result<i64> {
        Ok(self.entry()?.rowid)
    }

    /// The whole record of the entry: borrowed from its page, or put together once where it
    /// overflows.
    ///
    /// # Errors
    /// As [`rowid`](Cursor::rowid), [`Error::Corrupt`].
    #[inline]
    pub fn payload(&mut self) -> Result<&[u8]> {
        self.entry()?;
        self.entry_bytes()
    }

    /// The length of the record, without reading it.
    ///
    /// # Errors
    /// As [`rowid`](Cursor::rowid).
    pub fn payload_len(&mut self) -> Result<u32> {
        Ok(self.entry()?.payload_len as u32)
    }

    /// Column `index` of the record; `None` where the record is shorter (the column was added
    /// later). The header is decoded once a row and only as far as needed; only the pages that hold
    /// the column are read.
    ///
    /// # Errors
    /// As [`payload`](Cursor::payload).
    #[inline]
    pub fn column(&mut self, index: usize) -> Result<Option<Field<'_>>> {
        let cell = self.entry()?;
        if cell.overflow != 0 {
            return self.column_with_overflow(&cell, index);
        }
        let tip = self.path.last().ok_or(Error::Corrupt)?;
        self.header.field(local(&tip.page, &cell)?, index)
    }

    fn column_with_overflow(&mut self, cell: &Cell, index: usize) -> Result<Option<Field<'_>>> {
        self.assemble(cell.local_len)?;
        let header_len = self.header.header_len(&self.assembly.bytes)?;
        self.assemble(header_len)?;
        let Some((serial, offset)) = self.header.locate(&self.assembly.bytes, index)? else {
            return Ok(None);
        };
        let len = usize::try_from(crate::record::serial_len(serial)).map_err(|_| Error::Corrupt)?;
        let end = offset.checked_add(len).filter(|end| *end <= cell.payload_len);
        self.assemble(end.ok_or(Error::Corrupt)?)?;
        let value = self.assembly.bytes.get(offset..).unwrap_or_default();
        crate::record::decode(serial, value).map(Some)
    }

    /// Reads part of the record (incremental blob I/O).
    ///
    /// # Errors
    /// As [`payload`](Cursor::payload).
    pub fn read_at(&mut self, offset: u32, out: &mut [u8]) -> Result<()> {
        let cell = self.entry()?;
        let start = offset as usize;
        let end = start.checked_add(out.len()).ok_or(Error::TooBig)?;
        if end > cell.payload_len {
            return Err(Error::Misuse("the range is outside of the record"));
        }
        let bytes = if cell.overflow == 0 {
            local(&self.tip()?.page, &cell)?
        } else {
            self.assemble(end)?;
            &self.assembly.bytes
        };
        out.copy_from_slice(bytes.get(start..end).ok_or(Error::Corrupt)?);
        Ok(())
    }

    /// The number of entries of the tree; moves nothing.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn count(&mut self) -> Result<u64> {
        let mut budget = self.shared.pager.borrow().page_count();
        self.count_below(self.tree.root, 0, &mut budget)
    }

    fn count_below(&self, page_no: PageNo, depth: usize, budget: &mut u32) -> Result<u64> {
        *budget = budget.checked_sub(1).ok_or(Error::Corrupt)?;
        if depth >= MAX_DEPTH {
            return Err(Error::Corrupt);
        }
        let page = self.shared.pager.borrow_mut().page(page_no)?;
        let node = Node::parse(&page, page_no, self.shared.geometry().usable)?;
        if node.kind.is_table() != self.is_table() {
            return Err(Error::Corrupt);
        }
        if node.kind.is_leaf() {
            return Ok(node.cells as u64);
        }
        let own = if node.kind == Kind::IndexInterior { node.cells as u64 } else { 0 };
        (0..=node.cells).try_fold(own, |sum, index| {
            let child = node.child(&page, index)?;
            Ok(sum + self.count_below(child, depth + 1, budget)?)
        })
    }
}

/// The payload bytes on the page.
#[inline]
pub(super) fn local<'p>(page: &'p [u8], cell: &Cell) -> Result<&'p [u8]> {
    page.get(cell.local_start..cell.local_start + cell.local_len).ok_or(Error::Corrupt)
}

/// The first cell of a table page whose rowid is not below `rowid`.
#[inline]
fn lower_rowid(node: &Node, page: &[u8], rowid: i64) -> Result<usize> {
    let (mut low, mut high) = (0, node.cells);
    while low < high {
        let middle = low + (high - low) / 2;
        if node.rowid(page, middle)? < rowid {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
