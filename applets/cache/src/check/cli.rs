//! The command line of `box cache-check`, and of the incumbents' two programs for it.

use std::ffi::OsString;
use std::path::PathBuf;

use box_kit::{Exit, Invocation, Name, cli::Parsed};
use clap::{Arg, ArgAction, Command, builder::PathBufValueParser};

use super::convert::Dialect;
use super::{Fix, Stop, Task};
use crate::client::leading_integer;

/// The clap tree of `box cache-check`.
pub fn command() -> Command {
    let file = |help: &'static str| {
        Arg::new("file")
            .required(true)
            .value_name("FILE")
            .value_parser(PathBufValueParser::new())
            .help(help)
    };
    Command::new("cache-check")
        .about("Check the files of a cache server, and repair append-only files")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("rdb")
                .about("Read a snapshot to its end and compare its checksum")
                .arg(file("The snapshot")),
        )
        .subcommand(
            Command::new("aof")
                .about("Read an append-only file, or all files of a manifest")
                .arg(
                    Arg::new("fix")
                        .long("fix")
                        .action(ArgAction::SetTrue)
                        .help("Cut off what cannot be read, after a question"),
                )
                .arg(
                    Arg::new("timestamp")
                        .long("truncate-to-timestamp")
                        .value_name("SECONDS")
                        .value_parser(clap::value_parser!(i64))
                        .conflicts_with("fix")
                        .help("Cut off what was written after this Unix time"),
                )
                .arg(file("The append-only file or the manifest")),
        )
        .subcommand(
            Command::new("convert")
                .about("Write a snapshot for another server")
                .arg(
                    Arg::new("dialect")
                        .long("dialect")
                        .value_name("DIALECT")
                        .required(true)
                        .value_parser(["redis7", "redis8", "valkey9"])
                        .help("Who is to load it"),
                )
                .arg(
                    Arg::new("lossy")
                        .long("lossy")
                        .action(ArgAction::SetTrue)
                        .help("Write it even if something cannot be kept"),
                )
                .arg(file("The snapshot"))
                .arg(
                    Arg::new("to")
                        .required(true)
                        .value_name("TO")
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("The snapshot that is written"),
                ),
        )
}

/// What is asked for; `None` where it has been answered.
///
/// # Errors
/// A misuse, in the form of the name that was called.
pub fn parse(invocation: &Invocation) -> Result<Option<Task>, Stop> {
    match invocation.name {
        Name::Imitated(name) if name.ends_with("rdb") => imitated_rdb(name, &invocation.args),
        Name::Imitated(name) => imitated_aof(name, &invocation.args).map(Some),
        Name::Own(_) => match box_kit::cli::matches(command(), invocation)? {
            Parsed::Shown(_) => Ok(None),
            Parsed::Run(matches) => {
                let Some((what, matches)) = matches.subcommand() else { return Ok(None) };
                let path = matches.get_one::<PathBuf>("file").cloned().unwrap_or_default();
                if what == "rdb" {
                    return Ok(Some(Task::Rdb(path)));
                }
                if what == "convert" {
                    return Ok(Some(conversion(matches, path)));
                }
                let fix = match matches.get_one::<i64>("timestamp") {
                    Some(timestamp) => Fix::Timestamp(*timestamp),
                    None if matches.get_flag("fix") => Fix::Tail,
                    None => Fix::Nothing,
                };
                Ok(Some(Task::Aof(path, fix)))
            }
        },
    }
}

fn conversion(matches: &clap::ArgMatches, from: PathBuf) -> Task {
    let to = matches.get_one::<PathBuf>("to").cloned().unwrap_or_default();
    let dialect = match matches.get_one::<String>("dialect").map(String::as_str) {
        Some("redis8") => Dialect::Redis8,
        Some("valkey9") => Dialect::Valkey9,
        _ => Dialect::Redis7,
    };
    Task::Convert(from, to, dialect, matches.get_flag("lossy"))
}

fn imitated_rdb(name: &str, args: &[OsString]) -> Result<Option<Task>, Stop> {
    let [file] = args else {
        eprintln!("Usage: {name} <rdb-file-name>");
        return Err(Stop::Exit(Exit::FAILED));
    };
    if file == "-v" || file == "--version" {
        println!("{name} {}", crate::client::COMPATIBLE);
        return Ok(None);
    }
    Ok(Some(Task::Rdb(file.into())))
}

fn imitated_aof(name: &str, args: &[OsString]) -> Result<Task, Stop> {
    match args {
        [file] => Ok(Task::Aof(file.into(), Fix::Nothing)),
        [flag, file] if flag == "--fix" => Ok(Task::Aof(file.into(), Fix::Tail)),
        [flag, timestamp, file] if flag == "--truncate-to-timestamp" => {
            let timestamp = leading_integer(&timestamp.to_string_lossy());
            Ok(Task::Aof(file.into(), Fix::Timestamp(timestamp)))
        }
        _ => {
            println!(
                "Usage: {name} [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>"
            );
            Err(Stop::Exit(Exit::FAILED))
        }
    }
}
