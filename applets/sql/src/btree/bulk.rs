//! Filling an empty index tree with sorted entries, from the leaves up.
//!
//! One page of every level is under construction, in memory. A cell that finds no room waits; when
//! another follows it, it becomes the divider in the level above, the page is written, and the next
//! one begins. So pages are written once, full, in the order of the keys, and no search and no
//! balancing happens. A cell that still waits at the end sends its neighbour up instead, so that no
//! page is left without a cell.

use std::rc::Rc;

use super::edit::{clear_node, insert_cell, set_right_child};
use super::node::{Geometry, Kind, Node, parse_cell};
use super::overflow::{Payload, build_cell};
use super::space::{self, Wanted};
use super::{ptrmap, store::Shared};
use crate::pager::{PageNo, Pager, be32};
use crate::vfs::{Error, Result};

/// A page under construction.
struct Level {
    page: Vec<u8>,
    node: Node,
    /// The cell that found no room.
    waiting: Option<Vec<u8>>,
}

impl Level {
    fn new(kind: Kind, page_size: usize, geometry: &Geometry) -> Level {
        let mut page = vec![0; page_size];
        clear_node(&mut page, 0, kind, geometry.usable);
        Level { page, node: Node { kind, start: 0, cells: 0 }, waiting: None }
    }

    fn reset(&mut self, geometry: &Geometry) {
        self.page.fill(0);
        clear_node(&mut self.page, 0, self.node.kind, geometry.usable);
        self.node.cells = 0;
    }

    /// Takes the last cell off.
    fn pop(&mut self, geometry: &Geometry) -> Result<Vec<u8>> {
        let cells = self.cells(geometry)?;
        let (last, rest) = cells.split_last().ok_or(Error::Corrupt)?;
        self.reset(geometry);
        for cell in rest {
            self.push(cell, geometry)?;
        }
        Ok(last.clone())
    }

    fn cells(&self, geometry: &Geometry) -> Result<Vec<Vec<u8>>> {
        (0..self.node.cells)
            .map(|index| {
                let at = self.node.cell_offset(&self.page, index)?;
                let cell = parse_cell(self.node.kind, &self.page, at, geometry)?;
                Ok(self.page.get(at..at + cell.len).ok_or(Error::Corrupt)?.to_vec())
            })
            .collect()
    }

    fn push(&mut self, cell: &[u8], geometry: &Geometry) -> Result<bool> {
        let end = self.node.cells;
        insert_cell(&mut self.page, &mut self.node, end, cell, geometry)
    }
}

/// Builds an index tree.
pub struct Bulk {
    shared: Rc<Shared>,
    root: PageNo,
    geometry: Geometry,
    page_size: usize,
    levels: Vec<Level>,
    last_page: PageNo,
}

impl Bulk {
    /// Begins to fill the tree at `root`, which is empty; `None` where a map of pages has to be kept.
    pub(super) fn new(shared: &Rc<Shared>, root: PageNo) -> Result<Option<Bulk>> {
        let pager = &mut *shared.pager.borrow_mut();
        if root <= 1 || ptrmap::is_kept(pager)? {
            return Ok(None);
        }
        let (geometry, page_size) = (shared.geometry(), pager.page_size());
        let levels = vec![Level::new(Kind::IndexLeaf, page_size, &geometry)];
        let last_page = root;
        Ok(Some(Bulk { shared: Rc::clone(shared), root, geometry, page_size, levels, last_page }))
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// [`Error::TooBig`], [`Error::Full`], I/O.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        let mut cell = Vec::with_capacity(record.len() + 9);
        let payload = Payload { rowid: None, record, zeros: 0 };
        let shared = Rc::clone(&self.shared);
        let pager = &mut *shared.pager.borrow_mut();
        build_cell(pager, &self.geometry, payload, self.last_page, &mut cell)?;
        self.put(pager, 0, cell)
    }

    /// Puts a cell into a level.
    fn put(&mut self, pager: &mut Pager, at: usize, cell: Vec<u8>) -> Result<()> {
        if self.levels.len() == at {
            self.levels.push(Level::new(Kind::IndexInterior, self.page_size, &self.geometry));
        }
        let level = self.levels.get_mut(at).ok_or(Error::Corrupt)?;
        if let Some(divider) = level.waiting.take() {
            self.divide(pager, at, &divider)?;
        }
        let level = self.levels.get_mut(at).ok_or(Error::Corrupt)?;
        if !level.push(&cell, &self.geometry)? {
            level.waiting = Some(cell);
        }
        Ok(())
    }

    /// Ends the page of a level: `cell`, which comes behind it, goes up.
    fn divide(&mut self, pager: &mut Pager, at: usize, cell: &[u8]) -> Result<()> {
        let level = self.levels.get_mut(at).ok_or(Error::Corrupt)?;
        let mut entry = cell;
        if !level.node.kind.is_leaf() {
            set_right_child(&mut level.page, 0, be32(cell, 0));
            entry = cell.get(4..).ok_or(Error::Corrupt)?;
        }
        let page_no = self.write(pager, at)?;
        self.put(pager, at + 1, [&page_no.to_be_bytes(), entry].concat())
    }

    /// Writes the page of a level out and begins a new one; gives its number.
    fn write(&mut self, pager: &mut Pager, at: usize) -> Result<PageNo> {
        let page_no = space::allocate(pager, Wanted::Near(self.last_page))?;
        self.last_page = page_no;
        let level = self.levels.get_mut(at).ok_or(Error::Corrupt)?;
        pager.page_mut(page_no)?.copy_from_slice(&level.page);
        level.reset(&self.geometry);
        Ok(page_no)
    }

    /// Finishes the tree.
    ///
    /// # Errors
    /// As [`push`](Bulk::push).
    pub fn finish(mut self) -> Result<()> {
        let shared = Rc::clone(&self.shared);
        let pager = &mut *shared.pager.borrow_mut();
        let mut below = None;
        let mut at = 0;
        while at < self.levels.len() {
            if let Some(waiting) = self.levels[at].waiting.take() {
                let neighbour = self.levels[at].pop(&self.geometry)?;
                self.divide(pager, at, &neighbour)?;
                self.levels[at].push(&waiting, &self.geometry)?;
            }
            if let Some(child) = below {
                set_right_child(&mut self.levels[at].page, 0, child);
            }
            if at + 1 < self.levels.len() {
                below = Some(self.write(pager, at)?);
            }
            at += 1;
        }
        let top = self.levels.last().ok_or(Error::Corrupt)?;
        pager.page_mut(self.root)?.copy_from_slice(&top.page);
        Ok(())
    }
}
