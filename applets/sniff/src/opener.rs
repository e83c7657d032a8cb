//! Files of a rotation, and the command behind each (`-C`, `-G`, `-z`): a process that keeps the
//! right to create them, made before the others are given up.
//!
//! The capturing process asks over a pair of sockets and gets a descriptor. It is not trusted: a
//! name has to be the pattern of `-w` with a number or a time filled in, and the command is run as
//! the user that the capture runs as. The folder stays open, so that files go where the first went.
//!
//! ```text
//! o NAME    create the file     -> o + descriptor, or e + errno
//! z NAME    run the command     -> nothing
//! ```

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use box_kit::Failure;
use box_sys::{at, pass, spawn};

use crate::privileges::Identity;

const CREATE: u8 = b'o';
const RUN: u8 = b'z';
const REFUSED: u8 = b'e';
/// Longer names are refused by the kernel.
const MAX_NAME: usize = 4096;
/// O_WRONLY | O_CREAT | O_TRUNC, the same on all Linux architectures that matter here.
const CREATE_FLAGS: i32 = 0o1 | 0o100 | 0o1000;
const MODE: u64 = 0o644;
const EACCES: i32 = 13;

/// Who creates files.
#[derive(Debug)]
pub enum Opener {
    /// This process, for a user and group where it is about to change to them.
    Here(Option<(u32, u32)>),
    /// The process at the other end.
    Apart(OwnedFd),
}

/// What the process apart needs to know.
struct Server {
    /// `-w`
    pattern: String,
    /// `-z`
    command: Option<String>,
    owner: Option<Identity>,
    /// The folder of the pattern where no time is part of it, with the length of its name.
    folder: Option<(OwnedFd, usize)>,
    running: Vec<Child>,
}

impl Opener {
    /// Starts the process apart. The caller must have one thread.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(
        pattern: &str,
        command: Option<&str>,
        owner: Option<&Identity>,
    ) -> Result<Opener, Failure> {
        let os = || Failure::os("rotation");
        let (here, there) = pass::message_pair().map_err(os())?;
        let mut server = Server {
            pattern: pattern.to_owned(),
            command: command.map(str::to_owned),
            owner: owner.cloned(),
            folder: folder(pattern),
            running: Vec::new(),
        };
        match spawn::fork().map_err(os())? {
            spawn::Forked::Parent(_) => Ok(Opener::Apart(here)),
            spawn::Forked::Child => {
                drop(here);
                server.serve(&there);
                spawn::exit_now(0)
            }
        }
    }

    /// Creates a file.
    ///
    /// # Errors
    /// The kernel's.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let socket = match self {
            Opener::Apart(socket) => socket,
            Opener::Here(owner) => {
                let file = File::create(name)?;
                // A device or a pipe that was there before keeps its owner.
                if let Some((uid, gid)) = owner
                    && file.metadata()?.is_file()
                {
                    std::os::unix::fs::fchown(&file, Some(*uid), Some(*gid))?;
                }
                return Ok(file);
            }
        };
        ask(socket, CREATE, name)?;
        let mut answer = [0; 8];
        match pass::receive(socket.as_fd(), &mut answer)? {
            (1.., Some(file)) => Ok(File::from(file)),
            (5.., None) => {
                let [_, a, b, c, d, ..] = answer;
                Err(io::Error::from_raw_os_error(i32::from_ne_bytes([a, b, c, d])))
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Runs the command of `-z` on a file that is complete.
    ///
    /// # Errors
    /// The process apart is gone.
    pub fn finished(&self, name: &str) -> io::Result<()> {
        match self {
            Opener::Apart(socket) => ask(socket, RUN, name),
            Opener::Here(_) => Ok(()),
        }
    }
}

fn ask(socket: &OwnedFd, what: u8, name: &str) -> io::Result<()> {
    let mut message = vec![what];
    message.extend_from_slice(name.as_bytes());
    spawn::write(socket.as_fd(), &message).map(drop)
}

/// The folder of a pattern, unless the time is part of its name.
fn folder(pattern: &str) -> Option<(OwnedFd, usize)> {
    let (path, len) = match pattern.rfind('/') {
        Some(at) => (pattern.get(..=at)?, at + 1),
        None => (".", 0),
    };
    if path.contains('%') {
        return None;
    }
    at::handle(&CString::new(path).ok()?).ok().map(|folder| (folder, len))
}

impl Server {
    fn serve(&mut self, socket: &OwnedFd) {
        let mut message = vec![0; MAX_NAME + 1];
        while let Ok((len @ 1.., _)) = pass::receive(socket.as_fd(), &mut message) {
            self.running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            let (what, name) = match message.get(..len) {
                Some([what, name @ ..]) => (*what, String::from_utf8_lossy(name).into_owned()),
                _ => continue,
            };
            match what {
                CREATE => {
                    let outcome = self.create(&name);
                    if answer(socket, outcome).is_err() {
                        return;
                    }
                }
                RUN if fits(&self.pattern, &name) => self.run(&name),
                _ => {}
            }
        }
    }

    fn create(&self, name: &str) -> io::Result<OwnedFd> {
        if !fits(&self.pattern, name) {
            return Err(io::Error::from_raw_os_error(EACCES));
        }
        let file: OwnedFd = match &self.folder {
            Some((folder, len)) => {
                let path = CString::new(name.get(*len..).unwrap_or_default())?;
                at::open(folder.as_fd(), &path, CREATE_FLAGS, MODE as u32, at::Resolve::ANY)?
            }
            None => File::create(name)?.into(),
        };
        if let Some(owner) = &self.owner {
            std::os::unix::fs::fchown(&file, Some(owner.ids.0), Some(owner.ids.1))?;
        }
        Ok(file)
    }

    fn run(&mut self, name: &str) {
        let Some(program) = &self.command else { return };
        let mut command = Command::new(program);
        command.arg(name);
        if let Some(owner) = &self.owner {
            command.uid(owner.ids.0).gid(owner.ids.1);
        }
        match command.spawn() {
            Ok(child) => self.running.push(child),
            Err(error) => {
                let words = box_kit::exit::kernel_words(&error);
                eprintln!("compress_savefile: execlp({program}, {name}) failed: {words}");
            }
        }
    }
}

fn answer(socket: &OwnedFd, outcome: io::Result<OwnedFd>) -> io::Result<()> {
    match outcome {
        Ok(file) => pass::send_fd(socket.as_fd(), &[CREATE], file.as_fd()),
        Err(error) => {
            let mut message = vec![REFUSED];
            message.extend(error.raw_os_error().unwrap_or(EACCES).to_ne_bytes());
            spawn::write(socket.as_fd(), &message).map(drop)
        }
    }
}

/// Whether a name is the pattern with times in place of its conversions and a number behind.
fn fits(pattern: &str, name: &str) -> bool {
    let fixed = pattern.split('%').next().unwrap_or_default();
    let Some(rest) = name.strip_prefix(fixed) else { return false };
    if fixed.len() == pattern.len() {
        return rest.bytes().all(|byte| byte.is_ascii_digit());
    }
    !rest.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_pattern_are_created() {
        assert!(fits("/d/x.pcap", "/d/x.pcap12") && fits("/d/x.pcap", "/d/x.pcap"));
        assert!(!fits("/d/x.pcap", "/d/x.pcap.sh") && !fits("/d/x.pcap", "/etc/shadow"));
        assert!(fits("/d/%H/x", "/d/12/x"));
        assert!(!fits("/d/%H/x", "/d/../x") && !fits("/d/%H/x", "/e/1/x"));
    }
}
