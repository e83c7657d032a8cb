//! The raw-syscall layer: typed arguments in, owned or borrowed descriptors, `io::Result` out.
//! Safe on the outside; every `unsafe` block says why it is sound.
//!
//! Floor: above `box-wire` only. Nothing here reaches the C library's name look-ups (a static
//! glibc crashes in them): names go through [`resolve`], users and groups through [`accounts`].

pub mod accounts;
pub mod heap;
pub mod process;
pub mod random;
pub mod resolve;
pub mod signal;
pub mod splice;

use std::io;

/// Turns a C return value into a result: -1 means `errno`.
pub(crate) fn check(value: libc::c_int) -> io::Result<libc::c_int> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
