//! Processes by handle (pidfd_open(2)) and what identifies one across handles: a pid alone may have
//! come to mean another process, so it is kept with the process's start time.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By exit(2) with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl Ended {
    /// The shell's view: the code, or 128+N.
    pub fn code(self) -> u8 {
        match self {
            Ended::Exited(code) => code as u8,
            Ended::Signaled(signal) => 128u8.wrapping_add(signal as u8),
        }
    }
}

/// A handle of the process `pid`.
///
/// # Errors
/// `ESRCH` when there is none.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

/// Sends a signal; 0 only asks whether it could be sent.
///
/// # Errors
/// `ESRCH` when the process has ended and been waited for.
pub fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let null = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is what the call allows.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, null, 0) };
    if sent == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits for the end of a child of ours. The handle is what is waited on, never SIGCHLD, which can
/// come before anybody listens.
///
/// # Errors
/// `ECHILD` when it is no child of ours.
pub fn wait(process: BorrowedFd<'_>) -> io::Result<Ended> {
    wait_with(process, libc::WEXITED).map(|ended| ended.unwrap_or(Ended::Exited(0)))
}

/// As [`wait`], but returns `None` while the child lives.
///
/// # Errors
/// As [`wait`].
pub fn ended(process: BorrowedFd<'_>) -> io::Result<Option<Ended>> {
    wait_with(process, libc::WEXITED | libc::WNOHANG)
}

fn wait_with(process: BorrowedFd<'_>, options: libc::c_int) -> io::Result<Option<Ended>> {
    loop {
        // SAFETY: the structure is plain data, for which zero bytes are a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is writable for the length of the call.
        let done = unsafe {
            libc::waitid(libc::P_PIDFD, process.as_raw_fd() as libc::id_t, &raw mut info, options)
        };
        if done == -1 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        // SAFETY: waitid has filled the fields of a SIGCHLD, or left the zeros.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        return Ok(match (pid, info.si_code) {
            (0, _) => None,
            (_, libc::CLD_EXITED) => Some(Ended::Exited(status)),
            _ => Some(Ended::Signaled(status)),
        });
    }
}

/// Waits until a process that need not be a child of ours has ended, at most `timeout_ms` (forever
/// when negative). Returns whether it has.
///
/// # Errors
/// The kernel's refusal.
pub fn await_end(process: BorrowedFd<'_>, timeout_ms: i32) -> io::Result<bool> {
    loop {
        let mut poll = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure, writable for the length of the call.
        match unsafe { libc::poll(&raw mut poll, 1, timeout_ms) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            ready => return Ok(ready > 0),
        }
    }
}

/// When the process was started, in clock ticks after boot (field 22 of proc_pid_stat(5)), and its
/// state letter.
///
/// # Errors
/// There is no such process.
pub fn start_time(pid: i32) -> io::Result<(u64, char)> {
    let text = std::fs::read(format!("/proc/{pid}/stat"))?;
    // The command's name may hold spaces and parentheses: what counts stands behind its last one.
    let rest = text.iter().rposition(|byte| *byte == b')').and_then(|end| text.get(end + 2..));
    let rest = String::from_utf8_lossy(rest.unwrap_or_default()).into_owned();
    let mut fields = rest.split(' ');
    let state = fields.next().and_then(|field| field.chars().next());
    let started = fields.nth(18).and_then(|field| field.parse().ok());
    state.zip(started).map(|(state, started)| (started, state)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the process's stat file is not understood")
    })
}
