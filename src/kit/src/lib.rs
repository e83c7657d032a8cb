//! What every applet shows a person alike: rows of the applet table, errors and exit codes, the
//! command line, output and colour, folders for configuration and state.
//!
//! Floor: above `box-sys`, below the applets. Knows no applet.

pub mod applet;
pub mod cli;
pub mod exit;
pub mod folders;
pub mod output;

pub use applet::{Applet, Invocation, Name};
pub use exit::{Exit, Failure, Outcome};
