//! The configuration: parameters by name, their values as text, and what of them commands use.
//!
//! Values come from the defaults, the file, and the command line, in this order; then from CONFIG
//! SET. A [`Config`] is never changed: a change makes a new one that takes the place of the old.

pub mod file;
pub mod params;

use std::io;
use std::path::{Path, PathBuf};

use crate::cmd::db::event;
use crate::types::Limits;
use params::{Kind, PARAMS, Param};

/// The configuration.
#[derive(Clone, Debug)]
pub struct Config {
    values: Vec<String>,
    /// The file it was read from.
    pub file: Option<PathBuf>,
    /// `user` lines: a name and its rules.
    pub users: Vec<Vec<String>>,
    /// `proto-max-bulk-len`
    pub proto_max_bulk_len: usize,
    /// `requirepass`
    pub requirepass: String,
    /// `rdbcompression`
    pub rdb_compression: bool,
    /// The limits of the compact encodings.
    pub limits: Limits,
    /// `slowlog-max-len`
    pub slowlog_max_len: usize,
    /// `maxclients`
    pub maxclients: usize,
    /// `min-replicas-to-write`
    pub min_replicas: i64,
    /// `min-replicas-max-lag`
    pub min_replicas_lag_s: i64,
    /// `timeout`
    pub timeout_s: i64,
    /// `client-query-buffer-limit`
    pub query_buffer_limit: usize,
    /// `client-output-buffer-limit` for normal and listening clients.
    pub output_limits: [OutputLimit; 2],
    /// `maxmemory-samples`
    pub samples: usize,
    /// `stop-writes-on-bgsave-error`
    pub stop_writes_on_save_error: bool,
}

/// How many bytes of replies may wait for a client that does not fetch them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// More than this ends its connection.
    pub hard: usize,
    /// More than this ends it after `soft_ms`.
    pub soft: usize,
    /// For how long it may be above `soft`.
    pub soft_ms: i64,
}

impl OutputLimit {
    /// As many as there are.
    pub const NONE: OutputLimit = OutputLimit { hard: usize::MAX, soft: usize::MAX, soft_ms: 0 };
}

/// Names that mean the same parameter: the second is shown beside the first.
const ALIASES: &[(&str, &str)] = &[
    ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
    ("hash-max-ziplist-value", "hash-max-listpack-value"),
    ("zset-max-ziplist-entries", "zset-max-listpack-entries"),
    ("zset-max-ziplist-value", "zset-max-listpack-value"),
    ("list-max-ziplist-size", "list-max-listpack-size"),
    ("lua-time-limit", "busy-reply-threshold"),
    ("slave-read-only", "replica-read-only"),
    ("slave-serve-stale-data", "replica-serve-stale-data"),
    ("slave-priority", "replica-priority"),
    ("slave-announce-ip", "replica-announce-ip"),
    ("slave-announce-port", "replica-announce-port"),
    ("slave-lazy-flush", "replica-lazy-flush"),
    ("slave-ignore-maxmemory", "replica-ignore-maxmemory"),
    ("min-slaves-to-write", "min-replicas-to-write"),
    ("min-slaves-max-lag", "min-replicas-max-lag"),
    ("repl-ping-slave-period", "repl-ping-replica-period"),
    ("slaveof", "replicaof"),
    ("cluster-slave-validity-factor", "cluster-replica-validity-factor"),
    ("cluster-slave-no-failover", "cluster-replica-no-failover"),
    ("io-threads", "threads"),
];

/// Text of a number of bytes as a number.
pub fn parse_memory(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30), ("k", 1000), ("m", 1_000_000)];
    let units = units.into_iter().chain([("g", 1_000_000_000), ("b", 1)]);
    for (unit, factor) in units {
        if let Some(digits) = text.strip_suffix(unit) {
            return memory_digits(digits)?.checked_mul(factor);
        }
    }
    memory_digits(&text)
}

/// No digit is zero, and too many are the largest number, as strtoull has it.
fn memory_digits(text: &str) -> Option<u64> {
    match text.parse::<u64>() {
        Ok(number) => Some(number),
        Err(error) => match error.kind() {
            std::num::IntErrorKind::Empty => Some(0),
            std::num::IntErrorKind::PosOverflow => Some(u64::MAX),
            _ => None,
        },
    }
}

impl Default for Config {
    fn default() -> Config {
        let values = PARAMS.iter().map(|param| param.default.to_owned()).collect();
        let mut config = Config {
            values,
            file: None,
            users: Vec::new(),
            proto_max_bulk_len: 512 << 20,
            requirepass: String::new(),
            rdb_compression: true,
            limits: Limits::default(),
            slowlog_max_len: 128,
            maxclients: 10_000,
            min_replicas: 0,
            min_replicas_lag_s: 10,
            timeout_s: 0,
            query_buffer_limit: 1 << 30,
            output_limits: [OutputLimit::NONE; 2],
            samples: 5,
            stop_writes_on_save_error: true,
        };
        config.derive();
        config
    }
}

fn index(name: &str) -> Option<usize> {
    PARAMS.iter().position(|param| param.name.eq_ignore_ascii_case(name))
}

/// The value as it is kept, or why it is none.
fn normalised(param: &Param, words: &[String]) -> Result<String, String> {
    let value = words.join(" ");
    match param.name {
        "save" => return save_points(words),
        "notify-keyspace-events" => {
            return event_classes(&value)
                .map(event_letters)
                .ok_or_else(|| "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned());
        }
        "bind" | "client-output-buffer-limit" => return Ok(value),
        _ => special(param.name, &value)?,
    }
    if words.len() > 1 && !matches!(param.kind, Kind::Text) {
        return Err("wrong number of arguments".into());
    }
    match param.kind {
        Kind::Bool => match value.to_ascii_lowercase().as_str() {
            word @ ("yes" | "no") => Ok(word.to_owned()),
            _ => Err("argument must be 'yes' or 'no'".into()),
        },
        Kind::Int(min, max) => match value.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(number.to_string()),
            Ok(_) => Err(format!("argument must be between {min} and {max} inclusive")),
            Err(_) => Err("argument couldn't be parsed into an integer".into()),
        },
        Kind::Memory(min, max) => match parse_memory(&value).map(i64::try_from) {
            Some(Ok(bytes)) if (min..=max).contains(&bytes) => Ok(bytes.to_string()),
            Some(_) => Err(format!("argument must be between {min} and {max} inclusive")),
            None => Err("argument must be a memory value".into()),
        },
        Kind::MemoryOrPercent => match value.strip_suffix('%') {
            Some(percent) if percent.parse::<u8>().is_ok_and(|n| n <= 100) => Ok(value),
            Some(_) => Err("argument must be a memory or percent value".into()),
            None => parse_memory(&value)
                .map(|bytes| bytes.to_string())
                .ok_or_else(|| "argument must be a memory or percent value".into()),
        },
        Kind::Enum(words) => {
            let found = words.iter().find(|word| word.eq_ignore_ascii_case(&value));
            found.map(|word| (*word).to_owned()).ok_or_else(|| {
                format!("argument(s) must be one of the following: {}", words.join(", "))
            })
        }
        Kind::Text => Ok(value),
    }
}

/// What single parameters ask of their value.
fn special(name: &str, value: &str) -> Result<(), String> {
    let mut words = value.split_whitespace();
    let fits = match name {
        "cluster-announce-hostname" => {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            return if value.chars().all(fits) {
                Ok(())
            } else {
                Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into())
            };
        }
        "latency-tracking-info-percentiles" => {
            for word in words {
                let percent: f64 = word
                    .parse()
                    .map_err(|_| "Invalid latency-tracking-info-percentiles parameters")?;
                if !(0.0..=100.0).contains(&percent) {
                    return Err("latency-tracking-info-percentiles parameters should sit between \
                                [0.0,100.0]"
                        .into());
                }
            }
            return Ok(());
        }
        "oom-score-adj-values" => {
            if words.clone().count() != 3 {
                return Err("wrong number of arguments".into());
            }
            let fits = |word: &str| {
                word.parse::<i32>().is_ok_and(|number| (-2000..=2000).contains(&number))
            };
            return if words.all(fits) {
                Ok(())
            } else {
                Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into())
            };
        }
        "proc-title-template" => {
            return if value.is_empty() {
                Err("template format is invalid or contains unknown variables".into())
            } else {
                Ok(())
            };
        }
        "shutdown-on-sigint" | "shutdown-on-sigterm" => {
            let known = ["default", "save", "nosave", "now", "force"];
            let known = |word: &str| known.iter().any(|other| other.eq_ignore_ascii_case(word));
            !value.is_empty() && words.all(known)
        }
        _ => true,
    };
    if fits {
        return Ok(());
    }
    Err("argument(s) must be one of the following: default, save, nosave, now, force".into())
}

fn save_points(words: &[String]) -> Result<String, String> {
    let words: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).collect();
    let numbers = words.iter().all(|word| word.parse::<u64>().is_ok());
    if !words.len().is_multiple_of(2) || !numbers {
        return Err("Invalid save parameters".into());
    }
    Ok(words.join(" "))
}

/// The classes that letters mean.
pub fn event_classes(letters: &str) -> Option<u32> {
    let all = event::GENERIC | event::STRING | event::LIST | event::SET | event::HASH | event::ZSET;
    let all = all | event::EXPIRED | event::EVICTED | event::STREAM | 1 << 13;
    letters.chars().try_fold(0, |classes, letter| {
        Some(
            classes
                | match letter {
                    'A' => all,
                    'g' => event::GENERIC,
                    '$' => event::STRING,
                    'l' => event::LIST,
                    's' => event::SET,
                    'h' => event::HASH,
                    'z' => event::ZSET,
                    'x' => event::EXPIRED,
                    'e' => event::EVICTED,
                    'K' => event::KEYSPACE,
                    'E' => event::KEYEVENT,
                    't' => event::STREAM,
                    'm' => event::KEY_MISS,
                    'd' => 1 << 13,
                    'n' => event::NEW,
                    _ => return None,
                },
        )
    })
}

fn event_letters(classes: u32) -> String {
    let all = event_classes("A").unwrap_or(0);
    let mut letters = String::new();
    let singles = [('g', event::GENERIC), ('$', event::STRING), ('l', event::LIST)];
    let singles = singles.into_iter().chain([('s', event::SET), ('h', event::HASH)]);
    let singles = singles.chain([('z', event::ZSET), ('x', event::EXPIRED), ('e', event::EVICTED)]);
    let singles = singles.chain([('t', event::STREAM), ('d', 1 << 13)]);
    if classes & all == all {
        letters.push('A');
    } else {
        letters.extend(singles.filter(|(_, class)| classes & class != 0).map(|(letter, _)| letter));
    }
    let rest = [('K', event::KEYSPACE), ('E', event::KEYEVENT), ('m', event::KEY_MISS)];
    let rest = rest.into_iter().chain([('n', event::NEW)]);
    letters.extend(rest.filter(|(_, class)| classes & class != 0).map(|(letter, _)| letter));
    letters
}

/// Why a value was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such parameter.
    Unknown,
    /// It cannot change while the server runs.
    Fixed,
    /// It can only be changed where that is allowed.
    Protected,
    /// The value is wrong.
    Value(String),
}

impl Config {
    /// The value of a parameter, empty if there is no such.
    pub fn get(&self, name: &str) -> &str {
        index(name).map_or("", |at| &self.values[at])
    }

    /// A value that is a number.
    pub fn int(&self, name: &str) -> i64 {
        self.get(name).parse().unwrap_or(0)
    }

    /// Whether a value is `yes`.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == "yes"
    }

    /// Sets a parameter.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn set(&mut self, name: &str, words: &[String], running: bool) -> Result<(), Refused> {
        let at = index(name).ok_or(Refused::Unknown)?;
        let param = &PARAMS[at];
        if running && param.fixed {
            return Err(Refused::Fixed);
        }
        let mut value = normalised(param, words).map_err(Refused::Value)?;
        if param.name == "client-output-buffer-limit" {
            value = output_limits(self.get(param.name), words).map_err(Refused::Value)?;
        }
        for (one, other) in ALIASES {
            for twin in [one, other] {
                if [one, other].contains(&&param.name)
                    && let Some(at) = index(twin)
                {
                    self.values[at].clone_from(&value);
                }
            }
        }
        self.values[at] = value;
        self.derive();
        Ok(())
    }

    /// Adds a save point from a line of the file.
    pub fn add_save_point(&mut self, words: &[String], first: bool) -> Result<(), Refused> {
        let new = save_points(words).map_err(Refused::Value)?;
        let old = if first { "" } else { self.get("save") };
        let both = format!("{old} {new}");
        if let Some(at) = index("save") {
            self.values[at] = both.trim().to_owned();
        }
        Ok(())
    }

    /// All parameters with their values.
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        PARAMS.iter().zip(&self.values).map(|(param, value)| (param.name, &value[..])).collect()
    }

    /// Whether a parameter may change while the server runs; `None` if there is no such.
    pub fn is_fixed(name: &str) -> Option<bool> {
        index(name).map(|at| PARAMS[at].fixed)
    }

    /// Seconds and changes of the save points.
    pub fn save_points(&self) -> Vec<(i64, u64)> {
        let numbers: Vec<i64> =
            self.get("save").split_whitespace().filter_map(|word| word.parse().ok()).collect();
        numbers.chunks_exact(2).map(|pair| (pair[0], pair[1] as u64)).collect()
    }

    /// `maxmemory-clients` in bytes, `maxmemory` being as given.
    pub fn clients_memory(&self, maxmemory: u64) -> u64 {
        let text = self.get("maxmemory-clients");
        match text.strip_suffix('%') {
            Some(percent) => maxmemory / 100 * percent.parse::<u64>().unwrap_or(0),
            None => text.parse().unwrap_or(0),
        }
    }

    /// Where the RDB file is.
    pub fn rdb_path(&self) -> PathBuf {
        PathBuf::from(self.get("dbfilename"))
    }

    /// Takes what commands use out of the texts.
    fn derive(&mut self) {
        let size = |name: &str| self.get(name).parse::<usize>().unwrap_or(usize::MAX);
        let limits = Limits {
            hash_entries: size("hash-max-listpack-entries"),
            hash_value: size("hash-max-listpack-value"),
            list_size: self.int("list-max-listpack-size"),
            set_entries: size("set-max-intset-entries"),
            zset_entries: size("zset-max-listpack-entries"),
            zset_value: size("zset-max-listpack-value"),
            stream_bytes: size("stream-node-max-bytes"),
            stream_entries: size("stream-node-max-entries"),
        };
        let (bulk, slow, clients) =
            (size("proto-max-bulk-len"), size("slowlog-max-len"), size("maxclients"));
        let (query, samples) = (size("client-query-buffer-limit"), size("maxmemory-samples"));
        let words: Vec<&str> = self.get("client-output-buffer-limit").split(' ').collect();
        let limit = |class: &str| {
            let at = words.iter().position(|word| *word == class);
            let number = |offset: usize| {
                at.and_then(|at| words.get(at + offset)?.parse::<usize>().ok()).unwrap_or(0)
            };
            let bytes = |offset| if number(offset) == 0 { usize::MAX } else { number(offset) };
            OutputLimit { hard: bytes(1), soft: bytes(2), soft_ms: number(3) as i64 * 1000 }
        };
        let output_limits = [limit("normal"), limit("pubsub")];
        self.output_limits = output_limits;
        self.limits = limits;
        self.proto_max_bulk_len = bulk;
        self.slowlog_max_len = slow;
        self.maxclients = clients;
        self.min_replicas = self.int("min-replicas-to-write");
        self.min_replicas_lag_s = self.int("min-replicas-max-lag");
        self.query_buffer_limit = query;
        self.samples = samples;
        self.requirepass = self.get("requirepass").to_owned();
        self.rdb_compression = self.is_on("rdbcompression");
        self.timeout_s = self.int("timeout");
        self.stop_writes_on_save_error = self.is_on("stop-writes-on-bgsave-error");
    }

    /// Writes the values back into the file, keeping its comments and order.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn rewrite(&self, path: &Path) -> io::Result<()> {
        file::rewrite(self, path)
    }
}

/// Merges `class hard soft seconds` groups into the value.
fn output_limits(old: &str, words: &[String]) -> Result<String, String> {
    let words: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).collect();
    if words.is_empty() {
        return Ok(old.to_owned());
    }
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut values: Vec<String> = old.split(' ').map(str::to_owned).collect();
    for group in words.chunks_exact(4) {
        let class = if group[0] == "replica" { "slave" } else { group[0] };
        let at = values.iter().position(|word| word == class);
        let at = at.ok_or("Invalid client class specified in buffer limit configuration.")?;
        let error = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        for (offset, text) in group[1..].iter().enumerate() {
            let bytes = parse_memory(text).ok_or(error)?;
            values[at + 1 + offset] = bytes.to_string();
        }
    }
    Ok(values.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn values_are_checked_and_kept_in_one_form() {
        let mut config = Config::default();
        config.set("MAXMEMORY", &words("100mb"), true).unwrap();
        assert_eq!(config.get("maxmemory"), "104857600");
        config.set("hash-max-ziplist-entries", &words("7"), true).unwrap();
        assert_eq!((config.get("hash-max-listpack-entries"), config.limits.hash_entries), ("7", 7));
        assert_eq!(config.set("nope", &words("1"), true), Err(Refused::Unknown));
        assert_eq!(config.set("databases", &words("1"), true), Err(Refused::Fixed));
        assert!(matches!(config.set("port", &words("70000"), true), Err(Refused::Value(_))));
        config.set("notify-keyspace-events", &words("KEA"), true).unwrap();
        assert_eq!(config.get("notify-keyspace-events"), "AKE");
    }

    #[test]
    fn memory_has_units() {
        for (text, bytes) in [("1k", 1000), ("1kb", 1024), ("2GB", 2 << 30), ("5", 5), ("5b", 5)] {
            assert_eq!(parse_memory(text), Some(bytes));
        }
        assert_eq!(parse_memory("x"), None);
    }
}
