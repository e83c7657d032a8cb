//! A piece of a file that several processes have in their memory, as 32-bit atomics.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

/// A shared, writable or read-only mapping of part of a file.
///
/// The words are atomics, since other processes write them at any time. The file must stay as long
/// as the mapping reaches: an access past its end is a SIGBUS.
#[derive(Debug)]
pub struct SharedMap {
    start: NonNull<libc::c_void>,
    bytes: usize,
    writable: bool,
}

// SAFETY: the memory is only reached as atomics, and unmapped once, by the last owner.
unsafe impl Send for SharedMap {}
// SAFETY: as above.
unsafe impl Sync for SharedMap {}

impl SharedMap {
    /// Maps `bytes` of the file from `offset`, which is a multiple of the machine's page size.
    ///
    /// # Errors
    /// What the kernel says; a length that is no multiple of 4.
    pub fn new(
        fd: BorrowedFd<'_>,
        offset: u64,
        bytes: usize,
        writable: bool,
    ) -> io::Result<SharedMap> {
        if bytes == 0 || !bytes.is_multiple_of(4) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let offset = libc::off_t::try_from(offset)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start =
            NonNull::new(start).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(SharedMap { start, bytes, writable })
    }

    /// The words. A store to a read-only mapping is refused by the processor: ask
    /// [`is_writable`](Self::is_writable) first.
    #[must_use]
    pub fn words(&self) -> &[AtomicU32] {
        // SAFETY: the mapping is aligned to a page, `bytes` long and lives as long as `self`; any
        // bit pattern is a valid word, and all access in this process is atomic.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.bytes / 4) }
    }

    /// Whether the words can be stored to.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `new` mapped; no reference to it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr(), self.bytes) };
    }
}
