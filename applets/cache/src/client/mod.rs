//! `box cache-cli`, which is also `redis-cli` and `valkey-cli`.
//!
//! ```text
//! cli, options   the command line -> Options
//! connection     one socket: requests out, replies in (box_wire::resp_reply)
//! session        what a command changes here: database, MULTI, modes, redirections
//! render         replies -> text, in five forms
//! oneshot, eval  one command of the command line
//! shell          a session: line editing, history, hints (docs), help, preferences
//! stat latency scan sample pipe replica lru   the modes that are no commands
//! ```
//!
//! Called by an imitated name its output, messages and exit codes are redis-cli 7.0's to the
//! letter; by its own name misuse and a server that is not there are told in the house's form.

pub mod cli;
pub mod connection;
mod docs;
mod eval;
mod latency;
mod lru;
mod oneshot;
pub mod options;
mod pipe;
pub mod render;
mod replica;
mod sample;
mod scan;
mod session;
mod shell;
mod stat;

use std::io::{self, Write};

use box_kit::cli::Parsed;
use box_kit::{Exit, Failure, Invocation, Name, Outcome};

use connection::Lost;
use options::{Mode, Options};
use session::Session;

pub use connection::{Address, Connection, Target};
pub use options::{COMPATIBLE, Uri, leading_integer};

/// Whose client is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// box's own.
    Own,
    /// redis-cli
    Redis,
    /// valkey-cli
    Valkey,
}

impl Product {
    /// By the name that was called.
    pub fn of(name: Name) -> Product {
        match name {
            Name::Own(_) => Product::Own,
            Name::Imitated(name) if name.starts_with("valkey") => Product::Valkey,
            Name::Imitated(_) => Product::Redis,
        }
    }

    /// What the server is called in messages.
    pub fn server(self) -> &'static str {
        match self {
            Product::Own | Product::Redis => "Redis",
            Product::Valkey => "Valkey",
        }
    }

    /// What the client is called in messages.
    pub fn client(self) -> &'static str {
        match self {
            Product::Own => "cache-cli",
            Product::Redis => "redis-cli",
            Product::Valkey => "valkey-cli",
        }
    }

    /// The line of `--version`.
    pub fn version(self) -> String {
        match self {
            Product::Own => {
                format!(
                    "box cache-cli {} (redis-cli {})",
                    env!("CARGO_PKG_VERSION"),
                    options::COMPATIBLE
                )
            }
            _ => format!("{} {}", self.client(), options::COMPATIBLE),
        }
    }
}

/// Why the client ends before its work is done.
#[derive(Debug)]
pub enum Stop {
    /// With this code; everything has been said.
    Exit(Exit),
    /// With these words and code 1.
    Said(String),
    /// With a failure in the house's form.
    Failed(Failure),
}

impl Stop {
    /// With these words and code 1.
    pub fn said(words: impl Into<String>) -> Stop {
        Stop::Said(words.into())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Stop {
        Stop::Said(format!("Error: {lost}"))
    }
}

/// Runs the client.
///
/// # Errors
/// What went wrong, where it was called by its own name.
pub fn run(invocation: &Invocation) -> Outcome {
    let ended = match options::parse(invocation) {
        Ok(Parsed::Shown(exit)) => return Ok(exit),
        Ok(Parsed::Run(options)) => start(&options),
        Err(stop) => Err(stop),
    };
    match ended {
        Ok(exit) | Err(Stop::Exit(exit)) => Ok(exit),
        Err(Stop::Failed(failure)) => Err(failure),
        Err(Stop::Said(words)) if matches!(invocation.name, Name::Own(_)) => {
            Err(Failure::new(words))
        }
        Err(Stop::Said(words)) => {
            // What was printed so far comes first.
            let _ = io::stdout().flush();
            eprintln!("{words}");
            Ok(Exit::FAILED)
        }
    }
}

fn start(options: &Options) -> Result<Exit, Stop> {
    if let Mode::IntrinsicLatency(length) = options.mode {
        return latency::intrinsic(length);
    }
    let mut session = Session::new(options);
    if options.mode == Mode::Commands && options.command.is_empty() {
        return shell::run(session);
    }
    session.connect()?;
    match &options.mode {
        Mode::Commands => oneshot::run(session, options),
        Mode::Eval(file) => eval::run(session, options, file),
        Mode::Stat => stat::run(session),
        Mode::Latency { history } => latency::sample(session.into_connection()?, options, *history),
        Mode::Spectrum => latency::spectrum(session.into_connection()?, options),
        Mode::LruTest(keys) => lru::run(session.into_connection()?, *keys),
        Mode::Scan => scan::run(session.into_connection()?, options),
        Mode::BigKeys => sample::run(session.into_connection()?, options, sample::By::Elements),
        Mode::MemKeys(samples) => {
            sample::run(session.into_connection()?, options, sample::By::Memory(*samples))
        }
        Mode::HotKeys => sample::hot(session.into_connection()?, options),
        Mode::Pipe => pipe::run(session.into_connection()?, options.pipe_timeout),
        Mode::Snapshot { file, functions } => {
            replica::snapshot(session.into_connection()?, file, *functions)
        }
        Mode::Replica => replica::follow(session.into_connection()?),
        Mode::IntrinsicLatency(_) => Ok(Exit::DONE),
    }
}

/// Writes to standard output and lets it be seen.
fn show(bytes: &[u8]) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Stop::Failed(Failure::os("standard output")(error)))
}

/// The reply as text where it is a string of some kind.
fn text_of(reply: &box_wire::resp::Reply) -> Option<&[u8]> {
    use box_wire::resp::Reply;
    match reply {
        Reply::Status(bytes) | Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => Some(bytes),
        _ => None,
    }
}

/// Sends a request of a mode that cannot go on without its reply; an error reply ends it.
fn ask<A: AsRef<[u8]>>(
    connection: &mut Connection,
    args: &[A],
) -> Result<box_wire::resp::Reply, Stop> {
    match connection.call(args)? {
        box_wire::resp::Reply::Error(text) => {
            Err(Stop::said(format!("Error: {}", String::from_utf8_lossy(&text))))
        }
        reply => Ok(reply),
    }
}
