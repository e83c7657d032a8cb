//! Auto-vacuum: roots at the front of the file, and free pages given back to the file system.
//!
//! The pointer maps say who points to a page, so the last page of the file can take the place of a
//! free one and the file be cut. Roots are only found by the schema, which does not want to be
//! rewritten: they fill the pages from 2 on, and the header knows the largest.

use super::edit;
use super::node::{Geometry, Node, parse_cell};
use super::ptrmap::{self, Use};
use super::space::{self, Wanted};
use crate::pager::{PageNo, Pager, at, be32, put_be32};
use crate::vfs::{Error, Result};

/// Whether the page can hold anything but a pointer map or the lock bytes.
fn is_ordinary(pager: &Pager, page_no: PageNo) -> bool {
    page_no != pager.pending_page() && !ptrmap::is_map_page(pager, page_no)
}

fn geometry(pager: &Pager) -> Geometry {
    Geometry::new(pager.page_size(), pager.reserved())
}

fn header_value(pager: &mut Pager, offset: usize) -> Result<u32> {
    Ok(be32(&pager.page(1)?, offset))
}

/// Prepares the commit of a full auto-vacuum database; `true`: pages were moved.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn commit(pager: &mut Pager) -> Result<bool> {
    let is_full = pager.is_changed()
        && ptrmap::is_kept(pager)?
        && header_value(pager, at::INCREMENTAL_VACUUM)? == 0;
    if !is_full {
        return Ok(false);
    }
    let count = pager.page_count();
    let free = header_value(pager, at::FREELIST_COUNT)?;
    if free == 0 {
        return Ok(false);
    }
    if !is_ordinary(pager, count) || free >= count {
        return Err(Error::Corrupt);
    }
    let target = size_without(pager, count, free)?;
    for last in (target + 1..=count).rev() {
        if !is_ordinary(pager, last) {
            continue;
        }
        match ptrmap::get(pager, last)? {
            (Use::Root, _) => return Err(Error::Corrupt),
            (Use::Free, _) => {}
            (kind, owner) => {
                // Free pages past the target are taken out of the list and forgotten.
                let mut place = space::allocate(pager, Wanted::Near(0))?;
                while place > target {
                    place = space::allocate(pager, Wanted::Near(0))?;
                }
                relocate(pager, last, kind, owner, place)?;
            }
        }
    }
    let header = pager.page_mut(1)?;
    put_be32(header, at::FREELIST_TRUNK, 0);
    put_be32(header, at::FREELIST_COUNT, 0);
    put_be32(header, at::PAGE_COUNT, target);
    pager.set_page_count(target);
    Ok(true)
}

/// Pages of the database once `free` of them are gone, and the pointer maps that they needed.
fn size_without(pager: &Pager, count: PageNo, free: u32) -> Result<PageNo> {
    let entries = (geometry(pager).usable / 5) as u64;
    let maps = (u64::from(free) + u64::from(ptrmap::map_page(pager, count)) + entries
        - u64::from(count))
        / entries;
    let target = u64::from(count).checked_sub(u64::from(free) + maps).ok_or(Error::Corrupt)?;
    let mut target = PageNo::try_from(target).map_err(|_| Error::Corrupt)?;
    let pending = pager.pending_page();
    if count > pending && target < pending {
        target -= 1;
    }
    while target > 1 && !is_ordinary(pager, target) {
        target -= 1;
    }
    if target == 0 { Err(Error::Corrupt) } else { Ok(target) }
}

/// Gives back up to `pages` free pages, all if 0.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn incremental(pager: &mut Pager, pages: u32) -> Result<()> {
    if pager.page_count() == 0 || !ptrmap::is_kept(pager)? {
        return Ok(());
    }
    let most = if pages == 0 { u32::MAX } else { pages };
    for _ in 0..most {
        let count = pager.page_count();
        let free = header_value(pager, at::FREELIST_COUNT)?;
        if free == 0 {
            break;
        }
        if free >= count {
            return Err(Error::Corrupt);
        }
        give_back_last(pager, count, free)?;
    }
    Ok(())
}

fn give_back_last(pager: &mut Pager, last: PageNo, free: u32) -> Result<()> {
    let target = size_without(pager, last, free)?;
    if is_ordinary(pager, last) {
        match ptrmap::get(pager, last)? {
            (Use::Root, _) => return Err(Error::Corrupt),
            (Use::Free, _) => {
                if space::allocate(pager, Wanted::Exactly(last))? != last {
                    return Err(Error::Corrupt);
                }
            }
            (kind, owner) => {
                let place = space::allocate(pager, Wanted::AtMost(target))?;
                if place >= last {
                    return Err(Error::Corrupt);
                }
                relocate(pager, last, kind, owner, place)?;
            }
        }
    }
    let mut count = last - 1;
    while count > 1 && !is_ordinary(pager, count) {
        count -= 1;
    }
    put_be32(pager.page_mut(1)?, at::PAGE_COUNT, count);
    pager.set_page_count(count);
    Ok(())
}

/// Allocates a root page.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn make_root(pager: &mut Pager) -> Result<PageNo> {
    let largest = header_value(pager, at::LARGEST_ROOT)?;
    if largest > pager.page_count() {
        return Err(Error::Corrupt);
    }
    let mut root = largest + 1;
    while !is_ordinary(pager, root) {
        root += 1;
    }
    let place = space::allocate(pager, Wanted::Exactly(root))?;
    if place != root {
        // Somebody lives there: it moves to the page that was free.
        match ptrmap::get(pager, root)? {
            (Use::Root | Use::Free, _) => return Err(Error::Corrupt),
            (kind, owner) => relocate(pager, root, kind, owner, place)?,
        }
        pager.page_mut(root)?.fill(0);
    }
    ptrmap::put(pager, root, Use::Root, 0)?;
    put_be32(pager.page_mut(1)?, at::LARGEST_ROOT, root);
    Ok(root)
}

/// Frees a root page; the last root moves into its place.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn drop_root(pager: &mut Pager, root: PageNo) -> Result<Option<PageNo>> {
    let largest = header_value(pager, at::LARGEST_ROOT)?;
    if root > largest {
        return Err(Error::Corrupt);
    }
    let moved = root != largest;
    if moved {
        relocate(pager, largest, Use::Root, 0, root)?;
        ptrmap::put(pager, root, Use::Root, 0)?;
    }
    space::free(pager, largest)?;
    let mut next = largest - 1;
    while next > 1 && !is_ordinary(pager, next) {
        next -= 1;
    }
    put_be32(pager.page_mut(1)?, at::LARGEST_ROOT, next);
    Ok(moved.then_some(largest))
}

/// Moves a page of that use to `to`, and everything that points to it along.
fn relocate(pager: &mut Pager, from: PageNo, kind: Use, owner: PageNo, to: PageNo) -> Result<()> {
    if from < 3 || to < 3 {
        return Err(Error::Corrupt);
    }
    let page = pager.page(from)?;
    pager.replace(to, page.clone())?;
    if matches!(kind, Use::Tree | Use::Root) {
        adopt_children(pager, &page, to)?;
    } else {
        let next = be32(&page, 0);
        if next != 0 {
            ptrmap::put(pager, next, Use::Overflow, to)?;
        }
    }
    if kind == Use::Root {
        return Ok(());
    }
    redirect(pager, owner, from, to, kind)?;
    ptrmap::put(pager, to, kind, owner)
}

/// What a tree page points to has a new owner.
fn adopt_children(pager: &mut Pager, page: &[u8], page_no: PageNo) -> Result<()> {
    let geometry = geometry(pager);
    let node = Node::parse(page, page_no, geometry.usable)?;
    for index in 0..node.cells {
        let cell = node.cell(page, index, &geometry)?;
        if cell.overflow != 0 {
            ptrmap::put(pager, cell.overflow, Use::FirstOverflow, page_no)?;
        }
        if !node.kind.is_leaf() {
            ptrmap::put(pager, cell.left_child, Use::Tree, page_no)?;
        }
    }
    if !node.kind.is_leaf() {
        ptrmap::put(pager, node.right_child(page), Use::Tree, page_no)?;
    }
    Ok(())
}

/// Changes the pointer to `from` on page `owner`.
fn redirect(pager: &mut Pager, owner: PageNo, from: PageNo, to: PageNo, kind: Use) -> Result<()> {
    let geometry = geometry(pager);
    let page = pager.page(owner)?;
    if kind == Use::Overflow {
        if be32(&page, 0) != from {
            return Err(Error::Corrupt);
        }
        drop(page);
        put_be32(pager.page_mut(owner)?, 0, to);
        return Ok(());
    }
    let node = Node::parse(&page, owner, geometry.usable)?;
    for index in 0..node.cells {
        let start = node.cell_offset(&page, index)?;
        let cell = parse_cell(node.kind, &page, start, &geometry)?;
        let (pointer, offset) = if kind == Use::FirstOverflow {
            (cell.overflow, cell.local_start + cell.local_len)
        } else {
            (cell.left_child, start)
        };
        if pointer == from {
            drop(page);
            put_be32(pager.page_mut(owner)?, offset, to);
            return Ok(());
        }
    }
    if kind != Use::Tree || node.kind.is_leaf() || node.right_child(&page) != from {
        return Err(Error::Corrupt);
    }
    drop(page);
    edit::set_right_child(pager.page_mut(owner)?, node.start, to);
    Ok(())
}
