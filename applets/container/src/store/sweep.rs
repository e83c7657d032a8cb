//! What no name leads to any more, and how much space what there is takes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use box_kit::Failure;

use super::Store;
use crate::image::Digest;

/// How old an unfinished file is before nobody can be at work on it.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Digests in hexadecimal.
type Used = BTreeSet<String>;

impl Store {
    /// The blobs and layers that images and containers need.
    fn used(&self) -> Result<(Used, Used), Failure> {
        let (mut blobs, mut layers) = (Used::new(), Used::new());
        for digest in self.names()?.values() {
            // An image that is damaged keeps what it names: `system check` is for it.
            blobs.insert(digest.hex().to_owned());
            let Ok(image) = self.image(digest) else { continue };
            layers.extend(image.config.rootfs.chain().iter().map(|id| id.hex().to_owned()));
            blobs.insert(image.id.hex().to_owned());
            blobs.extend(image.manifest.layers.iter().map(|layer| layer.digest.hex().to_owned()));
        }
        layers.extend(crate::engine::layers_in_use(self));
        Ok((blobs, layers))
    }

    /// Removes blobs and layers that nothing needs, and returns how many bytes that gave back.
    /// While something is on its way into the store, nothing is removed.
    pub fn sweep(&self) -> Result<u64, Failure> {
        let path = self.root.join("store.lock");
        let lock = File::create(&path).map_err(Failure::os(path.display()))?;
        if !box_sys::at::try_lock(&lock).map_err(Failure::os(path.display()))? {
            return Ok(0);
        }
        let (blobs, layers) = self.used()?;
        let mut given = 0;
        for path in self.unused("layers", &layers) {
            given += disk_use(&path);
            // Renamed first: what has lost a part must not look whole.
            let gone = self.temporary("gone")?;
            fs::rename(&path, &gone).map_err(Failure::os(path.display()))?;
            fs::remove_dir_all(&gone).map_err(Failure::os(gone.display()))?;
        }
        for path in self.unused("blobs/sha256", &blobs) {
            given += disk_use(&path);
            fs::remove_file(&path).map_err(Failure::os(path.display()))?;
        }
        Ok(given + self.sweep_unfinished())
    }

    fn unused(&self, folder: &str, used: &Used) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        let is_unused = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| Digest::from_hex(name).is_some() && !used.contains(name))
        };
        entries.map(|entry| entry.path()).filter(is_unused).collect()
    }

    /// What a process has left in the middle of its work.
    fn sweep_unfinished(&self) -> u64 {
        let entries = fs::read_dir(self.root.join("tmp")).into_iter().flatten().flatten();
        let mut given = 0;
        for path in entries.map(|entry| entry.path()) {
            let changed = fs::symlink_metadata(&path).and_then(|found| found.modified());
            let age = changed.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
            if age.is_ok_and(|age| age > STALE) {
                given += disk_use(&path);
                // It may be a folder or a file, and somebody else may sweep as well.
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            }
        }
        given
    }

    /// Bytes on the disk of the unpacked layer.
    pub fn layer_use(&self, chain_id: &Digest) -> u64 {
        disk_use(&self.root.join("layers").join(chain_id.hex()))
    }
}

/// The bytes that a file or tree takes on the disk; a file of several names counts once.
pub fn disk_use(path: &Path) -> u64 {
    fn add(path: &Path, seen: &mut BTreeSet<(u64, u64)>) -> u64 {
        let Ok(found) = fs::symlink_metadata(path) else { return 0 };
        if !found.is_dir() && found.nlink() > 1 && !seen.insert((found.dev(), found.ino())) {
            return 0;
        }
        let own = found.blocks() * 512;
        if !found.is_dir() {
            return own;
        }
        let below = fs::read_dir(path).into_iter().flatten().flatten();
        own + below.map(|entry| add(&entry.path(), seen)).sum::<u64>()
    }
    add(path, &mut BTreeSet::new())
}
