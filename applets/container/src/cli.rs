//! The command line of `box container`.

use clap::{CommandFactory, Parser};

/// Run containers from OCI images without a daemon.
#[derive(Debug, Parser)]
#[command(name = "container")]
pub struct Cli {}

/// The clap tree.
pub fn command() -> clap::Command {
    Cli::command()
}
