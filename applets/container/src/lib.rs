//! Run containers from OCI images without a daemon.
//!
//! Two commands stand on one way of launching a process:
//!
//! ```text
//! box container run|ps|exec|...   engine   docker's words; images, names, networks, logs
//! box container oci ...           oci      runc's words; a bundle, a state folder
//!                  │
//!   launch     a configuration becomes a plan: every step and string made beforehand; one clone3;
//!              the child performs it with async-signal-safe calls alone, and tells of a failure by
//!              the step's number and errno
//!   cgroup     version 1, version 2, and both at once        seccomp  profiles into BPF
//!   monitor    one process a container: log, attach, end     net      bridge and NAT by netlink
//!   image, store, layer   content-addressed images; layers unpacked for overlayfs
//!   registry   the distribution protocol, as a client
//! ```
//!
//! Invariants. A process is named by pid, start time and boot, and acted on through a pidfd. What is
//! mounted is mounted by descriptor, onto a descriptor that the kernel resolved within the root.
//! Nothing in the store has its final name before it is whole and verified. What a container holds
//! (groups, network, mounts) is written in its state before it is made, so that whoever finds the
//! state after a crash can take it back.
//!
//! Compatible: docker's command line, formats and exit codes for the commands that are here; OCI
//! runtime-spec 1.3, image-spec 1.1 layouts, docker-archives, distribution-spec 1.1 registries. Not
//! yet: build, rootless containers of the engine, networks beside the bridge, IPv6. See
//! `docs/container.md`.

pub mod cli;
pub mod doctor;

mod cgroup;
mod engine;
mod files;
mod foreground;
mod image;
mod init;
mod launch;
mod layer;
mod monitor;
mod net;
mod oci;
mod own_binary;
mod process;
mod registry;
mod seccomp;
mod store;
mod table;
mod time;

use box_kit::{Exit, Invocation, Name, Outcome, cli::Parsed};

/// Runs the applet. `links` are the names that the built-in image links to the binary.
///
/// # Errors
/// What the applet could not do.
pub fn run(invocation: Invocation, links: &[&'static str]) -> Outcome {
    if let Name::Imitated(_) = invocation.name {
        return oci::run(&invocation);
    }
    let first = invocation.args.iter().find(|word| !word.to_string_lossy().starts_with('-'));
    let engine = first.is_some_and(|word| word == "run" || word == "create" || word == "exec");
    match box_kit::cli::parse::<cli::Cli>(cli::command(), &invocation) {
        Ok(Parsed::Shown(exit)) => Ok(exit),
        Ok(Parsed::Run(cli)) => engine::run(cli, links),
        // Docker's code for a command line that it cannot run.
        Err(failure) if engine => Err(failure.exit(Exit(125))),
        Err(failure) => Err(failure),
    }
}
