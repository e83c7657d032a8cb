//! One small process per container: it launches it, writes its output to the log, serves who is
//! attached, and records its end. One thread, no runtime; what it waits for it waits for in one
//! place.
//!
//! It is forked by `run` or `start` and shares their memory image, so it costs no exec. It tells its
//! parent over a socket whether the container runs, and from then on nobody needs to be there.
//! When it is killed the kernel kills the container with it, and the next command that reads the
//! state cleans up ([`Container::reconcile`]).

pub mod frame;
mod log;
mod serve;

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure};
use box_sys::namespace::Namespace;
use box_sys::pidfd::Ended;
use box_sys::signal::{self, SigPipe};
use box_sys::spawn::{self, Forked};
use box_sys::{namespace, pass};
use serde::{Deserialize, Serialize};

pub use log::FILE as LOG_FILE;

use crate::cgroup::{Group, Hierarchies};
use crate::engine::container::{self, Container};
use crate::engine::{Engine, events, rootfs, runtime_spec};
use crate::launch::{self, Child, Event, Setup};
use crate::process::Identity;
use crate::{net, own_binary};

/// What the monitor tells who has started it.
#[derive(Serialize, Deserialize)]
struct Report {
    failure: Option<(String, u8)>,
}

/// Forks a monitor that launches the container. Returns when the program runs; with a connection
/// that has missed nothing of its output when `attached`.
pub fn start(
    engine: &Engine,
    container: &mut Container,
    attached: bool,
) -> Result<Option<UnixStream>, Failure> {
    let (ours, theirs) = pass::stream_pair().map_err(Failure::os("socketpair"))?;
    let pair = attached.then(UnixStream::pair).transpose().map_err(Failure::os("socketpair"))?;
    let (near, far) = pair.map_or((None, None), |(near, far)| (Some(near), Some(far)));
    match spawn::fork().map_err(Failure::os("fork"))? {
        Forked::Child => {
            drop((ours, near));
            monitor(engine, container, File::from(theirs), far);
            spawn::exit_now(0)
        }
        Forked::Parent(_) => {
            drop((theirs, far));
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut File::from(ours), &mut text)?;
            let report: Report = serde_json::from_slice(&text)
                .map_err(|_| Failure::new("the monitor ended without a word"))?;
            match report.failure {
                None => Ok(near),
                Some((text, code)) => Err(Failure::new(text).exit(Exit(code))),
            }
        }
    }
}

/// A container that runs.
pub struct Running {
    child: Child,
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
    /// The three above are one terminal.
    terminal: bool,
}

fn tell(mut channel: File, failure: Option<&Failure>) {
    let failure = failure.map(|failure| (failure.to_string(), failure.code().0));
    if let Ok(text) = serde_json::to_vec(&Report { failure }) {
        // Who has asked may be gone: the container runs on.
        let _ = std::io::Write::write_all(&mut channel, &text);
    }
}

fn monitor(engine: &Engine, container: &mut Container, channel: File, client: Option<UnixStream>) {
    let prepared = detach(container);
    let launched = prepared
        .and_then(|listener| launch_recorded(engine, container).map(|running| (listener, running)));
    match launched {
        Ok((listener, running)) => {
            tell(channel, None);
            watch(engine, container, listener, running, client);
        }
        Err(failure) => {
            container.state.error = failure.to_string();
            container.state.exit_code = failure.code().0.into();
            // Whatever of it fails as well, the reason told is the first one.
            let _ = finish(engine, container);
            tell(channel, Some(&failure));
        }
    }
}

/// Leaves the caller's session and streams.
fn detach(container: &Container) -> Result<UnixListener, Failure> {
    spawn::new_session()?;
    spawn::set_name(c"box-monitor");
    // A container that closes its input must not take its monitor with it.
    signal::on_pipe_closed(SigPipe::Ignore)?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for number in 0..3 {
        spawn::duplicate_to(null.as_fd(), number)?;
    }
    let socket = container.socket();
    // One that a killed monitor has left.
    let _ = fs::remove_file(&socket);
    let _ = fs::remove_file(container.stopped_mark());
    // The path may be longer than an address holds: the folder's descriptor is not.
    let folder = File::open(&container.folder).map_err(Failure::os(socket.display()))?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
    let listener = UnixListener::bind(format!("/proc/self/fd/{number}/attach.sock"))
        .map_err(Failure::os(socket.display()))?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))
        .map_err(Failure::os(socket.display()))?;
    Ok(listener)
}

/// Launches it and records that it runs.
fn launch_recorded(engine: &Engine, container: &mut Container) -> Result<Running, Failure> {
    container.state.status = "running".into();
    container.state.monitor = Identity::own()?;
    container.state.error.clear();
    container.state.oom_killed = false;
    let running = launch(engine, container)?;
    container.state.init = Identity::of(running.child.pid)?;
    container.state.started_at = crate::time::rfc3339(crate::time::now());
    container.save()?;
    events::of_container(&engine.store, container, "start", &[]);
    Ok(running)
}

/// The streams of the child, and our ends of them.
struct Streams {
    child: [Option<OwnedFd>; 3],
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
}

fn streams(tty: bool, open_stdin: bool) -> Result<Streams, Failure> {
    if tty {
        return Ok(Streams { child: [None, None, None], input: None, output: None, error: None });
    }
    let pipe = || pass::pipe().map_err(Failure::os("pipe"));
    let (output, child_output) = pipe()?;
    let (error, child_error) = pipe()?;
    let (child_input, input) = if open_stdin {
        let (child, ours) = pipe()?;
        (child, Some(ours))
    } else {
        (OwnedFd::from(File::open("/dev/null")?), None)
    };
    let child = [Some(child_input), Some(child_output), Some(child_error)];
    Ok(Streams { child, input, output: Some(output), error: Some(error) })
}

/// The network namespace that is shared with another container, by its path.
fn shared_network(engine: &Engine, network: &str) -> Result<Option<String>, Failure> {
    if let Some(path) = network.strip_prefix("ns:") {
        return Ok(Some(path.to_owned()));
    }
    let Some(name) = network.strip_prefix("container:") else { return Ok(None) };
    let other = container::find(&engine.store, name)?;
    if !other.is_running() {
        return Err(
            Failure::new("cannot join the network of a container that does not run").about(name)
        );
    }
    Ok(Some(format!("/proc/{}/ns/net", other.state.init.pid)))
}

/// An empty volume gets what the image has at its place.
fn fill_volumes(config: &container::Config, root: &OwnedFd) -> Result<(), Failure> {
    use box_sys::at::{self, Resolve};
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    for mount in config.mounts.iter().filter(|mount| mount.kind == "volume") {
        let about = || mount.source.clone();
        let empty = fs::read_dir(&mount.source).map_err(Failure::os(about()))?.next().is_none();
        if !empty || mount.options.iter().any(|option| option == "nocopy") {
            continue;
        }
        let path = mount.destination.trim_matches('/');
        let path = std::ffi::CString::new(path).map_err(Failure::new)?;
        if let Ok(from) = at::open(root.as_fd(), &path, flags, 0, Resolve::IN_ROOT) {
            let to = at::open_dir(std::path::Path::new(&mount.source));
            let to = to.map_err(Failure::os(about()))?;
            crate::layer::copy::contents(from.as_fd(), to.as_fd()).map_err(Failure::os(about()))?;
        }
    }
    Ok(())
}

fn launch(engine: &Engine, container: &mut Container) -> Result<Running, Failure> {
    let config = container.config.clone();
    let root = rootfs::mount(engine, container)?;
    fill_volumes(&config, &root)?;
    let path = format!("/box-{}", config.id);
    let bridged = config.network == "bridge" || config.network.is_empty();
    if bridged {
        let mut ports = config.ports.clone();
        net::choose_host_ports(&mut ports)?;
        container.state.network = Some(net::reserve(&config.id, ports)?);
    }
    let network = container.state.network.clone();
    let net_path = shared_network(engine, &config.network)?;
    let own_network = net_path.is_none() && config.network != "host";
    let folder = &container.folder;
    let mut spec = runtime_spec::build(&config, folder, root.as_fd(), network.as_ref(), net_path)?;
    let group = Group::create(&Hierarchies::detect()?, &path, &spec.linux.resources)?;
    container.state.group = group.clone();
    // From here on a crash of ours leaves something behind: the state has to name it.
    container.save()?;
    let mut streams = streams(config.tty, config.open_stdin)?;
    let inside = network.as_ref().map(net::Attachment::inside).unwrap_or_default();
    let setup = Setup {
        root: Some(root),
        mount_at: container.folder.join("rootfs"),
        streams: std::mem::take(&mut streams.child),
        start: None,
        init: config.init.then(own_binary::read_only_handle).transpose()?,
        network: own_network.then_some(inside),
        filter: runtime_spec::filter(&config)?,
        group: &group,
        allow_own_binary: config.builtin,
        die_with_parent: true,
        pivot: true,
        keyring: true,
        keep_files: 0,
        hook_states: None,
    };
    let mut prepared = launch::prepare(&mut spec, setup)?;
    if let Some(pid) = &prepared.pid_namespace {
        namespace::setns(pid.as_fd(), Namespace::Pid).map_err(Failure::os("pid namespace"))?;
    }
    let handle = group.handle()?;
    let cgroup = handle.as_ref().map(AsFd::as_fd);
    let child =
        launch::spawn(&mut prepared.plan, prepared.flags, cgroup).map_err(Failure::os("clone"))?;
    // The child holds its own copies of these.
    prepared.plan.slots.clear();
    let guided = guide(&child, &group, network.as_ref(), config.oom_score_adj)
        .and_then(|()| follow(&child, &prepared.plan));
    let terminal = guided.inspect_err(|_| child.abandon())?;
    let is_terminal = terminal.is_some();
    let Streams { mut input, mut output, error, .. } = streams;
    if let Some(terminal) = terminal {
        input = Some(terminal.try_clone()?);
        output = Some(terminal);
    }
    Ok(Running { child, input, output, error, terminal: is_terminal })
}

fn guide(
    child: &Child,
    group: &Group,
    network: Option<&net::Attachment>,
    oom_score_adj: Option<i32>,
) -> Result<(), Failure> {
    if let Some(value) = oom_score_adj {
        let file = format!("/proc/{}/oom_score_adj", child.pid);
        fs::write(&file, value.to_string()).map_err(Failure::os(file))?;
    }
    group.join(child.pid, false)?;
    if let Some(network) = network {
        net::connect(network, child.pid)?;
    }
    child.proceed()?;
    Ok(())
}

fn follow(child: &Child, plan: &launch::plan::Plan) -> Result<Option<OwnedFd>, Failure> {
    let mut terminal = None;
    loop {
        match child.event()? {
            Event::Terminal(control) => terminal = Some(control),
            Event::Ready => {}
            Event::Started => return Ok(terminal),
            Event::Failed { step, error } => return Err(launch::failure(plan, step, error)),
        }
    }
}

/// The pause before a restart: doubled each time, and forgotten after a run of ten seconds.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(60);
const PAUSE_FORGOTTEN: Duration = Duration::from_secs(10);

fn watch(
    engine: &Engine,
    container: &mut Container,
    listener: UnixListener,
    running: Running,
    client: Option<UnixStream>,
) {
    let mut server = serve::Server::new(listener, client, container);
    let mut running = running;
    let mut pause = PAUSE_MIN;
    loop {
        let started = Instant::now();
        let ended = server.until_end(running);
        record_end(container, ended);
        if container.state.oom_killed {
            events::of_container(&engine.store, container, "oom", &[]);
        }
        let code = container.state.exit_code.to_string();
        events::of_container(&engine.store, container, "die", &[("exitCode", &code)]);
        if !starts_again(container) {
            break;
        }
        if started.elapsed() > PAUSE_FORGOTTEN {
            pause = PAUSE_MIN;
        }
        // A state that cannot be written now is written at the next change.
        let _ = container.release();
        let _ = container.save();
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
        if container.stopped_mark().exists() {
            break;
        }
        container.state.restarts += 1;
        match launch_recorded(engine, container) {
            Ok(next) => running = next,
            Err(failure) => {
                container.state.error = failure.to_string();
                container.state.exit_code = failure.code().0.into();
                break;
            }
        }
    }
    let code = container.state.exit_code as u8;
    // The person sees the end at once, and waits for the connection's end, which is ours.
    server.tell_exit(code);
    let _ = finish(engine, container);
    drop(server);
}

fn record_end(container: &mut Container, ended: Ended) {
    container.state.exit_code = ended.code().into();
    container.state.oom_killed = container.state.group.oom_kills() > 0;
    container.state.finished_at = crate::time::rfc3339(crate::time::now());
}

/// Whether the policy asks for another run.
fn starts_again(container: &Container) -> bool {
    if container.stopped_mark().exists() {
        return false;
    }
    let restart = &container.config.restart;
    match restart.policy.as_str() {
        "always" | "unless-stopped" => true,
        "on-failure" => {
            let below = restart.maximum == 0 || container.state.restarts < restart.maximum;
            container.state.exit_code != 0 && below
        }
        _ => false,
    }
}

/// Takes everything back and records the end; with `--rm` there is nothing left to record.
fn finish(engine: &Engine, container: &mut Container) -> Result<(), Failure> {
    let released = container.release();
    let _ = fs::remove_file(container.socket());
    if container.config.auto_remove && released.is_ok() {
        container.discard(&engine.store)?;
        events::of_container(&engine.store, container, "destroy", &[]);
        return Ok(());
    }
    container.state.status = "exited".into();
    if container.state.finished_at.is_empty() {
        container.state.finished_at = crate::time::rfc3339(crate::time::now());
    }
    container.save()?;
    released
}
