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
use box_sys::{pass, pidfd, spawn};

pub use build::{DEFAULT_PATH, Filter, Join, Setup, enter, prepare};
use plan::Plan;

/// First bytes of the child's messages.
const FAILED: u8 = b'f';
const READY: u8 = b'r';
const TERMINAL_SENT: u8 = b't';
/// The first byte of what a process in between tells of the child.
const BORN: u8 = b'b';

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
    let ignored = spawn::ignored_signals()?;
    let (ours, theirs) = pass::message_pair()?;
    let direct = plan.entry.is_empty();
    match namespace::clone_process(if direct { flags } else { 0 }, cgroup)? {
        Cloned::Child => {
            drop(ours);
            if direct {
                child::run(plan, ignored, theirs.as_fd())
            }
            child::enter_and_clone(plan, flags, ignored, theirs.as_fd())
        }
        Cloned::Parent { pid, pidfd } if direct => Ok(Child { pid, process: pidfd, channel: ours }),
        Cloned::Parent { pidfd, .. } => {
            drop(theirs);
            let born = birth(ours);
            pidfd::wait(pidfd.as_fd())?;
            born
        }
    }
}

/// The child of a process in between.
fn birth(channel: OwnedFd) -> io::Result<Child> {
    let mut message = [0; 9];
    let (_, file) = pass::receive(channel.as_fd(), &mut message)?;
    match (message.first(), file) {
        (Some(&BORN), Some(process)) => {
            Ok(Child { pid: word(&message, 5) as i32, process, channel })
        }
        _ => Err(io::Error::from_raw_os_error(word(&message, 5) as i32)),
    }
}

/// The number at a place of a message.
fn word(message: &[u8; 9], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&message[at..at + 4]);
    u32::from_ne_bytes(bytes)
}

/// Lines of `/proc/PID/uid_map`.
pub fn id_map_text(maps: &[crate::oci::spec::IdMapping]) -> String {
    let line = |map: &crate::oci::spec::IdMapping| {
        format!("{} {} {}\n", map.container_id, map.host_id, map.size)
    };
    maps.iter().map(line).collect()
}

impl Child {
    /// Lets the child go past its next [`plan::Step::Await`].
    pub fn proceed(&self) -> io::Result<()> {
        match spawn::write(self.channel.as_fd(), b"m") {
            // A child that has failed says why in its next message.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map(drop),
        }
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
    let error = io::Error::from_raw_os_error(word(message, 5) as i32);
    Event::Failed { step: word(message, 1) as usize, error }
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
