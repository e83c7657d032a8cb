//! The first 100 bytes of a database file (file format, section 1.3).

use super::PageNo;
use crate::vfs::{Error, Result};

/// Length of the header; the tree of page 1 begins after it.
pub const HEADER_BYTES: usize = 100;
/// The page that holds the lock bytes is never used: it contains this offset.
pub const PENDING_BYTE: u64 = 0x4000_0000;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What we write as the version of the last writer: the level that we are compatible with.
const VERSION_NUMBER: u32 = 3_054_001;

/// Offsets into the header.
pub mod at {
    /// Page size; 1 stands for 65536.
    pub const PAGE_SIZE: usize = 16;
    /// Write version: 1 journal, 2 WAL.
    pub const WRITE_VERSION: usize = 18;
    /// Read version.
    pub const READ_VERSION: usize = 19;
    /// Reserved bytes at the end of each page.
    pub const RESERVED: usize = 20;
    /// Changes with each transaction of a rollback journal.
    pub const CHANGE_COUNTER: usize = 24;
    /// Pages of the database.
    pub const PAGE_COUNT: usize = 28;
    /// First trunk of the freelist.
    pub const FREELIST_TRUNK: usize = 32;
    /// Pages in the freelist.
    pub const FREELIST_COUNT: usize = 36;
    /// The 15 values of the schema layer.
    pub const META: usize = 40;
    /// The largest root of an auto-vacuum database.
    pub const LARGEST_ROOT: usize = 52;
    /// Not 0: incremental vacuum.
    pub const INCREMENTAL_VACUUM: usize = 64;
    /// The change counter for which the page count and the version are true.
    pub const VERSION_VALID_FOR: usize = 92;
    /// The SQLite version of the last writer.
    pub const VERSION: usize = 96;
}

/// The header as far as the pager needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of a page.
    pub page_size: u32,
    /// Unused bytes at the end of each page.
    pub reserved: u8,
    /// Whether a writer of this level may write.
    pub writable: bool,
    /// Whether the file is in WAL mode.
    pub wal: bool,
    /// The page count, where the last writer kept it.
    pub page_count: Option<u32>,
}

/// A big-endian 32-bit number.
#[inline]
pub fn be32(bytes: &[u8], offset: usize) -> u32 {
    bytes
        .get(offset..offset + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// Stores a big-endian 32-bit number.
#[inline]
pub fn put_be32(bytes: &mut [u8], offset: usize, value: u32) {
    if let Some(out) = bytes.get_mut(offset..offset + 4) {
        out.copy_from_slice(&value.to_be_bytes());
    }
}

impl Header {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::NotADatabase`].
    pub fn parse(bytes: &[u8]) -> Result<Header> {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        if !bytes.starts_with(MAGIC) || bytes.get(21..24) != Some(&[64, 32, 32]) {
            return Err(Error::NotADatabase);
        }
        let raw = u32::from(byte(at::PAGE_SIZE)) << 8 | u32::from(byte(at::PAGE_SIZE + 1));
        let page_size = if raw == 1 { 65_536 } else { raw };
        let reserved = byte(at::RESERVED);
        let fits = page_size.is_power_of_two()
            && (512..=65_536).contains(&page_size)
            && page_size - u32::from(reserved) >= 480;
        if !fits || byte(at::READ_VERSION) > 2 {
            return Err(Error::NotADatabase);
        }
        let counted = be32(bytes, at::CHANGE_COUNTER) == be32(bytes, at::VERSION_VALID_FOR);
        let page_count = Some(be32(bytes, at::PAGE_COUNT)).filter(|count| counted && *count > 0);
        Ok(Header {
            page_size,
            reserved,
            writable: byte(at::WRITE_VERSION) <= 2,
            wal: byte(at::READ_VERSION) == 2,
            page_count,
        })
    }

    /// Writes the header of a new database into its first page.
    pub fn write_new(page: &mut [u8], page_size: u32, reserved: u8, auto_vacuum: [bool; 2]) {
        page.fill(0);
        let raw = if page_size == 65_536 { 1 } else { page_size as u16 };
        let start: [u8; 8] = [(raw >> 8) as u8, raw as u8, 1, 1, reserved, 64, 32, 32];
        if let Some(out) = page.get_mut(..16) {
            out.copy_from_slice(MAGIC);
        }
        if let Some(out) = page.get_mut(16..24) {
            out.copy_from_slice(&start);
        }
        put_be32(page, at::PAGE_COUNT, 1);
        let [full, incremental] = auto_vacuum;
        put_be32(page, at::LARGEST_ROOT, u32::from(full));
        put_be32(page, at::INCREMENTAL_VACUUM, u32::from(incremental));
    }

    /// Counts a transaction: other connections see by it that their cache is stale.
    pub fn count_change(page: &mut [u8], counter: u32, page_count: u32) {
        put_be32(page, at::CHANGE_COUNTER, counter);
        put_be32(page, at::VERSION_VALID_FOR, counter);
        put_be32(page, at::VERSION, VERSION_NUMBER);
        put_be32(page, at::PAGE_COUNT, page_count);
    }
}

/// The page of the lock bytes.
#[must_use]
pub fn pending_page(page_size: usize) -> PageNo {
    (PENDING_BYTE / page_size as u64) as PageNo + 1
}
