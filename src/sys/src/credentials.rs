//! What a process may do: ids, capabilities (capabilities(7)), no_new_privs, the system call filter.
//!
//! All calls are async-signal-safe and made of raw system calls, which act on the calling thread
//! alone: they are for a single-threaded child before it starts its program.

use std::io;

use crate::check;

/// A set of capabilities, bit N standing for capability N.
pub type Capabilities = u64;

/// The five sets of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// Those it can ever regain through a file.
    pub bounding: Capabilities,
    /// Those in force.
    pub effective: Capabilities,
    /// Those kept over an exec of a file that lists them.
    pub inheritable: Capabilities,
    /// Those it may put in force.
    pub permitted: Capabilities,
    /// Those kept over any exec.
    pub ambient: Capabilities,
}

/// Capability names by number, without `CAP_` (linux/capability.h).
pub const CAPABILITY_NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The number of a capability by its name, with or without `CAP_`, in either case.
pub fn capability_number(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    CAPABILITY_NAMES.iter().position(|known| *known == short).map(|number| number as u32)
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words a set.
const CAP_VERSION: u32 = 0x2008_0522;

fn done(value: libc::c_long) -> io::Result<()> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn prctl(option: libc::c_int, a: u64, b: u64) -> io::Result<libc::c_int> {
    // SAFETY: the options used here take numbers only.
    check(unsafe { libc::prctl(option, a, b, 0u64, 0u64) })
}

/// The permitted set of the calling thread.
///
/// # Errors
/// None that the kernel documents for the calling thread.
pub fn permitted_capabilities() -> io::Result<Capabilities> {
    let header = CapHeader { version: CAP_VERSION, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: header and two data words, as version 3 asks, for the length of the call.
    done(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })?;
    Ok(u64::from(data[0].permitted) | u64::from(data[1].permitted) << 32)
}

/// Takes from the bounding set what `keep` does not name. A number that the kernel does not know
/// ends the sweep.
///
/// # Errors
/// The kernel's refusal (needs CAP_SETPCAP).
pub fn limit_bounding_set(keep: Capabilities) -> io::Result<()> {
    for number in 0..64u64 {
        match prctl(libc::PR_CAPBSET_READ, number, 0) {
            Err(_) => break,
            Ok(1) if keep >> number & 1 == 0 => {
                prctl(libc::PR_CAPBSET_DROP, number, 0)?;
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Sets effective, permitted and inheritable, then raises the ambient ones.
///
/// # Errors
/// The kernel's refusal.
pub fn set_capabilities(sets: &CapabilitySets) -> io::Result<()> {
    let header = CapHeader { version: CAP_VERSION, pid: 0 };
    let word = |shift: u32| CapData {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [word(0), word(32)];
    // SAFETY: header and two data words, as version 3 asks, for the length of the call.
    done(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })?;
    // Kernels before 4.3 have no ambient set: nothing to clear there.
    let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0);
    for number in (0..64u64).filter(|number| sets.ambient >> number & 1 == 1) {
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, number)?;
    }
    Ok(())
}

/// Whether permitted capabilities outlive a change away from uid 0 (until the next exec).
///
/// # Errors
/// None that the kernel documents.
pub fn keep_capabilities(keep: bool) -> io::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0).map(drop)
}

/// Sets the supplementary groups of the calling thread.
///
/// # Errors
/// `EPERM` without CAP_SETGID, or where the user namespace denies it.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the slice is readable for its length.
    done(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

/// Sets all group ids, then all user ids of the calling thread.
///
/// # Errors
/// `EINVAL` for an id that the user namespace does not map, `EPERM`.
pub fn set_ids(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    done(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: as above.
    done(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}

/// Makes sure that no exec gives more rights than the process has.
///
/// # Errors
/// None that the kernel documents.
pub fn set_no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// Whether other processes of the same user may look into this one through procfs or ptrace. An
/// exec turns it on again.
///
/// # Errors
/// None that the kernel documents.
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, dumpable.into(), 0).map(drop)
}

/// An instruction of classic BPF, as the kernel has it (`struct sock_filter`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a test holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

#[repr(C)]
struct Program {
    length: u16,
    filter: *const Instruction,
}

/// Installs a system call filter with `SECCOMP_FILTER_FLAG_*` flags. Needs CAP_SYS_ADMIN or
/// [`set_no_new_privileges`].
///
/// # Errors
/// `EINVAL` for a program that the kernel does not accept, `EACCES` without the right.
pub fn install_filter(program: &[Instruction], flags: u64) -> io::Result<()> {
    let length =
        u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = Program { length, filter: program.as_ptr() };
    // SAFETY: the program is readable for its length; 1 is SECCOMP_SET_MODE_FILTER.
    done(unsafe { libc::syscall(libc::SYS_seccomp, 1, flags, &raw const program) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_found_by_either_name() {
        assert_eq!(capability_number("CAP_CHOWN"), Some(0));
        assert_eq!(capability_number("sys_admin"), Some(21));
        assert_eq!(capability_number("CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(capability_number("CAP_CAP_CHOWN"), None);
    }
}
