//! `inspect`: docker's field names for all that is here.

use box_kit::{Exit, Failure, Outcome};
use serde_json::{Value, json};

use super::container::{self, Container};
use super::{Engine, template};
use crate::cli::InspectArgs;
use crate::image::Config as ImageConfig;
use crate::store::{Image, builtin};

/// Prints containers and images.
pub fn inspect(engine: &Engine, args: &InspectArgs) -> Outcome {
    let mut found = Vec::new();
    let mut failure = None;
    for name in &args.names {
        match one(engine, name, args.kind.as_deref()) {
            Ok(value) => found.push(value),
            Err(absent) => failure = Some(absent),
        }
    }
    match args.format.as_deref() {
        None => println!("{:#}", Value::Array(found)),
        Some(format) => {
            for value in &found {
                match format {
                    "json" => println!("{value}"),
                    format => println!("{}", template::render(format, value)?),
                }
            }
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None => Ok(Exit::DONE),
    }
}

fn one(engine: &Engine, name: &str, kind: Option<&str>) -> Result<Value, Failure> {
    if kind != Some("image")
        && let Ok(found) = container::find(&engine.store, name)
    {
        return Ok(of_container(engine, &found));
    }
    if kind == Some("container") {
        return Err(Failure::new("No such container").about(name));
    }
    if name == builtin::NAME {
        let id = builtin::id(&engine.links).to_string();
        return Ok(of_config(&id, &[name.to_owned()], &builtin::config()));
    }
    match engine.store.find(name) {
        Ok((_, image)) => of_image(engine, &image),
        Err(_) => Err(Failure::new("No such object").about(name)),
    }
}

fn of_image(engine: &Engine, image: &Image) -> Result<Value, Failure> {
    let names = engine.store.names()?;
    let names: Vec<String> = names
        .iter()
        .filter(|(name, digest)| **digest == image.manifest_digest && !name.starts_with("sha256:"))
        .filter_map(|(name, _)| crate::image::reference::Reference::parse(name).ok())
        .map(|name| format!("{}:{}", name.familiar(), name.tag))
        .collect();
    let mut value = of_config(&image.id.to_string(), &names, &image.config);
    let size: u64 = image.manifest.layers.iter().map(|layer| layer.size).sum();
    value["Size"] = size.into();
    value["Digest"] = image.manifest_digest.to_string().into();
    Ok(value)
}

fn of_config(id: &str, names: &[String], config: &ImageConfig) -> Value {
    json!({
        "Id": id,
        "RepoTags": names,
        "RepoDigests": [],
        "Created": config.created,
        "Architecture": config.architecture,
        "Os": config.os,
        "Config": config.config,
        "RootFS": {"Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids},
    })
}

fn of_container(engine: &Engine, container: &Container) -> Value {
    let (config, state) = (&container.config, &container.state);
    let status = container.status();
    let running = container.is_running();
    let pid = if running { state.init.pid } else { 0 };
    let (path, args) =
        config.args.split_first().map_or(("", &[][..]), |(path, args)| (path.as_str(), args));
    let links = &engine.store.root;
    let cgroups: Vec<_> =
        state.group.v1.iter().map(|(_, path)| path).chain(&state.group.v2).collect();
    json!({
        "Id": config.id,
        "Created": config.created,
        "Path": path,
        "Args": args,
        "State": {
            "Status": status,
            "Running": running,
            "Paused": status == "paused",
            "Restarting": false,
            "OOMKilled": state.oom_killed,
            "Dead": false,
            "Pid": pid,
            "ExitCode": state.exit_code,
            "Error": state.error,
            "StartedAt": if state.started_at.is_empty() { "0001-01-01T00:00:00Z" } else { &state.started_at },
            "FinishedAt": if state.finished_at.is_empty() { "0001-01-01T00:00:00Z" } else { &state.finished_at },
            "MonitorPid": if running { state.monitor.pid } else { 0 },
            "CgroupPaths": cgroups,
        },
        "Image": config.image_id,
        "ResolvConfPath": container.folder.join("resolv.conf"),
        "HostnamePath": container.folder.join("hostname"),
        "HostsPath": container.folder.join("hosts"),
        "LogPath": container.folder.join(crate::monitor::LOG_FILE),
        "Name": format!("/{}", config.name),
        "RestartCount": state.restarts,
        "Driver": "overlay2",
        "Platform": "linux",
        "HostConfig": host_config(container),
        "GraphDriver": {"Name": "overlay2", "Data": {
            "LowerDir": config.layers.iter().rev()
                .map(|id| links.join("layers").join(id).join("diff").display().to_string())
                .collect::<Vec<_>>().join(":"),
            "UpperDir": container.folder.join("upper"),
            "WorkDir": container.folder.join("work"),
        }},
        "Mounts": mounts(container),
        "Config": {
            "Hostname": config.hostname,
            "Domainname": config.domainname,
            "User": config.user,
            "AttachStdin": config.open_stdin,
            "Tty": config.tty,
            "OpenStdin": config.open_stdin,
            "StdinOnce": config.open_stdin,
            "Env": config.env,
            "Cmd": config.args.get(config.entrypoint_length..),
            "Entrypoint": config.args.get(..config.entrypoint_length),
            "Image": config.image,
            "WorkingDir": config.cwd,
            "Labels": config.labels,
            "StopSignal": config.stop_signal,
        },
        "NetworkSettings": network(container),
    })
}

fn host_config(container: &Container) -> Value {
    let config = &container.config;
    let resources = &config.resources;
    let binds: Vec<String> = config
        .mounts
        .iter()
        .filter(|mount| mount.kind != "tmpfs")
        .map(|mount| format!("{}:{}", mount.source, mount.destination))
        .collect();
    json!({
        "Binds": binds,
        "LogConfig": {"Type": config.log.driver, "Config": {}},
        "NetworkMode": config.network,
        "RestartPolicy": {"Name": config.restart.policy, "MaximumRetryCount": config.restart.maximum},
        "AutoRemove": config.auto_remove,
        "Privileged": config.privileged,
        "ReadonlyRootfs": config.read_only,
        "Init": config.init,
        "ShmSize": config.shm_bytes,
        "Memory": resources.memory.limit.unwrap_or(0),
        "MemorySwap": resources.memory.swap.unwrap_or(0),
        "MemoryReservation": resources.memory.reservation.unwrap_or(0),
        "CpuShares": resources.cpu.shares.unwrap_or(0),
        "CpuPeriod": resources.cpu.period.unwrap_or(0),
        "CpuQuota": resources.cpu.quota.unwrap_or(0),
        "CpusetCpus": resources.cpu.cpus,
        "PidsLimit": resources.pids.limit,
        "ExtraHosts": config.hosts,
        "Dns": config.dns,
        "Sysctls": config.sysctl,
        "Ulimits": config.limits.iter().map(|limit| {
            let name = limit.kind.trim_start_matches("RLIMIT_").to_ascii_lowercase();
            json!({"Name": name, "Soft": limit.soft, "Hard": limit.hard})
        }).collect::<Vec<_>>(),
    })
}

fn mounts(container: &Container) -> Vec<Value> {
    let mounts = container.config.mounts.iter().map(|mount| {
        let read_only = mount.options.iter().any(|option| option == "ro");
        json!({
            "Type": mount.kind,
            "Name": mount.name,
            "Source": mount.source,
            "Destination": mount.destination,
            "Mode": mount.options.join(","),
            "RW": !read_only,
            "Propagation": "rprivate",
        })
    });
    mounts.collect()
}

fn network(container: &Container) -> Value {
    let attachment = container.state.network.as_ref();
    let mut ports = serde_json::Map::new();
    for port in attachment.iter().flat_map(|network| &network.ports) {
        let key = format!("{}/{}", port.container_port, port.protocol);
        let binding = json!({"HostIp": port.host_address, "HostPort": port.host_port.to_string()});
        if let Some(list) = ports.entry(key).or_insert_with(|| json!([])).as_array_mut() {
            list.push(binding);
        }
    }
    let address = attachment.map(|network| network.address.to_string()).unwrap_or_default();
    let gateway = attachment.map(|network| network.gateway.to_string()).unwrap_or_default();
    let prefix = attachment.map_or(0, |network| network.prefix);
    let pid = container.state.init.pid;
    let sandbox =
        if container.is_running() { format!("/proc/{pid}/ns/net") } else { String::new() };
    json!({
        "Ports": ports,
        "SandboxKey": sandbox,
        "IPAddress": address,
        "IPPrefixLen": prefix,
        "Gateway": gateway,
        "Networks": {container.config.network.as_str(): {
            "IPAddress": address, "IPPrefixLen": prefix, "Gateway": gateway,
        }},
    })
}
