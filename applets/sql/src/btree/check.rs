//! The check of the page structure, with SQLite's messages.
//!
//! Every page must be used exactly once: as a page of a tree, in an overflow chain, in the freelist
//! or as a pointer map. Within a tree the keys ascend, leaves are equally deep, and on each page
//! cells, freeblocks and fragments add up.

use super::node::{Geometry, MAX_DEPTH, Node, be16};
use super::ptrmap::{self, Use};
use crate::pager::{PageNo, PageSet, Pager, at, be32};
use crate::vfs::{Error, Result};

/// Checks the freelist and the trees of page 1 and `roots`, and that no page is left over.
///
/// # Errors
/// I/O.
pub fn run(
    pager: &mut Pager,
    geometry: &Geometry,
    roots: &[PageNo],
    limit: usize,
) -> Result<Vec<String>> {
    if pager.page_count() == 0 {
        return Ok(Vec::new());
    }
    let with_map = ptrmap::is_kept(pager)?;
    let used = PageSet::default();
    let context = String::new();
    let geometry = *geometry;
    let mut check = Check { pager, geometry, used, messages: Vec::new(), limit, context, with_map };
    check.freelist()?;
    check.auto_vacuum_header(roots)?;
    for root in std::iter::once(&1).chain(roots).filter(|root| **root > 0) {
        check.root(*root)?;
    }
    check.leftovers()?;
    Ok(check.messages)
}

struct Check<'p> {
    pager: &'p mut Pager,
    geometry: Geometry,
    used: PageSet,
    messages: Vec<String>,
    limit: usize,
    context: String,
    with_map: bool,
}

/// What a subtree tells its parent.
struct Subtree {
    depth: usize,
    /// The smallest rowid (table trees).
    first: Option<i64>,
}

impl Check<'_> {
    fn is_full(&self) -> bool {
        self.messages.len() >= self.limit
    }

    fn say(&mut self, message: &str) {
        if !self.is_full() {
            self.messages.push(format!("{}{message}", self.context));
        }
    }

    /// Marks a page as used; `false`: it must not be followed.
    fn claim(&mut self, page_no: PageNo) -> bool {
        if page_no == 0 || page_no > self.pager.page_count() {
            self.say(&format!("invalid page number {page_no}"));
            return false;
        }
        if !self.used.insert(page_no) {
            self.say(&format!("2nd reference to page {page_no}"));
            return false;
        }
        true
    }

    fn expect_map(&mut self, page_no: PageNo, kind: Use, parent: PageNo) -> Result<()> {
        if !self.with_map {
            return Ok(());
        }
        match ptrmap::get(self.pager, page_no) {
            Err(Error::Corrupt) => self.say(&format!("Failed to read ptrmap key={page_no}")),
            Err(error) => return Err(error),
            Ok((found, owner)) if (found, owner) != (kind, parent) => self.say(&format!(
                "Bad ptr map entry key={page_no} expected=({},{parent}) got=({},{owner})",
                kind as u8, found as u8
            )),
            Ok(_) => {}
        }
        Ok(())
    }

    fn freelist(&mut self) -> Result<()> {
        self.context = "Freelist: ".into();
        let header = self.pager.page(1)?;
        let mut trunk = be32(&header, at::FREELIST_TRUNK);
        let expected = be32(&header, at::FREELIST_COUNT);
        let mut counted = 0;
        while trunk != 0 && !self.is_full() {
            if !self.claim(trunk) {
                break;
            }
            counted += 1;
            let Ok(page) = self.pager.page(trunk) else {
                self.say(&format!("failed to get page {trunk}"));
                break;
            };
            self.expect_map(trunk, Use::Free, 0)?;
            let leaves = be32(&page, 4) as usize;
            if leaves > self.geometry.usable / 4 - 2 {
                self.say(&format!("freelist leaf count too big on page {trunk}"));
                break;
            }
            for index in 0..leaves {
                let leaf = be32(&page, 8 + 4 * index);
                self.expect_map(leaf, Use::Free, 0)?;
                self.claim(leaf);
            }
            counted += leaves as u32;
            trunk = be32(&page, 0);
        }
        if counted != expected && self.messages.is_empty() {
            self.say(&format!("size is {counted} but should be {expected}"));
        }
        self.context.clear();
        Ok(())
    }

    fn auto_vacuum_header(&mut self, roots: &[PageNo]) -> Result<()> {
        let header = self.pager.page(1)?;
        let (largest, incremental) =
            (be32(&header, at::LARGEST_ROOT), be32(&header, at::INCREMENTAL_VACUUM));
        let most = roots.iter().copied().max().unwrap_or(0).max(1);
        if largest != 0 && most != largest {
            self.say(&format!("max rootpage ({most}) disagrees with header ({largest})"));
        } else if largest == 0 && incremental != 0 {
            self.say("incremental_vacuum enabled with a max rootpage of zero");
        }
        Ok(())
    }

    fn root(&mut self, root: PageNo) -> Result<()> {
        if self.is_full() {
            return Ok(());
        }
        if root > 1 {
            self.expect_map(root, Use::Root, 0)?;
        }
        self.context = format!("Tree {root} page {root}: ");
        if self.claim(root) {
            self.page(root, root, 0, i64::MAX)?;
        }
        self.context.clear();
        Ok(())
    }

    /// Checks a page and all below it; rowids may not exceed `most`.
    fn page(
        &mut self,
        root: PageNo,
        page_no: PageNo,
        depth: usize,
        most: i64,
    ) -> Result<Option<Subtree>> {
        self.context = format!("Tree {root} page {page_no}: ");
        if depth >= MAX_DEPTH {
            self.say("btreeInitPage() returns error code 11");
            return Ok(None);
        }
        let Ok(page) = self.pager.page(page_no) else {
            self.say("unable to get the page. error code=11");
            return Ok(None);
        };
        let Ok(node) = Node::parse(&page, page_no, self.geometry.usable) else {
            self.say("btreeInitPage() returns error code 11");
            return Ok(None);
        };
        let mut most = most;
        let mut below: Option<usize> = None;
        let mut first = None;
        let mut extents: Vec<(usize, usize)> = Vec::with_capacity(node.cells);
        if !node.kind.is_leaf() {
            let right = node.right_child(&page);
            self.context = format!("Tree {root} page {page_no} right child: ");
            self.expect_map(right, Use::Tree, page_no)?;
            if self.claim(right)
                && let Some(subtree) = self.page(root, right, depth + 1, most)?
            {
                below = Some(subtree.depth);
                first = subtree.first;
            }
            if let Some(first) = first.filter(|_| node.kind.is_table()) {
                most = first;
            }
        }
        // From the last cell to the first, as SQLite does, so the messages come in its order.
        for index in (0..node.cells).rev() {
            if self.is_full() {
                break;
            }
            self.context = format!("Tree {root} page {page_no} cell {index}: ");
            let offset = be16(&page, node.pointers_start() + 2 * index).unwrap_or(0);
            let low = node.pointers_end();
            if offset < low || offset > self.geometry.usable - 4 {
                self.say(&format!(
                    "Offset {offset} out of range {low}..{}",
                    self.geometry.usable - 4
                ));
                continue;
            }
            let Ok(cell) = node.cell(&page, index, &self.geometry) else {
                self.say("Extends off end of page");
                continue;
            };
            extents.push((offset, offset + cell.size()));
            if node.kind.is_table() {
                let is_interior = !node.kind.is_leaf();
                let in_order = if is_interior {
                    cell.rowid <= most
                } else {
                    cell.rowid < most || most == i64::MAX
                };
                if !in_order {
                    self.say(&format!("Rowid {} out of order", cell.rowid));
                }
                most = cell.rowid;
                first = Some(cell.rowid);
            }
            if cell.overflow != 0 {
                let rest = cell.payload_len - cell.local_len;
                self.expect_map(cell.overflow, Use::FirstOverflow, page_no)?;
                self.chain(cell.overflow, rest.div_ceil(self.geometry.overflow_len()))?;
            }
            if !node.kind.is_leaf() {
                self.expect_map(cell.left_child, Use::Tree, page_no)?;
                if self.claim(cell.left_child) {
                    // The divider of a table is the largest rowid below it, and may be equal.
                    let bound =
                        if node.kind.is_table() { cell.rowid.saturating_add(1) } else { most };
                    let subtree = self.page(root, cell.left_child, depth + 1, bound)?;
                    self.context = format!("Tree {root} page {page_no} cell {index}: ");
                    if let Some(subtree) = subtree {
                        if below.is_some_and(|below| below != subtree.depth) {
                            self.say("Child page depth differs");
                        }
                        below = Some(subtree.depth);
                        first = subtree.first;
                        if let Some(first) = subtree.first.filter(|_| node.kind.is_table()) {
                            most = first;
                        }
                    }
                }
            }
        }
        self.context = format!("Tree {root} page {page_no}: ");
        self.coverage(&page, &node, extents);
        Ok(Some(Subtree { depth: below.map_or(0, |below| below + 1), first }))
    }

    fn chain(&mut self, first: PageNo, count: usize) -> Result<()> {
        let mut page_no = first;
        for left in (0..count).rev() {
            if !self.claim(page_no) {
                let (missing, count) = (left + 1, count);
                self.say(&format!(
                    "overflow list length is {} but should be {count}",
                    count - missing
                ));
                return Ok(());
            }
            let Ok(page) = self.pager.page(page_no) else {
                self.say(&format!("failed to get page {page_no}"));
                return Ok(());
            };
            let next = be32(&page, 0);
            if left > 0 {
                self.expect_map(next, Use::Overflow, page_no)?;
            }
            page_no = next;
        }
        Ok(())
    }

    /// Cells and freeblocks must not overlap, and the rest must be the fragments.
    fn coverage(&mut self, page: &[u8], node: &Node, extents: Vec<(usize, usize)>) {
        if extents.len() != node.cells {
            return;
        }
        let mut extents = extents;
        let mut block = be16(page, node.start + 1).unwrap_or(0);
        let mut last = 0;
        while block > last {
            let size = be16(page, block + 2).unwrap_or(0);
            extents.push((block, block + size.max(4)));
            last = block;
            block = be16(page, block).unwrap_or(0);
        }
        extents.sort_unstable();
        let content = node.content_start(page);
        let mut end = content;
        let mut fragments = 0;
        for (start, stop) in extents {
            if start < end {
                self.say(&format!("Multiple uses for byte {start} of page {}", self.page_of()));
                return;
            }
            fragments += start - end;
            end = stop;
        }
        fragments += self.geometry.usable.saturating_sub(end);
        let told = usize::from(page.get(node.start + 7).copied().unwrap_or(0));
        if node.cells > 0 && fragments != told {
            self.say(&format!(
                "Fragmentation of {fragments} bytes reported as {told} on page {}",
                self.page_of()
            ));
        }
    }

    fn page_of(&self) -> &str {
        self.context.trim_end_matches(": ").rsplit(' ').next().unwrap_or_default()
    }

    fn leftovers(&mut self) -> Result<()> {
        self.context.clear();
        let pending = self.pager.pending_page();
        for page_no in 1..=self.pager.page_count() {
            if self.is_full() {
                break;
            }
            let is_map = self.with_map && ptrmap::is_map_page(self.pager, page_no);
            let is_used = self.used.contains(page_no);
            if !is_used && page_no != pending && !is_map {
                self.say(&format!("Page {page_no}: never used"));
            }
            if is_used && is_map {
                self.say(&format!("Page {page_no}: pointer map referenced"));
            }
        }
        Ok(())
    }
}
