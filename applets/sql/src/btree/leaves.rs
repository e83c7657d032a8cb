//! The leaves of a table tree in order, many at a time: what a scan of the whole table reads.
//!
//! The numbers of the leaves stand in the interior pages above them, so they are known before they
//! are read, and those that follow each other in the file are read at once
//! ([`Pager::scan`](crate::pager::Pager::scan)). Rows are told by where they lie; nothing is copied.
//!
//! When the tree is changed between two reads, the walk goes down anew behind the last row given.

use std::rc::Rc;

use super::node::{Cell, Geometry, Kind, MAX_DEPTH, Node, parse_cell};
use super::overflow::Assembly;
use super::store::{Shared, Tree};
use crate::pager::{Page, PageNo};
use crate::vfs::{Error, Result};

/// An interior page, and which of its children is next.
struct Level {
    page: Page,
    node: Node,
    next: usize,
}

/// A walk over the leaves of a table tree.
pub struct Leaves {
    shared: Rc<Shared>,
    tree: Rc<Tree>,
    geometry: Geometry,
    generation: u64,
    started: bool,
    path: Vec<Level>,
    /// The least rowid that was not given yet.
    from: i64,
    to: i64,
    done: bool,
    numbers: Vec<PageNo>,
    spare: Vec<Page>,
    /// Leaves read so far: more than the file has pages is a loop.
    passed: u32,
}

/// A row where it lies on its leaf.
#[derive(Clone, Copy, Debug)]
pub struct LeafRow {
    /// Its rowid.
    pub rowid: i64,
    /// Where its record begins on the page.
    pub start: usize,
    /// Bytes of the record on the page.
    pub local_len: usize,
    /// The cell goes on in an overflow chain.
    pub overflows: bool,
}

impl Leaves {
    pub(super) fn new(shared: Rc<Shared>, tree: Rc<Tree>, from: i64, to: i64) -> Leaves {
        let geometry = shared.geometry();
        Leaves {
            shared,
            tree,
            geometry,
            generation: 0,
            started: false,
            path: Vec::new(),
            from,
            to,
            done: from > to,
            numbers: Vec::new(),
            spare: Vec::new(),
            passed: 0,
        }
    }

    /// Takes pages back whose rows are done with, to be filled again.
    pub fn recycle(&mut self, pages: &mut Vec<Page>) {
        self.spare.append(pages);
    }

    /// Appends up to `most` leaves to `out`; `false`: there are no more.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn read(&mut self, most: usize, out: &mut Vec<Page>) -> Result<bool> {
        if self.started && self.generation != self.tree.generation.get() {
            self.started = false;
        }
        if self.done {
            return Ok(false);
        }
        self.numbers.clear();
        if self.started {
            self.gather(most)?;
        } else {
            self.descend(most)?;
        }
        if self.numbers.is_empty() {
            self.done = true;
            return Ok(false);
        }
        let pager = &mut *self.shared.pager.borrow_mut();
        self.passed = self.passed.saturating_add(self.numbers.len() as u32);
        if self.passed > pager.page_count() {
            return Err(Error::Corrupt);
        }
        pager.scan(&self.numbers, &mut self.spare, out)?;
        Ok(true)
    }

    /// Goes down to the leaf of the next row.
    fn descend(&mut self, most: usize) -> Result<()> {
        self.path.clear();
        self.generation = self.tree.generation.get();
        self.geometry = self.shared.geometry();
        self.started = true;
        let mut page_no = self.tree.root;
        loop {
            if self.path.len() >= MAX_DEPTH {
                return Err(Error::Corrupt);
            }
            let page = self.shared.pager.borrow_mut().page(page_no)?;
            let node = Node::parse(&page, page_no, self.geometry.usable)?;
            match node.kind {
                Kind::TableLeaf => break,
                Kind::TableInterior => {}
                _ => return Err(Error::Corrupt),
            }
            let next = first_child(&node, &page, self.from)?;
            page_no = node.child(&page, next)?;
            self.path.push(Level { page, node, next });
        }
        if self.path.is_empty() {
            self.numbers.push(page_no);
            return Ok(());
        }
        self.gather(most)
    }

    /// Takes the numbers of the next leaves from the interior pages above them.
    fn gather(&mut self, most: usize) -> Result<()> {
        let depth = self.path.len();
        while let Some(level) = self.path.last_mut() {
            if level.next > level.node.cells {
                self.path.pop();
                continue;
            }
            let child = level.node.child(&level.page, level.next)?;
            level.next += 1;
            if self.path.len() < depth {
                self.enter(child, depth)?;
                continue;
            }
            self.numbers.push(child);
            let full = self.numbers.len() >= most;
            let last = self.path.last().is_some_and(|level| level.next > level.node.cells);
            if full || last {
                break;
            }
        }
        // The last of a subtree is given alone with it: the next call goes up.
        Ok(())
    }

    /// Goes from an interior page down to the lowest level above the leaves.
    fn enter(&mut self, child: PageNo, depth: usize) -> Result<()> {
        let mut page_no = child;
        while self.path.len() < depth {
            let page = self.shared.pager.borrow_mut().page(page_no)?;
            let node = Node::parse(&page, page_no, self.geometry.usable)?;
            if node.kind != Kind::TableInterior {
                return Err(Error::Corrupt);
            }
            page_no = node.child(&page, 0)?;
            let next = usize::from(self.path.len() + 1 < depth);
            self.path.push(Level { page, node, next });
        }
        Ok(())
    }

    /// Tells every row of a leaf that is wanted, in order.
    ///
    /// # Errors
    /// [`Error::Corrupt`]; what `each` reports.
    #[inline]
    pub fn rows<E: From<Error>>(
        &mut self,
        page: &[u8],
        mut each: impl FnMut(LeafRow) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        // A tree rooted in page 1 is not walked so: its header lies elsewhere.
        let node = Node::parse(page, 0, self.geometry.usable)?;
        if node.kind != Kind::TableLeaf {
            return Err(Error::Corrupt.into());
        }
        for index in 0..node.cells {
            let at = node.cell_offset(page, index)?;
            let row = leaf_row(page, at, &self.geometry)?;
            if row.rowid < self.from {
                continue;
            }
            if row.rowid > self.to {
                self.done = true;
                return Ok(());
            }
            match row.rowid.checked_add(1) {
                Some(next) => self.from = next,
                None => self.done = true,
            }
            each(row)?;
        }
        Ok(())
    }

    /// The cells of a leaf.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn count(&self, page: &[u8]) -> Result<usize> {
        Ok(Node::parse(page, 0, self.geometry.usable)?.cells)
    }

    /// Reads the whole record of a row that overflows.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O.
    pub fn assemble(&self, page: &[u8], start: usize) -> Result<Vec<u8>> {
        // Where the record begins is known, where the cell begins is not: it is looked for.
        let node = Node::parse(page, 0, self.geometry.usable)?;
        for index in 0..node.cells {
            let cell = node.cell(page, index, &self.geometry)?;
            if cell.local_start == start {
                let mut assembly = Assembly::default();
                let mut pager = self.shared.pager.borrow_mut();
                assembly.fill(&mut pager, &self.geometry, page, &cell, cell.payload_len)?;
                return Ok(assembly.bytes);
            }
        }
        Err(Error::Corrupt)
    }
}

/// The child of an interior page that holds the least rowid not below `from`.
fn first_child(node: &Node, page: &[u8], from: i64) -> Result<usize> {
    let (mut low, mut high) = (0, node.cells);
    while low < high {
        let middle = low + (high - low) / 2;
        if node.rowid(page, middle)? < from {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Decodes the cell at `at`: lengths of one and two bytes by hand, the rest as every cell.
#[inline]
fn leaf_row(page: &[u8], at: usize, geometry: &Geometry) -> Result<LeafRow> {
    if let Some(&[first, a, b, c, d]) = page.get(at..).and_then(|head| head.first_chunk())
        && first < 0x80
        && usize::from(first) <= geometry.usable - 35
    {
        let low = |byte: u8| i64::from(byte & 0x7f);
        let (rowid, len) = if a < 0x80 {
            (low(a), 1)
        } else if b < 0x80 {
            (low(a) << 7 | low(b), 2)
        } else if c < 0x80 {
            (low(a) << 14 | low(b) << 7 | low(c), 3)
        } else if d < 0x80 {
            (low(a) << 21 | low(b) << 14 | low(c) << 7 | low(d), 4)
        } else {
            return long_row(page, at, geometry);
        };
        let (start, local_len) = (at + 1 + len, usize::from(first));
        if start + local_len > geometry.usable {
            return Err(Error::Corrupt);
        }
        return Ok(LeafRow { rowid, start, local_len, overflows: false });
    }
    long_row(page, at, geometry)
}

fn long_row(page: &[u8], at: usize, geometry: &Geometry) -> Result<LeafRow> {
    let Cell { rowid, local_start, local_len, overflow, .. } =
        parse_cell(Kind::TableLeaf, page, at, geometry)?;
    Ok(LeafRow { rowid, start: local_start, local_len, overflows: overflow != 0 })
}
