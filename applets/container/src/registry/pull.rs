//! An image from a registry into the store: manifests, then blobs side by side, then layers.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use box_kit::Failure;
use sha2::{Digest as _, Sha256};

use super::{Client, Trust};
use crate::image::reference::Reference;
use crate::image::{Descriptor, Digest, Manifest, Platform, parse};
use crate::layer::Limits;
use crate::store::Store;

/// How many blobs come at once.
const AT_ONCE: usize = 3;
/// How often a blob that breaks off is continued.
const TRIES: u32 = 6;
/// How deep indexes may be nested.
const NESTED_MAX: u32 = 4;

/// What is pulled, and how.
pub struct Wanted<'a> {
    pub reference: &'a Reference,
    /// For another platform than this machine's.
    pub platform: Option<Platform>,
    pub trust: Trust,
    pub limits: Limits,
    /// Called with each blob that is there.
    pub told: &'a (dyn Fn(&Digest, &str) + Sync),
}

/// Pulls the image, and gives it its name at the end. Returns the digest of what the name stands
/// for at the registry, and of the manifest; and whether it was here already.
pub fn pull(store: &Store, wanted: &Wanted<'_>) -> Result<(Digest, Digest, bool), Failure> {
    let _lease = store.lease()?;
    let client = Client::open(wanted.reference, &wanted.trust, false)?;
    let reference = wanted.reference;
    let name = match &reference.digest {
        Some(digest) => digest.to_string(),
        None => reference.tag.clone(),
    };
    let (named, bytes) = manifest(&client, &name, wanted, 0)?;
    let digest = Digest::of(&bytes);
    let found: Manifest = parse(&bytes, "manifest")?;
    let config = found.config.clone().ok_or_else(|| Failure::new("names no configuration"))?;
    let blobs: Vec<_> = std::iter::once(config).chain(found.layers).collect();
    fetch_all(store, &client, &blobs, wanted)?;
    store.add_blob(&bytes[..], Some(&digest))?;
    let image = store.image(&digest)?;
    store.unpack(&image, wanted.limits)?;
    let before = store.change_names(|all| all.insert(reference.to_string(), digest.clone()))?;
    Ok((named, digest.clone(), before == Some(digest)))
}

/// The manifest for the platform, and the digest of what was named.
fn manifest(
    client: &Client,
    name: &str,
    wanted: &Wanted<'_>,
    depth: u32,
) -> Result<(Digest, Vec<u8>), Failure> {
    let (bytes, kind) = client.manifest(name)?;
    if kind.contains("manifest.v1+prettyjws") || kind.contains("distribution.manifest.v1+json") {
        return Err(Failure::new("is of docker's schema 1, which is not taken").about(name));
    }
    let named = Digest::of(&bytes);
    let found: Manifest = parse(&bytes, "manifest")?;
    if found.config.is_some() || depth >= NESTED_MAX {
        return Ok((named, bytes));
    }
    let fits = |entry: &&Descriptor| {
        let platform = entry.platform.as_ref();
        match &wanted.platform {
            Some(wanted) => {
                platform.is_some_and(|p| p.os == wanted.os && p.architecture == wanted.architecture)
            }
            None => platform.is_none_or(Platform::is_ours),
        }
    };
    let entry = found.manifests.iter().find(fits).ok_or_else(|| {
        let wanted = wanted.platform.clone().unwrap_or_else(Platform::ours);
        let reason = format!("no matching manifest for {}/{}", wanted.os, wanted.architecture);
        Failure::new(reason).about(name)
    })?;
    let (_, bytes) = manifest(client, &entry.digest.to_string(), wanted, depth + 1)?;
    Ok((named, bytes))
}

fn fetch_all(
    store: &Store,
    client: &Client,
    blobs: &[Descriptor],
    wanted: &Wanted<'_>,
) -> Result<(), Failure> {
    let queue = Mutex::new(blobs.iter());
    let failed = AtomicBool::new(false);
    let work = || -> Result<(), Failure> {
        loop {
            let next = queue.lock().ok().and_then(|mut queue| queue.next());
            let Some(blob) = next.filter(|_| !failed.load(Ordering::Relaxed)) else {
                return Ok(());
            };
            fetch(store, client, blob, wanted.told)
                .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE.min(blobs.len())).map(|_| scope.spawn(work)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Result<(), Failure>>| {
            worker.join().unwrap_or_else(|_| Err(Failure::new("a download has broken off")))
        };
        // All are waited for; the first failure is the one reported.
        let outcomes: Vec<_> = workers.into_iter().map(join).collect();
        outcomes.into_iter().collect()
    })
}

/// Takes in a blob, unless it is here. Whoever wants the same one at the same time waits for it.
fn fetch(
    store: &Store,
    client: &Client,
    blob: &Descriptor,
    told: &(dyn Fn(&Digest, &str) + Sync),
) -> Result<(), Failure> {
    let part = store.root.join("tmp").join(format!("{}.part", blob.digest.hex()));
    let lock = File::options()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(&part)
        .map_err(Failure::os(part.display()))?;
    box_sys::at::lock(&lock, true).map_err(Failure::os(part.display()))?;
    if store.blob(&blob.digest).exists() {
        drop(fs::remove_file(&part));
        told(&blob.digest, "Already exists");
        return Ok(());
    }
    let mut file = lock;
    let mut tries = 0;
    loop {
        match continued(client, blob, &mut file) {
            Ok(()) => break,
            Err(Broken::Wrong(failure)) => {
                // What came is not what was asked for: nothing of it is kept.
                drop(fs::remove_file(&part));
                return Err(failure);
            }
            Err(Broken::Off(failure)) => {
                tries += 1;
                if tries >= TRIES {
                    return Err(failure);
                }
                std::thread::sleep(std::time::Duration::from_millis(100 << tries));
            }
        }
    }
    settle(store, &file, &part, &blob.digest)?;
    told(&blob.digest, "Download complete");
    Ok(())
}

/// Why a blob is not here yet.
enum Broken {
    /// It broke off: what is here of it stays.
    Off(Failure),
    Wrong(Failure),
}

/// Gets what is missing of a blob, and verifies the whole.
fn continued(client: &Client, blob: &Descriptor, file: &mut File) -> Result<(), Broken> {
    let about = || format!("blob {}", blob.digest);
    let off = |error: io::Error| Broken::Off(Failure::os(about())(error));
    let mut hash = Sha256::new();
    file.seek(SeekFrom::Start(0)).map_err(off)?;
    let mut have = io::copy(file, &mut Hashed(&mut hash)).map_err(off)?;
    if have > blob.size {
        have = 0;
    }
    let mut response = client.blob(&blob.digest, have).map_err(Broken::Wrong)?;
    if response.status != 206 || have == 0 {
        file.set_len(0).map_err(off)?;
        (have, hash) = (0, Sha256::new());
    }
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = match response.read(&mut buffer) {
            Ok(count) => count,
            Err(error) => return Err(Broken::Off(Failure::new(error).about(about()))),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        have += count as u64;
        if have > blob.size {
            let reason = format!("is longer than the {} bytes it was said to have", blob.size);
            return Err(Broken::Wrong(Failure::new(reason).about(about())));
        }
        hash.update(bytes);
        file.write_all(bytes).map_err(off)?;
    }
    if have < blob.size {
        let reason = format!("ends after {have} of {} bytes", blob.size);
        return Err(Broken::Off(Failure::new(reason).about(about())));
    }
    let found = Digest::finish(hash);
    if found != blob.digest {
        return Err(Broken::Wrong(Failure::new(format!("has digest {found}")).about(about())));
    }
    Ok(())
}

struct Hashed<'a>(&'a mut Sha256);

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settle(store: &Store, file: &File, part: &Path, digest: &Digest) -> Result<(), Failure> {
    file.sync_all().map_err(Failure::os(part.display()))?;
    let target = store.blob(digest);
    fs::rename(part, &target).map_err(Failure::os(target.display()))?;
    crate::files::sync_folder(&store.root.join("blobs/sha256"))
}
