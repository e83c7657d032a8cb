//! Hooks (config.md, "POSIX-platform Hooks"): programs that are told the container's state on their
//! standard input.

use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use box_kit::Failure;
use box_sys::pidfd;
use box_sys::signal::{self, SigPipe};

use super::spec::Hook;

/// Runs hooks in order; the first that fails ends the series.
pub fn run(kind: &str, hooks: &[Hook], state: &serde_json::Value) -> Result<(), Failure> {
    for (number, hook) in hooks.iter().enumerate() {
        run_one(hook, state)
            .map_err(|failure| Failure::new(failure).about(format!("hook {kind}[{number}]")))?;
    }
    Ok(())
}

fn run_one(hook: &Hook, state: &serde_json::Value) -> Result<(), Failure> {
    let mut command = Command::new(&hook.path);
    command.args(hook.args.iter().skip(1)).env_clear();
    if let Some(name) = hook.args.first() {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
    }
    for (name, value) in hook.env.iter().filter_map(|entry| entry.split_once('=')) {
        command.env(name, value);
    }
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(Failure::os(&hook.path))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read what it is told, and we must not die of that.
        signal::on_pipe_closed(SigPipe::Ignore)?;
        let _ = stdin.write_all(state.to_string().as_bytes());
        signal::on_pipe_closed(SigPipe::Die)?;
    }
    if let Some(seconds) = hook.timeout {
        let process = pidfd::open(child.id() as i32).map_err(Failure::os(&hook.path))?;
        let timeout_ms = i32::try_from(seconds.saturating_mul(1000)).unwrap_or(i32::MAX);
        if !pidfd::await_end(process.as_fd(), timeout_ms)? {
            child.kill()?;
            child.wait()?;
            return Err(Failure::new(format!("ran longer than {seconds} s")).about(&hook.path));
        }
    }
    let status = child.wait().map_err(Failure::os(&hook.path))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("ended with {status}")).about(&hook.path))
}
