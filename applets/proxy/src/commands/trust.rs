//! `box proxy trust` and `untrust`: the local authority in the system's trust store.
//!
//! The store is a folder of certificates and a program that makes one bundle of them; both differ
//! between families of distributions. Browsers with a store of their own are not touched.

use std::path::{Path, PathBuf};
use std::process::Command;

use box_kit::{Failure, Outcome};

use super::{local_authority, print};

/// A family's folder and program.
const STORES: &[(&str, &str, &[&str])] = &[
    ("/usr/local/share/ca-certificates", "update-ca-certificates", &[]),
    ("/etc/pki/ca-trust/source/anchors", "update-ca-trust", &["extract"]),
    ("/etc/ca-certificates/trust-source/anchors", "trust", &["extract-compat"]),
];
const FILE: &str = "box-proxy.crt";

/// Puts the authority into the store.
pub fn trust() -> Outcome {
    let authority = local_authority()?;
    let (folder, update) = store()?;
    let installed = folder.join(FILE);
    let copied = std::fs::copy(&authority.file, &installed).and_then(|_| {
        std::fs::set_permissions(&installed, std::os::unix::fs::PermissionsExt::from_mode(0o644))
    });
    copied.map_err(|error| {
        Failure::os(installed.display())(error).advise("try: sudo HOME=$HOME box proxy trust")
    })?;
    bundle(update)?;
    print(&format!("trusted: {} is in {}\n", authority.file.display(), folder.display()))
}

/// Takes it out again.
pub fn untrust() -> Outcome {
    let (folder, update) = store()?;
    let installed = folder.join(FILE);
    match std::fs::remove_file(&installed) {
        Ok(()) => bundle(update)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::os(installed.display())(error)),
    }
    print("no longer trusted\n")
}

/// Whether the store holds this certificate.
pub fn is_trusted(file: &Path) -> bool {
    let read = |path: &Path| std::fs::read(path).ok();
    let ours = read(file);
    ours.is_some() && STORES.iter().any(|(folder, ..)| read(&Path::new(folder).join(FILE)) == ours)
}

type Update = (&'static str, &'static [&'static str]);

fn store() -> Result<(PathBuf, Update), Failure> {
    let found = STORES.iter().find(|(folder, ..)| Path::new(folder).is_dir());
    let (folder, program, args) = found.ok_or_else(|| {
        Failure::new("no trust store is known on this system")
            .advise("the certificate: box proxy cert ca")
    })?;
    Ok((PathBuf::from(folder), (program, args)))
}

fn bundle((program, args): Update) -> Result<(), Failure> {
    let output = Command::new(program).args(args).output().map_err(Failure::os(program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(said.lines().last().unwrap_or("it failed")).about(program))
}
