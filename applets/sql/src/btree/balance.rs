//! Keeping pages neither overfull nor nearly empty.
//!
//! The cells of up to three neighbours and the dividers between them are laid out anew over as many
//! pages as they need, evenly; the parent gets the new dividers, and may be overfull or nearly
//! empty in turn, up to the root. The root never moves: when it overflows its content goes to a new
//! child, and when a single child is left the root takes its content back.
//!
//! Old pages are read in place (they are shared, not copied) while new ones are written into
//! fresh buffers.

use super::cursor::Level;
use super::edit;
use super::node::{Geometry, Kind, Node, cell_len, parse_cell};
use super::ptrmap::{self, Use};
use super::space::{self, Wanted};
use crate::pager::{HEADER_BYTES, Page, PageNo, Pager, be32, put_be32};
use crate::record::encode_varint;
use crate::vfs::{Error, Result};

/// Neighbours that are laid out together.
const SIBLINGS: usize = 3;

/// The bytes of a cell: on an old page, or built here.
#[derive(Clone, Copy)]
struct Piece {
    /// 0: built here; else one more than the index of the page.
    source: usize,
    start: usize,
    len: usize,
}

impl Piece {
    /// What the cell takes, with its pointer.
    fn space(self) -> usize {
        self.len.max(4) + 2
    }
}

/// Where pieces are.
#[derive(Default)]
struct Arena {
    pages: Vec<Page>,
    bytes: Vec<u8>,
}

impl Arena {
    fn get(&self, piece: Piece) -> &[u8] {
        let source: &[u8] = match piece.source {
            0 => &self.bytes,
            page => self.pages.get(page - 1).map_or(&[], |page| page),
        };
        source.get(piece.start..piece.start + piece.len).unwrap_or_default()
    }

    fn add(&mut self, parts: [&[u8]; 2]) -> Piece {
        let start = self.bytes.len();
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        Piece { source: 0, start, len: self.bytes.len() - start }
    }

    /// The cell with another child before it, `skip` bytes of the old one left out.
    fn with_child(&mut self, piece: Piece, child: PageNo, skip: usize) -> Piece {
        let body = self.get(piece).get(skip..).unwrap_or_default().to_vec();
        self.add([&child.to_be_bytes(), &body])
    }
}

/// What a page holds, or is to hold.
struct Content {
    kind: Kind,
    cells: Vec<Piece>,
    right_child: PageNo,
}

impl Content {
    fn space(&self) -> usize {
        self.cells.iter().map(|piece| piece.space()).sum()
    }
}

/// One run of the balancing.
pub struct Balance<'p> {
    pager: &'p mut Pager,
    geometry: Geometry,
    arena: Arena,
    with_map: bool,
    /// Entries come in order: pages are left full.
    append: bool,
}

impl<'p> Balance<'p> {
    /// Prepares the balancing of one tree.
    ///
    /// # Errors
    /// I/O.
    pub fn new(pager: &'p mut Pager, geometry: Geometry, append: bool) -> Result<Balance<'p>> {
        let with_map = ptrmap::is_kept(pager)?;
        Ok(Balance { pager, geometry, arena: Arena::default(), with_map, append })
    }

    /// Inserts a cell for which the page at the end of the path has no room.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Corrupt`], I/O.
    pub fn insert(&mut self, path: &[Level], index: usize, cell: &[u8]) -> Result<()> {
        let depth = path.len().checked_sub(1).ok_or(Error::Corrupt)?;
        if self.is_at_end(path, index)? && self.append_page(path, cell)? {
            return Ok(());
        }
        let page_no = path.get(depth).map_or(0, |level| level.page_no);
        let mut content = self.load(page_no)?;
        let piece = self.arena.add([cell, &[]]);
        if index > content.cells.len() {
            return Err(Error::Corrupt);
        }
        content.cells.insert(index, piece);
        self.settle(path, depth, content)
    }

    /// Looks after a page that may have become nearly empty.
    ///
    /// # Errors
    /// As [`insert`](Balance::insert).
    pub fn shrink(&mut self, path: &[Level]) -> Result<()> {
        let depth = path.len().checked_sub(1).ok_or(Error::Corrupt)?;
        let page_no = path.get(depth).map_or(0, |level| level.page_no);
        let content = self.load(page_no)?;
        self.settle(path, depth, content)
    }

    // ---- the quick way for appended rows ------------------------------------------------------

    /// Whether the cell goes to the very end of the tree, below a parent other than page 1.
    fn is_at_end(&mut self, path: &[Level], index: usize) -> Result<bool> {
        let Some((leaf, parents)) = path.split_last() else { return Ok(false) };
        let quick = leaf.node.kind == Kind::TableLeaf || (self.append && leaf.node.kind.is_leaf());
        Ok(quick
            && index == leaf.node.cells
            && leaf.node.cells > 1
            && !parents.is_empty()
            && parents.iter().all(|level| level.index == level.node.cells))
    }

    /// Puts the cell alone on a new last page. `false`: not done.
    fn append_page(&mut self, path: &[Level], cell: &[u8]) -> Result<bool> {
        let [.., parent, leaf] = path else { return Ok(false) };
        let new = space::allocate(self.pager, Wanted::Near(leaf.page_no))?;
        let kind = leaf.node.kind;
        let mut buffer = self.pager.buffer();
        edit::write_node(&mut buffer, 0, kind, [cell].into_iter(), 0, self.geometry.usable)?;
        self.pager.replace(new, buffer)?;
        let old = self.pager.page(leaf.page_no)?;
        let mut node = Node::parse(&old, leaf.page_no, self.geometry.usable)?;
        let last = node.cells.checked_sub(1).ok_or(Error::Corrupt)?;
        let divider = if kind == Kind::TableLeaf {
            self.row_divider(leaf.page_no, node.rowid(&old, last)?)
        } else {
            // The last entry of the full page moves up.
            let at = node.cell_offset(&old, last)?;
            let moved = parse_cell(kind, &old, at, &self.geometry)?;
            let bytes = old.get(at..at + moved.len).ok_or(Error::Corrupt)?.to_vec();
            drop(old);
            let secure = self.pager.secure_delete();
            let page = self.pager.page_mut(leaf.page_no)?;
            edit::drop_cell(page, &mut node, last, moved.size(), &self.geometry, secure)?;
            self.arena.add([&leaf.page_no.to_be_bytes(), &bytes])
        };
        if self.with_map {
            ptrmap::put(self.pager, new, Use::Tree, parent.page_no)?;
            self.map_cell(new, kind, cell)?;
        }
        let divider_bytes = self.arena.get(divider).to_vec();
        if self.with_map {
            self.map_cell(parent.page_no, kind.interior(), &divider_bytes)?;
        }
        let mut node = parent.node;
        let page = self.pager.page_mut(parent.page_no)?;
        edit::set_right_child(page, node.start, new);
        let end = node.cells;
        if !edit::insert_cell(page, &mut node, end, &divider_bytes, &self.geometry)? {
            let mut content = self.load(parent.page_no)?;
            content.cells.push(divider);
            self.settle(path, path.len() - 2, content)?;
        }
        Ok(true)
    }

    fn row_divider(&mut self, child: PageNo, rowid: i64) -> Piece {
        let (bytes, len) = encode_varint(rowid as u64);
        self.arena.add([&child.to_be_bytes(), bytes.get(..len).unwrap_or_default()])
    }

    // ---- the general way ----------------------------------------------------------------------

    /// Reads what a page holds.
    fn load(&mut self, page_no: PageNo) -> Result<Content> {
        let page = self.pager.page(page_no)?;
        let node = Node::parse(&page, page_no, self.geometry.usable)?;
        let source = self.arena.pages.len() + 1;
        let mut cells = Vec::with_capacity(node.cells + 1);
        for index in 0..node.cells {
            let start = node.cell_offset(&page, index)?;
            let len = cell_len(node.kind, &page, start, &self.geometry)?;
            cells.push(Piece { source, start, len });
        }
        let right_child = if node.kind.is_leaf() { 0 } else { node.right_child(&page) };
        self.arena.pages.push(page);
        Ok(Content { kind: node.kind, cells, right_child })
    }

    /// Writes a page, and notes where what it points to now belongs.
    fn write(
        &mut self,
        page_no: PageNo,
        kind: Kind,
        cells: &[Piece],
        right_child: PageNo,
    ) -> Result<()> {
        let mut buffer = self.pager.buffer();
        let start = if page_no == 1 {
            let old = self.pager.page(1)?;
            let head = old.get(..HEADER_BYTES).ok_or(Error::Corrupt)?;
            buffer.to_mut().get_mut(..HEADER_BYTES).ok_or(Error::Corrupt)?.copy_from_slice(head);
            HEADER_BYTES
        } else {
            0
        };
        let arena = &self.arena;
        let bytes = cells.iter().map(|piece| arena.get(*piece));
        edit::write_node(&mut buffer, start, kind, bytes, right_child, self.geometry.usable)?;
        self.pager.replace(page_no, buffer)?;
        if self.with_map {
            for piece in cells {
                let cell = self.arena.get(*piece).to_vec();
                self.map_cell(page_no, kind, &cell)?;
            }
            if !kind.is_leaf() {
                ptrmap::put(self.pager, right_child, Use::Tree, page_no)?;
            }
        }
        Ok(())
    }

    fn write_content(&mut self, page_no: PageNo, content: &Content) -> Result<()> {
        self.write(page_no, content.kind, &content.cells, content.right_child)
    }

    fn map_cell(&mut self, page_no: PageNo, kind: Kind, bytes: &[u8]) -> Result<()> {
        let cell = parse_cell(kind, bytes, 0, &self.geometry)?;
        if !kind.is_leaf() {
            ptrmap::put(self.pager, cell.left_child, Use::Tree, page_no)?;
        }
        if cell.overflow != 0 {
            ptrmap::put(self.pager, cell.overflow, Use::FirstOverflow, page_no)?;
        }
        Ok(())
    }

    /// Writes the content of the page at `depth`, laying it out over more or fewer pages where it is
    /// overfull or nearly empty.
    fn settle(&mut self, path: &[Level], depth: usize, content: Content) -> Result<()> {
        let usable = self.geometry.usable;
        let mut content = content;
        for depth in (0..=depth).rev() {
            let level = path.get(depth).ok_or(Error::Corrupt)?;
            let room = usable - level.node.start - content.kind.header_len();
            let space = content.space();
            if depth == 0 {
                return self.settle_root(level.page_no, content, room);
            }
            if space <= room && room - space <= usable * 2 / 3 {
                return self.write_content(level.page_no, &content);
            }
            let above = path.get(depth - 1).ok_or(Error::Corrupt)?;
            match self.lay_out(above.page_no, above.index, level.page_no, content)? {
                Some(parent) => content = parent,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn settle_root(&mut self, root: PageNo, content: Content, room: usize) -> Result<()> {
        if content.space() > room {
            // All goes to a new child, which then is overfull in the root's place.
            let child = space::allocate(self.pager, Wanted::Near(root))?;
            self.write(root, content.kind.interior(), &[], child)?;
            return match self.lay_out(root, 0, child, content)? {
                Some(parent) => self.write_content(root, &parent),
                None => Ok(()),
            };
        }
        if !content.cells.is_empty() || content.kind.is_leaf() {
            return self.write_content(root, &content);
        }
        let child = content.right_child;
        let below = self.load(child)?;
        if below.kind.is_table() != content.kind.is_table() {
            return Err(Error::Corrupt);
        }
        // Page 1 has less room than its child: then it stays a root of one child.
        let room = if below.kind.is_leaf() { room + 4 } else { room };
        if below.space() > room {
            return self.write_content(root, &content);
        }
        self.write_content(root, &below)?;
        space::free(self.pager, child)
    }

    /// Lays out child `index` of the parent, whose new content is given, with its neighbours. The
    /// parent is changed in place, or, where it must be laid out in turn, its content comes back.
    fn lay_out(
        &mut self,
        parent_no: PageNo,
        index: usize,
        child_no: PageNo,
        child: Content,
    ) -> Result<Option<Content>> {
        let kind = child.kind;
        let parent = self.pager.page(parent_no)?;
        let node = Node::parse(&parent, parent_no, self.geometry.usable)?;
        let last = node.cells;
        if node.kind != kind.interior() || index > last || node.child(&parent, index)? != child_no {
            return Err(Error::Corrupt);
        }
        let wanted = if self.append && index == last { SIBLINGS - 1 } else { SIBLINGS };
        let count = wanted.min(last + 1);
        let first = index.saturating_sub(1).min(last + 1 - count);
        let siblings = Siblings { first, count, index };
        let (cells, mut pages, right_child) = self.gather(&parent, &node, &siblings, child)?;
        drop(parent);
        let ends = self.distribute(kind, &cells)?;
        self.fit_pages(&mut pages, ends.len())?;
        let dividers = self.write_pages(kind, &cells, &ends, &pages, right_child)?;
        self.change_parent(parent_no, &siblings, &dividers, &pages)
    }

    /// The cells of the neighbours and the dividers between them, in order.
    fn gather(
        &mut self,
        parent: &[u8],
        node: &Node,
        siblings: &Siblings,
        child: Content,
    ) -> Result<(Vec<Piece>, Vec<PageNo>, PageNo)> {
        let kind = child.kind;
        let mut cells = Vec::with_capacity((child.cells.len() + 2) * siblings.count);
        let (mut pages, mut right_child) = (Vec::with_capacity(SIBLINGS + 2), 0);
        let mut child = Some(child);
        let end = siblings.first + siblings.count;
        for at in siblings.first..end {
            let page_no = node.child(parent, at)?;
            let content = match child.take_if(|_| at == siblings.index) {
                Some(content) => content,
                None => self.load(page_no)?,
            };
            if content.kind != kind || pages.contains(&page_no) {
                return Err(Error::Corrupt);
            }
            pages.push(page_no);
            cells.extend_from_slice(&content.cells);
            right_child = content.right_child;
            if at + 1 == end || kind == Kind::TableLeaf {
                continue;
            }
            let start = node.cell_offset(parent, at)?;
            let len = parse_cell(node.kind, parent, start, &self.geometry)?.len;
            let divider = parent.get(start + 4..start + len).ok_or(Error::Corrupt)?;
            cells.push(if kind.is_leaf() {
                self.arena.add([divider, &[]])
            } else {
                self.arena.add([&content.right_child.to_be_bytes(), divider])
            });
        }
        Ok((cells, pages, right_child))
    }

    /// Where each new page ends: the index after its last cell, which (but for table leaves) is the
    /// divider.
    fn distribute(&self, kind: Kind, cells: &[Piece]) -> Result<Vec<usize>> {
        let room = self.geometry.usable - kind.header_len();
        let divider = usize::from(kind != Kind::TableLeaf);
        let space = |index: usize| cells.get(index).map_or(0, |piece| piece.space());
        let (mut ends, mut used): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut next = 0;
        loop {
            let mut sum = 0;
            let start = next;
            while next < cells.len() && sum + space(next) <= room {
                sum += space(next);
                next += 1;
            }
            ends.push(next);
            used.push(sum);
            if next >= cells.len() {
                break;
            }
            if next == start {
                return Err(Error::Corrupt);
            }
            next += divider;
        }
        // Packed to the left so far: move cells to the right until neighbours are even.
        for page in (1..ends.len()).rev() {
            let (mut left, mut right) = (used[page - 1], used[page]);
            let mut end = ends[page - 1];
            let least = if page > 1 { ends[page - 2] + divider } else { 0 };
            while end > least + 1 {
                let (leaving, arriving) = (space(end - 1), space(end - 1 + divider));
                if right > 0 && (self.append || right + arriving > left - leaving) {
                    break;
                }
                right += arriving;
                left -= leaving;
                end -= 1;
            }
            ends[page - 1] = end;
            used[page - 1] = left;
            used[page] = right;
        }
        Ok(ends)
    }

    /// Takes or frees pages until there are `count`, in ascending order: a scan then reads forward.
    fn fit_pages(&mut self, pages: &mut Vec<PageNo>, count: usize) -> Result<()> {
        while pages.len() < count {
            let near = pages.last().copied().unwrap_or(0);
            pages.push(space::allocate(self.pager, Wanted::Near(near))?);
        }
        pages.sort_unstable();
        while pages.len() > count {
            if let Some(page_no) = pages.pop() {
                space::free(self.pager, page_no)?;
            }
        }
        Ok(())
    }

    /// Writes the new pages and gives the dividers between them.
    fn write_pages(
        &mut self,
        kind: Kind,
        cells: &[Piece],
        ends: &[usize],
        pages: &[PageNo],
        right_child: PageNo,
    ) -> Result<Vec<Piece>> {
        let mut dividers = Vec::new();
        let mut start = 0;
        for (index, (end, page_no)) in ends.iter().zip(pages).enumerate() {
            let own = cells.get(start..*end).ok_or(Error::Corrupt)?;
            let is_last = index + 1 == ends.len();
            let mut right = right_child;
            start = *end;
            if !is_last && kind == Kind::TableLeaf {
                let last = own.last().copied().ok_or(Error::Corrupt)?;
                let rowid = parse_cell(kind, self.arena.get(last), 0, &self.geometry)?.rowid;
                dividers.push(self.row_divider(*page_no, rowid));
            } else if !is_last {
                let divider = *cells.get(*end).ok_or(Error::Corrupt)?;
                start += 1;
                let skip = if kind.is_leaf() { 0 } else { 4 };
                right = be32(self.arena.get(divider), 0);
                dividers.push(self.arena.with_child(divider, *page_no, skip));
            }
            let right_child = if kind.is_leaf() { 0 } else { right };
            self.write(*page_no, kind, own, right_child)?;
        }
        Ok(dividers)
    }

    /// Puts the new dividers in place of the old ones. Where the parent has no room for them, or is
    /// nearly empty then, its content comes back.
    fn change_parent(
        &mut self,
        parent_no: PageNo,
        siblings: &Siblings,
        dividers: &[Piece],
        pages: &[PageNo],
    ) -> Result<Option<Content>> {
        let last_page = *pages.last().ok_or(Error::Corrupt)?;
        let geometry = self.geometry;
        let secure = self.pager.secure_delete();
        let page = self.pager.page_mut(parent_no)?;
        let mut node = Node::parse(page, parent_no, geometry.usable)?;
        let after = siblings.first + siblings.count - 1;
        if after == node.cells {
            edit::set_right_child(page, node.start, last_page);
        } else {
            let at = node.cell_offset(page, after)?;
            put_be32(page, at, last_page);
        }
        for _ in siblings.first..after {
            let cell = node.cell(page, siblings.first, &geometry)?;
            edit::drop_cell(page, &mut node, siblings.first, cell.size(), &geometry, secure)?;
        }
        let mut next = siblings.first;
        for piece in dividers {
            let cell = self.arena.get(*piece);
            if !edit::insert_cell(page, &mut node, next, cell, &geometry)? {
                break;
            }
            next += 1;
        }
        let left = dividers.get(next - siblings.first..).unwrap_or_default();
        let nearly_empty =
            edit::free_space(&node, page, geometry.usable)? > geometry.usable * 2 / 3;
        if self.with_map {
            for piece in dividers {
                let cell = self.arena.get(*piece).to_vec();
                self.map_cell(parent_no, node.kind, &cell)?;
            }
            ptrmap::put(self.pager, last_page, Use::Tree, parent_no)?;
        }
        if left.is_empty() && !nearly_empty {
            return Ok(None);
        }
        let mut content = self.load(parent_no)?;
        content.cells.splice(next..next, left.iter().copied());
        Ok(Some(content))
    }
}

/// Which children of a parent are laid out.
struct Siblings {
    first: usize,
    count: usize,
    /// The one whose content is given.
    index: usize,
}
