//! A place in a tree.

use crate::record::Field;
use crate::vfs::{Error, Result};

const BUILDING: Error = Error::Misuse("being built");

/// Which entry a seek looks for, relative to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The (first) entry that equals the key; with fewer fields than the tree compares: the first
    /// that begins with them.
    Eq,
    /// The first entry not below the key.
    Ge,
    /// The first entry above the key (and above all that begin with it).
    Gt,
    /// The last entry not above the key (the last that begins with it, if any does).
    Le,
    /// The last entry below the key.
    Lt,
}

/// Where an insert may begin its search. A wrong hint costs a search, never the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Anywhere: the cursor's leaf is tried first, then the tree is searched.
    #[default]
    Anywhere,
    /// Probably after the last entry.
    Append,
}

/// A place in a tree: on an entry, or past an end.
///
/// A cursor whose tree is changed by another cursor finds its place again at its next use: on its
/// entry if that is still there, else between the entries around it, so that `next` and `prev`
/// give the neighbours and [`is_valid`](Cursor::is_valid) turns false.
pub struct Cursor {
    _private: (),
}

impl Cursor {
    /// Goes to the first entry; `false`: the tree is empty.
    ///
    /// # Errors
    /// [`Error::Corrupt`], I/O; so for all moves.
    pub fn first(&mut self) -> Result<bool> {
        Err(BUILDING)
    }

    /// Goes to the last entry; `false`: the tree is empty.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn last(&mut self) -> Result<bool> {
        Err(BUILDING)
    }

    /// Goes to the next entry; `false`: there is none, the cursor is past the end. After a
    /// [`delete`](Cursor::delete) this is the entry that followed the deleted one.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn next(&mut self) -> Result<bool> {
        Err(BUILDING)
    }

    /// Goes to the previous entry; `false`: there is none.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn prev(&mut self) -> Result<bool> {
        Err(BUILDING)
    }

    /// Whether the cursor is on an entry (not past an end, its entry not deleted).
    ///
    /// # Errors
    /// As [`first`](Cursor::first): the place may have to be found again.
    pub fn is_valid(&mut self) -> Result<bool> {
        Err(BUILDING)
    }

    /// Leaves the tree; the cursor holds no page.
    pub fn reset(&mut self) {}

    /// Seeks a row of a table tree; `true`: the cursor is on it.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn seek_rowid(&mut self, rowid: i64, seek: Seek) -> Result<bool> {
        let _ = (rowid, seek);
        Err(BUILDING)
    }

    /// Seeks an entry of an index tree by the first `key.len()` columns; `true`: the cursor is on it.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn seek_key(&mut self, key: &[Field<'_>], seek: Seek) -> Result<bool> {
        let _ = (key, seek);
        Err(BUILDING)
    }

    /// Seeks as [`seek_key`](Cursor::seek_key) with the first `columns` fields of a record as key.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn seek_record(&mut self, record: &[u8], columns: usize, seek: Seek) -> Result<bool> {
        let _ = (record, columns, seek);
        Err(BUILDING)
    }

    /// The rowid of the row (table trees).
    ///
    /// # Errors
    /// [`Error::Misuse`] where the cursor is on no entry.
    pub fn rowid(&mut self) -> Result<i64> {
        Err(BUILDING)
    }

    /// The whole record of the entry: borrowed from its page, or put together once where it
    /// overflows.
    ///
    /// # Errors
    /// As [`rowid`](Cursor::rowid), [`Error::Corrupt`].
    pub fn payload(&mut self) -> Result<&[u8]> {
        Err(BUILDING)
    }

    /// The length of the record, without reading it.
    ///
    /// # Errors
    /// As [`rowid`](Cursor::rowid).
    pub fn payload_len(&mut self) -> Result<u32> {
        Err(BUILDING)
    }

    /// Column `index` of the record; `None` where the record is shorter (the column was added
    /// later). The header is decoded once a row and only as far as needed; only the pages that hold
    /// the column are read.
    ///
    /// # Errors
    /// As [`payload`](Cursor::payload).
    pub fn column(&mut self, index: usize) -> Result<Option<Field<'_>>> {
        let _ = index;
        Err(BUILDING)
    }

    /// Reads part of the record (incremental blob I/O).
    ///
    /// # Errors
    /// As [`payload`](Cursor::payload).
    pub fn read_at(&mut self, offset: u32, out: &mut [u8]) -> Result<()> {
        let _ = (offset, out);
        Err(BUILDING)
    }

    /// The number of entries of the tree; moves nothing.
    ///
    /// # Errors
    /// As [`first`](Cursor::first).
    pub fn count(&mut self) -> Result<u64> {
        Err(BUILDING)
    }

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
        let _ = (rowid, record, zeros, placement);
        Err(BUILDING)
    }

    /// Writes an entry of an index tree, in place of the entry whose compared columns all equal it
    /// if there is one. The cursor is on the entry afterwards.
    ///
    /// # Errors
    /// As [`insert_row`](Cursor::insert_row).
    pub fn insert_key(&mut self, record: &[u8], placement: Placement) -> Result<()> {
        let _ = (record, placement);
        Err(BUILDING)
    }

    /// Removes the entry. The cursor stays between its neighbours: `next` gives the one after it,
    /// `prev` the one before.
    ///
    /// # Errors
    /// As [`insert_row`](Cursor::insert_row).
    pub fn delete(&mut self) -> Result<()> {
        Err(BUILDING)
    }
}
