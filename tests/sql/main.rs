//! `box sql` end to end: the real binary against sqlite3, its files and its test corpus.

mod alike;
mod batch;
mod crash;
mod differential;
mod files;
mod language;
mod scripts;
mod shell;
mod slt;

use box_harness::Bin;

fn bx() -> Bin {
    Bin::new(env!("CARGO_BIN_EXE_box"))
}

/// Runs SQL in a database in memory and gives what was printed.
#[track_caller]
fn sql(text: &str) -> String {
    bx().run(["sql", ":memory:", text]).succeeds().stderr("").out()
}

/// Runs the same script through sqlite3; standard output, standard error.
fn reference(sqlite3: &std::path::Path, file: &str, script: &str) -> (String, String) {
    let mut command = std::process::Command::new(sqlite3);
    command.args(["-batch", "-init", "/dev/null", file]);
    let ran = box_harness::Ran::feed(command, script);
    (ran.out(), ran.err())
}

#[test]
fn help_is_shown_on_standard_output() {
    bx().run(["sql", "--help"]).succeeds().stdout_has("Usage: box sql").stderr("");
}
