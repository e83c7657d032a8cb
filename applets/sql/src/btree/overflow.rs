//! Overflow chains (file format, section 1.6): next(4), then payload, page after page.

use super::node::{Cell, Geometry};
use super::ptrmap::{self, Use};
use super::space::{self, Wanted};
use crate::pager::{PageNo, Pager, be32, put_be32};
use crate::record::push_varint;
use crate::vfs::{Error, Result};

/// What a cell is made of.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// The rowid of a table row.
    pub rowid: Option<i64>,
    /// The record.
    pub record: &'a [u8],
    /// Zeros that follow it.
    pub zeros: usize,
}

/// Builds the leaf cell of a payload, and its overflow chain.
///
/// # Errors
/// [`Error::TooBig`], [`Error::Full`], I/O.
pub fn build_cell(
    pager: &mut Pager,
    geometry: &Geometry,
    payload: Payload<'_>,
    near: PageNo,
    cell: &mut Vec<u8>,
) -> Result<()> {
    let total = payload.record.len().saturating_add(payload.zeros);
    if total as u64 > super::node::MAX_PAYLOAD {
        return Err(Error::TooBig);
    }
    cell.clear();
    push_varint(cell, total as u64);
    if let Some(rowid) = payload.rowid {
        push_varint(cell, rowid as u64);
    }
    let local = geometry.local_len(total, payload.rowid.is_some());
    let from_record = local.min(payload.record.len());
    cell.extend_from_slice(payload.record.get(..from_record).unwrap_or_default());
    cell.resize(cell.len() + local - from_record, 0);
    if local < total {
        let rest = payload.record.get(from_record..).unwrap_or_default();
        let first = write_chain(pager, geometry, rest, total - local, near)?;
        cell.extend_from_slice(&first.to_be_bytes());
    }
    Ok(())
}

/// Writes `total` bytes, `rest` and then zeros, into a new chain.
fn write_chain(
    pager: &mut Pager,
    geometry: &Geometry,
    rest: &[u8],
    total: usize,
    near: PageNo,
) -> Result<PageNo> {
    let with_map = ptrmap::is_kept(pager)?;
    let capacity = geometry.overflow_len();
    let (mut first, mut before) = (0, 0);
    for index in 0..total.div_ceil(capacity) {
        let wanted = Wanted::Near(if before == 0 { near } else { before });
        let page_no = space::allocate(pager, wanted)?;
        if before == 0 {
            first = page_no;
        } else {
            put_be32(pager.page_mut(before)?, 0, page_no);
            if with_map {
                ptrmap::put(pager, page_no, Use::Overflow, before)?;
            }
        }
        let start = (index * capacity).min(rest.len());
        let part = rest.get(start..(start + capacity).min(rest.len())).unwrap_or_default();
        let page = pager.page_mut(page_no)?;
        page.get_mut(4..4 + part.len()).ok_or(Error::Corrupt)?.copy_from_slice(part);
        before = page_no;
    }
    Ok(first)
}

/// Frees the chain of a cell.
///
/// # Errors
/// [`Error::Corrupt`] for a chain that ends early or leaves the file.
pub fn free_chain(pager: &mut Pager, geometry: &Geometry, cell: &Cell) -> Result<()> {
    if cell.overflow == 0 {
        return Ok(());
    }
    let rest = cell.payload_len.saturating_sub(cell.local_len);
    let mut page_no = cell.overflow;
    let count = rest.div_ceil(geometry.overflow_len());
    for index in 0..count {
        if page_no < 2 || page_no > pager.page_count() {
            return Err(Error::Corrupt);
        }
        let next = if index + 1 < count { be32(&pager.page(page_no)?, 0) } else { 0 };
        space::free(pager, page_no)?;
        page_no = next;
    }
    Ok(())
}

/// How far a payload was put together: the bytes so far, and the page that holds the next ones.
#[derive(Debug, Default)]
pub struct Assembly {
    /// The payload's first bytes.
    pub bytes: Vec<u8>,
    next: PageNo,
    started: bool,
}

impl Assembly {
    /// Forgets the payload.
    pub fn reset(&mut self) {
        self.bytes.clear();
        self.started = false;
    }

    /// Whether a payload was begun.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Reads until `wanted` bytes are there, or all of them.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a chain that ends early.
    pub fn fill(
        &mut self,
        pager: &mut Pager,
        geometry: &Geometry,
        page: &[u8],
        cell: &Cell,
        wanted: usize,
    ) -> Result<()> {
        if !self.started {
            let local = page.get(cell.local_start..cell.local_start + cell.local_len);
            self.bytes.clear();
            self.bytes.extend_from_slice(local.ok_or(Error::Corrupt)?);
            self.next = cell.overflow;
            self.started = true;
        }
        let wanted = wanted.min(cell.payload_len);
        // A length that the file cannot hold is a lie, and not a reason to reserve memory.
        let most = u64::from(pager.page_count()) * pager.page_size() as u64;
        if cell.payload_len as u64 > most {
            return Err(Error::Corrupt);
        }
        while self.bytes.len() < wanted {
            let page = pager.page(self.next)?;
            let part = (cell.payload_len - self.bytes.len()).min(geometry.overflow_len());
            self.bytes.extend_from_slice(page.get(4..4 + part).ok_or(Error::Corrupt)?);
            self.next = be32(&page, 0);
        }
        Ok(())
    }
}
