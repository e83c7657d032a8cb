//! The search for the program and its start.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use box_sys::at::{self, Resolve};
use box_sys::spawn;

use super::super::plan::INIT;
use super::{Context, refusal};

/// The error of a search: `EACCES` when something was there that may not be started.
pub fn find(context: &mut Context<'_>) -> io::Result<()> {
    let mut error = refusal(libc::ENOENT);
    for (number, candidate) in context.program.candidates.iter().enumerate() {
        match at::status_followed(candidate) {
            Ok(found) if found.is_dir() || found.mode & 0o111 == 0 => {
                error = refusal(libc::EACCES);
            }
            Ok(_) => {
                context.found = number;
                return Ok(());
            }
            Err(other) if is_absence(&other) => {}
            Err(other) => error = other,
        }
    }
    Err(error)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}

/// Starts what was found; where that is gone by now, what comes after it.
pub fn start(context: &Context<'_>) -> io::Error {
    let program = context.program;
    if program.through_init {
        return match context.slot(INIT) {
            Ok(init) => spawn::execute_file(init, &program.args, &program.env),
            Err(error) => error,
        };
    }
    let mut error = refusal(libc::ENOENT);
    for candidate in program.candidates.iter().skip(context.found) {
        if let Some(forbidden) = program.forbidden
            && leads_to(candidate, forbidden, 0)
        {
            return refusal(libc::EPERM);
        }
        let failed = spawn::execute(candidate, &program.args, &program.env);
        match failed.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => error = failed,
            _ => return failed,
        }
    }
    error
}

/// How many interpreters of interpreters the kernel follows.
const INTERPRETERS_MAX: u32 = 5;

/// Whether the file, or the interpreter its first line names, is the forbidden one: an image whose
/// program is `/proc/self/exe`, or a script for it, would get hold of the runtime's binary.
fn leads_to(path: &CStr, forbidden: (u64, u64), depth: u32) -> bool {
    if at::status_followed(path).is_ok_and(|file| (file.dev, file.ino) == forbidden) {
        return true;
    }
    let here = at::working_directory();
    let Ok(file) = at::open(here, path, libc::O_RDONLY | libc::O_NONBLOCK, 0, Resolve::ANY) else {
        return false;
    };
    let mut line = [0u8; 257];
    let Ok(length) = spawn::read(file.as_fd(), &mut line[..256]) else { return false };
    let Some(rest) = line[..length].strip_prefix(b"#!") else { return false };
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(first) = rest.iter().position(|byte| !blank(byte)) else { return false };
    let rest = &rest[first..];
    let end = rest.iter().position(|byte| blank(byte) || matches!(byte, b'\n' | 0));
    let (from, to) = (2 + first, 2 + first + end.unwrap_or(rest.len()));
    line[to] = 0;
    match CStr::from_bytes_until_nul(&line[from..]) {
        Ok(interpreter) => depth < INTERPRETERS_MAX && leads_to(interpreter, forbidden, depth + 1),
        Err(_) => false,
    }
}
