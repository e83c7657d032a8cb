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
    folder(from, to, None, 0)
}

/// Copies the entry `name` of `from` to `new_name` in `to`, where it replaces a file. All belongs
/// to `owner`, where one is given.
pub fn one(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new_name: &CStr,
    owner: Option<(u32, u32)>,
) -> io::Result<()> {
    entry(from, name, to, new_name, owner, 0)
}

fn folder(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    owner: Option<(u32, u32)>,
    depth: u32,
) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    for name in at::entries(from)? {
        entry(from, &name, to, &name, owner, depth)?;
    }
    attributes(from, to)?;
    let status = at::status(from, c"")?;
    let (uid, gid) = owner.unwrap_or((status.uid, status.gid));
    at::set_owner(to, c"", uid, gid)?;
    at::set_mode(to, status.mode & 0o7777)
}

fn entry(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    new_name: &CStr,
    owner: Option<(u32, u32)>,
    depth: u32,
) -> io::Result<()> {
    let mut status = at::status(from, name)?;
    if let Some((uid, gid)) = owner {
        (status.uid, status.gid) = (uid, gid);
    }
    let mode = status.mode & 0o7777;
    if status.is_dir() {
        if let Err(error) = at::make_dir(to, new_name, 0o700)
            && error.raw_os_error() != Some(libc::EEXIST)
        {
            return Err(error);
        }
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let inner = open(from, name, flags)?;
        let copy = open(to, new_name, flags)?;
        folder(inner.as_fd(), copy.as_fd(), owner, depth + 1)?;
        let (seconds, nanoseconds) = status.modified;
        return at::set_times(to, new_name, seconds, nanoseconds);
    }
    match at::remove(to, new_name, false) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
        _ => {}
    }
    if status.is(libc::S_IFLNK) {
        at::make_symlink(&at::read_link(from, name)?, to, new_name)?;
    } else if status.is(libc::S_IFREG) {
        file(from, name, to, new_name)?;
    } else {
        at::make_node(to, new_name, status.mode & libc::S_IFMT | 0o600, status.rdev)?;
    }
    at::set_owner(to, new_name, status.uid, status.gid)?;
    if !status.is(libc::S_IFLNK) {
        at::set_mode_at(to, new_name, mode)?;
    }
    let (seconds, nanoseconds) = status.modified;
    at::set_times(to, new_name, seconds, nanoseconds)
}

fn open(dir: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<OwnedFd> {
    at::open(dir, name, flags | libc::O_NOFOLLOW, 0o600, Resolve::PLAIN)
}

fn file(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, new_name: &CStr) -> io::Result<()> {
    let mut source = File::from(open(from, name, libc::O_RDONLY)?);
    let mut copy = File::from(open(to, new_name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)?);
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
