//! Changing a tree through a cursor.

use super::balance::Balance;
use super::cursor::{Bound, Bounds, Cursor, Level, Place, Placement, STALE, local};
use super::node::{Cell, Kind};
use super::overflow::{self, Payload};
use super::ptrmap::{self, Use};
use super::{edit, node};
use crate::pager::{Page, Pager, be32};
use crate::record::{Field, fields};
use crate::vfs::{Error, Result};

/// Key columns that are held without an allocation.
const FEW_FIELDS: usize = 12;

impl Cursor {
    /// Writes a row of a table tree, in place of the row of that rowid if there is one. `zeros` bytes
    /// of 0 follow the record (`zeroblob`). The cursor is on the row afterwards.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Corrupt`], I/O.
    pub fn insert_row(
        &mut self,
        rowid: i64,
        record: &[u8],
        zeros: u32,
        placement: Placement,
    ) -> Result<()> {
        if !self.is_table() {
            return Err(Error::Misuse("an index tree has no rowids"));
        }
        let found = self.find_row_place(rowid, placement)?;
        let payload = Payload { rowid: Some(rowid), record, zeros: zeros as usize };
        self.saved.rowid = rowid;
        self.write_entry(payload, found, placement)
    }

    /// Writes an entry of an index tree, in place of the entry whose compared columns all equal it
    /// if there is one. The cursor is on the entry afterwards.
    ///
    /// # Errors
    /// As [`insert_row`](Cursor::insert_row).
    pub fn insert_key(&mut self, record: &[u8], placement: Placement) -> Result<()> {
        let found = self.find_key_place(record, placement)?;
        let payload = Payload { rowid: None, record, zeros: 0 };
        self.write_entry(payload, found, placement)
    }

    /// Whether the path is good and goes along the right edge of the tree.
    fn is_on_last_leaf(&self) -> bool {
        let fresh = self.generation == self.tree.generation.get() && self.place != Place::Nowhere;
        let Some((leaf, parents)) = self.path.split_last() else { return false };
        fresh
            && leaf.node.kind.is_leaf()
            && leaf.node.cells > 0
            && parents.iter().all(|level| level.index == level.node.cells)
    }

    fn find_row_place(&mut self, rowid: i64, placement: Placement) -> Result<bool> {
        if !self.is_on_last_leaf() && placement == Placement::Append {
            self.last()?;
        }
        if self.is_on_last_leaf() {
            let tip = self.tip_mut()?;
            let end = tip.node.cells;
            if tip.node.rowid(&tip.page, end - 1)? < rowid {
                tip.index = end;
                self.forget_entry();
                self.place = Place::Before;
                return Ok(false);
            }
        }
        if self.leaf_covers(rowid)? {
            self.forget_entry();
            return self.search_leaf(rowid, Bounds::default());
        }
        self.search_rowid(rowid)
    }

    /// Whether a row exists. The cursor stays where it would be, so that an insert that follows need
    /// not search.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn has_row(&mut self, rowid: i64) -> Result<bool> {
        if !self.is_table() {
            return Err(Error::Misuse("an index tree has no rowids"));
        }
        let found = self.find_row_place(rowid, Placement::Anywhere)?;
        self.place = if found { Place::On } else { Place::Before };
        Ok(found)
    }

    fn find_key_place(&mut self, record: &[u8], placement: Placement) -> Result<bool> {
        if placement == Placement::Append {
            if !self.is_on_last_leaf() {
                self.last()?;
            }
            if self.is_on_last_leaf() && self.last_is_below(record)? {
                let tip = self.tip_mut()?;
                tip.index = tip.node.cells;
                self.forget_entry();
                self.place = Place::Before;
                return Ok(false);
            }
        }
        let columns = self.key_info()?.columns.len();
        let mut few = [Field::Null; FEW_FIELDS];
        if columns <= FEW_FIELDS {
            let mut count = 0;
            for (slot, field) in few.iter_mut().zip(fields(record)?.take(columns)) {
                *slot = field?;
                count += 1;
            }
            return self.search_place(few.get(..count).unwrap_or_default());
        }
        let many: Vec<Field<'_>> = fields(record)?.take(columns).collect::<Result<_>>()?;
        self.search_place(&many)
    }

    fn search_place(&mut self, key: &[Field<'_>]) -> Result<bool> {
        self.search_key(key, Bound::Lower)
    }

    fn last_is_below(&mut self, record: &[u8]) -> Result<bool> {
        let info = std::rc::Rc::clone(self.key_info()?);
        let tip = self.tip()?;
        let cell = tip.node.cell(&tip.page, tip.node.cells - 1, &self.geometry)?;
        if cell.overflow != 0 {
            return Ok(false);
        }
        Ok(info.compare_records(local(&tip.page, &cell)?, record)?.is_lt())
    }

    // ---- writing ------------------------------------------------------------------------------

    fn write_entry(
        &mut self,
        payload: Payload<'_>,
        found: bool,
        placement: Placement,
    ) -> Result<()> {
        let mut cell = self.shared.scratch.take();
        let written = self.write_cell(payload, found, placement, &mut cell);
        self.shared.scratch.replace(cell);
        match written {
            Ok(true) => {
                self.generation = self.tree.generation.get();
                self.place = Place::On;
            }
            Ok(false) => {
                // Laid out anew: found again by its key when it is needed.
                if payload.rowid.is_none() {
                    self.saved.record.clear();
                    self.saved.record.extend_from_slice(payload.record);
                }
                self.lose_path();
            }
            Err(error) => {
                self.leave();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Lets go of the pages of the path, or writing them would copy them.
    fn let_go(&mut self) {
        self.path.iter_mut().for_each(|level| level.page = Page::default());
    }

    fn lose_path(&mut self) {
        self.path.clear();
        self.generation = STALE;
        self.place = Place::Before;
    }

    /// `false`: the tree was laid out anew and the path is lost.
    fn write_cell(
        &mut self,
        payload: Payload<'_>,
        found: bool,
        placement: Placement,
        cell: &mut Vec<u8>,
    ) -> Result<bool> {
        let shared = std::rc::Rc::clone(&self.shared);
        let mut pager = shared.pager.borrow_mut();
        let geometry = self.geometry;
        let old = if found { Some(self.cell()?) } else { None };
        self.forget_entry();
        self.tree.touch();
        let level = self.path.last_mut().ok_or(Error::Corrupt)?;
        let (page_no, index) = (level.page_no, level.index);
        overflow::build_cell(&mut pager, &geometry, payload, page_no, cell)?;
        if !level.node.kind.is_leaf() {
            let child = level.node.child(&level.page, index)?;
            cell.splice(0..0, child.to_be_bytes());
        }
        if let Some(old) = &old {
            overflow::free_chain(&mut pager, &geometry, old)?;
        }
        // Let go of the page, or writing it would copy it.
        level.page = Page::default();
        let secure = pager.secure_delete();
        let page = pager.page_mut(page_no)?;
        if let Some(old) = &old {
            if old.size() == cell.len().max(4) {
                let at = level.node.cell_offset(page, index)?;
                page.get_mut(at..at + cell.len()).ok_or(Error::Corrupt)?.copy_from_slice(cell);
                return finish_cell(&mut pager, level, cell, &geometry);
            }
            edit::drop_cell(page, &mut level.node, index, old.size(), &geometry, secure)?;
        }
        if edit::insert_cell(page, &mut level.node, index, cell, &geometry)? {
            return finish_cell(&mut pager, level, cell, &geometry);
        }
        let append = placement == Placement::Append;
        self.let_go();
        Balance::new(&mut pager, geometry, append)?.insert(&self.path, index, cell)?;
        Ok(false)
    }

    // ---- removing -----------------------------------------------------------------------------

    /// Removes the entry. The cursor stays between its neighbours: `next` gives the one after it,
    /// `prev` the one before.
    ///
    /// # Errors
    /// As [`insert_row`](Cursor::insert_row).
    pub fn delete(&mut self) -> Result<()> {
        self.refresh()?;
        if self.place != Place::On {
            return Err(Error::Misuse("the cursor is on no entry"));
        }
        self.save_key()?;
        let cell = self.cell()?;
        self.forget_entry();
        let removed = self.remove(&cell);
        match removed {
            Ok(true) => {
                self.generation = self.tree.generation.get();
                self.place = Place::Before;
            }
            Ok(false) => self.lose_path(),
            Err(error) => {
                self.leave();
                return Err(error);
            }
        }
        Ok(())
    }

    /// `false`: the path is lost.
    fn remove(&mut self, cell: &Cell) -> Result<bool> {
        let shared = std::rc::Rc::clone(&self.shared);
        let mut pager = shared.pager.borrow_mut();
        self.tree.touch();
        overflow::free_chain(&mut pager, &self.geometry, cell)?;
        if self.tip()?.node.kind.is_leaf() {
            return self.remove_from_leaf(&mut pager, cell);
        }
        self.remove_from_interior(&mut pager, cell)
    }

    fn remove_from_leaf(&mut self, pager: &mut Pager, cell: &Cell) -> Result<bool> {
        let geometry = self.geometry;
        let is_root = self.path.len() == 1;
        let level = self.path.last_mut().ok_or(Error::Corrupt)?;
        level.page = Page::default();
        let secure = pager.secure_delete();
        let page = pager.page_mut(level.page_no)?;
        edit::drop_cell(page, &mut level.node, level.index, cell.size(), &geometry, secure)?;
        let free = edit::free_space(&level.node, page, geometry.usable)?;
        if is_root || free <= geometry.usable * 2 / 3 {
            level.page = pager.page(level.page_no)?;
            return Ok(true);
        }
        self.let_go();
        Balance::new(pager, geometry, false)?.shrink(&self.path)?;
        Ok(false)
    }

    /// An entry of an interior page is replaced by the one before it, which is the last of a leaf.
    fn remove_from_interior(&mut self, pager: &mut Pager, cell: &Cell) -> Result<bool> {
        let geometry = self.geometry;
        let depth = self.path.len() - 1;
        let (page_no, index) = (self.tip()?.page_no, self.tip()?.index);
        self.descend_with(pager, cell.left_child)?;
        let leaf = self.path.last().ok_or(Error::Corrupt)?;
        let last = leaf.node.cells.checked_sub(1).ok_or(Error::Corrupt)?;
        let at = leaf.node.cell_offset(&leaf.page, last)?;
        let heir = node::parse_cell(leaf.node.kind, &leaf.page, at, &geometry)?;
        let mut bytes = cell.left_child.to_be_bytes().to_vec();
        bytes.extend_from_slice(leaf.page.get(at..at + heir.len).ok_or(Error::Corrupt)?);

        let level = self.path.get_mut(depth).ok_or(Error::Corrupt)?;
        level.page = Page::default();
        let secure = pager.secure_delete();
        let page = pager.page_mut(page_no)?;
        edit::drop_cell(page, &mut level.node, index, cell.size(), &geometry, secure)?;
        let fits = edit::insert_cell(page, &mut level.node, index, &bytes, &geometry)?;
        level.page = pager.page(page_no)?;
        if !fits {
            let above = self.path.get(..=depth).ok_or(Error::Corrupt)?;
            Balance::new(pager, geometry, false)?.insert(above, index, &bytes)?;
            let record = payload_of(pager, &geometry, &bytes)?;
            self.find_twin(pager, &record)?;
        } else if ptrmap::is_kept(pager)? && heir.overflow != 0 {
            ptrmap::put(pager, heir.overflow, Use::FirstOverflow, page_no)?;
        }
        // The leaf's entry now is in the interior page: it goes, but not its overflow chain.
        let level = self.path.last_mut().ok_or(Error::Corrupt)?;
        level.page = Page::default();
        let page = pager.page_mut(level.page_no)?;
        edit::drop_cell(page, &mut level.node, level.index, heir.size(), &geometry, secure)?;
        self.let_go();
        Balance::new(pager, geometry, false)?.shrink(&self.path)?;
        Ok(false)
    }

    /// Goes from `page_no` down to the last cell of its last leaf.
    fn descend_with(&mut self, pager: &mut Pager, page_no: u32) -> Result<()> {
        let mut page_no = page_no;
        loop {
            let level = self.level(pager, page_no)?;
            if level.node.kind.is_leaf() {
                let last = level.node.cells.checked_sub(1).ok_or(Error::Corrupt)?;
                self.path.push(Level { index: last, ..level });
                return Ok(());
            }
            page_no = level.node.right_child(&level.page);
            self.path.push(Level { index: level.node.cells, ..level });
        }
    }

    fn level(&self, pager: &mut Pager, page_no: u32) -> Result<Level> {
        if self.path.len() >= node::MAX_DEPTH {
            return Err(Error::Corrupt);
        }
        let page = pager.page(page_no)?;
        let node = node::Node::parse(&page, page_no, self.geometry.usable)?;
        if node.kind.is_table() != self.is_table() {
            return Err(Error::Corrupt);
        }
        Ok(Level { page_no, page, node, index: 0 })
    }

    /// After an interior page was laid out anew: finds the entry on a leaf that equals the record
    /// and precedes its copy in an interior page.
    fn find_twin(&mut self, pager: &mut Pager, record: &[u8]) -> Result<()> {
        let info = std::rc::Rc::clone(self.key_info()?);
        let geometry = self.geometry;
        self.path.clear();
        let mut page_no = self.tree.root;
        loop {
            let mut level = self.level(pager, page_no)?;
            let (mut low, mut high) = (0, level.node.cells);
            let mut equal = false;
            while low < high {
                let middle = low + (high - low) / 2;
                let at = level.node.cell_offset(&level.page, middle)?;
                let cell = node::parse_cell(level.node.kind, &level.page, at, &geometry)?;
                let start = if level.node.kind.is_leaf() { 0 } else { 4 };
                let bytes = level.page.get(at + start..at + cell.len).ok_or(Error::Corrupt)?;
                let bytes = [&[0; 4], bytes].concat();
                let order = info.compare_records(&payload_of(pager, &geometry, &bytes)?, record)?;
                if order.is_lt() {
                    low = middle + 1;
                } else {
                    high = middle;
                    equal = order.is_eq();
                }
            }
            level.index = low;
            if level.node.kind.is_leaf() {
                self.path.push(level);
                return if equal { Ok(()) } else { Err(Error::Corrupt) };
            }
            page_no = level.node.child(&level.page, low)?;
            self.path.push(level);
        }
    }
}

/// The whole payload of an interior index cell.
fn payload_of(pager: &mut Pager, geometry: &node::Geometry, bytes: &[u8]) -> Result<Vec<u8>> {
    let cell = node::parse_cell(Kind::IndexInterior, bytes, 0, geometry)?;
    let mut assembly = overflow::Assembly::default();
    assembly.fill(pager, geometry, bytes, &cell, cell.payload_len)?;
    Ok(assembly.bytes)
}

/// The cell is on its page: the path gets the page back, and a chain its owner.
fn finish_cell(
    pager: &mut Pager,
    level: &mut Level,
    cell: &[u8],
    geometry: &node::Geometry,
) -> Result<bool> {
    let parsed = node::parse_cell(level.node.kind, cell, 0, geometry)?;
    if parsed.overflow != 0 && ptrmap::is_kept(pager)? {
        ptrmap::put(pager, parsed.overflow, Use::FirstOverflow, level.page_no)?;
    }
    level.page = pager.page(level.page_no)?;
    debug_assert!(level.node.kind.is_leaf() || be32(cell, 0) != 0);
    Ok(true)
}
