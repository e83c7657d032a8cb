//! The raw-syscall layer: typed arguments in, owned or borrowed descriptors, `io::Result` out.
//! Safe on the outside; every `unsafe` block says why it is sound.
//!
//! Floor: above `box-wire` only. Nothing here reaches the C library's name look-ups (a static
//! glibc crashes in them): names go through [`resolve`], users and groups through [`accounts`].

pub mod accounts;
pub mod at;
pub mod cgroup_devices;
pub mod credentials;
pub mod epoll;
pub mod file;
pub mod heap;
pub mod heap_use;
pub mod interrupt;
pub mod limits;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod nftables;
pub mod packet;
pub mod pass;
pub mod pidfd;
pub mod poll;
pub mod process;
pub mod pty;
pub mod random;
pub mod resolve;
pub mod rtnetlink;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod shared_map;
pub mod signal;
pub mod signal_fd;
pub mod spawn;
pub mod splice;
pub mod terminal;
pub mod timer;

use std::io;

/// Turns a C return value into a result: -1 means `errno`.
pub(crate) fn check(value: libc::c_int) -> io::Result<libc::c_int> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
