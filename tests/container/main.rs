//! `box container` end to end: the real binary, checked from inside and outside of the container.

mod cgroup2;
mod changes;
mod engine;
mod images;
mod lifecycle;
mod limits;
mod network;
mod oci;
mod oci_fields;
mod registry;
mod security;
mod terminal;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use box_harness::{Bin, Ran, oracle, root, scratch};
use tempfile::TempDir;

fn bx() -> Bin {
    Bin::new(env!("CARGO_BIN_EXE_box"))
}

/// The programs of the test's root file system.
const PROGRAMS: [&str; 24] = [
    "cat", "chmod", "dd", "echo", "env", "grep", "head", "hostname", "httpd", "id", "kill", "ls",
    "mkdir", "mount", "ps", "pwd", "sh", "sleep", "stat", "stty", "tail", "touch", "true", "wget",
];

/// An engine with a folder of its own, and a root file system made of busybox-static.
struct Engine {
    folder: TempDir,
}

impl Engine {
    /// `None`, said aloud, where the test cannot run.
    fn new() -> Option<Engine> {
        let busybox = oracle("busybox")?;
        if !root() {
            return None;
        }
        let folder = scratch();
        let bin = folder.path().join("rootfs/bin");
        std::fs::create_dir_all(&bin).expect("a folder");
        for name in ["etc", "tmp", "home/ann", "dir"] {
            std::fs::create_dir_all(folder.path().join("rootfs").join(name)).expect("a folder");
        }
        std::fs::copy(busybox, bin.join("busybox")).expect("a copy");
        for program in PROGRAMS {
            std::os::unix::fs::symlink("busybox", bin.join(program)).expect("a link");
        }
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n";
        std::fs::write(folder.path().join("rootfs/etc/passwd"), passwd).expect("a file");
        let group = "root:x:0:\nadm:x:4:ann\nusers:x:100:\n";
        std::fs::write(folder.path().join("rootfs/etc/group"), group).expect("a file");
        Some(Engine { folder })
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn rootfs(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let root = self.root();
        let mut command =
            bx().command([OsStr::new("container"), OsStr::new("--root"), root.as_os_str()]);
        command.args(args);
        command
    }

    fn run<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Ran {
        Ran::feed(self.command(args), "")
    }

    /// `run --rm` of a shell script in the root file system, without a network, with more options.
    fn sh(&self, options: &[&str], script: &str) -> Ran {
        self.run(self.words(&["run", "--rm", "--network", "none"], options, script))
    }

    fn words(&self, first: &[&str], options: &[&str], script: &str) -> Vec<String> {
        let rootfs = self.rootfs().display().to_string();
        let last = ["--rootfs", &rootfs, "sh", "-c", script];
        first.iter().chain(options).chain(&last).map(|word| (*word).to_owned()).collect()
    }

    /// The value of a template.
    fn inspect(&self, name: &str, format: &str) -> String {
        self.run(["inspect", "--format", format, name]).out().trim().to_owned()
    }

    /// Ids of all containers.
    fn ids(&self) -> Vec<String> {
        let ran = self.run(["ps", "-aq", "--no-trunc"]);
        ran.out().lines().map(str::to_owned).collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.root().exists() {
            return;
        }
        for id in self.ids() {
            drop(self.run(["rm", "-f", &id]));
        }
    }
}

/// The cgroup directories whose name contains `part`.
fn cgroups(part: &str) -> Vec<PathBuf> {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let entries =
        hierarchies.flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten());
    let named =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(part));
    entries.flatten().map(|entry| entry.path()).filter(|path| named(path)).collect()
}

#[test]
fn help_is_shown_on_standard_output() {
    bx().run(["container", "--help"]).succeeds().stdout_has("Usage: box container").stderr("");
    bx().run(["container", "run", "--help"]).succeeds().stdout_has("--publish").stderr("");
}
