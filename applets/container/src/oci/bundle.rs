//! Bundles: reading a configuration, and the one that `spec` writes.

use std::fs;
use std::path::Path;

use box_kit::{Exit, Failure, Outcome};

use super::cli::SpecArgs;
use super::spec::{
    CapabilityNames, DeviceRule, IdMapping, Limit, Linux, Mount, NamespaceEntry, Process,
    Resources, Root, Spec, WRITTEN_VERSION,
};

/// Reads `config.json`.
pub fn load(file: &Path) -> Result<Spec, Failure> {
    let text = fs::read(file).map_err(Failure::os(file.display()))?;
    let spec: Spec =
        serde_json::from_slice(&text).map_err(|error| Failure::new(error).about(file.display()))?;
    let major = spec.oci_version.split('.').next().unwrap_or("");
    if major != "1" {
        let reason = format!("not a version this runtime knows: {:?}", spec.oci_version);
        return Err(Failure::new(reason).about("ociVersion"));
    }
    Ok(spec)
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.into(),
        source: source.into(),
        options: words(options),
        ..Mount::default()
    }
}

/// The file systems of every container.
pub fn default_mounts(shm_bytes: u64) -> Vec<Mount> {
    let size = format!("size={shm_bytes}");
    vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &size]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ),
    ]
}

/// What no container sees of procfs and sysfs.
pub const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
];

/// What no container changes of procfs.
pub const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The devices that a container may use without being given them: everything denied, then these.
pub fn default_device_rules() -> Vec<DeviceRule> {
    let rule = |allow, kind: &str, major, minor, access: &str| DeviceRule {
        allow,
        kind: kind.into(),
        major,
        minor,
        access: access.into(),
    };
    let mut rules = vec![rule(false, "a", None, None, "rwm")];
    // Nodes may be made of any device, but not used.
    rules.push(rule(true, "c", None, None, "m"));
    rules.push(rule(true, "b", None, None, "m"));
    // null, zero, full, random, urandom; tty, console, ptmx; pts.
    let single = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];
    for (major, minor) in single {
        rules.push(rule(true, "c", Some(major), Some(minor), "rwm"));
    }
    rules.push(rule(true, "c", Some(136), None, "rwm"));
    rules
}

/// A configuration with everything but a process of the caller's own.
pub fn default_spec() -> Spec {
    let kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let namespaces = kinds.map(|kind| NamespaceEntry { kind: kind.into(), path: String::new() });
    Spec {
        oci_version: WRITTEN_VERSION.into(),
        root: Some(Root { path: "rootfs".into(), readonly: false }),
        mounts: default_mounts(65536 * 1024),
        linux: Linux {
            namespaces: namespaces.into(),
            resources: Resources { devices: default_device_rules(), ..Resources::default() },
            masked_paths: words(&MASKED),
            readonly_paths: words(&READ_ONLY),
            ..Linux::default()
        },
        ..Spec::default()
    }
}

/// Writes a configuration to start from.
pub fn write_spec(args: &SpecArgs) -> Outcome {
    let mut spec = default_spec();
    let few = words(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    spec.process = Some(Process {
        terminal: true,
        args: words(&["sh"]),
        env: words(&[&format!("PATH={}", crate::launch::DEFAULT_PATH), "TERM=xterm"]),
        cwd: "/".into(),
        capabilities: Some(CapabilityNames {
            bounding: few.clone(),
            effective: few.clone(),
            permitted: few,
            ..CapabilityNames::default()
        }),
        rlimits: vec![Limit { kind: "RLIMIT_NOFILE".into(), soft: 1024, hard: 1024 }],
        no_new_privileges: true,
        ..Process::default()
    });
    if let Some(root) = &mut spec.root {
        root.readonly = true;
    }
    spec.hostname = "box".into();
    if args.rootless {
        make_rootless(&mut spec);
    }
    let folder = args.bundle.as_deref().unwrap_or(Path::new("."));
    let file = folder.join("config.json");
    if file.exists() {
        return Err(Failure::new("exists already").about(file.display()));
    }
    let mut text = serde_json::to_vec_pretty(&spec).map_err(Failure::new)?;
    text.push(b'\n');
    crate::files::replace(&file, &text, false)?;
    Ok(Exit::DONE)
}

fn make_rootless(spec: &mut Spec) {
    let own = |id: u32| IdMapping { container_id: 0, host_id: id, size: 1 };
    let (uid, gid) = box_sys::process::ids();
    spec.linux.uid_mappings = vec![own(uid)];
    spec.linux.gid_mappings = vec![own(gid)];
    spec.linux.namespaces.retain(|entry| entry.kind != "network");
    let kind = "user".into();
    spec.linux.namespaces.push(NamespaceEntry { kind, path: String::new() });
    spec.linux.resources = Resources::default();
    spec.mounts.retain(|mount| mount.kind != "cgroup");
    for mount in &mut spec.mounts {
        // Group 5 is not mapped.
        mount.options.retain(|option| option != "gid=5");
        if mount.kind == "sysfs" {
            // Without a network namespace of its own nobody may mount sysfs.
            mount.kind = "none".into();
            mount.source = "/sys".into();
            mount.options = words(&["rbind", "nosuid", "noexec", "nodev", "ro"]);
        }
    }
}
