//! The child's side: performs the plan and starts the program.
//!
//! Only async-signal-safe calls: no allocation, no lock, no formatting. Buffers are on the stack.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use box_sys::at::{self, Resolve};
use box_sys::credentials;
use box_sys::mount;
use box_sys::{namespace, pass, pty, spawn};

use super::plan::{Bind, INIT, NewMount, PROC, Place, Plan, ROOT, START, STDIO, Step, TERMINAL};
use super::{FAILED, READY, TERMINAL_SENT};

/// What steps hand on to each other.
struct Context<'a> {
    slots: &'a mut [Option<OwnedFd>],
    channel: BorrowedFd<'a>,
    /// The connection of `start`, which hears of what fails after it.
    starter: Option<OwnedFd>,
    program: &'a super::plan::Program,
}

/// Performs the plan; comes back only by ending the process.
pub fn run(plan: &mut Plan, channel: BorrowedFd<'_>) -> ! {
    let Plan { steps, slots, program } = plan;
    let mut context = Context { slots, channel, starter: None, program };
    // A process that is not yet the container's must not be looked into from inside of it.
    let mut outcome = credentials::set_dumpable(false).and_then(|()| spawn::reset_signals());
    let mut number = 0;
    for (place, step) in steps.iter().enumerate() {
        if outcome.is_ok() {
            number = place;
            outcome = perform(step, &mut context);
        }
    }
    let error = match outcome {
        Err(error) => error,
        Ok(()) => {
            number = steps.len();
            start(&context)
        }
    };
    report(&context, number, &error);
    spawn::exit_now(1)
}

/// Tells parent and starter what went wrong.
fn report(context: &Context<'_>, number: usize, error: &io::Error) {
    let mut message = [FAILED; 9];
    message[1..5].copy_from_slice(&(number as u32).to_ne_bytes());
    let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
    message[5..9].copy_from_slice(&errno.to_ne_bytes());
    // Nobody may be listening any more: then the exit code has to do.
    let _ = spawn::write(context.channel, &message);
    if let Some(starter) = &context.starter {
        let _ = spawn::write(starter.as_fd(), &message);
    }
}

fn refusal(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl Context<'_> {
    fn slot(&self, slot: usize) -> io::Result<BorrowedFd<'_>> {
        let file = self.slots.get(slot).and_then(Option::as_ref);
        file.map(AsFd::as_fd).ok_or_else(|| refusal(libc::EBADF))
    }

    fn keep(&mut self, slot: usize, file: OwnedFd) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(file);
        }
    }
}

fn perform(step: &Step, context: &mut Context<'_>) -> io::Result<()> {
    match step {
        Step::Await => await_parent(context.channel),
        Step::Join { slot, kind } => namespace::setns(context.slot(*slot)?, *kind),
        Step::Unshare(kind) => namespace::unshare(kind.flag()),
        Step::BecomeRoot => credentials::set_ids(0, 0),
        Step::NewSession => spawn::new_session(),
        Step::Propagate { kind, recursive } => {
            mount::set_propagation_at(c"/", *kind, *recursive)
        }
        Step::OpenTree { path, recursive, slot } => {
            let tree = mount::clone_tree_at_path(path, *recursive)?;
            context.keep(*slot, tree);
            Ok(())
        }
        Step::OpenRoot => {
            let root = at::handle(c"/")?;
            context.keep(ROOT, root);
            Ok(())
        }
        Step::AttachRoot { at } => {
            let target = at::handle(at)?;
            mount::attach(context.slot(ROOT)?, target.as_fd())
        }
        Step::Mount(new) => new_mount(new, context),
        Step::Bind(bind) => bind_mount(bind, context),
        Step::Device { place, mode, device, uid, gid } => {
            make_device(place, *mode, *device, (*uid, *gid), context)
        }
        Step::Symlink { target, place } => make_symlink(target, place, context),
        Step::Mask { place } => mask(place, context),
        Step::ReadOnly { place } => make_read_only(place, context),
        Step::ReadOnlyRoot => {
            mount::set_attributes(context.slot(ROOT)?, mount::RDONLY, 0, false)
        }
        Step::Pivot { pivot } => change_root(*pivot, context),
        Step::Terminal { size, console, uid } => open_terminal(*size, *console, *uid, context),
        Step::Stdio { uid } => set_streams(*uid, context),
        Step::HostName(name) => spawn::set_host_name(name.to_bytes()),
        Step::DomainName(name) => spawn::set_domain_name(name.to_bytes()),
        Step::Sysctl { path, value } => {
            let proc = context.slot(PROC)?;
            let file = at::open(proc, path, libc::O_WRONLY, 0, Resolve::PLAIN_ONE_MOUNT)?;
            spawn::write(file.as_fd(), value.to_bytes()).map(drop)
        }
        Step::Network(config) => config.apply(),
        Step::Keyring => tolerate(spawn::join_session_keyring(), &[libc::EDQUOT, libc::ENOSYS, libc::EPERM]),
        Step::Limit { resource, soft, hard, .. } => spawn::set_limit(*resource, *soft, *hard),
        Step::Personality(domain) => spawn::set_personality(*domain),
        Step::IoPriority(priority) => spawn::set_io_priority(*priority),
        Step::Scheduling(attributes) => spawn::set_scheduling(attributes),
        Step::Umask(mask) => {
            spawn::set_umask(*mask);
            Ok(())
        }
        Step::WorkingDirectory { place, path, create } => {
            if *create {
                target(place, true, context)?;
            }
            at::change_dir_inside(path)
        }
        Step::FindProgram => find_program(context),
        Step::CloseFrom(first) => spawn::close_on_exec_from(*first),
        Step::AwaitStart => await_start(context),
        Step::BoundingSet(keep) => credentials::limit_bounding_set(*keep),
        Step::Groups(groups) => credentials::set_groups(groups),
        Step::Ids { uid, gid } => change_ids(*uid, *gid),
        Step::Capabilities(sets) => credentials::set_capabilities(sets),
        Step::NoNewPrivileges => credentials::set_no_new_privileges(),
        Step::Filter { program, flags } => credentials::install_filter(program, *flags),
        Step::DieWithParent => spawn::signal_on_parent_end(libc::SIGKILL),
    }
}

fn tolerate(outcome: io::Result<()>, errnos: &[i32]) -> io::Result<()> {
    match outcome {
        Err(error) if error.raw_os_error().is_some_and(|errno| errnos.contains(&errno)) => Ok(()),
        outcome => outcome,
    }
}

/// One byte comes when the parent is done; its end means that it has given up.
fn await_parent(channel: BorrowedFd<'_>) -> io::Result<()> {
    let mut byte = [0];
    match spawn::read(channel, &mut byte)? {
        0 => spawn::exit_now(1),
        _ => Ok(()),
    }
}

/// How links in a place are treated.
fn resolve(place: &Place) -> Resolve {
    if place.plain { Resolve::IN_ROOT_PLAIN } else { Resolve::IN_ROOT }
}

/// A handle of the place, which is made when it is not there: a directory, or an empty file. Every
/// part of the path is resolved by the kernel within the root, so a link in an image leads nowhere
/// else (CVE-2024-45310).
fn target(place: &Place, directory: bool, context: &Context<'_>) -> io::Result<OwnedFd> {
    let root = context.slot(ROOT)?;
    let whole = place.path.to_bytes();
    if whole.is_empty() {
        return at::open(root, c".", libc::O_PATH, 0, Resolve::IN_ROOT);
    }
    match at::open(root, &place.path, libc::O_PATH, 0, resolve(place)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        outcome => return outcome,
    }
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    let room = buffer.get_mut(..whole.len()).ok_or_else(|| refusal(libc::ENAMETOOLONG))?;
    room.copy_from_slice(whole);
    let mut parent = at::open(root, c".", libc::O_PATH, 0, Resolve::IN_ROOT)?;
    let mut start = 0;
    loop {
        let end = buffer[start..whole.len()].iter().position(|byte| *byte == b'/');
        let end = end.map_or(whole.len(), |offset| start + offset);
        let last = end == whole.len();
        buffer[end] = 0;
        let prefix = CStr::from_bytes_until_nul(&buffer).map_err(|_| refusal(libc::EINVAL))?;
        let found = at::open(root, prefix, libc::O_PATH, 0, resolve(place));
        parent = match found {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                let name = CStr::from_bytes_until_nul(&buffer[start..])
                    .map_err(|_| refusal(libc::EINVAL))?;
                make(parent.as_fd(), name, directory || !last)?;
                at::open(root, prefix, libc::O_PATH, 0, resolve(place))?
            }
            found => found?,
        };
        if last {
            return Ok(parent);
        }
        buffer[end] = b'/';
        start = end + 1;
    }
}

fn make(parent: BorrowedFd<'_>, name: &CStr, directory: bool) -> io::Result<()> {
    let made = if directory {
        at::make_dir(parent, name, 0o755)
    } else {
        at::make_node(parent, name, libc::S_IFREG | 0o644, 0)
    };
    tolerate(made, &[libc::EEXIST])
}

/// What may be mounted over in procfs: files that show the container its own limits.
const PROC_FILES: [&[u8]; 10] = [
    b"proc/cpuinfo",
    b"proc/diskstats",
    b"proc/loadavg",
    b"proc/meminfo",
    b"proc/net/dev",
    b"proc/stat",
    b"proc/swaps",
    b"proc/uptime",
    b"proc/slabinfo",
    b"proc/sys/kernel/ns_last_pid",
];

/// A mount over part of procfs could lend the runtime's own writes another target
/// (CVE-2019-16884, CVE-2025-52881).
fn refuse_proc(place: &Place, target: BorrowedFd<'_>) -> io::Result<()> {
    let listed = PROC_FILES.contains(&place.path.to_bytes());
    if !listed && mount::file_system(target)? == mount::PROC_MAGIC {
        return Err(refusal(libc::EPERM));
    }
    Ok(())
}

fn new_mount(new: &NewMount, context: &mut Context<'_>) -> io::Result<()> {
    let configuration = mount::fsopen(&new.kind)?;
    for (key, value) in &new.options {
        mount::fsconfig(configuration.as_fd(), key, value.as_deref())?;
    }
    let tree = mount::fsmount(configuration.as_fd(), new.attributes)?;
    let at = target(&new.place, true, context)?;
    refuse_proc(&new.place, at.as_fd())?;
    mount::attach(tree.as_fd(), at.as_fd())?;
    if let Some((kind, recursive)) = new.propagation {
        mount::set_propagation(tree.as_fd(), kind, recursive)?;
    }
    if let Some(slot) = new.keep {
        context.keep(slot, tree);
    }
    Ok(())
}

fn bind_mount(bind: &Bind, context: &mut Context<'_>) -> io::Result<()> {
    let tree = context.slot(bind.slot)?;
    let directory = at::status(tree, c"")?.is_dir();
    let at = target(&bind.place, directory, context)?;
    refuse_proc(&bind.place, at.as_fd())?;
    if bind.set | bind.clear != 0 {
        mount::set_attributes(tree, bind.set, bind.clear, bind.recursive)?;
    }
    mount::attach(tree, at.as_fd())?;
    if let Some((kind, recursive)) = bind.propagation {
        mount::set_propagation(tree, kind, recursive)?;
    }
    Ok(())
}

/// The directory of a place that is below an existing directory, and the last part of its path.
fn parent_of<'p>(place: &'p Place, context: &Context<'_>) -> io::Result<(OwnedFd, &'p CStr)> {
    let whole = place.path.as_c_str();
    let bytes = whole.to_bytes_with_nul();
    let cut = bytes.iter().rposition(|byte| *byte == b'/');
    let start = cut.map_or(0, |cut| cut + 1);
    let name = CStr::from_bytes_with_nul(&bytes[start..]).map_err(|_| refusal(libc::EINVAL))?;
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    let above = &bytes[..cut.unwrap_or(0)];
    let room = buffer.get_mut(..above.len()).ok_or_else(|| refusal(libc::ENAMETOOLONG))?;
    room.copy_from_slice(above);
    let above = CStr::from_bytes_until_nul(&buffer).map_err(|_| refusal(libc::EINVAL))?;
    let above = if above.is_empty() { c"." } else { above };
    let root = context.slot(ROOT)?;
    match at::open(root, above, libc::O_PATH, 0, resolve(place)) {
        Ok(parent) => Ok((parent, name)),
        Err(error) => Err(error),
    }
}

fn make_device(
    place: &Place,
    mode: u32,
    device: u64,
    owner: (u32, u32),
    context: &Context<'_>,
) -> io::Result<()> {
    let (parent, name) = parent_of(place, context)?;
    let mask = spawn::set_umask(0);
    let made = at::make_node(parent.as_fd(), name, mode, device);
    spawn::set_umask(mask);
    match made {
        Ok(()) if owner != (0, 0) => at::set_owner(parent.as_fd(), name, owner.0, owner.1),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
            let found = at::status(parent.as_fd(), name)?;
            if found.rdev == device && found.is(mode & libc::S_IFMT) { Ok(()) } else { Err(error) }
        }
        // A user namespace may make none: the machine's own node is bound instead.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            bind_device(place, device, context)
        }
        made => made,
    }
}

fn bind_device(place: &Place, device: u64, context: &Context<'_>) -> io::Result<()> {
    let mut path = [0u8; 64];
    let whole = place.path.to_bytes();
    let room = path.get_mut(1..=whole.len()).ok_or_else(|| refusal(libc::EPERM))?;
    room.copy_from_slice(whole);
    path[0] = b'/';
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| refusal(libc::EINVAL))?;
    let tree = mount::clone_tree_at_path(path, false)?;
    if at::status(tree.as_fd(), c"")?.rdev != device {
        return Err(refusal(libc::EPERM));
    }
    let at = target(place, false, context)?;
    mount::attach(tree.as_fd(), at.as_fd())
}

fn make_symlink(link: &CStr, place: &Place, context: &Context<'_>) -> io::Result<()> {
    let (parent, name) = parent_of(place, context)?;
    tolerate(at::make_symlink(link, parent.as_fd(), name), &[libc::EEXIST])
}

/// A handle of the place, or nothing when there is nothing to protect.
fn existing(place: &Place, context: &Context<'_>) -> io::Result<Option<OwnedFd>> {
    match at::open(context.slot(ROOT)?, &place.path, libc::O_PATH, 0, resolve(place)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Files are hidden behind `/dev/null`, which is verified to be it (CVE-2025-31133); directories
/// behind an empty file system.
fn mask(place: &Place, context: &Context<'_>) -> io::Result<()> {
    let Some(at) = existing(place, context)? else { return Ok(()) };
    if at::status(at.as_fd(), c"")?.is_dir() {
        let configuration = mount::fsopen(c"tmpfs")?;
        for (key, value) in [(c"size", c"0"), (c"nr_inodes", c"2"), (c"mode", c"555")] {
            mount::fsconfig(configuration.as_fd(), key, Some(value))?;
        }
        let attributes = mount::RDONLY | mount::NOSUID | mount::NODEV | mount::NOEXEC;
        let empty = mount::fsmount(configuration.as_fd(), attributes)?;
        return mount::attach(empty.as_fd(), at.as_fd());
    }
    let root = context.slot(ROOT)?;
    let null = at::open(root, c"dev/null", libc::O_PATH, 0, Resolve::PLAIN)?;
    let tree = mount::clone_tree(null.as_fd(), c"", false)?;
    if !at::status(tree.as_fd(), c"")?.is_char(1, 3) {
        return Err(refusal(libc::ENODEV));
    }
    mount::attach(tree.as_fd(), at.as_fd())
}

fn make_read_only(place: &Place, context: &Context<'_>) -> io::Result<()> {
    let Some(at) = existing(place, context)? else { return Ok(()) };
    let tree = mount::clone_tree(at.as_fd(), c"", true)?;
    mount::set_attributes(tree.as_fd(), mount::RDONLY, 0, true)?;
    mount::attach(tree.as_fd(), at.as_fd())
}

fn change_root(pivot: bool, context: &Context<'_>) -> io::Result<()> {
    at::change_dir(context.slot(ROOT)?)?;
    if pivot {
        mount::pivot_to_working_directory()?;
        // The old root is now mounted over the new one, and the working directory is the old one.
        mount::set_propagation_at(c".", mount::Propagation::Slave, true)?;
        mount::detach(c".")?;
    } else {
        mount::move_working_directory_to_root()?;
    }
    at::change_dir_inside(c"/")
}

fn open_terminal(
    size: Option<pty::Size>,
    console: bool,
    uid: u32,
    context: &mut Context<'_>,
) -> io::Result<()> {
    let root = context.slot(ROOT)?;
    let (control, terminal) = pty::open(root, c"dev/pts/ptmx")?;
    if let Some(size) = size {
        pty::set_size(control.as_fd(), size)?;
    }
    if uid != 0 {
        at::set_owner(terminal.as_fd(), c"", uid, u32::MAX)?;
    }
    pass::send_fd(context.channel, &[TERMINAL_SENT], control.as_fd())?;
    if console {
        let place = c"dev/console";
        let flags = libc::O_CREAT | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        drop(at::open(root, place, flags, 0o600, Resolve::PLAIN)?);
        let at = at::open(root, place, libc::O_PATH | libc::O_NOFOLLOW, 0, Resolve::PLAIN)?;
        let tree = mount::clone_tree(terminal.as_fd(), c"", false)?;
        mount::attach(tree.as_fd(), at.as_fd())?;
    }
    pty::make_controlling(terminal.as_fd())?;
    for number in 0..3 {
        spawn::duplicate_to(terminal.as_fd(), number)?;
    }
    context.keep(TERMINAL, terminal);
    Ok(())
}

fn set_streams(uid: u32, context: &Context<'_>) -> io::Result<()> {
    for (number, slot) in STDIO.iter().enumerate() {
        let Ok(file) = context.slot(*slot) else { continue };
        spawn::duplicate_to(file, number as i32)?;
        let status = at::status(file, c"")?;
        // A pipe of ours becomes the user's, or /dev/stdout cannot be opened; /dev/null stays.
        if uid != 0 && status.is(libc::S_IFIFO) && status.uid != uid {
            tolerate(at::set_owner(file, c"", uid, u32::MAX), &[libc::EPERM, libc::EINVAL, libc::EROFS])?;
        }
    }
    Ok(())
}

fn change_ids(uid: u32, gid: u32) -> io::Result<()> {
    credentials::keep_capabilities(true)?;
    credentials::set_ids(uid, gid)?;
    if uid != 0 {
        // A change away from root empties the effective set: what is permitted is needed for the
        // filter and for the final sets.
        let permitted = credentials::permitted_capabilities()?;
        credentials::set_capabilities(&credentials::CapabilitySets {
            effective: permitted,
            permitted,
            ..Default::default()
        })?;
    }
    Ok(())
}

fn await_start(context: &mut Context<'_>) -> io::Result<()> {
    spawn::write(context.channel, &[READY])?;
    let starter = pass::accept(context.slot(START)?)?;
    context.starter = Some(starter);
    Ok(())
}

/// The error of a search: `EACCES` when something was there that may not be started.
fn find_program(context: &Context<'_>) -> io::Result<()> {
    let mut error = refusal(libc::ENOENT);
    for candidate in &context.program.candidates {
        match at::status_followed(candidate) {
            Ok(found) if found.is_dir() || found.mode & 0o111 == 0 => {
                error = refusal(libc::EACCES);
            }
            Ok(_) => return Ok(()),
            Err(other) if is_absence(&other) => {}
            Err(other) => error = other,
        }
    }
    Err(error)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}

fn start(context: &Context<'_>) -> io::Error {
    let program = context.program;
    if program.through_init {
        return match context.slot(INIT) {
            Ok(init) => spawn::execute_file(init, &program.args, &program.env),
            Err(error) => error,
        };
    }
    let mut error = refusal(libc::ENOENT);
    for candidate in &program.candidates {
        if let Some(forbidden) = program.forbidden
            && leads_to(candidate, forbidden, 0)
        {
            return refusal(libc::EPERM);
        }
        let failed = spawn::execute(candidate, &program.args, &program.env);
        match failed.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => error = failed,
            _ => return failed,
        }
    }
    error
}

/// How many interpreters of interpreters the kernel follows.
const INTERPRETERS_MAX: u32 = 5;

/// Whether the file, or the interpreter its first line names, is the forbidden one: an image whose
/// program is `/proc/self/exe`, or a script for it, would get hold of the runtime's binary.
fn leads_to(path: &CStr, forbidden: (u64, u64), depth: u32) -> bool {
    if at::status_followed(path).is_ok_and(|file| (file.dev, file.ino) == forbidden) {
        return true;
    }
    let here = at::working_directory();
    let Ok(file) = at::open(here, path, libc::O_RDONLY | libc::O_NONBLOCK, 0, Resolve::ANY) else {
        return false;
    };
    let mut line = [0u8; 257];
    let Ok(length) = spawn::read(file.as_fd(), &mut line[..256]) else { return false };
    let Some(rest) = line[..length].strip_prefix(b"#!") else { return false };
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(first) = rest.iter().position(|byte| !blank(byte)) else { return false };
    let rest = &rest[first..];
    let end = rest.iter().position(|byte| blank(byte) || matches!(byte, b'\n' | 0));
    let (from, to) = (2 + first, 2 + first + end.unwrap_or(rest.len()));
    line[to] = 0;
    match CStr::from_bytes_until_nul(&line[from..]) {
        Ok(interpreter) => depth < INTERPRETERS_MAX && leads_to(interpreter, forbidden, depth + 1),
        Err(_) => false,
    }
}
