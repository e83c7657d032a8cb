//! Layers: compressed tar archives of changes, unpacked into folders for overlayfs.

mod apply;
mod gunzip;

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
        return Err(Failure::new("is compressed with zstd, which is not supported yet"));
    }
    if magic.starts_with(b"\xfd7zXZ\0") || magic.starts_with(b"BZh") {
        return Err(Failure::new("is compressed in a way that no image is")
            .advise("try: unpack it first, and give the tar file"));
    }
    Ok(Box::new(source))
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
    apply::apply(&mut archive, root, is_base, limits)?;
    let mut hashing = archive.into_inner();
    // Padding behind the archive's end belongs to what is hashed.
    drain(&mut hashing, limits)?;
    Ok(Digest::finish(hashing.hash))
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
