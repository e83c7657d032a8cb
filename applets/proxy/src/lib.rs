//! Give a local port an address: tunnels and a reverse proxy.

pub mod cli;
pub mod http1;
pub mod io;
pub mod mux;

use box_kit::{Failure, Invocation, Outcome, cli::Parsed};

/// Runs the applet.
///
/// # Errors
/// What the applet could not do.
pub fn run(invocation: Invocation) -> Outcome {
    match box_kit::cli::parse::<cli::Cli>(cli::command(), &invocation)? {
        Parsed::Shown(exit) => Ok(exit),
        Parsed::Run(_) => Err(Failure::new("this applet is being built")),
    }
}
