//! Resource limits and what the process uses.

use std::io;
use std::time::Duration;

use crate::check;

/// Raises the soft limit of open files to `wanted` if the hard limit lets it; the limit that holds
/// afterwards.
///
/// # Errors
/// The limit cannot be read.
pub fn raise_open_files(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = open_files()?;
    if soft >= wanted {
        return Ok(soft);
    }
    let raised = libc::rlimit { rlim_cur: wanted.min(hard), rlim_max: hard };
    // SAFETY: a valid struct is passed to be read.
    match check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) }) {
        Ok(_) => Ok(raised.rlim_cur),
        Err(_) => Ok(soft),
    }
}

/// The soft and the hard limit of open files.
///
/// # Errors
/// None that the kernel documents.
pub fn open_files() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid struct is passed to be filled.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// CPU time.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// In our own code.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// CPU time of this process, or of its children that have ended.
pub fn cpu_time(of_children: bool) -> CpuTime {
    let who = if of_children { libc::RUSAGE_CHILDREN } else { libc::RUSAGE_SELF };
    // SAFETY: a struct of zeroes is valid, and is passed to be filled; both `who` are valid.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
    };
    CpuTime { user: time(usage.ru_utime), system: time(usage.ru_stime) }
}

/// Bytes of memory that the process has in use, as the kernel counts them.
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|line| line.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()));
    // SAFETY: sysconf takes nothing and touches no memory.
    pages.unwrap_or(0) * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64
}

/// Detaches from the terminal: the parent ends with code 0, the child goes on in a session of its
/// own with its standard streams at `/dev/null`. Only for a process that has one thread.
///
/// # Errors
/// The kernel refuses to fork or `/dev/null` is missing.
pub fn daemonize() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // SAFETY: the process has one thread, so the child may go on with all it has inherited; the
    // parent ends at once without running destructors that the child will run.
    unsafe {
        if check(libc::fork())? != 0 {
            libc::_exit(0);
        }
        check(libc::setsid())?;
        for stream in 0..=2 {
            check(libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), stream))?;
        }
    }
    Ok(())
}

/// Sets the mask of permission bits that new files do not get; the one before.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: umask takes a number and cannot fail.
    unsafe { libc::umask(mask) }
}
