//! Pointer-map pages of auto-vacuum databases (file format, section 1.8): for each page the kind of
//! its use and the page that points to it, so that it can be moved.

use crate::pager::{PageNo, Pager, at, be32, put_be32};
use crate::vfs::{Error, Result};

/// What a page is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The root of a tree; nobody points to it.
    Root = 1,
    /// In the freelist; nobody's.
    Free = 2,
    /// The first of an overflow chain; of the page with the cell.
    FirstOverflow = 3,
    /// A later one; of the page before it in the chain.
    Overflow = 4,
    /// A page of a tree that is not the root; of its parent.
    Tree = 5,
}

impl Use {
    fn from_byte(byte: u8) -> Option<Use> {
        [Use::Root, Use::Free, Use::FirstOverflow, Use::Overflow, Use::Tree]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Whether the database keeps pointer maps.
///
/// # Errors
/// I/O.
pub fn is_kept(pager: &mut Pager) -> Result<bool> {
    Ok(be32(&pager.page(1)?, at::LARGEST_ROOT) != 0)
}

/// The pointer-map page that has the entry of `page_no`.
#[must_use]
pub fn map_page(pager: &Pager, page_no: PageNo) -> PageNo {
    if page_no < 2 {
        return 0;
    }
    let usable = pager.page_size() - usize::from(pager.reserved());
    let covered = (usable / 5 + 1) as PageNo;
    let map = (page_no - 2) / covered * covered + 2;
    if map == pager.pending_page() { map + 1 } else { map }
}

/// Whether the page is itself a pointer-map page.
#[must_use]
pub fn is_map_page(pager: &Pager, page_no: PageNo) -> bool {
    map_page(pager, page_no) == page_no
}

fn entry_offset(map: PageNo, page_no: PageNo) -> Result<usize> {
    let index = page_no.checked_sub(map + 1).ok_or(Error::Corrupt)?;
    Ok(5 * index as usize)
}

/// Notes the use of a page.
///
/// # Errors
/// I/O.
pub fn put(pager: &mut Pager, page_no: PageNo, kind: Use, parent: PageNo) -> Result<()> {
    if page_no < 2 {
        return Err(Error::Corrupt);
    }
    let map = map_page(pager, page_no);
    let offset = entry_offset(map, page_no)?;
    let old = pager.page(map)?;
    if old.get(offset) == Some(&(kind as u8)) && be32(&old, offset + 1) == parent {
        return Ok(());
    }
    drop(old);
    let bytes = pager.page_mut(map)?;
    *bytes.get_mut(offset).ok_or(Error::Corrupt)? = kind as u8;
    put_be32(bytes, offset + 1, parent);
    Ok(())
}

/// The use of a page.
///
/// # Errors
/// [`Error::Corrupt`] for an unknown kind, I/O.
pub fn get(pager: &mut Pager, page_no: PageNo) -> Result<(Use, PageNo)> {
    let map = map_page(pager, page_no);
    let offset = entry_offset(map, page_no)?;
    let bytes = pager.page(map)?;
    let kind = bytes.get(offset).copied().and_then(Use::from_byte).ok_or(Error::Corrupt)?;
    Ok((kind, be32(&bytes, offset + 1)))
}
