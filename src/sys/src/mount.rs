//! The mount API on descriptors: fsopen(2), fsmount(2), open_tree(2), move_mount(2),
//! mount_setattr(2), and the older calls that still have no successor.
//!
//! A mount is built detached, as a descriptor, and attached to a descriptor: no path is resolved
//! twice, so nothing can be swapped between a check and its use. Needs Linux 5.12.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// Read-only.
pub const RDONLY: u64 = 0x1;
/// Set-user-id bits and file capabilities are ignored.
pub const NOSUID: u64 = 0x2;
/// Device nodes cannot be opened.
pub const NODEV: u64 = 0x4;
/// Nothing can be executed.
pub const NOEXEC: u64 = 0x8;
/// Access times are kept strictly.
pub const STRICTATIME: u64 = 0x20;
/// Access times are not kept.
pub const NOATIME: u64 = 0x10;
/// The mask of the access time choice; zero within it is `relatime`.
pub const ATIME_MASK: u64 = 0x70;
/// Access times of directories are not kept.
pub const NODIRATIME: u64 = 0x80;
/// Ids are translated by a user namespace.
pub const IDMAP: u64 = 0x0010_0000;
/// Symbolic links are not followed.
pub const NOSYMFOLLOW: u64 = 0x0020_0000;

const AT_RECURSIVE: libc::c_int = 0x8000;
const OPEN_TREE_CLONE: libc::c_int = 1;
const OPEN_TREE_CLOEXEC: libc::c_int = libc::O_CLOEXEC;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_int = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_int = 0x40;
const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// How mounts and unmounts travel between mount namespaces (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Both ways.
    Shared,
    /// Inwards only.
    Slave,
    /// Not at all.
    Private,
    /// Not at all, and it cannot be bound elsewhere.
    Unbindable,
}

impl Propagation {
    /// The `MS_*` flag.
    pub const fn flag(self) -> u64 {
        match self {
            Propagation::Shared => libc::MS_SHARED,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// The `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

fn fd(value: libc::c_long) -> io::Result<OwnedFd> {
    if value == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(value as libc::c_int) })
}

fn done(value: libc::c_long) -> io::Result<()> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Opens a context in which a file system of this kind is configured.
///
/// # Errors
/// `ENODEV` when the kernel does not know it.
pub fn fsopen(kind: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: `kind` is a C string for the length of the call; 1 is FSOPEN_CLOEXEC.
    fd(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 1) })
}

/// Sets an option of the file system: `key=value`, or a flag without a value.
///
/// # Errors
/// `EINVAL` for an option or value the file system does not take.
pub fn fsconfig(context: BorrowedFd<'_>, key: &CStr, value: Option<&CStr>) -> io::Result<()> {
    let (command, pointer) = match value {
        Some(value) => (FSCONFIG_SET_STRING, value.as_ptr()),
        None => (FSCONFIG_SET_FLAG, std::ptr::null()),
    };
    // SAFETY: key and value are C strings for the length of the call.
    done(unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, key.as_ptr(), pointer, 0)
    })
}

/// Makes the configured file system and a detached mount of it, with attributes such as
/// [`RDONLY`].
///
/// # Errors
/// What the file system refuses.
pub fn fsmount(context: BorrowedFd<'_>, attributes: u64) -> io::Result<OwnedFd> {
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: the command takes neither key nor value.
    done(unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0)
    })?;
    // SAFETY: no memory is passed; the first 1 is FSMOUNT_CLOEXEC.
    fd(unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, attributes as libc::c_uint)
    })
}

/// A detached copy of the mount at `path` below `dir`, with those below it when `recursive`; an
/// empty path means `dir` itself.
///
/// # Errors
/// The path is not there, or the kernel's refusal.
pub fn clone_tree(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH;
    }
    // SAFETY: `path` is a C string for the length of the call.
    fd(unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags) })
}

/// As [`clone_tree`], of a path that is resolved from the working directory.
///
/// # Errors
/// As [`clone_tree`].
pub fn clone_tree_at_path(path: &CStr, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    // SAFETY: as above.
    fd(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Attaches the detached mount `tree` to what `target` refers to.
///
/// # Errors
/// The kernel's refusal.
pub fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both paths are the empty C string.
    done(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    })
}

/// As [`attach`], to the entry `name` of `dir`, whose link is not followed.
///
/// # Errors
/// `EINVAL` when one is a directory and the other is not, or the kernel's refusal.
pub fn attach_at(tree: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: both paths are C strings for the length of the call.
    done(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            dir.as_raw_fd(),
            name.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
}

/// Changes attributes of the mount that `mount` refers to.
///
/// # Errors
/// The kernel's refusal, `EPERM` for an attribute that is locked.
pub fn set_attributes(
    mount: BorrowedFd<'_>,
    set: u64,
    clear: u64,
    recursive: bool,
) -> io::Result<()> {
    setattr(
        mount,
        recursive,
        &MountAttr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 },
    )
}

/// Translates the ids of the detached mount `mount` by the user namespace `userns`.
///
/// # Errors
/// The file system cannot do it, or the kernel's refusal.
pub fn set_idmap(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>, recursive: bool) -> io::Result<()> {
    let userns_fd = userns.as_raw_fd() as u64;
    setattr(
        mount,
        recursive,
        &MountAttr { attr_set: IDMAP, attr_clr: 0, propagation: 0, userns_fd },
    )
}

/// Changes the propagation of the mount that `mount` refers to.
///
/// # Errors
/// The kernel's refusal.
pub fn set_propagation(
    mount: BorrowedFd<'_>,
    kind: Propagation,
    recursive: bool,
) -> io::Result<()> {
    let propagation = kind.flag();
    setattr(mount, recursive, &MountAttr { attr_set: 0, attr_clr: 0, propagation, userns_fd: 0 })
}

fn setattr(mount: BorrowedFd<'_>, recursive: bool, attr: &MountAttr) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is the empty C string, `attr` is read only for the length of the call.
    done(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    })
}

/// Sets the propagation of the mount at `path`, and of those below it when `recursive`.
///
/// # Errors
/// The kernel's refusal.
pub fn set_propagation_at(path: &CStr, kind: Propagation, recursive: bool) -> io::Result<()> {
    let flags = kind.flag() | if recursive { libc::MS_REC } else { 0 };
    let null = std::ptr::null();
    // SAFETY: `path` is a C string, the other pointers are null, as the call allows.
    check(unsafe { libc::mount(null, path.as_ptr(), null, flags, null.cast()) }).map(drop)
}

/// Makes the working directory, a mount point, the root of the mount namespace; the old root stays
/// mounted over it until [`detach`] of `.` (pivot_root(2), "pivot_root(".", ".")").
///
/// # Errors
/// The kernel's refusal.
pub fn pivot_to_working_directory() -> io::Result<()> {
    let dot = c".".as_ptr();
    // SAFETY: both paths are C strings.
    done(unsafe { libc::syscall(libc::SYS_pivot_root, dot, dot) })
}

/// Moves the mount of the working directory over `/`, where the root is the initial ram file
/// system, which cannot be pivoted away.
///
/// # Errors
/// The kernel's refusal.
pub fn move_working_directory_to_root() -> io::Result<()> {
    let null = std::ptr::null();
    // SAFETY: both paths are C strings, the other pointers are null, as the call allows.
    check(unsafe { libc::mount(c".".as_ptr(), c"/".as_ptr(), null, libc::MS_MOVE, null.cast()) })?;
    // SAFETY: a C string.
    check(unsafe { libc::chroot(c".".as_ptr()) }).map(drop)
}

/// Detaches the mount at `path` and those below it, now for new look-ups, and for good when the
/// last user is gone.
///
/// # Errors
/// The kernel's refusal.
pub fn detach(path: &CStr) -> io::Result<()> {
    // SAFETY: `path` is a C string.
    check(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Magic number of procfs, as [`file_system`] returns it.
pub const PROC_MAGIC: i64 = 0x9fa0;
/// Magic number of a cgroup version 1 hierarchy.
pub const CGROUP_MAGIC: i64 = 0x0027_e0eb;
/// Magic number of a cgroup version 2 hierarchy.
pub const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// Magic number of tmpfs.
pub const TMPFS_MAGIC: i64 = 0x0102_1994;
/// Magic number of overlayfs.
pub const OVERLAY_MAGIC: i64 = 0x794c_7630;

/// The magic number of the file system that `file` is on.
///
/// # Errors
/// None that the kernel documents for an open descriptor.
pub fn file_system(file: BorrowedFd<'_>) -> io::Result<i64> {
    // SAFETY: the structure is plain data, for which zero bytes are a value.
    let mut status: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `status` is writable for the length of the call.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut status) })?;
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between targets")]
    Ok(status.f_type as i64)
}
