//! The command line of `box sql`.

use clap::{CommandFactory, Parser};

/// Query and change SQLite database files.
#[derive(Debug, Parser)]
#[command(name = "sql")]
pub struct Cli {}

/// The clap tree.
pub fn command() -> clap::Command {
    Cli::command()
}
