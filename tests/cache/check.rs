//! `box cache-check` beside redis-check-rdb and redis-check-aof.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use box_harness::{Ran, oracle, scratch, wait_until};

use crate::bx;
use crate::client::peer::Redis;
use crate::support::Server;

/// A server's files: a snapshot and an append-only folder with a transaction at its end.
fn files() -> Option<(Redis, PathBuf)> {
    let redis = Redis::start(&["--appendonly", "yes", "--aof-timestamp-enabled", "yes"])?;
    for request in ["SET k1 v", "PEXPIRE k1 1000000", "RPUSH l 1 2 3", "ZADD z 1.5 a", "SADD s 1 2"]
    {
        redis.ask(request);
    }
    redis.ask("MULTI\r\nSET a 1\r\nSET b 2\r\nEXEC");
    redis.ask("SAVE");
    let folder = redis.folder.path().to_owned();
    redis.ask("SHUTDOWN NOSAVE");
    wait_until("the end of the server", 20, || {
        std::net::TcpStream::connect(("127.0.0.1", redis.port)).is_err()
    });
    Some((redis, folder))
}

/// Runs a program of this name, the incumbent's and ours, each on its own copy of `folder`.
#[track_caller]
fn same(name: &str, folder: &Path, args: &[&str], input: &str) {
    let Some(theirs) = oracle(name) else { return };
    let links = scratch();
    let ours = links.path().join(name);
    std::os::unix::fs::symlink(bx().path(), &ours).unwrap();
    let mut seen = Vec::new();
    for program in [ours, theirs] {
        let copy = scratch();
        for entry in fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_file())
        {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let mut command = Command::new(program);
        command.args(args).current_dir(copy.path());
        let ran = Ran::feed(command, input);
        let mut kept: Vec<_> = fs::read_dir(copy.path())
            .unwrap()
            .flatten()
            .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
            .collect();
        kept.sort();
        seen.push((ran.out(), ran.output.status.code(), kept));
    }
    assert_eq!(seen[0].0, seen[1].0, "{name} {args:?}");
    assert_eq!(seen[0].1, seen[1].1, "exit code of {name} {args:?}");
    assert_eq!(seen[0].2, seen[1].2, "files after {name} {args:?}");
}

#[test]
fn snapshots_are_checked_as_by_redis_check_rdb() {
    let Some((_redis, folder)) = files() else { return };
    let bytes = fs::read(folder.join("dump.rdb")).unwrap();
    let mut crc = bytes.clone();
    *crc.last_mut().unwrap() ^= 1;
    fs::write(folder.join("crc.rdb"), crc).unwrap();
    for file in ["dump.rdb", "crc.rdb", "nope.rdb", "-v"] {
        same("redis-check-rdb", &folder, &[file], "");
    }
    let path = folder.join("crc.rdb");
    bx().run(["cache-check", "rdb", path.to_str().unwrap()]).fails(1).stdout_has("RDB CRC error");
    // Cut anywhere it is refused, with the offset.
    for cut in (0..bytes.len()).step_by(7) {
        fs::write(&path, &bytes[..cut]).unwrap();
        bx().run(["cache-check", "rdb", path.to_str().unwrap()]).fails(1).stdout_has("[offset ");
    }
    bx().run(["cache-check", "rdb", "/nope"])
        .fails(1)
        .stderr("box: cache-check: /nope: No such file or directory\n");
}

#[test]
fn append_only_files_are_checked_and_repaired_as_by_redis_check_aof() {
    let Some((_redis, folder)) = files() else { return };
    let folder = folder.join("appendonlydir");
    let incr = folder.join("appendonly.aof.1.incr.aof");
    let whole = fs::read(&incr).unwrap();
    let manifest = "appendonly.aof.manifest";
    let tail = [&whole[..], b"garbage"].concat();
    let swapped = [&b"*1\r\n$4\r\nEXEC\r\n"[..], &whole].concat();
    for text in [&whole[..], &whole[..whole.len() - 5], &tail, &swapped, b""] {
        fs::write(&incr, text).unwrap();
        for args in [
            &[manifest][..],
            &["--fix", manifest],
            &["--truncate-to-timestamp", "10", manifest],
            &["--truncate-to-timestamp", "9999999999", manifest],
            &["appendonly.aof.1.incr.aof"],
            &["--fix", "appendonly.aof.1.incr.aof"],
            &["appendonly.aof.1.base.rdb"],
        ] {
            same("redis-check-aof", &folder, args, "y\n");
            same("redis-check-aof", &folder, args, "n\n");
        }
    }
    same("redis-check-aof", &folder, &["nope"], "");
    bx().run(["cache-check", "aof", "--fix", "/nope"])
        .fails(1)
        .stderr_has("Cannot open file /nope");
}

#[test]
fn a_snapshot_is_converted_for_each_incumbent() {
    let dir = scratch();
    let ours = Server::ours(dir.path(), &["--dbfilename", "from.rdb"]);
    let mut client = ours.client();
    for request in [
        "SET s v",
        "RPUSH l a b",
        "SADD u 1 2",
        "SADD t x y",
        "HSET h f v",
        "ZADD z 1.5 m",
        "XADD x 1-1 f v",
        "SET e v PXAT 9999999999999",
        "SELECT 3",
        "SET other 1",
    ] {
        assert!(!client.ask(request).starts_with('-'), "{request}");
    }
    client.call(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=l\nredis.register_function('f', function() return 1 end)",
    ]);
    assert_eq!(client.ask("SAVE"), "+OK\r\n");
    let digest = client.ask("DEBUG DIGEST");
    let path = |name: &str| dir.path().join(name).display().to_string();
    for (dialect, magic) in
        [("redis7", "REDIS0010"), ("redis8", "REDIS0012"), ("valkey9", "VALKEY080")]
    {
        let to = path(dialect);
        let args = ["cache-check", "convert", &path("from.rdb"), &to, "--dialect", dialect];
        bx().run(args).succeeds().stdout_has("9 keys written");
        let bytes = std::fs::read(&to).expect("a file");
        assert!(bytes.starts_with(magic.as_bytes()));
        let again = Server::ours(dir.path(), &["--dbfilename", dialect]);
        assert_eq!(again.client().ask("DEBUG DIGEST"), digest, "{dialect}");
        let peer = match dialect {
            "redis7" => Server::theirs(dir.path(), &["--dbfilename", dialect]),
            "redis8" => Server::named_by("REDIS8_SERVER", dir.path(), &["--dbfilename", dialect]),
            _ => Server::named_by("VALKEY9_SERVER", dir.path(), &["--dbfilename", dialect]),
        };
        let Some(peer) = peer else { continue };
        assert_eq!(peer.client().ask("DEBUG DIGEST"), digest, "{dialect}");
    }
}

#[test]
fn what_a_dialect_cannot_hold_is_named() {
    let dir = scratch();
    let servers = [
        ("REDIS8_SERVER", "valkey9", "VALKEY9_SERVER"),
        ("VALKEY9_SERVER", "redis8", "REDIS8_SERVER"),
    ];
    for (from, dialect, to) in servers {
        let file = format!("{dialect}-from");
        let Some(peer) = Server::named_by(from, dir.path(), &["--dbfilename", &file]) else {
            continue;
        };
        let mut client = peer.client();
        client.ask("HSET hash stays 1 goes 2");
        assert_eq!(client.ask("HPEXPIREAT hash 9999999999999 FIELDS 1 goes"), "*1\r\n:1\r\n");
        assert_eq!(client.ask("SAVE"), "+OK\r\n");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let refused =
            ["cache-check", "convert", &path(&file), &path("none"), "--dialect", "redis7"];
        bx().run(refused)
            .fails(1)
            .stdout_has("db 0 key hash: the expiry of its fields cannot be kept");
        assert!(!dir.path().join("none").exists());
        let args = ["cache-check", "convert", &path(&file), &path(dialect), "--dialect", dialect];
        bx().run(args).succeeds();
        let Some(other) = Server::named_by(to, dir.path(), &["--dbfilename", dialect]) else {
            continue;
        };
        let reply = other.client().ask("HPEXPIRETIME hash FIELDS 2 stays goes");
        assert_eq!(reply, "*2\r\n:-1\r\n:9999999999999\r\n", "{from} to {to}");
    }
}
