//! Verification of everything in the store: each blob by its digest, each image by what it names,
//! each unpacked layer by whether it is there.

use std::collections::BTreeSet;
use std::fs::{self, File};

use box_kit::Failure;

use super::Store;
use crate::image::Digest;

/// Something that is not as it should be.
#[derive(Debug)]
pub struct Fault {
    /// The blob or name.
    pub what: String,
    pub why: String,
}

impl Store {
    /// Reads all of it. Faults come in the order of names.
    pub fn check(&self) -> Result<Vec<Fault>, Failure> {
        let mut faults = Vec::new();
        let mut damaged = BTreeSet::new();
        let folder = self.root.join("blobs/sha256");
        let entries = fs::read_dir(&folder).map_err(Failure::os(folder.display()))?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let Some(digest) = name.to_str().and_then(Digest::from_hex) else { continue };
            let path = self.blob(&digest);
            let file = File::open(&path).map_err(Failure::os(path.display()))?;
            if let Err(failure) = self.verify(file, &digest) {
                faults.push(Fault { what: format!("blob {digest}"), why: failure.to_string() });
                damaged.insert(digest);
            }
        }
        for (name, manifest) in self.names()? {
            match self.image(&manifest) {
                Err(failure) => faults.push(Fault { what: name, why: failure.to_string() }),
                Ok(image) => {
                    let blobs = image.manifest.layers.iter().map(|layer| &layer.digest);
                    for digest in blobs.chain([&image.id]) {
                        if !self.blob(digest).exists() {
                            let why = format!("blob {digest} is missing");
                            faults.push(Fault { what: name.clone(), why });
                        } else if damaged.contains(digest) {
                            let why = format!("blob {digest} is damaged");
                            faults.push(Fault { what: name.clone(), why });
                        }
                    }
                }
            }
        }
        Ok(faults)
    }

    /// Removes damaged blobs and the names that need what is gone. What was unpacked before stays:
    /// it was verified then.
    pub fn repair(&self) -> Result<Vec<String>, Failure> {
        let faults = self.check()?;
        for fault in &faults {
            if let Some(digest) = fault.what.strip_prefix("blob ").and_then(Digest::parse) {
                let path = self.blob(&digest);
                fs::remove_file(&path).map_err(Failure::os(path.display()))?;
            }
        }
        let gone: BTreeSet<_> = faults.iter().map(|fault| fault.what.clone()).collect();
        let removed = self.change_names(|names| {
            let removed: Vec<_> =
                names.keys().filter(|name| gone.contains(*name)).cloned().collect();
            names.retain(|name, _| !gone.contains(name));
            removed
        })?;
        self.sweep()?;
        Ok(removed)
    }
}
