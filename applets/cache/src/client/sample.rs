//! `--bigkeys`, `--memkeys` and `--hotkeys`: walks the keyspace and tells what stands out.

use std::thread;

use box_kit::Exit;
use box_wire::resp::{Reply, push_request};

use super::connection::Connection;
use super::options::Options;
use super::render::quoted;
use super::scan::Walk;
use super::{Stop, ask, show, text_of};

/// What the size of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Its elements, or the bytes of a string.
    Elements,
    /// The memory it takes, measured on so many of its elements.
    Memory(Option<u64>),
}

/// What is known about keys of one type.
struct Kind {
    name: String,
    /// The command that tells the size; none is known for types of modules.
    command: Option<&'static str>,
    unit: &'static str,
    biggest: u64,
    biggest_key: Option<Vec<u8>>,
    total: u64,
    count: u64,
}

impl Kind {
    fn new(name: &str, command: Option<&'static str>, unit: &'static str) -> Kind {
        let name = name.to_owned();
        Kind { name, command, unit, biggest: 0, biggest_key: None, total: 0, count: 0 }
    }

    /// The types that every server has, in the order of the summary.
    fn all() -> Vec<Kind> {
        vec![
            Kind::new("list", Some("LLEN"), "items"),
            Kind::new("hash", Some("HLEN"), "fields"),
            Kind::new("string", Some("STRLEN"), "bytes"),
            Kind::new("stream", Some("XLEN"), "entries"),
            Kind::new("set", Some("SCARD"), "members"),
            Kind::new("zset", Some("ZCARD"), "members"),
        ]
    }
}

/// A line is printed after so many keys where nothing else is.
const NOTE_EVERY: u64 = 1_000_000;
/// A pause is made after so many steps.
const PAUSE_EVERY: u64 = 100;
/// Hot keys that are remembered.
const HOT_KEYS: usize = 16;

/// A walk over the keyspace that knows how far it is.
struct Survey<'o> {
    connection: Connection,
    walk: Walk,
    options: &'o Options,
    keys: u64,
    sampled: u64,
    steps: u64,
}

impl<'o> Survey<'o> {
    fn begin(
        mut connection: Connection,
        options: &'o Options,
        what: &str,
    ) -> Result<Survey<'o>, Stop> {
        show(
            format!(
                "\n# Scanning the entire keyspace to find {what} keys as well as\n\
                 # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
                 # per 100 SCAN commands (not usually needed).\n\n"
            )
            .as_bytes(),
        )?;
        let keys = match ask(&mut connection, &["DBSIZE"])? {
            Reply::Int(keys) => keys.max(0) as u64,
            _ => return Err(Stop::said("Couldn't determine DBSIZE!")),
        };
        let walk = Walk::new(options.pattern.as_deref());
        Ok(Survey { connection, walk, options, keys, sampled: 0, steps: 0 })
    }

    fn percent(&self) -> f64 {
        100.0 * self.sampled as f64 / self.keys.max(1) as f64
    }

    fn step(&mut self) -> Result<Option<Vec<Vec<u8>>>, Stop> {
        if self.steps > 0 && self.steps.is_multiple_of(PAUSE_EVERY) {
            thread::sleep(self.options.interval);
        }
        self.steps += 1;
        self.walk.step(&mut self.connection)
    }

    fn count(&mut self, percent: f64) -> Result<(), Stop> {
        self.sampled += 1;
        if self.sampled.is_multiple_of(NOTE_EVERY) {
            let sampled = self.sampled;
            show(format!("[{percent:05.2}%] Sampled {sampled} keys so far\n").as_bytes())?;
        }
        Ok(())
    }

    /// One request a key, all sent before the first reply is read.
    fn ask_all(&mut self, requests: &[Vec<&[u8]>]) -> Result<Vec<Reply>, Stop> {
        let mut bytes = Vec::new();
        for request in requests {
            push_request(&mut bytes, request.iter());
        }
        self.connection.send_raw(&bytes)?;
        requests.iter().map(|_| Ok(self.connection.receive()?)).collect()
    }
}

/// Finds the biggest key of each type.
///
/// # Errors
/// The server refuses.
pub fn run(connection: Connection, options: &Options, by: By) -> Result<Exit, Stop> {
    let mut survey = Survey::begin(connection, options, "biggest")?;
    let (mut kinds, mut key_bytes) = (Kind::all(), 0u64);
    while let Some(keys) = survey.step()? {
        let percent = survey.percent();
        let types = types(&mut survey, &keys, &mut kinds)?;
        let sizes = sizes(&mut survey, &keys, &types, &kinds, by)?;
        for ((key, kind), size) in keys.iter().zip(types).zip(sizes) {
            // A key that was deleted meanwhile has no type.
            let Some(kind) = kind.and_then(|kind| kinds.get_mut(kind)) else { continue };
            kind.total += size;
            kind.count += 1;
            key_bytes += key.len() as u64;
            if size > kind.biggest {
                kind.biggest = size;
                kind.biggest_key = Some(key.clone());
                let (name, unit, key) = (&kind.name, unit(kind, by), quoted(key));
                let line = format!(
                    "[{percent:05.2}%] Biggest {name:<6} found so far '{key}' with {size} {unit}\n"
                );
                show(line.as_bytes())?;
            }
            survey.count(percent)?;
        }
    }
    show(summary(&kinds, survey.sampled, key_bytes, by).as_bytes())?;
    Ok(Exit::DONE)
}

fn unit(kind: &Kind, by: By) -> &'static str {
    if by == By::Elements { kind.unit } else { "bytes" }
}

/// For each key the index of its type in `kinds`, to which unknown ones are added.
fn types(
    survey: &mut Survey<'_>,
    keys: &[Vec<u8>],
    kinds: &mut Vec<Kind>,
) -> Result<Vec<Option<usize>>, Stop> {
    let requests: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![&b"TYPE"[..], key]).collect();
    let replies = survey.ask_all(&requests)?;
    let mut types = Vec::with_capacity(keys.len());
    for reply in &replies {
        let name = match text_of(reply) {
            Some(name) => String::from_utf8_lossy(name),
            None => return Err(Stop::said("Invalid reply to TYPE")),
        };
        if name == "none" {
            types.push(None);
            continue;
        }
        let known = kinds.iter().position(|kind| kind.name == name);
        types.push(Some(known.unwrap_or_else(|| {
            kinds.push(Kind::new(&name, None, "?"));
            kinds.len() - 1
        })));
    }
    Ok(types)
}

fn sizes(
    survey: &mut Survey<'_>,
    keys: &[Vec<u8>],
    types: &[Option<usize>],
    kinds: &[Kind],
    by: By,
) -> Result<Vec<u64>, Stop> {
    let samples = match by {
        By::Memory(Some(samples)) => Some(samples.to_string()),
        _ => None,
    };
    let request = |key: &'_ Vec<u8>, kind: &Option<usize>| -> Option<Vec<Vec<u8>>> {
        let kind = kinds.get((*kind)?)?;
        if by == By::Elements {
            return Some(vec![kind.command?.into(), key.clone()]);
        }
        let mut args: Vec<Vec<u8>> = vec!["MEMORY".into(), "USAGE".into(), key.clone()];
        if let Some(samples) = &samples {
            args.extend([b"SAMPLES".to_vec(), samples.clone().into_bytes()]);
        }
        Some(args)
    };
    let asked: Vec<Option<Vec<Vec<u8>>>> =
        keys.iter().zip(types).map(|(key, kind)| request(key, kind)).collect();
    let requests: Vec<Vec<&[u8]>> =
        asked.iter().flatten().map(|args| args.iter().map(Vec::as_slice).collect()).collect();
    let mut replies = survey.ask_all(&requests)?.into_iter();
    let size = |asked: &Option<Vec<Vec<u8>>>| match asked.as_ref().and_then(|_| replies.next()) {
        Some(Reply::Int(size)) => size.max(0) as u64,
        // Of another type by now, or of a module that tells nothing.
        _ => 0,
    };
    Ok(asked.iter().map(size).collect())
}

fn summary(kinds: &[Kind], sampled: u64, key_bytes: u64, by: By) -> String {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let mut text = format!(
        "\n-------- summary -------\n\nSampled {sampled} keys in the keyspace!\n\
         Total key length in bytes is {key_bytes} (avg len {:.2})\n\n",
        share(key_bytes, sampled)
    );
    for kind in kinds {
        if let Some(key) = &kind.biggest_key {
            let (name, key, size, unit) = (&kind.name, quoted(key), kind.biggest, unit(kind, by));
            text += &format!("Biggest {name:>6} found '{key}' has {size} {unit}\n");
        }
    }
    text += "\n";
    for kind in kinds {
        let (name, count, total, unit) = (&kind.name, kind.count, kind.total, unit(kind, by));
        text += &format!(
            "{count} {name}s with {total} {unit} ({:05.2}% of keys, avg size {:.2})\n",
            100.0 * share(count, sampled),
            share(total, count)
        );
    }
    text
}

/// Finds the keys with the highest access frequency.
///
/// # Errors
/// The server refuses: its policy is not LFU.
pub fn hot(connection: Connection, options: &Options) -> Result<Exit, Stop> {
    let mut survey = Survey::begin(connection, options, "hot")?;
    // Sorted, highest first.
    let mut hottest: Vec<(u64, Vec<u8>)> = Vec::new();
    while let Some(keys) = survey.step()? {
        let percent = survey.percent();
        let requests: Vec<Vec<&[u8]>> =
            keys.iter().map(|key| vec![&b"OBJECT"[..], b"FREQ", key]).collect();
        let replies = survey.ask_all(&requests)?;
        for (key, reply) in keys.into_iter().zip(replies) {
            survey.count(percent)?;
            let counter = match reply {
                Reply::Int(counter) => counter.max(0) as u64,
                // Deleted meanwhile.
                Reply::Nil => continue,
                Reply::Error(text) if text.starts_with(b"ERR no such key") => continue,
                Reply::Error(text) => {
                    return Err(Stop::said(format!("Error: {}", String::from_utf8_lossy(&text))));
                }
                _ => return Err(Stop::said("Invalid reply to OBJECT FREQ")),
            };
            let least =
                if hottest.len() < HOT_KEYS { 0 } else { hottest.last().map_or(0, |h| h.0) };
            if counter <= least {
                continue;
            }
            let name = quoted(&key);
            let line =
                format!("[{percent:05.2}%] Hot key '{name}' found so far with counter {counter}\n");
            show(line.as_bytes())?;
            let place = hottest.partition_point(|hot| hot.0 >= counter);
            hottest.insert(place, (counter, key));
            hottest.truncate(HOT_KEYS);
        }
    }
    let sampled = survey.sampled;
    show(
        format!("\n-------- summary -------\n\nSampled {sampled} keys in the keyspace!\n")
            .as_bytes(),
    )?;
    for (counter, key) in hottest {
        let key = quoted(&key);
        show(format!("hot key found with counter: {counter}\tkeyname: {key}\n").as_bytes())?;
    }
    Ok(Exit::DONE)
}
