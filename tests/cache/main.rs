//! `box cache` end to end: the real binary against real clients, files and peers.

mod acl;
mod benchmark;
mod check;
mod client;
mod clients;
mod crash;
mod differential;
mod linearizability;
mod persistence;
mod replication;
mod scripting;
mod server;
mod stage;
mod streams;
mod support;
mod tracking;

use support::bx;

#[test]
fn help_is_shown_on_standard_output() {
    bx().run(["cache", "--help"]).succeeds().stdout_has("Usage: box cache").stderr("");
}
