//! A timer that epoll can wait for (timerfd), finer than epoll's own milliseconds.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::check;

/// A timer; its descriptor is readable once it has run out.
#[derive(Debug)]
pub struct Timer {
    fd: OwnedFd,
}

impl Timer {
    /// One that does not run.
    ///
    /// # Errors
    /// The limits of open files are reached.
    pub fn new() -> io::Result<Timer> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: no memory is passed; the descriptor returned is ours alone.
        let fd = unsafe {
            OwnedFd::from_raw_fd(check(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?)
        };
        Ok(Timer { fd })
    }

    /// Runs out after `wait`, once; what it ran out before is forgotten.
    ///
    /// # Errors
    /// None that the kernel documents for a valid timer.
    pub fn set(&self, wait: Duration) -> io::Result<()> {
        // All zeroes would stop the timer.
        let wait = wait.max(Duration::from_nanos(1));
        let value = libc::timespec {
            tv_sec: wait.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(wait.subsec_nanos()),
        };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = libc::itimerspec { it_interval: never, it_value: value };
        // SAFETY: `spec` is a valid struct; the old setting is not asked for.
        check(unsafe {
            libc::timerfd_settime(self.fd.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut())
        })
        .map(drop)
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{self, Wanted};

    #[test]
    fn it_runs_out_once_and_setting_it_silences_it() {
        let timer = Timer::new().unwrap();
        timer.set(Duration::from_micros(50)).unwrap();
        assert_eq!(poll::wait(&mut [Wanted::read(timer.as_fd())], None).unwrap(), 1);
        timer.set(Duration::from_secs(1000)).unwrap();
        let at_once = Some(Duration::ZERO);
        assert_eq!(poll::wait(&mut [Wanted::read(timer.as_fd())], at_once).unwrap(), 0);
    }
}
