//! Drives the real `box` in tests: runs it, checks what it printed and how it ended, finds the
//! incumbents it is compared with.
//!
//! ```no_run
//! # use box_harness::Bin;
//! let bx = Bin::new(env!("CARGO")); // in a test: env!("CARGO_BIN_EXE_box")
//! bx.run(["nope"]).fails(127).stdout("").stderr("box: nope: no such applet\n");
//! ```

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub use nix::sys::signal::Signal;

/// The binary under test.
#[derive(Clone, Debug)]
pub struct Bin {
    path: PathBuf,
}

impl Bin {
    /// Of `env!("CARGO_BIN_EXE_box")`.
    pub fn new(path: impl Into<PathBuf>) -> Bin {
        Bin { path: path.into() }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command to be adjusted and started by the test.
    pub fn command<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(args).env_remove("NO_COLOR").env("LC_ALL", "C");
        command
    }

    /// Runs it to its end with nothing on standard input.
    pub fn run<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Ran {
        self.feed(args, "")
    }

    /// Runs it to its end with `input` on standard input.
    pub fn feed<I: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = I>,
        input: impl AsRef<[u8]>,
    ) -> Ran {
        Ran::feed(self.command(args), input)
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ran {
    /// How it was called, for messages.
    pub shown: String,
    /// What it printed and how it ended.
    pub output: Output,
}

impl Ran {
    /// Runs `command` to its end with `input` on standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn feed(mut command: Command, input: impl AsRef<[u8]>) -> Ran {
        let shown = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let input = input.as_ref().to_vec();
        // The program may end without reading all of it: that is its right.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("{shown}: {error}"));
        feeder.join().expect("the feeder does not panic");
        Ran { shown, output }
    }

    /// Expects exit code 0.
    #[track_caller]
    pub fn succeeds(self) -> Ran {
        self.fails(0)
    }

    /// Expects exit code `code`.
    #[track_caller]
    pub fn fails(self, code: i32) -> Ran {
        assert_eq!(self.output.status.code(), Some(code), "{}", self.account());
        self
    }

    /// Expects exactly this on standard output.
    #[track_caller]
    pub fn stdout(self, expected: impl AsRef<str>) -> Ran {
        assert_eq!(self.out(), expected.as_ref(), "standard output of {}", self.account());
        self
    }

    /// Expects exactly this on standard error.
    #[track_caller]
    pub fn stderr(self, expected: impl AsRef<str>) -> Ran {
        assert_eq!(self.err(), expected.as_ref(), "standard error of {}", self.account());
        self
    }

    /// Expects `part` somewhere on standard output.
    #[track_caller]
    pub fn stdout_has(self, part: &str) -> Ran {
        assert!(self.out().contains(part), "no {part:?} in {}", self.account());
        self
    }

    /// Expects `part` somewhere on standard error.
    #[track_caller]
    pub fn stderr_has(self, part: &str) -> Ran {
        assert!(self.err().contains(part), "no {part:?} in {}", self.account());
        self
    }

    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    fn account(&self) -> String {
        format!(
            "{}\n{}\n--- stdout\n{}\n--- stderr\n{}",
            self.shown,
            self.output.status,
            self.out(),
            self.err()
        )
    }
}

/// The path of an incumbent or client in `PATH` (and the sbin folders), or `None` when the test is
/// to be skipped: that is said aloud, and with `CI=true` it is a failure instead.
///
/// # Panics
/// With `CI=true` when the program is not installed.
pub fn oracle(program: &str) -> Option<PathBuf> {
    let found = search(program);
    if found.is_none() {
        skip(&format!("needs {program}"));
    }
    found
}

/// Says that a test is skipped; with `CI=true` that is a failure.
///
/// # Panics
/// With `CI=true`.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "skipped in CI: {why}");
    eprintln!("skipped: {why}");
}

/// The data that comes beside the project (`../shared`), or `None`, said aloud. It is not part of
/// the project, so its absence is never a failure.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("skipped: needs ../shared/{path}");
    None
}

/// Whether the test runs as root; says that it is skipped where it does not.
///
/// # Panics
/// With `CI=true` and not root.
pub fn root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skip("needs root");
    }
    is_root
}

/// Sends a signal to the process `pid`, which the test has started and not yet waited for.
///
/// # Panics
/// When there is no such process.
#[track_caller]
pub fn signal(pid: u32, signal: Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a process id"));
    nix::sys::signal::kill(pid, signal).expect("the process is there");
}

/// A TCP port of the loopback that was free a moment ago. It lies below those that the kernel gives
/// away by itself, so that no connection of another test takes it meanwhile.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 17_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(331);
    (0..COUNT)
        .map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// A directory that is removed at the end of the test.
///
/// # Panics
/// When it cannot be made.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("box-test-").tempdir().expect("a scratch directory")
}

/// Waits until `holds` does, at most `seconds`; the test fails otherwise.
///
/// # Panics
/// When the time is over.
#[track_caller]
pub fn wait_until(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !holds() {
        assert!(std::time::Instant::now() < end, "waited {seconds} s for {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn search(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(sbin);
    folders.map(|folder| folder.join(OsString::from(program))).find(|file| file.is_file())
}
