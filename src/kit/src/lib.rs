//! What every applet shows a person alike: rows of the applet table, errors and exit codes, the
//! command line, output and colour, folders for configuration and state, dates and time zones.
//!
//! Floor: above `box-sys`, below the applets. Knows no applet.

pub mod applet;
pub mod calendar;
pub mod cli;
pub mod doctor;
pub mod exit;
pub mod folders;
pub mod output;
pub mod zone;

pub use applet::{Applet, Invocation, Name};
pub use exit::{Exit, Failure, Outcome};
