//! The command lines of `box cache-server`, `box cache-cli` and `box cache-benchmark`.
//!
//! The server's is the incumbent's: `[CONFIG-FILE|-] [--PARAMETER VALUE ...]`; parameters are those
//! of the configuration file, so that clap only knows where they stand.

use std::io::Read;
use std::path::Path;

use box_kit::{Exit, Invocation, Name, Outcome};
use clap::{Arg, ArgAction};

use crate::config::{Config, file};
use crate::server::start;

/// The clap tree of `box cache-server`.
pub fn server_command() -> clap::Command {
    clap::Command::new("cache-server")
        .about("Serve an in-memory data store to Redis and Valkey clients")
        .after_help(
            "Examples:\n  box cache-server --port 7000 --save \"\"\n  box cache-server \
             /etc/redis/redis.conf --maxmemory 1gb --maxmemory-policy allkeys-lru\n\nPARAMETERS are \
             those of redis.conf, each with two dashes in front.",
        )
        .disable_help_flag(true)
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Print help"))
        .arg(
            Arg::new("parameters")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_name("CONFIG-FILE | --PARAMETER VALUE")
                .help("A configuration file, - for standard input, and parameters that override it"),
        )
}

/// The clap tree of `box cache-cli`.
pub fn client_command() -> clap::Command {
    crate::client::options::command()
}

/// The clap tree of `box cache-benchmark`.
pub fn benchmark_command() -> clap::Command {
    crate::bench::options::command()
}

const USAGE: &str = "Usage: ./redis-server [/path/to/redis.conf] [options] [-]
       ./redis-server - (read config from stdin)
       ./redis-server -v or --version
       ./redis-server -h or --help
";

fn version() -> String {
    format!("Redis server v={} sha=00000000:0 malloc=mimalloc bits=64 build=0", crate::VERSION)
}

/// Runs the server as the command line asks.
///
/// # Errors
/// It could not be started.
pub fn run_server(invocation: &Invocation) -> Outcome {
    let args: Vec<String> =
        invocation.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match args.first().map(String::as_str) {
        Some("-v" | "--version") => {
            println!("{}", version());
            return Ok(Exit::DONE);
        }
        Some("-h" | "--help") if args.len() == 1 => {
            if matches!(invocation.name, Name::Imitated(_)) {
                eprint!("{USAGE}");
                return Ok(Exit::FAILED);
            }
            return match box_kit::cli::matches(server_command(), invocation)? {
                box_kit::cli::Parsed::Shown(exit) => Ok(exit),
                box_kit::cli::Parsed::Run(_) => Ok(Exit::DONE),
            };
        }
        _ => {}
    }
    let (path, overrides) = match args.split_first() {
        Some((first, rest)) if !first.starts_with("--") => (Some(first.clone()), rest.to_vec()),
        _ => (None, args),
    };
    let mut config = Config::default();
    let mut text = String::new();
    match path.as_deref() {
        None => {}
        Some("-") => drop(std::io::stdin().read_to_string(&mut text)?),
        Some(path) => match std::fs::read_to_string(path) {
            Ok(read) => {
                text = read;
                config.file = std::fs::canonicalize(path).ok();
            }
            Err(error) => {
                eprintln!(
                    "Fatal error, can't open config file '{}': {}",
                    absolute(path),
                    box_kit::exit::kernel_words(&error)
                );
                return Ok(Exit::FAILED);
            }
        },
    }
    let text = text + "\n" + &file::from_arguments(&overrides);
    if let Err(bad) = file::load(&mut config, &text, 0) {
        eprint!("{bad}");
        return Ok(Exit::FAILED);
    }
    start::run(config)
}

fn absolute(path: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    here.join(Path::new(path)).display().to_string()
}
