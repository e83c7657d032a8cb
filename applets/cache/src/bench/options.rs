//! Options.
/// The clap tree.
pub fn command() -> clap::Command { clap::Command::new("cache-benchmark").about("Measure a cache server") }
