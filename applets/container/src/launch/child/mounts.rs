//! The steps that make what the container sees of file systems.
//!
//! What they open stays open: [`super::close_from`] closes it all at once.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use box_sys::at::{self, Resolve};
use box_sys::{mount, spawn};

use super::super::plan::{Bind, NewMount, Place, ROOT};
use super::{Context, refusal, tolerate};

/// How links in a place are treated.
fn resolve(place: &Place) -> Resolve {
    if place.plain { Resolve::IN_ROOT_PLAIN } else { Resolve::IN_ROOT }
}

/// A handle of a path below `base`.
fn open(base: BorrowedFd<'_>, path: &CStr, how: Resolve) -> io::Result<BorrowedFd<'static>> {
    let path = if path.is_empty() { c"." } else { path };
    at::open(base, path, libc::O_PATH, 0, how).map(spawn::until_exec)
}

/// A handle of the place, which is made when it is not there: a directory, or an empty file. Every
/// part of the path is resolved by the kernel within the root, so a link in an image leads nowhere
/// else (CVE-2024-45310).
pub fn target(
    place: &Place,
    directory: bool,
    context: &Context<'_>,
) -> io::Result<BorrowedFd<'static>> {
    let base = context.slot(place.base.slot)?;
    let path = place.below_base();
    match open(base, path, resolve(place)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        outcome => return outcome,
    }
    let whole = path.to_bytes();
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    let room = buffer.get_mut(..whole.len()).ok_or_else(|| refusal(libc::ENAMETOOLONG))?;
    room.copy_from_slice(whole);
    // The longest part that is there, from the end.
    let mut end = whole.len();
    let mut parent = loop {
        end = buffer[..end].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        buffer[end] = 0;
        let prefix = CStr::from_bytes_until_nul(&buffer).map_err(|_| refusal(libc::EINVAL))?;
        match open(base, prefix, resolve(place)) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) && end > 0 => {}
            found => break found?,
        }
    };
    while end < whole.len() {
        let start = if end == 0 { 0 } else { end + 1 };
        room_restore(&mut buffer, whole, end);
        let rest = whole.get(start..).unwrap_or_default();
        let next = rest.iter().position(|byte| *byte == b'/');
        end = next.map_or(whole.len(), |offset| start + offset);
        buffer[end] = 0;
        let name =
            CStr::from_bytes_until_nul(&buffer[start..]).map_err(|_| refusal(libc::EINVAL))?;
        make(parent, name, directory || end < whole.len())?;
        // What was made is no link, unless somebody else has been faster: then it leads within.
        let prefix = CStr::from_bytes_until_nul(&buffer).map_err(|_| refusal(libc::EINVAL))?;
        parent = open(base, prefix, resolve(place))?;
    }
    Ok(parent)
}

/// Puts back the byte that a cut has replaced.
fn room_restore(buffer: &mut [u8], whole: &[u8], at: usize) {
    if let (Some(place), Some(byte)) = (buffer.get_mut(at), whole.get(at)) {
        *place = *byte;
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

/// Attaches a tree to its place.
fn attach(
    tree: BorrowedFd<'_>,
    place: &Place,
    directory: bool,
    context: &Context<'_>,
) -> io::Result<()> {
    if let Some(name) = place.entry().filter(|_| place.base.empty) {
        let base = context.slot(place.base.slot)?;
        make(base, name, directory)?;
        return mount::attach_at(tree, base, name);
    }
    let at = target(place, directory, context)?;
    refuse_proc(place, at)?;
    mount::attach(tree, at)
}

pub fn new_mount(new: &NewMount, context: &mut Context<'_>) -> io::Result<()> {
    let configuration = spawn::until_exec(mount::fsopen(&new.kind)?);
    for (key, value) in &new.options {
        mount::fsconfig(configuration, key, value.as_deref())?;
    }
    let tree = mount::fsmount(configuration, new.attributes)?;
    attach(tree.as_fd(), &new.place, true, context)?;
    if let Some((kind, recursive)) = new.propagation {
        mount::set_propagation(tree.as_fd(), kind, recursive)?;
    }
    context.keep(new.keep, tree);
    Ok(())
}

pub fn bind(bind: &Bind, context: &mut Context<'_>) -> io::Result<()> {
    let tree = context.slot(bind.slot)?;
    let directory = match bind.is_directory {
        Some(known) => known,
        None => at::status(tree, c"")?.is_dir(),
    };
    if bind.set | bind.clear != 0 {
        mount::set_attributes(tree, bind.set, bind.clear, bind.recursive)?;
    }
    attach(tree, &bind.place, directory, context)?;
    if let Some((kind, recursive)) = bind.propagation {
        mount::set_propagation(tree, kind, recursive)?;
    }
    Ok(())
}

/// The directory of a place, and the last part of its path.
fn parent_of<'p>(
    place: &'p Place,
    context: &Context<'_>,
) -> io::Result<(BorrowedFd<'static>, &'p CStr)> {
    let path = place.below_base();
    let bytes = path.to_bytes_with_nul();
    let base = context.slot(place.base.slot)?;
    let Some(cut) = bytes.iter().rposition(|byte| *byte == b'/') else {
        return Ok((open(base, c"", resolve(place))?, path));
    };
    let (above, name) = (&bytes[..cut], &bytes[cut + 1..]);
    let name = CStr::from_bytes_with_nul(name).map_err(|_| refusal(libc::EINVAL))?;
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    let room = buffer.get_mut(..above.len()).ok_or_else(|| refusal(libc::ENAMETOOLONG))?;
    room.copy_from_slice(above);
    let above = CStr::from_bytes_until_nul(&buffer).map_err(|_| refusal(libc::EINVAL))?;
    Ok((open(base, above, resolve(place))?, name))
}

/// Calls `make` with the directory and the name of a place.
fn at_entry<T>(
    place: &Place,
    context: &Context<'_>,
    make: impl FnOnce(BorrowedFd<'_>, &CStr) -> io::Result<T>,
) -> io::Result<T> {
    match place.entry() {
        Some(name) => make(context.slot(place.base.slot)?, name),
        None => {
            let (parent, name) = parent_of(place, context)?;
            make(parent, name)
        }
    }
}

pub fn make_device(
    place: &Place,
    mode: u32,
    device: u64,
    owner: (u32, u32),
    context: &Context<'_>,
) -> io::Result<()> {
    let made =
        at_entry(place, context, |parent, name| match at::make_node(parent, name, mode, device) {
            Ok(()) if owner != (0, 0) => at::set_owner(parent, name, owner.0, owner.1),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                let found = at::status(parent, name)?;
                let same = found.rdev == device && found.is(mode & libc::S_IFMT);
                if same { Ok(()) } else { Err(error) }
            }
            made => made,
        });
    match made {
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
    let tree = spawn::until_exec(mount::clone_tree_at_path(path, false)?);
    if at::status(tree, c"")?.rdev != device {
        return Err(refusal(libc::EPERM));
    }
    let at = target(place, false, context)?;
    mount::attach(tree, at)
}

pub fn make_symlink(link: &CStr, place: &Place, context: &Context<'_>) -> io::Result<()> {
    at_entry(place, context, |parent, name| {
        tolerate(at::make_symlink(link, parent, name), &[libc::EEXIST])
    })
}

/// `None` where there is nothing to protect.
fn existing<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

/// Files are hidden behind `/dev/null`, which is verified to be it (CVE-2025-31133); directories
/// behind an empty file system.
pub fn mask(place: &Place, context: &mut Context<'_>) -> io::Result<()> {
    // An entry of procfs is looked at and mounted over by name: it is no link, and stays.
    if let Some(name) = place.entry() {
        let base = context.slot(place.base.slot)?;
        let Some(found) = existing(at::status(base, name))? else { return Ok(()) };
        let tree = hiding(found.is_dir(), context)?;
        return mount::attach_at(tree.as_fd(), context.slot(place.base.slot)?, name);
    }
    let base = context.slot(place.base.slot)?;
    let Some(at) = existing(open(base, place.below_base(), resolve(place)))? else { return Ok(()) };
    let tree = hiding(at::status(at, c"")?.is_dir(), context)?;
    mount::attach(tree.as_fd(), at)
}

/// A mount that hides something.
fn hiding(directory: bool, context: &mut Context<'_>) -> io::Result<OwnedFd> {
    let known = if directory { context.hiding_directory } else { context.hiding_file };
    let original = match known {
        Some(original) => original,
        None if directory => {
            let configuration = spawn::until_exec(mount::fsopen(c"tmpfs")?);
            for (key, value) in [(c"nr_inodes", c"2"), (c"mode", c"555")] {
                mount::fsconfig(configuration, key, Some(value))?;
            }
            let attributes = mount::RDONLY | mount::NOSUID | mount::NODEV | mount::NOEXEC;
            let empty = mount::fsmount(configuration, attributes)?;
            // It is copied once it is attached: before Linux 6.15 no other can be.
            context.hiding_directory = Some(spawn::until_exec(empty.try_clone()?));
            return Ok(empty);
        }
        None => {
            let null = open(context.slot(ROOT)?, c"dev/null", Resolve::PLAIN)?;
            if !at::status(null, c"")?.is_char(1, 3) {
                return Err(refusal(libc::ENODEV));
            }
            context.hiding_file = Some(null);
            null
        }
    };
    mount::clone_tree(original, c"", false)
}

pub fn make_read_only(place: &Place, context: &Context<'_>) -> io::Result<()> {
    let base = context.slot(place.base.slot)?;
    if let Some(name) = place.entry() {
        let Some(tree) = existing(mount::clone_tree(base, name, true))? else { return Ok(()) };
        mount::set_attributes(tree.as_fd(), mount::RDONLY, 0, true)?;
        return mount::attach_at(spawn::until_exec(tree), base, name);
    }
    let Some(at) = existing(open(base, place.below_base(), resolve(place)))? else { return Ok(()) };
    let tree = spawn::until_exec(mount::clone_tree(at, c"", true)?);
    mount::set_attributes(tree, mount::RDONLY, 0, true)?;
    mount::attach(tree, at)
}

pub fn change_root(pivot: bool, context: &Context<'_>) -> io::Result<()> {
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
