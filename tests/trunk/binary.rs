//! Properties of the binary: static, small, quick to start, free of the C library's look-ups.
//!
//! The release binary is what ships, so `make test` builds it (with its symbols) and names it in
//! BOX_RELEASE and BOX_SYMBOLS; without them the checks on it are skipped.

use std::path::PathBuf;
use std::process::Command;

use box_harness::{Ran, oracle, skip};

use crate::bx;

/// The path in the variable `name`, or `None`, said aloud.
fn built(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name).map(PathBuf::from);
    if path.is_none() {
        skip(&format!("needs {name} (make test sets it)"));
    }
    path
}

#[test]
fn the_binary_is_a_static_pie() {
    let Some(file) = oracle("file") else { return };
    let mut command = Command::new(file);
    command.arg("-L").arg(bx().path());
    Ran::feed(command, "").succeeds().stdout_has("static-pie linked");
    let mut command = Command::new("ldd");
    command.arg(bx().path()).env("LC_ALL", "C");
    let ran = Ran::feed(command, "");
    assert!(ran.out().contains("statically linked"), "{}", ran.out());
}

#[test]
fn a_build_with_rustflags_in_the_environment_says_why_it_fails() {
    let folder = box_harness::scratch();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--offline", "--no-default-features", "--bin", "box", "--target-dir"]);
    cargo.arg(folder.path()).env("RUSTFLAGS", "-C debuginfo=0");
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    Ran::feed(cargo, "").fails(101).stderr_has("box must be static").stderr_has("try: RUSTFLAGS=");
}

#[test]
fn the_c_librarys_look_ups_are_not_linked() {
    let Some(binary) = built("BOX_SYMBOLS") else { return };
    let bytes = std::fs::read(&binary).unwrap();
    let holds = |name: &str| {
        let name = name.as_bytes();
        bytes.windows(name.len() + 1).any(|w| &w[..name.len()] == name && w[name.len()] == 0)
    };
    // The check itself must be able to see a symbol.
    assert!(holds("main"), "{} has no symbols", binary.display());
    for name in ["getaddrinfo", "getpwnam_r", "getpwuid_r", "getgrnam_r", "gethostbyname_r"] {
        assert!(!holds(name), "{name} is linked: it crashes in a static binary");
    }
}

#[test]
fn the_release_binary_is_below_15_mb() {
    let Some(binary) = built("BOX_RELEASE") else { return };
    let bytes = std::fs::metadata(&binary).unwrap().len();
    println!("release binary: {:.2} MB", bytes as f64 / 1e6);
    assert!(bytes < 15_000_000, "{bytes} bytes");
}

#[test]
fn version_makes_at_most_40_system_calls() {
    let Some(binary) = built("BOX_RELEASE") else { return };
    let Some(strace) = oracle("strace") else { return };
    let mut command = Command::new(strace);
    command.args(["-f", "-e", "quiet=all", "-e", "signal=none"]).arg(binary).arg("version");
    let ran = Ran::feed(command, "").succeeds();
    let calls = ran.err().lines().filter(|line| line.contains('(')).count();
    println!("system calls of box version: {calls}");
    assert!((10..=40).contains(&calls), "{calls}\n{}", ran.err());
}
