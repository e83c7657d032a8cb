//! The check of the page structure.

use super::node::Geometry;
use crate::pager::{PageNo, Pager};
use crate::vfs::Result;

/// Checks.
///
/// # Errors
/// I/O.
pub fn run(
    pager: &mut Pager,
    geometry: &Geometry,
    roots: &[PageNo],
    limit: usize,
) -> Result<Vec<String>> {
    let _ = (pager, geometry, roots, limit);
    Ok(Vec::new())
}
