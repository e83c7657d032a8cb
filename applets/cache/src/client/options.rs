//! Options.
/// The clap tree.
pub fn command() -> clap::Command { clap::Command::new("cache-cli").about("Talk to a cache server") }
