//! What a child sets before its program starts, and the start itself. Every call is
//! async-signal-safe: no allocation, no lock.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use crate::check;

fn done(value: libc::c_long) -> io::Result<()> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The strings of an argument list or environment with the array of pointers that execve(2) takes:
/// made before the clone, used after it.
#[derive(Debug)]
pub struct StringArray {
    // Owns what `pointers` points into: a CString's bytes stay where they are when it is moved.
    _strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl StringArray {
    /// Of these strings.
    pub fn new(strings: Vec<CString>) -> StringArray {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        StringArray { _strings: strings, pointers }
    }
}

/// Starts the program in place of the calling process: returns only when that fails.
pub fn execute(path: &CStr, args: &StringArray, env: &StringArray) -> io::Error {
    // SAFETY: the arrays end with a null pointer, and point into strings that they own.
    unsafe { libc::execve(path.as_ptr(), args.pointers.as_ptr(), env.pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// As [`execute`], of an open file.
pub fn execute_file(file: BorrowedFd<'_>, args: &StringArray, env: &StringArray) -> io::Error {
    // SAFETY: as above; the path is the empty C string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            args.pointers.as_ptr(),
            env.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Ends the calling process at once: no destructor, no buffer flushed. For a child that shares its
/// parent's memory image and must not run its parent's ends.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: the call does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Which side of [`fork`] this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The caller, and the child's pid.
    Parent(i32),
    /// The new process.
    Child,
}

/// Forks the calling process, which must be single-threaded.
///
/// # Errors
/// The kernel's refusal.
pub fn fork() -> io::Result<Forked> {
    // SAFETY: the process is single-threaded, so the child finds no lock held by another thread.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// Makes the calling process the leader of a new session.
///
/// # Errors
/// It leads a process group already.
pub fn new_session() -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Makes `target` another number of `file`'s opening, to be inherited over an exec.
///
/// # Errors
/// The kernel's refusal.
pub fn duplicate_to(file: BorrowedFd<'_>, target: i32) -> io::Result<()> {
    if file.as_raw_fd() == target {
        // dup2 would leave close-on-exec as it is.
        // SAFETY: no memory is passed.
        return check(unsafe { libc::fcntl(target, libc::F_SETFD, 0) }).map(drop);
    }
    // SAFETY: the number that is replaced is one of the standard streams or one that the caller
    // gives away.
    check(unsafe { libc::dup2(file.as_raw_fd(), target) }).map(drop)
}

/// A further descriptor of the same opening, numbered `least` or above. Close-on-exec.
///
/// # Errors
/// The kernel's refusal.
pub fn duplicate_above(file: BorrowedFd<'_>, least: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) })?;
    // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor that the process was started with, as a handle of its own, or `None` when it is
/// not open.
pub fn inherited(number: i32) -> Option<OwnedFd> {
    // SAFETY: the number is only duplicated here, whatever it is.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    duplicate_above(borrowed, 3).ok()
}

/// Marks every descriptor from `first` on close-on-exec.
///
/// # Errors
/// The kernel's refusal.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: no memory is passed; 4 is CLOSE_RANGE_CLOEXEC.
    done(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 4) })
}

/// Closes the descriptors from `first` to `last`, whoever owns them: for a child that has nothing
/// left to drop.
///
/// # Errors
/// The kernel's refusal.
pub fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    done(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })
}

/// A descriptor that stays open until the process executes another program, which closes it: every
/// close is a system call that the kernel makes anyway.
pub fn until_exec(file: OwnedFd) -> BorrowedFd<'static> {
    // SAFETY: the owner is given up, so the descriptor stays open for the rest of the process.
    unsafe { BorrowedFd::borrow_raw(file.into_raw_fd()) }
}

/// The signals that the calling process ignores, one bit each, the lowest for signal 1. A program
/// inherits them; handlers it does not.
///
/// # Errors
/// procfs is not there.
pub fn ignored_signals() -> io::Result<u64> {
    let status = crate::at::read_file(std::path::Path::new("/proc/self/status"))?;
    let field = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = field.and_then(|field| u64::from_str_radix(field.trim(), 16).ok());
    set.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Gives the `ignored` signals their default disposition and opens the mask: Rust's runtime ignores
/// SIGPIPE, and a caller may have blocked anything.
///
/// # Errors
/// None that the kernel documents.
pub fn reset_signals(ignored: u64) -> io::Result<()> {
    for signal in (1..=64).filter(|signal| ignored >> (signal - 1) & 1 == 1) {
        // SAFETY: the disposition is the kernel's own.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a set made by sigemptyset, read only; the old mask is not asked for.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())).map(drop)
    }
}

/// Runs the calling process on the processors of `set` alone, one bit each.
///
/// # Errors
/// `EINVAL` when none of them is there.
pub fn set_affinity(set: &[u64]) -> io::Result<()> {
    // SAFETY: the set is readable for its length; 0 is the calling thread.
    done(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(set), set.as_ptr()) })
}

/// The soft and hard limit of a resource (`RLIMIT_*`) of the calling process.
///
/// # Errors
/// `EINVAL` for a resource that the kernel does not know.
pub fn limit(resource: u32) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable for the length of the call.
    check(unsafe { libc::getrlimit64(resource, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Sets the soft and hard limit of a resource.
///
/// # Errors
/// `EPERM` above the hard limit without CAP_SYS_RESOURCE.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is readable for the length of the call.
    check(unsafe { libc::setrlimit64(resource, &raw const limit) }).map(drop)
}

/// Sets the file mode creation mask and returns the old one.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: no memory is passed; the call cannot fail.
    unsafe { libc::umask(mask) }
}

/// Sets host and, where given, NIS domain name.
///
/// # Errors
/// `EPERM`.
pub fn set_host_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: the slice is readable for its length.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// Sets the NIS domain name.
///
/// # Errors
/// `EPERM`.
pub fn set_domain_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: the slice is readable for its length.
    check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// Joins a new session keyring without a name, so that the caller's keys stay outside.
///
/// # Errors
/// `EDQUOT`, `ENOSYS`: the caller may go on.
pub fn join_session_keyring() -> io::Result<()> {
    // SAFETY: 1 is KEYCTL_JOIN_SESSION_KEYRING, a null name an anonymous keyring.
    done(unsafe { libc::syscall(libc::SYS_keyctl, 1, std::ptr::null::<libc::c_char>()) })
}

/// Orders a signal for the end of the parent thread.
///
/// # Errors
/// None that the kernel documents.
pub fn signal_on_parent_end(signal: i32) -> io::Result<()> {
    // SAFETY: the option takes a number only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) }).map(drop)
}

/// Makes orphans below the calling process its children.
///
/// # Errors
/// None that the kernel documents.
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: the option takes a number only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1u64) }).map(drop)
}

/// Sets the name that ps(1) shows (15 bytes of it).
pub fn set_name(name: &CStr) {
    // SAFETY: a C string for the length of the call; a failure leaves the old name.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Sets the execution domain (personality(2)).
///
/// # Errors
/// `EINVAL`.
pub fn set_personality(domain: u64) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::personality(domain) }).map(drop)
}

/// Sets the I/O priority (ioprio_set(2)) of the calling process.
///
/// # Errors
/// `EPERM` for the real-time class.
pub fn set_io_priority(priority: u32) -> io::Result<()> {
    // SAFETY: no memory is passed; 1 is IOPRIO_WHO_PROCESS.
    done(unsafe { libc::syscall(libc::SYS_ioprio_set, 1, 0, priority) })
}

/// The `struct sched_attr` of sched_setattr(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Scheduling {
    /// Bytes of this structure.
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Niceness, for the ordinary policies.
    pub nice: i32,
    /// Priority, for the real-time policies.
    pub priority: u32,
    /// Deadline policy: run time in nanoseconds.
    pub runtime: u64,
    /// Deadline policy: deadline in nanoseconds.
    pub deadline: u64,
    /// Deadline policy: period in nanoseconds.
    pub period: u64,
}

/// Sets policy and parameters of the calling process.
///
/// # Errors
/// `EPERM`, `EINVAL`.
pub fn set_scheduling(attributes: &Scheduling) -> io::Result<()> {
    let sized = Scheduling { size: size_of::<Scheduling>() as u32, ..*attributes };
    // SAFETY: the structure is readable for the length of the call.
    done(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const sized, 0) })
}

/// Reads from an open file, retrying when interrupted.
///
/// # Errors
/// The kernel's refusal.
pub fn read(file: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the slice is writable for its length.
        let got = unsafe { libc::read(file.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
        match usize::try_from(got) {
            Ok(got) => return Ok(got),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Writes to an open file, retrying when interrupted; returns how much the kernel took.
///
/// # Errors
/// The kernel's refusal.
pub fn write(file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the slice is readable for its length.
        let put = unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(put) {
            Ok(put) => return Ok(put),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Waits for any child of the calling process, without blocking unless `block`; the pid and how it
/// ended, `None` when none has.
///
/// # Errors
/// `ECHILD` when there are no children.
pub fn reap(block: bool) -> io::Result<Option<(i32, crate::pidfd::Ended)>> {
    let mut status = 0;
    let options = if block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: `status` is writable for the length of the call.
        match check(unsafe { libc::waitpid(-1, &raw mut status, options) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(0) => return Ok(None),
            Ok(pid) if libc::WIFSIGNALED(status) => {
                let signal = libc::WTERMSIG(status);
                return Ok(Some((pid, crate::pidfd::Ended::Signaled(signal))));
            }
            Ok(pid) => {
                let code = libc::WEXITSTATUS(status);
                return Ok(Some((pid, crate::pidfd::Ended::Exited(code))));
            }
        }
    }
}

/// Sends a signal by number: only for a child that has not been waited for, whose pid cannot have
/// come to mean another process.
///
/// # Errors
/// The kernel's refusal.
pub fn kill_child(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}
