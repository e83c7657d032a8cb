//! cache-cli
pub mod options;
use box_kit::{Exit, Invocation, Outcome};
/// Runs the client.
pub fn run(_: &Invocation) -> Outcome {
    Ok(Exit::DONE)
}
