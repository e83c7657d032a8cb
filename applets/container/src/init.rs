//! The first process of a container with `--init`: starts the program, passes signals on to it,
//! and takes the exits of whatever is left to it. Without one a program that is not made to be
//! process 1 leaves zombies behind, and does not hear of SIGTERM.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use box_kit::{Exit, Failure, Outcome};
use box_sys::{signal_fd, spawn};

/// What is passed on, and the end of children. What the kernel sends for a fault of our own stays.
fn taken() -> Vec<i32> {
    let own = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGSYS,
        32,
        33,
    ];
    (1..=64).filter(|signal| !own.contains(signal)).collect()
}

/// Runs the program to its end.
pub fn run(command: &[OsString]) -> Outcome {
    let Some((program, args)) = command.split_first() else {
        return Err(Failure::misuse("names no program"));
    };
    let signals = taken();
    signal_fd::block(&signals)?;
    let mut start = Command::new(program);
    start.args(args);
    // A group of its own, so that the terminal's signals reach it once.
    start.process_group(0);
    let child = box_sys::process::spawn_with_clear_signals(&mut start)
        .map_err(|error| crate::launch::program_failure(&program.to_string_lossy(), error))?;
    let child = child.id() as i32;
    box_sys::pty::set_foreground(child);
    loop {
        let signal = signal_fd::wait(&signals)?;
        if signal != libc::SIGCHLD {
            // It may have ended meanwhile.
            let _ = spawn::kill_child(child, signal);
            continue;
        }
        while let Ok(Some((pid, ended))) = spawn::reap(false) {
            if pid == child {
                return Ok(Exit(ended.code()));
            }
        }
    }
}
