//! From the command line of `run` to a container's configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use box_kit::Failure;

use super::container::{Config, LogConfig, MountConfig, Restart};
use super::{Engine, names, runtime_spec, values};
use crate::cli::RunArgs;
use crate::image::Execution;
use crate::net;
use crate::oci::spec::{CpuLimits, DeviceRule, Limit, MemoryLimits, PidsLimit, Resources};
use crate::store::builtin;

/// Where a container's files come from.
struct Base {
    image: String,
    image_id: String,
    layers: Vec<String>,
    execution: Execution,
}

/// The configuration that `args` asks for.
pub fn config(engine: &Engine, args: &RunArgs) -> Result<Config, Failure> {
    let (mut config, base, words) = base(engine, args)?;
    config.id = names::id()?;
    config.name = match &args.name {
        None => names::name()?,
        Some(name) if names::is_valid(name) => name.clone(),
        Some(name) => {
            let reason = "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed";
            return Err(Failure::new(reason).about(format!("invalid container name {name:?}")));
        }
    };
    config.created = crate::time::rfc3339(crate::time::now());
    command(&mut config, args, &base.execution, words)?;
    environment(&mut config, args, &base.execution)?;
    config.image = base.image;
    config.image_id = base.image_id;
    config.layers = base.layers;
    let execution = base.execution;
    config.cwd = args.workdir.clone().unwrap_or(execution.working_dir);
    if !config.cwd.is_empty() && !config.cwd.starts_with('/') {
        return Err(
            Failure::new("the working directory must be an absolute path").about(&config.cwd)
        );
    }
    config.user = args.user.clone().unwrap_or(execution.user);
    config.stop_signal = args.stop_signal.clone().unwrap_or(execution.stop_signal);
    if !config.stop_signal.is_empty() && crate::oci::options::signal(&config.stop_signal).is_none()
    {
        return Err(Failure::new("unknown signal").about(&config.stop_signal));
    }
    config.labels = execution.labels;
    for label in &args.label {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        config.labels.insert(name.into(), value.into());
    }
    plain(&mut config, args)?;
    mounts(engine, &mut config, args, &execution.volumes)?;
    network(&mut config, args, &execution.exposed_ports)?;
    security(&mut config, args)?;
    let devices = std::mem::take(&mut config.resources.devices);
    config.resources = Resources { devices, ..resources(args)? };
    Ok(config)
}

fn base<'a>(engine: &Engine, args: &'a RunArgs) -> Result<(Config, Base, &'a [String]), Failure> {
    if let Some(word) = args.words.first().filter(|word| word.starts_with('-') && word.len() > 1) {
        let reason = match word.strip_prefix("--") {
            Some(name) => format!("unknown flag: --{}", name.split('=').next().unwrap_or(name)),
            None => {
                let letter = word.chars().nth(1).unwrap_or('-');
                format!("unknown shorthand flag: '{letter}' in {word}")
            }
        };
        return Err(Failure::misuse(reason).advise("See 'box container run --help'."));
    }
    let mut config = Config::default();
    if let Some(rootfs) = &args.rootfs {
        let (path, writable) = match rootfs.strip_suffix(":rw") {
            Some(path) => (path, true),
            None => (rootfs.strip_suffix(":O").unwrap_or(rootfs), false),
        };
        let path = fs::canonicalize(path).map_err(Failure::os(path))?;
        if !path.is_dir() {
            return Err(Failure::new("Not a directory").about(path.display()));
        }
        config.rootfs_writable = writable;
        config.rootfs = Some(path);
        let image = rootfs.clone();
        let execution = Execution::default();
        let base = Base { image, image_id: String::new(), layers: Vec::new(), execution };
        return Ok((config, base, &args.words));
    }
    let Some((image, words)) = args.words.split_first() else {
        return Err(Failure::misuse("requires at least 1 argument: an image, or --rootfs DIR")
            .advise("See 'box container run --help'."));
    };
    if image == builtin::NAME {
        config.builtin = true;
        let image_id = builtin::id(&engine.links).to_string();
        let execution = builtin::config().config;
        let base = Base { image: image.clone(), image_id, layers: Vec::new(), execution };
        return Ok((config, base, words));
    }
    let found = super::registry::wanted(engine, args, image)?;
    // Layers that were removed by hand are unpacked again from their blobs.
    engine.store.unpack(&found, crate::layer::Limits::default())?;
    let layers = found.config.rootfs.chain().iter().map(|id| id.hex().to_owned()).collect();
    let image_id = found.id.to_string();
    let base = Base { image: image.clone(), image_id, layers, execution: found.config.config };
    Ok((config, base, words))
}

fn command(
    config: &mut Config,
    args: &RunArgs,
    execution: &Execution,
    words: &[String],
) -> Result<(), Failure> {
    let entrypoint = match args.entrypoint.as_deref() {
        None => execution.entrypoint.clone(),
        Some("") => Vec::new(),
        Some(program) => vec![program.to_owned()],
    };
    // Another entrypoint has no use for the image's arguments.
    let use_default = words.is_empty() && args.entrypoint.is_none();
    let rest = if use_default { execution.cmd.clone() } else { words.to_vec() };
    config.entrypoint_length = entrypoint.len();
    config.args = [entrypoint, rest].concat();
    if config.args.is_empty() {
        return Err(Failure::new("no command specified"));
    }
    Ok(())
}

fn environment(config: &mut Config, args: &RunArgs, execution: &Execution) -> Result<(), Failure> {
    let mut env = execution.env.clone();
    if !env.iter().any(|entry| entry.starts_with("PATH=")) {
        env.push(format!("PATH={}", crate::launch::DEFAULT_PATH));
    }
    config.hostname = args.hostname.clone().unwrap_or_else(|| {
        if args.network == "host" {
            return box_sys::process::host_name();
        }
        config.id.get(..12).unwrap_or_default().to_owned()
    });
    env.push(format!("HOSTNAME={}", config.hostname));
    if args.tty {
        env.push("TERM=xterm".into());
    }
    for file in &args.env_file {
        let text = fs::read_to_string(file).map_err(Failure::os(file.display()))?;
        let lines = text.lines().map(str::trim_start);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            set_variable(&mut env, line);
        }
    }
    for entry in &args.env {
        set_variable(&mut env, entry);
    }
    config.env = env;
    Ok(())
}

/// `NAME=VALUE`, or `NAME` for the caller's value. A later one replaces an earlier one.
pub fn set_variable(env: &mut Vec<String>, entry: &str) {
    let (name, entry) = match entry.split_once('=') {
        Some((name, _)) => (name, Some(entry.to_owned())),
        None => (entry, std::env::var(entry).ok().map(|value| format!("{entry}={value}"))),
    };
    let prefix = format!("{name}=");
    env.retain(|known| !known.starts_with(&prefix));
    env.extend(entry);
}

fn plain(config: &mut Config, args: &RunArgs) -> Result<(), Failure> {
    config.tty = args.tty;
    config.open_stdin = args.interactive;
    config.auto_remove = args.rm;
    config.init = args.init;
    config.read_only = args.read_only;
    config.domainname = args.domainname.clone().unwrap_or_default();
    config.groups.clone_from(&args.group_add);
    config.hosts.clone_from(&args.add_host);
    config.dns.clone_from(&args.dns);
    config.dns_search.clone_from(&args.dns_search);
    config.stop_timeout = args.stop_timeout.unwrap_or(10);
    config.oom_score_adj = args.oom_score_adj;
    config.shm_bytes = values::size("--shm-size", &args.shm_size)? as u64;
    let host = |option: &str, mode: &Option<String>| match mode.as_deref() {
        None | Some("" | "private") => Ok(false),
        Some("host") => Ok(true),
        Some(other) => Err(Failure::new(format!("invalid mode {other:?}")).about(option)),
    };
    config.host_pid = host("--pid", &args.pid)?;
    config.host_ipc = host("--ipc", &args.ipc)?;
    config.host_uts = host("--uts", &args.uts)?;
    config.restart = restart(&args.restart)?;
    if config.auto_remove && config.restart.policy != "no" {
        return Err(Failure::new("conflicting options: cannot specify both --restart and --rm"));
    }
    for entry in &args.sysctl {
        let (name, value) =
            entry.split_once('=').ok_or_else(|| Failure::new("has no value").about(entry))?;
        config.sysctl.insert(name.into(), value.into());
    }
    config.log = log(args)?;
    config.limits = limits(args)?;
    Ok(())
}

pub fn restart(text: &str) -> Result<Restart, Failure> {
    let (policy, maximum) = text.split_once(':').unwrap_or((text, "0"));
    let known = ["no", "always", "unless-stopped", "on-failure"].contains(&policy);
    let maximum = maximum.parse().ok();
    match maximum {
        Some(maximum) if known => Ok(Restart { policy: policy.into(), maximum }),
        _ => Err(Failure::new(format!("invalid restart policy {text:?}"))),
    }
}

fn log(args: &RunArgs) -> Result<LogConfig, Failure> {
    let driver = args.log_driver.clone();
    if !["json-file", "none", "local"].contains(&driver.as_str()) {
        return Err(Failure::new("unknown log driver").about(driver));
    }
    let mut log = LogConfig { driver, max_bytes: None, max_files: 1 };
    for option in &args.log_opt {
        match option.split_once('=') {
            Some(("max-size", size)) => {
                log.max_bytes = Some(values::size("max-size", size)?.max(1) as u64);
            }
            Some(("max-file", count)) => {
                let bad = || Failure::new(format!("invalid value {count:?}")).about("max-file");
                log.max_files = count.parse().ok().filter(|count| *count > 0).ok_or_else(bad)?;
            }
            _ => return Err(Failure::new("unknown log opt").about(option)),
        }
    }
    Ok(log)
}

/// Limits that are asked for must fit below the hard limit that is in force.
fn limits(args: &RunArgs) -> Result<Vec<Limit>, Failure> {
    let mut found = Vec::new();
    for text in &args.ulimit {
        let limit = values::limit(text)?;
        if let Some((_, resource)) = crate::oci::options::limit(&limit.kind) {
            let (_, hard) = box_sys::spawn::limit(resource)?;
            let may_raise = box_sys::credentials::permitted_capabilities()? >> 24 & 1 == 1;
            if limit.hard > hard && !may_raise {
                let reason = format!("is above the hard limit of {hard} that is in force");
                return Err(Failure::new(reason).about(format!("--ulimit {text}")));
            }
        }
        found.push(limit);
    }
    Ok(found)
}

fn mounts(
    engine: &Engine,
    config: &mut Config,
    args: &RunArgs,
    volumes: &BTreeMap<String, serde_json::Value>,
) -> Result<(), Failure> {
    for text in &args.volume {
        config.mounts.push(volume(engine, text)?);
    }
    for text in &args.mount {
        config.mounts.push(long_mount(engine, text)?);
    }
    for text in &args.tmpfs {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        let options = options.split(',').filter(|option| !option.is_empty());
        config.mounts.push(MountConfig {
            kind: "tmpfs".into(),
            destination: absolute(target)?,
            options: options.map(str::to_owned).collect(),
            ..MountConfig::default()
        });
    }
    for target in volumes.keys() {
        if !config.mounts.iter().any(|mount| mount.destination == *target) {
            config.mounts.push(volume(engine, target)?);
        }
    }
    for device in &args.device {
        self::device(config, device)?;
    }
    Ok(())
}

fn absolute(path: &str) -> Result<String, Failure> {
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Failure::new("mount path must be absolute").about(format!("{path:?}")));
    }
    if path.trim_matches('/').is_empty() {
        return Err(Failure::new("destination can't be '/'").about("invalid volume specification"));
    }
    Ok(path.to_owned())
}

/// `[SOURCE:]TARGET[:OPTIONS]`.
fn volume(engine: &Engine, text: &str) -> Result<MountConfig, Failure> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => return Err(Failure::new("invalid volume specification").about(format!("{text:?}"))),
    };
    let options =
        options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
    let mut mount = MountConfig {
        kind: "bind".into(),
        destination: absolute(target)?,
        options,
        ..MountConfig::default()
    };
    match source {
        Some(path) if path.starts_with('/') || path.starts_with('.') => {
            // As docker: a folder that is not there is made.
            if !Path::new(path).exists() {
                fs::create_dir_all(path).map_err(Failure::os(path))?;
            }
            let path = fs::canonicalize(path).map_err(Failure::os(path))?;
            mount.source = path.to_string_lossy().into_owned();
        }
        Some(name) => named_volume(engine, &mut mount, name)?,
        None => named_volume(engine, &mut mount, &names::id()?)?,
    }
    Ok(mount)
}

fn named_volume(engine: &Engine, mount: &mut MountConfig, name: &str) -> Result<(), Failure> {
    if !names::is_valid(name) {
        return Err(Failure::new("invalid volume name").about(format!("{name:?}")));
    }
    let path = engine.store.root.join("volumes").join(name).join("_data");
    fs::create_dir_all(&path).map_err(Failure::os(path.display()))?;
    mount.kind = "volume".into();
    mount.name = name.into();
    mount.source = path.to_string_lossy().into_owned();
    Ok(())
}

/// `type=bind,source=/a,target=/b,readonly`.
fn long_mount(engine: &Engine, text: &str) -> Result<MountConfig, Failure> {
    let mut mount = MountConfig { kind: "volume".into(), ..MountConfig::default() };
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, "true"));
        match key {
            "type" => mount.kind = value.into(),
            "source" | "src" => mount.source = value.into(),
            "target" | "destination" | "dst" => mount.destination = absolute(value)?,
            "readonly" | "ro" if value == "true" || value == "1" => mount.options.push("ro".into()),
            "readonly" | "ro" => {}
            "bind-propagation" => mount.options.push(value.into()),
            "volume-nocopy" if value == "true" || value == "1" => {
                mount.options.push("nocopy".into())
            }
            "tmpfs-size" => mount.options.push(format!("size={}", values::size(key, value)?)),
            "tmpfs-mode" => mount.options.push(format!("mode={value}")),
            _ => return Err(Failure::new(format!("unexpected key {key:?}")).about("--mount")),
        }
    }
    if mount.destination.is_empty() {
        return Err(Failure::new("target is required").about("--mount"));
    }
    match mount.kind.as_str() {
        "bind" => {
            let path = fs::canonicalize(&mount.source).map_err(Failure::os(&mount.source))?;
            mount.source = path.to_string_lossy().into_owned();
        }
        "volume" => {
            let name = match mount.source.as_str() {
                "" => names::id()?,
                name => name.to_owned(),
            };
            named_volume(engine, &mut mount, &name)?;
        }
        "tmpfs" => {}
        other => return Err(Failure::new(format!("unknown type {other:?}")).about("--mount")),
    }
    Ok(mount)
}

/// `/dev/x[:/dev/y[:rwm]]`: the node is bound, and its use allowed.
fn device(config: &mut Config, text: &str) -> Result<(), Failure> {
    let mut parts = text.split(':');
    let host = parts.next().unwrap_or_default();
    let inside = parts.next().unwrap_or(host);
    let access = parts.next().unwrap_or("rwm");
    let path =
        std::ffi::CString::new(Path::new(host).as_os_str().as_bytes()).map_err(Failure::new)?;
    let status = box_sys::at::status_followed(&path).map_err(Failure::os(host))?;
    let kind = match status.mode & libc::S_IFMT {
        libc::S_IFCHR => "c",
        libc::S_IFBLK => "b",
        _ => return Err(Failure::new("is no device").about(host)),
    };
    config.resources.devices.push(DeviceRule {
        allow: true,
        kind: kind.into(),
        major: Some(i64::from(libc::major(status.rdev))),
        minor: Some(i64::from(libc::minor(status.rdev))),
        access: access.into(),
    });
    config.mounts.push(MountConfig {
        kind: "bind".into(),
        source: host.into(),
        destination: absolute(inside)?,
        ..MountConfig::default()
    });
    Ok(())
}

fn network(
    config: &mut Config,
    args: &RunArgs,
    exposed: &BTreeMap<String, serde_json::Value>,
) -> Result<(), Failure> {
    let named = |prefix: &str| args.network.starts_with(prefix);
    let known = ["bridge", "default", "host", "none"].contains(&args.network.as_str());
    if !known && !named("container:") && !named("ns:") {
        return Err(Failure::new(format!("network {} not found", args.network)));
    }
    config.network = if args.network == "default" { "bridge".into() } else { args.network.clone() };
    for text in &args.publish {
        config.ports.extend(net::parse_ports(text)?);
    }
    if args.publish_all {
        for port in exposed.keys() {
            config.ports.extend(net::parse_ports(port)?);
        }
    }
    Ok(())
}

fn security(config: &mut Config, args: &RunArgs) -> Result<(), Failure> {
    config.privileged = args.privileged;
    config.capabilities =
        runtime_spec::capabilities(&args.cap_add, &args.cap_drop, args.privileged)?;
    for option in &args.security_opt {
        let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (name, value) {
            ("no-new-privileges", "" | "true") => config.no_new_privileges = true,
            ("no-new-privileges", "false") => config.no_new_privileges = false,
            ("seccomp", value) if !value.is_empty() => config.seccomp = value.into(),
            // There is no such module to label for: as docker on a machine without it.
            ("label" | "apparmor", _) => {}
            _ => return Err(Failure::new("invalid --security-opt").about(format!("{option:?}"))),
        }
    }
    Ok(())
}

fn resources(args: &RunArgs) -> Result<Resources, Failure> {
    let size = |option: &str, text: &Option<String>| -> Result<Option<i64>, Failure> {
        match text.as_deref() {
            None => Ok(None),
            Some("-1") => Ok(Some(-1)),
            Some(text) => values::size(option, text).map(Some),
        }
    };
    let limit = size("--memory", &args.memory)?;
    if limit.is_some_and(|limit| (0..6 << 20).contains(&limit)) {
        return Err(Failure::new("Minimum memory limit allowed is 6MB"));
    }
    let mut swap = size("--memory-swap", &args.memory_swap)?;
    if swap.is_none() && limit.is_some() && crate::cgroup::Hierarchies::detect()?.limits_swap() {
        // As docker: as much swap again as memory.
        swap = limit.map(|limit| limit.saturating_mul(2));
    }
    if let (Some(limit), Some(swap)) = (limit, swap)
        && swap >= 0
        && swap < limit
    {
        return Err(Failure::new("Minimum memoryswap limit should be larger than memory limit"));
    }
    let quota = args.cpus.as_deref().map(values::cpus).transpose()?.or(args.cpu_quota);
    let period = args.cpus.as_ref().map(|_| 100_000).or(args.cpu_period);
    Ok(Resources {
        memory: MemoryLimits {
            limit,
            swap,
            reservation: size("--memory-reservation", &args.memory_reservation)?,
            ..MemoryLimits::default()
        },
        cpu: CpuLimits {
            shares: args.cpu_shares,
            quota,
            period,
            cpus: args.cpuset_cpus.clone().unwrap_or_default(),
            ..CpuLimits::default()
        },
        pids: PidsLimit { limit: args.pids_limit },
        ..Resources::default()
    })
}
