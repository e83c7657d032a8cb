//! `linux.resources` written into the files of either version.

use std::fs;
use std::io;
use std::path::Path;

use box_kit::Failure;

use super::Group;
use crate::oci::spec::{
    BlockIo, CpuLimits, DeviceRule, MemoryLimits, NetworkClass, Resources, ThrottleDevice,
};

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
    for limit in &resources.hugepage_limits {
        let v1 = format!("hugetlb.{}.limit_in_bytes", limit.page_size);
        let v2 = format!("hugetlb.{}.max", limit.page_size);
        let value = limit.limit.to_string();
        write_either(group, "hugetlb", (&v1, &value), (&v2, &value))?;
    }
    network(group, &resources.network)?;
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
    box_sys::at::write_file(&path, &[value]).map_err(Failure::os(path.display()))
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

/// The classes of packets: version 1 alone has them.
fn network(group: &Group, class: &NetworkClass) -> Result<(), Failure> {
    if let Some(id) = class.class_id {
        let directory = group.v1_of("net_cls").ok_or_else(|| missing("net_cls"))?;
        write(directory, "net_cls.classid", &id.to_string())?;
    }
    for interface in &class.priorities {
        let directory = group.v1_of("net_prio").ok_or_else(|| missing("net_prio"))?;
        let line = format!("{} {}", interface.name, interface.priority);
        write(directory, "net_prio.ifpriomap", &line)?;
    }
    Ok(())
}

/// Whether the controller is there, once it has been asked for.
fn has_controller(directory: &Path, controller: &str) -> bool {
    let has = || {
        let list = box_sys::at::read_file(&directory.join("cgroup.controllers"));
        list.is_ok_and(|list| list.split_whitespace().any(|known| known == controller))
    };
    let ask = |parent: &Path| super::enable_controllers(parent).is_ok();
    has() || (directory.parent().is_some_and(ask) && has())
}

fn missing(controller: &str) -> Failure {
    Failure::new("this cgroup controller is not available").about(controller)
}

fn memory(group: &Group, limits: &MemoryLimits) -> Result<(), Failure> {
    if limits.check_before_update
        && let Some(limit) = limits.limit.filter(|limit| *limit >= 0)
        && group.usage().memory > limit as u64
    {
        return Err(Failure::new("more than that is in use").about(format!("memory limit {limit}")));
    }
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
    if let Some(idle) = limits.idle {
        let idle = idle.to_string();
        write_either(group, "cpu", ("cpu.idle", &idle), ("cpu.idle", &idle))?;
    }
    for (file, value) in [
        ("cpu.rt_period_us", limits.realtime_period.map(|value| value.to_string())),
        ("cpu.rt_runtime_us", limits.realtime_runtime.map(|value| value.to_string())),
    ] {
        if let (Some(value), Some(directory)) = (value, group.v1_of("cpu")) {
            write(directory, file, &value)?;
        }
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
    if let Some(burst) = limits.burst {
        let burst = burst.to_string();
        write_either(group, "cpu", ("cpu.cfs_burst_us", &burst), ("cpu.max.burst", &burst))?;
    }
    for (file, value) in [("cpuset.cpus", &limits.cpus), ("cpuset.mems", &limits.mems)] {
        if !value.is_empty() {
            write_either(group, "cpuset", (file, value), (file, value))?;
        }
    }
    Ok(())
}

/// 10..1000 onto 1..10000.
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight.clamp(10, 1000)) - 10) * 9999 / 990
}

fn block_io(group: &Group, limits: &BlockIo) -> Result<(), Failure> {
    let weight = limits.weight.filter(|weight| *weight != 0);
    if let Some(directory) = group.v1_of("blkio") {
        let bfq = directory.join("blkio.bfq.weight").exists();
        let name = if bfq { "blkio.bfq.weight" } else { "blkio.weight" };
        if let Some(weight) = weight {
            write(directory, name, &weight.to_string())?;
        }
        if let Some(weight) = limits.leaf_weight.filter(|weight| *weight != 0) {
            write(directory, "blkio.leaf_weight", &weight.to_string())?;
        }
        for device in &limits.weight_device {
            let weight = device.weight.unwrap_or(0);
            let line = format!("{}:{} {weight}", device.major, device.minor);
            write(directory, &format!("{name}_device"), &line)?;
        }
    } else {
        if let Some(weight) = weight {
            let line = format!("default {}", io_weight(weight));
            write_either(group, "io", ("", ""), ("io.weight", &line))?;
        }
        for device in &limits.weight_device {
            let weight = io_weight(device.weight.unwrap_or(0));
            let line = format!("{}:{} {weight}", device.major, device.minor);
            write_either(group, "io", ("", ""), ("io.weight", &line))?;
        }
    }
    let throttles = [
        (&limits.throttle_read_bps_device, "blkio.throttle.read_bps_device", "rbps"),
        (&limits.throttle_write_bps_device, "blkio.throttle.write_bps_device", "wbps"),
        (&limits.throttle_read_iops_device, "blkio.throttle.read_iops_device", "riops"),
        (&limits.throttle_write_iops_device, "blkio.throttle.write_iops_device", "wiops"),
    ];
    for (devices, file, key) in throttles {
        for ThrottleDevice { major, minor, rate } in devices {
            let v1 = format!("{major}:{minor} {rate}");
            let v2 = format!("{major}:{minor} {key}={rate}");
            write_either(group, "blkio", (file, &v1), ("", "")).or_else(|failure| {
                match group.v1_of("blkio") {
                    Some(_) => Err(failure),
                    None => write_either(group, "io", ("", ""), ("io.max", &v2)),
                }
            })?;
        }
    }
    Ok(())
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
        // Rules of one kind that follow each other go through one opening of the file.
        for rules in rules.chunk_by(|a, b| a.allow == b.allow) {
            let allow = rules.iter().any(|rule| rule.allow);
            let path = directory.join(if allow { "devices.allow" } else { "devices.deny" });
            let lines: Vec<_> = rules.iter().map(device_line).collect();
            match box_sys::at::write_file(&path, &lines) {
                // A group that is denied a device by its parent cannot be allowed it: the others
                // one by one.
                Err(_) if allow && !parent_allows_all(directory) => {
                    lines.iter().for_each(|line| drop(box_sys::at::write_file(&path, &[line])));
                }
                outcome => outcome.map_err(Failure::os(path.display()))?,
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
    list.and_then(|list| fs::read_to_string(list).ok())
        .is_some_and(|list| list.starts_with("a *:*"))
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
