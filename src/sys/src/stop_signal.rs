//! Signals as events: a descriptor that becomes readable when one of a set has been sent, so that
//! a server's shutdown is a path like any other.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// SIGTERM and SIGINT, blocked for the threads made after this and read from a descriptor.
#[derive(Debug)]
pub struct StopSignals {
    fd: OwnedFd,
}

/// Which of them was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM
    Terminate,
    /// SIGINT
    Interrupt,
}

impl StopSignals {
    /// Blocks both signals in the calling thread (threads that it makes inherit that) and opens the
    /// descriptor.
    ///
    /// # Errors
    /// The limits of open files are reached.
    pub fn catch() -> io::Result<StopSignals> {
        // SAFETY: `set` is initialised by sigemptyset before it is read; the signals are valid.
        unsafe {
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            check(libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            let fd = check(libc::signalfd(-1, &raw const set, flags))?;
            Ok(StopSignals { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// The next signal that has been sent, if any.
    pub fn take(&self) -> Option<Stop> {
        // SAFETY: the kernel writes at most one struct of this size; zeroes are a valid one.
        let info = unsafe {
            let mut info = std::mem::zeroed::<libc::signalfd_siginfo>();
            let size = size_of::<libc::signalfd_siginfo>();
            let got = libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), size);
            if got != size as isize {
                return None;
            }
            info
        };
        Some(if info.ssi_signo == libc::SIGINT as u32 { Stop::Interrupt } else { Stop::Terminate })
    }
}

impl AsFd for StopSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
