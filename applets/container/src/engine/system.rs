//! `system df`, `prune`, `check`, `info`, and `image prune`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};

use box_kit::{Exit, Failure, Outcome};
use serde_json::{Value, json};

use super::container::{self, Container};
use super::{Engine, events, template, values, volumes};
use crate::cli::images::{CheckArgs, DfArgs, PruneArgs, SystemPruneArgs, SystemVerb};
use crate::cli::observe::InfoArgs;
use crate::image::Digest;
use crate::image::reference::Reference;
use crate::store::{Image, disk_use};
use crate::time;

/// `system ...`.
pub fn run(engine: &Engine, verb: &SystemVerb) -> Outcome {
    match verb {
        SystemVerb::Df(args) => df(engine, args),
        SystemVerb::Prune(args) => prune_all(engine, args),
        SystemVerb::Check(args) => check(engine, args),
        SystemVerb::Events(args) => events::events(engine, args),
        SystemVerb::Info(args) => info(engine, args),
    }
}

/// Bytes of an image in the store: its blobs, and its layers unpacked. What several images share
/// is counted for the first.
fn image_use(engine: &Engine, image: &Image, seen: &mut BTreeSet<Digest>) -> u64 {
    let chain = image.config.rootfs.chain();
    let layers: u64 = chain
        .iter()
        .filter(|id| seen.insert((*id).clone()))
        .map(|id| engine.store.layer_use(id))
        .sum();
    let blobs = image.manifest.layers.iter().map(|layer| &layer.digest);
    let blobs: u64 = blobs
        .chain([&image.id, &image.manifest_digest])
        .filter(|digest| seen.insert((*digest).clone()))
        .map(|digest| disk_use(&engine.store.blob(digest)))
        .sum();
    layers + blobs
}

fn df(engine: &Engine, args: &DfArgs) -> Outcome {
    let containers = container::all(&engine.store)?;
    let users: BTreeSet<_> = containers.iter().map(|found| found.config.image_id.clone()).collect();
    let (mut seen, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let (mut total, mut free) = (0, 0);
    for digest in engine.store.names()?.values() {
        let Ok(image) = engine.store.image(digest) else { continue };
        let size = image_use(engine, &image, &mut seen);
        total += size;
        if !users.contains(&image.id.to_string()) {
            free += size;
        }
        ids.insert(image.id);
    }
    let active = ids.iter().filter(|id| users.contains(&id.to_string())).count();
    let mut rows = vec![row("Images", ids.len(), active, total, free)];
    let sizes: Vec<_> =
        containers.iter().map(|found| (disk_use(&found.folder), found.is_running())).collect();
    let running = sizes.iter().filter(|(_, running)| *running).count();
    let whole = sizes.iter().map(|(size, _)| size).sum();
    let stopped = sizes.iter().filter(|(_, running)| !running).map(|(size, _)| size).sum();
    rows.push(row("Containers", sizes.len(), running, whole, stopped));
    let volumes = volumes::all(engine)?;
    let used = volumes.iter().filter(|volume| volume.used).count();
    let whole = volumes.iter().map(|volume| disk_use(&volume.folder)).sum();
    let unused = volumes.iter().filter(|v| !v.used).map(|v| disk_use(&v.folder)).sum();
    rows.push(row("Local Volumes", volumes.len(), used, whole, unused));
    if let Some(text) = template::rows(args.format.as_deref().unwrap_or("table"), &rows)? {
        print!("{text}");
        return Ok(Exit::DONE);
    }
    let fields = ["Type", "TotalCount", "Active", "Size", "Reclaimable"];
    let cells = rows
        .iter()
        .map(|row| fields.map(|field| row[field].as_str().unwrap_or_default().to_owned()));
    let head = ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"];
    print!("{}", crate::table::render(&head, cells));
    Ok(Exit::DONE)
}

fn row(kind: &str, count: usize, active: usize, size: u64, free: u64) -> Value {
    let share = (free * 100).checked_div(size).unwrap_or(0);
    json!({
        "Type": kind,
        "TotalCount": count.to_string(),
        "Active": active.to_string(),
        "Size": values::bytes_in_words(size),
        "Reclaimable": format!("{} ({share}%)", values::bytes_in_words(free)),
    })
}

/// Asks whether to go on. Who cannot be asked has to say so beforehand.
pub fn confirmed(force: bool, what: &str) -> Result<bool, Failure> {
    if force {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("nobody can be asked").about(what).advise("try: --force"));
    }
    print!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().eq_ignore_ascii_case("y"))
}

/// What `--filter` of a prune asks for.
pub struct Filter {
    until: Option<std::time::Duration>,
    labels: Vec<String>,
}

impl Filter {
    pub fn parse(texts: &[String]) -> Result<Filter, Failure> {
        let mut filter = Filter { until: None, labels: Vec::new() };
        for text in texts {
            match text.split_once('=') {
                Some(("until", value)) => filter.until = Some(values::since("--filter", value)?),
                Some(("label", value)) => filter.labels.push(value.to_owned()),
                _ => return Err(Failure::new("invalid filter").about(text)),
            }
        }
        Ok(filter)
    }

    pub fn takes(&self, created: &str, labels: &BTreeMap<String, String>) -> bool {
        let old = |until| time::parse_rfc3339(created).is_none_or(|created| created <= until);
        let labelled = |label: &String| match label.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|known| known == value),
            None => labels.contains_key(label),
        };
        self.until.is_none_or(old) && self.labels.iter().all(labelled)
    }
}

/// `image prune`.
pub fn prune_images(engine: &Engine, args: &PruneArgs) -> Outcome {
    let what =
        if args.all { "all images that no container uses" } else { "all images without a name" };
    if !confirmed(args.force, what)? {
        return Ok(Exit::DONE);
    }
    let given = remove_images(engine, args.all, &Filter::parse(&args.filter)?)?;
    println!("Total reclaimed space: {}", values::bytes_in_words(given));
    Ok(Exit::DONE)
}

fn remove_images(engine: &Engine, all: bool, filter: &Filter) -> Result<u64, Failure> {
    let users: BTreeSet<_> =
        container::all(&engine.store)?.into_iter().map(|found| found.config.image_id).collect();
    let mut gone = BTreeSet::new();
    for (name, digest) in engine.store.names()? {
        let Ok(image) = engine.store.image(&digest) else { continue };
        let nameless = Reference::parse(&name).is_err() || name.starts_with("sha256:");
        let created = image.config.created.clone().unwrap_or_default();
        if (all || nameless)
            && !users.contains(&image.id.to_string())
            && filter.takes(&created, &image.config.config.labels)
        {
            gone.insert(name);
        }
    }
    engine.store.change_names(|names| names.retain(|name, _| !gone.contains(name)))?;
    for name in &gone {
        let shown = Reference::parse(name).map_or(name.clone(), |name| name.shown());
        println!("Untagged: {shown}");
        events::record(&engine.store, "image", "untag", &shown, &[]);
    }
    engine.store.sweep()
}

fn prune_all(engine: &Engine, args: &SystemPruneArgs) -> Outcome {
    let images =
        if args.prune.all { "all images that no container uses" } else { "images without a name" };
    let volumes = if args.volumes { ", volumes that no container uses" } else { "" };
    let what = format!("all stopped containers, {images}{volumes}");
    if !confirmed(args.prune.force, &what)? {
        return Ok(Exit::DONE);
    }
    let filter = Filter::parse(&args.prune.filter)?;
    let mut given = prune_containers(engine, &filter)?;
    given += remove_images(engine, args.prune.all, &filter)?;
    if args.volumes {
        given += volumes::remove_unused(engine, &filter)?;
    }
    println!("Total reclaimed space: {}", values::bytes_in_words(given));
    Ok(Exit::DONE)
}

/// `prune`, of containers.
pub fn prune(engine: &Engine, args: &PruneArgs) -> Outcome {
    if !confirmed(args.force, "all stopped containers")? {
        return Ok(Exit::DONE);
    }
    let given = prune_containers(engine, &Filter::parse(&args.filter)?)?;
    println!("Total reclaimed space: {}", values::bytes_in_words(given));
    Ok(Exit::DONE)
}

/// Removes containers that do not run.
fn prune_containers(engine: &Engine, filter: &Filter) -> Result<u64, Failure> {
    let mut given = 0;
    let stopped = |found: &Container| !found.is_running();
    for mut found in container::all(&engine.store)?.into_iter().filter(stopped) {
        found.reconcile()?;
        if filter.takes(&found.config.created, &found.config.labels) {
            given += disk_use(&found.folder);
            println!("{}", found.config.id);
            found.discard(&engine.store)?;
            events::of_container(&engine.store, &found, "destroy", &[]);
        }
    }
    Ok(given)
}

fn check(engine: &Engine, args: &CheckArgs) -> Outcome {
    let faults = engine.store.check()?;
    for fault in &faults {
        println!("{}: {}", fault.what, fault.why);
    }
    if faults.is_empty() {
        println!("Everything in the store is whole.");
        return Ok(Exit::DONE);
    }
    if !args.repair {
        return Err(Failure::new(format!("{} faults", faults.len()))
            .about("store")
            .advise("try: box container system check --repair"));
    }
    for name in engine.store.repair()? {
        let shown = Reference::parse(&name).map_or(name.clone(), |name| name.shown());
        println!("Removed: {shown}");
    }
    Ok(Exit::DONE)
}

/// `info`.
pub fn info(engine: &Engine, args: &InfoArgs) -> Outcome {
    let containers = container::all(&engine.store)?;
    let count = |status: &str| containers.iter().filter(|found| found.status() == status).count();
    let names = engine.store.names()?;
    let images: BTreeSet<_> = names.values().collect();
    let hierarchies = crate::cgroup::Hierarchies::detect()?;
    let value = json!({
        "Containers": containers.len(),
        "ContainersRunning": count("running"),
        "ContainersPaused": count("paused"),
        "ContainersStopped": count("exited") + count("created"),
        "Images": images.len(),
        "Driver": "overlay",
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": if hierarchies.v1.is_empty() { "2" } else { "1" },
        "DockerRootDir": engine.store.root,
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "KernelVersion": std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "OSType": "linux",
        "Architecture": "x86_64",
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "Name": box_sys::process::host_name(),
        "DefaultRuntime": "box",
        "SecurityOptions": ["name=seccomp,profile=builtin"],
    });
    match args.format.as_deref() {
        Some("json") => println!("{value}"),
        Some(format) => println!("{}", template::render(format, &value)?),
        None => {
            for (name, value) in value.as_object().into_iter().flatten() {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                println!("{name}: {text}");
            }
        }
    }
    Ok(Exit::DONE)
}
