//! The steps that make what a container sees of file systems: its root, mounts, devices, and what
//! is hidden of them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use box_kit::Failure;
use box_sys::at::{self, Resolve};
use box_sys::mount::{self, Propagation};

use super::super::plan::{Base, Bind, NewMount, PROC, Place, ROOT, Slot, Step};
use super::{Builder, bad, c_string, put};
use crate::cgroup::Group;
use crate::oci::options::{self, MountOptions};
use crate::oci::spec::{Device, IdMapping, Linux, Mount, Spec};

/// Where mounts have been made: a path below it can be reached from the mount itself, without a
/// walk from the root. Nobody else has changed what the plan has just made.
#[derive(Default)]
pub struct Mounted(Vec<(String, Option<Base>)>);

impl Mounted {
    fn note(&mut self, path: &Place, base: Option<Base>) {
        self.0.push((path.path.to_string_lossy().into_owned(), base));
    }

    /// The innermost mount above `path`, and the length of what leads to it.
    fn above(&self, path: &str) -> Option<(Base, usize)> {
        let below = |mount: &str| {
            path.strip_prefix(mount).and_then(|rest| rest.strip_prefix('/')).is_some()
        };
        let nearest = self.0.iter().rev().filter(|(mount, _)| below(mount));
        let (mount, base) = nearest.max_by_key(|(mount, _)| mount.len())?;
        Some(((*base)?, mount.len() + 1))
    }
}

/// A path of the container.
pub fn place(path: &str) -> Result<Place, Failure> {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let plain = matches!(parts.first(), Some(&("proc" | "sys" | "dev")));
    Ok(Place { path: c_string(parts.join("/"))?, plain, base: Base::ROOT, skip: 0 })
}

impl Builder {
    /// A path of the container, from the innermost mount that the plan has made.
    pub fn place(&self, path: &str) -> Result<Place, Failure> {
        let mut place = place(path)?;
        let text = place.path.to_string_lossy();
        let found = self.mounted.above(&text).filter(|_| !text.split('/').any(|part| part == ".."));
        if let Some((base, skip)) = found {
            (place.base, place.skip) = (base, skip);
        }
        Ok(place)
    }
}

/// Makes mounts travel no further than they should, and opens the root.
pub fn root_steps(
    spec: &Spec,
    tree: Option<OwnedFd>,
    mount_at: &Path,
    builder: &mut Builder,
) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt;
    let named = options::propagation(&spec.linux.rootfs_propagation).map(|(kind, _)| kind);
    let kind = match named {
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

/// One entry of `mounts`.
pub fn mount_steps(
    mount: Mount,
    linux: &Linux,
    group: &Group,
    builder: &mut Builder,
) -> Result<(), Failure> {
    let place = builder.place(&mount.destination)?;
    let sorted = options::mount(&mount.options);
    let is_bind = mount.kind == "bind" || mount.tree.is_some();
    if let Some(recursive) = sorted.bind.or(is_bind.then_some(false)) {
        return bind_steps(mount, linux, recursive, place, sorted, builder);
    }
    if mount.kind == "cgroup" {
        return cgroup_steps(&mount.destination, sorted.set, group, builder);
    }
    let MountOptions { set, propagation, mut data, .. } = sorted;
    let copies_up = data.iter().any(|option| option == "tmpcopyup");
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
    let kind = c_string(mount.kind.as_str())?;
    let slot = if mount.kind == "proc" { PROC } else { builder.slot(None) };
    builder.mounted.note(&place, base_of(&mount.kind, slot));
    let new = NewMount { kind, options: fields, attributes: set, propagation, place, keep: slot };
    if copies_up && mount.kind == "tmpfs" && builder.source.is_some() {
        return copied_up(new, builder);
    }
    builder.push(Step::Mount(new));
    Ok(())
}

/// A new file system that holds what the root has at its place.
fn copied_up(new: NewMount, builder: &mut Builder) -> Result<(), Failure> {
    let about = || format!("/{}", new.place.path.to_string_lossy());
    let context = mount::fsopen(&new.kind).map_err(Failure::os(about()))?;
    for (key, value) in &new.options {
        mount::fsconfig(context.as_fd(), key, value.as_deref()).map_err(Failure::os(about()))?;
    }
    let tree = mount::fsmount(context.as_fd(), 0).map_err(Failure::os(about()))?;
    if let Some(root) = &builder.source
        && let Ok(from) = open_in_root(root.as_fd(), &new.place)
    {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let to =
            at::open(tree.as_fd(), c".", flags, 0, Resolve::PLAIN).map_err(Failure::os(about()))?;
        crate::layer::copy::contents(from.as_fd(), to.as_fd()).map_err(Failure::os(about()))?;
    }
    builder.mounted.note(&new.place, None);
    builder.slots[new.keep] = Some(tree);
    builder.push(Step::Bind(Bind {
        slot: new.keep,
        place: new.place,
        set: new.attributes,
        clear: 0,
        recursive: false,
        propagation: new.propagation,
        is_directory: Some(true),
    }));
    Ok(())
}

/// What is mounted there may serve as a base where it holds nothing of an image.
fn base_of(kind: &str, slot: Slot) -> Option<Base> {
    match kind {
        "tmpfs" => Some(Base { slot, empty: true }),
        "proc" | "sysfs" => Some(Base { slot, empty: false }),
        _ => None,
    }
}

fn bind_steps(
    mount: Mount,
    linux: &Linux,
    recursive: bool,
    place: Place,
    sorted: MountOptions,
    builder: &mut Builder,
) -> Result<(), Failure> {
    let MountOptions { set, clear, recursive_attributes, propagation, id_map, .. } = sorted;
    let mut tree = mount.tree.map(|tree| tree.try_clone()).transpose()?;
    if let Some(below) = id_map {
        let source = c_string(mount.source.as_str())?;
        let opened = match tree.take() {
            Some(tree) => tree,
            None => {
                mount::clone_tree_at_path(&source, recursive).map_err(Failure::os(&mount.source))?
            }
        };
        let own = |own: &[IdMapping], container: &[IdMapping]| {
            super::super::id_map_text(if own.is_empty() { container } else { own })
        };
        let uids = own(&mount.uid_mappings, &linux.uid_mappings);
        let gids = own(&mount.gid_mappings, &linux.gid_mappings);
        let namespace = box_sys::namespace::user_namespace(&uids, &gids)
            .map_err(Failure::os(format!("id map of {}", mount.destination)))?;
        mount::set_idmap(opened.as_fd(), namespace.as_fd(), below)
            .map_err(Failure::os(format!("id map of {}", mount.destination)))?;
        tree = Some(opened);
    }
    let opened = tree.is_some();
    let slot = builder.slot(tree);
    if !opened {
        builder.push(Step::OpenTree { path: c_string(mount.source)?, recursive, slot });
    }
    builder.mounted.note(&place, None);
    let recursive = recursive_attributes;
    builder.push(Step::Bind(Bind {
        slot,
        place,
        set,
        clear,
        recursive,
        propagation,
        is_directory: None,
    }));
    Ok(())
}

/// What a container sees of its groups: version 2 as a mount of its own, version 1 as a folder
/// with its directory of each hierarchy bound into it.
fn cgroup_steps(
    destination: &str,
    attributes: u64,
    group: &Group,
    builder: &mut Builder,
) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt;
    let at = builder.place(destination)?;
    let bind = |slot, place, set| {
        let is_directory = Some(true);
        Step::Bind(Bind {
            slot,
            place,
            set,
            clear: 0,
            recursive: false,
            propagation: None,
            is_directory,
        })
    };
    if group.v1.is_empty() {
        let Some(directory) = &group.v2 else { return Ok(()) };
        let slot = builder.slot(None);
        let path = c_string(directory.as_os_str().as_bytes())?;
        builder.push(Step::OpenTree { path, recursive: false, slot });
        builder.mounted.note(&at, None);
        builder.push(bind(slot, at, attributes));
        return Ok(());
    }
    let mode = (c_string("mode")?, Some(c_string("755")?));
    let folder = builder.slot(None);
    builder.mounted.note(&at, base_of("tmpfs", folder));
    builder.push(Step::Mount(NewMount {
        kind: c_string("tmpfs")?,
        options: vec![(c_string("source")?, Some(c_string("cgroup")?)), mode],
        attributes: attributes & !mount::RDONLY,
        propagation: None,
        place: at,
        keep: folder,
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
        let place = builder.place(&format!("{destination}/{name}"))?;
        builder.push(bind(slot, place, 0));
    }
    // All of them at once.
    builder.push(Step::SetAttributes { slot: folder, set: attributes });
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

/// The nodes and links of `/dev`.
pub fn device_steps(devices: &[Device], builder: &mut Builder) -> Result<(), Failure> {
    for (path, major, minor) in DEFAULT_DEVICES {
        builder.push(Step::Device {
            place: builder.place(path)?,
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
            place: builder.place(&device.path)?,
            mode: kind | (device.file_mode.unwrap_or(0o666) & 0o7777),
            device: at::device(device.major, device.minor),
            uid: device.uid,
            gid: device.gid,
        });
    }
    for (path, target) in DEFAULT_LINKS {
        builder.push(Step::Symlink { target: c_string(target)?, place: builder.place(path)? });
    }
    Ok(())
}

/// What is hidden and what is made read-only.
pub fn guard_steps(spec: &Spec, builder: &mut Builder) -> Result<(), Failure> {
    for path in &spec.linux.readonly_paths {
        builder.push(Step::ReadOnly { place: builder.place(path)? });
    }
    for path in &spec.linux.masked_paths {
        builder.push(Step::Mask { place: builder.place(path)? });
    }
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        builder.push(Step::ReadOnlyRoot);
    }
    Ok(())
}

/// Whether the mounts hide `/dev` behind a directory of the machine: then nothing is made there.
pub fn binds_dev(steps: &[Step]) -> bool {
    let binds =
        |step: &Step| matches!(step, Step::Bind(bind) if bind.place.path.as_bytes() == b"dev");
    steps.iter().any(binds)
}

/// The directory that a path of the root leads to, for what is copied from there.
fn open_in_root(root: std::os::fd::BorrowedFd<'_>, place: &Place) -> std::io::Result<OwnedFd> {
    at::open(root, &place.path, libc::O_RDONLY | libc::O_DIRECTORY, 0, Resolve::IN_ROOT)
}
