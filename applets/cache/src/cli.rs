//! The command line of `box cache-server`.

/// The clap tree of `box cache-server`.
pub fn server_command() -> clap::Command {
    clap::Command::new("cache-server").about("Serve an in-memory data store over RESP")
}
