//! A drop-in for Redis and Valkey: server, client and benchmark.

pub mod benchmark;
pub mod cli;
pub mod client;

use box_kit::{Failure, Invocation, Outcome, cli::Parsed};

/// Runs `box cache-server`.
///
/// # Errors
/// What the server could not do.
pub fn server(invocation: Invocation) -> Outcome {
    run(cli::server_command(), invocation)
}

/// Runs `box cache-cli`.
///
/// # Errors
/// What the client could not do.
pub fn client(invocation: Invocation) -> Outcome {
    client::run(&invocation)
}

/// Runs `box cache-benchmark`.
///
/// # Errors
/// What the benchmark could not do.
pub fn benchmark(invocation: Invocation) -> Outcome {
    benchmark::run(&invocation)
}

fn run(command: clap::Command, invocation: Invocation) -> Outcome {
    match box_kit::cli::matches(command, &invocation)? {
        Parsed::Shown(exit) => Ok(exit),
        Parsed::Run(_) => Err(Failure::new("this applet is being built")),
    }
}
