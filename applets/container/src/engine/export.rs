//! `export`: a container's files as a tar archive, read through its own mount of them.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use box_kit::{Exit, Failure, Outcome};
use box_sys::at::{self, Resolve, Status};

use super::{Engine, container, rootfs, runtime_spec};
use crate::cli::ExportArgs;

/// Writes the archive.
pub fn export(engine: &Engine, args: &ExportArgs) -> Outcome {
    let container = container::find(&engine.store, &args.name)?;
    let root = if container.is_running() {
        runtime_spec::root_of(container.state.init.pid)?
    } else {
        rootfs::mount(engine, &container)?
    };
    let output: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path).map_err(Failure::os(path.display()))?),
        None => Box::new(io::stdout()),
    };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let root = at::open(root.as_fd(), c".", flags, 0, Resolve::IN_ROOT)?;
    let device = at::status(root.as_fd(), c"")?.dev;
    let output = io::BufWriter::with_capacity(128 * 1024, output);
    let mut export = Export { archive: tar::Builder::new(output), links: HashMap::new(), device };
    export.folder(root.as_fd(), "").map_err(Failure::os("export"))?;
    let mut output = export.archive.into_inner().map_err(Failure::os("export"))?;
    output.flush().map_err(Failure::os("export"))?;
    Ok(Exit::DONE)
}

struct Export<W: Write> {
    archive: tar::Builder<W>,
    /// First names of files that have several.
    links: HashMap<(u64, u64), String>,
    /// The root's file system: what is mounted below it is no part of it.
    device: u64,
}

impl<W: Write> Export<W> {
    fn folder(&mut self, folder: BorrowedFd<'_>, path: &str) -> io::Result<()> {
        let mut names = at::entries(folder)?;
        names.sort();
        for name in names {
            let below = format!("{path}{}", name.to_string_lossy());
            self.entry(folder, &name, &below)?;
        }
        Ok(())
    }

    fn entry(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: &str) -> io::Result<()> {
        let status = at::status(folder, name)?;
        let mut header = header(&status);
        let kind = status.mode & libc::S_IFMT;
        if kind != libc::S_IFDIR && status.links > 1 {
            if let Some(first) = self.links.get(&(status.dev, status.ino)) {
                header.set_entry_type(tar::EntryType::Link);
                header.set_size(0);
                let first = first.clone();
                return self.archive.append_link(&mut header, path, first);
            }
            self.links.insert((status.dev, status.ino), path.to_owned());
        }
        match kind {
            libc::S_IFDIR => {
                header.set_entry_type(tar::EntryType::Directory);
                self.archive.append_data(&mut header, format!("{path}/"), io::empty())?;
                if status.dev != self.device {
                    return Ok(());
                }
                let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
                let below = at::open(folder, name, flags, 0, Resolve::PLAIN)?;
                self.folder(below.as_fd(), &format!("{path}/"))
            }
            libc::S_IFREG => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(status.size as u64);
                let flags = libc::O_RDONLY | libc::O_NOFOLLOW;
                let file = File::from(at::open(folder, name, flags, 0, Resolve::PLAIN)?);
                let content = io::Read::take(file, status.size as u64);
                self.archive.append_data(&mut header, path, content)
            }
            libc::S_IFLNK => {
                header.set_entry_type(tar::EntryType::Symlink);
                let target = at::read_link(folder, name)?;
                self.archive.append_link(&mut header, path, text(&target))
            }
            libc::S_IFCHR | libc::S_IFBLK | libc::S_IFIFO => {
                header.set_entry_type(match kind {
                    libc::S_IFCHR => tar::EntryType::Char,
                    libc::S_IFBLK => tar::EntryType::Block,
                    _ => tar::EntryType::Fifo,
                });
                header.set_device_major(libc::major(status.rdev))?;
                header.set_device_minor(libc::minor(status.rdev))?;
                self.archive.append_data(&mut header, path, io::empty())
            }
            // Sockets live as long as who listens on them.
            _ => Ok(()),
        }
    }
}

fn text(target: &CString) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(target.to_bytes()))
}

fn header(status: &Status) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(status.mode & 0o7777);
    header.set_uid(status.uid.into());
    header.set_gid(status.gid.into());
    header.set_mtime(status.modified.0.max(0) as u64);
    header.set_size(0);
    header
}
