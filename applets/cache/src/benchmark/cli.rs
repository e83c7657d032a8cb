//! The command line of `box cache-benchmark`.

/// The clap tree of `box cache-benchmark`.
pub fn command() -> clap::Command {
    clap::Command::new("cache-benchmark").about("Measure a cache server")
}
