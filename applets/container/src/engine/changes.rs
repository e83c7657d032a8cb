//! What a container has made of its image: `diff`, `commit`, and `cp` in and out.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use box_kit::{Exit, Failure, Outcome};
use box_sys::at::{self, Resolve};

use super::container::{self, Container};
use super::{Engine, events, images, rootfs, runtime_spec};
use crate::cli::observe::{CommitArgs, CpArgs, DiffArgs};
use crate::image::Config;
use crate::image::reference::Reference;
use crate::layer::{Limits, copy, pack};
use crate::store::archive;

const FOLDER: i32 = libc::O_RDONLY | libc::O_DIRECTORY;

/// Places where something is mounted: what is made there for that is no change of the container's.
fn mount_points(container: &Container) -> BTreeSet<String> {
    let own = ["dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf"];
    let mounts = container.config.mounts.iter().map(|mount| mount.destination.trim_matches('/'));
    own.into_iter().chain(mounts).map(str::to_owned).collect()
}

/// `diff`: `A` added, `C` changed, `D` deleted.
pub fn diff(engine: &Engine, args: &DiffArgs) -> Outcome {
    let container = container::find(&engine.store, &args.name)?;
    let upper = container.folder.join("upper");
    let folder = at::open_dir(&upper).map_err(Failure::os(upper.display()))?;
    let lower = rootfs::lower(engine, &container)?;
    let mut lines = Vec::new();
    let skipped = mount_points(&container);
    changes(folder.as_fd(), "", &lower, &skipped, &mut lines).map_err(Failure::os("diff"))?;
    let mut out = io::stdout().lock();
    for (kind, path) in lines {
        writeln!(out, "{kind} /{path}")?;
    }
    Ok(Exit::DONE)
}

fn changes(
    folder: BorrowedFd<'_>,
    prefix: &str,
    lower: &[PathBuf],
    skipped: &BTreeSet<String>,
    lines: &mut Vec<(char, String)>,
) -> io::Result<()> {
    let mut names = at::entries(folder)?;
    names.sort();
    for name in names {
        let path = format!("{prefix}{}", name.to_string_lossy());
        let status = at::status(folder, &name)?;
        let was_there = is_below(lower, &path);
        if skipped.contains(&path) {
            continue;
        }
        if status.is_char(0, 0) {
            if was_there {
                lines.push(('D', path));
            }
            continue;
        }
        lines.push((if was_there { 'C' } else { 'A' }, path.clone()));
        if status.is_dir() {
            let below = at::open(folder, &name, FOLDER | libc::O_NOFOLLOW, 0, Resolve::PLAIN)?;
            changes(below.as_fd(), &format!("{path}/"), lower, skipped, lines)?;
        }
    }
    Ok(())
}

/// Whether a path is in one of the layers, topmost first, and not hidden by one above it.
fn is_below(lower: &[PathBuf], path: &str) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    for layer in lower {
        let Ok(folder) = at::open_dir(layer) else { continue };
        match at::open(folder.as_fd(), &path, libc::O_PATH | libc::O_NOFOLLOW, 0, Resolve::IN_ROOT)
        {
            Ok(found) => {
                return at::status(found.as_fd(), c"").is_ok_and(|status| !status.is_char(0, 0));
            }
            Err(_) => continue,
        }
    }
    false
}

/// `commit`.
pub fn commit(engine: &Engine, args: &CommitArgs) -> Outcome {
    let container = container::find(&engine.store, &args.name)?;
    let name = args.image.as_deref().map(Reference::parse).transpose()?;
    let frozen = args.pause && container.status() == "running";
    if frozen {
        container.state.group.freeze(true)?;
    }
    let made = commit_layer(engine, &container, args, name.as_ref());
    if frozen {
        container.state.group.freeze(false)?;
    }
    let id = made?;
    println!("{id}");
    events::of_container(&engine.store, &container, "commit", &[]);
    Ok(Exit::DONE)
}

fn commit_layer(
    engine: &Engine,
    container: &Container,
    args: &CommitArgs,
    name: Option<&Reference>,
) -> Result<crate::image::Digest, Failure> {
    let _lease = engine.store.lease()?;
    let config = &container.config;
    if config.rootfs.is_some() || config.builtin {
        return Err(Failure::new("a container without an image of layers cannot be committed")
            .about(&config.name)
            .advise("try: box container export NAME | box container import - IMAGE"));
    }
    let base = engine.store.find(&config.image_id).map(|(_, image)| image)?;
    let upper = container.folder.join("upper");
    let folder = at::open_dir(&upper).map_err(Failure::os(upper.display()))?;
    let form =
        pack::Form { is_layer: true, without: mount_points(container), ..pack::Form::default() };
    let (layer, diff_id) =
        engine.store.add_layer(|out| pack::contents(folder.as_fd(), "", &form, out))?;
    let created = crate::time::rfc3339(crate::time::now());
    let mut image = Config { created: Some(created.clone()), ..base.config };
    let execution = &mut image.config;
    execution.env.clone_from(&config.env);
    execution.user.clone_from(&config.user);
    execution.working_dir.clone_from(&config.cwd);
    execution.labels.clone_from(&config.labels);
    let (entrypoint, cmd) = config.args.split_at(config.entrypoint_length.min(config.args.len()));
    (execution.entrypoint, execution.cmd) = (entrypoint.to_vec(), cmd.to_vec());
    for instruction in &args.change {
        images::change(execution, instruction)?;
    }
    image.rootfs.diff_ids.push(diff_id);
    image.history.push(serde_json::json!({
        "created": created,
        "created_by": config.args.join(" "),
        "author": args.author.clone().unwrap_or_default(),
        "comment": args.message.clone().unwrap_or_default(),
    }));
    let layers = base.manifest.layers.into_iter().chain([layer]).collect();
    archive::add_image(&engine.store, &image, layers, name.cloned(), Limits::default())
}

/// One side of `cp`.
enum Side<'a> {
    Archive,
    Machine(&'a str),
    Container(&'a str, &'a str),
}

impl Side<'_> {
    /// `NAME:PATH`; a path with a slash before the colon is the machine's.
    fn parse(text: &str) -> Side<'_> {
        match text.split_once(':') {
            _ if text == "-" => Side::Archive,
            Some((name, path)) if !name.contains('/') && !name.starts_with('.') => {
                Side::Container(name, path)
            }
            _ => Side::Machine(text),
        }
    }
}

/// A path below a root: the folder it is in, and its name there (empty for the root itself).
struct Spot {
    folder: OwnedFd,
    name: CString,
    shown: String,
    /// What is in it is meant, not it (`DIR/.`).
    contents: bool,
    /// It was written with a slash at its end.
    slash: bool,
}

impl Spot {
    fn is_dir(&self) -> bool {
        self.name.is_empty() || self.open(FOLDER).is_ok()
    }

    fn exists(&self) -> bool {
        self.name.is_empty() || at::status(self.folder.as_fd(), &self.name).is_ok()
    }

    fn open(&self, flags: i32) -> io::Result<OwnedFd> {
        let name: &CStr = if self.name.is_empty() { c"." } else { &self.name };
        at::open(self.folder.as_fd(), name, flags | libc::O_NOFOLLOW, 0, Resolve::PLAIN)
    }

    fn failed(&self, error: io::Error) -> Failure {
        Failure::os(&self.shown)(error)
    }
}

/// Finds a path within a root. Links on the way lead within it; the last part is not followed,
/// unless `follow`.
fn spot(root: &OwnedFd, path: &str, follow: bool) -> Result<Spot, Failure> {
    let trimmed = path.trim_end_matches('/');
    let contents = trimmed == "." || trimmed.ends_with("/.");
    let slash = path.ends_with('/');
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let failed = |error| Failure::os(path)(error);
    let text = |parts: &[&str]| CString::new(parts.join("/")).map_err(Failure::new);
    let open_folder = |parts: &[&str]| -> Result<OwnedFd, Failure> {
        let joined = if parts.is_empty() { c".".to_owned() } else { text(parts)? };
        at::open(root.as_fd(), &joined, FOLDER, 0, Resolve::IN_ROOT).map_err(failed)
    };
    let shown = path.to_owned();
    let whole = || -> Option<OwnedFd> { open_folder(&parts).ok() };
    let is_link_to_folder = (follow || contents || slash) && whole().is_some();
    match parts.split_last() {
        Some((last, above)) if !is_link_to_folder && *last != ".." => {
            let name = CString::new(*last).map_err(Failure::new)?;
            Ok(Spot { folder: open_folder(above)?, name, shown, contents, slash })
        }
        _ => {
            let folder = open_folder(&parts)?;
            Ok(Spot { folder, name: CString::default(), shown, contents, slash })
        }
    }
}

/// A container's files: as its processes see them where it runs.
fn root_of(engine: &Engine, name: &str) -> Result<OwnedFd, Failure> {
    let container = container::find(&engine.store, name)?;
    if container.is_running() {
        return runtime_spec::root_of(container.state.init.pid);
    }
    rootfs::mount(engine, &container)
}

fn machine_root(path: &str) -> Result<(OwnedFd, String), Failure> {
    let root = at::open_dir(Path::new("/")).map_err(Failure::os("/"))?;
    if path.starts_with('/') {
        return Ok((root, path.to_owned()));
    }
    let here = std::env::current_dir().map_err(Failure::os("."))?;
    Ok((root, format!("{}/{path}", here.display())))
}

/// `cp`.
pub fn cp(engine: &Engine, args: &CpArgs) -> Outcome {
    let (source, target) = (Side::parse(&args.source), Side::parse(&args.target));
    // What comes in is root's, what goes out is the caller's, unless all is kept.
    let owner = (!args.archive).then_some((0, 0));
    match (source, target) {
        (Side::Container(name, path), Side::Machine(to)) => {
            let from = spot(&root_of(engine, name)?, path, args.follow_link)?;
            let (root, to) = machine_root(to)?;
            let ids = (!args.archive).then(box_sys::process::ids);
            transfer(&from, path, &spot(&root, &to, true)?, ids)?;
        }
        (Side::Machine(path), Side::Container(name, to)) => {
            let (root, from) = machine_root(path)?;
            let from = spot(&root, &from, args.follow_link)?;
            transfer(&from, path, &spot(&root_of(engine, name)?, to, true)?, owner)?;
        }
        (Side::Container(name, path), Side::Archive) => {
            let from = spot(&root_of(engine, name)?, path, args.follow_link)?;
            to_archive(&from)?;
        }
        (Side::Archive, Side::Container(name, to)) => {
            let to = spot(&root_of(engine, name)?, to, true)?;
            let folder = to.open(FOLDER).map_err(|error| to.failed(error))?;
            crate::layer::extract(io::stdin().lock(), folder, Limits::default())?;
        }
        (Side::Container(..), Side::Container(..)) => {
            return Err(Failure::new("copying between containers is not supported"));
        }
        _ => return Err(Failure::misuse("must specify at least one container source")),
    }
    Ok(Exit::DONE)
}

fn to_archive(from: &Spot) -> Result<(), Failure> {
    let form = pack::Form::default();
    let out = io::BufWriter::new(io::stdout().lock());
    let done = if from.name.is_empty() || from.contents {
        let folder = from.open(FOLDER).map_err(|error| from.failed(error))?;
        pack::contents(folder.as_fd(), "", &form, out)
    } else {
        let shown = from.name.to_string_lossy();
        pack::entry(from.folder.as_fd(), &from.name, &shown, &form, out)
    };
    done.map_err(|error| from.failed(error))
}

/// Docker's rules: into a folder that is there, else as the name that is given.
fn transfer(from: &Spot, path: &str, to: &Spot, owner: Option<(u32, u32)>) -> Result<(), Failure> {
    if !from.exists() {
        return Err(Failure::new("Could not find the file").about(&from.shown));
    }
    let failed = |error: io::Error| to.failed(error);
    let folder_source = from.is_dir();
    if to.exists() && to.is_dir() {
        let into = to.open(FOLDER).map_err(failed)?;
        if folder_source
            && (from.contents || from.name.is_empty() && path.trim_matches('/').is_empty())
        {
            return copy_contents(from, &into, owner).map_err(failed);
        }
        let name = if from.name.is_empty() {
            let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
            CString::new(last).map_err(Failure::new)?
        } else {
            from.name.clone()
        };
        if from.name.is_empty() {
            make_folder(&into, &name).map_err(failed)?;
            let into = at::open(into.as_fd(), &name, FOLDER, 0, Resolve::PLAIN).map_err(failed)?;
            return copy_contents(from, &into, owner).map_err(failed);
        }
        return copy::one(from.folder.as_fd(), &from.name, into.as_fd(), &name, owner)
            .map_err(failed);
    }
    if folder_source {
        if to.exists() {
            return Err(Failure::new("cannot copy directory").about(&to.shown));
        }
        make_folder(&to.folder, &to.name).map_err(failed)?;
        let into = to.open(FOLDER).map_err(failed)?;
        return copy_contents(from, &into, owner).map_err(failed);
    }
    if to.slash {
        return Err(Failure::new("no such directory").about(&to.shown));
    }
    copy::one(from.folder.as_fd(), &from.name, to.folder.as_fd(), &to.name, owner).map_err(failed)
}

fn make_folder(folder: &OwnedFd, name: &CStr) -> io::Result<()> {
    match at::make_dir(folder.as_fd(), name, 0o755) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        outcome => outcome,
    }
}

fn copy_contents(from: &Spot, into: &OwnedFd, owner: Option<(u32, u32)>) -> io::Result<()> {
    let folder = from.open(FOLDER)?;
    for name in at::entries(folder.as_fd())? {
        copy::one(folder.as_fd(), &name, into.as_fd(), &name, owner)?;
    }
    Ok(())
}
