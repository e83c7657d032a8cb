//! Where pages come from and go to: the end of the file and the freelist (file format, section 1.5).
//!
//! The freelist is a chain of trunk pages: next(4) count(4) and the numbers of that many leaves.
//! What a leaf holds does not matter, so it is neither read nor journaled when it is used again.

use super::edit;
use super::node::{Geometry, Kind, MAX_DEPTH, Node};
use super::overflow;
use super::ptrmap::{self, Use};
use crate::pager::{PageNo, Pager, at, be32, put_be32};
use crate::vfs::{Error, Result};

/// Which page is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Any, but rather near this one (0: anywhere).
    Near(PageNo),
    /// This one if it is free; else any.
    Exactly(PageNo),
    /// One not above this if there is any in the freelist; else any.
    AtMost(PageNo),
}

/// How many leaves a trunk can tell, and how many we write: old versions misread the last six.
fn trunk_capacity(pager: &Pager) -> (usize, usize) {
    let words = (pager.page_size() - usize::from(pager.reserved())) / 4;
    (words - 2, words - 8)
}

/// Takes a page out of the freelist, or one past the end. Its bytes are zeros.
///
/// # Errors
/// [`Error::Full`], [`Error::Corrupt`], I/O.
pub fn allocate(pager: &mut Pager, wanted: Wanted) -> Result<PageNo> {
    let header = pager.page(1)?;
    let free = be32(&header, at::FREELIST_COUNT);
    drop(header);
    if free >= pager.page_count().max(1) {
        return Err(Error::Corrupt);
    }
    if free == 0 {
        return extend(pager);
    }
    let page_no = take_free(pager, wanted, free)?;
    put_be32(pager.page_mut(1)?, at::FREELIST_COUNT, free - 1);
    Ok(page_no)
}

fn extend(pager: &mut Pager) -> Result<PageNo> {
    let mut page_no = pager.next_page_no()?;
    if ptrmap::is_kept(pager)? && ptrmap::is_map_page(pager, page_no) {
        pager.take_page(page_no)?;
        page_no = pager.next_page_no()?;
    }
    pager.take_page(page_no)?;
    let count = pager.page_count();
    put_be32(pager.page_mut(1)?, at::PAGE_COUNT, count);
    Ok(page_no)
}

/// Sets the link to a trunk: in the header or in the trunk before.
fn set_link(pager: &mut Pager, before: PageNo, trunk: PageNo) -> Result<()> {
    if before == 0 {
        put_be32(pager.page_mut(1)?, at::FREELIST_TRUNK, trunk);
    } else {
        put_be32(pager.page_mut(before)?, 0, trunk);
    }
    Ok(())
}

fn take_free(pager: &mut Pager, wanted: Wanted, free: u32) -> Result<PageNo> {
    // A page that is wanted by number may be anywhere in the list; else the first trunk will do.
    let search = match wanted {
        Wanted::Near(_) => false,
        Wanted::Exactly(page_no) => is_free(pager, page_no)?,
        Wanted::AtMost(_) => true,
    };
    let mut before = 0;
    let mut trunk = be32(&pager.page(1)?, at::FREELIST_TRUNK);
    for _ in 0..=free {
        if trunk < 2 || trunk > pager.page_count() {
            return Err(Error::Corrupt);
        }
        let page = pager.page(trunk)?;
        let count = be32(&page, 4) as usize;
        if count > trunk_capacity(pager).0 {
            return Err(Error::Corrupt);
        }
        let next = be32(&page, 0);
        let fits = |page_no: PageNo| match wanted {
            Wanted::Near(_) => true,
            Wanted::Exactly(exact) => page_no == exact,
            Wanted::AtMost(most) => page_no <= most,
        };
        if search && fits(trunk) {
            drop(page);
            return take_trunk(pager, before, trunk, count);
        }
        if !search && count == 0 {
            drop(page);
            set_link(pager, before, next)?;
            return reuse_trunk(pager, trunk);
        }
        let leaves = (0..count).map(|index| be32(&page, 8 + 4 * index));
        let chosen = match wanted {
            _ if search => leaves.enumerate().find(|(_, page_no)| fits(*page_no)),
            Wanted::Near(0) => leaves.enumerate().next(),
            Wanted::Near(near) | Wanted::Exactly(near) | Wanted::AtMost(near) => {
                leaves.enumerate().min_by_key(|(_, page_no)| page_no.abs_diff(near))
            }
        };
        drop(page);
        if let Some((index, page_no)) = chosen {
            take_leaf(pager, trunk, count, index, page_no)?;
            return Ok(page_no);
        }
        if next == 0 && search {
            // AtMost without such a page: whatever the list has.
            return take_free(pager, Wanted::Near(0), free);
        }
        (before, trunk) = (trunk, next);
    }
    Err(Error::Corrupt)
}

fn is_free(pager: &mut Pager, page_no: PageNo) -> Result<bool> {
    let inside = page_no >= 2 && page_no <= pager.page_count();
    Ok(inside && matches!(ptrmap::get(pager, page_no), Ok((Use::Free, _))))
}

/// A trunk page becomes the page that was asked for; its first leaf takes its place.
fn take_trunk(pager: &mut Pager, before: PageNo, trunk: PageNo, count: usize) -> Result<PageNo> {
    let old = pager.page(trunk)?;
    if count == 0 {
        set_link(pager, before, be32(&old, 0))?;
        drop(old);
        return reuse_trunk(pager, trunk);
    }
    let heir = be32(&old, 8);
    if heir < 2 || heir > pager.page_count() {
        return Err(Error::Corrupt);
    }
    pager.take_page(heir)?;
    let bytes = pager.page_mut(heir)?;
    put_be32(bytes, 0, be32(&old, 0));
    put_be32(bytes, 4, count as u32 - 1);
    let rest = old.get(12..8 + 4 * count).ok_or(Error::Corrupt)?;
    bytes.get_mut(8..8 + rest.len()).ok_or(Error::Corrupt)?.copy_from_slice(rest);
    drop(old);
    set_link(pager, before, heir)?;
    reuse_trunk(pager, trunk)
}

fn reuse_trunk(pager: &mut Pager, trunk: PageNo) -> Result<PageNo> {
    pager.page_mut(trunk)?.fill(0);
    Ok(trunk)
}

fn take_leaf(
    pager: &mut Pager,
    trunk: PageNo,
    count: usize,
    index: usize,
    page_no: PageNo,
) -> Result<()> {
    if page_no < 2 || page_no > pager.page_count() || page_no == trunk {
        return Err(Error::Corrupt);
    }
    let bytes = pager.page_mut(trunk)?;
    let last = be32(bytes, 4 + 4 * count);
    put_be32(bytes, 8 + 4 * index, last);
    put_be32(bytes, 4, count as u32 - 1);
    pager.take_page(page_no)
}

/// Puts a page into the freelist.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn free(pager: &mut Pager, page_no: PageNo) -> Result<()> {
    if page_no < 2 || page_no > pager.page_count() {
        return Err(Error::Corrupt);
    }
    let header = pager.page_mut(1)?;
    let count = be32(header, at::FREELIST_COUNT);
    let trunk = be32(header, at::FREELIST_TRUNK);
    put_be32(header, at::FREELIST_COUNT, count.checked_add(1).ok_or(Error::Corrupt)?);
    if pager.secure_delete() {
        pager.page_mut(page_no)?.fill(0);
    }
    if ptrmap::is_kept(pager)? {
        ptrmap::put(pager, page_no, Use::Free, 0)?;
    }
    if count != 0 && add_leaf(pager, trunk, page_no)? {
        return Ok(());
    }
    let bytes = pager.page_mut(page_no)?;
    put_be32(bytes, 0, if count == 0 { 0 } else { trunk });
    put_be32(bytes, 4, 0);
    put_be32(pager.page_mut(1)?, at::FREELIST_TRUNK, page_no);
    Ok(())
}

fn add_leaf(pager: &mut Pager, trunk: PageNo, page_no: PageNo) -> Result<bool> {
    if trunk < 2 || trunk > pager.page_count() || trunk == page_no {
        return Err(Error::Corrupt);
    }
    let (most, wanted) = trunk_capacity(pager);
    let leaves = be32(&pager.page(trunk)?, 4) as usize;
    if leaves > most {
        return Err(Error::Corrupt);
    }
    if leaves >= wanted {
        return Ok(false);
    }
    let bytes = pager.page_mut(trunk)?;
    put_be32(bytes, 4, leaves as u32 + 1);
    put_be32(bytes, 8 + 4 * leaves, page_no);
    pager.note_content(page_no);
    Ok(true)
}

/// Frees all pages of a tree but the root, which becomes an empty leaf. Says how many entries there
/// were.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn clear_tree(pager: &mut Pager, geometry: &Geometry, root: PageNo) -> Result<u64> {
    let page = pager.page(root)?;
    let node = Node::parse(&page, root, geometry.usable)?;
    drop(page);
    let count = free_content(pager, geometry, root, node.kind.is_table(), 0)?;
    let leaf = if node.kind.is_table() { Kind::TableLeaf } else { Kind::IndexLeaf };
    edit::clear_node(pager.page_mut(root)?, node.start, leaf, geometry.usable);
    Ok(count)
}

/// Frees what a page points to: children and overflow chains.
fn free_content(
    pager: &mut Pager,
    geometry: &Geometry,
    page_no: PageNo,
    is_table: bool,
    depth: usize,
) -> Result<u64> {
    let page = pager.page(page_no)?;
    let node = Node::parse(&page, page_no, geometry.usable)?;
    if depth >= MAX_DEPTH || node.kind.is_table() != is_table {
        return Err(Error::Corrupt);
    }
    let mut count = if node.kind == Kind::TableInterior { 0 } else { node.cells as u64 };
    for index in 0..node.cells {
        let cell = node.cell(&page, index, geometry)?;
        overflow::free_chain(pager, geometry, &cell)?;
        if !node.kind.is_leaf() {
            count += free_content(pager, geometry, cell.left_child, is_table, depth + 1)?;
            free(pager, cell.left_child)?;
        }
    }
    if !node.kind.is_leaf() {
        let right = node.right_child(&page);
        count += free_content(pager, geometry, right, is_table, depth + 1)?;
        free(pager, right)?;
    }
    Ok(count)
}
