//! Ctrl-C as a fact to be asked for: an interactive program that has something to stop (a stream of
//! messages, a query) goes on living.
//!
//! The handler only sets a flag and is installed without `SA_RESTART`, so that a blocking call
//! returns `Interrupted` and its caller looks at the flag.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::check;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT is noted instead of ending the process.
///
/// # Errors
/// None that the kernel documents for a valid signal number.
pub fn catch() -> io::Result<()> {
    set(note as extern "C" fn(libc::c_int) as libc::sighandler_t)
}

/// From now on SIGINT ends the process again.
///
/// # Errors
/// As [`catch`].
pub fn release() -> io::Result<()> {
    set(libc::SIG_DFL)
}

fn set(handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sigaction (no flags, empty mask).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: `action` is a valid struct; the handler only stores to an atomic, which is
    // async-signal-safe.
    check(unsafe { libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut()) })
        .map(drop)
}

/// The flag itself, for work that looks at it now and then and forgets it when it starts anew.
pub fn flag() -> &'static AtomicBool {
    &INTERRUPTED
}

/// Whether SIGINT came since the last question.
pub fn happened() -> bool {
    INTERRUPTED.swap(false, Ordering::Relaxed)
}

/// Whether SIGINT came, without forgetting it.
pub fn is_pending() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
