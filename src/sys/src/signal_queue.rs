//! Signals as a queue behind a descriptor, for programs that treat more than the two of
//! [`stop_signal`](crate::stop_signal).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// A signal that a program may want to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM
    Terminate,
    /// SIGINT
    Interrupt,
    /// SIGHUP
    HangUp,
    /// SIGUSR1
    User1,
    /// SIGUSR2
    User2,
}

impl Signal {
    const ALL: [Signal; 5] =
        [Signal::Terminate, Signal::Interrupt, Signal::HangUp, Signal::User1, Signal::User2];

    const fn number(self) -> libc::c_int {
        match self {
            Signal::Terminate => libc::SIGTERM,
            Signal::Interrupt => libc::SIGINT,
            Signal::HangUp => libc::SIGHUP,
            Signal::User1 => libc::SIGUSR1,
            Signal::User2 => libc::SIGUSR2,
        }
    }
}

/// Signals that wait to be taken; readable when there is one.
#[derive(Debug)]
pub struct SignalQueue {
    fd: OwnedFd,
}

impl SignalQueue {
    /// Blocks these signals in the calling thread (threads that it makes inherit that) and opens the
    /// descriptor. A signal that the caller's parent had ignored (as nohup does) stays ignored.
    ///
    /// # Errors
    /// The limits of open files are reached.
    pub fn catch(signals: &[Signal]) -> io::Result<SignalQueue> {
        // SAFETY: `set` is initialised by sigemptyset before it is read; the signals are valid and
        // `old` is writable for the length of the call.
        unsafe {
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                let mut old = std::mem::zeroed::<libc::sigaction>();
                check(libc::sigaction(signal.number(), std::ptr::null(), &raw mut old))?;
                if old.sa_sigaction != libc::SIG_IGN {
                    libc::sigaddset(&raw mut set, signal.number());
                }
            }
            check(libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            let fd = check(libc::signalfd(-1, &raw const set, flags))?;
            Ok(SignalQueue { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// The next signal that has been sent, if any.
    pub fn take(&self) -> Option<Signal> {
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
        let number = libc::c_int::try_from(info.ssi_signo).ok()?;
        Signal::ALL.into_iter().find(|signal| signal.number() == number)
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
