//! `cache-cli`: one command, a session, or one of the modes.

mod connection;
mod format;
mod modes;
pub mod options;
mod session;

use std::io::{self, IsTerminal, Read, Write};
use std::time::Duration;

use box_kit::cli::Parsed;
use box_kit::exit::kernel_words;
use box_kit::{Exit, Failure, Invocation, Outcome};
use box_wire::resp::Reply;

use connection::Connection;
use options::{Format, Mode, Options};

/// Runs the client.
///
/// # Errors
/// The server cannot be reached.
pub fn run(invocation: &Invocation) -> Outcome {
    if invocation.args.iter().any(|arg| arg == "-v" || arg == "--version")
        && invocation.args.len() == 1
    {
        println!("redis-cli {}", crate::VERSION);
        return Ok(Exit::DONE);
    }
    let matches = match box_kit::cli::matches(options::command(), invocation)? {
        Parsed::Shown(exit) => return Ok(exit),
        Parsed::Run(matches) => matches,
    };
    let mut options = Options::of(&matches, io::stdout().is_terminal()).map_err(Failure::misuse)?;
    if options.last_from_stdin {
        let mut last = Vec::new();
        io::stdin().read_to_end(&mut last)?;
        options.command.push(last);
    }
    let work = match options.mode {
        Mode::Command if options.command.is_empty() => return session::run(&options),
        Mode::Command => repeat,
        Mode::Scan => modes::scan,
        Mode::Pipe => modes::pipe,
        Mode::BigKeys => modes::big_keys,
        Mode::Stat => modes::stat,
        Mode::Latency => modes::latency,
    };
    let mut connection = match connect(&options) {
        Ok(connection) => connection,
        Err(error) => {
            eprintln!(
                "Could not connect to Redis at {}: {}",
                place(&options),
                kernel_words(&error)
            );
            return Ok(Exit::FAILED);
        }
    };
    match work(&mut connection, &options) {
        Ok(exit) => Ok(exit),
        Err(error) => {
            eprintln!("Error: {}", kernel_words(&error));
            Ok(Exit::FAILED)
        }
    }
}

/// Where the server is, as it is shown.
fn place(options: &Options) -> String {
    options.socket.clone().unwrap_or_else(|| format!("{}:{}", options.host, options.port))
}

/// Connects, authenticates, selects.
///
/// # Errors
/// The server cannot be reached.
fn connect(options: &Options) -> io::Result<Connection> {
    let mut connection = match &options.socket {
        Some(path) => Connection::unix(path)?,
        None => Connection::tcp(&options.host, options.port)?,
    };
    if let Some(password) = &options.password {
        let reply = match &options.user {
            Some(user) => connection.call(&["AUTH", user, password])?,
            None => connection.call(&["AUTH", password])?,
        };
        if let Reply::Error(text) = reply {
            eprintln!("AUTH failed: {}", String::from_utf8_lossy(&text));
        }
    }
    if options.protocol == Some(3) {
        connection.call(&["HELLO", "3"])?;
    }
    if options.db != 0 {
        let reply = connection.call(&["SELECT", &options.db.to_string()])?;
        if let Reply::Error(text) = reply {
            eprintln!("SELECT {} failed: {}", options.db, String::from_utf8_lossy(&text));
        }
    }
    Ok(connection)
}

fn repeat(connection: &mut Connection, options: &Options) -> io::Result<Exit> {
    let mut left = options.repeat;
    let mut exit = Exit::DONE;
    while left != 0 {
        let failed = one(connection, options, &options.command)?;
        if failed && options.fail {
            exit = Exit::FAILED;
        }
        left -= 1;
        if options.interval > 0.0 && left != 0 {
            std::thread::sleep(Duration::from_secs_f64(options.interval));
        }
    }
    Ok(exit)
}

/// Whether a command's replies come for ever.
fn never_ends(command: &[Vec<u8>]) -> bool {
    let is =
        |name: &str| command.first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    is("monitor") || is("subscribe") || is("psubscribe") || is("ssubscribe")
}

/// Sends a command and prints its reply (all that follow, where it listens); whether it was an
/// error.
fn one(connection: &mut Connection, options: &Options, command: &[Vec<u8>]) -> io::Result<bool> {
    connection.send(command)?;
    loop {
        let reply = connection.reply()?;
        let ends = !never_ends(command) || matches!(reply, Reply::Error(_));
        print(&reply, options, command)?;
        if ends {
            return Ok(matches!(reply, Reply::Error(_)));
        }
    }
}

/// Commands whose reply is a text for a person, that is never quoted.
fn is_text(command: &[Vec<u8>]) -> bool {
    let word = |at: usize| {
        command.get(at).map(|word| String::from_utf8_lossy(word).to_lowercase()).unwrap_or_default()
    };
    matches!(
        (word(0).as_str(), word(1).as_str()),
        ("info" | "lolwut", _)
            | ("client", "list" | "info")
            | ("memory", "doctor" | "malloc-stats")
            | ("latency", "doctor" | "graph")
            | ("cluster", "nodes" | "info")
            | ("debug", "htstats" | "htstats-key")
    )
}

fn print(reply: &Reply, options: &Options, command: &[Vec<u8>]) -> io::Result<()> {
    let format = match reply {
        Reply::Bulk(_) if is_text(command) && options.format == Format::Standard => Format::Raw,
        _ => options.format,
    };
    let mut out = io::stdout().lock();
    out.write_all(&format::shown(reply, format, &options.delimiter))?;
    out.flush()
}
