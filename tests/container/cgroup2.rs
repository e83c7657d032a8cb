//! The tests of limits once more where the kernel has cgroups of version 2 alone: under User-Mode
//! Linux, in which this test program starts itself.

use std::process::Command;

use box_harness::{Ran, oracle, root};

/// What is run there: whatever has to do with groups, and the life of containers above them.
const WHAT: [&str; 3] = ["limits::", "oci::", "lifecycle::"];

#[test]
fn everything_holds_on_version_2() {
    if oracle("linux.uml").is_none() || oracle("busybox").is_none() || !root() {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/container/uml.sh");
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new("bash");
    command.arg(script).arg(own).args(WHAT).args(["--test-threads", "2"]);
    // Peers that know nothing of this machine.
    command.args(["--skip", "crun", "--skip", "podman", "--color", "never"]);
    // What has nothing to do with groups and takes long.
    command.args(["--skip", "many_at_once", "--skip", "rotated"]);
    let ran = Ran::feed(command, "");
    assert_eq!(ran.output.status.code(), Some(0), "{}", ran.out());
    assert!(ran.out().contains("test result: ok"), "{}", ran.out());
}
