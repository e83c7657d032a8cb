//! Reading for a scan: many pages at once, past the cache.
//!
//! A scan that goes over a whole table would push everything else out of the cache and pay for
//! memory that it touches once. So it reads into buffers of its own, which stay in the processor's
//! cache from one read to the next; what the cache has, it takes from there (a transaction sees its
//! own changes), and what the log has is read frame by frame.

use std::io::IoSliceMut;

use super::page::Page;
use super::{Backing, PageNo, Pager, State};
use crate::vfs::{Error, Result};

impl Pager {
    /// Appends the pages of these numbers to `out`. Buffers come from `spare`, as long as nobody
    /// else looks at them.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a number that the database does not have, I/O.
    pub fn scan(
        &mut self,
        numbers: &[PageNo],
        spare: &mut Vec<Page>,
        out: &mut Vec<Page>,
    ) -> Result<()> {
        if self.state == State::Closed {
            return Err(Error::Misuse("no transaction is open"));
        }
        let mut rest = numbers;
        while let Some(&page_no) = rest.first() {
            if let Some(page) = self.cache.get(page_no) {
                out.push(page.clone());
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let run = self.run_of(rest)?;
            self.scan_run(page_no, run, spare, out)?;
            rest = rest.get(run..).unwrap_or_default();
        }
        Ok(())
    }

    /// How many of the pages follow each other in the file, one at least.
    fn run_of(&mut self, numbers: &[PageNo]) -> Result<usize> {
        let pending = self.pending_page();
        let mut run = 0;
        let Some(&first) = numbers.first() else { return Ok(0) };
        for (n, &page_no) in numbers.iter().enumerate() {
            if page_no == 0 || page_no > self.page_count || page_no == pending {
                return if run == 0 { Err(Error::Corrupt) } else { Ok(run) };
            }
            let follows = page_no == first.wrapping_add(n as u32)
                && self.backing == Backing::File
                && !self.cache.contains(page_no)
                && self.frame_of(page_no)? == 0;
            if !follows {
                break;
            }
            run += 1;
        }
        Ok(run.max(1))
    }

    fn scan_run(
        &mut self,
        first: PageNo,
        run: usize,
        spare: &mut Vec<Page>,
        out: &mut Vec<Page>,
    ) -> Result<()> {
        let from = out.len();
        for _ in 0..run {
            out.push(self.buffer_from(spare));
        }
        let pages = out.get_mut(from..).unwrap_or_default();
        let mut whole = 0;
        if run > 1
            && let Some(file) = &self.file
        {
            let offset = self.offset(first);
            let mut parts: Vec<IoSliceMut<'_>> =
                pages.iter_mut().map(|page| IoSliceMut::new(page.to_mut())).collect();
            whole = file.read_vectored_at(&mut parts, offset)? / self.page_size;
        }
        // A short read, or a single page: the careful way.
        for (page, page_no) in pages.iter_mut().zip(first..).skip(whole) {
            self.read_into(page_no, page.to_mut())?;
        }
        Ok(())
    }

    fn buffer_from(&self, spare: &mut Vec<Page>) -> Page {
        while let Some(mut page) = spare.pop() {
            if page.len() == self.page_size && page.unshared().is_some() {
                return page;
            }
        }
        Page::zeroed(self.page_size)
    }
}
