//! The command line of `box sniff`.

use clap::{CommandFactory, Parser};

/// Capture and print packets, as tcpdump does.
#[derive(Debug, Parser)]
#[command(name = "sniff")]
pub struct Cli {}

/// The clap tree.
pub fn command() -> clap::Command {
    Cli::command()
}
