//! From `argv` to a row of the applet table.
//!
//! The name is that of `argv[0]` where a link calls us (`sqlite3`, `box-sql`), else the first word
//! (`box sql`). Nothing is started, read or parsed on the way: `box version` is one write.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;

use box_kit::{Applet, Exit, Failure, Invocation, Name, Outcome};
use box_sys::heap::{self, Heap};
use box_sys::signal::{self, SigPipe};

use crate::applets::APPLETS;
use crate::words;

/// Runs what `argv` asks for, prints a failure, and returns the exit code.
pub fn main(argv: Vec<OsString>) -> Exit {
    let mut argv = argv.into_iter();
    let called = argv.next().unwrap_or_default();
    let mut args: Vec<OsString> = argv.collect();
    let base = Path::new(&called).file_name().unwrap_or_default();
    if let Some((applet, name)) = by_link(base) {
        return run_applet(applet, Invocation { name, args });
    }
    match args.first().and_then(|word| by_word(word)) {
        Some((applet, name)) => {
            args.remove(0);
            run_applet(applet, Invocation { name, args })
        }
        None => run("box", Heap::System, SigPipe::Die, || words::run(args)),
    }
}

/// The row of an applet's own name or alias.
pub fn own(word: &str) -> Option<(&'static Applet, Name)> {
    APPLETS.iter().find_map(|applet| {
        let mut names = std::iter::once(&applet.name).chain(applet.aliases);
        names.find(|name| **name == word).map(|name| (applet, Name::Own(name)))
    })
}

/// The row that a link of this name calls: `box-sql`, `sql`, `sqlite3`.
fn by_link(base: &OsStr) -> Option<(&'static Applet, Name)> {
    match base.to_str()?.strip_prefix("box-") {
        Some(word) => own(word),
        None => by_word(base),
    }
}

/// The row that a word behind `box` calls: `sql`, `sqlite3`.
fn by_word(word: &OsStr) -> Option<(&'static Applet, Name)> {
    let word = word.to_str()?;
    own(word).or_else(|| {
        APPLETS.iter().find_map(|applet| {
            let name = applet.imitates.iter().find(|name| **name == word)?;
            Some((applet, Name::Imitated(name)))
        })
    })
}

fn run_applet(applet: &'static Applet, invocation: Invocation) -> Exit {
    let prefix = match invocation.name {
        Name::Own(_) => format!("box: {}", applet.name),
        Name::Imitated(name) => name.to_owned(),
    };
    run(&prefix, applet.heap, applet.sigpipe, || (applet.run)(invocation))
}

/// Sets up the process, runs `body`, and prints its failure behind `prefix`.
fn run(prefix: &str, heap: Heap, sigpipe: SigPipe, body: impl FnOnce() -> Outcome) -> Exit {
    heap::choose(heap);
    let outcome =
        signal::on_pipe_closed(sigpipe).map_err(Failure::from).and_then(|()| body()).and_then(
            |exit| io::stdout().flush().map_err(Failure::os("standard output")).map(|()| exit),
        );
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            // Nobody can be told when standard error itself is closed; the exit code still says it.
            let _ = io::stderr().write_all(failure.render(prefix).as_bytes());
            failure.code()
        }
    }
}
