//! Waiting for one of a few descriptors (poll(2)): a client that reads a socket and a terminal.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::check;

/// A descriptor and what it is waited for.
#[derive(Debug)]
pub struct Wanted<'fd> {
    fd: BorrowedFd<'fd>,
    events: i16,
    found: i16,
}

impl<'fd> Wanted<'fd> {
    /// Waits for bytes or the end.
    pub fn read(fd: BorrowedFd<'fd>) -> Wanted<'fd> {
        Wanted { fd, events: libc::POLLIN, found: 0 }
    }

    /// Waits for room to write, and for bytes too.
    pub fn read_and_write(fd: BorrowedFd<'fd>) -> Wanted<'fd> {
        Wanted { fd, events: libc::POLLIN | libc::POLLOUT, found: 0 }
    }

    /// Whether reading will not block.
    pub fn is_readable(&self) -> bool {
        self.found & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0
    }

    /// Whether writing will not block.
    pub fn is_writable(&self) -> bool {
        self.found & (libc::POLLOUT | libc::POLLHUP | libc::POLLERR) != 0
    }
}

/// Waits until one of `wanted` is ready, at most `timeout` (for ever without one). Returns how
/// many are.
///
/// # Errors
/// `Interrupted` when a signal came.
pub fn wait(wanted: &mut [Wanted<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    let mut list: Vec<libc::pollfd> = wanted
        .iter()
        .map(|want| libc::pollfd { fd: want.fd.as_raw_fd(), events: want.events, revents: 0 })
        .collect();
    let ms =
        timeout.map_or(-1, |t| i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
    // SAFETY: pointer and length are of the one live vector; all descriptors are borrowed for the
    // length of the call.
    let ready = check(unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, ms) })?;
    for (want, got) in wanted.iter_mut().zip(&list) {
        want.found = got.revents;
    }
    Ok(ready as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn a_pipe_is_readable_once_something_is_in_it() {
        let (read, mut write) = io::pipe().unwrap();
        let mut wanted = [Wanted::read(read.as_fd())];
        assert_eq!(wait(&mut wanted, Some(Duration::ZERO)).unwrap(), 0);
        assert!(!wanted[0].is_readable());
        write.write_all(b"x").unwrap();
        assert_eq!(wait(&mut wanted, None).unwrap(), 1);
        assert!(wanted[0].is_readable());
    }
}
