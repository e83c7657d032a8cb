//! The way from a container configuration to a running process.
//!
//! ```text
//! parent                                      child (one clone3 into the new namespaces)
//!   plan: every step, every string     ──►      mounts
//!   id maps, cgroups, network          ──'m'──► Await
//!                                               cgroup namespace, pivot, masks, terminal
//!   ◄── terminal's other end (SCM_RIGHTS)
//!   ◄── 'ready' (`create` only)                 waits for `start`
//!   ◄── end of the channel: started             exec
//!   ◄── (step, errno)                           any failure
//! ```
//!
//! One SEQPACKET pair carries it all; the child's end is close-on-exec, so its end *is* the message
//! that the program runs.

mod build;
mod child;
pub mod plan;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use box_kit::{Exit, Failure};
use box_sys::namespace::{self, Cloned};
use box_sys::{pass, spawn};

pub use build::{Join, Setup, enter, prepare};
use plan::Plan;

/// First bytes of the child's messages.
const FAILED: u8 = b'f';
const READY: u8 = b'r';
const TERMINAL_SENT: u8 = b't';

/// A child that performs its plan.
pub struct Child {
    pub pid: i32,
    pub process: OwnedFd,
    channel: OwnedFd,
}

/// What a child tells.
pub enum Event {
    /// It has opened a terminal: the other end.
    Terminal(OwnedFd),
    /// It waits for `start`.
    Ready,
    /// The program runs.
    Started,
    /// A step failed.
    Failed { step: usize, error: io::Error },
}

/// Clones a child into the new namespaces of `flags`, and into the version 2 `cgroup`.
pub fn spawn(plan: &mut Plan, flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Child> {
    let (ours, theirs) = pass::message_pair()?;
    match namespace::clone_process(flags, cgroup)? {
        Cloned::Child => {
            drop(ours);
            child::run(plan, theirs.as_fd())
        }
        Cloned::Parent { pid, pidfd } => Ok(Child { pid, process: pidfd, channel: ours }),
    }
}

impl Child {
    /// Lets the child go past its next [`plan::Step::Await`].
    pub fn proceed(&self) -> io::Result<()> {
        spawn::write(self.channel.as_fd(), b"m").map(drop)
    }

    /// Waits for what the child tells next.
    pub fn event(&self) -> io::Result<Event> {
        let mut message = [0; 9];
        let (length, file) = pass::receive(self.channel.as_fd(), &mut message)?;
        Ok(match (message.first().copied().unwrap_or(0), length, file) {
            (_, 0, _) => Event::Started,
            (READY, ..) => Event::Ready,
            (TERMINAL_SENT, _, Some(terminal)) => Event::Terminal(terminal),
            _ => decode_failure(&message),
        })
    }

    /// Ends a child whose parent has failed: kills it and takes its exit.
    pub fn abandon(&self) {
        let _ = box_sys::pidfd::send_signal(self.process.as_fd(), libc::SIGKILL);
        let _ = box_sys::pidfd::wait(self.process.as_fd());
    }
}

/// What the child wrote when a step failed.
fn decode_failure(message: &[u8; 9]) -> Event {
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&message[at..at + 4]);
        u32::from_ne_bytes(bytes)
    };
    Event::Failed {
        step: word(1) as usize,
        error: io::Error::from_raw_os_error(word(5) as i32),
    }
}

/// As [`Child::event`], of the connection of `start`: `None` when the program runs.
pub fn start_outcome(connection: BorrowedFd<'_>) -> io::Result<Option<(usize, io::Error)>> {
    let mut message = [0; 9];
    if spawn::read(connection, &mut message)? == 0 {
        return Ok(None);
    }
    match decode_failure(&message) {
        Event::Failed { step, error } => Ok(Some((step, error))),
        _ => Ok(None),
    }
}

/// The exit code of a program that cannot be found, of one that cannot be run, of anything else.
const NOT_FOUND: Exit = Exit(127);
const NOT_RUN: Exit = Exit(126);

/// The words for a step that failed, with the code that a container engine ends with.
pub fn failure(plan: &Plan, step: usize, error: io::Error) -> Failure {
    if !plan.is_program(step) {
        return Failure::os(plan.describe(step))(error).exit(Exit(125));
    }
    program_failure(&plan.program.name, error)
}

/// The words for a program that does not start.
pub fn program_failure(name: &str, error: io::Error) -> Failure {
    let subject = format!("exec: {name:?}");
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) if !name.contains('/') => {
            Failure::new("executable file not found in $PATH").about(subject).exit(NOT_FOUND)
        }
        Some(libc::ENOENT | libc::ENOTDIR) => {
            Failure::new("no such file or directory").about(subject).exit(NOT_FOUND)
        }
        Some(libc::EACCES) => Failure::new("permission denied").about(subject).exit(NOT_RUN),
        Some(libc::ENOEXEC) => Failure::new("exec format error").about(subject).exit(NOT_RUN),
        _ => Failure::os(subject)(error).exit(NOT_RUN),
    }
}
