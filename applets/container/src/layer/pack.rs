//! Folders into tar archives: a container's files as they are, or what an overlay has changed as a
//! layer of the image format. The same tree makes the same bytes.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use box_sys::at::{self, Resolve, Status};

/// What is said of the entries.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// Whiteouts of overlayfs become those of the image format (layer.md, "Whiteouts").
    pub is_layer: bool,
    /// Paths that are passed over.
    pub without: BTreeSet<String>,
    /// No time is later than this.
    pub latest: Option<i64>,
    /// Everything belongs to this user and group.
    pub owner: Option<(u32, u32)>,
}

/// Writes what is in `folder`; names get `prefix` in front.
pub fn contents(
    folder: BorrowedFd<'_>,
    prefix: &str,
    form: &Form,
    out: impl Write,
) -> io::Result<()> {
    let device = at::status(folder, c"")?.dev;
    let mut pack = Pack { archive: tar::Builder::new(out), links: HashMap::new(), device, form };
    pack.folder(folder, prefix)?;
    pack.archive.into_inner()?.flush()
}

/// Writes the entry `name` of `folder`, called `shown`.
pub fn entry(
    folder: BorrowedFd<'_>,
    name: &CStr,
    shown: &str,
    form: &Form,
    out: impl Write,
) -> io::Result<()> {
    let device = at::status(folder, name)?.dev;
    let mut pack = Pack { archive: tar::Builder::new(out), links: HashMap::new(), device, form };
    pack.entry(folder, name, shown)?;
    pack.archive.into_inner()?.flush()
}

struct Pack<'f, W: Write> {
    archive: tar::Builder<W>,
    /// First names of files that have several.
    links: HashMap<(u64, u64), String>,
    /// The root's file system: what is mounted below it is no part of it.
    device: u64,
    form: &'f Form,
}

impl<W: Write> Pack<'_, W> {
    fn folder(&mut self, folder: BorrowedFd<'_>, path: &str) -> io::Result<()> {
        let mut names = at::entries(folder)?;
        names.sort();
        for name in names {
            let below = format!("{path}{}", name.to_string_lossy());
            if !self.form.without.contains(&below) {
                self.entry(folder, &name, &below)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: &str) -> io::Result<()> {
        let status = at::status(folder, name)?;
        let kind = status.mode & libc::S_IFMT;
        if self.form.is_layer && status.is_char(0, 0) {
            return self.whiteout(path);
        }
        let mut header = self.header(&status);
        if kind != libc::S_IFDIR && status.links > 1 {
            if let Some(first) = self.links.get(&(status.dev, status.ino)) {
                header.set_entry_type(tar::EntryType::Link);
                let first = first.clone();
                return self.archive.append_link(&mut header, path, first);
            }
            self.links.insert((status.dev, status.ino), path.to_owned());
        }
        match kind {
            libc::S_IFDIR => self.directory(folder, name, path, &status, &mut header),
            libc::S_IFREG => {
                let flags = libc::O_RDONLY | libc::O_NOFOLLOW;
                let file = File::from(at::open(folder, name, flags, 0, Resolve::PLAIN)?);
                self.extensions(&status, &at::attributes(file.as_fd())?)?;
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(status.size as u64);
                let content = io::Read::take(file, status.size as u64);
                self.archive.append_data(&mut header, path, content)
            }
            libc::S_IFLNK => {
                self.extensions(&status, &[])?;
                header.set_entry_type(tar::EntryType::Symlink);
                let target = at::read_link(folder, name)?;
                self.archive.append_link(&mut header, path, as_path(&target))
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

    fn directory(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &CStr,
        path: &str,
        status: &Status,
        header: &mut tar::Header,
    ) -> io::Result<()> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let below = at::open(folder, name, flags, 0, Resolve::PLAIN)?;
        let attributes = at::attributes(below.as_fd())?;
        self.extensions(status, &attributes)?;
        header.set_entry_type(tar::EntryType::Directory);
        self.archive.append_data(header, format!("{path}/"), io::empty())?;
        if status.dev != self.device {
            return Ok(());
        }
        let opaque = |(key, value): &(CString, Vec<u8>)| {
            key.as_bytes().ends_with(b"overlay.opaque") && value == b"y"
        };
        if self.form.is_layer && attributes.iter().any(opaque) {
            self.mark(&format!("{path}/.wh..wh..opq"))?;
        }
        self.folder(below.as_fd(), &format!("{path}/"))
    }

    /// What the classic header has no room for (pax: pax(1), "pax Extended Header").
    fn extensions(&mut self, status: &Status, attributes: &[(CString, Vec<u8>)]) -> io::Result<()> {
        let (seconds, nanoseconds) = self.time(status);
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        if nanoseconds != 0 {
            records.push(("mtime".into(), format!("{seconds}.{nanoseconds:09}").into_bytes()));
        }
        for (key, value) in attributes {
            let key = key.to_string_lossy();
            // What overlayfs keeps its own books in means nothing elsewhere.
            if !key.starts_with("trusted.overlay.") && !key.starts_with("user.overlay.") {
                records.push((format!("SCHILY.xattr.{key}"), value.clone()));
            }
        }
        records.sort();
        if records.is_empty() {
            return Ok(());
        }
        let records = records.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        self.archive.append_pax_extensions(records)
    }

    fn whiteout(&mut self, path: &str) -> io::Result<()> {
        match path.rsplit_once('/') {
            Some((above, name)) => self.mark(&format!("{above}/.wh.{name}")),
            None => self.mark(&format!(".wh.{path}")),
        }
    }

    fn mark(&mut self, path: &str) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_mtime(0);
        self.archive.append_data(&mut header, path, io::empty())
    }

    fn time(&self, status: &Status) -> (i64, u32) {
        match self.form.latest {
            Some(latest) if status.modified.0 >= latest => (latest, 0),
            _ => status.modified,
        }
    }

    fn header(&self, status: &Status) -> tar::Header {
        let (uid, gid) = self.form.owner.unwrap_or((status.uid, status.gid));
        let mut header = tar::Header::new_gnu();
        header.set_mode(status.mode & 0o7777);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_mtime(self.time(status).0.max(0) as u64);
        header.set_size(0);
        header
    }
}

fn as_path(target: &CString) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(target.to_bytes()))
}
