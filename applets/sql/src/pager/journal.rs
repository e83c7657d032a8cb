//! The rollback journal file (file format, section 3): how it is written, and how it is played back.
//!
//! ```text
//! +--------+-------+------+--------+-- ... --+-------+   then, after a spill, the next header at
//! | header | pgno  | page | cksum  |         |       |   the next sector
//! +--------+-------+------+--------+-- ... --+-------+
//! header: magic(8) count(4) nonce(4) pages before(4) sector(4) page size(4), padded to a sector
//! ```
//!
//! The count of a header is 0 until its records are on the disk: journal sync, count, sync, and
//! only then is the database written. A reader who finds a journal that nobody holds RESERVED for
//! ("hot") plays it back first.

use std::io::IoSlice;
use std::sync::Arc;

use super::header::{be32, put_be32};
use super::page::Page;
use super::{PageNo, Synchronous};
use crate::vfs::{Error, File, Result};

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// A header takes one sector. Devices that keep neighbours of a torn write intact (all that SQLite
/// assumes by default) need no more than this.
const SECTOR_BYTES: u64 = 512;
const HEADER_FIELDS: usize = 28;
/// The count that says: as many records as the file holds.
const COUNT_BY_SIZE: u32 = u32::MAX;
/// Records written by one call.
const BATCH: usize = 256;

/// The journal being written.
pub struct Writer {
    file: Arc<dyn File>,
    page_size: usize,
    orig_pages: u32,
    nonce: u32,
    /// Where the header of the current segment is.
    header_at: u64,
    /// Where the next record goes.
    end: u64,
    /// Records of the current segment.
    in_segment: u32,
    /// First record and its offset, of each segment.
    segments: Vec<(usize, u64)>,
    records: usize,
    /// The file was made by us and its folder entry is not durable.
    new_entry: bool,
    unsynced: bool,
    synchronous: Synchronous,
}

impl Writer {
    /// Begins the journal with its first header.
    ///
    /// # Errors
    /// I/O.
    pub fn begin(
        file: Arc<dyn File>,
        page_size: usize,
        orig_pages: u32,
        nonce: u32,
        synchronous: Synchronous,
        new_entry: bool,
    ) -> Result<Writer> {
        let mut writer = Writer {
            file,
            page_size,
            orig_pages,
            nonce,
            header_at: 0,
            end: 0,
            in_segment: 0,
            segments: Vec::new(),
            records: 0,
            new_entry,
            unsynced: true,
            synchronous,
        };
        writer.begin_segment()?;
        Ok(writer)
    }

    fn begin_segment(&mut self) -> Result<()> {
        self.header_at = self.end.next_multiple_of(SECTOR_BYTES);
        let mut header = [0; SECTOR_BYTES as usize];
        if let Some(magic) = header.get_mut(..8) {
            magic.copy_from_slice(&MAGIC);
        }
        let count = if self.synchronous == Synchronous::Off { COUNT_BY_SIZE } else { 0 };
        put_be32(&mut header, 8, count);
        put_be32(&mut header, 12, self.nonce);
        put_be32(&mut header, 16, self.orig_pages);
        put_be32(&mut header, 20, SECTOR_BYTES as u32);
        put_be32(&mut header, 24, self.page_size as u32);
        self.file.write_at(&header, self.header_at)?;
        self.end = self.header_at + SECTOR_BYTES;
        self.segments.push((self.records, self.end));
        self.in_segment = 0;
        Ok(())
    }

    /// Appends the original content of pages.
    ///
    /// # Errors
    /// I/O.
    pub fn append(&mut self, originals: &[(PageNo, Page)]) -> Result<()> {
        if originals.is_empty() {
            return Ok(());
        }
        if self.in_segment > 0 && !self.unsynced {
            self.begin_segment()?;
        }
        self.unsynced = true;
        for batch in originals.chunks(BATCH) {
            let edges: Vec<[[u8; 4]; 2]> = batch
                .iter()
                .map(|(page_no, page)| {
                    [page_no.to_be_bytes(), checksum(self.nonce, page).to_be_bytes()]
                })
                .collect();
            let parts: Vec<IoSlice<'_>> = batch
                .iter()
                .zip(&edges)
                .flat_map(|((_, page), [number, sum])| {
                    [IoSlice::new(number), IoSlice::new(page), IoSlice::new(sum)]
                })
                .collect();
            self.file.write_vectored_at(&parts, self.end)?;
            self.end += batch.len() as u64 * (self.page_size as u64 + 8);
            self.in_segment += batch.len() as u32;
            self.records += batch.len();
        }
        Ok(())
    }

    /// Makes all records durable, so that the database may be written. `sync_folder` waits for the
    /// entry of a new file.
    ///
    /// # Errors
    /// I/O.
    pub fn sync(&mut self, sync_folder: impl FnOnce() -> std::io::Result<()>) -> Result<()> {
        if !self.unsynced || self.synchronous == Synchronous::Off {
            self.unsynced = false;
            return Ok(());
        }
        self.spoil_next_header()?;
        // NORMAL trusts that the count does not reach the disk before the records.
        let mut sync_folder = Some(sync_folder);
        if self.synchronous >= Synchronous::Full {
            self.file.sync()?;
            self.sync_entry(&mut sync_folder)?;
        }
        self.file.write_at(&self.in_segment.to_be_bytes(), self.header_at + 8)?;
        self.file.sync()?;
        self.sync_entry(&mut sync_folder)?;
        self.unsynced = false;
        Ok(())
    }

    /// A header that an earlier transaction left where the next one would be is not ours.
    fn spoil_next_header(&self) -> Result<()> {
        let next = self.end.next_multiple_of(SECTOR_BYTES);
        let mut magic = [0; 8];
        if self.file.read_at(&mut magic, next)? == 8 && magic == MAGIC {
            self.file.write_at(&[0], next)?;
        }
        Ok(())
    }

    fn sync_entry(
        &mut self,
        sync_folder: &mut Option<impl FnOnce() -> std::io::Result<()>>,
    ) -> Result<()> {
        if self.new_entry {
            if let Some(sync_folder) = sync_folder.take() {
                sync_folder()?;
            }
            self.new_entry = false;
        }
        Ok(())
    }

    /// How many records the file holds.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.records
    }

    /// Reads record `index` back into `page`.
    ///
    /// # Errors
    /// I/O; [`Error::Corrupt`] where somebody has damaged the file.
    pub fn read_record(&self, index: usize, page: &mut [u8]) -> Result<PageNo> {
        let segment = self.segments.iter().rev().find(|(first, _)| *first <= index);
        let (first, offset) = segment.copied().ok_or(Error::Corrupt)?;
        let at = offset + (index - first) as u64 * (self.page_size as u64 + 8);
        let mut number = [0; 4];
        if self.file.read_at(&mut number, at)? < 4 || self.file.read_at(page, at + 4)? < page.len()
        {
            return Err(Error::Corrupt);
        }
        Ok(PageNo::from_be_bytes(number))
    }

    /// The file, to be kept for the next transaction.
    #[must_use]
    pub fn into_file(self) -> Arc<dyn File> {
        self.file
    }

    /// Zeroes the header (`PERSIST`), and cuts the file to `limit` if that is not negative.
    ///
    /// # Errors
    /// I/O.
    pub fn zero_header(&self, limit: i64) -> Result<()> {
        self.file.write_at(&[0; HEADER_FIELDS], 0)?;
        if self.synchronous > Synchronous::Off {
            self.file.sync()?;
        }
        match u64::try_from(limit) {
            Ok(limit) if self.file.size()? > limit => Ok(self.file.truncate(limit)?),
            _ => Ok(()),
        }
    }

    /// Cuts the file to nothing (`TRUNCATE`).
    ///
    /// # Errors
    /// I/O.
    pub fn truncate(&self) -> Result<()> {
        self.file.truncate(0)?;
        if self.synchronous >= Synchronous::Full {
            self.file.sync()?;
        }
        Ok(())
    }
}

/// The nonce plus every 200th byte from the end: enough to tell a record from an old one.
fn checksum(nonce: u32, page: &[u8]) -> u32 {
    let mut sum = nonce;
    let mut at = page.len().saturating_sub(200);
    while at > 0 {
        sum = sum.wrapping_add(page.get(at).copied().map_or(0, u32::from));
        at = at.saturating_sub(200);
    }
    sum
}

/// A header as it was read.
struct Segment {
    count: u32,
    nonce: u32,
    orig_pages: u32,
    sector: u64,
    page_size: usize,
}

fn read_header(file: &dyn File, at: u64, size: u64) -> Result<Option<Segment>> {
    let mut header = [0; HEADER_FIELDS];
    if at + SECTOR_BYTES > size || file.read_at(&mut header, at)? < HEADER_FIELDS {
        return Ok(None);
    }
    if !header.starts_with(&MAGIC) {
        return Ok(None);
    }
    let segment = Segment {
        count: be32(&header, 8),
        nonce: be32(&header, 12),
        orig_pages: be32(&header, 16),
        sector: u64::from(be32(&header, 20)),
        page_size: be32(&header, 24) as usize,
    };
    let sane = segment.page_size.is_power_of_two()
        && (512..=65_536).contains(&segment.page_size)
        && segment.sector.is_power_of_two()
        && (32..=65_536).contains(&segment.sector);
    Ok(sane.then_some(segment))
}

/// What [`play_back`] found.
#[derive(Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The page size of the database that the journal is of.
    pub page_size: usize,
    /// Pages of the database before the transaction.
    pub orig_pages: u32,
}

/// Copies the original pages of a hot journal into the database and cuts it to its old size.
/// `None`: the journal holds no header, so the database was never written.
///
/// # Errors
/// I/O.
pub fn play_back(journal: &dyn File, database: &dyn File) -> Result<Option<Replayed>> {
    let size = journal.size()?;
    let mut at = 0;
    let mut replayed: Option<Replayed> = None;
    while let Some(segment) = read_header(journal, at, size)? {
        let record = segment.page_size as u64 + 8;
        let first = at + segment.sector;
        if replayed.is_none() {
            database_truncate(database, segment.page_size, segment.orig_pages)?;
            let (page_size, orig_pages) = (segment.page_size, segment.orig_pages);
            replayed = Some(Replayed { page_size, orig_pages });
        }
        let held = size.saturating_sub(first) / record;
        let count = match segment.count {
            COUNT_BY_SIZE => held,
            count => u64::from(count).min(held),
        };
        if !play_segment(journal, database, &segment, first, count)? {
            break;
        }
        at = (first + count * record).next_multiple_of(segment.sector);
    }
    Ok(replayed)
}

fn database_truncate(database: &dyn File, page_size: usize, pages: u32) -> Result<()> {
    let bytes = u64::from(pages) * page_size as u64;
    if database.size()? > bytes {
        database.truncate(bytes)?;
    }
    Ok(())
}

/// `false`: a record is not whole, and nothing after it counts.
fn play_segment(
    journal: &dyn File,
    database: &dyn File,
    segment: &Segment,
    first: u64,
    count: u64,
) -> Result<bool> {
    let mut record = vec![0; segment.page_size + 8];
    let pending = super::header::pending_page(segment.page_size);
    for index in 0..count {
        let at = first + index * record.len() as u64;
        if journal.read_at(&mut record, at)? < record.len() {
            return Ok(false);
        }
        let page_no = be32(&record, 0);
        let page = record.get(4..4 + segment.page_size).unwrap_or_default();
        let sum = be32(&record, 4 + segment.page_size);
        if page_no == 0 || page_no == pending || sum != checksum(segment.nonce, page) {
            return Ok(false);
        }
        if page_no <= segment.orig_pages {
            database.write_at(page, u64::from(page_no - 1) * segment.page_size as u64)?;
        }
    }
    Ok(true)
}

/// The name of the super-journal at the end of a journal of a transaction over several files.
///
/// # Errors
/// I/O.
pub fn super_journal(journal: &dyn File) -> Result<Option<Vec<u8>>> {
    let size = journal.size()?;
    let mut tail = [0; 16];
    if size < 16 || journal.read_at(&mut tail, size - 16)? < 16 || !tail.ends_with(&MAGIC) {
        return Ok(None);
    }
    let (len, sum) = (u64::from(be32(&tail, 0)), be32(&tail, 4));
    if len == 0 || len > 4096 || len > size - 16 {
        return Ok(None);
    }
    let mut name = vec![0; len as usize];
    if journal.read_at(&mut name, size - 16 - len)? < name.len() {
        return Ok(None);
    }
    // The bytes are added as C's char, which is signed here.
    let own = name.iter().fold(0u32, |sum, byte| sum.wrapping_add(*byte as i8 as u32));
    Ok((own == sum).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_takes_every_200th_byte_from_the_end() {
        let mut page = vec![0; 1024];
        page[824] = 1;
        page[624] = 2;
        page[24] = 4;
        page[0] = 100;
        page[823] = 100;
        assert_eq!(checksum(10, &page), 17);
    }
}
