//! The child's side: performs the plan and starts the program.
//!
//! Only async-signal-safe calls: no allocation, no lock, no formatting. Buffers are on the stack.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use box_sys::at::{self, Resolve};
use box_sys::credentials;
use box_sys::mount;
use box_sys::namespace::{self, Cloned};
use box_sys::{pass, pidfd, pty, spawn};

use super::plan::{
    ENTRY, HookStep, INIT, PROC, Plan, ROOT, START, START_STATE, STDIO, Step, TERMINAL,
};
use super::{BORN, FAILED, READY, TERMINAL_SENT};

mod mounts;
mod program;

/// What steps hand on to each other.
struct Context<'a> {
    slots: &'a mut [Option<OwnedFd>],
    channel: BorrowedFd<'a>,
    /// The connection of `start`, which hears of what fails after it.
    starter: Option<OwnedFd>,
    program: &'a super::plan::Program,
    /// Which of the program's candidates is there.
    found: usize,
    /// What hides files and directories, once it has been needed.
    hiding_file: Option<BorrowedFd<'static>>,
    hiding_directory: Option<BorrowedFd<'static>>,
}

/// Performs the plan; comes back only by ending the process.
pub fn run(plan: &mut Plan, ignored: u64, channel: BorrowedFd<'_>) -> ! {
    let Plan { steps, slots, program, .. } = plan;
    let mut context = Context {
        slots,
        channel,
        starter: None,
        program,
        found: 0,
        hiding_file: None,
        hiding_directory: None,
    };
    // A process that is not yet the container's must not be looked into from inside of it.
    let mut outcome = credentials::set_dumpable(false).and_then(|()| spawn::reset_signals(ignored));
    // Modes are meant as they are said.
    spawn::set_umask(0);
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
            program::start(&context)
        }
    };
    report(&context, number, &error);
    spawn::exit_now(1)
}

/// Enters namespaces, the user namespace first, clones the process that performs the plan as a
/// child of the caller's parent, and ends.
pub fn enter_and_clone(plan: &mut Plan, flags: u64, ignored: u64, channel: BorrowedFd<'_>) -> ! {
    let entered = credentials::set_dumpable(false).and_then(|()| {
        for (handle, flags) in &plan.entry {
            namespace::enter(handle.as_fd(), *flags)?;
        }
        credentials::set_ids(0, 0)?;
        namespace::clone_process(flags | namespace::SIBLING, None)
    });
    let mut message = [FAILED; 9];
    message[1..5].copy_from_slice(&(ENTRY as u32).to_ne_bytes());
    match entered {
        Ok(Cloned::Child) => run(plan, ignored, channel),
        Ok(Cloned::Parent { pid, pidfd }) => {
            message[0] = BORN;
            message[5..9].copy_from_slice(&pid.to_ne_bytes());
            let _ = pass::send_fd(channel, &message, pidfd.as_fd());
        }
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
            message[5..9].copy_from_slice(&errno.to_ne_bytes());
            let _ = spawn::write(channel, &message);
        }
    }
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
        Step::Enter { slot, flags } => namespace::enter(context.slot(*slot)?, *flags),
        Step::Unshare(kind) => namespace::unshare(kind.flag()),
        Step::TimeOffsets(text) => {
            let (here, path) = (at::working_directory(), c"/proc/self/timens_offsets");
            let file = at::open(here, path, libc::O_WRONLY, 0, Resolve::ANY)?;
            spawn::write(file.as_fd(), text.to_bytes()).map(drop)
        }
        Step::BecomeRoot => credentials::set_ids(0, 0),
        Step::NewSession => spawn::new_session(),
        Step::Propagate { kind, recursive } => mount::set_propagation_at(c"/", *kind, *recursive),
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
        Step::Mount(new) => mounts::new_mount(new, context),
        Step::Bind(bind) => mounts::bind(bind, context),
        Step::SetAttributes { slot, set } => {
            mount::set_attributes(context.slot(*slot)?, *set, 0, true)
        }
        Step::Device { place, mode, device, uid, gid } => {
            mounts::make_device(place, *mode, *device, (*uid, *gid), context)
        }
        Step::Symlink { target, place } => mounts::make_symlink(target, place, context),
        Step::Mask { place } => mounts::mask(place, context),
        Step::ReadOnly { place } => mounts::make_read_only(place, context),
        Step::ReadOnlyRoot => mount::set_attributes(context.slot(ROOT)?, mount::RDONLY, 0, false),
        Step::Pivot { pivot } => mounts::change_root(*pivot, context),
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
        Step::Keyring => {
            tolerate(spawn::join_session_keyring(), &[libc::EDQUOT, libc::ENOSYS, libc::EPERM])
        }
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
                return mounts::target(place, true, context).map(drop);
            }
            at::change_dir_inside(path)
        }
        Step::FindProgram => program::find(context),
        Step::CloseFrom(first) => close_from(*first, context),
        Step::Hook(hook) => run_hook(hook, context),
        Step::Affinity(set) => spawn::set_affinity(set),
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
            tolerate(
                at::set_owner(file, c"", uid, u32::MAX),
                &[libc::EPERM, libc::EINVAL, libc::EROFS],
            )?;
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

/// Closes what the steps have opened; what is still needed, and what the program does not inherit,
/// closes on exec.
fn close_from(first: u32, context: &mut Context<'_>) -> io::Result<()> {
    spawn::close_on_exec_from(first)?;
    let number = |slot: usize| context.slot(slot).ok().map(|file| file.as_raw_fd() as u32);
    let channel = Some(context.channel.as_raw_fd() as u32);
    let mut kept = [channel, number(START), number(INIT), number(START_STATE)];
    kept.sort_unstable();
    let mut from = first;
    for file in kept.into_iter().flatten().filter(|file| *file >= first) {
        if from < file {
            spawn::close_range(from, file - 1)?;
        }
        from = file + 1;
    }
    spawn::close_range(from, u32::MAX)
}

/// Runs a hook to its end, with the container's state on its standard input.
fn run_hook(hook: &HookStep, context: &Context<'_>) -> io::Result<()> {
    let state = context.slot(hook.state)?;
    box_sys::file::rewind(state)?;
    match namespace::clone_process(0, None)? {
        Cloned::Child => {
            let _ = spawn::duplicate_to(state, 0);
            spawn::execute(&hook.path, &hook.args, &hook.env);
            spawn::exit_now(127)
        }
        Cloned::Parent { pidfd: process, .. } => {
            if !pidfd::await_end(process.as_fd(), hook.timeout_ms.unwrap_or(-1))? {
                pidfd::send_signal(process.as_fd(), libc::SIGKILL)?;
                pidfd::wait(process.as_fd())?;
                return Err(refusal(libc::ETIMEDOUT));
            }
            match pidfd::wait(process.as_fd())? {
                pidfd::Ended::Exited(0) => Ok(()),
                _ => Err(refusal(libc::ECANCELED)),
            }
        }
    }
}
