//! A process in front of the person: its terminal relayed, or signals passed on to it, until it
//! ends.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use box_kit::Failure;
use box_sys::epoll::{Epoll, Events, Interest};
use box_sys::pidfd::{self, Ended};
use box_sys::signal_fd::SignalFd;
use box_sys::{pty, spawn};

/// Signals that a foreground process gets instead of us.
pub const PASSED_ON: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCONT,
    libc::SIGALRM,
    libc::SIGWINCH,
];

const PROCESS: u64 = 0;
const SIGNALS: u64 = 1;
const INPUT: u64 = 2;
const TERMINAL: u64 = 3;

/// Waits for the child's end, passing signals on to it, and relaying its terminal where it has one.
pub fn wait(process: BorrowedFd<'_>, terminal: Option<OwnedFd>) -> Result<Ended, Failure> {
    let signals = SignalFd::catch(&PASSED_ON)?;
    let stdin = io::stdin();
    let raw = match &terminal {
        Some(_) if stdin.is_terminal() => Some(pty::Raw::enter(stdin.as_fd())?),
        _ => None,
    };
    let epoll = Epoll::new()?;
    let mut events = Events::with_room(32);
    epoll.add(process, PROCESS, Interest::READ)?;
    epoll.add(signals.as_fd(), SIGNALS, Interest::READ)?;
    if let Some(terminal) = &terminal {
        epoll.add(terminal.as_fd(), TERMINAL, Interest::READ)?;
        // A regular file cannot be waited on: it is read at once instead.
        if epoll.add(stdin.as_fd(), INPUT, Interest::READ).is_err() {
            copy(stdin.as_fd(), terminal.as_fd())?;
        }
        copy_size(terminal.as_fd());
    }
    let mut open = terminal.is_some();
    let mut ended = None;
    while ended.is_none() || open {
        let mut ready = Vec::new();
        epoll.wait(&mut events, None)?;
        ready.extend(events.iter().map(|(key, _)| key));
        for key in ready {
            match (key, &terminal) {
                (PROCESS, _) => {
                    ended = pidfd::ended(process)?;
                    epoll.remove(process)?;
                }
                (SIGNALS, terminal) => pass_signals(&signals, process, terminal.as_ref())?,
                (INPUT, Some(terminal)) => {
                    let more = copy(stdin.as_fd(), terminal.as_fd())?;
                    more.then_some(()).map_or_else(|| epoll.remove(stdin.as_fd()), Ok)?;
                }
                (TERMINAL, Some(terminal)) => {
                    // The last user of the other end is gone: EIO.
                    open = copy(terminal.as_fd(), io::stdout().as_fd()).unwrap_or(false);
                    open.then_some(()).map_or_else(|| epoll.remove(terminal.as_fd()), Ok)?;
                }
                _ => {}
            }
        }
    }
    drop(raw);
    Ok(ended.unwrap_or(Ended::Exited(0)))
}

fn pass_signals(
    signals: &SignalFd,
    process: BorrowedFd<'_>,
    terminal: Option<&OwnedFd>,
) -> Result<(), Failure> {
    while let Some(signal) = signals.take()? {
        match terminal {
            Some(terminal) if signal == libc::SIGWINCH => copy_size(terminal.as_fd()),
            // It may have ended meanwhile.
            _ => drop(pidfd::send_signal(process, signal)),
        }
    }
    Ok(())
}

/// Gives the container's terminal the size of ours.
fn copy_size(terminal: BorrowedFd<'_>) {
    if let Ok(size) = pty::size(io::stdin().as_fd()) {
        let _ = pty::set_size(terminal, size);
    }
}

/// Copies what is there; `false` at the end.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<bool> {
    let mut buffer = [0u8; 16 * 1024];
    let length = spawn::read(from, &mut buffer)?;
    let mut rest = buffer.get(..length).unwrap_or_default();
    while !rest.is_empty() {
        let put = spawn::write(to, rest)?;
        rest = rest.get(put..).unwrap_or_default();
    }
    Ok(length > 0)
}
