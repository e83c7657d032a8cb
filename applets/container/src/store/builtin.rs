//! The image `@box`: the static binary itself with its applet links, and nothing else.
//!
//! Its one layer is a handful of folders and links; the binary is bound over `/bin/box` through a
//! read-only mount at each start, so it is never copied.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use box_kit::Failure;

use super::Store;
use crate::image::{Config, Digest, Execution};

/// The name under which it is asked for.
pub const NAME: &str = "@box";
/// Where the binary is bound.
pub const BINARY: &str = "/bin/box";

/// How its containers are run.
pub fn config() -> Config {
    Config {
        architecture: "amd64".into(),
        os: "linux".into(),
        config: Execution {
            env: vec!["PATH=/bin".into(), "HOME=/root".into()],
            entrypoint: vec![BINARY.into()],
            cmd: vec!["--list".into()],
            working_dir: "/root".into(),
            ..Execution::default()
        },
        ..Config::default()
    }
}

/// The digest that stands for it: of what it is made of.
pub fn id(links: &[&str]) -> Digest {
    let links = links.join(" ");
    Digest::of(format!("@box {} {links}", env!("CARGO_PKG_VERSION")).as_bytes())
}

const FOLDERS: [(&str, u32); 9] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
];

/// Its layer's folder, made at first use.
pub fn layer(store: &Store, links: &[&str]) -> Result<PathBuf, Failure> {
    let target = store.root.join("layers").join(format!("box-{}", id(links).short()));
    let diff = target.join("diff");
    if diff.exists() {
        return Ok(diff);
    }
    let staging = store.temporary("builtin")?;
    write(&staging.join("diff"), links)?;
    match fs::rename(&staging, &target) {
        // Another start was faster.
        Err(_) if diff.exists() => {
            fs::remove_dir_all(&staging).map_err(Failure::os(staging.display()))?;
        }
        outcome => outcome.map_err(Failure::os(target.display()))?,
    }
    Ok(diff)
}

fn write(diff: &Path, links: &[&str]) -> Result<(), Failure> {
    let about = diff.display().to_string();
    fs::create_dir_all(diff).map_err(Failure::os(&about))?;
    for (name, mode) in FOLDERS {
        let path = diff.join(name);
        fs::create_dir(&path).map_err(Failure::os(&about))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .map_err(Failure::os(&about))?;
    }
    let files = [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/box\nnobody:x:65534:65534:nobody:/:/bin/box\n"),
        ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
        ("bin/box", ""),
    ];
    for (name, text) in files {
        fs::write(diff.join(name), text).map_err(Failure::os(&about))?;
    }
    for link in links {
        symlink("box", diff.join("bin").join(link)).map_err(Failure::os(&about))?;
    }
    Ok(())
}
