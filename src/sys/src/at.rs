//! Files as (directory descriptor, path): openat2(2) and the `*at` calls.
//!
//! What works on a tree that somebody else may change resolves no path twice: it opens once, with a
//! [`Resolve`] that says what the path may do, and goes on with the descriptor.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// What a path may do on its way (the `resolve` field of openat2(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolve(u64);

impl Resolve {
    /// Whatever openat(2) lets it.
    pub const ANY: Resolve = Resolve(0);
    /// The directory is the root: `..` and absolute links end at it. Magic links fail.
    pub const IN_ROOT: Resolve = Resolve(0x10 | 0x02);
    /// As [`Resolve::IN_ROOT`], and no symbolic link is followed.
    pub const IN_ROOT_PLAIN: Resolve = Resolve(0x10 | 0x04 | 0x02);
    /// The path must stay below the directory: leaving it fails. Magic links fail.
    pub const BENEATH: Resolve = Resolve(0x08 | 0x02);
    /// As [`Resolve::BENEATH`], and no symbolic link is followed.
    pub const PLAIN: Resolve = Resolve(0x08 | 0x04 | 0x02);
    /// As [`Resolve::PLAIN`], and no mount point is crossed.
    pub const PLAIN_ONE_MOUNT: Resolve = Resolve(0x08 | 0x04 | 0x02 | 0x01);
}

/// The `struct open_how` of openat2(2).
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// How often a look-up is retried that raced with a rename elsewhere (`EAGAIN`).
const RACES_MAX: usize = 128;

/// Opens `path` below `dir` with the `O_*` flags and, for `O_CREAT`, the mode. Close-on-exec.
///
/// # Errors
/// The path is not there, does what `resolve` forbids (`EXDEV`, `ELOOP`), or the kernel's refusal.
pub fn open(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
    mode: u32,
    resolve: Resolve,
) -> io::Result<OwnedFd> {
    let mut how = OpenHow {
        flags: (flags | libc::O_CLOEXEC) as u32 as u64,
        mode: if flags & libc::O_CREAT != 0 { mode.into() } else { 0 },
        resolve: resolve.0,
    };
    let mut races = 0;
    loop {
        // SAFETY: `path` is a C string and `how` a structure for the length of the call.
        let value = unsafe {
            let how = &raw mut how;
            libc::syscall(
                libc::SYS_openat2,
                dir.as_raw_fd(),
                path.as_ptr(),
                how,
                size_of::<OpenHow>(),
            )
        };
        if value >= 0 {
            // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
            return Ok(unsafe { OwnedFd::from_raw_fd(value as libc::c_int) });
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) if races < RACES_MAX => races += 1,
            _ => return Err(error),
        }
    }
}

/// Opens a path from the working directory as a handle (`O_PATH`), following links.
///
/// # Errors
/// The path is not there.
pub fn handle(path: &CStr) -> io::Result<OwnedFd> {
    open(working_directory(), path, libc::O_PATH, 0, Resolve::ANY)
}

/// The descriptor that stands for the working directory.
pub fn working_directory() -> BorrowedFd<'static> {
    // SAFETY: AT_FDCWD is no descriptor that could be closed; the `*at` calls take it for one.
    unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) }
}

/// What stat(2) says of a file, as far as it is asked for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Type and permission bits.
    pub mode: u32,
    /// Device of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// What device a device node stands for.
    pub rdev: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: i64,
    /// Names.
    pub links: u64,
    /// When it was last changed: seconds since the epoch and nanoseconds.
    pub modified: (i64, u32),
}

impl Status {
    /// Whether the type bits are these, such as `S_IFDIR`.
    pub fn is(&self, kind: u32) -> bool {
        self.mode & libc::S_IFMT == kind
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.is(libc::S_IFDIR)
    }

    /// Whether it is the character device `major:minor`.
    pub fn is_char(&self, major: u32, minor: u32) -> bool {
        self.is(libc::S_IFCHR) && self.rdev == device(major, minor)
    }
}

/// The number of the device `major:minor`.
pub fn device(major: u32, minor: u32) -> u64 {
    libc::makedev(major, minor)
}

/// The status of `path` below `dir` itself, a link not followed; an empty path means `dir`.
///
/// # Errors
/// The path is not there.
pub fn status(dir: BorrowedFd<'_>, path: &CStr) -> io::Result<Status> {
    status_with(dir, path, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)
}

/// The status of what a path from the working directory leads to, links followed.
///
/// # Errors
/// The path is not there.
pub fn status_followed(path: &CStr) -> io::Result<Status> {
    status_with(working_directory(), path, 0)
}

fn status_with(dir: BorrowedFd<'_>, path: &CStr, flags: libc::c_int) -> io::Result<Status> {
    // SAFETY: the structure is plain data, for which zero bytes are a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is a C string and `stat` writable for the length of the call.
    check(unsafe { libc::fstatat(dir.as_raw_fd(), path.as_ptr(), &raw mut stat, flags) })?;
    Ok(Status {
        mode: stat.st_mode,
        dev: stat.st_dev,
        ino: stat.st_ino,
        rdev: stat.st_rdev,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size,
        links: stat.st_nlink,
        modified: (stat.st_mtime, stat.st_mtime_nsec as u32),
    })
}

/// Makes a directory.
///
/// # Errors
/// `EEXIST`, or the kernel's refusal.
pub fn make_dir(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: `name` is a C string.
    check(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), mode) }).map(drop)
}

/// Makes a node: a device, a fifo, by the type bits of `mode`.
///
/// # Errors
/// `EEXIST`, or the kernel's refusal.
pub fn make_node(dir: BorrowedFd<'_>, name: &CStr, mode: u32, device: u64) -> io::Result<()> {
    // SAFETY: `name` is a C string.
    check(unsafe { libc::mknodat(dir.as_raw_fd(), name.as_ptr(), mode, device) }).map(drop)
}

/// Makes a symbolic link `name` to `target`.
///
/// # Errors
/// `EEXIST`, or the kernel's refusal.
pub fn make_symlink(target: &CStr, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: both are C strings.
    check(unsafe { libc::symlinkat(target.as_ptr(), dir.as_raw_fd(), name.as_ptr()) }).map(drop)
}

/// Makes `name` below `dir` a further name of the file `old_name` below `old_dir`; a symbolic link
/// is not followed.
///
/// # Errors
/// `EEXIST`, or the kernel's refusal.
pub fn make_link(
    old_dir: BorrowedFd<'_>,
    old_name: &CStr,
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> io::Result<()> {
    // SAFETY: both are C strings.
    check(unsafe {
        libc::linkat(old_dir.as_raw_fd(), old_name.as_ptr(), dir.as_raw_fd(), name.as_ptr(), 0)
    })
    .map(drop)
}

/// Removes a name; a directory with `is_dir`.
///
/// # Errors
/// The kernel's refusal.
pub fn remove(dir: BorrowedFd<'_>, name: &CStr, is_dir: bool) -> io::Result<()> {
    let flags = if is_dir { libc::AT_REMOVEDIR } else { 0 };
    // SAFETY: `name` is a C string.
    check(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), flags) }).map(drop)
}

/// Changes owner and group; a link's own. An empty name means `dir` itself.
///
/// # Errors
/// The kernel's refusal.
pub fn set_owner(dir: BorrowedFd<'_>, name: &CStr, uid: u32, gid: u32) -> io::Result<()> {
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    // SAFETY: `name` is a C string.
    check(unsafe { libc::fchownat(dir.as_raw_fd(), name.as_ptr(), uid, gid, flags) }).map(drop)
}

/// Changes the permission bits of an open file.
///
/// # Errors
/// The kernel's refusal.
pub fn set_mode(file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::fchmod(file.as_raw_fd(), mode) }).map(drop)
}

/// Changes the permission bits of `name`, which the caller knows not to be a symbolic link.
///
/// # Errors
/// The kernel's refusal.
pub fn set_mode_at(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: `name` is a C string.
    check(unsafe { libc::fchmodat(dir.as_raw_fd(), name.as_ptr(), mode, 0) }).map(drop)
}

/// Sets both times of `name` itself to `seconds` and `nanoseconds` since the epoch.
///
/// # Errors
/// The kernel's refusal.
pub fn set_times(
    dir: BorrowedFd<'_>,
    name: &CStr,
    seconds: i64,
    nanoseconds: u32,
) -> io::Result<()> {
    let time = libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = [time, time];
    // SAFETY: `name` is a C string and `times` two structures for the length of the call.
    check(unsafe {
        libc::utimensat(dir.as_raw_fd(), name.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW)
    })
    .map(drop)
}

/// Sets an extended attribute of `name` itself, a link not followed.
///
/// # Errors
/// `ENOTSUP` where the file system has none of that kind, or the kernel's refusal.
pub fn set_attribute(dir: BorrowedFd<'_>, name: &CStr, key: &CStr, value: &[u8]) -> io::Result<()> {
    // There is no lsetxattrat before Linux 6.13; the descriptor's own name in procfs stands in.
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    let path = CString::new(path)?;
    // SAFETY: path and key are C strings, the value is readable for its length.
    check(unsafe {
        let value_at = value.as_ptr().cast();
        libc::lsetxattr(path.as_ptr(), key.as_ptr(), value_at, value.len(), 0)
    })
    .map(drop)
}

/// Sets an extended attribute of an open file or directory.
///
/// # Errors
/// As [`set_attribute`].
pub fn set_open_attribute(file: BorrowedFd<'_>, key: &CStr, value: &[u8]) -> io::Result<()> {
    // SAFETY: the key is a C string, the value is readable for its length.
    check(unsafe {
        libc::fsetxattr(file.as_raw_fd(), key.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    })
    .map(drop)
}

/// Makes `dir` the working directory.
///
/// # Errors
/// The kernel's refusal.
pub fn change_dir(dir: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::fchdir(dir.as_raw_fd()) }).map(drop)
}

/// Makes `path` the working directory, and makes sure that the kernel calls it reachable from the
/// root: a directory that was opened outside of a container is not (CVE-2024-21626).
///
/// # Errors
/// The kernel's refusal, `ENOENT` for a directory outside of the root.
pub fn change_dir_inside(path: &CStr) -> io::Result<()> {
    // SAFETY: `path` is a C string.
    check(unsafe { libc::chdir(path.as_ptr()) })?;
    let mut name = [0u8; libc::PATH_MAX as usize];
    // The syscall itself: glibc's wrapper would hide the "(unreachable)".
    // SAFETY: the buffer is writable for its length.
    let length = unsafe { libc::syscall(libc::SYS_getcwd, name.as_mut_ptr(), name.len()) };
    match (length, name[0]) {
        (-1, _) => Err(io::Error::last_os_error()),
        (_, b'/') => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::ENOENT)),
    }
}

/// The text of a file in as few calls as there can be: files of procfs and cgroupfs have no size to
/// ask for.
///
/// # Errors
/// It cannot be opened or read, or is not UTF-8.
pub fn read_file(path: &std::path::Path) -> io::Result<String> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let file = open(working_directory(), &path, libc::O_RDONLY, 0, Resolve::ANY)?;
    let mut text = Vec::new();
    let mut chunk = [0u8; 8192];
    loop {
        match crate::spawn::read(file.as_fd(), &mut chunk)? {
            0 => break,
            length => text.extend_from_slice(chunk.get(..length).unwrap_or_default()),
        }
    }
    String::from_utf8(text).map_err(|_| io::Error::from_raw_os_error(libc::EILSEQ))
}

/// Writes to a file that is there, each text with a call of its own, as cgroupfs wants it.
///
/// # Errors
/// It cannot be opened, or a text is refused.
pub fn write_file(path: &std::path::Path, texts: &[impl AsRef<str>]) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let file = open(working_directory(), &path, libc::O_WRONLY, 0, Resolve::ANY)?;
    for text in texts {
        crate::spawn::write(file.as_fd(), text.as_ref().as_bytes())?;
    }
    Ok(())
}

/// Opens the directory of `path` from the working directory for reading.
///
/// # Errors
/// It is not there or is no directory.
pub fn open_dir(path: &std::path::Path) -> io::Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes())?;
    open(working_directory(), &path, libc::O_DIRECTORY | libc::O_RDONLY, 0, Resolve::ANY)
}

/// Flushes a directory or file to the disk.
///
/// # Errors
/// The disk's failure.
pub fn sync(file: impl AsFd) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::fsync(file.as_fd().as_raw_fd()) }).map(drop)
}

/// Takes (waiting) or gives back an advisory lock on the whole open file; it goes with the last
/// descriptor of this opening (flock(2)).
///
/// # Errors
/// The kernel's refusal.
pub fn lock(file: impl AsFd, exclusive: bool) -> io::Result<()> {
    let operation = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
    loop {
        // SAFETY: no memory is passed.
        match check(unsafe { libc::flock(file.as_fd().as_raw_fd(), operation) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome.map(drop),
        }
    }
}

/// Takes the exclusive lock of [`lock`] if nobody else has it.
///
/// # Errors
/// The kernel's refusal.
pub fn try_lock(file: impl AsFd) -> io::Result<bool> {
    // SAFETY: no memory is passed.
    let taken = unsafe { libc::flock(file.as_fd().as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    match check(taken) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        outcome => outcome.map(|_| true),
    }
}

/// Whether what a path leads to lies on a mount that is read-only.
///
/// # Errors
/// The path is not there.
pub fn is_on_read_only_mount(path: &CStr) -> io::Result<bool> {
    // SAFETY: the structure is plain data, for which zero bytes are a value.
    let mut status: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is a C string and `status` writable for the length of the call.
    check(unsafe { libc::statvfs(path.as_ptr(), &raw mut status) })?;
    Ok(status.f_flag & libc::ST_RDONLY != 0)
}

/// Flushes the file system that `file` is on.
///
/// # Errors
/// The disk's failure.
pub fn sync_file_system(file: impl AsFd) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::syncfs(file.as_fd().as_raw_fd()) }).map(drop)
}

/// The names in an open directory, without `.` and `..`.
///
/// # Errors
/// It is no directory, or the kernel's refusal.
pub fn entries(dir: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    let mut buffer = vec![0u8; 32 * 1024];
    loop {
        // SAFETY: the buffer is writable for its length.
        let got = unsafe {
            let at = buffer.as_mut_ptr();
            libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), at, buffer.len())
        };
        if got == -1 {
            return Err(io::Error::last_os_error());
        }
        let mut rest = buffer.get(..got as usize).unwrap_or_default();
        if rest.is_empty() {
            return Ok(names);
        }
        // struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name with its NUL.
        while let Some(&[low, high]) = rest.get(16..18) {
            let length = usize::from(u16::from_ne_bytes([low, high]));
            let name = rest.get(19..length).and_then(|name| CStr::from_bytes_until_nul(name).ok());
            if let Some(name) = name.filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
                names.push(name.to_owned());
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

/// The extended attributes of an open file or directory. A file system without any has none.
///
/// # Errors
/// The kernel's refusal.
pub fn attributes(file: BorrowedFd<'_>) -> io::Result<Vec<(CString, Vec<u8>)>> {
    let mut names = vec![0u8; ATTRIBUTE_MAX];
    // SAFETY: the buffer is writable for its length.
    let length =
        unsafe { libc::flistxattr(file.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) };
    if length < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENOTSUP) {
            Ok(Vec::new())
        } else {
            Err(error)
        };
    }
    names.truncate(length as usize);
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let key = CString::new(name)?;
        let mut value = vec![0u8; ATTRIBUTE_MAX];
        // SAFETY: the key is a C string, the buffer is writable for its length.
        let length = unsafe {
            libc::fgetxattr(file.as_raw_fd(), key.as_ptr(), value.as_mut_ptr().cast(), value.len())
        };
        if length >= 0 {
            value.truncate(length as usize);
            found.push((key, value));
        }
    }
    Ok(found)
}

/// The longest value, and the longest list of names, of extended attributes (limits.h).
const ATTRIBUTE_MAX: usize = 65536;

/// Where the symbolic link `name` leads.
///
/// # Errors
/// It is no link.
pub fn read_link(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<CString> {
    let mut buffer = vec![0u8; libc::PATH_MAX as usize];
    // SAFETY: `name` is a C string and the buffer writable for its length.
    let length = unsafe {
        let at = buffer.as_mut_ptr().cast();
        libc::readlinkat(dir.as_raw_fd(), name.as_ptr(), at, buffer.len())
    };
    if length == -1 {
        return Err(io::Error::last_os_error());
    }
    buffer.truncate(length as usize);
    CString::new(buffer).map_err(io::Error::other)
}
