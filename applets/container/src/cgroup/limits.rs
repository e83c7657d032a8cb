//! `linux.resources` written into the files of either version.

use std::fs;
use std::io;
use std::path::Path;

use box_kit::Failure;

use super::Group;
use crate::oci::spec::{BlockIo, CpuLimits, DeviceRule, MemoryLimits, Resources};

/// Writes every limit that is asked for; one whose controller is not there is an error.
pub fn apply(group: &Group, resources: &Resources) -> Result<(), Failure> {
    memory(group, &resources.memory)?;
    cpu(group, &resources.cpu)?;
    if let Some(limit) = resources.pids.limit.filter(|limit| *limit != 0) {
        let value = if limit < 0 { "max".to_owned() } else { limit.to_string() };
        write_either(group, "pids", ("pids.max", &value), ("pids.max", &value))?;
    }
    block_io(group, &resources.block_io)?;
    devices(group, &resources.devices)?;
    for (file, value) in &resources.unified {
        let Some(directory) = &group.v2 else {
            return Err(Failure::new("no version 2 cgroups are mounted").about(file));
        };
        if file.contains('/') {
            return Err(Failure::new("not a file of a cgroup").about(file));
        }
        write(directory, file, value)?;
    }
    Ok(())
}

fn write(directory: &Path, file: &str, value: &str) -> Result<(), Failure> {
    let path = directory.join(file);
    fs::write(&path, value).map_err(Failure::os(path.display()))
}

/// Writes to the controller's version 1 file, or to the version 2 one.
fn write_either(
    group: &Group,
    controller: &str,
    v1: (&str, &str),
    v2: (&str, &str),
) -> Result<(), Failure> {
    if let Some(directory) = group.v1_of(controller) {
        return write(directory, v1.0, v1.1);
    }
    match &group.v2 {
        Some(directory) if has_controller(directory, controller) => write(directory, v2.0, v2.1),
        _ => Err(missing(controller)),
    }
}

fn has_controller(directory: &Path, controller: &str) -> bool {
    let list = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
    list.split_whitespace().any(|known| known == controller)
}

fn missing(controller: &str) -> Failure {
    Failure::new("this cgroup controller is not available").about(controller)
}

fn memory(group: &Group, limits: &MemoryLimits) -> Result<(), Failure> {
    let text = |value: i64| if value < 0 { "max".to_owned() } else { value.to_string() };
    if let Some(directory) = group.v1_of("memory") {
        return memory_v1(directory, limits);
    }
    if let Some(limit) = limits.limit {
        write_either(group, "memory", ("", ""), ("memory.max", &text(limit)))?;
    }
    if let Some(reservation) = limits.reservation {
        write_either(group, "memory", ("", ""), ("memory.low", &text(reservation)))?;
    }
    if let Some(swap) = limits.swap {
        // Version 1 counts memory and swap together, version 2 swap alone.
        let alone = match limits.limit {
            Some(limit) if swap >= 0 && limit >= 0 => (swap - limit).max(0),
            _ => swap,
        };
        write_either(group, "memory", ("", ""), ("memory.swap.max", &text(alone)))?;
    }
    Ok(())
}

fn memory_v1(directory: &Path, limits: &MemoryLimits) -> Result<(), Failure> {
    let put = |file: &str, value: i64| write(directory, file, &value.to_string());
    let (limit, swap) = (limits.limit, limits.swap);
    let set_limit = || limit.map_or(Ok(()), |limit| put("memory.limit_in_bytes", limit));
    let set_swap = || swap.map_or(Ok(()), |swap| put("memory.memsw.limit_in_bytes", swap));
    // The one may not exceed the other at any time: which goes first depends on what is there.
    if set_limit().is_err() {
        set_swap()?;
        set_limit()?;
    } else {
        set_swap()?;
    }
    if let Some(reservation) = limits.reservation {
        put("memory.soft_limit_in_bytes", reservation)?;
    }
    if let Some(swappiness) = limits.swappiness {
        write(directory, "memory.swappiness", &swappiness.to_string())?;
    }
    if limits.disable_oom_killer {
        write(directory, "memory.oom_control", "1")?;
    }
    Ok(())
}

fn cpu(group: &Group, limits: &CpuLimits) -> Result<(), Failure> {
    if let Some(shares) = limits.shares.filter(|shares| *shares != 0) {
        // 2..262144 onto 1..10000, as every runtime translates.
        let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
        let (shares, weight) = (shares.to_string(), weight.to_string());
        write_either(group, "cpu", ("cpu.shares", &shares), ("cpu.weight", &weight))?;
    }
    if limits.period.is_some() || limits.quota.is_some() {
        let period = limits.period.filter(|period| *period != 0).unwrap_or(100_000);
        let quota = limits.quota.filter(|quota| *quota != 0).unwrap_or(-1);
        let max = if quota < 0 { "max".to_owned() } else { quota.to_string() };
        let (quota, both) = (quota.to_string(), format!("{max} {period}"));
        if let Some(directory) = group.v1_of("cpu") {
            write(directory, "cpu.cfs_period_us", &period.to_string())?;
        }
        write_either(group, "cpu", ("cpu.cfs_quota_us", &quota), ("cpu.max", &both))?;
    }
    for (file, value) in [("cpuset.cpus", &limits.cpus), ("cpuset.mems", &limits.mems)] {
        if !value.is_empty() {
            write_either(group, "cpuset", (file, value), (file, value))?;
        }
    }
    Ok(())
}

fn block_io(group: &Group, limits: &BlockIo) -> Result<(), Failure> {
    let Some(weight) = limits.weight.filter(|weight| *weight != 0) else { return Ok(()) };
    let text = weight.to_string();
    if let Some(directory) = group.v1_of("blkio") {
        let bfq = directory.join("blkio.bfq.weight").exists();
        return write(directory, if bfq { "blkio.bfq.weight" } else { "blkio.weight" }, &text);
    }
    // 10..1000 onto 1..10000.
    let weight = 1 + (u64::from(weight.clamp(10, 1000)) - 10) * 9999 / 990;
    write_either(group, "io", ("", ""), ("io.weight", &format!("default {weight}")))
}

/// The text of a rule for `devices.allow` and `devices.deny`.
fn device_line(rule: &DeviceRule) -> String {
    let kind = match rule.kind.as_str() {
        "" => "a",
        kind => kind,
    };
    let number = |number: Option<i64>| {
        number.filter(|number| *number >= 0).map_or("*".to_owned(), |number| number.to_string())
    };
    let access = if rule.access.is_empty() { "rwm" } else { &rule.access };
    if kind == "a" {
        return "a *:* rwm".to_owned();
    }
    format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor))
}

fn devices(group: &Group, rules: &[DeviceRule]) -> Result<(), Failure> {
    if rules.is_empty() {
        return Ok(());
    }
    if let Some(directory) = group.v1_of("devices") {
        for rule in rules {
            let file = if rule.allow { "devices.allow" } else { "devices.deny" };
            match write(directory, file, &device_line(rule)) {
                // A group that is denied a device by its parent cannot be allowed it.
                Err(_) if rule.allow && !parent_allows_all(directory) => {}
                outcome => outcome?,
            }
        }
        return Ok(());
    }
    let Some(directory) = &group.v2 else { return Ok(()) };
    let handle = box_sys::at::open_dir(directory).map_err(Failure::os(directory.display()))?;
    let rules: Vec<_> = rules.iter().map(compiled).collect();
    box_sys::cgroup_devices::attach(std::os::fd::AsFd::as_fd(&handle), &rules)
        .map_err(|error: io::Error| Failure::os("devices")(error))
}

fn parent_allows_all(directory: &Path) -> bool {
    let list = directory.parent().map(|parent| parent.join("devices.list"));
    list.and_then(|list| fs::read_to_string(list).ok()).is_some_and(|list| list.starts_with("a *:*"))
}

fn compiled(rule: &DeviceRule) -> box_sys::cgroup_devices::Rule {
    use box_sys::cgroup_devices::{Kind, Rule};
    let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    let access = if rule.access.is_empty() { "rwm" } else { &rule.access };
    let kind = match rule.kind.as_str() {
        "c" | "u" => Some(Kind::Character),
        "b" => Some(Kind::Block),
        _ => None,
    };
    Rule {
        allow: rule.allow,
        kind,
        major: number(rule.major),
        minor: number(rule.minor),
        read: access.contains('r') || kind.is_none(),
        write: access.contains('w') || kind.is_none(),
        make: access.contains('m') || kind.is_none(),
    }
}
