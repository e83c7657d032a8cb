//! Changing one tree page in place: space, freeblocks and the cell pointers.
//!
//! Free space is the gap between the pointers and the content, the freeblocks (a list in the order
//! of offsets; next(2) size(2) at the start of each) and up to 60 bytes of fragments, each too
//! short to hold a freeblock.

use super::node::{Geometry, Kind, Node, be16, parse_cell};
use crate::pager::{Page, put_be32};
use crate::vfs::{Error, Result};

/// More fragments than this and the page is packed anew.
const MAX_FRAGMENTS: usize = 60;

fn put16(page: &mut [u8], at: usize, value: usize) {
    if let Some(out) = page.get_mut(at..at + 2) {
        // 65536 wraps to 0, which is how the format writes it.
        out.copy_from_slice(&(value as u16).to_be_bytes());
    }
}

/// Writes the header of a page without cells. The rest is left as it is.
pub fn clear_node(page: &mut [u8], start: usize, kind: Kind, usable: usize) {
    if let Some(header) = page.get_mut(start..start + kind.header_len()) {
        header.fill(0);
        if let Some(byte) = header.first_mut() {
            *byte = kind.to_byte();
        }
    }
    put16(page, start + 5, usable);
}

/// Sets the rightmost child of an interior page.
pub fn set_right_child(page: &mut [u8], start: usize, child: u32) {
    put_be32(page, start + 8, child);
}

/// The free bytes of a page.
///
/// # Errors
/// [`Error::Corrupt`] for freeblocks that overlap, lie outside or turn back.
pub fn free_space(node: &Node, page: &[u8], usable: usize) -> Result<usize> {
    let content = node.content_start(page);
    let gap_start = node.pointers_end();
    if content > usable || content < gap_start {
        return Err(Error::Corrupt);
    }
    let fragments = usize::from(page.get(node.start + 7).copied().unwrap_or(0));
    let mut free = content - gap_start + fragments;
    let mut block = be16(page, node.start + 1).ok_or(Error::Corrupt)?;
    let mut at_least = content;
    while block != 0 {
        let size = be16(page, block + 2).ok_or(Error::Corrupt)?;
        if block < at_least || size < 4 || block + size > usable {
            return Err(Error::Corrupt);
        }
        free += size;
        at_least = block + size;
        let next = be16(page, block).ok_or(Error::Corrupt)?;
        if next != 0 && next < at_least {
            return Err(Error::Corrupt);
        }
        block = next;
    }
    if free > usable - node.start { Err(Error::Corrupt) } else { Ok(free) }
}

/// Inserts a cell at `index`; `false`: there is no room.
///
/// # Errors
/// [`Error::Corrupt`].
pub fn insert_cell(
    page: &mut [u8],
    node: &mut Node,
    index: usize,
    cell: &[u8],
    geometry: &Geometry,
) -> Result<bool> {
    let size = cell.len().max(4);
    let usable = geometry.usable;
    let content = node.content_start(page);
    let pointers_end = node.pointers_end();
    if content < pointers_end || content > usable {
        return Err(Error::Corrupt);
    }
    let at = if content - pointers_end >= size + 2 && be16(page, node.start + 1) == Some(0) {
        // No freeblock: from the gap, without a walk.
        put16(page, node.start + 5, content - size);
        content - size
    } else {
        if free_space(node, page, usable)? < size + 2 {
            return Ok(false);
        }
        allocate(page, node, size, geometry)?
    };
    page.get_mut(at..at + cell.len()).ok_or(Error::Corrupt)?.copy_from_slice(cell);
    let first = node.pointers_start() + 2 * index;
    if index > node.cells {
        return Err(Error::Corrupt);
    }
    page.copy_within(first..node.pointers_end(), first + 2);
    put16(page, first, at);
    node.cells += 1;
    put16(page, node.start + 3, node.cells);
    Ok(true)
}

/// Finds room for a cell and its pointer; the caller knows that the sum suffices.
fn allocate(page: &mut [u8], node: &Node, size: usize, geometry: &Geometry) -> Result<usize> {
    let pointers_end = node.pointers_end();
    if pointers_end + 2 <= node.content_start(page)
        && let Some(at) = take_freeblock(page, node, size, geometry.usable)?
    {
        return Ok(at);
    }
    if pointers_end + 2 + size > node.content_start(page) {
        pack(page, node, geometry)?;
    }
    let content = node.content_start(page);
    if pointers_end + 2 + size > content {
        return Err(Error::Corrupt);
    }
    put16(page, node.start + 5, content - size);
    Ok(content - size)
}

/// Cuts the space from the first freeblock that is large enough.
fn take_freeblock(
    page: &mut [u8],
    node: &Node,
    size: usize,
    usable: usize,
) -> Result<Option<usize>> {
    let mut link = node.start + 1;
    let mut block = be16(page, link).ok_or(Error::Corrupt)?;
    while block != 0 {
        let len = be16(page, block + 2).ok_or(Error::Corrupt)?;
        let next = be16(page, block).ok_or(Error::Corrupt)?;
        if block + len > usable || (next != 0 && next <= block) {
            return Err(Error::Corrupt);
        }
        if len >= size {
            let rest = len - size;
            if rest >= 4 {
                // The head stays a freeblock, the cell takes the tail.
                put16(page, block + 2, rest);
                return Ok(Some(block + rest));
            }
            let fragments = usize::from(page.get(node.start + 7).copied().unwrap_or(0));
            if fragments + rest > MAX_FRAGMENTS {
                return Ok(None);
            }
            put16(page, link, next);
            if let Some(byte) = page.get_mut(node.start + 7) {
                *byte = (fragments + rest) as u8;
            }
            return Ok(Some(block));
        }
        link = block;
        block = next;
    }
    Ok(None)
}

/// Packs the cells against the end of the page: all free space becomes the gap.
fn pack(page: &mut [u8], node: &Node, geometry: &Geometry) -> Result<()> {
    let old = page.to_vec();
    let mut content = geometry.usable;
    for index in 0..node.cells {
        let at = node.cell_offset(&old, index)?;
        let size = parse_cell(node.kind, &old, at, geometry)?.size();
        content = content.checked_sub(size).ok_or(Error::Corrupt)?;
        if content < node.pointers_end() {
            return Err(Error::Corrupt);
        }
        let cell = old.get(at..at + size).ok_or(Error::Corrupt)?;
        page.get_mut(content..content + size).ok_or(Error::Corrupt)?.copy_from_slice(cell);
        put16(page, node.pointers_start() + 2 * index, content);
    }
    put16(page, node.start + 1, 0);
    put16(page, node.start + 5, content);
    if let Some(fragments) = page.get_mut(node.start + 7) {
        *fragments = 0;
    }
    Ok(())
}

/// Removes a cell of `size` bytes.
///
/// # Errors
/// [`Error::Corrupt`].
pub fn drop_cell(
    page: &mut [u8],
    node: &mut Node,
    index: usize,
    size: usize,
    geometry: &Geometry,
    zero: bool,
) -> Result<()> {
    let at = node.cell_offset(page, index)?;
    if at + size > geometry.usable {
        return Err(Error::Corrupt);
    }
    if zero {
        page.get_mut(at..at + size).ok_or(Error::Corrupt)?.fill(0);
    }
    if node.cells == 1 {
        // The last one: all space is the gap again.
        let right = node.right_child(page);
        clear_node(page, node.start, node.kind, geometry.usable);
        if !node.kind.is_leaf() {
            set_right_child(page, node.start, right);
        }
        node.cells = 0;
        return Ok(());
    }
    release(page, node, at, size, geometry.usable)?;
    let first = node.pointers_start() + 2 * index;
    page.copy_within(first + 2..node.pointers_end(), first);
    node.cells -= 1;
    put16(page, node.start + 3, node.cells);
    Ok(())
}

/// Gives space back: to the gap where it borders on it, else as a freeblock that is merged with
/// its neighbours.
fn release(page: &mut [u8], node: &Node, at: usize, size: usize, usable: usize) -> Result<()> {
    let header = node.start;
    let mut link = header + 1;
    let mut next = be16(page, link).ok_or(Error::Corrupt)?;
    while next != 0 && next < at {
        if next <= link && link != header + 1 {
            return Err(Error::Corrupt);
        }
        link = next;
        next = be16(page, link).ok_or(Error::Corrupt)?;
    }
    let (mut start, mut end) = (at, at + size);
    let mut merged_fragments = 0;
    if next != 0 {
        if next < end || next + 4 > usable {
            return Err(Error::Corrupt);
        }
        if next - end <= 3 {
            merged_fragments += next - end;
            end = next + be16(page, next + 2).ok_or(Error::Corrupt)?;
            next = be16(page, next).ok_or(Error::Corrupt)?;
        }
    }
    if link != header + 1 {
        let before_end = link + be16(page, link + 2).ok_or(Error::Corrupt)?;
        if before_end > start {
            return Err(Error::Corrupt);
        }
        if start - before_end <= 3 {
            merged_fragments += start - before_end;
            start = link;
        }
    }
    let fragments = usize::from(page.get(header + 7).copied().unwrap_or(0));
    let left = fragments.checked_sub(merged_fragments).ok_or(Error::Corrupt)?;
    if let Some(byte) = page.get_mut(header + 7) {
        *byte = left as u8;
    }
    if end > usable {
        return Err(Error::Corrupt);
    }
    let content = node.content_start(page);
    if start <= content {
        // The block borders on the gap; then no freeblock can lie before it.
        if start < content || (link != header + 1 && link != start) {
            return Err(Error::Corrupt);
        }
        put16(page, header + 1, next);
        put16(page, header + 5, end);
        return Ok(());
    }
    if link == start {
        // Grown into the freeblock before it, whose link stays.
        put16(page, start, next);
    } else {
        put16(page, link, start);
        put16(page, start, next);
    }
    put16(page, start + 2, end - start);
    Ok(())
}

/// Writes a page from nothing: its cells, packed. They must fit.
///
/// # Errors
/// [`Error::Corrupt`] where they do not.
pub fn write_node<'c>(
    page: &mut Page,
    start: usize,
    kind: Kind,
    cells: impl ExactSizeIterator<Item = &'c [u8]>,
    right_child: u32,
    usable: usize,
) -> Result<()> {
    let page = page.to_mut();
    clear_node(page, start, kind, usable);
    let pointers = start + kind.header_len();
    let count = cells.len();
    let mut content = usable;
    for (index, cell) in cells.enumerate() {
        let size = cell.len().max(4);
        content = content.checked_sub(size).ok_or(Error::Corrupt)?;
        if content < pointers + 2 * count {
            return Err(Error::Corrupt);
        }
        let out = page.get_mut(content..content + cell.len()).ok_or(Error::Corrupt)?;
        out.copy_from_slice(cell);
        if cell.len() < size {
            page.get_mut(content + cell.len()..content + size).unwrap_or_default().fill(0);
        }
        put16(page, pointers + 2 * index, content);
    }
    // Nothing of the buffer's earlier use may reach the file.
    page.get_mut(pointers + 2 * count..content).unwrap_or_default().fill(0);
    page.get_mut(usable..).unwrap_or_default().fill(0);
    put16(page, start + 3, count);
    put16(page, start + 5, content);
    if !kind.is_leaf() {
        set_right_child(page, start, right_child);
    }
    Ok(())
}
