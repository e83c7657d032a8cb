//! The command lines of `box cache-server`, `box cache-cli` and `box cache-benchmark`.

/// The clap tree of `box cache-server`.
pub fn server_command() -> clap::Command {
    clap::Command::new("cache-server").about("Serve an in-memory data store over RESP")
}

/// The clap tree of `box cache-cli`.
pub fn client_command() -> clap::Command {
    clap::Command::new("cache-cli").about("Talk to a cache server")
}

/// The clap tree of `box cache-benchmark`.
pub fn benchmark_command() -> clap::Command {
    clap::Command::new("cache-benchmark").about("Measure a cache server")
}
