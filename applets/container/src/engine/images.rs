//! `images`, `load`, `import`, `tag`, `rmi`.

use box_kit::{Exit, Failure, Outcome};
use serde_json::{Value, json};

use super::{Engine, container, template, values};
use crate::cli::images::{HistoryArgs, SaveArgs};
use crate::cli::{ImagesArgs, ImportArgs, LoadArgs, RmiArgs, TagArgs};
use crate::image::Execution;
use crate::image::reference::Reference;
use crate::layer::Limits;
use crate::store::{archive, builtin, save};
use crate::time;

/// `images`.
pub fn list(engine: &Engine, args: &ImagesArgs) -> Outcome {
    let mut rows = Vec::new();
    for (name, digest) in engine.store.names()? {
        let image = engine.store.image(&digest)?;
        let reference = Reference::parse(&name).ok().filter(|_| !name.starts_with("sha256:"));
        let none = || "<none>".to_owned();
        let repository = reference.as_ref().map_or_else(none, Reference::familiar);
        let tag = reference.as_ref().filter(|name| name.digest.is_none());
        let tag = tag.map_or_else(none, |name| name.tag.clone());
        let size: u64 = image.manifest.layers.iter().map(|layer| layer.size).sum();
        let created = image.config.created.clone().unwrap_or_default();
        rows.push(row((repository, tag), &image.id, &created, size, args.no_trunc));
    }
    rows.push(row(
        (builtin::NAME.into(), "<none>".into()),
        &builtin::id(&engine.links),
        "",
        0,
        args.no_trunc,
    ));
    if let Some(wanted) = &args.repository {
        let (wanted, tag) =
            wanted.split_once(':').map_or((wanted.as_str(), None), |(r, t)| (r, Some(t)));
        rows.retain(|row| row["Repository"] == wanted && tag.is_none_or(|tag| row["Tag"] == tag));
    }
    if args.quiet {
        let mut ids: Vec<_> = rows.iter().filter_map(|row| row["ID"].as_str()).collect();
        ids.dedup();
        ids.iter().for_each(|id| println!("{id}"));
        return Ok(Exit::DONE);
    }
    if let Some(text) = template::rows(args.format.as_deref().unwrap_or("table"), &rows)? {
        print!("{text}");
        return Ok(Exit::DONE);
    }
    let fields = ["Repository", "Tag", "ID", "CreatedSince", "Size"];
    let cells = rows
        .iter()
        .map(|row| fields.map(|field| row[field].as_str().unwrap_or_default().to_owned()));
    let head = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
    print!("{}", crate::table::render(&head, cells));
    Ok(Exit::DONE)
}

fn row(
    (repository, tag): (String, String),
    id: &crate::image::Digest,
    created: &str,
    size: u64,
    whole: bool,
) -> Value {
    let then = time::parse_rfc3339(created);
    let since =
        then.map(|then| format!("{} ago", time::in_words(time::now().saturating_sub(then))));
    json!({
        "Repository": repository,
        "Tag": tag,
        "ID": if whole { id.to_string() } else { id.short().to_owned() },
        "CreatedAt": created,
        "CreatedSince": since.unwrap_or_else(|| "N/A".into()),
        "Size": values::bytes_in_words(size),
    })
}

pub fn limits(text: Option<&str>) -> Result<Limits, Failure> {
    let mut limits = Limits::default();
    if let Some(text) = text {
        limits.bytes = values::size("--max-layer-size", text)?.max(0) as u64;
    }
    Ok(limits)
}

/// `load`.
pub fn load(engine: &Engine, args: &LoadArgs) -> Outcome {
    let limits = limits(args.max_layer_size.as_deref())?;
    for (name, id) in archive::load(&engine.store, args.input.as_deref(), limits)? {
        match name {
            Some(name) => println!("Loaded image: {}", name.shown()),
            None => println!("Loaded image ID: {id}"),
        }
    }
    Ok(Exit::DONE)
}

/// `import`.
pub fn import(engine: &Engine, args: &ImportArgs) -> Outcome {
    let name = args.name.as_deref().map(Reference::parse).transpose()?;
    let mut execution = Execution::default();
    for instruction in &args.change {
        change(&mut execution, instruction)?;
    }
    let message = if args.message.is_empty() {
        format!("Imported from {}", args.file.display())
    } else {
        args.message.clone()
    };
    let limits = limits(args.max_layer_size.as_deref())?;
    let file = Some(args.file.as_path());
    let id = archive::import(&engine.store, file, name, execution, &message, limits)?;
    println!("{id}");
    Ok(Exit::DONE)
}

/// A word list: JSON, or a line for the shell.
fn words(text: &str) -> Vec<String> {
    if text.starts_with('[')
        && let Ok(words) = serde_json::from_str(text)
    {
        return words;
    }
    ["/bin/sh", "-c", text].map(str::to_owned).into()
}

pub fn change(execution: &mut Execution, instruction: &str) -> Result<(), Failure> {
    let bad = || Failure::new("invalid instruction").about(format!("--change {instruction:?}"));
    let (word, rest) = instruction.trim().split_once(char::is_whitespace).ok_or_else(bad)?;
    let rest = rest.trim();
    match word.to_ascii_uppercase().as_str() {
        "CMD" => execution.cmd = words(rest),
        "ENTRYPOINT" => execution.entrypoint = words(rest),
        "ENV" => {
            let (name, value) = rest.split_once(['=', ' ']).ok_or_else(bad)?;
            execution.env.push(format!("{name}={}", value.trim_matches('"')));
        }
        "EXPOSE" => {
            let port = if rest.contains('/') { rest.to_owned() } else { format!("{rest}/tcp") };
            execution.exposed_ports.insert(port, json!({}));
        }
        "LABEL" => {
            let (name, value) = rest.split_once('=').ok_or_else(bad)?;
            execution.labels.insert(name.into(), value.trim_matches('"').into());
        }
        "STOPSIGNAL" => execution.stop_signal = rest.into(),
        "USER" => execution.user = rest.into(),
        "VOLUME" => drop(execution.volumes.insert(rest.into(), json!({}))),
        "WORKDIR" => execution.working_dir = rest.into(),
        _ => return Err(bad()),
    }
    Ok(())
}

/// `save`.
pub fn save(engine: &Engine, args: &SaveArgs) -> Outcome {
    use std::io::IsTerminal;
    let found = args.images.iter().map(|name| engine.store.find(name));
    let images = found.collect::<Result<Vec<_>, _>>()?;
    match &args.output {
        Some(path) => {
            let file = std::fs::File::create(path).map_err(Failure::os(path.display()))?;
            save::save(&engine.store, &images, std::io::BufWriter::new(file))?;
        }
        None if std::io::stdout().is_terminal() => {
            let reason = "an archive is not written to a terminal";
            return Err(Failure::new(reason).advise("try: -o FILE"));
        }
        None => save::save(&engine.store, &images, std::io::stdout().lock())?,
    }
    Ok(Exit::DONE)
}

/// `history`: newest step first, with the size of what it has added.
pub fn history(engine: &Engine, args: &HistoryArgs) -> Outcome {
    let (_, image) = engine.store.find(&args.image)?;
    let mut sizes = image.manifest.layers.iter().map(|layer| layer.size);
    let mut rows = Vec::new();
    for step in &image.config.history {
        let empty = step["empty_layer"].as_bool().unwrap_or(false);
        let size = if empty { 0 } else { sizes.next().unwrap_or(0) };
        let created = step["created"].as_str().unwrap_or_default();
        let mut by = step["created_by"].as_str().unwrap_or_default().replace(['\n', '\t'], " ");
        if !args.no_trunc && by.chars().count() > 45 {
            by = by.chars().take(44).collect::<String>() + "…";
        }
        let mut row = row((String::new(), String::new()), &image.id, created, size, args.no_trunc);
        row["CreatedBy"] = by.into();
        row["Comment"] = step["comment"].clone();
        if row["Comment"].is_null() {
            row["Comment"] = "".into();
        }
        rows.push(row);
    }
    rows.reverse();
    for row in rows.iter_mut().skip(1) {
        row["ID"] = "<missing>".into();
    }
    if args.quiet {
        rows.iter().for_each(|row| println!("{}", row["ID"].as_str().unwrap_or_default()));
        return Ok(Exit::DONE);
    }
    if let Some(text) = template::rows(args.format.as_deref().unwrap_or("table"), &rows)? {
        print!("{text}");
        return Ok(Exit::DONE);
    }
    let fields = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];
    let cells = rows
        .iter()
        .map(|row| fields.map(|field| row[field].as_str().unwrap_or_default().to_owned()));
    let head = ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"];
    print!("{}", crate::table::render(&head, cells));
    Ok(Exit::DONE)
}

/// `tag`.
pub fn tag(engine: &Engine, args: &TagArgs) -> Outcome {
    let (_, image) = engine.store.find(&args.image)?;
    let name = Reference::parse(&args.name)?;
    engine.store.change_names(|names| names.insert(name.to_string(), image.manifest_digest))?;
    Ok(Exit::DONE)
}

/// `rmi`.
pub fn remove(engine: &Engine, args: &RmiArgs) -> Outcome {
    for text in &args.names {
        let (name, image) = engine.store.find(text)?;
        let names = engine.store.names()?;
        let others = names.iter().filter(|(_, digest)| **digest == image.manifest_digest).count();
        let last = name.is_none() || others == 1;
        let users: Vec<_> = container::all(&engine.store)?
            .into_iter()
            .filter(|found| found.config.image_id == image.id.to_string())
            .collect();
        if let Some(user) = users.first().filter(|_| last && !args.force) {
            let reason = format!("is used by container {}", user.config.name);
            return Err(Failure::new(reason).about(text).advise("try: rmi --force"));
        }
        engine.store.change_names(|names| match &name {
            Some(name) => drop(names.remove(&name.to_string())),
            None => names.retain(|_, digest| *digest != image.manifest_digest),
        })?;
        if let Some(name) = name {
            println!("Untagged: {}", name.shown());
        }
        if last {
            println!("Deleted: {}", image.id);
        }
    }
    engine.store.sweep()?;
    Ok(Exit::DONE)
}
