//! The one table of commands. What COMMAND tells, what is locked, what is refused in a transaction
//! or without authentication, what goes into the log: all of it follows from the rows here.
//!
//! One file a group; a row is found by `grep 'name: "get"'`.

mod acl;
mod bitmap;
mod bits;
mod cluster;
mod connection;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod list;
mod module;
mod pubsub;
mod replication;
mod scripting;
mod server;
mod set;
mod sorted_set;
mod stream;
mod string;
mod transactions;

use std::sync::OnceLock;

use box_wire::resp::Args;

use super::{Ctx, Done, Error, Run};
pub use bits::{category, flag, key};

/// Where the keys of a command begin.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// At this argument.
    Index(i32),
    /// Behind this word, which is looked for from this argument on.
    Keyword(&'static str, i32),
    /// Nobody can tell.
    Unknown,
}

/// How the keys are found from there.
#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// Up to this argument, every so many, with a limit.
    Range(i32, i32, i32),
    /// An argument tells how many there are: its index, the first key, the step.
    Count(i32, i32, i32),
    /// Nobody can tell.
    Unknown,
}

/// Where keys are, and what happens to them.
#[derive(Debug)]
pub struct KeySpec {
    /// What cannot be said otherwise.
    pub notes: Option<&'static str>,
    /// Bits of [`key`].
    pub flags: u32,
    /// Where they begin.
    pub begin: Begin,
    /// How they are found.
    pub find: Find,
}

/// A row of the table.
pub struct Command {
    /// Its name, in lower case; of a subcommand, without its command's.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// The version of the incumbent that it came with.
    pub since: &'static str,
    /// Its group.
    pub group: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// How many arguments with the name; at least so many if negative.
    pub arity: i32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Bits of [`category`].
    pub categories: u32,
    /// First key, last key, step.
    pub keys: (i32, i32, i32),
    /// Hints for clients of clusters.
    pub tips: &'static [&'static str],
    /// Where its keys are.
    pub specs: &'static [KeySpec],
    /// Its subcommands.
    pub subs: &'static [Command],
    /// Its function.
    pub run: Run,
}

impl Command {
    /// Whether a flag is set.
    #[inline]
    pub fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether this many arguments are right.
    #[inline]
    pub fn takes(&self, count: usize) -> bool {
        let count = count as i32;
        if self.arity < 0 { count >= -self.arity } else { count == self.arity }
    }

    /// Names of the bits that are set.
    pub fn names_of(bits: u32, names: &'static [&'static str]) -> Vec<&'static str> {
        let set = |(number, _): &(usize, &&str)| bits >> number & 1 == 1;
        names.iter().enumerate().filter(set).map(|(_, name)| *name).collect()
    }
}

/// The function of a command that has subcommands and is called without one.
fn container(_: &mut Ctx<'_>, _: Args<'_>) -> Done {
    Err(Error::fixed("ERR unknown subcommand"))
}

/// A command with its full name (`config|get`).
pub struct Row {
    /// The command.
    pub command: &'static Command,
    /// Its full name.
    pub name: String,
    /// The number of the command it belongs to.
    pub parent: Option<usize>,
}

struct Index {
    rows: Vec<Row>,
    slots: Vec<u16>,
}

/// Slots of the look-up table; a power of two well above the number of commands.
const SLOTS: usize = 4096;
const EMPTY: u16 = u16::MAX;

static INDEX: OnceLock<Index> = OnceLock::new();

fn groups() -> [&'static [Command]; 19] {
    [
        acl::COMMANDS,
        bitmap::COMMANDS,
        cluster::COMMANDS,
        connection::COMMANDS,
        generic::COMMANDS,
        geo::COMMANDS,
        hash::COMMANDS,
        hyperloglog::COMMANDS,
        list::COMMANDS,
        module::COMMANDS,
        pubsub::COMMANDS,
        replication::COMMANDS,
        scripting::COMMANDS,
        server::COMMANDS,
        set::COMMANDS,
        sorted_set::COMMANDS,
        stream::COMMANDS,
        string::COMMANDS,
        transactions::COMMANDS,
    ]
}

fn index() -> &'static Index {
    INDEX.get_or_init(|| {
        let mut rows = Vec::new();
        for command in groups().into_iter().flatten() {
            let parent = rows.len();
            rows.push(Row { command, name: command.name.to_owned(), parent: None });
            for sub in command.subs {
                let name = format!("{}|{}", command.name, sub.name);
                rows.push(Row { command: sub, name, parent: Some(parent) });
            }
        }
        let mut slots = vec![EMPTY; SLOTS];
        for (number, row) in rows.iter().enumerate() {
            let mut slot = hash(row.name.as_bytes()) % SLOTS;
            while slots[slot] != EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = number as u16;
        }
        Index { rows, slots }
    })
}

/// A hash that does not see the difference between upper and lower case.
#[inline]
fn hash(name: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in name {
        hash = (hash ^ u64::from(byte | 0x20)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash >> 20) as usize
}

#[inline]
fn find(name: &[u8]) -> Option<usize> {
    let index = index();
    let mut slot = hash(name) % SLOTS;
    while index.slots[slot] != EMPTY {
        let number = usize::from(index.slots[slot]);
        if index.rows[number].name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(number);
        }
        slot = (slot + 1) % SLOTS;
    }
    None
}

/// How many rows, subcommands included.
pub fn count() -> usize {
    index().rows.len()
}

/// All rows, each command followed by its subcommands.
pub fn rows() -> &'static [Row] {
    &index().rows
}

/// The full name of the row with this number.
pub fn full_name(number: usize) -> &'static str {
    index().rows.get(number).map_or("", |row| &row.name)
}

/// What a look-up has found.
pub enum Found {
    /// The number of a row.
    Row(usize),
    /// The command is there, but has no such subcommand.
    NoSub,
    /// There is no such command.
    Nothing,
}

/// The row of a command by its first words.
#[inline]
pub fn lookup(name: &[u8], sub: Option<&[u8]>) -> Found {
    let Some(number) = find(name) else { return Found::Nothing };
    let row = &index().rows[number];
    if row.parent.is_some() {
        return Found::Nothing;
    }
    match sub {
        Some(sub) if !row.command.subs.is_empty() => {
            let mut subs = number + 1..=number + row.command.subs.len();
            let is =
                |at: &usize| index().rows[*at].command.name.as_bytes().eq_ignore_ascii_case(sub);
            subs.find(is).map_or(Found::NoSub, Found::Row)
        }
        _ => Found::Row(number),
    }
}

/// The number of a command's row.
pub fn number_of(command: &Command) -> Option<usize> {
    let mut found = find(command.name.as_bytes());
    if found.is_none_or(|number| !std::ptr::eq(index().rows[number].command, command)) {
        found = index().rows.iter().position(|row| std::ptr::eq(row.command, command));
    }
    found
}

/// The row of a command by its full name, `get` or `config|get`.
pub fn by_full_name(name: &[u8]) -> Option<usize> {
    find(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_in_any_case() {
        for (number, row) in rows().iter().enumerate() {
            assert_eq!(by_full_name(row.name.to_uppercase().as_bytes()), Some(number));
        }
        assert!(matches!(lookup(b"CONFIG", Some(b"nope")), Found::NoSub));
        assert!(matches!(lookup(b"nope", None), Found::Nothing));
    }
}
