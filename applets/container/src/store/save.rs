//! Images as an archive that both formats' readers take: an OCI layout with docker's
//! `manifest.json` beside its index. The same images make the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};

use box_kit::Failure;
use serde_json::json;

use super::{Image, Store};
use crate::image::reference::Reference;
use crate::image::{Digest, MANIFEST};

/// Writes the images, each with the names it is to have.
pub fn save(
    store: &Store,
    images: &[(Option<Reference>, Image)],
    out: impl Write,
) -> Result<(), Failure> {
    let mut archive = tar::Builder::new(out);
    let broken = |error: io::Error| Failure::os("archive")(error);
    let mut written = BTreeSet::new();
    let mut index = Vec::new();
    let mut docker: BTreeMap<Digest, (Vec<String>, &Image)> = BTreeMap::new();
    folder(&mut archive, "blobs/").map_err(broken)?;
    folder(&mut archive, "blobs/sha256/").map_err(broken)?;
    for (name, image) in images {
        let layers = image.manifest.layers.iter().map(|layer| &layer.digest);
        for digest in layers.chain([&image.id, &image.manifest_digest]) {
            if written.insert(digest.clone()) {
                let path = store.blob(digest);
                let mut file = File::open(&path).map_err(Failure::os(path.display()))?;
                let size = file.metadata().map_err(Failure::os(path.display()))?.len();
                let mut header = header(size, 0o644);
                let name = format!("blobs/sha256/{}", digest.hex());
                archive.append_data(&mut header, name, &mut file).map_err(broken)?;
            }
        }
        index.push(index_entry(store, name.as_ref(), image)?);
        let tags =
            &mut docker.entry(image.manifest_digest.clone()).or_insert((Vec::new(), image)).0;
        tags.extend(name.iter().filter(|name| name.digest.is_none()).map(Reference::shown));
    }
    let docker: Vec<_> =
        docker.into_values().map(|(tags, image)| docker_entry(&tags, image)).collect();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": index,
    });
    text(&mut archive, "index.json", &index.to_string()).map_err(broken)?;
    let docker = serde_json::Value::Array(docker).to_string();
    text(&mut archive, "manifest.json", &docker).map_err(broken)?;
    let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    text(&mut archive, "oci-layout", &layout).map_err(broken)?;
    archive.into_inner().and_then(|mut out| out.flush()).map_err(broken)
}

fn index_entry(
    store: &Store,
    name: Option<&Reference>,
    image: &Image,
) -> Result<serde_json::Value, Failure> {
    let path = store.blob(&image.manifest_digest);
    let size = std::fs::metadata(&path).map_err(Failure::os(path.display()))?.len();
    let mut entry = json!({
        "mediaType": image.manifest.media_type.as_deref().unwrap_or(MANIFEST),
        "digest": image.manifest_digest,
        "size": size,
    });
    if let Some(name) = name {
        entry["annotations"] = json!({
            "io.containerd.image.name": name.to_string(),
            "org.opencontainers.image.ref.name": name.tag,
        });
    }
    Ok(entry)
}

fn docker_entry(tags: &[String], image: &Image) -> serde_json::Value {
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let layers: Vec<_> = image.manifest.layers.iter().map(|layer| blob(&layer.digest)).collect();
    json!({
        "Config": blob(&image.id),
        "RepoTags": if tags.is_empty() { serde_json::Value::Null } else { json!(tags) },
        "Layers": layers,
    })
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(0);
    header
}

fn folder(archive: &mut tar::Builder<impl Write>, name: &str) -> io::Result<()> {
    let mut header = header(0, 0o755);
    header.set_entry_type(tar::EntryType::Directory);
    archive.append_data(&mut header, name, io::empty())
}

fn text(archive: &mut tar::Builder<impl Write>, name: &str, text: &str) -> io::Result<()> {
    let mut header = header(text.len() as u64, 0o644);
    archive.append_data(&mut header, name, text.as_bytes())
}
