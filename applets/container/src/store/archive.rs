//! Images from files: an OCI layout (folder or archive), a docker-archive, the tarball of a root
//! file system.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use box_kit::Failure;
use box_sys::at::{self, Resolve};
use serde::Deserialize;

use super::Store;
use crate::image::reference::Reference;
use crate::image::{
    CONFIG, Config, Descriptor, Digest, Execution, MANIFEST, Manifest, RootFs, parse,
};
use crate::layer::{self, Limits};

/// The largest JSON file of an archive.
const JSON_MAX_BYTES: u64 = 4 << 20;

/// Where an image's files come from.
enum Source {
    /// A folder: nothing below it is followed out of it.
    Folder(OwnedFd),
    /// An archive, whose members have been put aside under numbers.
    Members { files: HashMap<String, PathBuf>, links: HashMap<String, String> },
}

/// How many links of an archive lead to each other before that is called a loop.
const LINKS_MAX: usize = 8;

impl Source {
    fn open(&self, path: &str) -> Result<Option<File>, Failure> {
        match self {
            Source::Folder(folder) => {
                let name = CString::new(path).map_err(|_| Failure::new("holds a NUL byte"))?;
                match at::open(folder.as_fd(), &name, libc::O_RDONLY, 0, Resolve::PLAIN) {
                    Ok(file) => Ok(Some(file.into())),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Failure::os(path)(error)),
                }
            }
            Source::Members { files, links } => {
                let mut name = path.trim_start_matches("./").to_owned();
                for _ in 0..LINKS_MAX {
                    if let Some(file) = files.get(&name) {
                        return File::open(file).map(Some).map_err(Failure::os(path));
                    }
                    match links.get(&name) {
                        Some(target) => name.clone_from(target),
                        None => break,
                    }
                }
                Ok(None)
            }
        }
    }

    fn need(&self, path: &str) -> Result<File, Failure> {
        self.open(path)?.ok_or_else(|| Failure::new("is missing from the image").about(path))
    }

    fn json(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(JSON_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Failure::os(path))?;
        if bytes.len() as u64 > JSON_MAX_BYTES {
            return Err(Failure::new("is too large for its kind").about(path));
        }
        Ok(Some(bytes))
    }
}

/// What `load` has made: names, and ids of images without one.
pub type Loaded = Vec<(Option<Reference>, Digest)>;

/// Loads the images of a folder or file, or of standard input.
pub fn load(store: &Store, input: Option<&Path>, limits: Limits) -> Result<Loaded, Failure> {
    let _lease = store.lease()?;
    if let Some(path) = input.filter(|path| path.is_dir()) {
        let folder = at::open_dir(path).map_err(Failure::os(path.display()))?;
        let name = fs::canonicalize(path).ok();
        let name = name.as_deref().unwrap_or(path).file_name().unwrap_or_default();
        return load_from(store, &Source::Folder(folder), &name.to_string_lossy(), limits);
    }
    let staging = store.temporary("load")?;
    fs::create_dir(&staging).map_err(Failure::os(staging.display()))?;
    let loaded = open_input(input).and_then(|reader| {
        let source = put_aside(reader, &staging, limits)?;
        let stem = input.and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
        load_from(store, &source, &stem, limits)
    });
    fs::remove_dir_all(&staging).map_err(Failure::os(staging.display()))?;
    loaded
}

fn open_input(input: Option<&Path>) -> Result<Box<dyn Read>, Failure> {
    Ok(match input {
        Some(path) if path.as_os_str() != "-" => {
            Box::new(File::open(path).map_err(Failure::os(path.display()))?)
        }
        _ => Box::new(io::stdin()),
    })
}

/// Puts the members of an archive aside: they come in any order, and a stream comes once.
fn put_aside(reader: Box<dyn Read>, staging: &Path, limits: Limits) -> Result<Source, Failure> {
    let bytes = BufReader::with_capacity(128 * 1024, reader);
    let mut archive = tar::Archive::new(layer::decompress(bytes)?);
    let (mut files, mut links) = (HashMap::new(), HashMap::new());
    let mut left = limits.bytes;
    let broken = |error: io::Error| Failure::os("archive")(error);
    for (number, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.trim_start_matches("./").to_owned();
        let kind = entry.header().entry_type();
        if kind.is_file() {
            let path = staging.join(number.to_string());
            let mut file = File::create(&path).map_err(Failure::os(path.display()))?;
            let size = entry.size();
            left = left.checked_sub(size).ok_or_else(|| layer::too_large(limits))?;
            let copied = io::copy(&mut entry, &mut file).map_err(Failure::os("archive"))?;
            if copied != size {
                return Err(Failure::new("ends too early").about("archive"));
            }
            files.insert(name, path);
        } else if (kind.is_symlink() || kind.is_hard_link())
            && let Some(target) = entry.link_name_bytes()
        {
            let target = String::from_utf8_lossy(&target).into_owned();
            links.insert(name.clone(), member_of(&name, &target, kind.is_symlink()));
        }
    }
    Ok(Source::Members { files, links })
}

/// The member that a link means: docker's legacy archives link `a/layer.tar` to `../b/layer.tar`.
fn member_of(name: &str, target: &str, relative: bool) -> String {
    let mut parts: Vec<&str> = Vec::new();
    if relative {
        parts.extend(name.split('/'));
        parts.pop();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn load_from(
    store: &Store,
    source: &Source,
    stem: &str,
    limits: Limits,
) -> Result<Loaded, Failure> {
    if let Some(list) = source.json("manifest.json")? {
        return load_docker(store, source, &list, limits);
    }
    if let Some(index) = source.json("index.json")? {
        return load_layout(store, source, &index, stem, limits);
    }
    Err(Failure::new("holds neither index.json nor manifest.json: it is no image")
        .about("archive")
        .advise("try: box container import FILE NAME, for the tarball of a root file system"))
}

/// Unpacks the image and gives it its names: the last step, so that a name never leads to less.
fn finish(
    store: &Store,
    manifest: &Digest,
    names: Vec<Reference>,
    limits: Limits,
) -> Result<Loaded, Failure> {
    let image = store.image(manifest)?;
    store.unpack(&image, limits)?;
    if names.is_empty() {
        // Without a name it would be swept away: its id serves as one.
        store.change_names(|all| all.insert(image.id.to_string(), manifest.clone()))?;
        return Ok(vec![(None, image.id)]);
    }
    store.change_names(|all| {
        for name in &names {
            all.insert(name.to_string(), manifest.clone());
        }
    })?;
    Ok(names.into_iter().map(|name| (Some(name), image.id.clone())).collect())
}

fn load_layout(
    store: &Store,
    source: &Source,
    index: &[u8],
    stem: &str,
    limits: Limits,
) -> Result<Loaded, Failure> {
    let index: Manifest = parse(index, "index.json")?;
    let mut loaded = Loaded::new();
    for descriptor in &index.manifests {
        if descriptor.platform.as_ref().is_some_and(|platform| !platform.is_ours()) {
            continue;
        }
        let named = |key| descriptor.annotations.get(key);
        let name = named("io.containerd.image.name")
            .or_else(|| named("org.opencontainers.image.ref.name"))
            .map(|name| layout_name(name, stem))
            .transpose()?;
        let manifest = layout_manifest(store, source, descriptor, 0)?;
        loaded.extend(finish(store, &manifest, name.into_iter().collect(), limits)?);
    }
    if loaded.is_empty() {
        return Err(Failure::new("holds no image for linux/amd64").about("index.json"));
    }
    Ok(loaded)
}

/// A layout often gives a tag alone: the folder's name is the repository then.
fn layout_name(name: &str, stem: &str) -> Result<Reference, Failure> {
    if name.contains(['/', ':']) {
        return Reference::parse(name);
    }
    let repository: String = stem.to_ascii_lowercase();
    Reference::parse(&format!("{repository}:{name}")).or_else(|_| Reference::parse(name))
}

/// How deep indexes may be nested.
const NESTED_MAX: u32 = 4;

/// Takes in a manifest and all it points to; of a nested index, the one for this machine.
fn layout_manifest(
    store: &Store,
    source: &Source,
    descriptor: &Descriptor,
    depth: u32,
) -> Result<Digest, Failure> {
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let bytes = source.json(&path(&descriptor.digest))?;
    let bytes = bytes.ok_or_else(|| {
        Failure::new("is missing from the image").about(format!("blob {}", descriptor.digest))
    })?;
    if Digest::of(&bytes) != descriptor.digest {
        let reason = format!("has digest {}", Digest::of(&bytes));
        return Err(Failure::new(reason).about(format!("blob {}", descriptor.digest)));
    }
    let manifest: Manifest = parse(&bytes, "manifest")?;
    if manifest.config.is_none() {
        let ours = manifest
            .manifests
            .iter()
            .find(|entry| entry.platform.as_ref().is_none_or(crate::image::Platform::is_ours));
        return match ours {
            Some(entry) if depth < NESTED_MAX => layout_manifest(store, source, entry, depth + 1),
            _ => Err(Failure::new("holds no image for linux/amd64").about("index")),
        };
    }
    for blob in manifest.config.iter().chain(&manifest.layers) {
        let file = source.need(&path(&blob.digest))?.take(blob.size.saturating_add(1));
        // What is here already is not written again, but what is given is verified all the same.
        let (_, size) = if store.blob(&blob.digest).exists() {
            store.verify(file, &blob.digest)?
        } else {
            store.add_blob(file, Some(&blob.digest))?
        };
        if size != blob.size {
            let reason = format!("has {size} bytes, not {}", blob.size);
            return Err(Failure::new(reason).about(format!("blob {}", blob.digest)));
        }
    }
    Ok(store.add_blob(&bytes[..], Some(&descriptor.digest))?.0)
}

/// An entry of docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn load_docker(
    store: &Store,
    source: &Source,
    list: &[u8],
    limits: Limits,
) -> Result<Loaded, Failure> {
    let images: Vec<DockerImage> = parse(list, "manifest.json")?;
    let mut loaded = Loaded::new();
    for image in images {
        let mut names = Vec::new();
        for tag in image.repo_tags.iter().flatten() {
            names.push(Reference::parse(tag)?);
        }
        let (config, size) = store.add_blob(source.need(&image.config)?, None)?;
        let mut layers = Vec::new();
        for name in &image.layers {
            let (digest, size) = store.add_blob(source.need(name)?, None)?;
            let kind = layer::media_type(&store.blob(&digest))?;
            layers.push(descriptor(kind, digest, size));
        }
        let manifest = add_manifest(store, descriptor(CONFIG, config, size), layers)?;
        loaded.extend(finish(store, &manifest, names, limits)?);
    }
    Ok(loaded)
}

pub fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    let annotations = BTreeMap::new();
    Descriptor { media_type: media_type.into(), digest, size, annotations, platform: None }
}

pub fn add_manifest(
    store: &Store,
    config: Descriptor,
    layers: Vec<Descriptor>,
) -> Result<Digest, Failure> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.into()),
        config: Some(config),
        layers,
        manifests: Vec::new(),
    };
    let bytes = serde_json::to_vec(&manifest).map_err(Failure::new)?;
    Ok(store.add_blob(&bytes[..], None)?.0)
}

/// Makes an image of one layer from the tarball of a root file system.
pub fn import(
    store: &Store,
    input: Option<&Path>,
    name: Option<Reference>,
    execution: Execution,
    message: &str,
    limits: Limits,
) -> Result<Digest, Failure> {
    let _lease = store.lease()?;
    let (blob, size) = store.add_blob(open_input(input)?, None)?;
    let path = store.blob(&blob);
    let file = File::open(&path).map_err(Failure::os(path.display()))?;
    let diff_id = layer::diff_id(BufReader::with_capacity(128 * 1024, file))?;
    let created = crate::time::rfc3339(crate::time::now());
    let config = Config {
        created: Some(created.clone()),
        architecture: "amd64".into(),
        os: "linux".into(),
        config: execution,
        rootfs: RootFs { kind: "layers".into(), diff_ids: vec![diff_id] },
        history: vec![serde_json::json!({"created": created, "comment": message})],
    };
    let layers = vec![descriptor(layer::media_type(&path)?, blob, size)];
    add_image(store, &config, layers, name, limits)
}

/// Makes an image of a configuration and layers that are here; returns its id.
pub fn add_image(
    store: &Store,
    config: &Config,
    layers: Vec<Descriptor>,
    name: Option<Reference>,
    limits: Limits,
) -> Result<Digest, Failure> {
    let bytes = serde_json::to_vec(config).map_err(Failure::new)?;
    let (id, size) = store.add_blob(&bytes[..], None)?;
    let manifest = add_manifest(store, descriptor(CONFIG, id.clone(), size), layers)?;
    finish(store, &manifest, name.into_iter().collect(), limits)?;
    Ok(id)
}
