//! What an engine that shares files with SQLite needs of the machine.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;

use box_kit::doctor::Finding;
use box_kit::exit::kernel_words;
use box_sys::mount;

/// File systems whose locks, or shared memory, do not reach the other machines: NFS and SMB.
const NETWORKED: [i64; 4] = [0x6969, 0x517B, 0xFE53_4D42, 0xFF53_4D42];

/// The lines of `box doctor`.
pub fn needs() -> Vec<Finding> {
    vec![working_folder(), temporary_folder()]
}

fn working_folder() -> Finding {
    let need = "file locks";
    match File::open(".").and_then(|folder| mount::file_system(folder.as_fd())) {
        Ok(kind) if NETWORKED.contains(&kind) => Finding::worse(
            need,
            "this folder is on a network file system: no WAL, and locks are as good as its server",
            "keep the database on a local disk",
        ),
        Ok(_) => Finding::good(need, "this folder is on a local file system"),
        Err(error) => {
            Finding::worse(need, format!("this folder: {}", kernel_words(&error)), "cd to another")
        }
    }
}

fn temporary_folder() -> Finding {
    let need = "temporary files";
    let folder = std::env::var_os("SQLITE_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let probe = folder.join(format!("box-doctor-{}", std::process::id()));
    match File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe)) {
        Ok(()) => Finding::good(need, folder.display().to_string()),
        Err(error) => Finding::worse(
            need,
            format!("{}: {}: large sorts fail", folder.display(), kernel_words(&error)),
            "export SQLITE_TMPDIR=/var/tmp",
        ),
    }
}
