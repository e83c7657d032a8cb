//! The command line of `box proxy`.

use clap::{CommandFactory, Parser};

/// Give a local port an address: tunnels and a reverse proxy.
#[derive(Debug, Parser)]
#[command(name = "proxy")]
pub struct Cli {}

/// The clap tree.
pub fn command() -> clap::Command {
    Cli::command()
}
