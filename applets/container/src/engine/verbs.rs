//! The commands that act on containers.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure, Outcome};
use box_sys::pidfd;

use super::attach::{self, Options};
use super::container::{self, Container};
use super::{Engine, events, names, run};
use crate::cli::{
    AttachArgs, KillArgs, NamesArgs, PortArgs, RenameArgs, RmArgs, StartArgs, StopArgs,
};
use crate::monitor;
use crate::oci::options;

/// Does the same to each container, prints its name, and goes on when one fails.
fn each(
    engine: &Engine,
    names: &[String],
    mut act: impl FnMut(&mut Container) -> Result<(), Failure>,
) -> Outcome {
    let mut exit = Exit::DONE;
    for name in names {
        match container::find(&engine.store, name).and_then(|mut found| act(&mut found)) {
            Ok(()) => println!("{name}"),
            Err(failure) => {
                eprint!("{}", failure.render("box: container"));
                exit = Exit::FAILED;
            }
        }
    }
    Ok(exit)
}

/// `start`.
pub fn start(engine: &Engine, args: &StartArgs) -> Outcome {
    if args.attach || args.interactive {
        let [name] = args.names.as_slice() else {
            return Err(Failure::new("you cannot start and attach multiple containers at once"));
        };
        let mut container = container::find(&engine.store, name)?;
        let Some(connection) = monitor::start(engine, &mut container, true)? else {
            return Ok(Exit::DONE);
        };
        let config = &container.config;
        let options = Options {
            input: args.interactive && config.open_stdin,
            terminal: config.tty,
            keys: attach::detach_keys(None)?,
            pass_signals: !config.tty,
        };
        let attached = attach::attach(connection.into(), &options)?;
        return run::exit(&mut container, attached);
    }
    each(engine, &args.names, |container| {
        if container.is_running() {
            return Ok(());
        }
        monitor::start(engine, container, false).map(drop)
    })
}

/// How long the monitor may take to record the end of its container.
const RECORD_MAX: Duration = Duration::from_secs(20);

/// Waits until the monitor has done its last work.
fn await_monitor(container: &mut Container, timeout: Duration) -> Result<bool, Failure> {
    if let Some(monitor) = container.state.monitor.open() {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        if !pidfd::await_end(monitor.as_fd(), timeout_ms)? {
            return Ok(false);
        }
    }
    if container.exists() {
        container.reload()?;
        container.reconcile()?;
    }
    Ok(true)
}

fn init_of(container: &Container) -> Result<OwnedFd, Failure> {
    let running = container.is_running().then(|| container.state.init.open()).flatten();
    running.ok_or_else(|| Failure::new("is not running").about(&container.config.name))
}

fn halt(container: &mut Container, signal: i32, seconds: u64) -> Result<(), Failure> {
    if !container.is_running() {
        return Ok(());
    }
    let mark = container.stopped_mark();
    fs::write(&mark, "").map_err(Failure::os(mark.display()))?;
    let end = Instant::now() + Duration::from_secs(seconds);
    if let Some(init) = container.state.init.open() {
        // A frozen process takes no signal.
        if container.state.group.is_frozen() {
            container.state.group.freeze(false)?;
        }
        let _ = pidfd::send_signal(init.as_fd(), signal);
        let left = end.saturating_duration_since(Instant::now()).as_millis();
        if !pidfd::await_end(init.as_fd(), i32::try_from(left).unwrap_or(i32::MAX))? {
            let _ = pidfd::send_signal(init.as_fd(), libc::SIGKILL);
        }
    }
    await_monitor(container, RECORD_MAX)?;
    Ok(())
}

fn stop_one(container: &mut Container, args: &StopArgs) -> Result<(), Failure> {
    let configured = container.config.stop_signal.clone();
    let word = args.signal.clone().unwrap_or(configured);
    let word = if word.is_empty() { "TERM".to_owned() } else { word };
    let signal =
        options::signal(&word).ok_or_else(|| Failure::new("unknown signal").about(&word))?;
    let seconds = args.time.unwrap_or(container.config.stop_timeout);
    halt(container, signal, seconds)
}

/// `stop`.
pub fn stop(engine: &Engine, args: &StopArgs) -> Outcome {
    each(engine, &args.names, |container| {
        let ran = container.is_running();
        stop_one(container, args)?;
        if ran {
            events::of_container(&engine.store, container, "stop", &[]);
        }
        Ok(())
    })
}

/// `restart`.
pub fn restart(engine: &Engine, args: &StopArgs) -> Outcome {
    each(engine, &args.names, |container| {
        stop_one(container, args)?;
        monitor::start(engine, container, false)?;
        events::of_container(&engine.store, container, "restart", &[]);
        Ok(())
    })
}

/// `kill`.
pub fn kill(engine: &Engine, args: &KillArgs) -> Outcome {
    let signal = options::signal(&args.signal)
        .ok_or_else(|| Failure::new("unknown signal").about(&args.signal))?;
    each(engine, &args.names, |container| {
        let init = init_of(container)?;
        let number = signal.to_string();
        events::of_container(&engine.store, container, "kill", &[("signal", &number)]);
        if signal == libc::SIGKILL {
            halt(container, signal, RECORD_MAX.as_secs())
        } else {
            pidfd::send_signal(init.as_fd(), signal).map_err(Failure::os(&container.config.name))
        }
    })
}

/// `rm`.
pub fn remove(engine: &Engine, args: &RmArgs) -> Outcome {
    each(engine, &args.names, |container| {
        if container.is_running() {
            if !args.force {
                let reason = "cannot remove a running container";
                return Err(Failure::new(reason)
                    .about(&container.config.name)
                    .advise("try: box container stop, or rm --force"));
            }
            halt(container, libc::SIGKILL, RECORD_MAX.as_secs())?;
        }
        if args.volumes {
            remove_anonymous_volumes(engine, container)?;
        }
        container.discard(&engine.store)?;
        events::of_container(&engine.store, container, "destroy", &[]);
        Ok(())
    })
}

/// Volumes that were given no name have 64 digits for one.
fn remove_anonymous_volumes(engine: &Engine, container: &Container) -> Result<(), Failure> {
    for mount in container.config.mounts.iter().filter(|mount| mount.name.len() == 64) {
        let path = engine.store.root.join("volumes").join(&mount.name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(Failure::os(path.display()))?;
        }
    }
    Ok(())
}

/// `wait`.
pub fn wait(engine: &Engine, args: &NamesArgs) -> Outcome {
    for name in &args.names {
        let mut container = container::find(&engine.store, name)?;
        await_monitor(&mut container, Duration::MAX)?;
        println!("{}", container.state.exit_code);
    }
    Ok(Exit::DONE)
}

/// `pause` and `unpause`.
pub fn freeze(engine: &Engine, args: &NamesArgs, frozen: bool) -> Outcome {
    each(engine, &args.names, |container| {
        let wanted = if frozen { "running" } else { "paused" };
        if container.status() != wanted {
            return Err(Failure::new(format!("is not {wanted}")).about(&container.config.name));
        }
        container.state.group.freeze(frozen)?;
        let action = if frozen { "pause" } else { "unpause" };
        events::of_container(&engine.store, container, action, &[]);
        Ok(())
    })
}

/// `rename`.
pub fn rename(engine: &Engine, args: &RenameArgs) -> Outcome {
    let mut container = container::find(&engine.store, &args.name)?;
    if !names::is_valid(&args.new_name) {
        return Err(Failure::new("invalid container name").about(format!("{:?}", args.new_name)));
    }
    let folder = engine.store.root.join("names");
    let new = folder.join(&args.new_name);
    std::os::unix::fs::symlink(&container.config.id, &new)
        .map_err(|error| Failure::os(&args.new_name)(error))?;
    let old = folder.join(&container.config.name);
    container.config.name.clone_from(&args.new_name);
    container.save_config()?;
    fs::remove_file(&old).map_err(Failure::os(old.display()))?;
    events::of_container(&engine.store, &container, "rename", &[]);
    Ok(Exit::DONE)
}

/// `port`.
pub fn port(engine: &Engine, args: &PortArgs) -> Outcome {
    let container = container::find(&engine.store, &args.name)?;
    let ports = container.state.network.map(|network| network.ports).unwrap_or_default();
    let mut found = false;
    for port in &ports {
        let inside = format!("{}/{}", port.container_port, port.protocol);
        let outside = format!("{}:{}", port.host_address, port.host_port);
        match &args.port {
            None => println!("{inside} -> {outside}"),
            Some(wanted) if *wanted == inside || *wanted == port.container_port.to_string() => {
                println!("{outside}");
            }
            Some(_) => continue,
        }
        found = true;
    }
    match &args.port {
        Some(wanted) if !found => {
            Err(Failure::new(format!("No public port '{wanted}' published")).about(&args.name))
        }
        _ => Ok(Exit::DONE),
    }
}

/// `attach`.
pub fn attach(engine: &Engine, args: &AttachArgs) -> Outcome {
    let mut container = container::find(&engine.store, &args.name)?;
    if !container.is_running() {
        return Err(Failure::new("cannot attach to a container that is not running")
            .about(&container.config.name));
    }
    let config = &container.config;
    let options = Options {
        input: config.open_stdin && !args.no_stdin,
        terminal: config.tty,
        keys: attach::detach_keys(args.detach_keys.as_deref())?,
        pass_signals: !config.tty,
    };
    let connection = connect(&container)?;
    let attached = attach::attach(connection, &options)?;
    run::exit(&mut container, attached)
}

/// Connects to the monitor. The folder's descriptor stands in for a path that may be too long for
/// an address.
fn connect(container: &Container) -> Result<OwnedFd, Failure> {
    let about = container.socket().display().to_string();
    let folder = File::open(&container.folder).map_err(Failure::os(&about))?;
    let path = format!("/proc/self/fd/{}/attach.sock", folder.as_raw_fd());
    UnixStream::connect(path).map(OwnedFd::from).map_err(Failure::os(about))
}
