//! From what was asked of the engine to the runtime's configuration.

use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;

use box_kit::Failure;
use box_sys::credentials::{
    CAPABILITY_NAMES, Capabilities, capability_number, permitted_capabilities,
};

use super::container::{Config, MountConfig};
use super::users;
use crate::launch::Filter;
use crate::net::Attachment;
use crate::oci::default_spec;
use crate::oci::spec::{CapabilityNames, DeviceRule, Linux, Mount, Process, Root, Spec, User};
use crate::{own_binary, seccomp, store};

/// What a container may do unless told otherwise: docker's fourteen.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// The capabilities after `--cap-add` and `--cap-drop`.
pub fn capabilities(
    add: &[String],
    drop: &[String],
    all: bool,
) -> Result<CapabilityNames, Failure> {
    let is_all = |list: &[String]| list.iter().any(|name| name.eq_ignore_ascii_case("all"));
    let bits = |option: &str, list: &[String]| -> Result<Capabilities, Failure> {
        let mut set = 0;
        for name in list.iter().filter(|name| !name.eq_ignore_ascii_case("all")) {
            let bit = capability_number(name).ok_or_else(|| {
                Failure::new("unknown capability").about(format!("{option} {name}"))
            })?;
            set |= 1 << bit;
        }
        Ok(set)
    };
    let every: Capabilities = (1 << CAPABILITY_NAMES.len()) - 1;
    let usual = DEFAULT_CAPABILITIES.iter().filter_map(|name| capability_number(name));
    let mut set = usual.fold(0, |set: Capabilities, bit| set | 1 << bit);
    if is_all(drop) {
        set = 0;
    }
    if all || is_all(add) {
        set = every;
    }
    set = (set & !bits("--cap-drop", drop)?) | bits("--cap-add", add)?;
    let names = (0..CAPABILITY_NAMES.len()).filter(|bit| set >> bit & 1 == 1);
    let names: Vec<String> = names
        .filter_map(|bit| CAPABILITY_NAMES.get(bit))
        .map(|name| format!("CAP_{name}"))
        .collect();
    Ok(CapabilityNames {
        bounding: names.clone(),
        effective: names.clone(),
        permitted: names,
        ..CapabilityNames::default()
    })
}

/// The set of a list of names.
fn bits(names: &[String]) -> Capabilities {
    names.iter().filter_map(|name| capability_number(name)).fold(0, |set, bit| set | 1 << bit)
}

/// The system call filter that was asked for.
pub fn filter(config: &Config) -> Result<Option<Filter>, Failure> {
    if config.privileged || config.seccomp == "unconfined" {
        return Ok(None);
    }
    if config.seccomp.is_empty() {
        let ours = permitted_capabilities().map_err(Failure::from)?;
        let profile = seccomp::default_profile(bits(&config.capabilities.bounding) & ours);
        return Ok(Some((seccomp::compile(&profile), 0)));
    }
    let text = fs::read(&config.seccomp).map_err(Failure::os(&config.seccomp))?;
    let profile = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(error).about(&config.seccomp))?;
    crate::oci::seccomp::compile(&profile).map(Some)
}

/// The process as user, groups and home of the root file system make it.
pub fn process(config: &Config, root: BorrowedFd<'_>) -> Result<Process, Failure> {
    let who = users::resolve(root, &config.user, &config.groups)?;
    let mut env = config.env.clone();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!("HOME={}", who.home));
    }
    let mut capabilities = CapabilityNames {
        bounding: config.capabilities.bounding.clone(),
        effective: config.capabilities.effective.clone(),
        permitted: config.capabilities.permitted.clone(),
        ..CapabilityNames::default()
    };
    if who.uid != 0 {
        // Whom root's rights are not for gets them by the bounding set alone.
        capabilities.effective.clear();
        capabilities.permitted.clear();
    }
    Ok(Process {
        terminal: config.tty,
        user: User { uid: who.uid, gid: who.gid, umask: None, additional_gids: who.groups },
        args: config.args.clone(),
        env,
        cwd: if config.cwd.is_empty() { "/".into() } else { config.cwd.clone() },
        capabilities: Some(capabilities),
        rlimits: config.limits.clone(),
        no_new_privileges: config.no_new_privileges,
        oom_score_adj: config.oom_score_adj,
        ..Process::default()
    })
}

/// The whole configuration. `folder` holds the container's own files.
pub fn build(
    config: &Config,
    folder: &Path,
    root: BorrowedFd<'_>,
    network: Option<&Attachment>,
    net_path: Option<String>,
) -> Result<Spec, Failure> {
    let mut spec = default_spec();
    spec.process = Some(process(config, root)?);
    spec.root = Some(Root { path: String::new(), readonly: config.read_only });
    spec.mounts = crate::oci::default_mounts(config.shm_bytes);
    if config.network != "host" || !config.host_uts {
        spec.hostname.clone_from(&config.hostname);
    }
    spec.domainname.clone_from(&config.domainname);
    namespaces(config, &mut spec.linux, net_path);
    if config.host_uts {
        spec.hostname.clear();
    }
    spec.linux.sysctl = config.sysctl.clone();
    if network.is_some() && !spec.linux.sysctl.contains_key("net.ipv4.ip_unprivileged_port_start") {
        // As docker: a user of the container may listen on its low ports, which are its own.
        let name = "net.ipv4.ip_unprivileged_port_start";
        spec.linux.sysctl.insert(name.into(), "0".into());
    }
    spec.linux.resources = resources(config);
    if config.privileged {
        spec.linux.masked_paths.clear();
        spec.linux.readonly_paths.clear();
        for mount in &mut spec.mounts {
            if matches!(mount.kind.as_str(), "sysfs" | "cgroup") {
                mount.options.retain(|option| option != "ro");
            }
        }
    }
    own_files(config, folder, network, &mut spec.mounts)?;
    for mount in &config.mounts {
        spec.mounts.push(requested(mount));
    }
    if config.builtin {
        spec.mounts.push(Mount {
            destination: store::builtin::BINARY.into(),
            options: vec!["ro".into(), "nosuid".into(), "nodev".into()],
            tree: Some(std::sync::Arc::new(own_binary::read_only_handle()?)),
            ..Mount::default()
        });
    }
    // What lies above comes first, or it would hide what lies below.
    spec.mounts.sort_by_key(|mount| mount.destination.trim_end_matches('/').matches('/').count());
    Ok(spec)
}

fn resources(config: &Config) -> crate::oci::spec::Resources {
    let mut resources = config.resources.clone();
    let asked = std::mem::take(&mut resources.devices);
    resources.devices = if config.privileged {
        vec![DeviceRule {
            allow: true,
            kind: "a".into(),
            access: "rwm".into(),
            ..Default::default()
        }]
    } else {
        crate::oci::default_device_rules()
    };
    resources.devices.extend(asked);
    resources
}

fn namespaces(config: &Config, linux: &mut Linux, net_path: Option<String>) {
    let shared = |kind: &str| match kind {
        "network" => config.network == "host",
        "pid" => config.host_pid,
        "ipc" => config.host_ipc,
        "uts" => config.host_uts,
        _ => false,
    };
    linux.namespaces.retain(|entry| !shared(&entry.kind));
    if let Some(path) = net_path {
        for entry in linux.namespaces.iter_mut().filter(|entry| entry.kind == "network") {
            entry.path.clone_from(&path);
        }
    }
}

fn requested(mount: &MountConfig) -> Mount {
    if mount.kind == "tmpfs" {
        let mut options: Vec<String> = ["nosuid", "nodev", "noexec"].map(str::to_owned).into();
        options.extend(mount.options.iter().cloned());
        return Mount {
            destination: mount.destination.clone(),
            kind: "tmpfs".into(),
            source: "tmpfs".into(),
            options,
            ..Mount::default()
        };
    }
    let mut options = vec!["rbind".to_owned()];
    if !mount.options.iter().any(|option| crate::oci::options::propagation(option).is_some()) {
        options.push("rprivate".into());
    }
    options.extend(mount.options.iter().filter(|option| *option != "nocopy").cloned());
    Mount {
        destination: mount.destination.clone(),
        kind: "bind".into(),
        source: mount.source.clone(),
        options,
        ..Mount::default()
    }
}

/// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`: files of the container's folder.
fn own_files(
    config: &Config,
    folder: &Path,
    network: Option<&Attachment>,
    mounts: &mut Vec<Mount>,
) -> Result<(), Failure> {
    let hosts = hosts(config, network);
    let resolv = resolv_conf(config);
    let files =
        [("hostname", format!("{}\n", config.hostname)), ("hosts", hosts), ("resolv.conf", resolv)];
    for (name, text) in files {
        let path = folder.join(name);
        // Written in place: a bound file must stay the same file.
        fs::write(&path, text).map_err(Failure::os(path.display()))?;
        let destination = format!("/etc/{name}");
        if config.mounts.iter().any(|mount| mount.destination == destination) {
            continue;
        }
        mounts.push(Mount {
            destination,
            kind: "bind".into(),
            source: path.to_string_lossy().into_owned(),
            options: vec!["bind".into(), "rprivate".into()],
            ..Mount::default()
        });
    }
    Ok(())
}

fn hosts(config: &Config, network: Option<&Attachment>) -> String {
    if config.network == "host"
        && config.hosts.is_empty()
        && let Ok(text) = fs::read_to_string("/etc/hosts")
    {
        return text;
    }
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    for entry in &config.hosts {
        if let Some((name, address)) = entry.split_once(':') {
            let gateway = network.map(|network| network.gateway.to_string());
            let address = match (address, gateway) {
                ("host-gateway", Some(gateway)) => gateway,
                _ => address.to_owned(),
            };
            text += &format!("{address}\t{name}\n");
        }
    }
    let own = network.map_or("127.0.1.1".to_owned(), |network| network.address.to_string());
    text + &format!("{own}\t{}\n", config.hostname)
}

/// The machine's, without servers on its loopback, which the container cannot reach.
fn resolv_conf(config: &Config) -> String {
    let machine = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if config.network == "host" && config.dns.is_empty() {
        return machine;
    }
    let word = |line: &str| line.split_whitespace().next().unwrap_or("").to_owned();
    let reachable =
        |server: &&str| !server.starts_with("127.") && !server.contains('%') && *server != "::1";
    let mut servers: Vec<String> = config.dns.clone();
    if servers.is_empty() {
        let lines = machine.lines().filter(|line| word(line) == "nameserver");
        let found = lines.filter_map(|line| line.split_whitespace().nth(1)).filter(reachable);
        servers = found.map(str::to_owned).collect();
    }
    if servers.is_empty() {
        servers = ["8.8.8.8", "8.8.4.4"].map(str::to_owned).into();
    }
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    if config.dns_search.is_empty() {
        for line in
            machine.lines().filter(|line| matches!(word(line).as_str(), "search" | "options"))
        {
            text += &format!("{line}\n");
        }
    } else {
        text += &format!("search {}\n", config.dns_search.join(" "));
    }
    text
}

/// The root of a running container, for who is not in it.
pub fn root_of(pid: i32) -> Result<std::os::fd::OwnedFd, Failure> {
    let path = format!("/proc/{pid}/root");
    let name = std::ffi::CString::new(path.as_str()).map_err(Failure::new)?;
    box_sys::at::handle(&name).map_err(Failure::os(&path))
}
