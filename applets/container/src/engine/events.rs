//! What happens, as lines of JSON in the store (`events.json`): whoever does something says so, and
//! `events` reads along.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use box_kit::{Exit, Failure, Outcome};
use serde_json::{Value, json};

use super::container::Container;
use super::{Engine, template, values};
use crate::cli::observe::EventsArgs;
use crate::store::Store;
use crate::time;

/// The file is begun anew beyond this length; the one before is kept.
const LENGTH_MAX: u64 = 8 << 20;
/// How often a reader looks for more.
const LOOK: Duration = Duration::from_millis(100);

/// Records an event. What cannot be recorded does not keep anything from happening.
pub fn record(store: &Store, kind: &str, action: &str, id: &str, attributes: &[(&str, &str)]) {
    let now = time::now();
    let mut named = serde_json::Map::new();
    for (name, value) in attributes {
        named.insert((*name).to_owned(), (*value).into());
    }
    let line = json!({
        "Type": kind,
        "Action": action,
        "Actor": {"ID": id, "Attributes": named},
        "scope": "local",
        "time": now.as_secs(),
        "timeNano": u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        "status": action,
        "id": id,
        "from": named.get("image").cloned().unwrap_or_default(),
    });
    let path = store.root.join("events.json");
    if fs::metadata(&path).is_ok_and(|found| found.len() > LENGTH_MAX) {
        let _ = fs::rename(&path, store.root.join("events.json.1"));
    }
    if let Ok(mut file) = OpenOptions::new().append(true).create(true).mode(0o600).open(&path) {
        // One write a line: readers see it whole.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// Records what becomes of a container.
pub fn of_container(store: &Store, container: &Container, action: &str, more: &[(&str, &str)]) {
    let config = &container.config;
    let mut attributes = vec![("image", config.image.as_str()), ("name", config.name.as_str())];
    attributes.extend(config.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    attributes.extend_from_slice(more);
    record(store, "container", action, &config.id, &attributes);
}

/// `events`.
pub fn events(engine: &Engine, args: &EventsArgs) -> Outcome {
    let filters = args
        .filter
        .iter()
        .map(|text| text.split_once('=').ok_or_else(|| Failure::new("invalid filter").about(text)));
    let filters: Vec<(&str, &str)> = filters.collect::<Result<_, _>>()?;
    let bound = |option: &str, text: &Option<String>| {
        text.as_deref().map(|text| values::since(option, text)).transpose()
    };
    let (since, until) = (bound("--since", &args.since)?, bound("--until", &args.until)?);
    let since = since.unwrap_or_else(|| if until.is_some() { Duration::ZERO } else { time::now() });
    let path = engine.store.root.join("events.json");
    let older = File::open(engine.store.root.join("events.json.1"));
    if let Ok(file) = older {
        read_along(&mut BufReader::new(file), &filters, since, until, args)?;
    }
    File::options().append(true).create(true).open(&path).map_err(Failure::os(path.display()))?;
    let mut file = BufReader::new(File::open(&path).map_err(Failure::os(path.display()))?);
    loop {
        read_along(&mut file, &filters, since, until, args)?;
        if until.is_some_and(|until| time::now() >= until) {
            return Ok(Exit::DONE);
        }
        std::thread::sleep(LOOK);
        let own = file.get_ref().metadata().map_err(Failure::os(path.display()))?;
        let named = fs::metadata(&path).map(|found| std::os::unix::fs::MetadataExt::ino(&found));
        if named.is_ok_and(|ino| ino != std::os::unix::fs::MetadataExt::ino(&own)) {
            file = BufReader::new(File::open(&path).map_err(Failure::os(path.display()))?);
        }
    }
}

fn read_along(
    file: &mut BufReader<File>,
    filters: &[(&str, &str)],
    since: Duration,
    until: Option<Duration>,
    args: &EventsArgs,
) -> Result<(), Failure> {
    let mut line = String::new();
    while file.read_line(&mut line).map_err(Failure::os("events.json"))? > 0 {
        if let Ok(event) = serde_json::from_str::<Value>(&line) {
            let at = Duration::from_nanos(event["timeNano"].as_u64().unwrap_or(0));
            if at >= since && until.is_none_or(|until| at <= until) && matches(&event, filters) {
                print(&event, &line, args)?;
            }
        }
        line.clear();
    }
    Ok(())
}

fn print(event: &Value, line: &str, args: &EventsArgs) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let text = match args.format.as_deref() {
        Some("json" | "{{json .}}") => line.trim_end().to_owned(),
        Some(format) => template::render(format, event)?,
        None => in_words(event),
    };
    writeln!(out, "{text}").and_then(|()| out.flush())?;
    Ok(())
}

/// `TIME container start ID (image=..., name=...)`.
fn in_words(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let at = Duration::from_nanos(event["timeNano"].as_u64().unwrap_or(0));
    let attributes = event["Actor"]["Attributes"].as_object();
    let attributes: Vec<_> = attributes
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    let (kind, action, id) = (text(&event["Type"]), text(&event["Action"]), text(&event["id"]));
    format!("{} {kind} {action} {id} ({})", time::rfc3339(at), attributes.join(", "))
}

/// Of the same name any one has to hold, of different names all.
fn matches(event: &Value, filters: &[(&str, &str)]) -> bool {
    let attributes = &event["Actor"]["Attributes"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let holds = |name: &str, value: &str| match name {
        "event" => text(&event["Action"]) == value,
        "type" => text(&event["Type"]) == value,
        "container" => text(&event["id"]).starts_with(value) || text(&attributes["name"]) == value,
        "image" => text(&attributes["image"]) == value || text(&event["id"]) == value,
        "label" => match value.split_once('=') {
            Some((label, wanted)) => text(&attributes[label]) == wanted,
            None => !attributes[value].is_null(),
        },
        _ => false,
    };
    filters.iter().all(|(name, _)| {
        filters.iter().filter(|(other, _)| other == name).any(|(name, value)| holds(name, value))
    })
}
