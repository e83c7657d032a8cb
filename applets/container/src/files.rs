//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use box_kit::Failure;

/// Puts `bytes` at `path` through a temporary file and a rename. When `durable`, file and folder
/// are flushed first and last, so that a crash leaves the old content or the new.
pub fn replace(path: &Path, bytes: &[u8], durable: bool) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = std::process::id();
    let temporary = folder.join(format!(".{name}.{unique}"));
    let about = path.display().to_string();
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        if durable { file.sync_all() } else { Ok(()) }
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        // The failure that counts is the one reported.
        let _ = fs::remove_file(&temporary);
    }
    renamed.map_err(Failure::os(about))?;
    if durable { sync_folder(folder) } else { Ok(()) }
}

/// Flushes the names in a folder to the disk.
pub fn sync_folder(folder: &Path) -> Result<(), Failure> {
    let handle = box_sys::at::open_dir(folder).map_err(Failure::os(folder.display()))?;
    box_sys::at::sync(&handle).map_err(Failure::os(folder.display()))
}
