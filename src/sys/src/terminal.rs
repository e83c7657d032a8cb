//! The terminal: its size, and reading a line without showing it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// Columns of the terminal behind `fd`, if it is one that tells.
pub fn columns(fd: BorrowedFd<'_>) -> Option<u16> {
    // SAFETY: all zeroes is a valid winsize.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the request writes one winsize, which is live; the descriptor is open.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (answer == 0 && size.ws_col > 0).then_some(size.ws_col)
}

/// While this lives, the terminal does not show what is typed.
#[derive(Debug)]
pub struct Hidden<'fd> {
    fd: BorrowedFd<'fd>,
    before: libc::termios,
}

impl<'fd> Hidden<'fd> {
    /// Stops the echo of the terminal behind `fd`.
    ///
    /// # Errors
    /// It is no terminal.
    pub fn on(fd: BorrowedFd<'fd>) -> io::Result<Hidden<'fd>> {
        // SAFETY: all zeroes is a valid termios.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the call writes one termios, which is live; the descriptor is open.
        check(unsafe { libc::tcgetattr(fd.as_raw_fd(), &raw mut before) })?;
        let mut quiet = before;
        quiet.c_lflag &= !libc::ECHO;
        quiet.c_lflag |= libc::ECHONL;
        // SAFETY: `quiet` is a valid termios; the descriptor is open.
        check(unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSAFLUSH, &raw const quiet) })?;
        Ok(Hidden { fd, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // SAFETY: `before` came from tcgetattr of the same descriptor. A terminal that is gone
        // needs no echo.
        unsafe { libc::tcsetattr(self.fd.as_raw_fd(), libc::TCSAFLUSH, &raw const self.before) };
    }
}
