//! `box proxy` end to end: the real binary against real clients, files and peers.

mod browser;
mod framing;
mod http2;
mod inspector;
mod local;
mod run;
mod server;
mod support;
mod targets;
mod webhook;

use support::bx;

#[test]
fn help_is_shown_on_standard_output() {
    bx().run(["proxy", "--help"]).succeeds().stdout_has("Usage: box proxy").stderr("");
    for command in [
        "http", "file", "tcp", "tls", "server", "run", "check", "reload", "trust", "untrust",
        "token", "cert",
    ] {
        bx().run(["proxy", command, "--help"]).succeeds().stdout_has("Usage: box proxy").stderr("");
    }
}

#[test]
fn misuse_ends_with_2_and_usage() {
    bx().run(["proxy", "http", "--nope"]).fails(2).stdout("").stderr_has("--nope");
    bx().run(["proxy", "http", "what?"]).fails(2).stderr_has("what?");
    bx().run(["proxy"]).fails(2);
    bx().run(["proxy", "http", "3000", "--server", "x.test"]).fails(2).stderr_has("--token");
}
