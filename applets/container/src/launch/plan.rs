//! What a container's first process does between its birth and its program: a list of [`Step`]s
//! with every string made beforehand, so that the child allocates nothing.
//!
//! A step that fails is named by its place in the list, with the kernel's error number; the parent
//! holds the same list and finds the words ([`Plan::describe`]).

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use box_sys::credentials::{CapabilitySets, Instruction};
use box_sys::mount::Propagation;
use box_sys::namespace::Namespace;
use box_sys::pty::Size;
use box_sys::spawn::{Scheduling, StringArray};

/// A descriptor that steps hand on to each other, by its place in [`Plan::slots`].
pub type Slot = usize;

/// The container's root directory.
pub const ROOT: Slot = 0;
/// The procfs that was mounted for the container.
pub const PROC: Slot = 1;
/// The terminal of the process.
pub const TERMINAL: Slot = 2;
/// The socket on which `start` knocks.
pub const START: Slot = 3;
/// Standard input, output and error.
pub const STDIO: [Slot; 3] = [4, 5, 6];
/// `box` itself, to be executed as the init.
pub const INIT: Slot = 7;
/// What `startContainer` hooks are told.
pub const START_STATE: Slot = 8;
/// Where numbers for other descriptors begin.
pub const FIRST_FREE: Slot = 9;

/// A mount from which a path is resolved.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    pub slot: Slot,
    /// It was mounted empty, and holds what the plan has made in it.
    pub empty: bool,
}

impl Base {
    pub const ROOT: Base = Base { slot: ROOT, empty: false };
}

/// A path below the container's root.
#[derive(Debug)]
pub struct Place {
    /// Without a leading slash; empty for the root itself.
    pub path: CString,
    /// No symbolic link may be on the way: `/proc`, `/sys` and `/dev` are what they say they are.
    pub plain: bool,
    pub base: Base,
    /// How much of `path` leads to the base.
    pub skip: usize,
}

impl Place {
    /// The path from the base.
    pub fn below_base(&self) -> &CStr {
        let bytes = self.path.as_bytes_with_nul().get(self.skip..).unwrap_or(b"\0");
        CStr::from_bytes_with_nul(bytes).unwrap_or(c"")
    }

    /// The name, where the path is an entry of a base other than the root.
    pub fn entry(&self) -> Option<&CStr> {
        let name = self.below_base();
        (self.base.slot != ROOT && !name.is_empty() && !name.to_bytes().contains(&b'/'))
            .then_some(name)
    }
}

/// One thing to do. Paths and names are ready for the kernel.
#[derive(Debug)]
pub enum Step {
    /// Wait until the parent has done its part (id maps; cgroups and network).
    Await,
    /// Enter an existing namespace.
    Join {
        slot: Slot,
        kind: Namespace,
    },
    /// Enter namespaces of the process behind a handle.
    Enter {
        slot: Slot,
        flags: u64,
    },
    /// Enter a new namespace.
    Unshare(Namespace),
    /// Set the clocks of a new time namespace.
    TimeOffsets(CString),
    /// Become the container's root user, once the ids are mapped.
    BecomeRoot,
    NewSession,
    /// Change how mounts travel, from `/` down.
    Propagate {
        kind: Propagation,
        recursive: bool,
    },
    /// Open what is at a path of the machine as a detached tree.
    OpenTree {
        path: CString,
        recursive: bool,
        slot: Slot,
    },
    /// Open `/` of the namespace that was joined.
    OpenRoot,
    /// Mount the tree of slot [`ROOT`] over a directory of the machine.
    AttachRoot {
        at: CString,
    },
    /// Mount a new file system.
    Mount(NewMount),
    /// Mount an opened tree.
    Bind(Bind),
    /// Set attributes of a mount and those below it.
    SetAttributes {
        slot: Slot,
        set: u64,
    },
    /// A device node.
    Device {
        place: Place,
        mode: u32,
        device: u64,
        uid: u32,
        gid: u32,
    },
    /// A symbolic link in `/dev`.
    Symlink {
        target: CString,
        place: Place,
    },
    /// Hide a path behind nothing.
    Mask {
        place: Place,
    },
    /// Make a path read-only.
    ReadOnly {
        place: Place,
    },
    /// Make the whole root read-only.
    ReadOnlyRoot,
    /// Make the root of the mounts be the container's.
    Pivot {
        pivot: bool,
    },
    /// Open a pseudo-terminal, hand its other end to the parent, and make it `/dev/console`.
    Terminal {
        size: Option<Size>,
        console: bool,
        uid: u32,
    },
    /// Give the process its standard streams.
    Stdio {
        uid: u32,
    },
    HostName(CString),
    DomainName(CString),
    /// Write a value below `/proc/sys`.
    Sysctl {
        path: CString,
        value: CString,
    },
    /// Bring up the network devices that the parent has made.
    Network(crate::net::InsideConfig),
    Keyring,
    Limit {
        resource: u32,
        soft: u64,
        hard: u64,
        name: &'static str,
    },
    Personality(u64),
    IoPriority(u32),
    Scheduling(Scheduling),
    Umask(u32),
    /// Enter the directory in which the program starts.
    WorkingDirectory {
        place: Place,
        path: CString,
        create: bool,
    },
    /// See that the program is there.
    FindProgram,
    /// Close what the plan has opened, and keep descriptors from leaking into the program.
    CloseFrom(u32),
    Hook(HookStep),
    Affinity(Vec<u64>),
    /// Report that all is ready, and wait for `start`.
    AwaitStart,
    BoundingSet(u64),
    Groups(Vec<u32>),
    /// Change the user; capabilities outlive it.
    Ids {
        uid: u32,
        gid: u32,
    },
    Capabilities(CapabilitySets),
    NoNewPrivileges,
    Filter {
        program: Vec<Instruction>,
        flags: u64,
    },
    /// Die with the process that watches.
    DieWithParent,
}

/// A new file system.
#[derive(Debug)]
pub struct NewMount {
    pub kind: CString,
    pub options: Vec<(CString, Option<CString>)>,
    pub attributes: u64,
    pub propagation: Option<(Propagation, bool)>,
    pub place: Place,
    /// Keep a handle of it here.
    pub keep: Slot,
}

/// An opened tree.
#[derive(Debug)]
pub struct Bind {
    pub slot: Slot,
    pub place: Place,
    pub set: u64,
    pub clear: u64,
    pub recursive: bool,
    pub propagation: Option<(Propagation, bool)>,
    /// Whether it is a directory, where that is known.
    pub is_directory: Option<bool>,
}

/// A hook that runs in the container's namespaces.
#[derive(Debug)]
pub struct HookStep {
    /// Its kind and place in the configuration, for messages.
    pub name: String,
    pub path: CString,
    pub args: StringArray,
    pub env: StringArray,
    pub timeout_ms: Option<i32>,
    /// A file with the container's state, which is its standard input.
    pub state: Slot,
}

/// The program.
#[derive(Debug)]
pub struct Program {
    /// What the person called it, for messages.
    pub name: String,
    /// The paths to try, in order.
    pub candidates: Vec<CString>,
    pub args: StringArray,
    pub env: StringArray,
    /// Device and inode of `box` itself, which no image may start (CVE-2019-5736).
    pub forbidden: Option<(u64, u64)>,
    /// Start the binary of slot [`INIT`] instead, which starts the program itself.
    pub through_init: bool,
}

/// Everything the child needs.
#[derive(Debug)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub slots: Vec<Option<OwnedFd>>,
    pub program: Program,
    /// Namespaces (handle, flags) that a process in between must enter before the clone: a user
    /// namespace is entered first, and owns what is made after that.
    pub entry: Vec<(OwnedFd, u64)>,
}

/// The number of the step before the first.
pub const ENTRY: usize = u32::MAX as usize;

impl Plan {
    /// What step `number` was about, for a message; the program itself is the last one.
    pub fn describe(&self, number: usize) -> String {
        match self.steps.get(number) {
            _ if number == ENTRY => "enter namespaces".into(),
            Some(step) => describe(step),
            None => format!("exec: {:?}", self.program.name),
        }
    }

    /// Whether step `number` is the search for the program or its start.
    pub fn is_program(&self, number: usize) -> bool {
        number != ENTRY && matches!(self.steps.get(number), None | Some(Step::FindProgram))
    }
}

fn text(path: &CStr) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

fn describe(step: &Step) -> String {
    let inside = |place: &Place| format!("/{}", text(&place.path));
    match step {
        Step::Await => "wait for the parent".into(),
        Step::Join { kind, .. } => format!("join the {} namespace", kind.file_name()),
        Step::Enter { .. } => "enter the container's namespaces".into(),
        Step::TimeOffsets(_) => "set the time offsets".into(),
        Step::SetAttributes { .. } => "set mount attributes".into(),
        Step::Hook(hook) => format!("hook {}", hook.name),
        Step::Affinity(_) => "set the processor affinity".into(),
        Step::Unshare(kind) => format!("new {} namespace", kind.file_name()),
        Step::BecomeRoot => "become root of the user namespace".into(),
        Step::NewSession => "new session".into(),
        Step::Propagate { .. } => "set the propagation of /".into(),
        Step::OpenTree { path, .. } => text(path).into_owned(),
        Step::OpenRoot => "open the container's root".into(),
        Step::AttachRoot { at } => format!("mount the root file system at {}", text(at)),
        Step::Mount(mount) => format!("mount {} at {}", text(&mount.kind), inside(&mount.place)),
        Step::Bind(bind) => format!("bind at {}", inside(&bind.place)),
        Step::Device { place, .. } => format!("device {}", inside(place)),
        Step::Symlink { place, .. } => format!("link {}", inside(place)),
        Step::Mask { place } => format!("mask {}", inside(place)),
        Step::ReadOnly { place } => format!("make {} read-only", inside(place)),
        Step::ReadOnlyRoot => "make the root read-only".into(),
        Step::Pivot { .. } => "pivot to the root file system".into(),
        Step::Terminal { .. } => "open a terminal at /dev/ptmx".into(),
        Step::Stdio { .. } => "set up standard streams".into(),
        Step::HostName(name) => format!("set the host name {:?}", text(name)),
        Step::DomainName(name) => format!("set the domain name {:?}", text(name)),
        Step::Sysctl { path, .. } => format!("/proc/{}", text(path)),
        Step::Network(_) => "configure the network".into(),
        Step::Keyring => "join a session keyring".into(),
        Step::Limit { name, soft, hard, .. } => format!("set {name} to {soft}:{hard}"),
        Step::Personality(_) => "set the personality".into(),
        Step::IoPriority(_) => "set the I/O priority".into(),
        Step::Scheduling(_) => "set the scheduling policy".into(),
        Step::Umask(_) => "set the umask".into(),
        Step::WorkingDirectory { path, .. } => format!("chdir to {}", text(path)),
        Step::FindProgram => "find the program".into(),
        Step::CloseFrom(_) => "close descriptors".into(),
        Step::AwaitStart => "wait for start".into(),
        Step::BoundingSet(_) => "limit the capability bounding set".into(),
        Step::Groups(groups) => format!("set the groups {groups:?}"),
        Step::Ids { uid, gid } => format!("become user {uid}:{gid}"),
        Step::Capabilities(_) => "set capabilities".into(),
        Step::NoNewPrivileges => "set no_new_privs".into(),
        Step::Filter { .. } => "install the seccomp filter".into(),
        Step::DieWithParent => "follow the parent's end".into(),
    }
}
