//! Files beyond `std`: byte-range locks of an open file description, vectored I/O at an offset, and
//! reads that do not wait.
//!
//! The locks are `F_OFD_*` (Linux 3.15): they exclude the classic `F_SETLK` locks of other
//! programs, but belong to the open file description. A classic lock belongs to the process, and is
//! lost when any descriptor of that file is closed anywhere in it.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// What to do with a byte range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeLock {
    /// Share it with other readers.
    Read,
    /// Have it alone.
    Write,
    /// Give it back.
    Unlock,
}

impl RangeLock {
    fn request(self, start: u64, len: u64) -> io::Result<libc::flock> {
        let kind = match self {
            RangeLock::Read => libc::F_RDLCK,
            RangeLock::Write => libc::F_WRLCK,
            RangeLock::Unlock => libc::F_UNLCK,
        };
        Ok(libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: offset(start)?,
            l_len: offset(len)?,
            l_pid: 0,
        })
    }
}

fn offset(value: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(value).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Sets a lock on a range without waiting; `false`: somebody else's lock is in the way.
///
/// # Errors
/// What the kernel says, other than the conflict.
pub fn lock_range(fd: BorrowedFd<'_>, lock: RangeLock, start: u64, len: u64) -> io::Result<bool> {
    let request = lock.request(start, len)?;
    loop {
        // SAFETY: `request` is a complete flock structure that outlives the call; `fd` is open.
        let set = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &request) });
        match set {
            Ok(_) => return Ok(true),
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => return Ok(false),
                Some(libc::EINTR) => {}
                _ => return Err(error),
            },
        }
    }
}

/// Whether a lock of somebody else would stop a write lock on the range.
///
/// # Errors
/// What the kernel says.
pub fn range_is_locked(fd: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<bool> {
    let mut request = RangeLock::Write.request(start, len)?;
    // SAFETY: the kernel writes the conflicting lock into `request`, which is ours; `fd` is open.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &mut request) })?;
    Ok(request.l_type != libc::F_UNLCK as libc::c_short)
}

/// Reads into the buffers from `start`; fewer bytes than they hold at the end of the file.
///
/// # Errors
/// What the kernel says.
pub fn read_vectored_at(
    fd: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
    start: u64,
) -> io::Result<usize> {
    let count = buffers.len().min(libc::UIO_MAXIOV as usize) as libc::c_int;
    loop {
        // SAFETY: IoSliceMut has the layout of iovec, and the slices live through the call.
        let read = unsafe {
            libc::preadv(fd.as_raw_fd(), buffers.as_mut_ptr().cast(), count, offset(start)?)
        };
        match usize::try_from(read) {
            Ok(read) => return Ok(read),
            Err(_) => interrupted(io::Error::last_os_error())?,
        }
    }
}

/// Writes the buffers at `start`, and says how many bytes the kernel took.
///
/// # Errors
/// What the kernel says.
pub fn write_vectored_at(
    fd: BorrowedFd<'_>,
    buffers: &[IoSlice<'_>],
    start: u64,
) -> io::Result<usize> {
    let count = buffers.len().min(libc::UIO_MAXIOV as usize) as libc::c_int;
    loop {
        // SAFETY: IoSlice has the layout of iovec, and the slices live through the call.
        let written = unsafe {
            libc::pwritev(fd.as_raw_fd(), buffers.as_ptr().cast(), count, offset(start)?)
        };
        match usize::try_from(written) {
            Ok(written) => return Ok(written),
            Err(_) => interrupted(io::Error::last_os_error())?,
        }
    }
}

/// Gives the first `bytes` bytes of the file blocks on the disk, and the file that length at least.
/// What the file holds stays, whoever else writes to it at the time.
///
/// # Errors
/// What the kernel says; `EOPNOTSUPP` where the file system cannot.
pub fn allocate(fd: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    loop {
        // SAFETY: no memory is passed; `fd` is open.
        match check(unsafe { libc::fallocate(fd.as_raw_fd(), 0, 0, offset(bytes)?) }) {
            Ok(_) => return Ok(()),
            Err(error) => interrupted(error)?,
        }
    }
}

/// Lets a call that a signal cut short be made again.
fn interrupted(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

/// Makes reads and writes return `EAGAIN` instead of waiting, or wait again.
///
/// # Errors
/// The kernel's refusal.
pub fn set_nonblocking(file: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    // SAFETY: the requests take numbers only.
    unsafe {
        let flags = check(libc::fcntl(file.as_raw_fd(), libc::F_GETFL))?;
        let flags = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
        check(libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags)).map(drop)
    }
}

/// A file in memory alone, without a name elsewhere.
///
/// # Errors
/// The kernel's refusal.
pub fn in_memory(name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    // SAFETY: `name` is a C string for the length of the call.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Goes back to the start of a file.
///
/// # Errors
/// It has no places.
pub fn rewind(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no memory is passed.
    if unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_SET) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    fn scratch() -> (std::path::PathBuf, File) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("box-sys-file-{}-{n}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        (path, file.unwrap())
    }

    #[test]
    fn two_descriptions_of_one_process_exclude_each_other() {
        let (path, first) = scratch();
        let second = File::options().read(true).write(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(lock_range(first.as_fd(), RangeLock::Write, 10, 2).unwrap());
        assert!(!lock_range(second.as_fd(), RangeLock::Read, 11, 5).unwrap());
        assert!(range_is_locked(second.as_fd(), 11, 1).unwrap());
        assert!(!range_is_locked(first.as_fd(), 11, 1).unwrap());
        assert!(lock_range(first.as_fd(), RangeLock::Unlock, 0, 100).unwrap());
        assert!(lock_range(second.as_fd(), RangeLock::Read, 11, 5).unwrap());
    }

    #[test]
    fn allocating_keeps_what_is_there() {
        let (path, file) = scratch();
        std::fs::remove_file(path).unwrap();
        file.write_all_at(b"abc", 9000).unwrap();
        allocate(file.as_fd(), 9001).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 9003);
        allocate(file.as_fd(), 20_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 20_000);
        let mut read = [0; 4];
        file.read_exact_at(&mut read, 9000).unwrap();
        assert_eq!(&read, b"abc\0");
    }

    #[test]
    fn vectors_are_written_and_read() {
        let (path, file) = scratch();
        std::fs::remove_file(path).unwrap();
        let parts = [IoSlice::new(b"ab"), IoSlice::new(b"cde")];
        assert_eq!(write_vectored_at(file.as_fd(), &parts, 1).unwrap(), 5);
        let (mut a, mut b) = ([0; 3], [0; 8]);
        let mut into = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert_eq!(read_vectored_at(file.as_fd(), &mut into, 0).unwrap(), 6);
        assert_eq!((&a, &b[..3]), (b"\0ab", &b"cde"[..]));
        assert_eq!(file.read_at(&mut a, 100).unwrap(), 0);
    }
}
