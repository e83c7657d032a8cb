//! Give a local port an address: tunnels and a reverse proxy.
//!
//! ```text
//! visitor --TLS--> edge --lane (box/1 over TLS)--> agent --> local port
//! visitor ------------------> reverse proxy ---------------> upstream
//! ```
//! Reading order: [`commands`] (what is started), [`http1`] (the engine: one framing decision per
//! message), [`http2`] (its streams as connections for the engine), [`mux`] (lanes and streams, the protocol between agent and edge), [`edge`] (listeners,
//! names, sessions), [`agent`] (dialling, reconnecting, serving), [`reverse`] (routes, groups of servers, workers), [`io`] (streams and buffers),
//! [`tls`] (authorities and trust), [`ui`] (what is shown).
//!
//! One thread a core, each a runtime of its own: a connection, a lane and an upstream pool belong to
//! one thread and are shared by its tasks without locks. Threads share the registry of names
//! (`edge::registry`) and hand sockets, not bytes, to each other.

pub mod agent;
pub mod cli;
mod clock;
mod commands;
pub mod config;
pub mod doctor;
pub mod edge;
pub mod files;
pub mod http1;
pub mod http2;
pub mod inspect;
pub mod io;
mod listen;
pub mod mux;
mod names;
pub mod policy;
pub mod protocol;
pub mod reverse;
mod target;
pub mod tls;
pub mod ui;

use box_kit::{Invocation, Outcome, cli::Parsed};

/// Runs the applet.
///
/// # Errors
/// What the applet could not do.
pub fn run(invocation: Invocation) -> Outcome {
    match box_kit::cli::parse::<cli::Cli>(cli::command(), &invocation)? {
        Parsed::Shown(exit) => Ok(exit),
        Parsed::Run(cli) => commands::dispatch(cli.command),
    }
}
