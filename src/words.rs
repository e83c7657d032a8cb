//! The words of `box` itself: `--list`, `--install`, `help`, `version`, `completion`, `man`,
//! `doctor`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use box_kit::cli::{self, Parsed};
use box_kit::{Exit, Failure, Invocation, Name, Outcome};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::json;

use crate::applets::APPLETS;
use crate::{doctor, install, manual};

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Five systems in one static binary.
///
/// Every applet is also reached by a link of its name: see --install.
#[derive(Debug, Parser)]
#[command(
    name = "box",
    version,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    override_usage = "box APPLET [ARGUMENT]...\n       box --list [--json]\n       \
                      box --install DIR [--compat] [--force]\n       \
                      box help|man|completion|doctor|version ...",
    after_help = "Examples:\n  box sql app.db 'select count(*) from users'\n  \
                  box sniff -ni any port 53\n  box cache-server --port 6379\n  \
                  box proxy http 3000\n  box container run --rm @box version"
)]
struct Words {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    word: Option<Word>,
}

#[derive(Args, Debug)]
struct Flags {
    /// List the applets, one name a line
    #[arg(long)]
    list: bool,
    /// Link the applets' names in DIR; never overwrites a regular file
    #[arg(long, value_name = "DIR")]
    install: Option<PathBuf>,
    /// With --install: also the names of the incumbents (redis-server, sqlite3, tcpdump, ...)
    #[arg(long, requires = "install")]
    compat: bool,
    /// With --install: replace links that point elsewhere
    #[arg(long, requires = "install")]
    force: bool,
    /// With --list: print JSON
    #[arg(long, requires = "list")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Show the help of an applet or of one of its commands
    Help {
        /// The applet, and its command
        #[arg(value_name = "NAME")]
        path: Vec<String>,
    },
    /// Print the version
    Version {
        /// Print JSON: name, version, target, applets
        #[arg(long)]
        json: bool,
    },
    /// Say what of the machine each applet needs and has, and what mends it
    ///
    /// The exit code is 1 if an applet cannot do its main job here.
    Doctor {
        /// Only this applet
        applet: Option<String>,
        /// Print JSON: applet, need, standing (ok, worse, missing), detail, advice
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script: source <(box completion bash)
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Print a man page: box man sql | man -l -
    Man {
        /// The applet, and its command; without it, box(1)
        #[arg(value_name = "NAME")]
        path: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The clap tree of `box` with all applets in it.
pub fn command() -> clap::Command {
    let applets =
        APPLETS.iter().map(|applet| (applet.command)().name(applet.name).about(applet.about));
    Words::command().subcommands(applets)
}

/// Runs one of box's own words.
///
/// # Errors
/// The word is none of `box` (exit code 127), or what it was to do failed.
pub fn run(args: Vec<OsString>) -> Outcome {
    // The one that scripts call to see whether the binary works: no parser is built for it.
    if args.len() == 1 && args.first().is_some_and(|word| word == "version" || word == "--version")
    {
        return print(&format!("box {VERSION}\n"));
    }
    let Some(first) = args.first() else {
        return print(&command().bin_name("box").render_help().to_string());
    };
    let first = first.to_string_lossy().into_owned();
    if !first.starts_with('-') && Words::command().find_subcommand(&first).is_none() {
        return Err(Failure::new("no such applet").about(first).exit(Exit::NOT_FOUND));
    }
    // Help lists the applets too; they are never parsed here, the dispatcher has seen to that.
    let invocation = Invocation { name: Name::Own("box"), args };
    match cli::matches_as(command(), "box", &invocation.args)? {
        Parsed::Shown(exit) => Ok(exit),
        Parsed::Run(matches) => {
            let words = Words::from_arg_matches(&matches).map_err(Failure::misuse)?;
            obey(words)
        }
    }
}

fn obey(words: Words) -> Outcome {
    let flags = words.flags;
    match words.word {
        Some(Word::Help { path }) => print(&manual::help(&path)?),
        Some(Word::Version { json: false }) => print(&format!("box {VERSION}\n")),
        Some(Word::Version { json: true }) => print(&version_json()),
        Some(Word::Completion { shell }) => {
            let shell = match shell {
                Shell::Bash => clap_complete::Shell::Bash,
                Shell::Zsh => clap_complete::Shell::Zsh,
                Shell::Fish => clap_complete::Shell::Fish,
            };
            print(&manual::completion(shell))
        }
        Some(Word::Man { path }) => print(&manual::man(&path)?),
        Some(Word::Doctor { applet, json }) => {
            let (text, exit) = doctor::examine(applet.as_deref(), json)?;
            print(&text)?;
            Ok(exit)
        }
        None => match flags.install {
            Some(folder) => install::run(&folder, flags.compat, flags.force),
            None if flags.list => print(&if flags.json { list_json() } else { list() }),
            None => Err(Failure::misuse("a command is missing").advise("try: box --help")),
        },
    }
}

fn list() -> String {
    APPLETS.iter().map(|applet| format!("{}\n", applet.name)).collect()
}

fn list_json() -> String {
    let rows: Vec<_> = APPLETS
        .iter()
        .map(|applet| {
            json!({
                "name": applet.name,
                "about": applet.about,
                "aliases": applet.aliases,
                "imitates": applet.imitates,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(rows))
}

fn version_json() -> String {
    let applets: Vec<_> = APPLETS.iter().map(|applet| applet.name).collect();
    let value = json!({
        "name": "box",
        "version": VERSION,
        "target": env!("BOX_TARGET"),
        "applets": applets,
    });
    format!("{value:#}\n")
}

fn print(text: &str) -> Outcome {
    io::stdout().write_all(text.as_bytes()).map_err(Failure::os("standard output"))?;
    Ok(Exit::DONE)
}
