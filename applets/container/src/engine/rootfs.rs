//! The root file system of a container: its image's layers under a folder of its own, as a detached
//! mount that no other process sees.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use box_kit::Failure;
use box_sys::mount;

use super::Engine;
use super::container::Container;

/// Mounts it, detached.
pub fn mount(engine: &Engine, container: &Container) -> Result<OwnedFd, Failure> {
    let config = &container.config;
    if let Some(folder) = config.rootfs.as_ref().filter(|_| config.rootfs_writable) {
        return plain(folder);
    }
    overlay(&lower(engine, container)?, &container.folder, config.auto_remove)
}

/// The folders that its own lies over, topmost first.
pub fn lower(engine: &Engine, container: &Container) -> Result<Vec<PathBuf>, Failure> {
    match &container.config.rootfs {
        Some(folder) => Ok(vec![folder.clone()]),
        None if container.config.builtin => {
            Ok(vec![crate::store::builtin::layer(&engine.store, &engine.links)?])
        }
        None => layers(engine, container),
    }
}

fn layers(engine: &Engine, container: &Container) -> Result<Vec<PathBuf>, Failure> {
    let folder = engine.store.root.join("layers");
    let mut found = Vec::new();
    for id in container.config.layers.iter().rev() {
        let path = folder.join(id).join("diff");
        if !path.exists() {
            return Err(Failure::new("a layer of its image is gone").about(path.display()));
        }
        found.push(path);
    }
    if found.is_empty() {
        let empty = engine.store.root.join("layers/empty");
        std::fs::create_dir_all(&empty).map_err(Failure::os(empty.display()))?;
        found.push(empty);
    }
    Ok(found)
}

fn plain(folder: &Path) -> Result<OwnedFd, Failure> {
    let path = CString::new(folder.as_os_str().as_bytes()).map_err(Failure::new)?;
    mount::clone_tree_at_path(&path, true).map_err(Failure::os(folder.display()))
}

/// The longest value that fsconfig(2) takes.
const VALUE_MAX: usize = 255;

/// A path as a value: through the descriptor of its folder where it is too long.
fn value(path: &Path, open: &mut Vec<OwnedFd>) -> Result<CString, Failure> {
    if path.as_os_str().len() <= VALUE_MAX {
        return CString::new(path.as_os_str().as_bytes()).map_err(Failure::new);
    }
    let folder = File::open(path).map_err(Failure::os(path.display()))?;
    let name = format!("/proc/self/fd/{}", folder.as_raw_fd());
    open.push(folder.into());
    CString::new(name).map_err(Failure::new)
}

/// An overlay of `lower`, topmost first, written to below `folder`.
fn overlay(lower: &[PathBuf], folder: &Path, volatile: bool) -> Result<OwnedFd, Failure> {
    // One layer a call (Linux 6.8) has no limit on their length together. Kernels before 6.5 take
    // any key, and refuse the whole in the end.
    if let Ok(tree) = configure(lower, folder, volatile, true)? {
        return Ok(tree);
    }
    configure(lower, folder, volatile, false)?.map_err(|error| {
        let advice = "an overlay on an overlay, or on a file system without attributes, cannot be \
                      made\ntry: --root DIR on another file system";
        Failure::os("overlay")(error).advise(advice)
    })
}

/// The overlay, or what the kernel has against it.
fn configure(
    lower: &[PathBuf],
    folder: &Path,
    volatile: bool,
    appended: bool,
) -> Result<std::io::Result<OwnedFd>, Failure> {
    let failed = |error| Failure::os("overlay")(error);
    let context = mount::fsopen(c"overlay").map_err(failed)?;
    let set =
        |key: &std::ffi::CStr, value: &CString| mount::fsconfig(context.as_fd(), key, Some(value));
    let mut open = Vec::new();
    set(c"source", &CString::from(c"overlay")).map_err(failed)?;
    if appended {
        for path in lower {
            if let Err(error) = set(c"lowerdir+", &value(path, &mut open)?) {
                return Ok(Err(error));
            }
        }
    } else {
        set(c"lowerdir", &joined(lower, &mut open)?).map_err(failed)?;
    }
    set(c"upperdir", &value(&folder.join("upper"), &mut open)?).map_err(failed)?;
    set(c"workdir", &value(&folder.join("work"), &mut open)?).map_err(failed)?;
    if volatile {
        // What is removed at its end needs no flushing to the disk. Older kernels cannot do that.
        let _ = mount::fsconfig(context.as_fd(), c"volatile", None);
    }
    Ok(mount::fsmount(context.as_fd(), 0))
}

/// All layers in one value, by their descriptors: what older kernels take.
fn joined(lower: &[PathBuf], open: &mut Vec<OwnedFd>) -> Result<CString, Failure> {
    let mut names = Vec::new();
    for path in lower {
        let folder = File::open(path).map_err(Failure::os(path.display()))?;
        names.push(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        open.push(folder.into());
    }
    let joined = names.join(":");
    if joined.len() > VALUE_MAX {
        let reason = format!("{} layers are more than this kernel takes", lower.len());
        return Err(Failure::new(reason));
    }
    CString::new(joined).map_err(Failure::new)
}
