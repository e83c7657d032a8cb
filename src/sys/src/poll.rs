//! Waiting for many things in one thread: epoll(7), signalfd(2), timerfd_create(2), eventfd(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::check;

/// What is waited for, or has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Something can be read, or the end has come.
    pub read: bool,
    /// Something can be written.
    pub write: bool,
    /// The other side is gone.
    pub hangup: bool,
}

/// A set of descriptors that are waited on together (level-triggered).
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn new() -> io::Result<Poller> {
        // SAFETY: no memory is passed.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
        Ok(Poller { epoll: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Adds `file`, to be named `key` when it is ready.
    ///
    /// # Errors
    /// `EPERM` for a regular file, which is always ready.
    pub fn add(&self, file: BorrowedFd<'_>, key: u64, read: bool, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, file, key, read, write)
    }

    /// Changes what `file` is waited on for.
    ///
    /// # Errors
    /// It is not in the set.
    pub fn change(
        &self,
        file: BorrowedFd<'_>,
        key: u64,
        read: bool,
        write: bool,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, file, key, read, write)
    }

    /// Takes `file` out of the set.
    ///
    /// # Errors
    /// It is not in the set.
    pub fn remove(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, file, 0, false, false)
    }

    fn control(
        &self,
        operation: libc::c_int,
        file: BorrowedFd<'_>,
        key: u64,
        read: bool,
        write: bool,
    ) -> io::Result<()> {
        let mut events = 0;
        if read {
            events |= libc::EPOLLIN as u32;
        }
        if write {
            events |= libc::EPOLLOUT as u32;
        }
        let mut event = libc::epoll_event { events, u64: key };
        // SAFETY: `event` is readable for the length of the call.
        check(unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), operation, file.as_raw_fd(), &raw mut event)
        })
        .map(drop)
    }

    /// Waits until something is ready or the time is over, and calls `each` with key and readiness.
    ///
    /// # Errors
    /// The kernel's refusal. An interruption by a signal is no error: nothing is ready then.
    pub fn wait(
        &self,
        timeout: Option<Duration>,
        mut each: impl FnMut(u64, Ready),
    ) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 32];
        let timeout_ms = timeout.map_or(-1, |timeout| {
            i32::try_from(timeout.as_millis().saturating_add(1)).unwrap_or(i32::MAX)
        });
        // SAFETY: the array is writable for its length.
        let count = check(unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), 32, timeout_ms)
        });
        let count = match count {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            count => count? as usize,
        };
        for event in events.iter().take(count) {
            let bits = event.events;
            let has = |bit: libc::c_int| bits & bit as u32 != 0;
            let hangup = has(libc::EPOLLHUP) || has(libc::EPOLLERR);
            let read = has(libc::EPOLLIN) || hangup;
            each(event.u64, Ready { read, write: has(libc::EPOLLOUT), hangup });
        }
        Ok(())
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

/// Blocks these signals and returns a descriptor from which they can be read.
///
/// # Errors
/// The kernel's refusal.
pub fn take_signals(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(signals);
    // SAFETY: the set is readable for the length of the calls; the old mask is not asked for.
    unsafe {
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
        let fd = check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        // The kernel has just returned a new descriptor that nobody else owns.
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The next signal of [`take_signals`], `None` when none is pending.
///
/// # Errors
/// The kernel's refusal.
pub fn next_signal(signals: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    // SAFETY: the structure is plain data, for which zero bytes are a value.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let length = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the structure is writable for its length.
    let got = unsafe { libc::read(signals.as_raw_fd(), (&raw mut info).cast(), length) };
    if got == -1 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        };
    }
    Ok(Some(info.ssi_signo as i32))
}

/// Makes reads and writes return `EAGAIN` instead of waiting, or wait again.
///
/// # Errors
/// The kernel's refusal.
pub fn set_nonblocking(file: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    // SAFETY: the requests take numbers only.
    unsafe {
        let flags = check(libc::fcntl(file.as_raw_fd(), libc::F_GETFL))?;
        let flags = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
        check(libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags)).map(drop)
    }
}

/// Waits for the next of these signals, which are blocked ([`block_signals`]).
///
/// # Errors
/// None that the kernel documents.
pub fn wait_signal(signals: &[i32]) -> io::Result<i32> {
    let set = set_of(signals);
    loop {
        // SAFETY: the set is readable; the details are not asked for.
        match check(unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Blocks these signals in the calling thread, so that [`wait_signal`] takes them.
///
/// # Errors
/// None that the kernel documents.
pub fn block_signals(signals: &[i32]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: the set is readable; the old mask is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) })
        .map(drop)
}
