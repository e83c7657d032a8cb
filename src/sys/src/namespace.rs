//! Namespaces and the birth of a process in new ones (namespaces(7), clone(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// User and group ids, capabilities.
    User,
    /// Mounts.
    Mount,
    /// Process ids.
    Pid,
    /// Network devices, addresses, ports.
    Net,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// The root of the visible cgroups.
    Cgroup,
    /// Offsets of the boot and monotonic clocks.
    Time,
}

impl Namespace {
    /// Every kind, in the order in which a process joins them: the user namespace first, since it
    /// gives the capabilities that the others ask for; mounts last, since paths change with them.
    pub const ALL: [Namespace; 8] = [
        Namespace::User,
        Namespace::Pid,
        Namespace::Net,
        Namespace::Ipc,
        Namespace::Uts,
        Namespace::Cgroup,
        Namespace::Time,
        Namespace::Mount,
    ];

    /// The `CLONE_NEW*` flag.
    pub const fn flag(self) -> u64 {
        match self {
            Namespace::User => libc::CLONE_NEWUSER as u64,
            Namespace::Mount => libc::CLONE_NEWNS as u64,
            Namespace::Pid => libc::CLONE_NEWPID as u64,
            Namespace::Net => libc::CLONE_NEWNET as u64,
            Namespace::Ipc => libc::CLONE_NEWIPC as u64,
            Namespace::Uts => libc::CLONE_NEWUTS as u64,
            Namespace::Cgroup => libc::CLONE_NEWCGROUP as u64,
            Namespace::Time => 0x80,
        }
    }

    /// The name below `/proc/PID/ns`.
    pub const fn file_name(self) -> &'static str {
        match self {
            Namespace::User => "user",
            Namespace::Mount => "mnt",
            Namespace::Pid => "pid",
            Namespace::Net => "net",
            Namespace::Ipc => "ipc",
            Namespace::Uts => "uts",
            Namespace::Cgroup => "cgroup",
            Namespace::Time => "time",
        }
    }
}

/// Moves the calling thread into the namespace that `ns` refers to. For a pid namespace only the
/// children born later are moved.
///
/// # Errors
/// The kernel's refusal.
pub fn setns(ns: BorrowedFd<'_>, kind: Namespace) -> io::Result<()> {
    // SAFETY: no memory is passed; `ns` is open for the length of the call.
    check(unsafe { libc::setns(ns.as_raw_fd(), kind.flag() as libc::c_int) }).map(drop)
}

/// Moves the calling process into new namespaces: a union of [`Namespace::flag`]s.
///
/// # Errors
/// The kernel's refusal.
pub fn unshare(flags: u64) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::unshare(flags as libc::c_int) }).map(drop)
}

/// Moves the calling thread into several namespaces of the process behind the handle at once: a
/// union of [`Namespace::flag`]s.
///
/// # Errors
/// The kernel's refusal, `EINVAL` for the caller's own user namespace.
pub fn enter(process: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    // SAFETY: no memory is passed; `process` is open for the length of the call.
    check(unsafe { libc::setns(process.as_raw_fd(), flags as libc::c_int) }).map(drop)
}

/// For [`clone_process`]: the caller's parent becomes the child's.
pub const SIBLING: u64 = libc::CLONE_PARENT as u64;

/// A user namespace of its own with these maps (user_namespaces(7), "uid_map").
///
/// # Errors
/// The kernel's refusal.
pub fn user_namespace(uids: &str, gids: &str) -> io::Result<OwnedFd> {
    let (ours, theirs) = crate::pass::pipe()?;
    match clone_process(Namespace::User.flag(), None)? {
        Cloned::Child => {
            drop(theirs);
            // Stays until the parent has a handle of the namespace and closes its end.
            let _ = crate::spawn::read(ours.as_fd(), &mut [0]);
            crate::spawn::exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(ours);
            let folder = format!("/proc/{pid}");
            let made = std::fs::write(format!("{folder}/uid_map"), uids)
                .and_then(|()| std::fs::write(format!("{folder}/gid_map"), gids))
                .and_then(|()| std::fs::File::open(format!("{folder}/ns/user")));
            drop(theirs);
            let _ = crate::pidfd::wait(pidfd.as_fd());
            made.map(OwnedFd::from)
        }
    }
}

/// Which side of [`clone_process`] this is.
pub enum Cloned {
    /// The caller: the child's pid as the caller's pid namespace has it, and a handle that can
    /// never come to mean another process.
    Parent {
        /// Process id.
        pid: i32,
        /// Process handle.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// The `struct clone_args` of clone3(2), version 2.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Clones the calling process, as fork does, into the namespaces of `flags`, and into `cgroup` (a
/// directory of a version 2 hierarchy) where one is given.
///
/// The caller must be single-threaded, or the child must restrict itself to async-signal-safe
/// calls: locks that other threads held stay locked in it.
///
/// # Errors
/// The kernel's refusal.
pub fn clone_process(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        // A sibling's is its parent's own.
        exit_signal: if flags & SIBLING == 0 { libc::SIGCHLD as u64 } else { 0 },
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= 0x2_0000_0000; // CLONE_INTO_CGROUP
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child has its own copy of memory and returns on its own copy of
    // this stack; `args` and `pidfd` outlive the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: the kernel has just stored a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned::Parent { pid: pid as i32, pidfd })
        }
    }
}
