//! The words of a configuration and what the kernel calls them.

use box_kit::Failure;
use box_sys::mount::{self, Propagation};
use box_sys::namespace::Namespace;

/// The meaning of a mount's option list.
#[derive(Debug, Default, PartialEq)]
pub struct MountOptions {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// They hold for the mounts below, too.
    pub recursive_attributes: bool,
    /// How mounts travel, and whether that holds for those below.
    pub propagation: Option<(Propagation, bool)>,
    /// It is a bind mount: with the mounts below it, or without.
    pub bind: Option<bool>,
    /// Translate ids: of the mounts below it, too, or not.
    pub id_map: Option<bool>,
    /// What is left, for the file system.
    pub data: Vec<String>,
}

/// The options that are understood here; what else is said goes to the file system.
#[rustfmt::skip]
pub const MOUNT_OPTIONS: &[&str] = &[
    "async", "atime", "bind", "defaults", "dev", "diratime", "exec", "idmap", "noatime", "nodev",
    "nodiratime", "noexec", "norelatime", "nostrictatime", "nosuid", "nosymfollow", "private",
    "ratime", "rbind", "rdev", "rdiratime", "relatime", "rexec", "ridmap", "rnoatime", "rnodev",
    "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid", "rnosymfollow", "ro",
    "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid",
    "rsymfollow", "runbindable", "rw", "shared", "slave", "strictatime", "suid", "symfollow",
    "tmpcopyup", "unbindable", "nomand",
];

/// Sorts a mount's options (config.md, "Linux mount options").
pub fn mount(options: &[String]) -> MountOptions {
    let mut found = MountOptions::default();
    for option in options {
        if let Some(kind) = propagation(option) {
            found.propagation = Some(kind);
            continue;
        }
        match option.as_str() {
            "bind" => found.bind = Some(false),
            "rbind" => found.bind = Some(true),
            "idmap" => found.id_map = Some(false),
            "ridmap" => found.id_map = Some(true),
            "defaults" | "async" | "nomand" | "noiversion" | "z" | "Z" | "" => {}
            word => match attribute(word) {
                Some((set, clear)) => {
                    found.set = (found.set & !clear) | set;
                    found.clear = (found.clear & !set) | clear;
                }
                // `rro`, `rnosuid`: the same for the mounts below.
                None => match word.strip_prefix('r').and_then(attribute) {
                    Some((set, clear)) => {
                        found.set |= set;
                        found.clear |= clear;
                        found.recursive_attributes = true;
                    }
                    None => found.data.push(word.to_owned()),
                },
            },
        }
    }
    found
}

/// Attributes that a word sets and clears.
fn attribute(word: &str) -> Option<(u64, u64)> {
    Some(match word {
        "ro" => (mount::RDONLY, 0),
        "rw" => (0, mount::RDONLY),
        "nosuid" => (mount::NOSUID, 0),
        "suid" => (0, mount::NOSUID),
        "nodev" => (mount::NODEV, 0),
        "dev" => (0, mount::NODEV),
        "noexec" => (mount::NOEXEC, 0),
        "exec" => (0, mount::NOEXEC),
        "noatime" => (mount::NOATIME, mount::ATIME_MASK),
        "strictatime" => (mount::STRICTATIME, mount::ATIME_MASK),
        "relatime" | "norelatime" | "atime" | "nostrictatime" => (0, mount::ATIME_MASK),
        "nodiratime" => (mount::NODIRATIME, 0),
        "diratime" => (0, mount::NODIRATIME),
        "nosymfollow" => (mount::NOSYMFOLLOW, 0),
        "symfollow" => (0, mount::NOSYMFOLLOW),
        _ => return None,
    })
}

/// A propagation by its word, and whether it is recursive.
pub fn propagation(word: &str) -> Option<(Propagation, bool)> {
    Some(match word {
        "shared" => (Propagation::Shared, false),
        "rshared" => (Propagation::Shared, true),
        "slave" => (Propagation::Slave, false),
        "rslave" => (Propagation::Slave, true),
        "private" => (Propagation::Private, false),
        "rprivate" => (Propagation::Private, true),
        "unbindable" => (Propagation::Unbindable, false),
        "runbindable" => (Propagation::Unbindable, true),
        _ => return None,
    })
}

/// A namespace by the specification's word.
pub fn namespace(word: &str) -> Option<Namespace> {
    Some(match word {
        "pid" => Namespace::Pid,
        "network" => Namespace::Net,
        "mount" => Namespace::Mount,
        "ipc" => Namespace::Ipc,
        "uts" => Namespace::Uts,
        "user" => Namespace::User,
        "cgroup" => Namespace::Cgroup,
        "time" => Namespace::Time,
        _ => return None,
    })
}

/// Resource limits by name.
const LIMITS: [(&str, u32); 16] = [
    ("RLIMIT_AS", libc::RLIMIT_AS),
    ("RLIMIT_CORE", libc::RLIMIT_CORE),
    ("RLIMIT_CPU", libc::RLIMIT_CPU),
    ("RLIMIT_DATA", libc::RLIMIT_DATA),
    ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
    ("RLIMIT_LOCKS", libc::RLIMIT_LOCKS),
    ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK),
    ("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE),
    ("RLIMIT_NICE", libc::RLIMIT_NICE),
    ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
    ("RLIMIT_NPROC", libc::RLIMIT_NPROC),
    ("RLIMIT_RSS", libc::RLIMIT_RSS),
    ("RLIMIT_RTPRIO", libc::RLIMIT_RTPRIO),
    ("RLIMIT_RTTIME", libc::RLIMIT_RTTIME),
    ("RLIMIT_SIGPENDING", libc::RLIMIT_SIGPENDING),
    ("RLIMIT_STACK", libc::RLIMIT_STACK),
];

/// A resource limit by its name.
pub fn limit(name: &str) -> Option<(&'static str, u32)> {
    LIMITS.iter().find(|(known, _)| *known == name).copied()
}

/// An execution domain (config-linux.md, "Personality").
pub fn personality(domain: &str) -> Result<u64, Failure> {
    match domain {
        "LINUX" => Ok(0),
        "LINUX32" => Ok(8),
        other => {
            Err(Failure::new(format!("not a known value: {other:?}"))
                .about("linux.personality.domain"))
        }
    }
}

/// An I/O priority: class and level in one number (linux/ioprio.h).
pub fn io_priority(class: &str, level: u32) -> Result<u32, Failure> {
    let class = match class {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => {
            return Err(Failure::new(format!("not a known value: {other:?}"))
                .about("process.ioPriority.class"));
        }
    };
    Ok(class << 13 | (level & 0x1fff))
}

/// A scheduling policy by its name (sched(7)).
pub fn scheduling_policy(name: &str) -> Option<u32> {
    Some(match name {
        "SCHED_OTHER" => 0,
        "SCHED_FIFO" => 1,
        "SCHED_RR" => 2,
        "SCHED_BATCH" => 3,
        "SCHED_IDLE" => 5,
        "SCHED_DEADLINE" => 6,
        _ => return None,
    })
}

/// The processors of a list such as `0-3,7`, one bit each.
pub fn processors(list: &str) -> Option<Vec<u64>> {
    let mut set = vec![0u64];
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse().ok()?);
        if last >= PROCESSORS_MAX || first > last {
            return None;
        }
        for number in first..=last {
            if set.len() <= number / 64 {
                set.resize(number / 64 + 1, 0);
            }
            set[number / 64] |= 1 << (number % 64);
        }
    }
    Some(set)
}

/// More than the kernel can be built for (CONFIG_NR_CPUS).
const PROCESSORS_MAX: usize = 8192;

/// A signal by number, name, or name with `SIG`: `9`, `KILL`, `SIGRTMIN+1`.
pub fn signal(word: &str) -> Option<i32> {
    if let Ok(number) = word.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        let offset =
            if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse::<i32>().ok()? };
        return (0..=30).contains(&offset).then_some(34 + offset);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        let offset =
            if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse::<i32>().ok()? };
        return (0..=30).contains(&offset).then_some(64 - offset);
    }
    let number = SIGNALS.iter().position(|known| known.split('/').any(|known| known == name))?;
    Some(number as i32 + 1)
}

/// Signals 1 to 31.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT/IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD/CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO/POLL", "PWR", "SYS",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_many_names() {
        for (word, number) in
            [("9", 9), ("KILL", 9), ("sigterm", 15), ("SIGRTMIN+1", 35), ("IOT", 6)]
        {
            assert_eq!(signal(word), Some(number), "{word}");
        }
        for word in ["0", "65", "NOPE", "RTMIN+31", "RTMIN-1", ""] {
            assert_eq!(signal(word), None, "{word}");
        }
    }

    #[test]
    fn mount_options_are_sorted() {
        let words = ["rbind", "ro", "nosuid", "rprivate", "size=5m", "noatime", "rw"];
        let found = mount(&words.map(str::to_owned));
        assert_eq!(found.bind, Some(true));
        assert_eq!(found.set, mount::NOSUID | mount::NOATIME);
        assert_eq!(found.clear & mount::RDONLY, mount::RDONLY);
        assert_eq!(found.propagation, Some((Propagation::Private, true)));
        assert_eq!(found.data, ["size=5m"]);
    }

    #[test]
    fn processors_are_listed() {
        assert_eq!(processors("0-2,65"), Some(vec![7, 2]));
        for list in ["", "2-1", "a", "9000", "1-"] {
            assert_eq!(processors(list), None, "{list}");
        }
    }

    #[test]
    fn a_recursive_attribute_holds_below() {
        let found = mount(&["rbind".to_owned(), "rro".to_owned()]);
        assert!(found.recursive_attributes);
        assert_eq!(found.set, mount::RDONLY);
    }
}
