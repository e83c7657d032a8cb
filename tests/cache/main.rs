//! `box cache` end to end: the real binary against real clients, files and peers.

mod benchmark;
mod client;

use box_harness::Bin;

fn bx() -> Bin {
    Bin::new(env!("CARGO_BIN_EXE_box"))
}

#[test]
fn help_is_shown_on_standard_output() {
    bx().run(["cache", "--help"]).succeeds().stdout_has("Usage: box cache").stderr("");
}
