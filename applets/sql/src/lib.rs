//! Query and change SQLite database files.

pub mod btree;
pub mod cli;
pub mod collate;
pub mod pager;
pub mod record;
pub mod vfs;

use box_kit::{Failure, Invocation, Outcome, cli::Parsed};

/// Runs the applet.
///
/// # Errors
/// What the applet could not do.
pub fn run(invocation: Invocation, _tables: &'static [box_table::Opener]) -> Outcome {
    match box_kit::cli::parse::<cli::Cli>(cli::command(), &invocation)? {
        Parsed::Shown(exit) => Ok(exit),
        Parsed::Run(_) => Err(Failure::new("this applet is being built")),
    }
}
