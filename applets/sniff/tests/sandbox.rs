//! The sandbox that packets are read in, tried from inside. It holds for the thread that enters it, so
//! that each test has one of its own.

use std::path::PathBuf;

use box_sys::sandbox::{self, Allowance};

/// Runs `inside` in a thread that has entered the sandbox.
fn inside(allowance: Allowance, inside: fn() -> Result<(), String>) {
    let thread = std::thread::spawn(move || {
        sandbox::enter(&allowance).map_err(|error| error.to_string())?;
        inside()
    });
    assert_eq!(thread.join().expect("no panic"), Ok(()));
}

fn refused<T>(what: &str, outcome: std::io::Result<T>) -> Result<(), String> {
    match outcome {
        Ok(_) => Err(format!("{what} was allowed")),
        Err(_) => Ok(()),
    }
}

#[test]
fn no_file_can_be_opened_and_no_program_run() {
    inside(Allowance::default(), || {
        refused("/etc/shadow", std::fs::File::open("/etc/shadow"))?;
        refused("/etc/hosts", std::fs::File::open("/etc/hosts"))?;
        refused("a new file", std::fs::File::create("/tmp/box-sniff-sandbox"))?;
        refused("a unix socket", std::os::unix::net::UnixDatagram::unbound())?;
        refused("a program", std::process::Command::new("/bin/true").status())
    });
}

#[test]
fn the_files_that_are_needed_can_be_read_alone() {
    let readable = vec![PathBuf::from("/etc/passwd")];
    inside(Allowance { readable, network: true }, || {
        std::fs::read("/etc/passwd").map_err(|error| error.to_string())?;
        std::net::UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        refused("/etc/shadow", std::fs::File::open("/etc/shadow"))?;
        refused("writing", std::fs::OpenOptions::new().append(true).open("/etc/passwd"))
    });
}
