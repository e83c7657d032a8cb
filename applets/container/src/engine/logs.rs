//! `logs`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::time::Duration;

use box_kit::{Exit, Failure, Outcome};
use serde::Deserialize;

use super::container::{self, Container};
use super::{Engine, values};
use crate::cli::LogsArgs;
use crate::time;

/// A line of a json-file log.
#[derive(Deserialize)]
struct Entry {
    log: String,
    stream: String,
    time: String,
}

struct Window {
    since: Option<Duration>,
    until: Option<Duration>,
    timestamps: bool,
}

/// Prints what a container has written.
pub fn logs(engine: &Engine, args: &LogsArgs) -> Outcome {
    let container = container::find(&engine.store, &args.name)?;
    if container.config.log.driver == "none" {
        let reason = "configured logging driver does not support reading";
        return Err(Failure::new(reason).about(&container.config.name));
    }
    let window = Window {
        since: args.since.as_ref().map(|text| values::since("--since", text)).transpose()?,
        until: args.until.as_ref().map(|text| values::since("--until", text)).transpose()?,
        timestamps: args.timestamps,
    };
    let mut lines = Vec::new();
    for path in files(&container).into_iter().rev() {
        if let Ok(file) = File::open(&path) {
            lines.extend(BufReader::new(file).lines().map_while(Result::ok));
        }
    }
    let skip = match args.tail.as_str() {
        "all" | "-1" => 0,
        text => {
            let count: usize = text
                .parse()
                .map_err(|_| Failure::new(format!("invalid value {text:?}")).about("--tail"))?;
            lines.len().saturating_sub(count)
        }
    };
    for line in lines.iter().skip(skip) {
        print_line(line, &window)?;
    }
    if args.follow {
        follow(container, &window)?;
    }
    Ok(Exit::DONE)
}

/// The log and the older files it was rotated to, newest first.
fn files(container: &Container) -> Vec<PathBuf> {
    let newest = container.folder.join(crate::monitor::LOG_FILE);
    let mut found = vec![newest.clone()];
    for number in 1..container.config.log.max_files {
        let mut name = newest.clone().into_os_string();
        name.push(format!(".{number}"));
        found.push(name.into());
    }
    found
}

fn print_line(line: &str, window: &Window) -> Result<(), Failure> {
    // A line that was cut by a full disk is passed over.
    let Ok(entry) = serde_json::from_str::<Entry>(line) else { return Ok(()) };
    let at = time::parse_rfc3339(&entry.time).unwrap_or_default();
    if window.since.is_some_and(|since| at < since) || window.until.is_some_and(|until| at > until)
    {
        return Ok(());
    }
    let mut text = String::new();
    if window.timestamps {
        text = format!("{} ", entry.time);
    }
    text += &entry.log;
    let written = if entry.stream == "stderr" {
        io::stderr().lock().write_all(text.as_bytes())
    } else {
        io::stdout().lock().write_all(text.as_bytes())
    };
    written.map_err(Failure::from)
}

/// How often the file is looked at while it is followed.
const LOOK: Duration = Duration::from_millis(50);

/// Prints what comes, until the container has ended.
fn follow(mut container: Container, window: &Window) -> Result<(), Failure> {
    use std::io::Seek;
    use std::os::unix::fs::MetadataExt;
    let path = container.folder.join(crate::monitor::LOG_FILE);
    let file = File::open(&path).map_err(Failure::os(path.display()))?;
    let mut number = file.metadata()?.ino();
    let mut reader = BufReader::new(file);
    reader.seek(io::SeekFrom::End(0))?;
    let mut partial = String::new();
    loop {
        // Asked first, read afterwards: nothing is missed of what was written before the end.
        let running = container.exists() && container.reload().is_ok() && container.is_running();
        while reader.read_line(&mut partial)? > 0 {
            if partial.ends_with('\n') {
                print_line(&partial, window)?;
                partial.clear();
            }
        }
        let rotated = path.metadata().is_ok_and(|data| data.ino() != number);
        if rotated {
            let file = File::open(&path).map_err(Failure::os(path.display()))?;
            number = file.metadata()?.ino();
            reader = BufReader::new(file);
            continue;
        }
        if !running {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
}
