//! The modes that are no commands, beside redis-cli's.

use std::process::Command;

use box_harness::{Ran, oracle, wait_until};

use super::peer::Redis;
use super::{Links, run, same};
use crate::bx;

fn filled() -> Option<Redis> {
    let redis = Redis::start(&[])?;
    redis.ask("DEBUG POPULATE 250 key 20");
    for request in ["RPUSH l 1 2 3 4", "HSET h a b", "XADD st 1-1 a b", "SADD s 1 2", "ZADD z 1 a"]
    {
        redis.ask(request);
    }
    redis.ask("SET \"qu\\\"oted\\n\" x");
    Some(redis)
}

#[test]
fn keys_are_listed_and_sampled_as_by_redis_cli() {
    let (Some(program), Some(redis)) = (oracle("redis-cli"), filled()) else { return };
    let (links, port) = (Links::new(), redis.port.to_string());
    for mode in [
        &["--scan"][..],
        &["--scan", "--no-raw"],
        &["--scan", "--pattern", "key:1?"],
        &["--scan", "--quoted-pattern", "\"qu\\\"*\"", "--no-raw"],
        &["--bigkeys"],
        &["--bigkeys", "--pattern", "key:1*", "-i", "0.001"],
        &["--memkeys"],
        &["--memkeys-samples", "2"],
        &["--hotkeys"],
    ] {
        same(&program, &links, &[&["-p", &port][..], mode].concat(), b"");
    }
    redis.ask("CONFIG SET maxmemory-policy allkeys-lfu");
    (0..40).for_each(|_| drop(redis.ask("LLEN l")));
    same(&program, &links, &["-p", &port, "--hotkeys"], b"");
}

#[test]
fn piped_requests_are_counted_as_by_redis_cli() {
    let (Some(program), Some(redis)) = (oracle("redis-cli"), Redis::start(&[])) else { return };
    let (links, port) = (Links::new(), redis.port.to_string());
    for input in [&b""[..], b"*1\r\n$4\r\nPING\r\n", b"SET a b\r\nINCR a\r\nPING\r\n"] {
        same(&program, &links, &["-p", &port, "--pipe"], input);
    }
    same(&program, &links, &["-p", "1", "--pipe"], b"");
    let many: String =
        (0..50_000).map(|n| format!("*3\r\n$3\r\nSET\r\n$5\r\n{n:05}\r\n$1\r\nx\r\n")).collect();
    run(&links.path("redis-cli"), &["-p", &port, "--pipe"], many.as_bytes())
        .succeeds()
        .stdout_has("errors: 0, replies: 50000\n");
    assert_eq!(redis.ask("DBSIZE"), ":50001\r\n");
}

#[test]
fn a_pipe_that_gets_no_answer_gives_up() {
    let port = super::peer::fake(|_| Vec::new()).to_string();
    bx().feed(["cache-cli", "-p", &port, "--pipe", "--pipe-timeout", "1"], "PING\r\n")
        .fails(1)
        .stdout_has("errors: 1, replies: 0\n")
        .stderr("No replies for 1 seconds: exiting.\n");
}

#[test]
fn snapshots_are_fetched_and_load() {
    let (Some(program), Some(redis)) = (oracle("redis-cli"), filled()) else { return };
    let (links, port) = (Links::new(), redis.port.to_string());
    redis.ask(
        "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function() return 1 end)\"",
    );
    let file = redis.folder.path().join("dump.rdb");
    let path = file.to_str().unwrap();
    for diskless in ["yes", "no"] {
        redis.ask(&format!("CONFIG SET repl-diskless-sync {diskless}"));
        run(&links.path("redis-cli"), &["-p", &port, "--rdb", path], b"")
            .succeeds()
            .stdout("")
            .stderr_has("Transfer finished with success");
        if let Some(check) = oracle("redis-check-rdb") {
            run(&check, &[path], b"").succeeds().stdout_has("256 keys read");
        }
        let out = run(&links.path("redis-cli"), &["-p", &port, "--rdb", "-"], b"").succeeds();
        assert_eq!(out.output.stdout.len(), std::fs::read(&file).unwrap().len());
    }
    same(&program, &links, &["-p", &port, "--rdb", "/nope/x.rdb"], b"");
    run(&links.path("redis-cli"), &["-p", &port, "--functions-rdb", path], b"").succeeds();
    let functions = std::fs::read(&file).unwrap();
    assert!(functions.starts_with(b"REDIS") && functions.len() < 400);
    let Some(copy) = Redis::start(&["--dbfilename", "copy.rdb"]) else { return };
    drop(copy);
}

#[test]
fn a_replica_prints_what_it_is_sent() {
    let Some(redis) = Redis::start(&[]) else { return };
    let port = redis.port.to_string();
    let seen = redis.folder.path().join("seen");
    let mut child = bx()
        .command(["cache-cli", "-p", &port, "--replica"])
        .stdout(std::fs::File::create(&seen).unwrap())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the replica", 20, || redis.ask("INFO replication").contains("state=online"));
    redis.ask("SET foo \"b ar\"");
    let text = || std::fs::read_to_string(&seen).unwrap();
    wait_until("the command", 20, || text().contains("ar\"\n"));
    assert_eq!(text(), "\"SELECT\",\"0\"\n\"SET\",\"foo\",\"b ar\"\n");
    redis.ask("SHUTDOWN NOSAVE");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn latency_is_sampled_for_a_second() {
    let Some(redis) = Redis::start(&[]) else { return };
    let port = redis.port.to_string();
    let args = ["cache-cli", "-p", &port, "-i", "0.1", "--latency"];
    let ran = bx().run(args).succeeds();
    assert_eq!(ran.out().split_whitespace().count(), 4, "{}", ran.out());
    let ran = bx().run([&args[..], &["--csv"]].concat()).succeeds();
    assert_eq!(ran.out().trim_end().split(',').count(), 4, "{}", ran.out());
    bx().run(["cache-cli", "--intrinsic-latency", "0.05"])
        .succeeds()
        .stdout_has(" total runs (avg latency: ");
}

#[test]
fn statistics_have_a_head_and_a_line_a_second() {
    let Some(redis) = filled() else { return };
    let port = redis.port.to_string();
    let mut command = Command::new("timeout");
    let client = bx().path().to_owned();
    command.args(["1".as_ref(), client.as_os_str()]);
    command.args(["cache-cli", "-p", &port, "--stat", "-i", "0.1"]);
    let out = Ran::feed(command, "").out();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("------- data ------"), "{out}");
    assert!(lines[1].starts_with("keys       mem      clients blocked requests"), "{out}");
    assert!(lines[2].starts_with("256        "), "{out}");
    assert!(lines[2].contains("(+0)") && lines[3].contains("(+1)"), "{out}");
}
