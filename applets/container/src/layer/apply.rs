//! Applies an archive to a folder that becomes an overlayfs layer.
//!
//! The archive is not trusted. Every operation takes a directory descriptor and one component of a
//! path; components are opened one after the other, and a link on the way is resolved by the kernel
//! with the layer as its root, so that no entry leads out of it. Whiteouts of the image format
//! become overlayfs's own: `.wh.NAME` a character device 0:0, `.wh..wh..opq` an attribute of the
//! folder (image-spec layer.md, "Whiteouts"; kernel Documentation/filesystems/overlayfs).

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use box_kit::Failure;
use box_sys::at::{self, Resolve};

use super::Limits;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const OPAQUE_ATTRIBUTE: &CStr = c"trusted.overlay.opaque";

/// What an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    /// The lowest layer: there is nothing for it to hide.
    Base,
    Layer,
    /// No layer: names like those of whiteouts are names.
    Plain,
}

/// Applies every entry.
pub fn apply<R: Read>(
    archive: &mut tar::Archive<R>,
    root: OwnedFd,
    kind: Archive,
    limits: Limits,
) -> Result<(), Failure> {
    let mut applier =
        Applier { root, kind, limits, left: limits, folder_times: HashMap::new(), parent: None };
    applier.entries(archive)
}

/// What an entry says of itself beside its content.
struct Attributes {
    uid: u32,
    gid: u32,
    mode: u32,
    seconds: i64,
    nanoseconds: u32,
    extended: Vec<(CString, Vec<u8>)>,
}

struct Applier {
    root: OwnedFd,
    kind: Archive,
    limits: Limits,
    left: Limits,
    /// A folder's time is set last: what is put into it changes it.
    folder_times: HashMap<Vec<u8>, (i64, u32)>,
    /// The folder of the entry before, since most entries are its siblings.
    parent: Option<(Vec<u8>, OwnedFd)>,
}

fn c_name(name: &[u8]) -> io::Result<CString> {
    CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// The components of an entry's path; `None` for one that would leave the layer.
fn components(path: &[u8]) -> Option<Vec<&[u8]>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    let parts: Vec<_> = parts.collect();
    let fine = |part: &&[u8]| *part != b".." && !part.contains(&0) && part.len() <= 255;
    parts.iter().all(fine).then_some(parts)
}

impl Applier {
    fn entries<R: Read>(&mut self, archive: &mut tar::Archive<R>) -> Result<(), Failure> {
        for entry in archive.entries().map_err(Failure::os("archive"))? {
            let mut entry = entry.map_err(Failure::os("archive"))?;
            let path = entry.path_bytes().into_owned();
            let name = String::from_utf8_lossy(&path).into_owned();
            self.left.entries =
                self.left.entries.checked_sub(1).ok_or_else(|| super::too_large(self.limits))?;
            let parts = components(&path)
                .ok_or_else(|| Failure::new("not a path below the root").about(&name))?;
            self.entry(&mut entry, &parts).map_err(|failure| {
                failure.map_or_else(|failure| failure, |error| Failure::os(&name)(error))
            })?;
        }
        for (path, (seconds, nanoseconds)) in std::mem::take(&mut self.folder_times) {
            let parts = components(&path).unwrap_or_default();
            // A later entry may have replaced the folder.
            if let Some((last, above)) = parts.split_last()
                && let Ok(parent) = self.open_parent(above)
            {
                let name = c_name(last).map_err(Failure::from)?;
                let _ = at::set_times(parent.as_fd(), &name, seconds, nanoseconds);
            }
        }
        Ok(())
    }

    fn entry<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        parts: &[&[u8]],
    ) -> Result<(), Trouble> {
        use tar::EntryType as Kind;
        let kind = entry.header().entry_type();
        if matches!(kind, Kind::XGlobalHeader) {
            return Ok(());
        }
        let attributes = attributes(entry)?;
        let Some((name, above)) = parts.split_last() else {
            return self.root_entry(&attributes).map_err(Trouble::from);
        };
        let parent = self.open_parent(above)?;
        if let Some(hidden) = name.strip_prefix(WHITEOUT).filter(|_| self.kind != Archive::Plain) {
            return self.whiteout(parent.as_fd(), name, hidden, above).map_err(Trouble::from);
        }
        let name = c_name(name)?;
        match kind {
            Kind::Directory => {
                self.folder(parent.as_fd(), &name, &attributes)?;
                let time = (attributes.seconds, attributes.nanoseconds);
                self.folder_times.insert(parts.join(&b'/'), time);
                return Ok(());
            }
            Kind::Regular | Kind::Continuous | Kind::GNUSparse => {
                self.make_room(parent.as_fd(), &name)?;
                return self.file(parent.as_fd(), &name, entry, &attributes);
            }
            Kind::Link => return self.hard_link(parent.as_fd(), &name, entry),
            _ => {}
        }
        match kind {
            Kind::Symlink => {
                let target = entry.link_name_bytes();
                let target = target.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
                self.make_room(parent.as_fd(), &name)?;
                at::make_symlink(&c_name(&target)?, parent.as_fd(), &name)?;
            }
            Kind::Char | Kind::Block | Kind::Fifo => {
                self.make_room(parent.as_fd(), &name)?;
                node(parent.as_fd(), &name, kind, entry.header(), attributes.mode)?;
            }
            // What is neither content nor link: nothing to unpack.
            _ => return Ok(()),
        }
        adorn(parent.as_fd(), &name, &attributes, kind != Kind::Symlink)?;
        Ok(())
    }

    /// The root itself: `./`.
    fn root_entry(&self, attributes: &Attributes) -> io::Result<()> {
        at::set_owner(self.root.as_fd(), c"", attributes.uid, attributes.gid)?;
        at::set_mode(self.root.as_fd(), attributes.mode)
    }

    /// The folder of an entry, made where the archive has not named it.
    fn open_parent(&mut self, parts: &[&[u8]]) -> io::Result<OwnedFd> {
        let path = parts.join(&b'/');
        if let Some((known, folder)) = &self.parent
            && *known == path
        {
            return folder.try_clone();
        }
        let mut folder = self.root.try_clone()?;
        for (depth, part) in parts.iter().enumerate() {
            let prefix = parts.get(..=depth).unwrap_or_default().join(&b'/');
            folder = self.open_component(folder.as_fd(), part, &prefix)?;
        }
        self.parent = Some((path, folder.try_clone()?));
        Ok(folder)
    }

    fn open_component(
        &self,
        folder: BorrowedFd<'_>,
        part: &[u8],
        prefix: &[u8],
    ) -> io::Result<OwnedFd> {
        let name = c_name(part)?;
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        match at::open(folder, &name, flags, 0, Resolve::PLAIN) {
            Err(error) if errno(&error) == libc::ENOENT => {
                at::make_dir(folder, &name, 0o755)?;
                return at::open(folder, &name, flags | libc::O_DIRECTORY, 0, Resolve::PLAIN);
            }
            Err(error) if errno(&error) != libc::ELOOP => return Err(error),
            Ok(found) => {
                let status = at::status(found.as_fd(), c"")?;
                if status.is_dir() {
                    return Ok(found);
                }
                if status.is_char(0, 0) {
                    // Hidden before, and made anew now: nothing of the layers below shows in it.
                    at::remove(folder, &name, false)?;
                    at::make_dir(folder, &name, 0o755)?;
                    at::set_attribute(folder, &name, OPAQUE_ATTRIBUTE, b"y")?;
                    return at::open(folder, &name, flags | libc::O_DIRECTORY, 0, Resolve::PLAIN);
                }
            }
            Err(_) => {}
        }
        // A link: where it leads with the layer as root, and nowhere else.
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        at::open(self.root.as_fd(), &c_name(prefix)?, flags, 0, Resolve::IN_ROOT)
    }

    fn whiteout(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        hidden: &[u8],
        above: &[&[u8]],
    ) -> io::Result<()> {
        if name == OPAQUE {
            // The lowest layer has nothing below to hide.
            return match above.is_empty() || (self.kind != Archive::Layer) {
                true => Ok(()),
                false => set_opaque(parent),
            };
        }
        // Other names with this prefix are a storage driver's own.
        if hidden.starts_with(WHITEOUT) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let hidden = c_name(hidden)?;
        match at::status(parent, &hidden) {
            // What this layer brings itself stays, but hides what is below.
            Ok(status) if status.is_dir() && !(self.kind != Archive::Layer) => {
                at::set_attribute(parent, &hidden, OPAQUE_ATTRIBUTE, b"y")
            }
            Ok(_) => Ok(()),
            Err(_) if (self.kind != Archive::Layer) => Ok(()),
            Err(_) => at::make_node(parent, &hidden, libc::S_IFCHR, 0),
        }
    }

    /// Removes what has the name already: a later entry replaces an earlier one.
    fn make_room(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        match at::status(parent, name) {
            Ok(status) if status.is_dir() => {
                self.parent = None;
                remove_tree(parent, name)
            }
            Ok(_) => at::remove(parent, name, false),
            Err(error) if errno(&error) == libc::ENOENT => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn folder(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        attributes: &Attributes,
    ) -> io::Result<()> {
        let found = at::status(parent, name).ok();
        if found.is_none_or(|status| !status.is_dir()) {
            let hidden = found.is_some_and(|status| status.is_char(0, 0));
            if found.is_some() {
                at::remove(parent, name, false)?;
            }
            at::make_dir(parent, name, 0o755)?;
            if hidden {
                at::set_attribute(parent, name, OPAQUE_ATTRIBUTE, b"y")?;
            }
        }
        adorn(parent, name, attributes, true)
    }

    fn file<R: Read>(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        entry: &mut tar::Entry<'_, R>,
        attributes: &Attributes,
    ) -> Result<(), Trouble> {
        let size = entry.size();
        self.left.bytes =
            self.left.bytes.checked_sub(size).ok_or_else(|| super::too_large(self.limits))?;
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW;
        let file = at::open(parent, name, flags, 0o600, Resolve::PLAIN)?;
        let mut file = File::from(file);
        let copied = io::copy(entry, &mut file)?;
        if copied != size {
            return Err(Trouble::Failed(Failure::new("the archive ends too early")));
        }
        at::set_owner(file.as_fd(), c"", attributes.uid, attributes.gid)?;
        at::set_mode(file.as_fd(), attributes.mode)?;
        for (key, value) in &attributes.extended {
            tolerate_unsupported(at::set_open_attribute(file.as_fd(), key, value))?;
        }
        at::set_times(parent, name, attributes.seconds, attributes.nanoseconds)?;
        Ok(())
    }

    fn hard_link<R: Read>(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        entry: &tar::Entry<'_, R>,
    ) -> Result<(), Trouble> {
        let target = entry.link_name_bytes();
        let target = target.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let shown = String::from_utf8_lossy(&target).into_owned();
        let parts = components(&target).filter(|parts| !parts.is_empty());
        let parts = parts.ok_or_else(|| {
            Trouble::Failed(Failure::new(format!("links to {shown:?}, not below the root")))
        })?;
        let Some((last, above)) = parts.split_last() else { return Ok(()) };
        // The target's folder is only looked for, never made.
        let folder = match above {
            [] => self.root.try_clone()?,
            above => {
                let path = c_name(&above.join(&b'/'))?;
                let flags = libc::O_PATH | libc::O_DIRECTORY;
                at::open(self.root.as_fd(), &path, flags, 0, Resolve::IN_ROOT)?
            }
        };
        let last = c_name(last)?;
        let same = at::status(folder.as_fd(), &last)?;
        if at::status(parent, name)
            .is_ok_and(|found| (found.dev, found.ino) == (same.dev, same.ino))
        {
            return Ok(());
        }
        self.make_room(parent, name)?;
        at::make_link(folder.as_fd(), &last, parent, name)?;
        Ok(())
    }
}

/// Why an entry cannot be applied: the kernel's refusal, or ours.
enum Trouble {
    Os(io::Error),
    Failed(Failure),
}

impl Trouble {
    fn map_or_else(
        self,
        failed: impl FnOnce(Failure) -> Failure,
        os: impl FnOnce(io::Error) -> Failure,
    ) -> Failure {
        match self {
            Trouble::Os(error) => os(error),
            Trouble::Failed(failure) => failed(failure),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Os(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Failed(failure)
    }
}

fn set_opaque(folder: BorrowedFd<'_>) -> io::Result<()> {
    at::set_attribute(folder, c".", OPAQUE_ATTRIBUTE, b"y")
}

fn tolerate_unsupported(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if errno(&error) == libc::ENOTSUP => Ok(()),
        outcome => outcome,
    }
}

/// Owner, mode, attributes, time, in this order: a change of owner clears set-user-id bits.
fn adorn(
    parent: BorrowedFd<'_>,
    name: &CStr,
    attributes: &Attributes,
    has_mode: bool,
) -> io::Result<()> {
    at::set_owner(parent, name, attributes.uid, attributes.gid)?;
    if has_mode {
        at::set_mode_at(parent, name, attributes.mode)?;
    }
    for (key, value) in &attributes.extended {
        tolerate_unsupported(at::set_attribute(parent, name, key, value))?;
    }
    at::set_times(parent, name, attributes.seconds, attributes.nanoseconds)
}

fn node(
    parent: BorrowedFd<'_>,
    name: &CStr,
    kind: tar::EntryType,
    header: &tar::Header,
    mode: u32,
) -> io::Result<()> {
    let number = |value: io::Result<Option<u32>>| value.map(|value| value.unwrap_or(0));
    let device = at::device(number(header.device_major())?, number(header.device_minor())?);
    let (bits, device) = match kind {
        tar::EntryType::Char => (libc::S_IFCHR, device),
        tar::EntryType::Block => (libc::S_IFBLK, device),
        _ => (libc::S_IFIFO, 0),
    };
    if bits == libc::S_IFCHR && device == 0 {
        // That would be a whiteout of overlayfs, which an image has no other word for.
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    at::make_node(parent, name, bits | (mode & 0o7777), device)
}

/// Removes a folder of the layer with all that is in it, descriptor by descriptor.
fn remove_tree(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let folder = at::open(parent, name, flags, 0, Resolve::PLAIN)?;
    for entry in at::entries(folder.as_fd())? {
        match at::status(folder.as_fd(), &entry)?.is_dir() {
            true => remove_tree(folder.as_fd(), &entry)?,
            false => at::remove(folder.as_fd(), &entry, false)?,
        }
    }
    at::remove(parent, name, true)
}

/// Attributes of an archive that must not reach overlayfs: they would redirect it.
fn is_overlay_attribute(key: &[u8]) -> bool {
    key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.")
}

fn attributes<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Attributes> {
    let header = entry.header();
    let id = |value: io::Result<u64>| value.map(|value| value as u32);
    let mut found = Attributes {
        uid: id(header.uid())?,
        gid: id(header.gid())?,
        mode: header.mode()? & 0o7777,
        seconds: header.mtime()? as i64,
        nanoseconds: 0,
        extended: Vec::new(),
    };
    let Some(records) = entry.pax_extensions()? else { return Ok(found) };
    for record in records {
        let record = record?;
        let value = record.value_bytes();
        let text = String::from_utf8_lossy(value);
        match record.key_bytes() {
            b"uid" => found.uid = text.parse().unwrap_or(found.uid),
            b"gid" => found.gid = text.parse().unwrap_or(found.gid),
            b"mtime" => {
                let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
                found.seconds = whole.parse().unwrap_or(found.seconds);
                let digits = format!("{fraction:0<9}");
                found.nanoseconds = digits.get(..9).and_then(|d| d.parse().ok()).unwrap_or(0);
            }
            key => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.")
                    && !is_overlay_attribute(name)
                {
                    found.extended.push((c_name(name)?, value.to_vec()));
                }
            }
        }
    }
    Ok(found)
}
