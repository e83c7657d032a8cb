//! `box cache-check` beside redis-check-rdb and redis-check-aof.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use box_harness::{Ran, oracle, scratch, wait_until};

use crate::bx;
use crate::client::peer::Redis;

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
