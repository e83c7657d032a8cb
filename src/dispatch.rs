//! From `argv` to a row of the applet table, and the words of `box` itself.
//!
//! The name is that of `argv[0]` where a link calls us (`sqlite3`, `box-sql`), else the first word
//! (`box sql`). Nothing is started, read or parsed on the way: `box version` is one write.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use box_kit::{Applet, Exit, Failure, Invocation, Name, Outcome};

use crate::applets::APPLETS;

/// Runs what `argv` asks for, prints a failure, and returns the exit code.
pub fn main(argv: Vec<OsString>) -> Exit {
    let mut argv = argv.into_iter();
    let called = argv.next().unwrap_or_default();
    let args: Vec<OsString> = argv.collect();
    let base = Path::new(&called).file_name().unwrap_or_default();
    if let Some((applet, name)) = by_link(base) {
        return run(applet, Invocation { name, args });
    }
    let Some((word, rest)) = args.split_first() else {
        return report("box", Err(Failure::misuse("a command is missing")));
    };
    match by_word(word) {
        Some((applet, name)) => run(applet, Invocation { name, args: rest.to_vec() }),
        None => report(
            "box",
            Err(Failure::new("no such applet").about(word.to_string_lossy()).exit(Exit::NOT_FOUND)),
        ),
    }
}

/// The row that a link of this name calls.
fn by_link(base: &OsStr) -> Option<(&'static Applet, Name)> {
    let base = base.to_str()?;
    if let Some(word) = base.strip_prefix("box-") {
        return own(word);
    }
    own(base).or_else(|| {
        APPLETS.iter().find_map(|applet| {
            let name = applet.imitates.iter().find(|name| **name == base)?;
            Some((applet, Name::Imitated(name)))
        })
    })
}

/// The row that a word behind `box` calls.
fn by_word(word: &OsStr) -> Option<(&'static Applet, Name)> {
    by_link(word)
}

fn own(word: &str) -> Option<(&'static Applet, Name)> {
    APPLETS.iter().find_map(|applet| {
        let mut names = std::iter::once(&applet.name).chain(applet.aliases);
        names.find(|name| **name == word).map(|name| (applet, Name::Own(name)))
    })
}

fn run(applet: &'static Applet, invocation: Invocation) -> Exit {
    box_sys::heap::choose(applet.heap);
    let prefix = match invocation.name {
        Name::Own(_) => format!("box: {}", applet.name),
        Name::Imitated(name) => name.to_owned(),
    };
    let outcome = box_sys::signal::on_pipe_closed(applet.sigpipe)
        .map_err(Failure::from)
        .and_then(|()| (applet.run)(invocation));
    report(&prefix, outcome)
}

fn report(prefix: &str, outcome: Outcome) -> Exit {
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            eprint!("{}", failure.render(prefix));
            failure.code()
        }
    }
}
