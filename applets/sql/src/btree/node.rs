//! How a tree lies on a page (file format, section 1.6).
//!
//! ```text
//! 0      1          3       5         7      8 (interior: 12)
//! +------+----------+-------+---------+------+-------------+----------------+---- - ----+
//! | kind | freeblock| cells | content | frag | right child | cell pointers  ->|  gap  |<- cells
//! +------+----------+-------+---------+------+-------------+----------------+---- - ----+
//! ```
//!
//! On page 1 all this begins at byte 100. A [`Node`] is the header, decoded once when a cursor
//! lands; cells are decoded when they are looked at, and every offset is checked where it is used.

use crate::pager::{HEADER_BYTES, PageNo, be32};
use crate::record::read_varint;
use crate::vfs::{Error, Result};

/// The deepest tree: 20 levels of two children each are more pages than a file can have.
pub const MAX_DEPTH: usize = 20;
/// The longest payload that the format can tell.
pub const MAX_PAYLOAD: u64 = 0x7fff_ff00;

/// The sizes that follow from the page size and the reserved bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of a page that are used.
    pub usable: usize,
    max_local_leaf: usize,
    max_local: usize,
    min_local: usize,
}

impl Geometry {
    /// The sizes for pages of `page_size` bytes, `reserved` of them unused.
    #[must_use]
    pub fn new(page_size: usize, reserved: u8) -> Geometry {
        let usable = page_size - usize::from(reserved);
        Geometry {
            usable,
            max_local_leaf: usable - 35,
            max_local: (usable - 12) * 64 / 255 - 23,
            min_local: (usable - 12) * 32 / 255 - 23,
        }
    }

    /// The bytes of a payload that stay on the page.
    #[inline]
    #[must_use]
    pub fn local_len(&self, payload_len: usize, table_leaf: bool) -> usize {
        let max = if table_leaf { self.max_local_leaf } else { self.max_local };
        if payload_len <= max {
            return payload_len;
        }
        let surplus = self.min_local + (payload_len - self.min_local) % (self.usable - 4);
        if surplus <= max { surplus } else { self.min_local }
    }

    /// Payload bytes of an overflow page.
    #[must_use]
    pub fn overflow_len(&self) -> usize {
        self.usable - 4
    }
}

/// The four kinds of page, by their first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 2
    IndexInterior,
    /// 5
    TableInterior,
    /// 10
    IndexLeaf,
    /// 13
    TableLeaf,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            2 => Some(Kind::IndexInterior),
            5 => Some(Kind::TableInterior),
            10 => Some(Kind::IndexLeaf),
            13 => Some(Kind::TableLeaf),
            _ => None,
        }
    }

    /// The first byte of such a page.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Kind::IndexInterior => 2,
            Kind::TableInterior => 5,
            Kind::IndexLeaf => 10,
            Kind::TableLeaf => 13,
        }
    }

    /// Whether the page has no children.
    #[inline]
    #[must_use]
    pub fn is_leaf(self) -> bool {
        matches!(self, Kind::IndexLeaf | Kind::TableLeaf)
    }

    /// Whether the page is of a table tree.
    #[inline]
    #[must_use]
    pub fn is_table(self) -> bool {
        matches!(self, Kind::TableInterior | Kind::TableLeaf)
    }

    /// The kind of the parents of such a page.
    #[must_use]
    pub fn interior(self) -> Kind {
        if self.is_table() { Kind::TableInterior } else { Kind::IndexInterior }
    }

    /// Bytes of the page header.
    #[inline]
    #[must_use]
    pub fn header_len(self) -> usize {
        if self.is_leaf() { 8 } else { 12 }
    }
}

/// The header of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// What the page holds.
    pub kind: Kind,
    /// Where the header begins: 100 on page 1.
    pub start: usize,
    /// How many cells there are.
    pub cells: usize,
}

/// A cell, decoded: everything but the payload is copied out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The child left of the cell (interior pages).
    pub left_child: PageNo,
    /// The rowid (table pages).
    pub rowid: i64,
    /// Length of the whole payload.
    pub payload_len: usize,
    /// Where the payload begins on the page.
    pub local_start: usize,
    /// How much of it is on the page.
    pub local_len: usize,
    /// The first overflow page, or 0.
    pub overflow: PageNo,
    /// Bytes of the cell; see [`Cell::size`].
    pub len: usize,
}

impl Cell {
    /// The bytes that the cell takes on its page: four at least, so that a freeblock fits when it is
    /// removed.
    #[inline]
    #[must_use]
    pub fn size(&self) -> usize {
        self.len.max(4)
    }
}

#[inline]
pub(super) fn be16(page: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 2] = page.get(at..at + 2)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(bytes)))
}

impl Node {
    /// Decodes the header of page `page_no`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for an unknown kind or more cells than the page has room for.
    #[inline]
    pub fn parse(page: &[u8], page_no: PageNo, usable: usize) -> Result<Node> {
        let start = if page_no == 1 { HEADER_BYTES } else { 0 };
        let header = page.get(start..start + 8).ok_or(Error::Corrupt)?;
        let kind = header.first().copied().and_then(Kind::from_byte).ok_or(Error::Corrupt)?;
        let cells = be16(header, 3).ok_or(Error::Corrupt)?;
        let node = Node { kind, start, cells };
        if node.pointers_end() > usable {
            return Err(Error::Corrupt);
        }
        Ok(node)
    }

    /// Where the cell pointers begin.
    #[inline]
    #[must_use]
    pub fn pointers_start(&self) -> usize {
        self.start + self.kind.header_len()
    }

    /// Where they end.
    #[inline]
    #[must_use]
    pub fn pointers_end(&self) -> usize {
        self.pointers_start() + 2 * self.cells
    }

    /// The offset of a cell.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for one that lies in the header.
    #[inline]
    pub fn cell_offset(&self, page: &[u8], index: usize) -> Result<usize> {
        let at = be16(page, self.pointers_start() + 2 * index).ok_or(Error::Corrupt)?;
        if index >= self.cells || at < self.pointers_end() { Err(Error::Corrupt) } else { Ok(at) }
    }

    /// The rightmost child of an interior page.
    #[inline]
    #[must_use]
    pub fn right_child(&self, page: &[u8]) -> PageNo {
        be32(page, self.start + 8)
    }

    /// Child `index` of an interior page, counting the rightmost.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    #[inline]
    pub fn child(&self, page: &[u8], index: usize) -> Result<PageNo> {
        if index == self.cells {
            return Ok(self.right_child(page));
        }
        Ok(be32(page, self.cell_offset(page, index)?))
    }

    /// The rowid of a cell of a table page, without decoding the rest.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    #[inline]
    pub fn rowid(&self, page: &[u8], index: usize) -> Result<i64> {
        let mut at = self.cell_offset(page, index)?;
        if self.kind == Kind::TableLeaf {
            let (_, len) = page.get(at..).and_then(read_varint).ok_or(Error::Corrupt)?;
            at += len;
        } else {
            at += 4;
        }
        let (rowid, _) = page.get(at..).and_then(read_varint).ok_or(Error::Corrupt)?;
        Ok(rowid as i64)
    }

    /// Decodes a cell.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for one that does not lie within the page.
    #[inline]
    pub fn cell(&self, page: &[u8], index: usize, geometry: &Geometry) -> Result<Cell> {
        let at = self.cell_offset(page, index)?;
        parse_cell(self.kind, page, at, geometry)
    }

    /// The start of the cell content area; 0 in the file stands for 65536.
    #[must_use]
    pub fn content_start(&self, page: &[u8]) -> usize {
        match be16(page, self.start + 5) {
            Some(0) | None => 65_536,
            Some(start) => start,
        }
    }
}

/// The record of an index cell at offset `at` and nothing else: what a binary search looks at.
/// `None`: it overflows, or is long, and the cell must be decoded.
#[inline]
#[must_use]
pub fn short_record<'p>(
    kind: Kind,
    page: &'p [u8],
    at: usize,
    geometry: &Geometry,
) -> Option<&'p [u8]> {
    let at = if kind == Kind::IndexInterior { at + 4 } else { at };
    let len = usize::from(*page.get(at)?);
    // One byte of length, and shorter than any page size lets overflow.
    if len >= 0x80 || len > geometry.max_local {
        return None;
    }
    page.get(at + 1..at + 1 + len)
}

/// The bytes of the cell at offset `at`.
///
/// # Errors
/// As [`parse_cell`].
#[inline]
pub fn cell_len(kind: Kind, page: &[u8], at: usize, geometry: &Geometry) -> Result<usize> {
    let varint_bytes = |at: usize| match page.get(at) {
        Some(byte) if *byte < 0x80 => Some(1),
        _ => page.get(at..).and_then(read_varint).map(|(_, len)| len),
    };
    let first = |at: usize| page.get(at).copied().filter(|byte| *byte < 0x80).map(usize::from);
    let len = match kind {
        Kind::TableInterior => varint_bytes(at + 4).map(|rowid| 4 + rowid),
        Kind::TableLeaf => match (first(at), varint_bytes(at + 1)) {
            (Some(payload), Some(rowid)) => Some(1 + rowid + payload),
            _ => None,
        },
        Kind::IndexLeaf => first(at).filter(|len| *len <= geometry.max_local).map(|len| 1 + len),
        Kind::IndexInterior => {
            first(at + 4).filter(|len| *len <= geometry.max_local).map(|len| 5 + len)
        }
    };
    match len {
        Some(len) if at + len <= geometry.usable => Ok(len),
        _ => Ok(parse_cell(kind, page, at, geometry)?.len),
    }
}

/// Decodes the cell of a page of that kind at offset `at` (of a page, or of a cell by itself).
///
/// # Errors
/// [`Error::Corrupt`] for one that does not end within the usable bytes.
#[inline]
pub fn parse_cell(kind: Kind, bytes: &[u8], at: usize, geometry: &Geometry) -> Result<Cell> {
    let mut cell = Cell::default();
    let mut cursor = at;
    if !kind.is_leaf() {
        cell.left_child = be32(bytes, cursor);
        cursor += 4;
    }
    if kind != Kind::TableInterior {
        let (len, read) = bytes.get(cursor..).and_then(read_varint).ok_or(Error::Corrupt)?;
        if len > MAX_PAYLOAD {
            return Err(Error::Corrupt);
        }
        cell.payload_len = len as usize;
        cursor += read;
    }
    if kind.is_table() {
        let (rowid, read) = bytes.get(cursor..).and_then(read_varint).ok_or(Error::Corrupt)?;
        cell.rowid = rowid as i64;
        cursor += read;
    }
    cell.local_start = cursor;
    cell.local_len = geometry.local_len(cell.payload_len, kind == Kind::TableLeaf);
    cursor += cell.local_len;
    if cell.local_len < cell.payload_len {
        cell.overflow = be32(bytes, cursor);
        cursor += 4;
    }
    if cursor > bytes.len().min(geometry.usable) {
        return Err(Error::Corrupt);
    }
    cell.len = cursor - at;
    Ok(cell)
}
