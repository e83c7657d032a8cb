//! `box cache-cli` beside redis-cli: the same arguments and input, compared byte for byte.

pub mod peer;

mod forms;
mod modes;
mod session;

use std::path::{Path, PathBuf};
use std::process::Command;

use box_harness::{Ran, scratch};
use tempfile::TempDir;

use crate::bx;
use peer::Redis;

/// Links to the box by imitated names.
pub struct Links {
    folder: TempDir,
}

impl Links {
    pub fn new() -> Links {
        let folder = scratch();
        for name in ["redis-cli", "valkey-cli", "redis-benchmark"] {
            std::os::unix::fs::symlink(bx().path(), folder.path().join(name)).unwrap();
        }
        Links { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Runs `program` with an environment that says nothing to a client.
pub fn run(program: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C");
    for name in ["REDISCLI_AUTH", "VALKEYCLI_AUTH", "FAKETTY", "NO_COLOR"] {
        command.env_remove(name);
    }
    Ran::feed(command, input)
}

/// Runs the incumbent and the box with the same arguments and input and compares all they do.
#[track_caller]
pub fn same(oracle: &Path, links: &Links, args: &[&str], input: &[u8]) {
    let theirs = run(oracle, args, input);
    let ours = run(&links.path("redis-cli"), args, input);
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(show(&ours.output.stdout), show(&theirs.output.stdout), "stdout of {args:?}");
    assert_eq!(show(&ours.output.stderr), show(&theirs.output.stderr), "stderr of {args:?}");
    assert_eq!(ours.output.status.code(), theirs.output.status.code(), "exit code of {args:?}");
}

/// Arguments of one command line; `PORT` stands for that of the server.
const ONE_SHOT: &[&[&str]] = &[
    &["-p", "PORT", "ping"],
    &["-p", "PORT", "nope", "-5"],
    &["-p", "PORT", "-e", "nope"],
    &["-p", "PORT", "-e", "ping"],
    &["-h", "localhost", "-p", "PORT", "ping"],
    &["-p", "1", "ping"],
    &["-h", "::1", "-p", "1", "ping"],
    &["-p", "abc", "ping"],
    &["-s", "/nope", "ping"],
    &["--bad"],
    &["-p"],
    &["--show-pushes", "x", "-p", "PORT", "ping"],
    &["-p", "PORT", "-a", "foo", "ping"],
    &["-p", "PORT", "--pass", "foo", "--no-auth-warning", "-n", "3", "dbsize"],
    &["-p", "PORT", "--user", "u", "-a", "foo", "ping"],
    &["-p", "PORT", "-n", "99", "ping"],
    &["-p", "PORT", "-n", "3", "set", "a", "b"],
    &["-u", "redis://u:p@127.0.0.1:PORT/3", "get", "a"],
    &["-u", "redis://127.0.0.1:PORT/3", "get", "a"],
    &["-u", "http://x", "get", "a"],
    &["-p", "PORT", "-x", "set", "k"],
    &["-p", "PORT", "--no-raw", "get", "k"],
    &["-p", "PORT", "-X", "tag", "set", "tag2", "tag"],
    &["-p", "PORT", "-X", "tag", "set", "a", "k"],
    &["-p", "PORT", "-x", "-X", "tag", "set", "a", "k"],
    &["-p", "PORT", "--quoted-input", "set", "\"a\\x00b\"", "\"x"],
    &["-p", "PORT", "--quoted-input", "set", "\"a\\x00b\"", "\"x y\""],
    &["-p", "PORT", "-r", "3", "-i", "0.001", "echo", "hi"],
    &["-p", "PORT", "-r", "0", "ping"],
    &["-p", "PORT", "-d", ",", "mget", "k", "nokey"],
    &["-p", "PORT", "-D", "", "get", "k"],
    &["-p", "PORT", "--csv", "lrange", "nolist", "0", "-1"],
    &["-p", "PORT", "--csv", "--json", "mget", "k", "nokey"],
    &["-p", "PORT", "--json", "--csv", "mget", "k", "nokey"],
    &["-p", "PORT", "--no-raw", "cluster", "info"],
    &["-p", "PORT", "--no-raw", "latency", "doctor"],
    &["-p", "PORT", "--csv", "info", "replication"],
    &["-p", "PORT", "--no-raw", "-3", "command", "docs", "set", "config"],
    &["-p", "PORT", "--json", "command", "docs", "set"],
    &["-p", "PORT", "--quoted-json", "command", "docs", "set"],
    &["-p", "PORT", "--no-raw", "command", "info", "get", "set"],
    &["-p", "PORT", "--no-raw", "-3", "command", "info", "get", "set"],
    &["-p", "PORT", "-3", "command", "info", "get", "set"],
    &["-p", "PORT", "hello", "4"],
    &["-p", "PORT", "subscribe"],
    &["-p", "PORT", "shutdown", "bad", "argument"],
    &["-p", "PORT", "--eval", "/nope"],
    &["-p", "PORT", "--eval", "SCRIPT", "k1", "k2", ",", "a", "b"],
    &["-p", "PORT", "--no-raw", "--eval", "SCRIPT", "k1", "k2,", "a"],
    &["-p", "PORT", "eval", "return {1,{2,{3,{}}},false,'x'}", "0"],
    &["-p", "PORT", "--no-raw", "eval", "return {1,{2,{3,{}}},false,'x'}", "0"],
    &["-p", "PORT", "--no-raw", "eval", "return {err='MY err'}", "0"],
    &["--version"],
];

#[test]
fn one_shot_commands_answer_as_redis_cli() {
    let (Some(oracle), Some(redis)) = (box_harness::oracle("redis-cli"), Redis::start(&[])) else {
        return;
    };
    let (links, port) = (Links::new(), redis.port.to_string());
    let script = redis.folder.path().join("s.lua");
    std::fs::write(&script, "return {KEYS, ARGV}").unwrap();
    for case in ONE_SHOT {
        let args: Vec<String> = case
            .iter()
            .map(|arg| arg.replace("PORT", &port).replace("SCRIPT", script.to_str().unwrap()))
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        same(&oracle, &links, &args, b"from stdin\n");
    }
}

#[test]
fn the_password_comes_from_the_environment_without_a_warning() {
    let Some(redis) = Redis::start(&["--requirepass", "secret"]) else { return };
    let port = redis.port.to_string();
    for name in ["REDISCLI_AUTH", "VALKEYCLI_AUTH"] {
        let mut command = bx().command(["cache-cli", "-p", &port, "ping"]);
        command.env(name, "secret");
        Ran::feed(command, "").succeeds().stdout("PONG\n").stderr("");
    }
    bx().feed(["cache-cli", "-p", &port, "--askpass", "ping"], "secret\n")
        .succeeds()
        .stdout("PONG\n")
        .stderr("Please input password: ");
    bx().run(["cache-cli", "-p", &port, "ping"])
        .succeeds()
        .stdout("NOAUTH Authentication required.\n\n");
}

#[test]
fn its_own_name_has_the_form_of_the_house() {
    bx().run(["cache-cli", "-p", "1", "ping"]).fails(1).stdout("").stderr(
        "box: cache-cli: 127.0.0.1:1: Connection refused\ntry: box cache-server --port PORT\n",
    );
    bx().run(["cache-cli", "--nope"]).fails(1).stderr_has("--nope");
    bx().run(["cache-cli", "--help"]).succeeds().stdout_has("--bigkeys").stderr("");
    bx().run(["cache-cli", "--version"]).succeeds().stdout_has("redis-cli 7.0");
    bx().run(["cache-cli", "--cluster", "info", "x"]).fails(1).stderr_has("not built in");
    bx().run(["cache-cli", "--tls", "ping"]).fails(1).stderr_has("TLS");
}

#[test]
fn valkeys_name_speaks_of_valkey() {
    let links = Links::new();
    let program = links.path("valkey-cli");
    run(&program, &["-p", "1", "ping"], b"")
        .fails(1)
        .stderr("Could not connect to Valkey at 127.0.0.1:1: Connection refused\n");
    run(&program, &["--version"], b"").succeeds().stdout_has("valkey-cli ");
}
