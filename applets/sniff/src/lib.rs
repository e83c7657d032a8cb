//! Capture and print packets, as tcpdump does.

pub mod cli;
pub mod filter;

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
