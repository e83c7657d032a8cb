//! A page's bytes, shared by the cache and whoever looks at them.

use std::ops::Deref;
use std::sync::Arc;

/// The bytes of a page. A clone shares them; whoever writes while another looks gets a copy of its
/// own, so a reader keeps the version that it began with.
#[derive(Clone, Debug, Default)]
pub struct Page(Arc<[u8]>);

impl Page {
    /// A page of zeros.
    #[must_use]
    pub fn zeroed(size: usize) -> Page {
        Page(std::iter::repeat_n(0, size).collect())
    }

    /// The bytes, if nobody else looks at them.
    #[inline]
    pub fn unshared(&mut self) -> Option<&mut [u8]> {
        Arc::get_mut(&mut self.0)
    }

    /// The bytes for writing; copied first where somebody else looks at them.
    #[inline]
    pub fn to_mut(&mut self) -> &mut [u8] {
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::from(&*self.0);
        }
        // Just made unique: the empty slice is never taken.
        Arc::get_mut(&mut self.0).unwrap_or_default()
    }
}

impl Deref for Page {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
