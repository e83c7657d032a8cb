//! `run` and `create`.

use std::os::fd::OwnedFd;

use box_kit::{Exit, Failure, Outcome};

use super::attach::{self, Attached, Options};
use super::container::Container;
use super::{Engine, create};
use crate::cli::RunArgs;
use crate::monitor;

/// `create`: prints the id.
pub fn create(engine: &Engine, args: &RunArgs) -> Outcome {
    let container = made(engine, args)?;
    println!("{}", container.config.id);
    Ok(Exit::DONE)
}

fn made(engine: &Engine, args: &RunArgs) -> Result<Container, Failure> {
    if args.cidfile.as_ref().is_some_and(|file| file.exists()) {
        return Err(Failure::new("container ID file found").about("--cidfile"));
    }
    // Until the container names them, its layers are nobody's.
    let lease = engine.store.lease()?;
    let container = Container::create(&engine.store, create::config(engine, args)?)?;
    drop(lease);
    super::events::of_container(&engine.store, &container, "create", &[]);
    if let Some(file) = &args.cidfile {
        crate::files::replace(file, container.config.id.as_bytes(), false)?;
    }
    Ok(container)
}

/// `run`.
pub fn run(engine: &Engine, args: &RunArgs) -> Outcome {
    attach::check_terminal(args.interactive && args.tty && !args.detach)?;
    let keys = attach::detach_keys(args.detach_keys.as_deref())?;
    let mut container = made(engine, args)?;
    let connection = monitor::start(engine, &mut container, !args.detach)?;
    let Some(connection) = connection else {
        println!("{}", container.config.id);
        return Ok(Exit::DONE);
    };
    let options = Options {
        input: args.interactive,
        terminal: args.tty,
        keys,
        pass_signals: args.sig_proxy != "false" && !args.tty,
    };
    let attached = attach::attach(OwnedFd::from(connection), &options)?;
    exit(&mut container, attached)
}

/// The exit code after an attachment.
pub fn exit(container: &mut Container, attached: Attached) -> Outcome {
    match attached {
        Attached::Ended(code) => Ok(Exit(code)),
        Attached::Detached => Ok(Exit::DONE),
        // The monitor has ended without a word: the state says how, once it is put right.
        Attached::Lost => {
            container.reload()?;
            container.reconcile()?;
            Ok(Exit(container.state.exit_code as u8))
        }
    }
}
