//! What outlives a run, below one folder (`/var/lib/box/container`, or `--root`):
//!
//! ```text
//! blobs/sha256/HEX      manifests, configurations, layers as they came
//! layers/CHAINID/diff   a layer unpacked for overlayfs
//! images.json           names to manifests, changed under images.lock
//! containers/ID/        a container: config.json, state.json, log, upper and work folder
//! names/NAME            a link to the container's id: what makes a name taken
//! tmp/                  what is not finished; nothing refers to it
//! ```
//!
//! Nothing gets its final name before it is whole and verified: blobs and layers are written under
//! `tmp`, flushed, and renamed; the folder is flushed last. So a crash leaves the state before or
//! the state after, and `tmp` to be swept.

pub mod archive;
pub mod builtin;
pub mod check;
pub mod save;
mod sweep;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use box_kit::Failure;
use sha2::{Digest as _, Sha256};

use crate::image::reference::Reference;
use crate::image::{Config, Descriptor, Digest, Manifest, parse};
use crate::layer;
pub use sweep::disk_use;

/// The folder.
#[derive(Clone, Debug)]
pub struct Store {
    pub root: PathBuf,
}

/// An image that is here.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its configuration.
    pub id: Digest,
    pub manifest_digest: Digest,
    pub manifest: Manifest,
    pub config: Config,
}

/// Names to manifests.
type Names = BTreeMap<String, Digest>;

/// The largest manifest or configuration that is read.
const JSON_MAX_BYTES: u64 = 4 << 20;

impl Store {
    /// Opens the folder; makes it where it is not there, for its owner alone.
    pub fn open(root: &Path) -> Result<Store, Failure> {
        for folder in ["blobs/sha256", "layers", "containers", "names", "tmp"] {
            let path = root.join(folder);
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(&path).map_err(Failure::os(path.display()))?;
        }
        let root = fs::canonicalize(root).map_err(Failure::os(root.display()))?;
        Ok(Store { root })
    }

    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// The folder of an unpacked layer.
    pub fn layer(&self, chain_id: &Digest) -> PathBuf {
        self.root.join("layers").join(chain_id.hex()).join("diff")
    }

    /// A path in `tmp` that nobody else has.
    pub fn temporary(&self, what: &str) -> Result<PathBuf, Failure> {
        let unique = box_sys::random::u64().map_err(Failure::os("getrandom"))?;
        Ok(self.root.join("tmp").join(format!("{what}.{unique:016x}")))
    }

    /// Keeps what has no name yet from being swept away, for as long as it is held.
    pub fn lease(&self) -> Result<File, Failure> {
        let path = self.root.join("store.lock");
        let lock = File::create(&path).map_err(Failure::os(path.display()))?;
        box_sys::at::lock(&lock, false).map_err(Failure::os(path.display()))?;
        Ok(lock)
    }

    /// Takes a blob in, and verifies it while it is written.
    pub fn add_blob(
        &self,
        mut source: impl Read,
        expected: Option<&Digest>,
    ) -> Result<(Digest, u64), Failure> {
        let path = self.temporary("blob")?;
        let added = self.write_blob(&mut source, expected, &path);
        if added.is_err() {
            // The failure that counts is the one reported.
            let _ = fs::remove_file(&path);
        }
        added
    }

    /// Makes a layer of what `pack` writes, compressed by gzip: its descriptor and its diffID.
    pub fn add_layer(
        &self,
        pack: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(Descriptor, Digest), Failure> {
        let path = self.temporary("layer")?;
        let added = self.write_layer(pack, &path);
        if added.is_err() {
            let _ = fs::remove_file(&path);
        }
        added
    }

    fn write_layer(
        &self,
        pack: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        path: &Path,
    ) -> Result<(Descriptor, Digest), Failure> {
        let about = || path.display().to_string();
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file =
            Hashed { inner: file.map_err(Failure::os(about()))?, hash: Sha256::new(), length: 0 };
        let gzip = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        let mut tar = Hashed { inner: gzip, hash: Sha256::new(), length: 0 };
        pack(&mut tar).map_err(Failure::os("layer"))?;
        let file = tar.inner.finish().map_err(Failure::os("layer"))?;
        file.inner.sync_all().map_err(Failure::os(about()))?;
        let (digest, diff_id) = (Digest::finish(file.hash), Digest::finish(tar.hash));
        let target = self.blob(&digest);
        fs::rename(path, &target).map_err(Failure::os(target.display()))?;
        crate::files::sync_folder(&self.root.join("blobs/sha256"))?;
        let kind = crate::image::LAYER_GZIP;
        Ok((archive::descriptor(kind, digest, file.length), diff_id))
    }

    /// Reads a blob through and compares its digest.
    pub fn verify(
        &self,
        mut source: impl Read,
        expected: &Digest,
    ) -> Result<(Digest, u64), Failure> {
        let (digest, size) = copy_hashed(&mut source, io::sink())?;
        if digest != *expected {
            let reason = format!("has digest {digest}");
            return Err(Failure::new(reason).about(format!("blob {expected}")));
        }
        Ok((digest, size))
    }

    fn write_blob(
        &self,
        source: &mut impl Read,
        expected: Option<&Digest>,
        path: &Path,
    ) -> Result<(Digest, u64), Failure> {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Failure::os(path.display()))?;
        let (digest, size) = copy_hashed(source, &mut file)?;
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            let reason = format!("has digest {digest}");
            return Err(Failure::new(reason).about(format!("blob {expected}")));
        }
        file.sync_all().map_err(Failure::os(path.display()))?;
        let target = self.blob(&digest);
        fs::rename(path, &target).map_err(Failure::os(target.display()))?;
        crate::files::sync_folder(&self.root.join("blobs/sha256"))?;
        Ok((digest, size))
    }

    /// A small blob, verified again: what is on the disk may have changed.
    pub fn read_json(&self, digest: &Digest) -> Result<Vec<u8>, Failure> {
        let path = self.blob(digest);
        let file = File::open(&path).map_err(Failure::os(format!("blob {digest}")))?;
        let mut bytes = Vec::new();
        file.take(JSON_MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > JSON_MAX_BYTES {
            return Err(Failure::new("is too large for its kind").about(format!("blob {digest}")));
        }
        if Digest::of(&bytes) != *digest {
            return Err(Failure::new("is damaged").about(format!("blob {digest}")));
        }
        Ok(bytes)
    }

    /// The image of a manifest.
    pub fn image(&self, manifest_digest: &Digest) -> Result<Image, Failure> {
        let manifest: Manifest = parse(&self.read_json(manifest_digest)?, "manifest")?;
        let descriptor = manifest.config.as_ref();
        let id = descriptor.ok_or_else(|| Failure::new("names no configuration"))?.digest.clone();
        let config: Config = parse(&self.read_json(&id)?, "image configuration")?;
        if manifest.layers.len() != config.rootfs.diff_ids.len() {
            let reason = "manifest and configuration disagree about the number of layers";
            return Err(Failure::new(reason).about(format!("image {}", id.short())));
        }
        Ok(Image { id, manifest_digest: manifest_digest.clone(), manifest, config })
    }

    /// Unpacks those layers of an image that are not unpacked yet, each verified against its diffID
    /// before it gets its name. Overlayfs needs no order: they are unpacked side by side.
    pub fn unpack(&self, image: &Image, limits: layer::Limits) -> Result<(), Failure> {
        let rootfs = &image.config.rootfs;
        let chain = rootfs.chain();
        let layers = chain.iter().zip(&rootfs.diff_ids).zip(&image.manifest.layers).enumerate();
        let missing: Vec<_> =
            layers.filter(|(_, ((chain_id, _), _))| !self.layer(chain_id).exists()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let queue = std::sync::Mutex::new(missing.iter());
        let work = || -> Result<(), Failure> {
            loop {
                let next = queue.lock().ok().and_then(|mut queue| queue.next());
                let Some((number, ((chain_id, diff_id), blob))) = next else { return Ok(()) };
                self.unpack_layer(chain_id, diff_id, &blob.digest, *number == 0, limits)?;
            }
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        // Modes are meant as the archive says them.
        let mask = box_sys::spawn::set_umask(0);
        let outcome = match workers.min(missing.len()) {
            1 => work(),
            workers => std::thread::scope(|scope| {
                let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
                let broken = || Err(Failure::new("unpacking has broken off"));
                let outcomes: Vec<_> =
                    workers.into_iter().map(|w| w.join().unwrap_or_else(|_| broken())).collect();
                outcomes.into_iter().collect()
            }),
        };
        box_sys::spawn::set_umask(mask);
        outcome
    }

    fn unpack_layer(
        &self,
        chain_id: &Digest,
        diff_id: &Digest,
        blob: &Digest,
        is_base: bool,
        limits: layer::Limits,
    ) -> Result<(), Failure> {
        let about = format!("layer {}", diff_id.short());
        let staging = self.temporary("layer")?;
        let diff = staging.join("diff");
        fs::create_dir_all(&diff).map_err(Failure::os(diff.display()))?;
        let unpacked = File::open(self.blob(blob)).map_err(Failure::os(&about)).and_then(|file| {
            layer::unpack(BufReader::with_capacity(128 * 1024, file), &diff, is_base, limits)
                .map_err(|failure| Failure::new(failure).about(&about))
        });
        let finished = unpacked.and_then(|found| {
            if found != *diff_id {
                return Err(Failure::new(format!("holds {found}")).about(&about));
            }
            let handle = box_sys::at::open_dir(&diff).map_err(Failure::os(diff.display()))?;
            box_sys::at::sync_file_system(&handle).map_err(Failure::os(diff.display()))?;
            let target = self.root.join("layers").join(chain_id.hex());
            match fs::rename(&staging, &target) {
                // Another start has unpacked the same layer meanwhile.
                Err(_) if target.exists() => fs::remove_dir_all(&staging),
                outcome => outcome,
            }
            .map_err(Failure::os(target.display()))?;
            crate::files::sync_folder(&self.root.join("layers"))
        });
        if finished.is_err() {
            let _ = fs::remove_dir_all(&staging);
        }
        finished
    }

    /// All names.
    pub fn names(&self) -> Result<Names, Failure> {
        let path = self.root.join("images.json");
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Names::new()),
            text => parse(&text.map_err(Failure::os(path.display()))?, "images.json"),
        }
    }

    /// Changes the names under the lock.
    pub fn change_names<T>(&self, with: impl FnOnce(&mut Names) -> T) -> Result<T, Failure> {
        let path = self.root.join("images.lock");
        let lock = File::create(&path).map_err(Failure::os(path.display()))?;
        box_sys::at::lock(&lock, true).map_err(Failure::os(path.display()))?;
        let mut names = self.names()?;
        let outcome = with(&mut names);
        let text = serde_json::to_vec_pretty(&names).map_err(Failure::new)?;
        crate::files::replace(&self.root.join("images.json"), &text, true)?;
        Ok(outcome)
    }

    /// Finds an image by name, by id, or by the start of its id.
    pub fn find(&self, text: &str) -> Result<(Option<Reference>, Image), Failure> {
        let names = self.names()?;
        let reference = Reference::parse(text).ok();
        if let Some(reference) = reference
            && let Some(digest) = names.get(&reference.to_string())
        {
            return Ok((Some(reference), self.image(digest)?));
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() >= 4 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            for digest in names.values() {
                let image = self.image(digest)?;
                if image.id.hex().starts_with(hex) || digest.hex().starts_with(hex) {
                    return Ok((None, image));
                }
            }
        }
        Err(Failure::new("No such image")
            .about(text)
            .advise("try: box container images, or box container load -i FILE"))
    }
}

/// Hashes and counts what is written through it.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
    length: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Copies what is read, and returns its digest and length.
pub(crate) fn copy_hashed(
    source: &mut impl Read,
    mut sink: impl Write,
) -> Result<(Digest, u64), Failure> {
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let length = source.read(&mut buffer).map_err(Failure::os("blob"))?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        size += length as u64;
        sink.write_all(bytes).map_err(Failure::os("blob"))?;
    }
    Ok((Digest::finish(hash), size))
}
