//! Copies of trees: what a root file system holds into a new mount or a volume. Modes, owners, times
//! and extended attributes go along; links of several names to one file do not.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use box_sys::at::{self, Resolve};

/// How deep folders may be nested.
const DEPTH_MAX: u32 = 512;

/// Copies what is in `from` into `to`, and makes `to` itself like `from`.
pub fn contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    folder(from, to, 0)
}

fn folder(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    for name in at::entries(from)? {
        entry(from, to, &name, depth)?;
    }
    attributes(from, to)?;
    let status = at::status(from, c"")?;
    at::set_owner(to, c"", status.uid, status.gid)?;
    at::set_mode(to, status.mode & 0o7777)
}

fn entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, depth: u32) -> io::Result<()> {
    let status = at::status(from, name)?;
    let mode = status.mode & 0o7777;
    if status.is_dir() {
        if let Err(error) = at::make_dir(to, name, 0o700)
            && error.raw_os_error() != Some(libc::EEXIST)
        {
            return Err(error);
        }
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let inner = open(from, name, flags)?;
        let copy = open(to, name, flags)?;
        folder(inner.as_fd(), copy.as_fd(), depth + 1)?;
        let (seconds, nanoseconds) = status.modified;
        return at::set_times(to, name, seconds, nanoseconds);
    }
    if status.is(libc::S_IFLNK) {
        at::make_symlink(&at::read_link(from, name)?, to, name)?;
    } else if status.is(libc::S_IFREG) {
        file(from, to, name)?;
    } else {
        at::make_node(to, name, status.mode & libc::S_IFMT | 0o600, status.rdev)?;
    }
    at::set_owner(to, name, status.uid, status.gid)?;
    if !status.is(libc::S_IFLNK) {
        at::set_mode_at(to, name, mode)?;
    }
    let (seconds, nanoseconds) = status.modified;
    at::set_times(to, name, seconds, nanoseconds)
}

fn open(dir: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<OwnedFd> {
    at::open(dir, name, flags | libc::O_NOFOLLOW, 0o600, Resolve::PLAIN)
}

fn file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let mut source = File::from(open(from, name, libc::O_RDONLY)?);
    let mut copy = File::from(open(to, name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)?);
    // The kernel's own copy where there is one.
    io::copy(&mut source, &mut copy)?;
    attributes(source.as_fd(), copy.as_fd())
}

fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    for (key, value) in at::attributes(from)? {
        match at::set_open_attribute(to, &key, &value) {
            // A file system that has none of that kind.
            Err(error) if error.raw_os_error() == Some(libc::ENOTSUP) => {}
            outcome => outcome?,
        }
    }
    Ok(())
}
