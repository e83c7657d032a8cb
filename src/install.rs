//! `box --install DIR`: links of the applets' names to this binary.
//!
//! A regular file is never overwritten. A link that points elsewhere is replaced only with
//! `--force`. What exists is named, the others are made, and the exit code is 1.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use box_kit::{Exit, Failure, Outcome, exit::kernel_words};

use crate::applets::APPLETS;

/// Makes the links in `folder`; with `compat` also those of the incumbents' names.
///
/// # Errors
/// The folder or this binary cannot be used. A name that exists is not an error but exit code 1.
pub fn run(folder: &Path, compat: bool, force: bool) -> Outcome {
    let binary = std::env::current_exe().map_err(Failure::os("/proc/self/exe"))?;
    fs::create_dir_all(folder).map_err(Failure::os(folder.display()))?;
    let mut exit = Exit::DONE;
    let mut out = io::stdout().lock();
    for name in names(compat) {
        let link = folder.join(&name);
        match make(&binary, &link, force) {
            Ok(false) => {}
            Ok(true) => writeln!(out, "{} -> {}", link.display(), binary.display())
                .map_err(Failure::os("standard output"))?,
            Err(error) => {
                let failure = Failure::new(kernel_words(&error)).about(link.display());
                eprint!("{}", failure.render("box: --install"));
                exit = Exit::FAILED;
            }
        }
    }
    Ok(exit)
}

/// `box` itself, every applet with its `box-` form and aliases, and on request the incumbents'.
fn names(compat: bool) -> Vec<String> {
    let mut names = vec!["box".to_owned()];
    for applet in APPLETS {
        names.push(applet.name.to_owned());
        names.push(format!("box-{}", applet.name));
        names.extend(applet.aliases.iter().map(|name| (*name).to_owned()));
        if compat {
            names.extend(applet.imitates.iter().map(|name| (*name).to_owned()));
        }
    }
    names
}

/// Makes one link; false where it is right already.
fn make(binary: &Path, link: &Path, force: bool) -> io::Result<bool> {
    // The binary itself may lie in the folder, or a link may be right already.
    if fs::canonicalize(link).is_ok_and(|target| target == binary) {
        return Ok(false);
    }
    match fs::symlink_metadata(link) {
        Ok(found) if found.is_symlink() && force => replace(binary, link),
        _ => symlink(binary, link),
    }?;
    Ok(true)
}

/// A rename over the old link: at no moment is the name missing.
fn replace(binary: &Path, link: &Path) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".box-install-");
    name.push(link.file_name().unwrap_or_default());
    let temporary = link.with_file_name(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(binary, &temporary)?;
    fs::rename(&temporary, link)
}
