//! Layers: compressed tar archives of changes, unpacked into folders for overlayfs.

mod apply;
pub mod copy;
mod gunzip;
pub mod pack;

use std::io::{self, BufRead, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use box_kit::Failure;
use sha2::{Digest as _, Sha256};

use crate::image::Digest;

/// What a layer may grow to: an archive of some kilobytes can hold terabytes of zeros.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: u64,
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 128 << 30, entries: 20_000_000 }
    }
}

/// The words for a layer beyond its limit.
pub fn too_large(limits: Limits) -> Failure {
    let Limits { bytes, entries } = limits;
    Failure::new(format!("is larger than the limit of {bytes} bytes and {entries} entries"))
        .advise("try: --max-layer-size SIZE")
}

/// Reads through the compression that the first bytes tell of.
pub fn decompress<'a>(mut source: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>, Failure> {
    let magic = source.fill_buf().map_err(Failure::os("archive"))?;
    if magic.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(gunzip::Gunzip::new(source)));
    }
    if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::Decoder::with_buffer(source).map_err(Failure::os("archive"))?;
        return Ok(Box::new(decoder));
    }
    if magic.starts_with(b"\xfd7zXZ\0") || magic.starts_with(b"BZh") {
        return Err(Failure::new("is compressed in a way that no image is")
            .advise("try: unpack it first, and give the tar file"));
    }
    Ok(Box::new(source))
}

/// The media type of a layer's blob, by its first bytes.
pub fn media_type(blob: &Path) -> Result<&'static str, Failure> {
    let file = std::fs::File::open(blob).map_err(Failure::os(blob.display()))?;
    let mut magic = Vec::new();
    file.take(4).read_to_end(&mut magic).map_err(Failure::os(blob.display()))?;
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => crate::image::LAYER_GZIP,
        [0x28, 0xb5, 0x2f, 0xfd] => crate::image::LAYER_ZSTD,
        _ => crate::image::LAYER,
    })
}

/// Hashes what is read through it.
struct Hashing<R> {
    source: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.hash.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

/// Unpacks a layer into an empty folder, and returns the digest of the archive.
pub fn unpack(
    source: impl BufRead,
    into: &Path,
    is_base: bool,
    limits: Limits,
) -> Result<Digest, Failure> {
    let root: OwnedFd = box_sys::at::open_dir(into).map_err(Failure::os(into.display()))?;
    let hashing = Hashing { source: decompress(source)?, hash: Sha256::new() };
    let mut archive = tar::Archive::new(hashing);
    let kind = if is_base { apply::Archive::Base } else { apply::Archive::Layer };
    apply::apply(&mut archive, root, kind, limits)?;
    let mut hashing = archive.into_inner();
    // Padding behind the archive's end belongs to what is hashed.
    drain(&mut hashing, limits)?;
    Ok(Digest::finish(hashing.hash))
}

/// Unpacks an archive that is no layer into a folder: its names mean what they say.
pub fn extract(source: impl Read, root: OwnedFd, limits: Limits) -> Result<(), Failure> {
    let mask = box_sys::spawn::set_umask(0);
    let applied = apply::apply(&mut tar::Archive::new(source), root, apply::Archive::Plain, limits);
    box_sys::spawn::set_umask(mask);
    applied
}

/// The digest of the archive without its compression.
pub fn diff_id(source: impl BufRead) -> Result<Digest, Failure> {
    let mut hashing = Hashing { source: decompress(source)?, hash: Sha256::new() };
    drain(&mut hashing, Limits::default())?;
    Ok(Digest::finish(hashing.hash))
}

fn drain(source: &mut impl Read, limits: Limits) -> Result<(), Failure> {
    let mut limited = source.take(limits.bytes.saturating_add(1));
    let copied = io::copy(&mut limited, &mut io::sink()).map_err(Failure::os("archive"))?;
    if copied > limits.bytes { Err(too_large(limits)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with an entry of each kind.
    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: tar::EntryType, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            if kind.is_symlink() || kind.is_hard_link() {
                builder.append_link(&mut header, path, "dir/file").unwrap();
            } else {
                builder.append_data(&mut header, path, content).unwrap();
            }
        };
        add("dir/", tar::EntryType::Directory, b"");
        add("dir/file", tar::EntryType::Regular, b"content");
        add("link", tar::EntryType::Symlink, b"");
        add("hard", tar::EntryType::Link, b"");
        add("fifo", tar::EntryType::Fifo, b"");
        add("dir/.wh.gone", tar::EntryType::Regular, b"");
        add(&"long/".repeat(50), tar::EntryType::Directory, b"");
        builder.into_inner().unwrap()
    }

    /// A linear generator (Marsaglia's xorshift), so that every run sees the same.
    fn next(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state as usize
    }

    #[test]
    fn damaged_archives_never_panic_and_stay_inside() {
        let whole = archive();
        let outside = tempfile::tempdir().unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + next(&mut state) % 8 {
                let at = next(&mut state) % bytes.len();
                bytes[at] = next(&mut state) as u8;
            }
            bytes.truncate(next(&mut state) % (bytes.len() + 1));
            let root = outside.path().join("root");
            std::fs::create_dir(&root).unwrap();
            let limits = Limits { bytes: 1 << 20, entries: 100 };
            // Whether it is refused depends on what was hit: that it comes back is what counts.
            let _ = unpack(&bytes[..], &root, false, limits);
            let names = std::fs::read_dir(outside.path()).unwrap().count();
            assert_eq!(names, 1, "something was put beside the root");
            // Modes may forbid the owner to look.
            drop(std::process::Command::new("rm").arg("-rf").arg(&root).status());
        }
    }

    #[test]
    fn a_layer_beyond_its_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { bytes: 3, entries: 100 };
        assert!(unpack(&archive()[..], folder.path(), false, limits).is_err());
    }
}
