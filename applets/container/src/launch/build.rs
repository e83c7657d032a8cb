//! From a container configuration to the plan of its first process, in the order of events that
//! the runtime specification gives (runtime.md, "Lifecycle").

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use box_kit::Failure;
use box_sys::at;
use box_sys::credentials::{Capabilities, CapabilitySets, capability_number, permitted_capabilities};
use box_sys::mount::Propagation;
use box_sys::namespace::Namespace;
use box_sys::pty::Size;
use box_sys::spawn::{self, Scheduling, StringArray};

use super::plan::{
    Bind, FIRST_FREE, INIT, NewMount, PROC, Place, Plan, Program, ROOT, START, STDIO, Slot, Step,
};
use crate::cgroup::Group;
use crate::oci::options::{self, MountOptions};
use crate::oci::seccomp;
use crate::oci::spec::{CapabilityNames, Device, Mount, Process, Spec};

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
    pub group: &'a Group,
    /// The image's program may be `box` itself, reached through a read-only mount.
    pub allow_own_binary: bool,
    pub die_with_parent: bool,
    pub pivot: bool,
    pub keyring: bool,
    /// Descriptors from 3 on that the program inherits.
    pub keep_files: u32,
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
}

impl Builder {
    fn new() -> Builder {
        let slots = std::iter::repeat_with(|| None).take(FIRST_FREE).collect();
        Builder { steps: Vec::new(), slots }
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

/// A path of the container.
fn place(path: &str) -> Result<Place, Failure> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let plain = matches!(parts.first(), Some(&("proc" | "sys" | "dev")));
    Ok(Place { path: c_string(parts.join("/"))?, plain })
}

/// The plan of a container's first process.
pub fn prepare(spec: &mut Spec, setup: Setup<'_>) -> Result<Prepared, Failure> {
    let mut process = spec.process.take().ok_or_else(|| Failure::new("process: is missing"))?;
    let mut builder = Builder::new();
    let (flags, pid_namespace) = namespaces(spec, &mut builder)?;
    let has = |kind: Namespace| flags & kind.flag() != 0;
    let maps_ids = has(Namespace::User);
    if maps_ids {
        builder.push(Step::Await);
        builder.push(Step::BecomeRoot);
    }
    builder.push(Step::NewSession);
    if setup.keyring {
        builder.push(Step::Keyring);
    }
    root_steps(spec, setup.root, &setup.mount_at, &mut builder)?;
    let cgroups = spec.mounts.iter().position(|mount| mount.kind == "cgroup");
    let mounts = std::mem::take(&mut spec.mounts);
    for (number, mount) in mounts.into_iter().enumerate() {
        // From here on the group has to be the container's own.
        if Some(number) == cgroups {
            join_cgroup(flags, &mut builder);
        }
        mount_steps(mount, setup.group, &mut builder)?;
    }
    let bound_dev = |step: &Step| {
        matches!(step, Step::Bind(bind) if bind.place.path.as_bytes() == b"dev")
    };
    let own_dev = !builder.steps.iter().any(bound_dev);
    if own_dev {
        device_steps(&spec.linux.devices, &mut builder)?;
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
    for path in &spec.linux.readonly_paths {
        builder.push(Step::ReadOnly { place: place(path)? });
    }
    for path in &spec.linux.masked_paths {
        builder.push(Step::Mask { place: place(path)? });
    }
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        builder.push(Step::ReadOnlyRoot);
    }
    if let Some(personality) = &spec.linux.personality {
        builder.push(Step::Personality(options::personality(&personality.domain)?));
    }
    let filter = spec.linux.seccomp.as_ref().map(seccomp::compile).transpose()?;
    // The working directory is made before the root changes hands.
    working_directory(&process, &mut builder)?;
    builder.push(Step::Pivot { pivot: setup.pivot });
    if let Some(root) = &spec.root
        && !spec.linux.rootfs_propagation.is_empty()
    {
        let _ = root;
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
    };
    let program = process_steps(&mut process, tail, &mut builder)?;
    let plan = Plan { steps: builder.steps, slots: builder.slots, program };
    Ok(Prepared { plan, flags: flags & !Namespace::Cgroup.flag(), pid_namespace, maps_ids })
}

/// The container whose namespaces a further process enters.
pub struct Join {
    pub pid: i32,
    pub streams: [Option<OwnedFd>; 3],
    pub seccomp: Option<crate::oci::spec::Seccomp>,
    pub keep_files: u32,
}

/// The plan of a further process in a running container.
pub fn enter(process: &mut Process, join: Join) -> Result<Prepared, Failure> {
    let mut builder = Builder::new();
    let mut pid_namespace = None;
    builder.push(Step::Await);
    for kind in Namespace::ALL {
        let Some(file) = foreign_namespace(join.pid, kind)? else { continue };
        if kind == Namespace::Pid {
            pid_namespace = Some(file);
            continue;
        }
        let slot = builder.slot(Some(file));
        builder.push(Step::Join { slot, kind });
        if kind == Namespace::User {
            builder.push(Step::BecomeRoot);
        }
    }
    builder.push(Step::OpenRoot);
    builder.push(Step::NewSession);
    if process.terminal {
        let size = process.console_size.as_ref();
        let size = size.map(|size| Size { columns: size.width, rows: size.height });
        builder.push(Step::Terminal { size, console: false, uid: process.user.uid });
    }
    let filter = join.seccomp.as_ref().map(seccomp::compile).transpose()?;
    if process.cwd.is_empty() {
        process.cwd = "/".into();
    }
    builder.push(Step::WorkingDirectory {
        place: place(&process.cwd)?,
        path: c_string(process.cwd.as_bytes())?,
        create: false,
    });
    streams(join.streams, process, &mut builder)?;
    let tail = Tail {
        filter,
        waits: false,
        die_with_parent: false,
        keep_files: join.keep_files,
        through_init: false,
        allow_own_binary: true,
    };
    let program = process_steps(process, tail, &mut builder)?;
    let plan = Plan { steps: builder.steps, slots: builder.slots, program };
    Ok(Prepared { plan, flags: 0, pid_namespace, maps_ids: false })
}

/// The namespace of another process, `None` where it is our own.
fn foreign_namespace(pid: i32, kind: Namespace) -> Result<Option<OwnedFd>, Failure> {
    let path = format!("/proc/{pid}/ns/{}", kind.file_name());
    let ours = format!("/proc/self/ns/{}", kind.file_name());
    let file = match File::open(&path) {
        Ok(file) => OwnedFd::from(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::os(path)(error)),
    };
    let theirs = at::status(file.as_fd(), c"").map_err(Failure::os(&path))?;
    let ours = at::status_followed(&c_string(ours)?).map_err(Failure::os(&path))?;
    Ok(((theirs.dev, theirs.ino) != (ours.dev, ours.ino)).then_some(file))
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
            Namespace::User => {
                let reason = "joining a user namespace is not done by this runtime";
                return Err(Failure::new(reason).about("linux.namespaces"));
            }
            kind => {
                let slot = builder.slot(Some(file));
                builder.push(Step::Join { slot, kind });
            }
        }
    }
    Ok((flags, pid))
}

fn root_steps(
    spec: &Spec,
    tree: Option<OwnedFd>,
    mount_at: &Path,
    builder: &mut Builder,
) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt;
    let named = options::propagation(&spec.linux.rootfs_propagation).map(|(kind, _)| kind);
    let kind = match named {
        Some(Propagation::Shared) => Propagation::Slave,
        Some(Propagation::Private) => Propagation::Private,
        _ => Propagation::Slave,
    };
    builder.push(Step::Propagate { kind, recursive: true });
    let at = c_string(mount_at.as_os_str().as_bytes())?;
    let ready = tree.is_some();
    put(builder, ROOT, tree)?;
    if !ready {
        builder.push(Step::OpenTree { path: at.clone(), recursive: true, slot: ROOT });
    }
    builder.push(Step::AttachRoot { at });
    Ok(())
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

fn mount_steps(mount: Mount, group: &Group, builder: &mut Builder) -> Result<(), Failure> {
    let place = place(&mount.destination)?;
    let MountOptions { set, clear, recursive_attributes, propagation, bind, mut data } =
        options::mount(&mount.options);
    if let Some(recursive) = bind.or((mount.kind == "bind" || mount.tree.is_some()).then_some(false)) {
        let opened = mount.tree.is_some();
        let slot = builder.slot(mount.tree);
        if !opened {
            builder.push(Step::OpenTree { path: c_string(mount.source)?, recursive, slot });
        }
        let recursive = recursive_attributes;
        builder.push(Step::Bind(Bind { slot, place, set, clear, recursive, propagation }));
        return Ok(());
    }
    if mount.kind == "cgroup" {
        return cgroup_steps(place, set, group, builder);
    }
    let keep = (mount.kind == "proc").then_some(PROC);
    data.retain(|option| option != "tmpcopyup");
    let mut fields = Vec::new();
    if !mount.source.is_empty() {
        fields.push((c_string("source")?, Some(c_string(mount.source)?)));
    }
    for option in data {
        fields.push(match option.split_once('=') {
            Some((key, value)) => (c_string(key)?, Some(c_string(value)?)),
            None => (c_string(option)?, None),
        });
    }
    let kind = c_string(mount.kind)?;
    let new = NewMount { kind, options: fields, attributes: set, propagation, place, keep };
    builder.push(Step::Mount(new));
    Ok(())
}

/// What a container sees of its groups: version 2 as a mount of its own, version 1 as a folder
/// with its directory of each hierarchy bound into it.
fn cgroup_steps(
    at: Place,
    attributes: u64,
    group: &Group,
    builder: &mut Builder,
) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt;
    let base = at.path.to_string_lossy().into_owned();
    if group.v1.is_empty() {
        let Some(directory) = &group.v2 else { return Ok(()) };
        let slot = builder.slot(None);
        let path = c_string(directory.as_os_str().as_bytes())?;
        builder.push(Step::OpenTree { path, recursive: false, slot });
        let bind =
            Bind { slot, place: at, set: attributes, clear: 0, recursive: false, propagation: None };
        builder.push(Step::Bind(bind));
        return Ok(());
    }
    let mode = (c_string("mode")?, Some(c_string("755")?));
    builder.push(Step::Mount(NewMount {
        kind: c_string("tmpfs")?,
        options: vec![(c_string("source")?, Some(c_string("cgroup")?)), mode],
        attributes: attributes & !box_sys::mount::RDONLY,
        propagation: None,
        place: at,
        keep: None,
    }));
    let named = group.v1.iter().map(|(controllers, directory)| {
        let name = controllers.join(",");
        (name.strip_prefix("name=").unwrap_or(&name).to_owned(), directory)
    });
    let unified = group.v2.iter().map(|directory| ("unified".to_owned(), directory));
    for (name, directory) in named.chain(unified) {
        let slot = builder.slot(None);
        let path = c_string(directory.as_os_str().as_bytes())?;
        builder.push(Step::OpenTree { path, recursive: false, slot });
        let place = place(&format!("{base}/{name}"))?;
        let bind =
            Bind { slot, place, set: attributes, clear: 0, recursive: false, propagation: None };
        builder.push(Step::Bind(bind));
    }
    Ok(())
}

/// Devices that every container has (config-linux.md, "Default Devices"): path, major, minor.
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("dev/null", 1, 3),
    ("dev/zero", 1, 5),
    ("dev/full", 1, 7),
    ("dev/random", 1, 8),
    ("dev/urandom", 1, 9),
    ("dev/tty", 5, 0),
];

/// Links that every container has.
const DEFAULT_LINKS: [(&str, &str); 5] = [
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    ("dev/ptmx", "pts/ptmx"),
];

fn device_steps(devices: &[Device], builder: &mut Builder) -> Result<(), Failure> {
    for (path, major, minor) in DEFAULT_DEVICES {
        builder.push(Step::Device {
            place: place(path)?,
            mode: libc::S_IFCHR | 0o666,
            device: at::device(major, minor),
            uid: 0,
            gid: 0,
        });
    }
    for (number, device) in devices.iter().enumerate() {
        let field = format!("linux.devices[{number}].type");
        let kind = match device.kind.as_str() {
            "c" | "u" => libc::S_IFCHR,
            "b" => libc::S_IFBLK,
            "p" => libc::S_IFIFO,
            other => return Err(bad(&field, other)),
        };
        builder.push(Step::Device {
            place: place(&device.path)?,
            mode: kind | (device.file_mode.unwrap_or(0o666) & 0o7777),
            device: at::device(device.major, device.minor),
            uid: device.uid,
            gid: device.gid,
        });
    }
    for (path, target) in DEFAULT_LINKS {
        builder.push(Step::Symlink { target: c_string(target)?, place: place(path)? });
    }
    Ok(())
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
    Ok(builder.push(Step::WorkingDirectory {
        place: place(&process.cwd)?,
        path: c_string("/")?,
        create: true,
    }))
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

/// What the end of the plan depends on.
struct Tail {
    filter: Option<(Vec<box_sys::credentials::Instruction>, u64)>,
    waits: bool,
    die_with_parent: bool,
    keep_files: u32,
    through_init: bool,
    allow_own_binary: bool,
}

/// From the container's surroundings to the process's own attributes, up to its start. Without
/// no_new_privs the filter goes in before capabilities are given up, since it needs one of them.
fn process_steps(
    process: &mut Process,
    tail: Tail,
    builder: &mut Builder,
) -> Result<Program, Failure> {
    builder.push(Step::WorkingDirectory {
        place: place(&process.cwd)?,
        path: c_string(process.cwd.as_bytes())?,
        create: false,
    });
    for (number, limit) in process.rlimits.iter().enumerate() {
        let field = format!("process.rlimits[{number}].type");
        let (name, resource) =
            options::limit(&limit.kind).ok_or_else(|| bad(&field, &limit.kind))?;
        let (soft, hard) = (limit.soft, limit.hard);
        builder.push(Step::Limit { resource, soft, hard, name });
    }
    if let Some(scheduler) = &process.scheduler {
        builder.push(Step::Scheduling(scheduling(scheduler)?));
    }
    if let Some(priority) = &process.io_priority {
        builder.push(Step::IoPriority(options::io_priority(&priority.class, priority.priority)?));
    }
    builder.push(Step::Umask(process.user.umask.unwrap_or(0o022)));
    builder.push(Step::FindProgram);
    builder.push(Step::CloseFrom(3 + tail.keep_files));
    if tail.waits {
        builder.push(Step::AwaitStart);
    }
    let sets = capability_sets(process.capabilities.as_ref())?;
    builder.push(Step::BoundingSet(sets.bounding));
    builder.push(Step::Groups(std::mem::take(&mut process.user.additional_gids)));
    builder.push(Step::Ids { uid: process.user.uid, gid: process.user.gid });
    let filter = tail.filter.map(|(program, flags)| Step::Filter { program, flags });
    if process.no_new_privileges {
        builder.push(Step::Capabilities(sets));
        builder.push(Step::NoNewPrivileges);
        builder.steps.extend(filter);
    } else {
        builder.steps.extend(filter);
        builder.push(Step::Capabilities(sets));
    }
    if tail.die_with_parent {
        builder.push(Step::DieWithParent);
    }
    program(process, &tail_flags(tail.through_init, tail.allow_own_binary))
}

struct ProgramFlags {
    through_init: bool,
    allow_own_binary: bool,
}

fn tail_flags(through_init: bool, allow_own_binary: bool) -> ProgramFlags {
    ProgramFlags { through_init, allow_own_binary }
}

fn scheduling(scheduler: &crate::oci::spec::Scheduler) -> Result<Scheduling, Failure> {
    Ok(Scheduling {
        policy: options::scheduling_policy(&scheduler.policy)
            .ok_or_else(|| bad("process.scheduler.policy", &scheduler.policy))?,
        nice: scheduler.nice,
        priority: scheduler.priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
        ..Scheduling::default()
    })
}

/// The search path where the environment has none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn program(process: &Process, flags: &ProgramFlags) -> Result<Program, Failure> {
    let name = process.args.first().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Failure::new("names no program").about("process.args"))?.clone();
    let path = process.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    let candidates = if name.contains('/') {
        vec![c_string(name.as_bytes())?]
    } else {
        let folders = path.unwrap_or(DEFAULT_PATH).split(':');
        let folder = |folder: &str| if folder.is_empty() { "." } else { folder }.to_owned();
        folders
            .map(|path| c_string(format!("{}/{name}", folder(path))))
            .collect::<Result<_, _>>()?
    };
    let strings = |list: &[String]| {
        list.iter().map(|text| c_string(text.as_bytes())).collect::<Result<Vec<_>, _>>()
    };
    let mut args = strings(&process.args)?;
    if flags.through_init {
        // `box container init -- PROGRAM ARG...`
        let front = ["box", "container", "init", "--"].map(|word| c_string(word));
        let front = front.into_iter().collect::<Result<Vec<_>, _>>()?;
        args.splice(0..0, front);
    }
    let own = at::status_followed(c"/proc/self/exe").ok().map(|file| (file.dev, file.ino));
    Ok(Program {
        name,
        candidates,
        args: StringArray::new(args),
        env: StringArray::new(strings(&process.env)?),
        forbidden: own.filter(|_| !flags.allow_own_binary),
        through_init: flags.through_init,
    })
}

/// Sets by name. What the caller itself may not do cannot be given.
fn capability_sets(names: Option<&CapabilityNames>) -> Result<CapabilitySets, Failure> {
    let Some(names) = names else { return Ok(CapabilitySets::default()) };
    let ours = permitted_capabilities().map_err(Failure::from)?;
    let set = |field: &str, names: &[String]| -> Result<Capabilities, Failure> {
        let mut set = 0;
        for (number, name) in names.iter().enumerate() {
            let bit = capability_number(name)
                .ok_or_else(|| bad(&format!("process.capabilities.{field}[{number}]"), name))?;
            set |= 1 << bit;
        }
        Ok(set & ours)
    };
    Ok(CapabilitySets {
        bounding: set("bounding", &names.bounding)?,
        effective: set("effective", &names.effective)?,
        inheritable: set("inheritable", &names.inheritable)?,
        permitted: set("permitted", &names.permitted)?,
        ambient: set("ambient", &names.ambient)?,
    })
}
