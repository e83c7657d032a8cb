//! Signal dispositions.

use std::io;

use crate::check;

/// What a write to a closed pipe or socket does to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigPipe {
    /// The process ends by the signal, silently, as a filter in a pipeline should.
    Die,
    /// The write fails with `EPIPE`, as a server needs it.
    Ignore,
}

/// Sets the disposition of SIGPIPE. Rust's runtime ignores it at start.
///
/// # Errors
/// None that the kernel documents for a valid signal number.
pub fn on_pipe_closed(disposition: SigPipe) -> io::Result<()> {
    let handler = match disposition {
        SigPipe::Die => libc::SIG_DFL,
        SigPipe::Ignore => libc::SIG_IGN,
    };
    // SAFETY: both handlers are the kernel's own; no code of ours runs in signal context.
    let previous = unsafe { libc::signal(libc::SIGPIPE, handler) };
    check(if previous == libc::SIG_ERR { -1 } else { 0 }).map(drop)
}

/// Ends this process by `signal`, as if nobody had handled it.
pub fn die_of(signal: i32) {
    // SAFETY: the default action is the kernel's own; raise takes a number and touches no memory.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
