//! What the commands do.

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use box_kit::{Exit, Failure, Outcome};
use box_sys::namespace::Namespace;
use box_sys::{namespace, pass, pidfd};

use super::bundle;
use super::cli::{CreateArgs, DeleteArgs, ExecArgs, KillArgs, ListArgs, PsArgs, UpdateArgs};
use super::hooks;
use super::options;
use super::spec::{Process, Resources, Spec};
use super::state::{Container, State};
use crate::cgroup::{Group, Hierarchies};
use crate::launch::{self, Child, Event, Join, Setup};
use crate::process::Identity;
use crate::{foreground, own_binary};

/// A child that has got as far as its caller waits for.
struct Launched {
    child: Child,
    state: State,
    terminal: Option<OwnedFd>,
}

/// `create`: returns when the container waits for `start`.
pub fn create(root: &Path, args: &CreateArgs) -> Outcome {
    let container = Container::named(root, &args.id)?;
    container.claim()?;
    let launched = launch_or_undo(&container, args, true)?;
    write_pid(args.pid_file.as_deref(), launched.child.pid)?;
    Ok(Exit::DONE)
}

/// `run`: create, start, wait and delete in one.
pub fn run(root: &Path, args: &CreateArgs) -> Outcome {
    let container = Container::named(root, &args.id)?;
    container.claim()?;
    let launched = launch_or_undo(&container, args, false)?;
    write_pid(args.pid_file.as_deref(), launched.child.pid)?;
    if args.detach {
        return Ok(Exit::DONE);
    }
    let process = launched.child.process.as_fd();
    let ended = foreground::wait(process, launched.terminal)?;
    if !args.keep {
        destroy(&container, &launched.state)?;
    }
    Ok(Exit(ended.code()))
}

/// Launches, and takes everything back when that fails.
fn launch_or_undo(
    container: &Container,
    args: &CreateArgs,
    waits: bool,
) -> Result<Launched, Failure> {
    let mut group = Group::default();
    launch(container, args, waits, &mut group).inspect_err(|_| {
        group.kill();
        // The failure that counts is the one reported.
        let _ = group.remove();
        let _ = container.remove();
    })
}

fn launch(
    container: &Container,
    args: &CreateArgs,
    waits: bool,
    group: &mut Group,
) -> Result<Launched, Failure> {
    let bundle = fs::canonicalize(&args.bundle).map_err(Failure::os(args.bundle.display()))?;
    let config = args.config.clone().unwrap_or_else(|| bundle.join("config.json"));
    let mut spec = bundle::load(&config)?;
    let rootfs = rootfs(&spec, &bundle)?;
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    if terminal && (waits || args.detach) && args.console_socket.is_none() {
        let reason = "a detached container with a terminal needs --console-socket";
        return Err(Failure::new(reason));
    }
    let path = match spec.linux.cgroups_path.as_str() {
        "" => format!("/box-{}", container.id),
        path => path.to_owned(),
    };
    let path = if is_unit(&path) { scope_path(&path) } else { path };
    *group = make_group(&path, &spec.linux.resources)?;
    let listener = waits.then(|| UnixListener::bind(container.socket())).transpose();
    let listener = listener.map_err(Failure::os(container.socket().display()))?;
    let mut state = kept(container, &spec, &bundle, &rootfs, group);
    let inside = new_network(&spec).then(crate::net::InsideConfig::default);
    let maps = (
        std::mem::take(&mut spec.linux.uid_mappings),
        std::mem::take(&mut spec.linux.gid_mappings),
    );
    let adjust = spec.process.as_ref().and_then(|process| process.oom_score_adj);
    let inner = !spec.hooks.create_container.is_empty() || !spec.hooks.start_container.is_empty();
    let hook_files = inner.then(HookFiles::new).transpose()?;
    let setup = Setup {
        root: None,
        mount_at: rootfs,
        streams: [None, None, None],
        start: listener.map(OwnedFd::from),
        init: None,
        network: inside,
        filter: None,
        group,
        allow_own_binary: false,
        die_with_parent: false,
        pivot: !args.no_pivot,
        keyring: !args.no_new_keyring,
        keep_files: args.preserve_fds,
        hook_states: hook_files.as_ref().map(HookFiles::copies).transpose()?,
    };
    let mut prepared = launch::prepare(&mut spec, setup)?;
    if let Some(pid) = &prepared.pid_namespace {
        namespace::setns(pid.as_fd(), Namespace::Pid).map_err(Failure::os("pid namespace"))?;
    }
    let handle = group.handle()?;
    let flags = prepared.flags;
    let cgroup = handle.as_ref().map(AsFd::as_fd);
    let child = launch::spawn(&mut prepared.plan, flags, cgroup).map_err(Failure::os("clone"))?;
    let guided =
        guide(&child, &maps, prepared.maps_ids, adjust, &mut state, container).and_then(|()| {
            if let Some(files) = &hook_files {
                files.fill(&container.report(&state))?;
            }
            Ok(child.proceed()?)
        });
    let terminal = guided
        .and_then(|()| follow(&child, &prepared.plan, args.console_socket.as_deref()))
        .inspect_err(|_| child.abandon())?;
    if let Some(socket) = &args.pidfd_socket {
        send_file(socket, &child.process).inspect_err(|_| child.abandon())?;
    }
    if !waits && !state.hooks.poststart.is_empty() {
        let report = container.report(&state);
        hooks::run("poststart", &state.hooks.poststart, &report)
            .inspect_err(|_| child.abandon())?;
    }
    Ok(Launched { child, state, terminal })
}

/// The parent's part while the child waits: id maps, groups, hooks.
fn guide(
    child: &Child,
    maps: &Maps,
    maps_ids: bool,
    oom_score_adj: Option<i32>,
    state: &mut State,
    container: &Container,
) -> Result<(), Failure> {
    let pid = child.pid;
    if maps_ids {
        write_maps(pid, maps)?;
        child.proceed()?;
    }
    if let Some(value) = oom_score_adj {
        let file = format!("/proc/{pid}/oom_score_adj");
        fs::write(&file, value.to_string()).map_err(Failure::os(file))?;
    }
    state.group.join(pid, false)?;
    state.init = Identity::of(pid)?;
    container.save(state)?;
    let hooked =
        [("prestart", &state.hooks.prestart), ("createRuntime", &state.hooks.create_runtime)];
    for (kind, list) in hooked {
        if !list.is_empty() {
            let mut report = container.report(state);
            report["status"] = "creating".into();
            hooks::run(kind, list, &report)?;
        }
    }
    Ok(())
}

/// The files from which hooks within the container read its state: while it is being created, and
/// when it starts.
struct HookFiles([OwnedFd; 2]);

impl HookFiles {
    fn new() -> Result<HookFiles, Failure> {
        let file = || box_sys::file::in_memory(c"state");
        Ok(HookFiles([file()?, file()?]))
    }

    fn copies(&self) -> Result<[OwnedFd; 2], Failure> {
        Ok([self.0[0].try_clone()?, self.0[1].try_clone()?])
    }

    fn fill(&self, report: &serde_json::Value) -> Result<(), Failure> {
        for (file, status) in self.0.iter().zip(["creating", "created"]) {
            let mut report = report.clone();
            report["status"] = status.into();
            box_sys::spawn::write(file.as_fd(), report.to_string().as_bytes())?;
        }
        Ok(())
    }
}

/// Whether a path of the groups is a unit of systemd's (`slice:prefix:name`), as managers with that
/// driver write it.
fn is_unit(path: &str) -> bool {
    path.split(':').count() == 3
}

/// The directory that systemd would make of the unit: the groups are made as files in any case.
fn scope_path(path: &str) -> String {
    let mut parts = path.split(':');
    let (slice, prefix, name) =
        (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let slice = if slice.is_empty() { "system.slice" } else { slice };
    if prefix.is_empty() {
        format!("/{slice}/{name}")
    } else {
        format!("/{slice}/{prefix}-{name}.scope")
    }
}

/// The container's group. A user without privileges who asks for no limit goes without one where
/// none can be made.
fn make_group(path: &str, resources: &Resources) -> Result<Group, Failure> {
    let mut limits = resources.clone();
    limits.devices.clear();
    match Group::create(&Hierarchies::detect()?, path, resources) {
        Err(_) if !box_sys::process::is_root() && limits == Resources::default() => {
            Ok(Group::default())
        }
        made => made,
    }
}

/// Takes what the child tells until it is ready or runs.
fn follow(
    child: &Child,
    plan: &launch::plan::Plan,
    console: Option<&Path>,
) -> Result<Option<OwnedFd>, Failure> {
    let mut terminal = None;
    loop {
        match child.event()? {
            Event::Terminal(control) => match console {
                Some(socket) => send_file(socket, &control)?,
                None => terminal = Some(control),
            },
            Event::Ready | Event::Started => return Ok(terminal),
            Event::Failed { step, error } => return Err(launch::failure(plan, step, error)),
        }
    }
}

/// Sends a terminal's other end, or the process, to who asked for it.
fn send_file(socket: &Path, control: &OwnedFd) -> Result<(), Failure> {
    let stream = UnixStream::connect(socket).map_err(Failure::os(socket.display()))?;
    pass::send_fd(stream.as_fd(), b"/dev/ptmx", control.as_fd())
        .map_err(Failure::os(socket.display()))
}

type Maps = (Vec<super::spec::IdMapping>, Vec<super::spec::IdMapping>);

fn write_maps(pid: i32, (uids, gids): &Maps) -> Result<(), Failure> {
    if box_sys::process::is_root() {
        for (name, maps) in [("uid_map", uids), ("gid_map", gids)] {
            let file = format!("/proc/{pid}/{name}");
            fs::write(&file, launch::id_map_text(maps)).map_err(Failure::os(file))?;
        }
        return Ok(());
    }
    super::rootless::write_maps(pid, uids, gids)
}

fn rootfs(spec: &Spec, bundle: &Path) -> Result<PathBuf, Failure> {
    let root = spec.root.as_ref().ok_or_else(|| Failure::new("root: is missing"))?;
    let path = bundle.join(&root.path);
    let found = box_sys::at::open_dir(&path).map_err(Failure::os(path.display()));
    found.map(|_| path)
}

fn new_network(spec: &Spec) -> bool {
    let mut entries = spec.linux.namespaces.iter();
    entries.any(|entry| entry.kind == "network" && entry.path.is_empty())
}

/// What is kept of the configuration, which the launch uses up.
fn kept(container: &Container, spec: &Spec, bundle: &Path, rootfs: &Path, group: &Group) -> State {
    State {
        id: container.id.clone(),
        bundle: bundle.to_owned(),
        rootfs: rootfs.to_owned(),
        annotations: spec.annotations.clone(),
        created: crate::time::rfc3339(crate::time::now()),
        init: Identity::default(),
        group: group.clone(),
        process: spec.process.clone().unwrap_or_default(),
        seccomp: spec.linux.seccomp.clone(),
        hooks: spec.hooks.clone(),
    }
}

fn write_pid(file: Option<&Path>, pid: i32) -> Result<(), Failure> {
    match file {
        Some(file) => crate::files::replace(file, pid.to_string().as_bytes(), false),
        None => Ok(()),
    }
}

/// `start`.
pub fn start(root: &Path, id: &str) -> Outcome {
    let container = Container::named(root, id)?;
    let state = container.load()?;
    if container.status(&state) != "created" {
        let status = container.status(&state);
        return Err(Failure::new(format!("cannot start a {status} container")).about(id));
    }
    let socket = container.socket();
    let connection = UnixStream::connect(&socket).map_err(Failure::os(socket.display()))?;
    fs::remove_file(&socket).map_err(Failure::os(socket.display()))?;
    if let Some((_, error)) = launch::start_outcome(connection.as_fd())? {
        let name = state.process.args.first().map_or("", String::as_str);
        return Err(launch::program_failure(name, error));
    }
    if !state.hooks.poststart.is_empty() {
        let report = container.report(&state);
        hooks::run("poststart", &state.hooks.poststart, &report).inspect_err(|_| end(&state))?;
    }
    Ok(Exit::DONE)
}

/// Kills a container whose start has failed after all.
fn end(state: &State) {
    state.group.kill();
    if let Some(init) = state.init.open() {
        let _ = pidfd::send_signal(init.as_fd(), libc::SIGKILL);
    }
}

/// `state`.
pub fn state(root: &Path, id: &str) -> Outcome {
    let container = Container::named(root, id)?;
    let state = container.load()?;
    println!("{:#}", container.report(&state));
    Ok(Exit::DONE)
}

/// `kill`.
pub fn kill(root: &Path, args: &KillArgs) -> Outcome {
    let container = Container::named(root, &args.id)?;
    let state = container.load()?;
    let signal = options::signal(&args.signal)
        .ok_or_else(|| Failure::new("unknown signal").about(format!("{:?}", args.signal)))?;
    if args.all {
        if signal == libc::SIGKILL {
            state.group.kill();
            return Ok(Exit::DONE);
        }
        for pid in state.group.pids() {
            if let Ok(process) = pidfd::open(pid) {
                // It may have ended meanwhile.
                let _ = pidfd::send_signal(process.as_fd(), signal);
            }
        }
        return Ok(Exit::DONE);
    }
    let process =
        state.init.open().ok_or_else(|| Failure::new("container not running").about(&args.id))?;
    pidfd::send_signal(process.as_fd(), signal).map_err(Failure::os(&args.id))?;
    if signal == libc::SIGKILL && state.group.is_frozen() {
        // A frozen process cannot die.
        state.group.freeze(false)?;
    }
    Ok(Exit::DONE)
}

/// `delete`.
pub fn delete(root: &Path, args: &DeleteArgs) -> Outcome {
    let container = Container::named(root, &args.id)?;
    let state = match container.load() {
        Err(_) if args.force => {
            if container.folder.exists() {
                container.remove()?;
            }
            return Ok(Exit::DONE);
        }
        state => state?,
    };
    let status = container.status(&state);
    if !args.force && status != "stopped" && status != "created" {
        let reason = format!("cannot delete a {status} container");
        return Err(Failure::new(reason).about(&args.id));
    }
    destroy(&container, &state)?;
    Ok(Exit::DONE)
}

/// How long the kernel may take to end processes that have been killed.
const KILL_MAX: Duration = Duration::from_secs(10);

/// Ends what still runs and removes group and folder.
fn destroy(container: &Container, state: &State) -> Result<(), Failure> {
    let init = state.init.open();
    state.group.kill();
    if let Some(init) = init {
        let _ = pidfd::send_signal(init.as_fd(), libc::SIGKILL);
        pidfd::await_end(init.as_fd(), KILL_MAX.as_millis() as i32)?;
    }
    // A pid namespace ends with its first process: who waits for that need not look for others.
    let end = Instant::now() + KILL_MAX;
    while !state.group.pids().is_empty() && Instant::now() < end {
        state.group.kill();
        std::thread::sleep(Duration::from_millis(1));
    }
    state.group.remove()?;
    container.remove()?;
    if state.hooks.poststop.is_empty() {
        return Ok(());
    }
    let mut report = container.report(state);
    report["status"] = "stopped".into();
    if let Err(failure) = hooks::run("poststop", &state.hooks.poststop, &report) {
        eprintln!("box: container: warning: {failure}");
    }
    Ok(())
}

/// `exec`.
pub fn exec(root: &Path, args: &ExecArgs) -> Outcome {
    own_binary::protect()?;
    let container = Container::named(root, &args.id)?;
    let state = container.load()?;
    match container.status(&state) {
        "stopped" => return Err(Failure::new("container not running").about(&args.id)),
        "paused" if !args.ignore_paused => {
            return Err(Failure::new("cannot exec in a paused container").about(&args.id));
        }
        _ => {}
    }
    let gone = || Failure::new("container not running").about(&args.id);
    let pid = state.init.pid;
    let init = state.init.open().ok_or_else(gone)?;
    let mut process = exec_process(state.process, args)?;
    let join = Join {
        process: init,
        pid,
        streams: [None, None, None],
        filter: None,
        seccomp: state.seccomp,
        allow_own_binary: false,
        keep_files: args.preserve_fds,
    };
    let group = match &args.cgroup {
        Some(below) => state.group.below(below)?,
        None => state.group,
    };
    if process.terminal && args.detach && args.console_socket.is_none() {
        let reason = "a detached process with a terminal needs --console-socket";
        return Err(Failure::new(reason));
    }
    let entered = enter(&mut process, join, &group, args.console_socket.as_deref())?;
    write_pid(args.pid_file.as_deref(), entered.0.pid)?;
    if args.detach {
        return Ok(Exit::DONE);
    }
    let ended = foreground::wait(entered.0.process.as_fd(), entered.1)?;
    Ok(Exit(ended.code()))
}

/// Starts a further process in a container.
pub fn enter(
    process: &mut Process,
    join: Join,
    group: &Group,
    console: Option<&Path>,
) -> Result<(Child, Option<OwnedFd>), Failure> {
    let mut prepared = launch::enter(process, join)?;
    if let Some(pid) = &prepared.pid_namespace {
        namespace::setns(pid.as_fd(), Namespace::Pid).map_err(Failure::os("pid namespace"))?;
    }
    let handle = group.handle()?;
    let cgroup = handle.as_ref().map(AsFd::as_fd);
    let child = launch::spawn(&mut prepared.plan, 0, cgroup).map_err(Failure::os("clone"))?;
    let joined = group.join(child.pid, false).and_then(|()| Ok(child.proceed()?));
    let terminal = joined.and_then(|()| follow(&child, &prepared.plan, console));
    let terminal = terminal.inspect_err(|_| child.abandon())?;
    Ok((child, terminal))
}

/// The process of `exec`: the container's own with what is said otherwise.
fn exec_process(mut process: Process, args: &ExecArgs) -> Result<Process, Failure> {
    if let Some(file) = &args.process {
        let text = fs::read(file).map_err(Failure::os(file.display()))?;
        return serde_json::from_slice(&text)
            .map_err(|error| Failure::new(error).about(file.display()));
    }
    process.terminal = args.tty;
    process.args.clone_from(&args.command);
    for entry in &args.env {
        let name = entry.split('=').next().unwrap_or(entry);
        process.env.retain(|known| known.split('=').next() != Some(name));
        process.env.push(entry.clone());
    }
    if let Some(cwd) = &args.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some(user) = &args.user {
        let (uid, gid) = user.split_once(':').map_or((user.as_str(), None), |(u, g)| (u, Some(g)));
        process.user.uid = number("--user", uid)?;
        process.user.gid = gid.map_or(Ok(process.user.gid), |gid| number("--user", gid))?;
        process.user.additional_gids.clear();
    }
    process.no_new_privileges |= args.no_new_privs;
    if let Some(sets) = &mut process.capabilities {
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.extend(args.cap.iter().cloned());
        }
    }
    Ok(process)
}

/// An id: digits and nothing else, since anything read loosely becomes somebody
/// (CVE-2026-30892).
fn number(about: &str, text: &str) -> Result<u32, Failure> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = if digits { text.parse().ok() } else { None };
    value.ok_or_else(|| Failure::new(format!("not a number: {text:?}")).about(about))
}

/// `list`.
pub fn list(root: &Path, args: &ListArgs) -> Outcome {
    let mut rows = Vec::new();
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    for entry in entries {
        let Ok(container) = Container::named(root, &entry.file_name().to_string_lossy()) else {
            continue;
        };
        if let Ok(state) = container.load() {
            rows.push(container.report(&state));
        }
    }
    rows.sort_by_key(|row| row["id"].as_str().map(str::to_owned));
    let field = |row: &serde_json::Value, name: &str| match &row[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if args.quiet {
        rows.iter().for_each(|row| println!("{}", field(row, "id")));
    } else if args.format == "json" {
        println!("{}", serde_json::Value::Array(rows));
    } else {
        let fields = ["id", "pid", "status", "bundle", "created", "owner"];
        let head = fields.map(|field| field.to_ascii_uppercase());
        let lines = rows.iter().map(|row| fields.map(|name| field(row, name)));
        print!("{}", crate::table::render(&head, lines));
    }
    Ok(Exit::DONE)
}

/// `ps`.
pub fn ps(root: &Path, args: &PsArgs) -> Outcome {
    let state = Container::named(root, &args.id)?.load()?;
    let pids = state.group.pids();
    if args.format == "json" {
        println!("{}", serde_json::json!(pids));
    } else {
        println!("PID");
        pids.iter().for_each(|pid| println!("{pid}"));
    }
    Ok(Exit::DONE)
}

/// `pause` and `resume`.
pub fn freeze(root: &Path, id: &str, frozen: bool) -> Outcome {
    let container = Container::named(root, id)?;
    let state = container.load()?;
    let status = container.status(&state);
    let allowed =
        if frozen { status == "running" || status == "created" } else { status == "paused" };
    if !allowed {
        let verb = if frozen { "pause" } else { "resume" };
        return Err(Failure::new(format!("cannot {verb} a {status} container")).about(id));
    }
    state.group.freeze(frozen)?;
    Ok(Exit::DONE)
}

/// `update`.
pub fn update(root: &Path, args: &UpdateArgs) -> Outcome {
    let state = Container::named(root, &args.id)?.load()?;
    let mut resources = match &args.resources {
        None => Resources::default(),
        Some(file) => {
            let mut text = Vec::new();
            if file.as_os_str() == "-" {
                std::io::stdin().read_to_end(&mut text)?;
            } else {
                text = fs::read(file).map_err(Failure::os(file.display()))?;
            }
            serde_json::from_slice(&text)
                .map_err(|error| Failure::new(error).about(file.display()))?
        }
    };
    let memory = &mut resources.memory;
    memory.limit = args.memory.or(memory.limit);
    memory.swap = args.memory_swap.or(memory.swap);
    resources.pids.limit = args.pids_limit.or(resources.pids.limit);
    memory.reservation = args.memory_reservation.or(memory.reservation);
    let block = &mut resources.block_io;
    block.weight = args.blkio_weight.or(block.weight);
    let cpu = &mut resources.cpu;
    cpu.realtime_period = args.cpu_rt_period.or(cpu.realtime_period);
    cpu.realtime_runtime = args.cpu_rt_runtime.or(cpu.realtime_runtime);
    cpu.burst = args.cpu_burst.or(cpu.burst);
    cpu.idle = args.cpu_idle.or(cpu.idle);
    if let Some(mems) = &args.cpuset_mems {
        cpu.mems.clone_from(mems);
    }
    cpu.shares = args.cpu_share.or(cpu.shares);
    cpu.quota = args.cpu_quota.or(cpu.quota);
    cpu.period = args.cpu_period.or(cpu.period);
    if let Some(cpus) = &args.cpuset_cpus {
        cpu.cpus.clone_from(cpus);
    }
    state.group.limit(&resources)?;
    Ok(Exit::DONE)
}

/// `features` (features.md): what the runtime takes.
pub fn features() -> Outcome {
    let namespaces = ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];
    let capabilities: Vec<_> =
        box_sys::credentials::CAPABILITY_NAMES.iter().map(|name| format!("CAP_{name}")).collect();
    let features = serde_json::json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": super::spec::VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart",
            "poststop"],
        "mountOptions": super::options::MOUNT_OPTIONS,
        "linux": {
            "namespaces": namespaces,
            "capabilities": capabilities,
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false},
            "seccomp": {
                "enabled": true,
                "actions": ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
                    "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                    "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"],
                "operators": ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE",
                    "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"],
                "archs": ["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
            },
            "apparmor": {"enabled": false},
            "selinux": {"enabled": false},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": false},
        },
    });
    println!("{features:#}");
    Ok(Exit::DONE)
}
