//! cache-benchmark
pub mod options;
use box_kit::{Exit, Invocation, Outcome};
/// Runs the benchmark.
pub fn run(_: &Invocation) -> Outcome {
    Ok(Exit::DONE)
}
