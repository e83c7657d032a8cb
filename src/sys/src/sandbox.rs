//! What a process that reads hostile bytes gives up: system calls (seccomp) and files (Landlock).
//!
//! Both hold for the calling thread and the threads and processes that it makes later. A kernel
//! without one of them leaves the other: the sandbox is a second wall, not the first.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What stays allowed beside reading, writing and waiting on what is open.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    /// Files that may still be opened for reading; none forbids opening altogether.
    pub readable: Vec<PathBuf>,
    /// Datagrams to name servers.
    pub network: bool,
}

/// Reading, writing, waiting, memory, threads, time and the end.
const ALWAYS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_fsync,
    libc::SYS_ioctl,
    libc::SYS_ppoll,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_prctl,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

const NETWORK: &[i64] =
    &[libc::SYS_connect, libc::SYS_bind, libc::SYS_getsockname, libc::SYS_getpeername];

/// Enters the sandbox; there is no way out.
///
/// # Errors
/// The kernel's, where it has the feature and refuses it.
pub fn enter(allowance: &Allowance) -> io::Result<()> {
    crate::credentials::set_no_new_privileges()?;
    limit_files(allowance)?;
    limit_calls(allowance)
}

fn limit_files(allowance: &Allowance) -> io::Result<()> {
    let abi = ABI::V5;
    let rules = path_beneath_rules(&allowance.readable, AccessFs::from_read(abi));
    Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.add_rules(rules))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(io::Error::other)?;
    Ok(())
}

fn limit_calls(allowance: &Allowance) -> io::Result<()> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut allow = |calls: &[i64]| rules.extend(calls.iter().map(|call| (*call, Vec::new())));
    allow(ALWAYS);
    if allowance.network {
        allow(NETWORK);
    }
    if !allowance.readable.is_empty() {
        allow(&[libc::SYS_openat, libc::SYS_newfstatat, libc::SYS_readlinkat]);
    }
    // Internet sockets alone: what an interface is called is asked of one.
    let family = |family: i32| {
        let family = u64::from(family.unsigned_abs());
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)
            .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    let families = [family(libc::AF_INET), family(libc::AF_INET6)];
    let families: Result<Vec<SeccompRule>, _> = families.into_iter().collect();
    rules.insert(libc::SYS_socket, families.map_err(io::Error::other)?);
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch);
    let program: BpfProgram = filter.and_then(SeccompFilter::try_into).map_err(io::Error::other)?;
    match seccompiler::apply_filter(&program) {
        Err(seccompiler::Error::Seccomp(error)) if error.raw_os_error() == Some(libc::EINVAL) => {
            // A kernel that was built without filters.
            Ok(())
        }
        other => other.map_err(io::Error::other),
    }
}
