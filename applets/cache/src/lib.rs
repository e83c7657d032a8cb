//! A drop-in for Redis and Valkey: server, client and benchmark.
//!
//! Compatible with Redis 7.0: the protocol (RESP2, RESP3, inline), commands and replies to the byte,
//! `redis.conf`, RDB files (version 10 written, 1 to 12 read) and multi-part append-only files. What
//! is not there yet stands in `docs/cache.md`.
//!
//! # The tree, in reading order
//!
//! ```text
//! cmd/table    the one table of commands          cmd/dispatch  a request on its way
//! cmd/*        the commands, a data type each     cmd/db        what they do to keys
//! repl/        replication, both ways
//! script/      Lua: sandbox, libraries, functions
//! store/       shards, hash table, entries        types/        lists, sets, hashes, sorted sets
//! acl/         users and their rules
//! server/      workers, mailboxes, pub/sub, start persist/      RDB, append-only file, snapshots
//! config/      parameters and the file            client/ benchmark/ cache-cli, cache-benchmark
//! ```
//!
//! # Data flow
//!
//! A worker (one thread, one epoll) reads a connection, parses requests in its buffer, locks the
//! shards of a request's keys and executes it there and then: nothing is handed to another thread,
//! nothing is copied on the way in. Replies gather in the connection's buffer and leave at the end
//! of the turn, behind the log.
//!
//! # Invariants
//!
//! - Shards are locked in ascending order, all that a command needs at once. A transaction locks the
//!   union of its commands' keys; what needs the whole keyspace locks all. So every command and
//!   transaction is atomic towards all others, and nobody waits in a circle.
//! - The log is appended while the shards are held: its order is one in which the changes happened.
//! - A shard that a snapshot waits for is given to it before it is changed.
//! - A waiter is claimed before it is served or given up.

#![cfg_attr(
    test,
    allow(clippy::duplicate_mod, reason = "a model checker runs the lock with its own primitives")
)]

pub mod benchmark;
pub mod check;
pub mod cli;
pub mod client;
pub mod doctor;

mod acl;
mod cmd;
mod config;
mod glob;
mod persist;
mod repl;
mod script;
mod server;
mod store;
mod text;
mod types;

use box_kit::{Invocation, Outcome};

/// The version of the incumbent whose behaviour is imitated.
const VERSION: &str = "7.0.15";

/// Runs `box cache-server`.
///
/// # Errors
/// What the server could not do.
pub fn server(invocation: Invocation) -> Outcome {
    cli::run_server(&invocation)
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

/// Runs `box cache-check`.
///
/// # Errors
/// A file that cannot be opened.
pub fn check(invocation: Invocation) -> Outcome {
    check::run(&invocation)
}
