//! Taking over the content of another database: the last step of VACUUM, and backups.

use super::transaction::Layout;
use super::{Backing, PageNo, Pager, State};
use crate::vfs::{Error, Result};

impl Pager {
    /// Takes over all pages of another database. A file that has another page size gets the new one
    /// with the commit; until then its journal and its locks are those of the old.
    ///
    /// # Errors
    /// [`Error::Misuse`] outside of a write transaction, or where the page size cannot change; I/O.
    pub fn copy_from(&mut self, source: &mut Pager) -> Result<()> {
        if self.state != State::Write {
            return Err(Error::Misuse("no write transaction is open"));
        }
        if self.page_size != source.page_size {
            return self.copy_chunks(source);
        }
        let count = source.page_count;
        let pending = self.pending_page();
        for page_no in (1..=count).filter(|page_no| *page_no != pending) {
            let page = source.page(page_no)?;
            if page_no > self.page_count {
                self.take_page(page_no)?;
            }
            self.replace(page_no, page)?;
        }
        self.set_page_count(count);
        self.reserved = source.reserved;
        Ok(())
    }

    /// The new file, cut into pages of the old size.
    fn copy_chunks(&mut self, source: &mut Pager) -> Result<()> {
        if self.backing != Backing::File || self.wal.is_some() {
            return Err(Error::Misuse("the page size cannot be changed here"));
        }
        let (old, new) = (self.page_size as u64, source.page_size as u64);
        let total = u64::from(source.page_count) * new;
        let count = PageNo::try_from(total.div_ceil(old)).map_err(|_| Error::Full)?;
        for chunk_no in 1..=count {
            let start = u64::from(chunk_no - 1) * old;
            let mut chunk = self.buffer();
            fill(chunk.to_mut(), start, source)?;
            if chunk_no > self.page_count {
                self.take_page(chunk_no)?;
            }
            self.replace(chunk_no, chunk)?;
        }
        self.set_page_count(count);
        self.txn.new_layout = Some(Layout {
            page_size: source.page_size,
            reserved: source.reserved,
            page_count: source.page_count,
        });
        Ok(())
    }
}

/// Fills `out` with the bytes of the database from `start`.
fn fill(out: &mut [u8], start: u64, source: &mut Pager) -> Result<()> {
    let size = source.page_size as u64;
    let mut at = 0;
    while at < out.len() {
        let offset = start + at as u64;
        let page_no = PageNo::try_from(offset / size + 1).map_err(|_| Error::Full)?;
        let within = (offset % size) as usize;
        let len = (source.page_size - within).min(out.len() - at);
        let part = out.get_mut(at..at + len).ok_or(Error::Corrupt)?;
        if page_no > source.page_count || page_no == source.pending_page() {
            part.fill(0);
        } else {
            let page = source.page(page_no)?;
            part.copy_from_slice(page.get(within..within + len).ok_or(Error::Corrupt)?);
        }
        at += len;
    }
    Ok(())
}
