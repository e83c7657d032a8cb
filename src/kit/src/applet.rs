//! One row of the applet table: what the dispatcher must know to start a command.

use std::ffi::OsString;

use box_sys::heap::Heap;
use box_sys::signal::SigPipe;

use crate::Outcome;
use crate::doctor::Finding;

/// A command of `box`. The rows stand in `src/applets.rs`.
pub struct Applet {
    /// The subcommand: `box NAME`, and the link `box-NAME`.
    pub name: &'static str,
    /// One line: what it does for the person who starts it.
    pub about: &'static str,
    /// Further names, all linked by `box --install`.
    pub aliases: &'static [&'static str],
    /// Names of incumbents whose command line, messages and exit codes are imitated to the
    /// letter; linked by `box --install --compat` only.
    pub imitates: &'static [&'static str],
    /// The clap tree: the one source of help, man page, completions and `docs/cli.md`.
    pub command: fn() -> clap::Command,
    /// Runs the applet to its end.
    pub run: fn(Invocation) -> Outcome,
    /// What it needs of the machine, for `box doctor`.
    pub needs: fn() -> Vec<Finding>,
    /// What a write to a closed pipe does: filters die of it, servers ignore it.
    pub sigpipe: SigPipe,
    /// The allocator: short commands want a quick start, servers a quick `malloc`.
    pub heap: Heap,
}

/// How an applet was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `box NAME`, `box-NAME` or an alias: box's own command line.
    Own(&'static str),
    /// A link named as an incumbent: its command line to the letter.
    Imitated(&'static str),
}

impl Name {
    /// The word itself: `sql`, `sqlite3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Own(name) | Name::Imitated(name) => name,
        }
    }

    /// What usage lines call the program: `box sql`, `sqlite3`.
    pub fn program(self) -> String {
        match self {
            Name::Own(name) => format!("box {name}"),
            Name::Imitated(name) => name.to_owned(),
        }
    }
}

/// A call of an applet: its name and the arguments behind it, as the kernel gave them.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The name it was called by.
    pub name: Name,
    /// The arguments behind the name. Not necessarily UTF-8.
    pub args: Vec<OsString>,
}
