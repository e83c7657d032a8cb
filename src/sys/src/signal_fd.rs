//! Signals as events: a descriptor that becomes readable when one of a set has been sent
//! (signalfd(2)), so that a shutdown is a path like any other; and waiting for one in place.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::check;

/// Signals that are blocked for the threads made after this and read from a descriptor.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

impl SignalFd {
    /// Blocks `signals` in the calling thread (threads that it makes inherit that) and opens the
    /// descriptor.
    ///
    /// # Errors
    /// The limits of open files are reached.
    pub fn catch(signals: &[i32]) -> io::Result<SignalFd> {
        block(signals)?;
        let set = set_of(signals);
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is readable; the kernel returns a new descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::signalfd(-1, &raw const set, flags))?) };
        Ok(SignalFd { fd })
    }

    /// The next signal that has been sent, if any. Never waits.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn take(&self) -> io::Result<Option<i32>> {
        // SAFETY: the structure is plain data, for which zero bytes are a value.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let length = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the structure is writable for its length; the kernel writes whole ones only.
        let got = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), length) };
        if got == -1 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        }
        Ok(Some(info.ssi_signo as i32))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether the process was started with this signal ignored, as nohup(1) does with SIGHUP.
///
/// # Errors
/// There is no such signal.
pub fn is_ignored(signal: i32) -> io::Result<bool> {
    // SAFETY: the structure is plain data, writable for the length of the call.
    unsafe {
        let mut old = std::mem::zeroed::<libc::sigaction>();
        check(libc::sigaction(signal, std::ptr::null(), &raw mut old))?;
        Ok(old.sa_sigaction == libc::SIG_IGN)
    }
}

/// Blocks these signals in the calling thread, so that [`wait`] takes them.
///
/// # Errors
/// None that the kernel documents.
pub fn block(signals: &[i32]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: the set is readable; the old mask is not asked for.
    check(unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) })
        .map(drop)
}

/// Waits for the next of these signals, which are blocked ([`block`]).
///
/// # Errors
/// None that the kernel documents.
pub fn wait(signals: &[i32]) -> io::Result<i32> {
    let set = set_of(signals);
    loop {
        // SAFETY: the set is readable; the details are not asked for.
        match check(unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: plain data, initialised by sigemptyset; sigaddset refuses a number out of range.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}
