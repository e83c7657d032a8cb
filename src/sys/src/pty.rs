//! Pseudo-terminals (pty(7)) and the terminal in front of a person.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::at::{self, Resolve};
use crate::check;

/// Columns and rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Characters a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// Opens a new pair through the `ptmx` node at `path` below `dir`: the controlling end and the
/// terminal itself. The terminal is opened through its other end (`TIOCGPTPEER`), not by a name
/// that somebody may have replaced.
///
/// # Errors
/// The kernel's refusal.
pub fn open(dir: BorrowedFd<'_>, path: &CStr) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let control = at::open(dir, path, flags, 0, Resolve::IN_ROOT)?;
    let unlock: libc::c_int = 0;
    // SAFETY: the request reads one int.
    check(unsafe { libc::ioctl(control.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) })?;
    // SAFETY: the request takes open flags as a number.
    let fd = check(unsafe {
        libc::ioctl(control.as_raw_fd(), libc::TIOCGPTPEER, flags | libc::O_CLOEXEC)
    })?;
    // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
    Ok((control, unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Makes the terminal the controlling one of the calling session leader.
///
/// # Errors
/// The kernel's refusal.
pub fn make_controlling(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes a number.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

/// Sets the size; the foreground processes get SIGWINCH when it changes.
///
/// # Errors
/// It is no terminal.
pub fn set_size(terminal: BorrowedFd<'_>, size: Size) -> io::Result<()> {
    let size =
        libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request reads one structure.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(drop)
}

/// The size of the terminal.
///
/// # Errors
/// It is no terminal.
pub fn size(terminal: BorrowedFd<'_>) -> io::Result<Size> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one structure.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok(Size { columns: size.ws_col, rows: size.ws_row })
}

/// A terminal in raw mode (cfmakeraw(3)); its settings come back when this is dropped.
pub struct Raw {
    terminal: OwnedFd,
    before: libc::termios,
}

impl Raw {
    /// Puts `terminal` in raw mode.
    ///
    /// # Errors
    /// It is no terminal.
    pub fn enter(terminal: BorrowedFd<'_>) -> io::Result<Raw> {
        let terminal = terminal.try_clone_to_owned()?;
        // SAFETY: the structure is plain data, for which zero bytes are a value.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: `before` is writable for the length of the call.
        check(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut before) })?;
        let mut raw = before;
        // SAFETY: a structure that tcgetattr has filled.
        unsafe { libc::cfmakeraw(&raw mut raw) };
        Raw::change(terminal, before, &raw)
    }

    fn change(terminal: OwnedFd, before: libc::termios, after: &libc::termios) -> io::Result<Raw> {
        let after = std::ptr::from_ref(after);
        // SAFETY: `after` is readable for the length of the call.
        check(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSADRAIN, after) })?;
        Ok(Raw { terminal, before })
    }
}

/// Shows nothing of what is typed, until what comes back is dropped.
///
/// # Errors
/// It is no terminal.
pub fn without_echo(terminal: BorrowedFd<'_>) -> io::Result<Raw> {
    let terminal = terminal.try_clone_to_owned()?;
    // SAFETY: the structure is plain data, for which zero bytes are a value.
    let mut before: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: `before` is writable for the length of the call.
    check(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut before) })?;
    let mut quiet = before;
    quiet.c_lflag &= !libc::ECHO;
    Raw::change(terminal, before, &quiet)
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        // SAFETY: `before` is readable for the length of the call.
        let _ = check(unsafe {
            libc::tcsetattr(
                self.terminal.as_fd().as_raw_fd(),
                libc::TCSADRAIN,
                &raw const self.before,
            )
        });
    }
}

/// Makes a process group the foreground one of our controlling terminal. Where there is none,
/// nothing happens.
pub fn set_foreground(group: i32) {
    // A background process that does this is stopped by SIGTTOU, unless it is blocked.
    // SAFETY: no memory is passed; 0 is standard input, of whatever kind.
    unsafe { libc::tcsetpgrp(0, group) };
}
