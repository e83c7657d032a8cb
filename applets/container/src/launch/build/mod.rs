//! From a container configuration to the plan of its first process, in the order of events that
//! the runtime specification gives (runtime.md, "Lifecycle").

mod mounts;
mod process;

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use box_kit::Failure;
use box_sys::at;
use box_sys::namespace::Namespace;
use box_sys::pty::Size;
use box_sys::spawn;

use super::plan::{FIRST_FREE, INIT, Plan, START, START_STATE, STDIO, Slot, Step};
use crate::cgroup::Group;
use crate::oci::options;
use crate::oci::seccomp;
use crate::oci::spec::{Process, Spec};
use mounts::Mounted;
pub use process::DEFAULT_PATH;
use process::Tail;

/// A compiled system call filter and the flags to install it with.
pub type Filter = (Vec<box_sys::credentials::Instruction>, u64);

/// What the configuration does not say.
pub struct Setup<'a> {
    /// The root file system as a detached tree; without one the configuration's path is bound.
    pub root: Option<OwnedFd>,
    /// A directory of the machine over which the root is mounted in the container's namespace.
    pub mount_at: PathBuf,
    /// Standard streams, where they are not the caller's own or a terminal's.
    pub streams: [Option<OwnedFd>; 3],
    /// The socket of `start`; without one the program starts at once.
    pub start: Option<OwnedFd>,
    /// `box` as the container's init.
    pub init: Option<OwnedFd>,
    pub network: Option<crate::net::InsideConfig>,
    /// The system call filter and its flags, where it is not the configuration's.
    pub filter: Option<Filter>,
    pub group: &'a Group,
    /// The image's program may be `box` itself, reached through a read-only mount.
    pub allow_own_binary: bool,
    pub die_with_parent: bool,
    pub pivot: bool,
    pub keyring: bool,
    /// Descriptors from 3 on that the program inherits.
    pub keep_files: u32,
    /// Files with the state that `createContainer` and `startContainer` hooks are told.
    pub hook_states: Option<[OwnedFd; 2]>,
}

/// A plan with what the parent needs to clone for it.
pub struct Prepared {
    pub plan: Plan,
    /// `CLONE_NEW*`.
    pub flags: u64,
    /// An existing pid namespace, which the parent must enter: it counts for children only.
    pub pid_namespace: Option<OwnedFd>,
    /// The child waits for id maps before anything else.
    pub maps_ids: bool,
}

struct Builder {
    steps: Vec<Step>,
    slots: Vec<Option<OwnedFd>>,
    mounted: Mounted,
    /// The root as the parent reaches it, for what is copied from it; not where ids are mapped.
    source: Option<OwnedFd>,
    entry: Vec<(OwnedFd, u64)>,
}

impl Builder {
    fn new() -> Builder {
        let slots = std::iter::repeat_with(|| None).take(FIRST_FREE).collect();
        let (steps, entry) = (Vec::new(), Vec::new());
        Builder { steps, slots, mounted: Mounted::default(), source: None, entry }
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    fn slot(&mut self, file: Option<OwnedFd>) -> Slot {
        self.slots.push(file);
        self.slots.len() - 1
    }
}

/// A C string of outside text.
fn c_string(text: impl Into<Vec<u8>>) -> Result<CString, Failure> {
    CString::new(text).map_err(|error| {
        Failure::new("holds a NUL byte").about(String::from_utf8_lossy(&error.into_vec()))
    })
}

/// The plan of a container's first process.
pub fn prepare(spec: &mut Spec, setup: Setup<'_>) -> Result<Prepared, Failure> {
    let mut process = spec.process.take().ok_or_else(|| Failure::new("process: is missing"))?;
    let mut builder = Builder::new();
    let (flags, pid_namespace) = namespaces(spec, &mut builder)?;
    let has = |kind: Namespace| flags & kind.flag() != 0;
    let maps_ids = has(Namespace::User);
    // Before the change of users: afterwards the file is not the process's own.
    if has(Namespace::Time) {
        builder.push(Step::Unshare(Namespace::Time));
        if !spec.linux.time_offsets.is_empty() {
            builder.push(Step::TimeOffsets(time_offsets(&spec.linux.time_offsets)?));
        }
    }
    if maps_ids {
        builder.push(Step::Await);
        builder.push(Step::BecomeRoot);
    }
    builder.push(Step::NewSession);
    if setup.keyring {
        builder.push(Step::Keyring);
    }
    if !maps_ids && spec.mounts.iter().any(|mount| mount.options.iter().any(|o| o == "tmpcopyup")) {
        builder.source = Some(match &setup.root {
            Some(tree) => tree.try_clone()?,
            None => at::open_dir(&setup.mount_at).map_err(Failure::os(setup.mount_at.display()))?,
        });
    }
    mounts::root_steps(spec, setup.root, &setup.mount_at, &mut builder)?;
    let cgroups = spec.mounts.iter().position(|mount| mount.kind == "cgroup");
    for (number, mount) in std::mem::take(&mut spec.mounts).into_iter().enumerate() {
        // From here on the group has to be the container's own.
        if Some(number) == cgroups {
            join_cgroup(flags, &mut builder);
        }
        mounts::mount_steps(mount, &spec.linux, setup.group, &mut builder)?;
    }
    let own_dev = !mounts::binds_dev(&builder.steps);
    if own_dev {
        mounts::device_steps(&spec.linux.devices, &mut builder)?;
    }
    if cgroups.is_none() {
        join_cgroup(flags, &mut builder);
    }
    if let Some(network) = setup.network {
        builder.push(Step::Network(network));
    }
    identity_steps(spec, has(Namespace::Uts), &mut builder)?;
    if process.terminal {
        let size = process.console_size.as_ref();
        let size = size.map(|size| Size { columns: size.width, rows: size.height });
        builder.push(Step::Terminal { size, console: own_dev, uid: process.user.uid });
    }
    mounts::guard_steps(spec, &mut builder)?;
    if let Some(personality) = &spec.linux.personality {
        builder.push(Step::Personality(options::personality(&personality.domain)?));
    }
    let filter = filter(setup.filter, spec.linux.seccomp.as_ref())?;
    let mut start_hooks = Vec::new();
    if let Some([create, start]) = setup.hook_states {
        let state = builder.slot(Some(create));
        let hooks = process::hook_steps("createContainer", &spec.hooks.create_container, state)?;
        builder.steps.extend(hooks);
        put(&mut builder, START_STATE, Some(start))?;
        let hooks = &spec.hooks.start_container;
        start_hooks = process::hook_steps("startContainer", hooks, START_STATE)?;
    }
    // The working directory is made before the root changes hands.
    working_directory(&process, &mut builder)?;
    builder.push(Step::Pivot { pivot: setup.pivot });
    if !spec.linux.rootfs_propagation.is_empty() {
        let (kind, recursive) = options::propagation(&spec.linux.rootfs_propagation)
            .ok_or_else(|| bad("linux.rootfsPropagation", &spec.linux.rootfs_propagation))?;
        builder.push(Step::Propagate { kind, recursive });
    }
    streams(setup.streams, &process, &mut builder)?;
    let waits = setup.start.is_some();
    put(&mut builder, START, setup.start)?;
    let through_init = setup.init.is_some();
    put(&mut builder, INIT, setup.init)?;
    let tail = Tail {
        filter,
        waits,
        die_with_parent: setup.die_with_parent,
        keep_files: setup.keep_files,
        through_init,
        allow_own_binary: setup.allow_own_binary,
        start_hooks,
    };
    let program = process::process_steps(&mut process, tail, &mut builder)?;
    let plan = Plan { steps: builder.steps, slots: builder.slots, program, entry: builder.entry };
    // These two are entered by a step of their own.
    let flags = flags & !(Namespace::Cgroup.flag() | Namespace::Time.flag());
    Ok(Prepared { plan, flags, pid_namespace, maps_ids })
}

/// The container whose namespaces a further process enters.
pub struct Join {
    /// Its first process.
    pub process: OwnedFd,
    pub pid: i32,
    pub streams: [Option<OwnedFd>; 3],
    /// The system call filter, where it is not `seccomp`.
    pub filter: Option<Filter>,
    pub seccomp: Option<crate::oci::spec::Seccomp>,
    /// The program may be `box` itself: it is what the container is made of.
    pub allow_own_binary: bool,
    pub keep_files: u32,
}

/// The plan of a further process in a running container.
pub fn enter(process: &mut Process, join: Join) -> Result<Prepared, Failure> {
    let mut builder = Builder::new();
    let mut pid_namespace = None;
    let mut all = Namespace::ALL.iter().fold(0, |flags, kind| flags | kind.flag());
    // The latest of them, which kernels are built without.
    if at::status_followed(c"/proc/self/ns/time").is_err() {
        all &= !Namespace::Time.flag();
    }
    if has_own_users(join.pid)? {
        builder.entry.push((join.process, all));
    } else {
        let inside = all & !(Namespace::User.flag() | Namespace::Pid.flag());
        pid_namespace = Some(join.process.try_clone()?);
        let slot = builder.slot(Some(join.process));
        builder.push(Step::Enter { slot, flags: inside });
    }
    builder.push(Step::Await);
    builder.push(Step::OpenRoot);
    builder.push(Step::NewSession);
    if process.terminal {
        let size = process.console_size.as_ref();
        let size = size.map(|size| Size { columns: size.width, rows: size.height });
        builder.push(Step::Terminal { size, console: false, uid: process.user.uid });
    }
    let filter = filter(join.filter, join.seccomp.as_ref())?;
    if process.cwd.is_empty() {
        process.cwd = "/".into();
    }
    streams(join.streams, process, &mut builder)?;
    let tail = Tail {
        filter,
        waits: false,
        die_with_parent: false,
        keep_files: join.keep_files,
        through_init: false,
        allow_own_binary: join.allow_own_binary,
        start_hooks: Vec::new(),
    };
    let program = process::process_steps(process, tail, &mut builder)?;
    let plan = Plan { steps: builder.steps, slots: builder.slots, program, entry: builder.entry };
    Ok(Prepared { plan, flags: 0, pid_namespace, maps_ids: false })
}

fn filter(
    ready: Option<Filter>,
    configured: Option<&crate::oci::spec::Seccomp>,
) -> Result<Option<Filter>, Failure> {
    match ready {
        Some(filter) => Ok(Some(filter)),
        None => configured.map(seccomp::compile).transpose(),
    }
}

/// Whether a process is in a user namespace that is not ours.
fn has_own_users(pid: i32) -> Result<bool, Failure> {
    let key = |path: String| -> Result<(u64, u64), Failure> {
        let file = at::status_followed(&c_string(path.as_str())?).map_err(Failure::os(path))?;
        Ok((file.dev, file.ino))
    };
    Ok(key(format!("/proc/{pid}/ns/user"))? != key("/proc/self/ns/user".into())?)
}

/// The text of `/proc/PID/timens_offsets` (time_namespaces(7)).
fn time_offsets(
    offsets: &std::collections::BTreeMap<String, crate::oci::spec::TimeOffset>,
) -> Result<CString, Failure> {
    let mut text = String::new();
    for (clock, offset) in offsets {
        if clock != "monotonic" && clock != "boottime" {
            return Err(bad("linux.timeOffsets", clock));
        }
        text.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
    }
    c_string(text)
}

fn bad(field: &str, value: &str) -> Failure {
    Failure::new(format!("not a known value: {value:?}")).about(field)
}

/// The namespaces: those to make as flags, those to join as steps.
fn namespaces(spec: &Spec, builder: &mut Builder) -> Result<(u64, Option<OwnedFd>), Failure> {
    let mut flags = 0;
    let mut joined = Vec::new();
    for (number, entry) in spec.linux.namespaces.iter().enumerate() {
        let field = format!("linux.namespaces[{number}].type");
        let kind = options::namespace(&entry.kind).ok_or_else(|| bad(&field, &entry.kind))?;
        if flags & kind.flag() != 0 || joined.iter().any(|(known, _)| *known == kind) {
            return Err(Failure::new(format!("named twice: {:?}", entry.kind)).about(field));
        }
        if entry.path.is_empty() {
            flags |= kind.flag();
        } else {
            let file = File::open(&entry.path).map_err(Failure::os(&entry.path))?;
            joined.push((kind, OwnedFd::from(file)));
        }
    }
    if flags & Namespace::Mount.flag() == 0 {
        return Err(Failure::new("a new mount namespace is needed").about("linux.namespaces"));
    }
    let mut pid = None;
    joined.sort_by_key(|(kind, _)| Namespace::ALL.iter().position(|known| known == kind));
    for (kind, file) in joined {
        match kind {
            Namespace::Pid => pid = Some(file),
            Namespace::User => builder.entry.push((file, kind.flag())),
            kind => {
                let slot = builder.slot(Some(file));
                builder.push(Step::Join { slot, kind });
            }
        }
    }
    if !builder.entry.is_empty()
        && let Some(pid) = pid.take()
    {
        builder.entry.push((pid, Namespace::Pid.flag()));
    }
    Ok((flags, pid))
}

/// Puts a file in its slot, with a number that the standard streams cannot take.
fn put(builder: &mut Builder, slot: Slot, file: Option<OwnedFd>) -> Result<(), Failure> {
    if let Some(file) = file {
        let high = spawn::duplicate_above(file.as_fd(), 3).map_err(Failure::from)?;
        builder.slots[slot] = Some(high);
    }
    Ok(())
}

/// The parent has put the child into its groups: now they can become the root of what it sees.
fn join_cgroup(flags: u64, builder: &mut Builder) {
    builder.push(Step::Await);
    if flags & Namespace::Cgroup.flag() != 0 {
        builder.push(Step::Unshare(Namespace::Cgroup));
    }
}

fn identity_steps(spec: &Spec, own_uts: bool, builder: &mut Builder) -> Result<(), Failure> {
    if !spec.hostname.is_empty() {
        if !own_uts {
            let reason = "needs a new uts namespace";
            return Err(Failure::new(reason).about("hostname"));
        }
        builder.push(Step::HostName(c_string(spec.hostname.as_bytes())?));
    }
    if !spec.domainname.is_empty() {
        builder.push(Step::DomainName(c_string(spec.domainname.as_bytes())?));
    }
    for (name, value) in &spec.linux.sysctl {
        let path = format!("sys/{}", name.replace('.', "/"));
        builder.push(Step::Sysctl { path: c_string(path)?, value: c_string(value.as_bytes())? });
    }
    Ok(())
}

fn working_directory(process: &Process, builder: &mut Builder) -> Result<(), Failure> {
    if !process.cwd.starts_with('/') {
        return Err(Failure::new("must be an absolute path").about("process.cwd"));
    }
    let place = builder.place(&process.cwd)?;
    if !place.path.is_empty() {
        builder.push(Step::WorkingDirectory { place, path: c_string("/")?, create: true });
    }
    Ok(())
}

fn streams(
    streams: [Option<OwnedFd>; 3],
    process: &Process,
    builder: &mut Builder,
) -> Result<(), Failure> {
    for (slot, stream) in STDIO.into_iter().zip(streams) {
        put(builder, slot, stream)?;
    }
    if !process.terminal {
        builder.push(Step::Stdio { uid: process.user.uid });
    }
    Ok(())
}
