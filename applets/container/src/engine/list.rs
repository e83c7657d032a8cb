//! `ps`.

use box_kit::{Exit, Failure, Outcome};
use serde_json::json;

use super::container::{self, Container};
use super::{Engine, template};
use crate::cli::PsArgs;
use crate::time;

/// Lists containers.
pub fn ps(engine: &Engine, args: &PsArgs) -> Outcome {
    let filters = args
        .filter
        .iter()
        .map(|text| text.split_once('=').ok_or_else(|| Failure::new("invalid filter").about(text)));
    let filters: Vec<(&str, &str)> = filters.collect::<Result<_, _>>()?;
    let by_status = filters.iter().any(|(name, _)| *name == "status" || *name == "exited");
    let mut rows = Vec::new();
    for mut container in container::all(&engine.store)? {
        // One that is just being removed by somebody else has nothing left to reconcile.
        let _ = container.reconcile();
        let shown = args.all || args.latest || by_status || container.is_running();
        if shown && matches(&container, &filters)? {
            rows.push(container);
        }
        if args.latest && !rows.is_empty() {
            break;
        }
    }
    if args.quiet {
        for container in &rows {
            println!("{}", id(container, args.no_trunc));
        }
        return Ok(Exit::DONE);
    }
    let values: Vec<_> = rows.iter().map(|container| row(container, args.no_trunc)).collect();
    let format = args.format.as_deref().unwrap_or("table");
    if let Some(text) = template::rows(format, &values)? {
        print!("{text}");
        return Ok(Exit::DONE);
    }
    let head = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    let fields = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
    let cells = values
        .iter()
        .map(|value| fields.map(|field| value[field].as_str().unwrap_or_default().to_owned()));
    print!("{}", crate::table::render(&head, cells));
    Ok(Exit::DONE)
}

fn matches(container: &Container, filters: &[(&str, &str)]) -> Result<bool, Failure> {
    let config = &container.config;
    // Of the same name any one has to hold, of different names all.
    let mut by_name: std::collections::BTreeMap<&str, bool> = std::collections::BTreeMap::new();
    for (name, value) in filters {
        let holds = match *name {
            "status" => container.status() == *value,
            "name" => config.name.contains(value.trim_start_matches('^').trim_end_matches('$')),
            "id" => config.id.starts_with(value),
            "label" => match value.split_once('=') {
                Some((label, value)) => {
                    config.labels.get(label).is_some_and(|known| known == value)
                }
                None => config.labels.contains_key(*value),
            },
            "ancestor" => config.image == *value || config.image_id.contains(value),
            "network" => config.network == *value,
            "exited" => {
                container.status() == "exited" && value.parse() == Ok(container.state.exit_code)
            }
            other => return Err(Failure::new("invalid filter").about(format!("'{other}'"))),
        };
        *by_name.entry(name).or_default() |= holds;
    }
    Ok(by_name.values().all(|holds| *holds))
}

fn id(container: &Container, whole: bool) -> String {
    let id = &container.config.id;
    if whole { id.clone() } else { id.get(..12).unwrap_or(id).to_owned() }
}

fn age(since: &str) -> String {
    let then = time::parse_rfc3339(since).unwrap_or_default();
    time::in_words(time::now().saturating_sub(then))
}

/// The status in docker's words: `Up 2 minutes`, `Exited (0) 3 hours ago`.
pub fn status(container: &Container) -> String {
    let state = &container.state;
    match container.status() {
        "created" => "Created".into(),
        "running" => format!("Up {}", age(&state.started_at)),
        "paused" => format!("Up {} (Paused)", age(&state.started_at)),
        _ => format!("Exited ({}) {} ago", state.exit_code, age(&state.finished_at)),
    }
}

fn row(container: &Container, whole: bool) -> serde_json::Value {
    let config = &container.config;
    let mut command = config.args.join(" ");
    if !whole && command.chars().count() > 20 {
        command = command.chars().take(19).collect::<String>() + "…";
    }
    let ports = container.state.network.iter().flat_map(|network| &network.ports);
    let ports: Vec<String> = ports.map(ToString::to_string).collect();
    let labels: Vec<String> =
        config.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mounts: Vec<String> = config
        .mounts
        .iter()
        .map(|mount| if mount.name.is_empty() { &mount.source } else { &mount.name }.clone())
        .collect();
    json!({
        "ID": id(container, whole),
        "Image": config.image,
        "Command": format!("\"{command}\""),
        "CreatedAt": config.created,
        "RunningFor": format!("{} ago", age(&config.created)),
        "State": container.status(),
        "Status": status(container),
        "Ports": ports.join(", "),
        "Names": config.name,
        "Labels": labels.join(","),
        "Mounts": mounts.join(","),
        "Networks": config.network,
        "LocalVolumes": config.mounts.iter().filter(|m| m.kind == "volume").count().to_string(),
        "Size": "0B",
    })
}
