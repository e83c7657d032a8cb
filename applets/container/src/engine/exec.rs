//! `exec`: a further program in a running container. The command itself is its parent: no monitor
//! stands between them.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use box_kit::{Exit, Failure, Outcome};

use super::container;
use super::{Engine, attach, create, runtime_spec};
use crate::cli::ExecArgs;
use crate::launch::Join;
use crate::{foreground, own_binary};

/// Runs it.
pub fn exec(engine: &Engine, args: &ExecArgs) -> Outcome {
    attach::check_terminal(args.interactive && args.tty && !args.detach)?;
    // Where others run already, what enters must be a file that they cannot write.
    own_binary::protect()?;
    let container = container::find(&engine.store, &args.name)?;
    match container.status() {
        "running" => {}
        "paused" => {
            let reason = "is paused: unpause it before exec";
            return Err(Failure::new(reason).about(&container.config.name));
        }
        _ => return Err(Failure::new("is not running").about(&container.config.name)),
    }
    let mut config = container.config.clone();
    config.args.clone_from(&args.command);
    config.tty = args.tty;
    if let Some(user) = &args.user {
        config.user.clone_from(user);
        config.groups.clear();
    }
    if let Some(workdir) = &args.workdir {
        config.cwd.clone_from(workdir);
    }
    for entry in &args.env {
        create::set_variable(&mut config.env, entry);
    }
    if args.privileged {
        config.privileged = true;
        config.capabilities = runtime_spec::capabilities(&[], &[], true)?;
    }
    let pid = container.state.init.pid;
    let root = runtime_spec::root_of(pid)?;
    let mut process = runtime_spec::process(&config, root.as_fd())?;
    drop(root);
    process.oom_score_adj = None;
    let gone = || Failure::new("is not running").about(&container.config.name);
    let join = Join {
        process: container.state.init.open().ok_or_else(gone)?,
        pid,
        streams: streams(args)?,
        filter: runtime_spec::filter(&config)?,
        seccomp: None,
        allow_own_binary: container.config.builtin,
        keep_files: 0,
    };
    let (child, terminal) = crate::oci::enter(&mut process, join, &container.state.group, None)?;
    if args.detach {
        return Ok(Exit::DONE);
    }
    let ended = foreground::wait(child.process.as_fd(), terminal)?;
    Ok(Exit(ended.code()))
}

/// Without `-i` there is nothing to read; in the background there is nowhere to write.
fn streams(args: &ExecArgs) -> Result<[Option<OwnedFd>; 3], Failure> {
    let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let input = (!args.interactive || args.detach).then(null).transpose()?;
    let output = args.detach.then(null).transpose()?;
    let error = args.detach.then(null).transpose()?;
    Ok([input, output, error])
}
