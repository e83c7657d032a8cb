//! Where the keys of a request are: what is locked, and what COMMAND GETKEYS tells.

use box_wire::decimal::parse_i64;
use box_wire::resp::Args;

use super::is;
use super::table::{Begin, Command, Find, KeySpec, flag};

/// A key of a request: its argument and the flags of its spec.
#[derive(Clone, Copy, Debug)]
pub struct KeyAt {
    /// Number of the argument.
    pub at: usize,
    /// Bits of [`super::table::key`].
    pub flags: u32,
}

/// Shows the argument numbers of all keys; whether the request's own counts made sense.
pub fn each(command: &Command, args: Args<'_>, mut show: impl FnMut(KeyAt)) -> bool {
    for spec in command.specs {
        if matches!(spec.begin, Begin::Keyword(..)) {
            continue;
        }
        if !of_spec(spec, args, &mut show) {
            return false;
        }
    }
    if matches!(command.name, "xread" | "xreadgroup") {
        let flags = super::table::key::RO | super::table::key::ACCESS;
        let streams = streams_of(args);
        streams.clone().for_each(|at| show(KeyAt { at, flags }));
        return !streams.is_empty();
    }
    if matches!(command.name, "georadius" | "georadiusbymember") {
        store_of_georadius(args, &mut show);
    }
    if matches!(command.name, "sort") {
        store_of_sort(args, &mut show);
    }
    true
}

fn of_spec(spec: &KeySpec, args: Args<'_>, show: &mut impl FnMut(KeyAt)) -> bool {
    let Begin::Index(first) = spec.begin else { return true };
    let first = first as usize;
    let mut emit = |at| show(KeyAt { at, flags: spec.flags });
    match spec.find {
        Find::Range(last, step, limit) => {
            let last = match last {
                last if last >= 0 => first + last as usize,
                last => {
                    let mut last = (args.len() as i32 + last) as usize;
                    if limit > 1 {
                        last = first + (last + 1 - first) / limit as usize - 1;
                    }
                    last
                }
            };
            (first..=last.min(args.len().saturating_sub(1)))
                .step_by(step as usize)
                .for_each(&mut emit);
            true
        }
        Find::Count(at, behind, step) => {
            let count = args.get(first + at as usize).and_then(parse_i64);
            let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
            let start = first + behind as usize;
            let fits = count > 0
                && count.saturating_mul(step as usize) <= args.len().saturating_sub(start);
            if fits {
                (start..start + count * step as usize).step_by(step as usize).for_each(&mut emit);
            }
            fits
        }
        Find::Unknown => true,
    }
}

/// The arguments that name the streams of XREAD and XREADGROUP: what follows the word STREAMS where
/// an option may stand, but for the IDs.
pub fn streams_of(args: Args<'_>) -> std::ops::Range<usize> {
    let mut at = 1;
    while let Some(word) = args.get(at) {
        at += match word {
            _ if is(word, "block") || is(word, "count") => 2,
            _ if is(word, "group") => 3,
            _ if is(word, "noack") => 1,
            _ if is(word, "streams") => {
                return at + 1..at + 1 + (args.len() - at - 1) / 2;
            }
            _ => break,
        };
    }
    0..0
}

/// GEORADIUS … STORE dest, STOREDIST dest: the last one counts.
fn store_of_georadius(args: Args<'_>, show: &mut impl FnMut(KeyAt)) {
    let words = 5..args.len().saturating_sub(1);
    let stores = |at: &usize| is(args.at(*at), "store") || is(args.at(*at), "storedist");
    // All are shown, as which of these words is an option is for the command to tell.
    let flags = super::table::key::OW | super::table::key::UPDATE;
    words.filter(stores).for_each(|at| show(KeyAt { at: at + 1, flags }));
}

/// SORT … STORE dest: the word may stand anywhere, the last one counts.
fn store_of_sort(args: Args<'_>, show: &mut impl FnMut(KeyAt)) {
    let mut dest = None;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        at += match word {
            _ if is(word, "limit") => 3,
            _ if is(word, "get") || is(word, "by") => 2,
            _ if is(word, "store") && at + 1 < args.len() => {
                dest = Some(at + 1);
                2
            }
            _ => 1,
        };
    }
    if let Some(at) = dest {
        let flags = super::table::key::OW | super::table::key::UPDATE;
        show(KeyAt { at, flags });
    }
}

/// What a command must hold while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing: it touches no key, or locks one shard after the other by itself.
    Nothing,
    /// The shards of its keys.
    Keys,
    /// All shards.
    World,
}

/// The scope of a request.
#[inline]
pub fn scope(command: &Command, args: Args<'_>) -> Scope {
    match command.name {
        "flushall" | "flushdb" | "swapdb" | "debug" | "keys" | "save" | "psync" | "sync" => {
            Scope::World
        }
        // A script may touch keys that it has not declared; the interpreter is whose hold them all.
        _ if command.group == "scripting" => scripting(command.name),
        "sort" | "sort_ro" if super::sort::looks_elsewhere(args) => Scope::World,
        _ if command.specs.is_empty() => Scope::Nothing,
        _ => Scope::Keys,
    }
}

fn scripting(name: &str) -> Scope {
    match name {
        "kill" | "stats" | "help" | "debug" => Scope::Nothing,
        _ => Scope::World,
    }
}

/// Whether a command without keys looks at shards, so that inside EXEC all must be held.
pub fn looks_at_shards(command: &Command) -> bool {
    matches!(
        command.name,
        "dbsize" | "randomkey" | "scan" | "info" | "bgsave" | "bgrewriteaof" | "shutdown"
    ) || command.is(flag::ADMIN)
}
