//! Our client beside the incumbent's, theirs against our server, redis-py against our server.

use std::process::Command;

use box_harness::{Ran, oracle, scratch};

use crate::support::{Server, bx};

const COMMANDS: &[&str] = &[
    "set s x\"y",
    "get s",
    "get nope",
    "rpush l a b c d e f g h i j k",
    "lrange l 0 -1",
    "lrange nope 0 -1",
    "hset h a 1 b 2",
    "hgetall h",
    "zadd z 1.5 a 2 b",
    "zrange z 0 -1 withscores",
    "sadd st a",
    "smembers st",
    "set s",
    "nope",
    "incr s",
    "config get maxmemory",
    "client getname",
    "ping",
    "command info get",
    "type l",
];

#[test]
fn replies_are_shown_as_the_incumbents_client_shows_them() {
    let Some(theirs) = oracle("redis-cli") else { return };
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let port = server.port.to_string();
    for format in ["", "--no-raw", "--raw", "--csv", "--json", "--no-raw -3", "--csv -3", "-3"] {
        for words in COMMANDS {
            server.client().ask("FLUSHALL");
            let mut args = vec!["-p", &port];
            args.extend(format.split(' ').filter(|word| !word.is_empty()));
            args.extend(words.split(' '));
            let mut command = Command::new(&theirs);
            command.args(&args);
            let expected = Ran::feed(command, "");
            server.client().ask("FLUSHALL");
            let ran = bx().run(["cache-cli"].into_iter().chain(args.iter().copied()));
            assert_eq!(
                (ran.out(), ran.output.status.code()),
                (expected.out(), expected.output.status.code()),
                "{args:?}"
            );
        }
    }
}

#[test]
fn a_session_on_a_pipe_reads_as_the_incumbents() {
    let Some(theirs) = oracle("redis-cli") else { return };
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let port = server.port.to_string();
    let input = "set x 1\nget x\nmulti\nget x\nexec\nget \"a\nlpush l a b\nlrange l 0 -1\n";
    let mut command = Command::new(theirs);
    command.args(["-p", &port]);
    let expected = Ran::feed(command, input);
    server.client().ask("FLUSHALL");
    bx().feed(["cache-cli", "-p", &port], input).succeeds().stdout(expected.out());
}

#[test]
fn the_modes_of_the_client_work() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let port = server.port.to_string();
    let cli = |args: &[&str], input: &str| {
        bx().feed(["cache-cli", "-p", &port].iter().chain(args).copied().collect::<Vec<_>>(), input)
    };
    cli(&["-x", "set", "k"], "from stdin").succeeds().stdout("OK\n");
    cli(&["--scan", "--pattern", "k*"], "").succeeds().stdout("k\n");
    cli(&["--pipe"], "PING\r\nSET a b\r\n").succeeds().stdout_has("errors: 0, replies: 2");
    cli(&["--bigkeys"], "").succeeds().stdout_has("Sampled 2 keys in the keyspace!");
    cli(&["-r", "2", "-i", "0.01", "ping"], "").succeeds().stdout("PONG\nPONG\n");
    cli(&["-e", "nope"], "").fails(1);
    cli(&["-p", "1", "ping"], "")
        .fails(1)
        .stderr_has("box: cache-cli: 127.0.0.1:1: Connection refused\n");
}

#[test]
fn the_incumbents_benchmark_runs_unchanged() {
    let Some(theirs) = oracle("redis-benchmark") else { return };
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let port = server.port.to_string();
    let mut command = Command::new(theirs);
    command.args(["-p", &port, "-n", "500", "-c", "5", "-q", "--csv"]);
    Ran::feed(command, "").succeeds().stdout_has("\"MSET (10 keys)\"");
    let ran =
        bx().run(["cache-benchmark", "-p", &port, "-n", "500", "-c", "5", "--csv", "-P", "4"]);
    ran.succeeds()
        .stdout_has("\"test\",\"rps\",\"avg_latency_ms\"")
        .stdout_has("\"MSET (10 keys)\"");
}

#[test]
fn redis_py_runs_unchanged() {
    let python = "/usr/bin/python3";
    let has = Command::new(python).args(["-c", "import redis"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        return box_harness::skip("needs python3-redis");
    }
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let script = r#"
import sys, redis
r = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
assert r.ping()
r.set("k", "v", ex=100); assert r.get("k") == "v" and 0 < r.ttl("k") <= 100
r.hset("h", mapping={"a": 1, "b": 2}); assert r.hgetall("h") == {"a": "1", "b": "2"}
r.zadd("z", {"a": 1, "b": 2.5}); assert r.zrange("z", 0, -1, withscores=True) == [("a", 1.0), ("b", 2.5)]
r.rpush("l", 1, 2, 3); assert r.lrange("l", 0, -1) == ["1", "2", "3"]
with r.pipeline() as p:
    p.watch("k"); p.multi(); p.incr("n"); p.get("k"); assert p.execute() == [1, "v"]
s = r.pubsub(); s.subscribe("c"); assert s.get_message(timeout=5)["type"] == "subscribe"
r.publish("c", "hello"); assert s.get_message(timeout=5)["data"] == "hello"
assert sorted(r.scan_iter()) == ["h", "k", "l", "n", "z"]
assert r.info()["redis_version"] == "7.0.15" and "db0" in r.info()
assert r.config_get("maxmemory") == {"maxmemory": "0"}
assert len(r.client_list()) >= 1 and r.command_count() > 180
print("done")
"#;
    let mut command = Command::new(python);
    command.args(["-c", script, &server.port.to_string()]);
    Ran::feed(command, "").succeeds().stdout("done\n");
}
