//! Volumes as objects of their own: `volumes/NAME/_data`, with `volumes/NAME/volume.json` beside it
//! where there is more to say of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use box_kit::{Exit, Failure, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::system::{self, Filter};
use super::{Engine, container, events, names, template, values};
use crate::cli::InspectArgs;
use crate::cli::observe::{VolumeCreateArgs, VolumeLsArgs, VolumeRmArgs, VolumeVerb};
use crate::store::disk_use;

/// A volume.
pub struct Volume {
    pub name: String,
    pub folder: PathBuf,
    /// A container has it.
    pub used: bool,
    about: About,
}

/// What is kept of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct About {
    created: String,
    labels: BTreeMap<String, String>,
}

/// All volumes, by name.
pub fn all(engine: &Engine) -> Result<Vec<Volume>, Failure> {
    let containers = container::all(&engine.store)?;
    let mounts = containers.iter().flat_map(|found| &found.config.mounts);
    let used: BTreeSet<_> = mounts.map(|mount| mount.name.clone()).collect();
    let entries = fs::read_dir(engine.store.root.join("volumes")).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.path().join("_data").is_dir())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let folder = entry.path();
            let about = fs::read(folder.join("volume.json")).ok();
            let about = about.and_then(|text| serde_json::from_slice(&text).ok());
            Volume { used: used.contains(&name), name, folder, about: about.unwrap_or_default() }
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// `volume ...`.
pub fn run(engine: &Engine, verb: &VolumeVerb) -> Outcome {
    match verb {
        VolumeVerb::Create(args) => create(engine, args),
        VolumeVerb::Ls(args) => list(engine, args),
        VolumeVerb::Rm(args) => remove(engine, args),
        VolumeVerb::Inspect(args) => inspect(engine, args),
        VolumeVerb::Prune(args) => {
            if !system::confirmed(args.force, "all volumes that no container uses")? {
                return Ok(Exit::DONE);
            }
            let given = remove_unused(engine, &Filter::parse(&args.filter)?)?;
            println!("Total reclaimed space: {}", values::bytes_in_words(given));
            Ok(Exit::DONE)
        }
    }
}

fn create(engine: &Engine, args: &VolumeCreateArgs) -> Outcome {
    let name = match &args.name {
        Some(name) if names::is_valid(name) => name.clone(),
        Some(name) => {
            return Err(Failure::new("invalid volume name").about(format!("{name:?}")));
        }
        None => names::id()?,
    };
    let folder = engine.store.root.join("volumes").join(&name);
    let data = folder.join("_data");
    if !data.exists() {
        fs::create_dir_all(&data).map_err(Failure::os(data.display()))?;
        let labels = args.label.iter().map(|label| {
            let (name, value) = label.split_once('=').unwrap_or((label, ""));
            (name.to_owned(), value.to_owned())
        });
        let created = crate::time::rfc3339(crate::time::now());
        let about = About { created, labels: labels.collect() };
        let text = serde_json::to_vec(&about).map_err(Failure::new)?;
        crate::files::replace(&folder.join("volume.json"), &text, false)?;
        events::record(&engine.store, "volume", "create", &name, &[]);
    }
    println!("{name}");
    Ok(Exit::DONE)
}

fn value(volume: &Volume) -> Value {
    json!({
        "Name": volume.name,
        "Driver": "local",
        "Mountpoint": volume.folder.join("_data"),
        "CreatedAt": volume.about.created,
        "Labels": volume.about.labels,
        "Options": {},
        "Scope": "local",
    })
}

fn list(engine: &Engine, args: &VolumeLsArgs) -> Outcome {
    let mut found = all(engine)?;
    for filter in &args.filter {
        match filter.split_once('=') {
            Some(("name", part)) => found.retain(|volume| volume.name.contains(part)),
            Some(("dangling", "true" | "1")) => found.retain(|volume| !volume.used),
            Some(("dangling", "false" | "0")) => found.retain(|volume| volume.used),
            Some(("label", label)) => {
                let filter = Filter::parse(&[format!("label={label}")])?;
                found.retain(|volume| filter.takes("", &volume.about.labels));
            }
            _ => return Err(Failure::new("invalid filter").about(filter)),
        }
    }
    if args.quiet {
        found.iter().for_each(|volume| println!("{}", volume.name));
        return Ok(Exit::DONE);
    }
    let rows: Vec<_> = found.iter().map(value).collect();
    if let Some(text) = template::rows(args.format.as_deref().unwrap_or("table"), &rows)? {
        print!("{text}");
        return Ok(Exit::DONE);
    }
    let cells = found.iter().map(|volume| ["local".to_owned(), volume.name.clone()]);
    print!("{}", crate::table::render(&["DRIVER", "VOLUME NAME"], cells));
    Ok(Exit::DONE)
}

fn find(engine: &Engine, name: &str) -> Result<Volume, Failure> {
    let found = all(engine)?.into_iter().find(|volume| volume.name == name);
    found.ok_or_else(|| Failure::new("No such volume").about(name))
}

fn inspect(engine: &Engine, args: &InspectArgs) -> Outcome {
    let found = args.names.iter().map(|name| find(engine, name));
    let rows: Vec<_> = found.map(|volume| volume.map(|v| value(&v))).collect::<Result<_, _>>()?;
    match args.format.as_deref() {
        Some(format) => {
            for row in &rows {
                println!("{}", template::render(format, row)?);
            }
        }
        None => println!("{:#}", Value::Array(rows)),
    }
    Ok(Exit::DONE)
}

fn remove(engine: &Engine, args: &VolumeRmArgs) -> Outcome {
    let mut exit = Exit::DONE;
    for name in &args.names {
        let removed = find(engine, name).and_then(|volume| {
            if volume.used {
                return Err(Failure::new("is used by a container").about(name));
            }
            remove_one(engine, &volume)
        });
        match removed {
            Ok(()) => println!("{name}"),
            Err(_) if args.force && find(engine, name).is_err() => println!("{name}"),
            Err(failure) => {
                eprint!("{}", failure.render("box: container"));
                exit = Exit::FAILED;
            }
        }
    }
    Ok(exit)
}

fn remove_one(engine: &Engine, volume: &Volume) -> Result<(), Failure> {
    fs::remove_dir_all(&volume.folder).map_err(Failure::os(volume.folder.display()))?;
    events::record(&engine.store, "volume", "destroy", &volume.name, &[]);
    Ok(())
}

/// Removes those that no container has, and returns the bytes that gave back.
pub fn remove_unused(engine: &Engine, filter: &Filter) -> Result<u64, Failure> {
    let mut given = 0;
    for volume in all(engine)?.iter().filter(|volume| !volume.used) {
        if filter.takes(&volume.about.created, &volume.about.labels) {
            given += disk_use(&volume.folder);
            remove_one(engine, volume)?;
            println!("{}", volume.name);
        }
    }
    Ok(given)
}
