//! An image from the store to a registry: what the registry has not got, then the manifest.

use std::sync::Mutex;

use box_kit::Failure;

use super::{Client, Trust};
use crate::image::reference::Reference;
use crate::image::{Digest, MANIFEST};
use crate::store::{Image, Store};

const AT_ONCE: usize = 3;

/// Pushes the image under a name; returns the manifest's digest and length.
pub fn push(
    store: &Store,
    reference: &Reference,
    image: &Image,
    trust: &Trust,
    told: &(dyn Fn(&Digest, &str) + Sync),
) -> Result<(Digest, usize), Failure> {
    let _lease = store.lease()?;
    let client = Client::open(reference, trust, true)?;
    let manifest = &image.manifest;
    let queue = Mutex::new(manifest.layers.iter().chain(&manifest.config));
    let work = || -> Result<(), Failure> {
        loop {
            let next = queue.lock().ok().and_then(|mut queue| queue.next());
            let Some(blob) = next else { return Ok(()) };
            if client.has_blob(&blob.digest)? {
                told(&blob.digest, "Layer already exists");
                continue;
            }
            client.upload(&blob.digest, &store.blob(&blob.digest), blob.size)?;
            told(&blob.digest, "Pushed");
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let outcomes: Vec<_> = workers
            .into_iter()
            .map(|worker| {
                worker.join().unwrap_or_else(|_| Err(Failure::new("an upload has broken off")))
            })
            .collect();
        outcomes.into_iter().collect::<Result<(), Failure>>()
    })?;
    let bytes = store.read_json(&image.manifest_digest)?;
    let kind = manifest.media_type.as_deref().unwrap_or(MANIFEST);
    client.put_manifest(&reference.tag, &bytes, kind)?;
    Ok((image.manifest_digest.clone(), bytes.len()))
}
